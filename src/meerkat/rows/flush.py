"""The file follows the state: what was merged is written into the file's transaction.

Rows first leave and then come, so that no two of them ever stand in each other's way; the state
satisfies the constraints, so the file does at the end. Neither triggers nor cascades run. Which
rows is in the notebook's todo; when the transaction ends is decided in ``database``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import apsw

from .cells import Cells
from .notebook import Notebook, many
from .schema import Schema, Table
from .sqltext import quote, rebuild_of
from .values import Locator, Scalar, same

__all__ = ["WITH_SOURCE", "Flush", "Flushed", "indexes_of"]

WITH_SOURCE = ("fts4", "fts5")  # modules whose text may be in another table
CHUNK_ROWS = 1_000  # at once (guess)

Values = tuple[Scalar, ...]
Flushed = Callable[[Table, Locator, Values | None, Values | None], None]
"""Told of a row that was written: its table, where it stands, its old and its new values."""


class Flush:
    """Writes what is to do. All rows are part of the file's open transaction."""

    def __init__(self, state: apsw.Connection, file: apsw.Connection, schema: Schema) -> None:
        """``schema``: of both."""
        self._state, self._file, self._schema = state, file, schema

    def write(self, notebook: Notebook, told: Flushed | None) -> int:
        """Give the file what is to do. Returns how many rows that were."""
        count = 0
        for table, locators in _by_table(notebook, self._schema):
            count += len(locators)
            self._follow(table, locators, told)
        return count

    def _follow(self, table: Table, locators: list[Locator], told: Flushed | None) -> None:
        ours, theirs = Cells(self._state, table), Cells(self._file, table)
        indexes = indexes_of(self._schema, table)
        if told is not None:
            for at in locators:
                told(table, at, theirs.get(at), ours.get(at))
        for index in indexes:
            self._index(index, table, locators, theirs, gone=True)
        if table.has_rowid and table.module is None:
            self._copy(table, locators, ours, theirs)
        else:
            theirs.delete(locators)
            theirs.write(_standing(ours, locators), replace=False)
        for index in indexes:
            self._index(index, table, locators, theirs, gone=False)

    def _copy(self, table: Table, locators: list[Locator], ours: Cells, theirs: Cells) -> None:
        """The same for an ordinary table, many rows in one statement."""
        rowid = quote(table.locator_columns[0])
        names = list(map(quote, ours.names))
        if table.rowid_column is None:
            names.insert(0, rowid)  # a hidden one is a column of its own
        name, marks = quote(table.name), ", ".join("?" * len(names))
        leaving = f"DELETE FROM main.{name} WHERE {rowid} IN (SELECT value FROM carray(?))"
        standing = (
            f"SELECT {', '.join(f't.{one}' for one in names)} FROM carray(?) AS wanted"
            f" CROSS JOIN main.{name} AS t ON t.{rowid} = wanted.value"
        )
        coming = f"INSERT INTO main.{name}({', '.join(names)}) VALUES ({marks})"
        for start in range(0, len(locators), CHUNK_ROWS):
            self._file.execute(leaving, (many(locators[start : start + CHUNK_ROWS]),))
        for start in range(0, len(locators), CHUNK_ROWS):
            chunk = locators[start : start + CHUNK_ROWS]
            try:
                rows = self._state.execute(standing, (many(chunk),))
                self._file.executemany(coming, rows)
            except UnicodeDecodeError:  # a text that is not UTF-8 somewhere: each by itself
                self._file.execute(leaving, (many(chunk),))
                theirs.write(_standing(ours, chunk), replace=False)

    def _index(
        self, index: Table, table: Table, locators: list[Locator], rows: Cells, *, gone: bool
    ) -> None:
        """Take rows out of a full-text index that has no text of its own, or put them in."""
        names = [column.name for column in index.columns]
        here = [column.name for column in table.columns]
        name = quote(index.name)
        if any(column not in here for column in names):  # generated ones
            if not gone:
                self._file.execute(rebuild_of(index.name))
            return
        places = [here.index(column) for column in names]
        rowid = "rowid" if index.module == "fts5" else "docid"
        listed = ", ".join([rowid, *map(quote, names)])
        marks = ", ".join("?" * (len(names) + 1))
        statement = f"INSERT INTO {name}({listed}) VALUES ({marks})"
        if gone and index.module == "fts5":
            statement = f"INSERT INTO {name}({name}, {listed}) VALUES ('delete', {marks})"
        elif gone:
            statement = f"DELETE FROM {name} WHERE docid = ?"
        for at in locators:
            values = rows.get(at)
            if values is not None and isinstance(at, int):
                given = [at, *(values[place] for place in places)]
                self._file.execute(statement, given[:1] if gone and rowid == "docid" else given)


def indexes_of(schema: Schema, table: Table) -> list[Table]:
    """The full-text tables over a table that the user's triggers keep up to date.

    An index that no trigger keeps may be behind, and then taking rows out of it would damage it.
    """
    found = [
        one
        for one in schema.tables.values()
        if one.module in WITH_SOURCE and one.source and one.source.lower() == table.name.lower()
    ]
    triggers = [
        one.sql for (kind, _), one in schema.objects.items() if kind == "trigger" and one.sql
    ]
    return [
        one
        for one in found
        if any(re.search(rf"\b{re.escape(one.name)}\b", sql) for sql in triggers)
    ]


def _standing(cells: Cells, locators: Iterable[Locator]) -> Iterator[tuple[Locator, Values]]:
    table = cells.table
    key = [cells.names.index(name) for name in table.key] if table.without_rowid else []
    for at in locators:
        values = cells.get(at)
        if values is None:
            continue
        # A key that a collation takes for equal stands elsewhere, and has a turn of its own.
        if key and isinstance(at, tuple) and not _is_key(at, [values[place] for place in key]):
            continue
        yield at, values


def _is_key(at: tuple[Scalar, ...], key: list[Scalar]) -> bool:
    return all(same(one, other) for one, other in zip(at, key, strict=True))


def _by_table(notebook: Notebook, schema: Schema) -> Iterator[tuple[Table, list[Locator]]]:
    """All that is to do in tables that there are, by table in the order of their names."""
    found: dict[str, list[Locator]] = {}
    for item in notebook.todo():
        found.setdefault(item.table, []).append(item.locator)
    for name in sorted(found):
        table = schema.tables.get(name)
        if table is not None and table.replicated:
            yield table, found[name]
