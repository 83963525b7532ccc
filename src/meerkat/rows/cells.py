"""Reading and writing one table's rows by their locators, values as they are.

TEXT that is not UTF-8 makes plain reading raise; such a row is read again cell by cell. Nothing is
decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from .schema import Table
from .sqltext import quote
from .values import Locator, RawText, Scalar

__all__ = ["Cells", "is_raw"]

Values = tuple[Scalar, ...]


class Cells:
    """One table of one connection."""

    def __init__(self, connection: apsw.Connection, table: Table) -> None:
        self._connection, self.table = connection, table
        self.names = tuple(column.name for column in table.columns)
        where = " AND ".join(f"{quote(name)} IS ?" for name in table.locator_columns)
        if table.has_rowid:
            where = f"{quote(table.locator_columns[0])} = ?"
        self._from = f"FROM {quote(table.name)} WHERE {where}"
        self._what = ", ".join(map(quote, self.names)) or "1"
        self._select = f"SELECT {self._what} {self._from}"
        self._delete = f"DELETE {self._from}"
        # A hidden rowid is a column of its own in an INSERT.
        self._hidden = table.has_rowid and table.rowid_column is None
        places = [*table.locator_columns, *self.names] if self._hidden else list(self.names)
        self._insert_start = f"({', '.join(map(quote, places))}) VALUES ("
        self._width = len(places)

    def get(self, at: Locator) -> Values | None:
        """The row at a locator, or None."""
        key = _bound(at)
        select = f"SELECT {self._what} {self._raw(at)}" if is_raw(at) else self._select
        try:
            row: Any = self._connection.execute(select, key).fetchone()
        except UnicodeDecodeError:
            return self._get_carefully(self._raw(at) if is_raw(at) else self._from, key)
        return None if row is None else (row if self.names else ())

    def _raw(self, at: Locator) -> str:
        """As ``_from``, where the key holds TEXT that is not UTF-8."""
        key = at if isinstance(at, tuple) else (at,)
        pairs = zip(self.table.locator_columns, key, strict=True)
        where = " AND ".join(f"{quote(name)} IS {_place(value)}" for name, value in pairs)
        return f"FROM {quote(self.table.name)} WHERE {where}"

    def _get_carefully(self, source: str, key: Sequence[Any]) -> Values | None:
        found: list[Scalar] = []
        for name in self.names:
            column = quote(name)
            sql = f"SELECT typeof({column}), CAST({column} AS BLOB), {column} {source}"
            cursor = self._connection.execute(
                f"SELECT typeof({column}), CAST({column} AS BLOB) {source}", key
            )
            row: Any = cursor.fetchone()
            if row is None:
                return None
            if row[0] == "text":
                found.append(_text(row[1]))
            else:
                found.append(self._connection.execute(sql, key).fetchone()[2])  # type: ignore[index]
        return tuple(found)

    def find(self, columns: Sequence[str], values: Sequence[Scalar]) -> Locator | None:
        """Where a row stands that has just these values in these columns."""
        pairs = zip(columns, values, strict=True)
        where = " AND ".join(f"{quote(name)} IS {_place(value)}" for name, value in pairs)
        locator = ", ".join(map(quote, self.table.locator_columns))
        sql = f"SELECT {locator} FROM {quote(self.table.name)} WHERE {where} LIMIT 1"
        row: Any = self._connection.execute(sql, _bound(tuple(values))).fetchone()
        if row is None:
            return None
        return row[0] if self.table.has_rowid else tuple(row)

    def some(self, count: int) -> list[Locator]:
        """Where the newest rows stand, at most ``count``."""
        locator = ", ".join(map(quote, self.table.locator_columns))
        order = ", ".join(f"{quote(name)} DESC" for name in self.table.locator_columns)
        found: Any = self._connection.execute(
            f"SELECT {locator} FROM {quote(self.table.name)} ORDER BY {order} LIMIT ?", (count,)
        ).fetchall()
        return [row[0] if self.table.has_rowid else tuple(row) for row in found]

    def delete(self, locators: Iterable[Locator]) -> None:
        """Remove rows, as far as they are there."""
        self._connection.executemany(self._delete, self._plain_places(locators))

    def _plain_places(self, locators: Iterable[Locator]) -> Iterator[Sequence[Any]]:
        for at in locators:
            if is_raw(at):
                self._connection.execute(f"DELETE {self._raw(at)}", _bound(at))
            else:
                yield _bound(at)

    def write(self, rows: Iterable[tuple[Locator, Values]], *, replace: bool) -> None:
        """Insert rows. ``replace``: in place of whatever stands there or clashes with them.

        Raises:
            apsw.ConstraintError: if a row clashes and ``replace`` is not set.
        """
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        start = f"{verb} INTO {quote(self.table.name)}{self._insert_start}"
        plain = f"{start}{', '.join('?' * self._width)})"
        if not self._width:
            raise ValueError(f"{self.table.name}: no column to write")
        self._connection.executemany(plain, self._plain(start, rows))

    def _plain(self, start: str, rows: Iterable[tuple[Locator, Values]]) -> Iterator[Sequence[Any]]:
        for at, values in rows:
            given = (at, *values) if self._hidden else values
            if any(isinstance(value, RawText) for value in given):
                places = ", ".join(map(_place, given))  # type: ignore[arg-type]
                self._connection.execute(f"{start}{places})", _bound(given))  # type: ignore[arg-type]
            else:
                yield given


def is_raw(at: Locator) -> bool:
    """Whether a key holds TEXT that is not UTF-8."""
    return isinstance(at, tuple) and any(isinstance(value, RawText) for value in at)


def _place(value: Scalar) -> str:
    return "CAST(? AS TEXT)" if isinstance(value, RawText) else "?"


def _bound(values: Locator | Values) -> tuple[Any, ...]:
    if isinstance(values, int):
        return (values,)
    return tuple(one.data if isinstance(one, RawText) else one for one in values)


def _text(data: bytes) -> Scalar:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return RawText(data)
