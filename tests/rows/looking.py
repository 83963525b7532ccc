"""A database's file, its state, and looks at what programs changed; with random programs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from meerkat.rows.compare import RowDelta, compare
from meerkat.rows.schema import Schema, Table, read_schema
from meerkat.rows.sqltext import quote
from meerkat.rows.tracker import Look, Tracker
from meerkat.rows.values import RawText


class Interrupted(apsw.Connection):
    """Something else happens just before one of its reads."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.reads = 0
        self.then: Callable[[], None] | None = None

    def read(self, schema: str, which: int, offset: int, amount: int) -> tuple[bool, bytes]:
        self.reads -= 1
        if self.reads == 0 and self.then is not None:
            self.then()
        return super().read(schema, which, offset, amount)


class Looking:
    """``program`` writes to the file; what looks find is taken over into ``state``."""

    def __init__(self, path: Path, settings: str = "") -> None:
        self.path = path
        self.program = apsw.Connection(str(path))
        self.program.execute(f"PRAGMA synchronous = off; {settings}")
        self.file = Interrupted(str(path))
        self.state = apsw.Connection(":memory:")
        encoding = self.program.execute("PRAGMA encoding").get
        self.state.execute(f"PRAGMA encoding = '{encoding}'")
        self.tracker = Tracker(self.state)
        self.last = Look()
        self.compared = 0

    def close(self) -> None:
        for connection in (self.program, self.file, self.state):
            connection.close()

    def reopen_file(self) -> None:
        self.file.close()
        self.file = Interrupted(str(self.path))

    def reopen_program(self) -> None:
        self.program.close()
        self.program = apsw.Connection(str(self.path))
        self.program.execute("PRAGMA synchronous = off")

    def restart(self) -> None:
        self.tracker = Tracker(self.state)

    def look(
        self,
        *,
        immediate: bool = False,
        plain: bool = False,
        lose: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[RowDelta]:
        """Look, take over what differs, and be sure that nothing differs then.

        ``lose``: the state's transaction is rolled back. ``meanwhile``: after the transaction of
        the file has begun.
        """
        if plain:
            self.file.execute("BEGIN")
            self.file.execute("PRAGMA page_count").get  # noqa: B018
        else:
            self.tracker.begin(self.file, immediate=immediate)
        try:
            if meanwhile is not None:
                meanwhile()
            self.state.execute("BEGIN")
            found = self._take_over()
            if lose:
                self.state.execute("ROLLBACK")
            else:
                self.state.execute("COMMIT")
                self.assert_equal()
            return found
        finally:
            self.file.execute("ROLLBACK")

    def _take_over(self) -> list[RowDelta]:
        look = self.last = self.tracker.look(self.file)
        if look.schema_changed:
            assert look.schema is not None
            self._follow_schema(look.schema)
        schema = read_schema(self.state, own=True)
        found: list[RowDelta] = []
        for name, table in schema.tables.items():
            ranges = None
            if not (look.everything or name in look.tables):
                ranges = look.ranges.get(name)
                if ranges is None:
                    continue
            deltas = list(compare(self.file, self.state, table, table, ranges))
            take(self.state, table, deltas)
            found += deltas
        self.tracker.accept()
        return found

    def _follow_schema(self, schema: Schema) -> None:
        ours = read_schema(self.state, own=True)
        for name, table in ours.tables.items():
            if schema.tables.get(name) != table:
                self.state.execute(f"DROP TABLE {quote(name)}")
        for name, table in schema.tables.items():
            if ours.tables.get(name) != table:
                self.state.execute(table.sql)

    def assert_equal(self) -> None:
        """The oracle: every row of both sides, as Python shows it."""
        for name, table in read_schema(self.file).tables.items():
            theirs, ours = rows_of(self.file, table), rows_of(self.state, table)
            differing = [at for at in theirs.keys() | ours.keys() if theirs.get(at) != ours.get(at)]
            shown = [(at, theirs.get(at, "")[:99], ours.get(at, "")[:99]) for at in differing]
            assert not shown, (name, self.last.everything, self.last.ranges, shown)


def rows_of(connection: apsw.Connection, table: Table) -> dict[str, str]:
    names = [*table.locator_columns, *(column.name for column in table.columns)]
    shown = ", ".join(
        f"typeof({name}), iif(typeof({name}) = 'text', CAST({name} AS BLOB), {name})"
        for name in map(quote, names)
    )
    width = 2 * len(table.locator_columns)
    rows = connection.execute(f"SELECT {shown} FROM {quote(table.name)}")
    return {repr(row[:width]): repr(row[width:]) for row in rows}


def take(connection: apsw.Connection, table: Table, deltas: list[RowDelta]) -> None:
    """Make the rows what they are in the file: first all deletions."""
    name = quote(table.name)
    columns = [column.name for column in table.columns]
    hidden = table.has_rowid and table.rowid_column is None
    places = [*table.locator_columns, *columns] if hidden else columns
    for delta in deltas:
        if delta.old_at is not None:
            at = delta.old_at if isinstance(delta.old_at, tuple) else (delta.old_at,)
            where = " AND ".join(
                f"{quote(column)} IS {mark}"
                for column, mark in zip(table.locator_columns, marks(at), strict=True)
            )
            connection.execute(f"DELETE FROM {name} WHERE {where}", plain(at))
    for delta in deltas:
        if delta.new is not None:
            row: tuple[Any, ...] = (delta.new_at, *delta.new) if hidden else delta.new
            connection.execute(
                f"INSERT INTO {name} ({', '.join(map(quote, places))})"
                f" VALUES ({', '.join(marks(row))})",
                plain(row),
            )


def marks(row: tuple[Any, ...]) -> list[str]:
    return ["CAST(? AS TEXT)" if isinstance(one, RawText) else "?" for one in row]


def plain(row: tuple[Any, ...]) -> list[Any]:
    return [one.data if isinstance(one, RawText) else one for one in row]


class Programs:
    """Random statements, as programs of all kinds write them."""

    def __init__(self, looking: Looking, seed: int) -> None:
        self.looking = looking
        self.random = random.Random(seed)
        self.begin()
        self.log: list[str] = []
        self._number = 0

    def begin(self) -> None:
        """Statements take their chances from the same source."""

        def chance(*_: object) -> int:
            return self.random.randrange(-(2**63), 2**63)

        self.looking.program.create_scalar_function("chance", chance, 0)

    def run(self, sql: str, bindings: tuple[Any, ...] = ()) -> None:
        self.log.append(f"{sql} {str(bindings)[:80]}")
        try:
            list(self.looking.program.execute(sql, bindings))
        except apsw.Error as error:
            self.log.append(f"   {type(error).__name__} {error}")

    def tables(self) -> list[str]:
        return [
            str(name)
            for (name,) in self.looking.program.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'user%'"
                " AND name NOT LIKE '%\\_%' ESCAPE '\\'"
            )
        ]

    def step(self) -> None:
        choices = [
            (self.create, 2 if len(self.tables()) < 6 else 0),
            (self.insert, 12),
            (self.insert_many, 4),
            (self.update, 12),
            (self.update_in_place, 6),
            (self.delete, 6),
            (self.delete_many, 2),
            (self.transaction, 5),
            (self.drop, 1),
            (self.again, 1),
            (self.alter, 1),
            (self.index, 1),
            (self.settings, 2),
            (self.maintain, 2),
        ]
        self.random.choices([one for one, _ in choices], [weight for _, weight in choices])[0]()

    def value(self) -> Any:
        chance = self.random.random()
        if chance < 0.15:
            return None
        if chance < 0.35:
            return self.random.choice([0, 1, -1, 2**62, -(2**63), self.random.randrange(1000)])
        if chance < 0.5:
            return self.random.choice([0.0, -0.0, 1.0, 1.5, -1e300, float("inf")])
        size = self.random.choice([0, 1, 10, 50, 200, 700, 3000, 9000, 40000])
        if chance < 0.75:
            return chr(self.random.randrange(97, 123)) * size
        return bytes([self.random.randrange(256)]) * size

    def create(self) -> None:
        self._number += 1
        name = f"user{self._number}"
        self.run(
            self.random.choice(
                [
                    f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b)",
                    f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b REAL)",
                    f"CREATE TABLE {name} (a, b)",
                    f"CREATE TABLE {name} (k TEXT PRIMARY KEY, a, b)",
                    f"CREATE TABLE {name} (a, k, b, PRIMARY KEY (k, a)) WITHOUT ROWID",
                    f"CREATE VIRTUAL TABLE {name} USING fts5(a, b)",
                    f"CREATE TABLE {name} (a UNIQUE, b, g AS (length(a)) STORED)",
                ]
            )
        )

    def _table(self) -> str | None:
        tables = self.tables()
        return self.random.choice(tables) if tables else None

    def _insert(self, table: str, how: str = "INSERT") -> None:
        if self.random.random() < 0.3:
            at = self.random.choice([self.random.randrange(-50, 5000), 2**63 - 1, -(2**63)])
            self.run(
                f"{how} INTO {table} (rowid, a, b) VALUES (?, ?, ?)",
                (at, self.value(), self.value()),
            )
        self.run(f"{how} INTO {table} (a, b) VALUES (?, ?)", (self.value(), self.value()))
        self.run(
            f"{how} INTO {table} (k, a, b) VALUES (?, ?, ?)",
            (self.value(), self.value(), self.value()),
        )

    def insert(self) -> None:
        if table := self._table():
            self._insert(table, self.random.choice(["INSERT", "REPLACE"]))

    def insert_many(self) -> None:
        if table := self._table():
            count, size = self.random.choice([(20, 3000), (300, 30), (600, 10)])
            self.run(
                f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
                f" INSERT OR IGNORE INTO {table} (a, b) SELECT chance(), zeroblob({size}) FROM n"
            )
            self.run(
                f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
                f" INSERT OR IGNORE INTO {table} (k, a, b)"
                f" SELECT chance(), i, zeroblob({size}) FROM n"
            )

    def _some(self, table: str) -> str:
        # A WITHOUT ROWID table has no rowid: then it is another statement that fails.
        return self.random.choice(
            [
                f"rowid IN (SELECT rowid FROM {table} ORDER BY chance() LIMIT 1)",
                f"rowid IN (SELECT rowid FROM {table} ORDER BY chance() LIMIT 5)",
                f"(k, a) IN (SELECT k, a FROM {table} ORDER BY chance() LIMIT 3)",
                "rowid % 7 = 0",
                "a = 1",
                "b IS NULL",
            ]
        )

    def update(self) -> None:
        if table := self._table():
            column = self.random.choice(["a", "b", "b", "k", "id", "rowid"])
            value = self.random.choice(["?", "?", f"{column} + 1", f"CAST({column} AS TEXT)"])
            self.run(
                f"UPDATE OR {self.random.choice(['IGNORE', 'REPLACE'])} {table}"
                f" SET {column} = {value} WHERE {self._some(table)}",
                (self.value(),) if value == "?" else (),
            )

    def update_in_place(self) -> None:
        """Only the end of a long value changes, so only a page of its overflow."""
        if table := self._table():
            self.run(
                f"UPDATE {table} SET b = substr(b, 1, length(b) - 1) || ?"
                f" WHERE length(b) > 600 AND typeof(b) = 'text' AND {self._some(table)}",
                (self.random.choice("xyz"),),
            )
            try:
                row = self.looking.program.execute(
                    f"SELECT rowid FROM {table} WHERE length(b) > 600 AND typeof(b) <> 'real'"
                    " ORDER BY chance() LIMIT 1"
                ).get
                if row is not None:
                    with self.looking.program.blob_open("main", table, "b", row, True) as blob:
                        at = self.random.randrange(blob.length())
                        self.log.append(f"blob {table} {row} {at}")
                        blob.seek(at)
                        blob.write(b"!")
            except (apsw.SQLError, apsw.BusyError, apsw.ReadOnlyError):
                self.log.append("   no blob")

    def delete(self) -> None:
        if table := self._table():
            self.run(f"DELETE FROM {table} WHERE {self._some(table)}")

    def delete_many(self) -> None:
        if table := self._table():
            self.run(f"DELETE FROM {table}{self.random.choice(['', ' WHERE rowid % 3 > 0'])}")

    def transaction(self) -> None:
        if not self.looking.program.in_transaction:
            self.run("BEGIN")
            for _ in range(self.random.randrange(1, 8)):
                self.random.choice([self.insert, self.update, self.delete, self.insert_many])()
            self.run(self.random.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
            if self.looking.program.in_transaction:
                self.run("ROLLBACK")

    def drop(self) -> None:
        if table := self._table():
            self.run(f"DROP TABLE {table}")

    def again(self) -> None:
        """Drop a table and create it again in one transaction, often with the same root page."""
        if table := self._table():
            sql = self.looking.program.execute(
                "SELECT sql FROM sqlite_schema WHERE name = ?", (table,)
            ).get
            self.run("BEGIN")
            self.run(f"DROP TABLE {table}")
            self.run(str(sql))
            self._insert(table)
            self.run("COMMIT")

    def alter(self) -> None:
        if table := self._table():
            self._number += 1
            self.run(
                self.random.choice(
                    [
                        f"ALTER TABLE {table} ADD COLUMN c{self._number} DEFAULT 7",
                        f"ALTER TABLE {table} RENAME TO user{self._number}",
                        f"ALTER TABLE {table} DROP COLUMN b",
                    ]
                )
            )

    def index(self) -> None:
        if table := self._table():
            self._number += 1
            self.run(f"CREATE INDEX index{self._number} ON {table} (b, a)")
            self.run("ANALYZE")

    def settings(self) -> None:
        self.run(
            self.random.choice(
                [
                    f"PRAGMA user_version = {self.random.randrange(100)}",
                    "PRAGMA cache_size = 5",
                    "PRAGMA secure_delete = on",
                    "PRAGMA wal_autocheckpoint = 0",
                    "PRAGMA wal_autocheckpoint = 20",
                    "PRAGMA incremental_vacuum(3)",
                ]
            )
        )

    def maintain(self) -> None:
        choice = self.random.randrange(9)
        if choice < 4:
            mode = self.random.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
            self.run(f"PRAGMA wal_checkpoint({mode})")
        elif choice == 4:
            self.run("VACUUM")
        elif choice == 5:
            self.looking.file.close()
            mode = self.random.choice(["wal", "delete", "truncate", "persist"])
            self.run(f"PRAGMA journal_mode = {mode}")
            self.looking.reopen_file()
        elif choice == 6:
            self.looking.file.close()
            self.run("PRAGMA journal_mode = delete")
            self.run(f"PRAGMA page_size = {self.random.choice([512, 1024, 4096, 65536])}")
            self.run(f"PRAGMA auto_vacuum = {self.random.randrange(3)}")
            self.run("VACUUM")
            if self.random.random() < 0.7:
                self.run("PRAGMA journal_mode = wal")
            self.looking.reopen_file()
        elif choice == 7:
            self.looking.file.close()
            self.looking.reopen_program()
            self.begin()
            self.looking.reopen_file()
        else:
            self.looking.restart()
