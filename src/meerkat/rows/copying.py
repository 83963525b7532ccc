"""Carries rows from a table into the one that takes its place.

Rows keep their rowids. A column that is new gets its default; where that is not the same at every
moment, or there is none and NULL is forbidden, a fixed value, so that all members get the same (who
made the change says what its program wrote). Rows that the new table does not take are handed over.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from .cells import Cells
from .schema import Column, Table
from .sqltext import quote, tokens
from .values import Locator, Scalar

__all__ = ["Aside", "copy_rows", "filling", "readmit_rows"]

Aside = Callable[[Table, Locator, tuple[Scalar, ...]], None]
"""Told of a row that is not carried: of which table (as it was), where, and its values."""

_MOMENTS = {
    "CURRENT_TIMESTAMP": "'1970-01-01 00:00:00'",
    "CURRENT_DATE": "'1970-01-01'",
    "CURRENT_TIME": "'00:00:00'",
}


def copy_rows(
    connection: apsw.Connection,
    old: Table,
    new: Table,
    columns: dict[str, str],
    aside: Aside | None,
    *,
    was: Table | None = None,
) -> None:
    """Copy every row. ``columns``: the new table's, to the old one's names of them.

    ``was``: the old table as ``aside`` is to hear of it.

    Raises:
        apsw.Error: if a row is not taken and ``aside`` is not given.
    """
    pairs = _pairs(old, new, columns)
    if not pairs:
        return
    places = ", ".join(quote(place) for place, _ in pairs)
    sources = ", ".join(source for _, source in pairs)
    # Not what the table says of conflicts: REPLACE would lose rows.
    insert = f"INSERT OR ABORT INTO main.{quote(new.name)}({places})"
    select = f"{insert} SELECT {sources} FROM main.{quote(old.name)}"
    order = ", ".join(map(quote, old.locator_columns))
    if _all(connection, f"{select} ORDER BY {order}", aside is None) or aside is None:
        return
    where = " AND ".join(f"{quote(name)} IS ?" for name in old.locator_columns)
    cells = Cells(connection, old)
    for at in list(cells.places()):
        try:
            connection.execute(f"{select} WHERE {where}", at if isinstance(at, tuple) else (at,))
        except (apsw.ConstraintError, apsw.MismatchError):
            values = cells.get(at)
            assert values is not None
            aside(was or old, at, values)


def readmit_rows(
    connection: apsw.Connection, table: Table, create_index: str, aside: Aside | None
) -> None:
    """Create a unique index that the table's rows violate: those in its way are handed over.

    Raises:
        apsw.ConstraintError: if ``aside`` is not given.
    """
    if aside is None:
        connection.execute(create_index)
        return
    places = [*table.locator_columns] if table.has_rowid and not table.rowid_column else []
    places += [column.name for column in table.columns]
    names = ", ".join(map(quote, places))
    kept = ", ".join(f"c{number}" for number in range(len(places)))
    at = ", ".join(map(quote, table.locator_columns))
    name = f"main.{quote(table.name)}"
    connection.execute(f"CREATE TEMP TABLE meerkat_kept(n INTEGER PRIMARY KEY, {kept})")
    connection.execute(
        f"INSERT INTO temp.meerkat_kept({kept}) SELECT {names} FROM {name} ORDER BY {at}"
    )
    cells = Cells(connection, table)
    locators = list(cells.places())
    lost: list[tuple[Locator, tuple[Scalar, ...]]] = []
    connection.execute("SAVEPOINT emptied")
    connection.execute(f"DELETE FROM {name}")
    connection.execute(create_index)
    insert = f"INSERT OR ABORT INTO {name}({names}) SELECT {kept} FROM temp.meerkat_kept"
    refused: list[Locator] = []
    for number, locator in enumerate(locators, 1):
        try:
            connection.execute(f"{insert} WHERE n = ?", (number,))
        except apsw.ConstraintError:
            refused.append(locator)
    connection.execute("ROLLBACK TO emptied")
    connection.execute("RELEASE emptied")
    connection.execute("DROP TABLE temp.meerkat_kept")
    for locator in refused:
        values = cells.get(locator)
        assert values is not None
        lost.append((locator, values))
    cells.delete(refused)
    connection.execute(create_index)
    for locator, values in lost:
        aside(table, locator, values)


def _all(connection: apsw.Connection, sql: str, must: bool) -> bool:
    connection.execute("SAVEPOINT copied")
    try:
        connection.execute(sql)
    except (apsw.ConstraintError, apsw.MismatchError):
        if must:
            raise
        connection.execute("ROLLBACK TO copied")
        connection.execute("RELEASE copied")
        return False
    connection.execute("RELEASE copied")
    return True


def _pairs(old: Table, new: Table, columns: dict[str, str]) -> list[tuple[str, str]]:
    """Of the new table's columns, and its rowid: from what SQL they are filled."""
    there = {column.name for column in old.declared}
    rowid = quote(old.locator_columns[0]) if old.has_rowid else None
    pairs: list[tuple[str, str]] = []
    if new.has_rowid and new.rowid_column is None and rowid and new.rowid_name:
        pairs.append((new.rowid_name, rowid))
    for column in new.columns:
        source = columns.get(column.name)
        if source in there:
            assert source is not None
            pairs.append((column.name, quote(source)))
        elif column.name == new.rowid_column:
            if rowid:
                pairs.append((column.name, rowid))
        elif (given := filling(column)) is not None:
            pairs.append((column.name, given))
    if not pairs and new.columns:
        pairs.append((new.columns[0].name, "NULL"))
    return pairs


def filling(column: Column) -> str | None:
    """SQL for a new column's cells; None to leave it to its default, which is a constant."""
    default = column.default
    if default is None or default.upper() == "NULL":
        return _nothing(column.type) if column.not_null or column.primary_key else None
    if default.upper() in _MOMENTS:
        return _MOMENTS[default.upper()]
    if any(one.text == "(" or one.is_word(*_MOMENTS) for one in tokens(default)):
        # A function, perhaps of the moment or of chance.
        return _nothing(column.type) if column.not_null else "NULL"
    return None


def _nothing(kind: str) -> str:
    """A value that a column's affinity leaves as it is (https://sqlite.org/datatype3.html, 3.1)."""
    kind = kind.upper()
    if "INT" in kind:
        return "0"
    if any(part in kind for part in ("CHAR", "CLOB", "TEXT")):
        return "''"
    if "BLOB" in kind or not kind:
        return "x''"
    return "0"
