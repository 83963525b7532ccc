"""Reading and writing one table's rows by their locators, values as they are.

TEXT that is not UTF-8 makes plain reading raise; such a row is read again cell by cell. Nothing is
decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw

from .notebook import many
from .schema import Table
from .sqltext import quote
from .values import Locator, RawText, Scalar, Value

__all__ = ["Cells", "bound", "is_raw", "place"]

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
        key = bound(at)
        select = f"SELECT {self._what} {self._raw(at)}" if is_raw(at) else self._select
        try:
            row: Any = self._connection.execute(select, key).fetchone()
        except UnicodeDecodeError:
            return self._get_carefully(self._raw(at) if is_raw(at) else self._from, key)
        return None if row is None else (row if self.names else ())

    def read_many(self, places: Sequence[Locator], names: Sequence[str]) -> Iterator[Any]:
        """Rowid and these columns of the rows that stand at many rowids.

        Raises:
            UnicodeDecodeError: if one of them is TEXT that is not UTF-8.
        """
        rowid = quote(self.table.locator_columns[0])
        listed = ",".join(f"c.{quote(name)}" for name in names)
        return self._connection.execute(
            f"SELECT c.{rowid},{listed} FROM carray(?) AS w"
            f" CROSS JOIN main.{quote(self.table.name)} AS c ON c.{rowid}=w.value",
            (many(places),),
        )

    def _raw(self, at: Locator) -> str:
        """As ``_from``, where the key holds TEXT that is not UTF-8."""
        key = at if isinstance(at, tuple) else (at,)
        pairs = zip(self.table.locator_columns, key, strict=True)
        where = " AND ".join(f"{quote(name)} IS {place(value)}" for name, value in pairs)
        return f"FROM {quote(self.table.name)} WHERE {where}"

    def _get_carefully(self, source: str, key: Sequence[Any]) -> Values | None:
        listed = ", ".join(_careful(quote(name)) for name in self.names)
        row: Any = self._connection.execute(f"SELECT {listed} {source}", key).fetchone()
        return None if row is None else _scalars(row)

    def find(self, columns: Sequence[str], values: Sequence[Scalar]) -> Locator | None:
        """Where a row stands that has just these values in these columns."""
        pairs = zip(columns, values, strict=True)
        where = " AND ".join(f"{quote(name)} IS {place(value)}" for name, value in pairs)
        locator = ", ".join(map(quote, self.table.locator_columns))
        sql = f"SELECT {locator} FROM {quote(self.table.name)} WHERE {where} LIMIT 1"
        row: Any = self._connection.execute(sql, bound(values)).fetchone()
        if row is None:
            return None
        return row[0] if self.table.has_rowid else tuple(row)

    def some(self, count: int) -> list[Locator]:
        """Where the newest rows stand, at most ``count``."""
        order = ", ".join(f"{quote(name)} DESC" for name in self.table.locator_columns)
        return list(self._places(f"ORDER BY {order} LIMIT ?", (count,)))

    def places(self) -> Iterator[Locator]:
        """Where all rows stand, in order."""
        return self._places(f"ORDER BY {', '.join(map(quote, self.table.locator_columns))}")

    def where(self, condition: str, given: Sequence[Any] = ()) -> list[Locator]:
        """Where the rows stand of which something holds; the table is called ``c`` there."""
        return list(self._places(f"WHERE {condition}", given))

    def _places(self, rest: str, given: Sequence[Any] = ()) -> Iterator[Locator]:
        names = [f"c.{quote(name)}" for name in self.table.locator_columns]
        sql = f"FROM main.{quote(self.table.name)} AS c {rest}"
        if self.table.has_rowid:
            for (rowid,) in self._connection.execute(f"SELECT {names[0]} {sql}", given):
                yield rowid
            return
        listed = ", ".join(map(_careful, names))
        for row in self._connection.execute(f"SELECT {listed} {sql}", given):
            yield _scalars(row)

    def delete(self, locators: Iterable[Locator]) -> None:
        """Remove rows, as far as they are there."""
        self._connection.executemany(self._delete, self._plain_places(locators))

    def _plain_places(self, locators: Iterable[Locator]) -> Iterator[Sequence[Any]]:
        for at in locators:
            if is_raw(at):
                self._connection.execute(f"DELETE {self._raw(at)}", bound(at))
            else:
                yield bound(at)

    def update(self, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write cells of rows in place of whatever clashes: their values, then the rowid."""
        sets = ",".join(f"{quote(name)}=?" for name in names)
        rowid = quote(self.table.locator_columns[0])
        self._connection.executemany(
            f"UPDATE OR REPLACE {quote(self.table.name)} SET {sets} WHERE {rowid}=?", rows
        )

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
                places = ", ".join(map(place, given))
                self._connection.execute(f"{start}{places})", bound(given))
            else:
                yield given


def is_raw(at: Locator) -> bool:
    """Whether a key holds TEXT that is not UTF-8."""
    return isinstance(at, tuple) and any(isinstance(value, RawText) for value in at)


def place(value: Value | Locator) -> str:
    """Where a value goes in a statement."""
    return "CAST(? AS TEXT)" if isinstance(value, RawText) else "?"


def bound(values: Locator | Iterable[Any] | None) -> tuple[Any, ...]:
    """What is bound there. A rowid is bound as it is, and so is the lack of a locator."""
    if values is None or isinstance(values, int):
        return (values,)
    return tuple(value.data if isinstance(value, RawText) else value for value in values)


def _careful(expression: str) -> str:
    """Two columns for a value: its type and itself, text as bytes."""
    as_bytes = f"CASE typeof({expression}) WHEN 'text' THEN CAST({expression} AS BLOB)"
    return f"typeof({expression}), {as_bytes} ELSE {expression} END"


def _scalars(row: Sequence[Any]) -> Values:
    """The values of columns that were read carefully."""
    return tuple(_scalar(*row[at : at + 2]) for at in range(0, len(row), 2))


def _scalar(kind: str, value: Any) -> Scalar:
    if kind != "text":
        return value  # type: ignore[no-any-return]
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return RawText(bytes(value))
