"""The operations and tables that a ledger speaks of, by small numbers.

Operations are numbered as they come; 0 is the base. Tables and lists of columns are numbered, so
that records are short. What is known of tables as a whole is kept here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from .notebook import Notebook
from .values import pack_values, unpack_values

__all__ = ["BASE", "PENDING", "Op", "Operations", "Stamp"]

PENDING = 2**62  # the Lamport time of an operation that is not signed yet: beats every other
CACHED_OPS = 65_536  # operations in memory (guess: some 20 MB)

Stamp = tuple[int, bytes, int]
"""(Lamport, author, sequence): what decides between two writes of a cell."""

_TABLES = """
CREATE TABLE meerkat_ops(number INTEGER PRIMARY KEY, author BLOB, sequence INTEGER,
    lamport INTEGER, wall_ms INTEGER, seen BLOB);
CREATE TABLE meerkat_tables(t INTEGER PRIMARY KEY, id TEXT UNIQUE, high INTEGER, deaths BLOB);
CREATE TABLE meerkat_shapes(shape INTEGER PRIMARY KEY, columns BLOB UNIQUE);
"""


class Op(msgspec.Struct, frozen=True):
    """An operation. ``seen``: kept only if it deletes something (``Batch.seen``)."""

    number: int
    author: bytes
    sequence: int
    lamport: int
    wall_ms: int
    seen: dict[bytes, int]

    @property
    def stamp(self) -> Stamp:
        """What decides between two writes."""
        return (self.lamport, self.author, self.sequence)


BASE = Op(0, b"", 0, 0, 0, {})


_encoder = msgspec.msgpack.Encoder()
_vectors = msgspec.msgpack.Decoder(dict[bytes, int])
_numbers = msgspec.msgpack.Decoder(tuple[int, ...])


class Operations(Notebook):
    """See the module."""

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection)
        self.reload()

    @staticmethod
    def create_tables(connection: apsw.Connection) -> None:
        """Make the empty tables."""
        Notebook.create_tables(connection)
        connection.execute(_TABLES)

    def reload(self) -> None:
        """Forget what is in memory and read it again."""
        run = self.connection.execute
        self.have = dict(run("SELECT author, sequence FROM meerkat_have"))
        self._ops: dict[int, Op] = {0: BASE}
        self._stamps: dict[int, Stamp] = {0: BASE.stamp}
        self._tables: dict[str, int] = dict(run("SELECT id, t FROM meerkat_tables"))
        self._shapes: dict[tuple[str, ...], int] = {}
        self._columns: dict[int, frozenset[str]] = {}
        for shape, columns in run("SELECT shape, columns FROM meerkat_shapes"):
            names: Any = unpack_values(columns)
            self._shapes[names], self._columns[shape] = shape, frozenset(names)

    # -- operations ----------------------------------------------------------------------------

    def add_op(
        self, author: bytes, sequence: int, lamport: int, wall_ms: int, seen: dict[bytes, int]
    ) -> int:
        """Number an operation. ``seen``: empty if it deletes nothing."""
        packed = _encoder.encode(seen) if seen else None
        self.connection.execute(
            "INSERT INTO meerkat_ops VALUES(NULL,?,?,?,?,?)",
            (author, sequence, lamport, wall_ms, packed),
        )
        number = self.connection.last_insert_rowid()
        self._remember(Op(number, author, sequence, lamport, wall_ms, dict(seen)))
        return number

    def pending_op(self, seen: dict[bytes, int], wall_ms: int = 0) -> int:
        """Number an operation of ours that is not signed yet; it beats everything before it."""
        (count,) = self.connection.execute("SELECT max(number) FROM meerkat_ops").fetchone() or (0,)
        return self.add_op(self.author, PENDING + (count or 0) + 1, PENDING, wall_ms, seen)

    def sign(self, number: int, author: bytes, sequence: int, lamport: int, wall_ms: int) -> None:
        """A pending operation is in our log now."""
        self.connection.execute(
            "UPDATE meerkat_ops SET author=?, sequence=?, lamport=?, wall_ms=? WHERE number=?",
            (author, sequence, lamport, wall_ms, number),
        )
        self._ops.pop(number, None)
        self._stamps.pop(number, None)

    def op(self, number: int) -> Op:
        """An operation by its number."""
        found = self._ops.get(number)
        if found is None:
            row: Any = self.connection.execute(
                "SELECT author, sequence, lamport, wall_ms, seen FROM meerkat_ops WHERE number=?",
                (number,),
            ).fetchone()
            if row is None:
                return BASE
            seen = _vectors.decode(row[4]) if row[4] else {}
            author, sequence, lamport, wall_ms, _ = row
            found = Op(number, author, sequence, lamport, wall_ms, seen)
            self._remember(found)
        return found

    def stamp(self, number: int) -> Stamp:
        """An operation's stamp."""
        return self._stamps.get(number) or self.op(number).stamp

    def _remember(self, op: Op) -> None:
        if len(self._ops) >= CACHED_OPS:
            self._ops, self._stamps = {0: BASE}, {0: BASE.stamp}
        self._ops[op.number] = op
        self._stamps[op.number] = op.stamp

    # -- names that are kept short -------------------------------------------------------------

    def table_number(self, table: str) -> int:
        """The number that stands for a table's id."""
        number = self._tables.get(table)
        if number is None:
            self.connection.execute("INSERT INTO meerkat_tables(id) VALUES(?)", (table,))
            number = self._tables[table] = self.connection.last_insert_rowid()
        return number

    def tables(self) -> list[str]:
        """The ids of all tables that ever had a record, sorted."""
        return sorted(self._tables)

    def shape(self, columns: Sequence[str]) -> int:
        """The number that stands for a list of column ids."""
        names = tuple(columns)
        shape = self._shapes.get(names)
        if shape is None:
            self.connection.execute(
                "INSERT INTO meerkat_shapes VALUES(NULL,?)", (pack_values(names),)
            )
            shape = self._shapes[names] = self.connection.last_insert_rowid()
            self._columns[shape] = frozenset(names)
        return shape

    def shape_columns(self, shape: int) -> frozenset[str] | None:
        """The column ids of a shape; None: every column."""
        return self._columns.get(shape)

    def high(self, table: str) -> int:
        """The highest id a table had in the base (0: none)."""
        row = self.connection.execute(
            "SELECT high FROM meerkat_tables WHERE t=?", (self.table_number(table),)
        ).fetchone()
        return (row and row[0]) or 0

    def set_high(self, table: str, high: int) -> None:
        """Keep the highest id a table had in the base."""
        self.connection.execute(
            "UPDATE meerkat_tables SET high=? WHERE t=?", (high, self.table_number(table))
        )

    def base_columns(self, table: str) -> frozenset[str] | None:
        """The ids of the columns that a table had in the base; None: it was not there."""
        packed = self.get(f"base {table}")
        return frozenset(unpack_values(packed)) if packed else None  # type: ignore[arg-type]

    def set_base_columns(self, table: str, columns: Sequence[str]) -> None:
        """Keep the ids of the columns that a table had in the base."""
        self.set(f"base {table}", pack_values(columns))

    def table_deaths(self, table: str) -> tuple[int, ...]:
        """The operations that dropped a table, newest of every author."""
        row = self.connection.execute(
            "SELECT deaths FROM meerkat_tables WHERE t=?", (self.table_number(table),)
        ).fetchone()
        return _numbers.decode(row[0]) if row and row[0] else ()

    def set_table_deaths(self, table: str, deaths: tuple[int, ...]) -> None:
        """Keep the operations that dropped a table."""
        self.connection.execute(
            "UPDATE meerkat_tables SET deaths=? WHERE t=?",
            (_encoder.encode(deaths), self.table_number(table)),
        )
