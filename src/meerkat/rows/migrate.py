"""Brings a database to another schema, with its rows.

The statements come from ``materialise``, which saw SQLite take them; here they meet rows. Where
ALTER TABLE leads to the wanted text it is used (tried in an empty database first), else the table
is made anew beside the old one. Indexes come last, then views and triggers. Everything happens in
the caller's transaction; after an error it must be rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import apsw

from .copying import Aside, copy_rows, readmit_rows
from .materialise import open_scratch
from .schema import Schema, SchemaObject, Table, Unique, read_schema
from .sqltext import declarations, fold, quote, rebuild_of, tokens
from .targets import Names, Target

__all__ = ["migrate"]

_AWAY = "meerkat_away_"  # a table that makes room
_SWITCHES = (
    (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0),  # a dropped table deletes no rows elsewhere
    (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
    (apsw.SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1),  # a renamed table is renamed nowhere else
    (apsw.SQLITE_DBCONFIG_DQS_DDL, 1),
    (apsw.SQLITE_DBCONFIG_DQS_DML, 1),
)


def migrate(
    connection: apsw.Connection,
    target: Target,
    names: Names,
    *,
    aside: Aside | None = None,
    checks: bool = True,
) -> None:
    """Make a connection's main database have just the schema ``target``.

    ``names``: what its tables and columns are there (``names_between``); what is not named is
    dropped. ``aside``: gets the rows that new constraints forbid. ``checks``: False lets rows
    violate CHECK.

    Raises:
        apsw.Error: also if a row violates a constraint and ``aside`` is not given.
    """
    present = read_schema(connection, own=True)
    with _switched(connection, checks):
        _Migration(connection, present, target.schema, names, aside).run()
    after = read_schema(connection, own=True)
    if (after.tables, after.objects) != (target.schema.tables, target.schema.objects):
        raise apsw.SQLError("the schema did not become what it should")


@contextmanager
def _switched(connection: apsw.Connection, checks: bool) -> Iterator[None]:
    before = [(option, connection.config(option, -1)) for option, _ in _SWITCHES]
    ignored = connection.execute("PRAGMA ignore_check_constraints").get
    try:
        for option, value in _SWITCHES:
            connection.config(option, value)
        connection.execute(f"PRAGMA ignore_check_constraints = {0 if checks else 1}").fetchall()
        yield
    finally:
        connection.execute(f"PRAGMA ignore_check_constraints = {ignored:d}").fetchall()
        for option, was in before:
            connection.config(option, int(was))


class _Migration:
    def __init__(
        self,
        connection: apsw.Connection,
        present: Schema,
        wanted: Schema,
        names: Names,
        aside: Aside | None,
    ) -> None:
        self._connection = connection
        self._present, self._wanted, self._aside = present, wanted, aside
        self._names: Names = {
            name: names[name]
            for name in wanted.tables
            if name in names and names[name][0] in present.tables
        }
        # What a table that is still to be treated is called at the moment.
        self._current = {was: was for was, _ in self._names.values()}

    def run(self) -> None:
        changed = [name for name in self._wanted.tables if not self._is_same(name)]
        self._drop_objects(everything=bool(changed))
        for name, table in self._present.tables.items():
            if name not in self._current:
                self._run(f"DROP TABLE main.{quote(table.name)}")
        # Full-text tables may look at the table that holds their text.
        for name in sorted(changed, key=lambda name: self._wanted.tables[name].module is not None):
            self._make_room(name)
            self._treat(name)
        self._create_objects()
        self._refill(changed)
        for name, value in self._wanted.numbers.items():
            self._run(f"PRAGMA main.{name} = {value:d}")

    def _run(self, sql: str) -> None:
        self._connection.execute(sql).fetchall()

    def _is_same(self, name: str) -> bool:
        if name not in self._names:
            return False
        was, columns = self._names[name]
        table, before = self._wanted.tables[name], self._present.tables[was]
        same = all(columns.get(column.name) == column.name for column in table.columns)
        return was == name and table.sql == before.sql and same

    # -- tables ---------------------------------------------------------------------------------

    def _make_room(self, name: str) -> None:
        """Move away a table that has the name and waits for its own treatment."""
        mine = self._names[name][0] if name in self._names else None
        for was, called in self._current.items():
            if was != mine and fold(called) == fold(name):
                away = f"{_AWAY}{len(self._current)}_{list(self._current).index(was)}"
                self._run(f"ALTER TABLE main.{quote(called)} RENAME TO {quote(away)}")
                self._current[was] = away

    def _treat(self, name: str) -> None:
        table = self._wanted.tables[name]
        if name not in self._names:
            self._run(table.sql)
            return
        was, columns = self._names[name]
        before = self._present.tables[was]
        if not self._alter(before, table, columns):
            self._rebuild(before, table, columns)
        del self._current[was]

    def _alter(self, before: Table, table: Table, columns: dict[str, str]) -> bool:
        """By ALTER TABLE, if that gives the very text that is wanted."""
        called = self._current[before.name]
        if before.module or table.module:
            return False
        steps = _steps(before, table, columns, called)
        if not _leads_to(before, steps, table, called):
            return False
        self._run("SAVEPOINT altered")
        try:
            for step in steps:
                self._run(step)
        except apsw.Error:  # rows are in the way
            self._run("ROLLBACK TO altered")
            self._run("RELEASE altered")
            return False
        self._run("RELEASE altered")
        return True

    def _rebuild(self, before: Table, table: Table, columns: dict[str, str]) -> None:
        called = self._current[before.name]
        away = f"{_AWAY}old"
        self._run(f"ALTER TABLE main.{quote(called)} RENAME TO {quote(away)}")
        last = self._sequence(away) if before.autoincrement else None
        self._run(table.sql)
        if table.replicated and before.replicated:
            old = replace(before, name=away)
            copy_rows(self._connection, old, table, columns, self._aside, was=before)
        self._run(f"DROP TABLE main.{quote(away)}")
        if table.autoincrement and last is not None:
            self._raise_sequence(table.name, last)

    def _sequence(self, name: str) -> int | None:
        return self._connection.execute(  # type: ignore[no-any-return]
            "SELECT seq FROM main.sqlite_sequence WHERE name = ?", (name,)
        ).get

    def _raise_sequence(self, name: str, last: int) -> None:
        """An id that was given once is not given again."""
        now = self._sequence(name)
        if now is None:
            self._connection.execute(
                "INSERT INTO main.sqlite_sequence(name, seq) VALUES (?, ?)", (name, last)
            )
        elif now < last:
            self._connection.execute(
                "UPDATE main.sqlite_sequence SET seq = ? WHERE name = ?", (last, name)
            )

    def _refill(self, changed: list[str]) -> None:
        """Full-text tables over another table's text: their index is made of it."""
        for name in changed:
            if not self._wanted.tables[name].source:
                continue
            self._run("SAVEPOINT refilled")
            try:
                self._run(rebuild_of(name))
            except apsw.Error:  # that table is not as it says
                self._run("ROLLBACK TO refilled")
            self._run("RELEASE refilled")

    # -- indexes, views, triggers ---------------------------------------------------------------

    def _drop_objects(self, *, everything: bool) -> None:
        """Drop what is not wanted; before tables change also what would be checked then."""
        for at, item in self._present.objects.items():
            kept = self._wanted.objects.get(at) == item
            if not kept or (everything and item.kind != "index"):
                # A view's triggers go with it.
                self._run(f"DROP {item.kind.upper()} IF EXISTS main.{quote(item.name)}")

    def _create_objects(self) -> None:
        """Create what is missing. ALTER TABLE may have rewritten indexes."""
        now = read_schema(self._connection, own=True)
        for at, item in now.objects.items():
            if self._wanted.objects.get(at) != item:
                self._run(f"DROP {item.kind.upper()} main.{quote(item.name)}")
        missing = [item for at, item in self._wanted.objects.items() if now.objects.get(at) != item]
        for kind in ("index", "view", "trigger"):
            for item in missing:
                if item.kind == kind:
                    self._create(item)

    def _create(self, item: SchemaObject) -> None:
        if item.kind != "index" or not self._is_unique(item):
            self._run(item.sql)
            return
        self._run("SAVEPOINT indexed")
        try:
            self._run(item.sql)
        except apsw.ConstraintError:
            self._run("ROLLBACK TO indexed")
            readmit_rows(self._connection, self._wanted.tables[item.table], item.sql, self._aside)
        self._run("RELEASE indexed")

    def _is_unique(self, item: SchemaObject) -> bool:
        uniques: tuple[Unique, ...] = self._wanted.tables[item.table].uniques
        return any(unique.index == item.name for unique in uniques)


