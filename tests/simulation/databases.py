"""Programs at databases: random SQL, and what each of them had before its eyes.

The oracle is that of ``users``: a mark that was committed may be gone only if somebody removed it
who saw it. Marks are in columns that are never updated; what is updated need only be equal
everywhere in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import apsw

from meerkat.core.events import DatabaseRequested
from meerkat.testing.engine_rows import EngineRows
from meerkat.testing.memory_rows import RowsSimulator
from meerkat.testing.simulator import SimulatedPeer
from tests.simulation.bad_days import Diary

__all__ = ["Programs", "aside_marks", "dump", "faults_of", "marks"]

SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY, mark TEXT NOT NULL, note TEXT, amount INTEGER);
CREATE TABLE child (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    item INTEGER REFERENCES item (id) ON DELETE CASCADE,
    mark TEXT UNIQUE
);
CREATE TABLE person (email TEXT UNIQUE, mark TEXT, note TEXT);
CREATE TABLE tag (name TEXT, kind INTEGER, note, PRIMARY KEY (name, kind)) WITHOUT ROWID;
CREATE TABLE loose (mark TEXT, note REAL);
CREATE INDEX item_by_note ON item (note);
CREATE TABLE counted (what TEXT PRIMARY KEY, times INTEGER CHECK (times < 4));
CREATE TRIGGER count_items AFTER INSERT ON item BEGIN
    INSERT INTO tag VALUES ('made', NEW.id, NEW.mark) ON CONFLICT DO NOTHING;
END;
"""
MARKED = ("item", "child", "person", "loose")
EMAILS = ("a@x", "b@x", "c@x", None)
PLACES = ("x.db", "d/y.db", "z.sqlite")
WAL_CHANCE = 0.4
MIGRATIONS = (
    "ALTER TABLE item ADD COLUMN size INTEGER DEFAULT 7",
    "ALTER TABLE loose ADD COLUMN size TEXT",
    "CREATE TABLE IF NOT EXISTS more (id INTEGER PRIMARY KEY, note TEXT)",
    "CREATE TABLE IF NOT EXISTS more (name TEXT PRIMARY KEY, note TEXT) WITHOUT ROWID",
    "DROP TABLE IF EXISTS more",
    "INSERT INTO more (note) VALUES ('more')",
    "CREATE INDEX IF NOT EXISTS loose_by_note ON loose (note)",
    "DROP INDEX IF EXISTS item_by_note",
    "CREATE VIEW IF NOT EXISTS noted AS SELECT mark FROM item WHERE note IS NOT NULL",
    "PRAGMA user_version = 5",
    "VACUUM",
)


