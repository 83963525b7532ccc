"""A table as a page shows and edits it: all SQL is made here, of names that the database has.

Decides which rows are one page, what names a row, and how much of a large cell is sent. Rows are in
the order of what names them (rowid or primary key), so that a page is found by an index however
long the table is. Views, and tables whose rowid has no free name, are shown by offset and not
edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from meerkat.errors import MeerkatError
from meerkat.rows.values import Scalar

from . import schema
from .cells import from_json, to_json

__all__ = ["Answer", "Run", "TableDesk"]

CELL_CHARS = 500  # of a text in a page of rows; the whole is asked for when it is edited. guess
WHOLE_CHARS = 1_000_000  # of a text that can be edited in a cell; guess
COUNTED = 100_000  # rows at most, which takes about 2 ms; guess
SHOWN_COLUMNS = 200  # of a wider table only the first; guess
ROWID_NAMES = ("rowid", "_rowid_", "oid")
GONE = "This row is not there any more. Somebody deleted it, or changed its key."


class Answer(Protocol):
    """What a statement gave."""

    @property
    def columns(self) -> Sequence[str]:
        """Their names."""

    @property
    def rows(self) -> Sequence[Sequence[Scalar]]:
        """In order."""

    @property
    def changed(self) -> int:
        """Rows that were inserted, updated or deleted."""


class Run(Protocol):
    """Runs SQL on one database."""

    async def __call__(
        self, sql: str, params: tuple[Scalar, ...] = (), *, write: bool = False
    ) -> Answer:
        """In one transaction.

        Raises:
            MeerkatError: what SQLite says.
        """


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    not_null: bool
    default: str | None
    key: int  # place in the primary key, from 1; or 0
    generated: bool

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "not_null": self.not_null,
            "default": self.default,
            "key": self.key,
            "generated": self.generated,
        }


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    kind: str  # "table", "virtual" or "view"
    columns: tuple[_Column, ...]
    key: tuple[str, ...]  # SQL for what names a row; empty: nothing does

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "editable": bool(self.key),
            "columns": [one.facts() for one in self.columns[:SHOWN_COLUMNS]],
            "hidden_columns": max(0, len(self.columns) - SHOWN_COLUMNS),
        }

    def column(self, name: str) -> _Column:
        for one in self.columns:
            if one.name == name:
                if one.generated:
                    raise MeerkatError(f"{name} is computed from other columns; change those.")
                return one
        raise MeerkatError(f"{self.name} has no column {name!r} any more. Look again.")

    @property
    def where(self) -> str:
        """That picks one row."""
        return " AND ".join(f"{one} = ?" for one in self.key)


class TableDesk:
    """Answers what a page asks of one database."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def tables(self) -> list[dict[str, Any]]:
        """Tables and views by name, tables first."""
        answer = await self._run(_TABLES)
        return [{"name": str(name), "kind": str(kind)} for name, kind, _ in answer.rows]

    async def page(self, request: schema.DbRows) -> dict[str, Any]:
        """Some rows, in order, with the table's columns and how many rows it has.

        ``more``: there are further ones in the direction that was asked for. ``count`` is None if
        there are too many to count each time that a row changes.
        """
        table = await self._table(request.table)
        if table.key:
            rows, more = await self._by_key(table, request)
        else:
            rows, more = await self._by_offset(table, request)
        few = f"SELECT 1 FROM {_quoted(table.name)} LIMIT {COUNTED + 1}"
        count = (await self._run(f"SELECT count(*) FROM ({few})")).rows[0][0]
        shown = [
            {
                "key": [to_json(one) for one in row[: len(table.key)]],
                "cells": _cells(row[len(table.key) :]),
            }
            for row in rows
        ]
        return {
            "table": table.facts(),
            "rows": shown,
            "more": more,
            "count": None if count == COUNTED + 1 else count,
        }

    async def cell(self, name: str, key: Sequence[Any], column: str) -> Any:
        """The whole of a cell.

        Raises:
            MeerkatError: if it is too large for that.
        """
        table = await self._table(name)
        one = _quoted(table.column(column).name)
        answer = await self._run(
            f"SELECT length(CAST({one} AS BLOB)), substr({one}, 1, {WHOLE_CHARS}), typeof({one}) "
            f"FROM {_quoted(table.name)} WHERE {table.where}",
            self._key(table, key),
        )
        if not answer.rows:
            raise MeerkatError(GONE)
        size, text, kind = answer.rows[0]
        if isinstance(size, int) and size > WHOLE_CHARS:
            raise MeerkatError("This cell is too large to be edited here; use `meerkat db exec`.")
        if kind == "text":
            return to_json(text)
        exact = await self._run(
            f"SELECT {one} FROM {_quoted(table.name)} WHERE {table.where}", self._key(table, key)
        )
        if not exact.rows:
            raise MeerkatError(GONE)
        return to_json(exact.rows[0][0])

    async def set_cell(self, name: str, key: Sequence[Any], column: str, value: Any) -> None:
        """Write one cell.

        Raises:
            MeerkatError: if the row is gone, or a constraint forbids it.
        """
        table = await self._table(name)
        one = table.column(column)
        answer = await self._run(
            f"UPDATE {_quoted(table.name)} SET {_quoted(one.name)} = ? WHERE {table.where}",
            (from_json(value), *self._key(table, key)),
            write=True,
        )
        if not answer.changed:
            raise MeerkatError(GONE)

    async def insert(self, name: str, values: dict[str, Any]) -> list[Any] | None:
        """Add a row; its key, if SQLite tells it.

        Raises:
            MeerkatError: if a constraint forbids it.
        """
        table = await self._table(name)
        self._require_key(table)
        columns = [_quoted(table.column(one).name) for one in values]
        what = "DEFAULT VALUES"
        if columns:
            what = f"({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        returning = "" if table.kind == "virtual" else f" RETURNING {', '.join(table.key)}"
        answer = await self._run(
            f"INSERT INTO {_quoted(table.name)} {what}{returning}",
            tuple(from_json(one) for one in values.values()),
            write=True,
        )
        return [to_json(one) for one in answer.rows[0]] if answer.rows else None

    async def delete(self, name: str, key: Sequence[Any]) -> None:
        """Remove a row.

        Raises:
            MeerkatError: if it is gone already, or a constraint forbids it.
        """
        table = await self._table(name)
        answer = await self._run(
            f"DELETE FROM {_quoted(table.name)} WHERE {table.where}",
            self._key(table, key),
            write=True,
        )
        if not answer.changed:
            raise MeerkatError(GONE)

    async def _by_key(
        self, table: _Table, request: schema.DbRows
    ) -> tuple[list[Sequence[Scalar]], bool]:
        bounds = (("<", request.before), (">=", request.at), (">", request.after))
        compare, bound = next((one for one in bounds if one[1] is not None), ("", None))
        if request.end:
            bound = None
        backwards = request.end or compare == "<"
        key = ", ".join(table.key)
        where = ""
        params: tuple[Scalar, ...] = ()
        if bound is not None:
            where = f" WHERE ({key}) {compare} ({', '.join('?' * len(table.key))})"
            params = self._key(table, bound)
        order = ", ".join(f"{one} DESC" if backwards else one for one in table.key)
        answer = await self._run(
            f"SELECT {key}, {_shown(table)} FROM {_quoted(table.name)}{where} "
            f"ORDER BY {order} LIMIT {request.limit + 1}",
            params,
        )
        rows = list(answer.rows[: request.limit])
        return rows[::-1] if backwards else rows, len(answer.rows) > request.limit

    async def _by_offset(
        self, table: _Table, request: schema.DbRows
    ) -> tuple[list[Sequence[Scalar]], bool]:
        answer = await self._run(
            f"SELECT {_shown(table)} FROM {_quoted(table.name)} "
            f"LIMIT {request.limit + 1} OFFSET {request.offset}"
        )
        return list(answer.rows[: request.limit]), len(answer.rows) > request.limit

    async def _table(self, name: str) -> _Table:
        """What the database says of a table now.

        Raises:
            MeerkatError: if there is none of that name.
        """
        found = [row for row in (await self._run(_TABLES)).rows if row[0] == name]
        if not found:
            raise MeerkatError(f"There is no table {name!r} any more. Look again.")
        answer = await self._run(_COLUMNS, (name,))
        columns = tuple(
            _Column(
                str(one),
                str(kind),
                bool(not_null),
                None if default is None else str(default),
                int(str(place)),
                hidden in _GENERATED,
            )
            for one, kind, not_null, default, place, hidden in answer.rows
            if hidden != _HIDDEN
        )
        _, kind, without_rowid = found[0]
        return _Table(name, str(kind), columns, _locator(str(kind), columns, bool(without_rowid)))

    @staticmethod
    def _require_key(table: _Table) -> None:
        if not table.key:
            raise MeerkatError(f"{table.name} is a view; change the tables that it shows.")

    def _key(self, table: _Table, key: Sequence[Any]) -> tuple[Scalar, ...]:
        self._require_key(table)
        if len(key) != len(table.key):
            raise MeerkatError("The table has another key now. Look again.")
        return tuple(from_json(one) for one in key)