def _steps(before: Table, table: Table, columns: dict[str, str], called: str) -> list[str]:
    """The ALTER statements that might do."""
    steps = []
    if called != table.name:
        steps.append(f"ALTER TABLE main.{quote(called)} RENAME TO {quote(table.name)}")
    alter = f"ALTER TABLE main.{quote(table.name)}"
    kept = set(columns.values())
    steps += [
        f"{alter} DROP COLUMN {quote(column.name)}"
        for column in before.declared
        if column.name not in kept
    ]
    # SQLite keeps quotes as they are given.
    written = {one.name: tokens(one.text)[0].text for one in declarations(table.sql)}
    steps += [
        f"{alter} RENAME COLUMN {quote(was)} TO {written.get(name, quote(name))}"
        for name, was in columns.items()
        if name != was
    ]
    steps += [
        f"{alter} ADD COLUMN {declaration.text}"
        for declaration in declarations(table.sql)
        if declaration.name not in columns
    ]
    return steps


def _leads_to(before: Table, steps: list[str], table: Table, called: str) -> bool:
    """Whether the statements make of one table's text the other's."""
    scratch = open_scratch()
    try:
        scratch.config(apsw.SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1)
        scratch.execute(before.sql)
        if called != before.name:
            away = f"ALTER TABLE main.{quote(before.name)} RENAME TO {quote(called)}"
            scratch.execute(away)
        for step in steps:
            scratch.execute(step)
        sql = scratch.execute(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?", (table.name,)
        ).get
    except apsw.Error:
        return False
    finally:
        scratch.close()
    return bool(sql == table.sql)