def opened(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def dump(path: Path) -> dict[str, list[str]]:
    """All that two equal databases have in common."""
    connection = apsw.Connection(str(path))
    try:
        schema = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        found = {"schema": sorted(map(repr, connection.execute(schema)))}
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        for (table,) in list(connection.execute(tables)):
            rows = connection.execute(f'SELECT * FROM "{table}"')
            found[table] = sorted(map(repr, rows))
        found["version"] = [repr(connection.pragma("user_version"))]
        return found
    finally:
        connection.close()


def marks(path: Path) -> set[str]:
    connection = apsw.Connection(str(path))
    try:
        found: set[str] = set()
        for table in MARKED:
            found |= {row[0] for row in connection.execute(f"SELECT mark FROM {table}")}
        return found
    finally:
        connection.close()


def faults_of(path: Path) -> list[object]:
    """What a database says against itself."""
    connection = apsw.Connection(str(path))
    try:
        found = [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
        return [*found, *connection.execute("PRAGMA foreign_key_check")]
    finally:
        connection.close()


def aside_marks(simulator: RowsSimulator, one: SimulatedPeer) -> set[str]:
    """Marks of the rows that constraints keep out of the files."""
    worker = simulator.worker(one)
    assert isinstance(worker, EngineRows)
    values = [
        conflict.values.get("mark")
        for database in worker.databases.values()
        for conflict in database.conflicts()
    ]
    return {value for value in values if isinstance(value, str)}


class Programs(Diary[RowsSimulator]):
    """Whoever writes databases at the peers of a simulation."""

    def __init__(self, simulator: RowsSimulator, rng: Random) -> None:
        super().__init__(simulator, rng)
        self._statements: list[tuple[int, Callable[[apsw.Connection], str]]] = [
            (4, self._item),
            (4, self._child),
            (2, lambda connection: self._person(connection, "INSERT")),
            (1, lambda connection: self._person(connection, "INSERT OR REPLACE")),
            (2, self._tag),
            (2, self._loose),
            (1, self._counted),
            (4, self._update),
            (1, self._update_key),
            (2, self._delete),
        ]

    def marks_at(self, one: SimulatedPeer) -> set[str]:
        """What this peer's files hold."""
        folder = self.simulator.folder(one)
        found: set[str] = set().union(*(marks(path) for path in folder.databases().values()))
        for data in folder.files().values():  # those that were turned off
            spare = folder.root / ".meerkat" / "to read"
            spare.write_bytes(data)
            found |= marks(spare)
        return found

    # -- deeds -----------------------------------------------------------------------------

    def begin(self, one: SimulatedPeer, path: str = "x.db") -> None:
        """A program makes a database."""
        mode = "WAL" if self.rng.random() < WAL_CHANCE else "DELETE"

        def make(at: Path) -> None:
            connection = opened(at)
            connection.execute(SCHEMA)
            connection.execute(f"PRAGMA journal_mode = {mode}")
            for _ in range(3):
                self._item(connection)
            connection.close()

        self.note(one, f"makes {path} ({mode})")
        before = self.marks_at(one)
        self.simulator.folder(one).place(path, make)
        self._compare(one, before)
        self.simulator.look(one)

    def act(self, one: SimulatedPeer) -> None:
        """A random deed."""
        before = self.marks_at(one)
        rng, chance = self.rng, self.rng.random()
        folder = self.simulator.folder(one)
        databases = folder.databases()
        if chance < 0.02:
            self._switch(one)
            return
        if not databases or chance < 0.03:
            # Not in another's place: its rows would count as written over, also by two at once.
            free = [path for path in PLACES if path not in folder.nodes]
            if free:
                self.begin(one, rng.choice(free))
            return
        path = rng.choice(sorted(databases))
        if chance < 0.06:
            target = rng.choice(PLACES)
            if target not in folder.nodes:
                self.note(one, f"moves {path} to {target}")
                folder.move(path, target)
        elif chance < 0.08:
            self.note(one, f"removes {path}")
            folder.delete(path)
        elif chance < 0.14:
            self._migrate(one, path, databases[path])
        else:
            self._transaction(one, path, databases[path])
        if chance < 0.08:
            self.simulator.look(one)
        elif rng.random() < 0.8:
            self.simulator.touch(one)
        self._compare(one, before)

    def _switch(self, one: SimulatedPeer) -> None:
        nodes = self.simulator.folder(one).nodes
        if nodes:
            path, live = self.rng.choice(sorted(nodes)), self.rng.random() < 0.6
            self.note(one, f"turns {path} {'on' if live else 'off'}")
            self.simulator.handle(one, DatabaseRequested(1, path, live))

    def _compare(self, one: SimulatedPeer, before: set[str]) -> None:
        after = self.marks_at(one)
        self.written |= after - before
        self.removed |= before - after

    def _migrate(self, one: SimulatedPeer, path: str, at: Path) -> None:
        sql = self.rng.choice(MIGRATIONS)
        connection = opened(at)
        try:
            connection.execute(sql)
        except apsw.Error as error:
            sql += f" refused: {error}"
        finally:
            connection.close()
        self.note(one, f"{path}: {sql}")

    def _transaction(self, one: SimulatedPeer, path: str, at: Path) -> None:
        rng = self.rng
        deeds = [deed for _, deed in self._statements]
        weights = [weight for weight, _ in self._statements]
        chosen = rng.choices(deeds, weights, k=rng.choice((1, 1, 1, 2, 4)))
        words: list[str] = []
        connection = opened(at)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for deed in chosen:
                words.append(deed(connection))
            connection.execute("COMMIT" if rng.random() < 0.95 else "ROLLBACK")
        except apsw.ConstraintError as error:
            words.append(f"refused: {error}")
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        finally:
            connection.close()
        self.note(one, f"{path}: {'; '.join(words)}")

    # -- statements ------------------------------------------------------------------------

    def _item(self, connection: apsw.Connection) -> str:
        mark = self.mark()
        connection.execute(
            "INSERT INTO item (mark, note, amount) VALUES (?, ?, ?)",
            (mark, self.rng.choice(("n", None)), self.rng.randint(0, 3)),
        )
        return f"item {mark}"

    def _child(self, connection: apsw.Connection) -> str:
        mark = self.mark()
        connection.execute(
            "INSERT INTO child (item, mark) "
            "SELECT id, ? FROM item ORDER BY (id * 7 + ?) % 5 LIMIT 1",
            (mark, self.rng.randint(0, 4)),
        )
        return f"child {mark}"

    def _person(self, connection: apsw.Connection, verb: str) -> str:
        mark, email = self.mark(), self.rng.choice(EMAILS)
        connection.execute(f"{verb} INTO person VALUES (?, ?, '')", (email, mark))
        return f"{verb} person {email} {mark}"

    def _tag(self, connection: apsw.Connection) -> str:
        rng = self.rng
        values = (rng.choice("ab"), rng.randint(0, 2), rng.choice((1, 1.0, "1", b"1", None)))
        connection.execute("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", values)
        return f"tag {values}"

    def _loose(self, connection: apsw.Connection) -> str:
        mark = self.mark()
        values = (mark, self.rng.random())
        connection.execute("INSERT INTO loose (mark, note) VALUES (?, ?)", values)
        return f"loose {mark}"

    def _counted(self, connection: apsw.Connection) -> str:
        what = self.rng.choice("pq")
        connection.execute(
            "INSERT INTO counted VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET times = times + 1",
            (what,),
        )
        return f"count {what}"

    def _some(self, table: str, count: int) -> str:
        order = f"(rowid * 7 + {self.rng.randint(0, 9)}) % 11"
        return f"rowid IN (SELECT rowid FROM {table} ORDER BY {order} LIMIT {count})"

    def _update(self, connection: apsw.Connection) -> str:
        rng = self.rng
        table = rng.choice(MARKED)
        some = self._some(table, rng.choice((1, 1, 3)))
        if table == "child":
            sql = f"UPDATE child SET item = (SELECT max(id) FROM item) WHERE {some}"
        elif table == "person" and rng.random() < 0.5:
            sql = f"UPDATE OR IGNORE person SET email = '{rng.choice('ab')}@x' WHERE {some}"
        else:
            sql = f"UPDATE {table} SET note = {rng.randint(0, 99)} WHERE {some}"
        connection.execute(sql)
        return sql

    def _update_key(self, connection: apsw.Connection) -> str:
        key = f"(SELECT max(id) + {self.rng.randint(1, 3)} FROM item)"
        sql = (
            f"UPDATE item SET id = {key} WHERE {self._some('item', 1)} "
            "AND NOT EXISTS (SELECT 1 FROM child WHERE child.item = item.id)"
        )
        connection.execute(sql)
        return sql

    def _delete(self, connection: apsw.Connection) -> str:
        table = self.rng.choice(MARKED)
        sql = f"DELETE FROM {table} WHERE {self._some(table, self.rng.choice((1, 1, 3)))}"
        connection.execute(sql)
        return sql