_TABLES = (
    "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' "
    "AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "ORDER BY type = 'view', name COLLATE NOCASE"
)
_COLUMNS = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
_HIDDEN = 1  # a virtual table's column for its own use
_GENERATED = (2, 3)


def _locator(kind: str, columns: Sequence[_Column], without_rowid: bool) -> tuple[str, ...]:
    """SQL for what names a row."""
    if kind == "view":
        return ()
    if without_rowid:
        keyed = sorted((one for one in columns if one.key), key=lambda one: one.key)
        return tuple(_quoted(one.name) for one in keyed)
    taken = {one.name.lower() for one in columns}
    return next(((name,) for name in ROWID_NAMES if name not in taken), ())


def _shown(table: _Table) -> str:
    """Of each column its type, and as much of it as a page needs."""
    parts = (
        f"typeof({one}), CASE typeof({one}) WHEN 'blob' THEN length({one}) "
        f"WHEN 'text' THEN substr({one}, 1, {CELL_CHARS + 1}) ELSE {one} END"
        for one in (_quoted(column.name) for column in table.columns[:SHOWN_COLUMNS])
    )
    return ", ".join(parts)


def _cells(pairs: Sequence[Scalar]) -> list[Any]:
    """Cells as JSON: {"bytes": n} for a blob, {"start": "…"} for a text that goes on."""
    shown: list[Any] = []
    for kind, value in zip(pairs[::2], pairs[1::2], strict=True):
        if kind == "blob":
            shown.append({"bytes": value})
        elif isinstance(value, str) and len(value) > CELL_CHARS:
            shown.append({"start": value[:CELL_CHARS]})
        else:
            shown.append(to_json(value))
    return shown


def _quoted(name: str) -> str:
    """A name inside SQL. It comes from the database itself."""
    return '"' + name.replace('"', '""') + '"'
