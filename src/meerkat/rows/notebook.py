"""What a live database's state keeps beside rows: settings, captures, parts of transactions, todo.

Everything is in tables of the state database whose names begin with ``meerkat_``, and every call is
part of the caller's transaction. Nothing is decided here.
"""

from __future__ import annotations

import array
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw
import msgspec

from meerkat.core.rows import RowsEntry

from .values import Locator, Scalar, pack_values, unpack_values

__all__ = ["Notebook", "Todo", "Waiting", "many", "pack_locator", "unpack_locator"]

_TABLES = """
CREATE TABLE meerkat_meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE meerkat_have(author BLOB PRIMARY KEY, sequence INTEGER) WITHOUT ROWID;
CREATE TABLE meerkat_waiting(number INTEGER, part INTEGER, op INTEGER, batch BLOB,
    PRIMARY KEY(number, part)) WITHOUT ROWID;
CREATE TABLE meerkat_parts(author BLOB, sequence INTEGER, lamport INTEGER, wall_ms INTEGER,
    data BLOB, PRIMARY KEY(author, sequence));
CREATE TABLE meerkat_todo(name TEXT, locator, old BLOB, PRIMARY KEY(name, locator)) WITHOUT ROWID;
"""


class Todo(msgspec.Struct, frozen=True):
    """A row of the state that the file may not have yet.

    ``old``: its values (in the order of ``Table.columns`` then) before the step, None if there was
    no such row.
    """

    table: str
    locator: Locator
    old: tuple[Scalar, ...] | None


class Waiting(msgspec.Struct, frozen=True):
    """A capture that is not signed yet: its batches, and the number of each one's operation."""

    number: int
    batches: tuple[bytes, ...]
    ops: tuple[int, ...]


def pack_locator(locator: Locator | None) -> int | bytes | None:
    """A locator as one value of SQLite."""
    return pack_values(locator) if isinstance(locator, tuple) else locator


def unpack_locator(value: int | bytes | None) -> Locator | None:
    """The locator of ``pack_locator``."""
    return unpack_values(value) if isinstance(value, bytes) else value  # type: ignore[return-value]


def many(values: Sequence[Any]) -> Any:
    """Values, all integers or all bytes, for SQL's ``carray(?)``."""
    if values and isinstance(values[0], int):
        return apsw.carray(array.array("q", values))
    return apsw.carray(tuple(values))


class Notebook:
    """See the module. ``have``: of every author the last operation that is merged."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.have: dict[bytes, int] = dict(
            connection.execute("SELECT author, sequence FROM meerkat_have")
        )

    @staticmethod
    def create_tables(connection: apsw.Connection) -> None:
        """Make the empty tables."""
        connection.execute(_TABLES)

    # -- settings ------------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """A setting's value."""
        row = self.connection.execute(
            "SELECT value FROM meerkat_meta WHERE key=?", (key,)
        ).fetchone()
        return row[0] if row else None

    def set(self, key: str, value: bytes) -> None:
        """Keep a setting."""
        self.connection.execute("REPLACE INTO meerkat_meta VALUES(?,?)", (key, value))

    def remove(self, key: str) -> None:
        """Keep a setting no longer."""
        self.connection.execute("DELETE FROM meerkat_meta WHERE key=?", (key,))

    @property
    def author(self) -> bytes:
        """As whom we write."""
        return self.get("author") or b""

    @author.setter
    def author(self, author: bytes) -> None:
        self.set("author", author)

    @property
    def number(self) -> int:
        """The number of the last capture, 0 before the first."""
        return int.from_bytes(self.get("number") or b"", "big")

    @number.setter
    def number(self, number: int) -> None:
        self.set("number", number.to_bytes(8, "big"))

    def raise_have(self, author: bytes, sequence: int) -> None:
        """An author's operations are merged up to here."""
        if sequence > self.have.get(author, 0):
            self.have[author] = sequence
            self.connection.execute("REPLACE INTO meerkat_have VALUES(?,?)", (author, sequence))

    # -- captures that are not signed yet ------------------------------------------------------

    def add_waiting(self, number: int, batches: Sequence[bytes], ops: Sequence[int]) -> None:
        """Keep a capture until it is signed."""
        self.connection.executemany(
            "INSERT INTO meerkat_waiting VALUES(?,?,?,?)",
            [
                (number, part, op, batch)
                for part, (batch, op) in enumerate(zip(batches, ops, strict=True))
            ],
        )

    def waiting(self) -> list[Waiting]:
        """The captures that are not signed yet, in order."""
        rows = self.connection.execute(
            "SELECT number, batch, op FROM meerkat_waiting ORDER BY number, part"
        )
        return [
            Waiting(number, tuple(p[1] for p in parts), tuple(p[2] for p in parts))
            for number, parts in (
                (number, list(group)) for number, group in itertools.groupby(rows, lambda r: r[0])
            )
        ]

    def remove_waiting(self, number: int) -> None:
        """A capture was signed (or is not to be)."""
        self.connection.execute("DELETE FROM meerkat_waiting WHERE number=?", (number,))

    # -- parts of transactions whose last one has not come -------------------------------------

    def add_part(self, entry: RowsEntry) -> None:
        """Keep a part of a transaction; a part that is there already is left as it is."""
        self.connection.execute(
            "INSERT OR IGNORE INTO meerkat_parts VALUES(?,?,?,?,?)",
            (entry.author, entry.sequence, entry.lamport, entry.wall_ms, entry.data),
        )

    def take_parts(self, author: bytes) -> list[RowsEntry]:
        """An author's parts, in order; they are kept no longer."""
        rows: Any = self.connection.execute(
            "SELECT author, sequence, lamport, wall_ms, data FROM meerkat_parts"
            " WHERE author=? ORDER BY sequence",
            (author,),
        ).fetchall()
        if rows:
            self.connection.execute("DELETE FROM meerkat_parts WHERE author=?", (author,))
        return [
            RowsEntry(author, sequence, lamport, wall_ms, False, data)
            for author, sequence, lamport, wall_ms, data in rows
        ]

    # -- what the file may not have yet --------------------------------------------------------

    def add_todo(self, table: str, locator: Locator, old: Sequence[Scalar] | None) -> None:
        """A row of the state was changed; the first old values of a step count."""
        self.add_todos(table, ((locator, old),))

    def add_todos(
        self, table: str, rows: Iterable[tuple[Locator, Sequence[Scalar] | None]]
    ) -> None:
        """Many of ``add_todo``. ``table``: its name."""
        self.connection.executemany(
            "INSERT OR IGNORE INTO meerkat_todo VALUES(?,?,?)",
            (
                (table, pack_locator(locator), None if old is None else pack_values(old))
                for locator, old in rows
            ),
        )

    def todo(self) -> Iterator[Todo]:
        """All of it, by table and locator; do not write to it while you read."""
        for name, locator, old in self.connection.execute(
            "SELECT name, locator, old FROM meerkat_todo"
        ):
            yield Todo(
                name,
                unpack_locator(locator),  # type: ignore[arg-type]
                None if old is None else unpack_values(old),  # type: ignore[arg-type]
            )

    def rename_todo(self, old: str, new: str) -> None:
        """A table has another name."""
        self.connection.execute(
            "UPDATE OR REPLACE meerkat_todo SET name=? WHERE name=?", (new, old)
        )

    def has_todo(self) -> bool:
        """Whether there is any."""
        return bool(self.connection.execute("SELECT 1 FROM meerkat_todo LIMIT 1").fetchone())

    def clear_todo(self) -> None:
        """The file has all of it."""
        self.connection.execute("DELETE FROM meerkat_todo")
