"""The visible rows of one table in the state database: read, written, and clashes found.

What changes here is noted for the file (``Notebook.add_todo``). Which rows are to be visible is
decided in ``constraints``.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

import apsw

from .cells import Cells, bound, place
from .copying import filling
from .ledger import Ledger
from .schema import Table
from .sqltext import quote
from .values import Locator, Ref, Scalar

__all__ = ["Refused", "Visible"]

Values = tuple[Scalar, ...]
CHUNK = 500  # rows read by one statement (guess)

_UNIQUE = frozenset(
    {
        apsw.SQLITE_CONSTRAINT_UNIQUE,
        apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
        apsw.SQLITE_CONSTRAINT_ROWID,
    }
)


class Refused(Exception):
    """SQLite does not take a row. ``clash``: because of other rows, not of itself."""

    def __init__(self, reason: str, *, clash: bool) -> None:
        super().__init__(reason)
        self.reason, self.clash = reason, clash


class Visible:
    """One table's rows. ``columns``: (column id, name) in the order of ``Table.columns``."""

    def __init__(
        self, ledger: Ledger, table_id: str, table: Table, columns: Sequence[tuple[str, str]]
    ) -> None:
        self.ledger, self.id, self.table = ledger, table_id, table
        self._connection = ledger.connection
        self.column_ids = tuple(column for column, _ in columns)
        self.names = dict(columns)
        ids = {name: column for column, name in columns}
        self.rowid_column = ids.get(table.rowid_column or "")
        self.key = tuple(ids.get(name, name) for name in table.key)
        self._fillings = {
            column.name: text for column in table.columns if (text := filling(column)) is not None
        }
        self._types = {ids[column.name]: column.type for column in table.columns}
        self.where = " AND ".join(f"{quote(name)}=?" for name in table.locator_columns)
        self.cells = Cells(self._connection, table)
        self.quoted = quote(table.name)
        self.hidden = table.rowid_name if table.has_rowid and not table.rowid_column else ""

    # -- reading ----------------------------------------------------------------------------

    def get(self, at: Locator) -> Values | None:
        """The values that stand there, in the order of ``column_ids``."""
        if isinstance(at, tuple) == self.table.has_rowid:
            return None
        return self.cells.get(at)

    def get_many(self, places: Sequence[Locator]) -> dict[Locator, Values]:
        """The values that stand at many places."""
        found: dict[Locator, Values] = {}
        if not self.table.has_rowid or self.table.module or not self.column_ids:
            for at in places:
                values = self.get(at)
                if values is not None:
                    found[at] = values
            return found
        names = list(self.names.values())
        for start in range(0, len(places), CHUNK):
            part = places[start : start + CHUNK]
            try:
                rows = self.cells.read_many(part, names)
                found.update((row[0], row[1:]) for row in rows)
            except UnicodeDecodeError:
                found.update((at, row) for at in part if (row := self.get(at)) is not None)
        return found

    def locators(self) -> list[Locator]:
        """Where all rows stand."""
        return self.locators_where("1")

    def locators_where(self, condition: str, given: Sequence[Any] = ()) -> list[Locator]:
        """Where the rows stand of which something holds; the table is called ``c`` there."""
        return self.cells.where(condition, given)

    def long_keys(self, size: int) -> Iterator[tuple[Locator, Values]]:
        """The rows whose key may take more than ``size`` bytes when it is packed."""
        long = "+".join(f"coalesce(length(c.{quote(n)}),0)*4" for n in self.table.key)
        room = size - 9 * len(self.table.key)  # a packed number takes no more, nor a text's head
        for at in self.locators_where(f"{long}>{room}"):
            values = self.get(at)
            if values is not None:
                yield at, values

    def highest(self) -> int:
        """The highest rowid, or 0."""
        name = quote(self.table.locator_columns[0])
        found: Any = self._connection.execute(f"SELECT max({name}) FROM {self.quoted}").get
        return found if isinstance(found, int) else 0

    # -- writing ----------------------------------------------------------------------------

    def missing(self, given: Container[str]) -> dict[str, str]:
        """By name, SQL for the columns that are not given and not left to their defaults."""
        return {name: text for name, text in self._fillings.items() if name not in given}

    def is_stored_as_is(self, column: str, value: object) -> bool:
        """Whether a column's affinity surely leaves a value alone."""
        kind = self._types.get(column, "").upper()
        if value is None or isinstance(value, bytes) or not kind or "BLOB" in kind:
            return not isinstance(value, Ref)
        if "INT" in kind:
            return type(value) is int
        return isinstance(value, str) and any(part in kind for part in ("CHAR", "CLOB", "TEXT"))

    def insert(self, values: dict[str, Scalar], at: Locator | None) -> Locator:
        """Put a row where it is to stand (None: anywhere); returns where it does.

        Raises:
            Refused: if a constraint forbids it.
        """
        sql, given = self._insert(values, at, "INSERT OR ABORT")
        connection = self._connection
        try:
            connection.execute(sql, given)
        except apsw.ConstraintError as error:
            clash = getattr(error, "extendedresult", 0) in _UNIQUE
            raise Refused(str(error), clash=clash) from None
        except (apsw.MismatchError, apsw.SQLError, apsw.TooBigError) as error:
            raise Refused(str(error), clash=False) from None
        if self.table.has_rowid:
            stands: Locator = connection.last_insert_rowid()
        else:
            stands = self._stored_key(values)
        self.ledger.add_todo(self.table.name, stands, None)
        return stands

    def _insert(
        self, values: dict[str, Scalar], at: Locator | None, verb: str
    ) -> tuple[str, tuple[Any, ...]]:
        given: dict[str, Scalar] = {
            self.names[column]: values[column] for column in self.column_ids if column in values
        }
        if isinstance(at, int) and self.table.has_rowid:
            given[self.table.locator_columns[0]] = at
        missing = self.missing(given)
        start = f"{verb} INTO {self.quoted}"
        if not given and not missing:
            return f"{start} DEFAULT VALUES", ()
        places = [place(value) for value in given.values()] + list(missing.values())
        names = ",".join(map(quote, [*given, *missing]))
        return f"{start}({names}) VALUES({','.join(places)})", bound(given.values())

    def _stored_key(self, values: dict[str, Scalar]) -> Locator:
        """How a key is stored, that a column's affinity may have changed."""
        key = tuple(values[column] for column in self.key)
        where = " AND ".join(
            f"c.{quote(name)} = {place(value)}"
            for name, value in zip(self.table.key, key, strict=True)
        )
        return self.locators_where(where, bound(key))[0]

    def remove(self, at: Locator) -> Values | None:
        """Take a row away; its values, None if there was none."""
        values = self.get(at)
        if values is not None:
            self.ledger.add_todo(self.table.name, at, values)
            self.ledger.disturb(self.id, (at,))
            self.cells.delete((at,))
        return values

    # -- clashes ----------------------------------------------------------------------------

    def clashes(self, values: dict[str, Scalar], at: Locator | None) -> list[Locator]:
        """The rows that must go if this one comes."""
        gone: list[Locator] = []
        key = [column.name for column in self.table.declared]
        where = [key.index(name) for name in self.table.key] if not self.table.has_rowid else []

        def note(change: apsw.PreUpdate) -> None:
            if change.op == "DELETE" and change.table_name == self.table.name:
                if self.table.has_rowid:
                    gone.append(change.rowid)
                else:
                    old: Any = change.old
                    gone.append(tuple(old[place] for place in where))

        sql, given = self._insert(values, at, "INSERT OR REPLACE")
        connection = self._connection
        connection.execute("SAVEPOINT meerkat_clash")
        connection.preupdate_hook(note, id="meerkat")
        try:
            connection.execute(sql, given)
        except (apsw.ConstraintError, apsw.MismatchError, apsw.SQLError) as error:
            raise Refused(str(error), clash=False) from None
        except UnicodeDecodeError:  # of a key that is not UTF-8: it stays
            return []
        finally:
            connection.preupdate_hook(None, id="meerkat")
            connection.execute("ROLLBACK TO meerkat_clash; RELEASE meerkat_clash")
        return gone
