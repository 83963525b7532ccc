"""What an operation says about a database: statements about rows and about the schema.

Tables and columns are named by ids: the name they were born under, so that renaming is a write like
any other. Everything here comes from other members: decoding checks types and limits, the rest is
checked where it is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from meerkat.core.messages import HeadEntry

from .values import MAX_ROW_ID_BYTES, are_values, decode_extension, encode_extension

__all__ = [
    "AUTO",
    "BORN",
    "LOOSE",
    "ROWID",
    "Batch",
    "BatchError",
    "DefineObject",
    "DefineTable",
    "DropObject",
    "DropTable",
    "Gone",
    "Put",
    "PutRow",
    "SetNumber",
    "Statement",
    "cut",
    "decode_batch",
    "encode_batch",
    "join",
]

BORN = 1  # flag of a PutRow: the row begins here, and every column's cell is given
AUTO = 2  # ... under an id that SQLite gave it: not the same row as another born under that id
LOOSE = 4  # its foreign keys dangled at its author's already: no reason to set it aside
ROWID = ""  # the column id of the hidden rowid, in tables without any key: a wish, not a cell

MAX_COLUMNS = 2_000  # SQLite's own limit (SQLITE_MAX_COLUMN)
MAX_BATCH_BYTES = (
    80 * 1024 * 1024
)  # of one batch: more than the largest row (``state``) and a batch
PIECE_BYTES = 256 * 1024  # of a transaction in one operation (design: at most 1 MiB)
_LENGTH_BYTES = 4

Name = Annotated[str, Meta(max_length=1_024)]
Sql = Annotated[str, Meta(max_length=256 * 1024)]
RowId = Annotated[bytes, Meta(min_length=1, max_length=MAX_ROW_ID_BYTES)]
Flags = Annotated[int, Meta(ge=0, le=7)]
PutRow = tuple[RowId, Flags, tuple[Any, ...]]
"""(row id, flags, a ``Value`` for each of the statement's columns)"""


class BatchError(ValueError):
    """A batch that no correct meerkat would sign; it has no effect, on every peer alike."""


class Put(Struct, frozen=True, array_like=True, tag=1):
    """These cells of these rows were written."""

    table: Name
    columns: Annotated[tuple[Name, ...], Meta(max_length=MAX_COLUMNS)]
    rows: tuple[PutRow, ...]


class Gone(Struct, frozen=True, array_like=True, tag=2):
    """These rows were deleted, as far as the author had seen them (``Batch.seen``)."""

    table: Name
    rows: tuple[RowId, ...]


class DefineTable(Struct, frozen=True, array_like=True, tag=3):
    """A table is, from now on, what ``sql`` creates.

    ``columns``: (column id, name) of all its columns, in order, generated ones too. ``dropped``:
    ids of columns that are gone, as far as the author had seen them. ``named``: ids of columns that
    begin or are renamed here; "" says so of the table itself.
    """

    table: Name
    name: Name
    sql: Sql
    columns: Annotated[tuple[tuple[Name, Name], ...], Meta(max_length=MAX_COLUMNS)]
    dropped: Annotated[tuple[Name, ...], Meta(max_length=MAX_COLUMNS)] = ()
    named: Annotated[tuple[Name, ...], Meta(max_length=MAX_COLUMNS + 1)] = ()


class DropTable(Struct, frozen=True, array_like=True, tag=4):
    """A table is gone, with the rows that the author had seen."""

    table: Name


class DefineObject(Struct, frozen=True, array_like=True, tag=5):
    """An index, a view or a trigger (``kind``) is what ``sql`` creates. ``table``: its name."""

    kind: Annotated[str, Meta(max_length=8)]
    name: Name
    table: Name
    sql: Sql


class DropObject(Struct, frozen=True, array_like=True, tag=6):
    """An index, a view or a trigger is gone."""

    kind: Annotated[str, Meta(max_length=8)]
    name: Name


class SetNumber(Struct, frozen=True, array_like=True, tag=7):
    """``user_version`` or ``application_id`` (32 bits, signed); the last writer wins."""

    name: Annotated[str, Meta(max_length=16)]
    value: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


Statement = Put | Gone | DefineTable | DropTable | DefineObject | DropObject | SetNumber


class Batch(Struct, frozen=True, array_like=True):
    """Statements that take effect together.

    ``seen``: of every author the last operation that was in the file when the program wrote;
    what is deleted here is deleted as far as that. The author's own earlier operations are seen.
    """

    seen: Annotated[tuple[HeadEntry, ...], Meta(max_length=16_384)]
    statements: tuple[Statement, ...]


_encoder = msgspec.msgpack.Encoder(enc_hook=encode_extension)
_decoder = msgspec.msgpack.Decoder(Batch, ext_hook=decode_extension)


def encode_batch(batch: Batch) -> bytes:
    """A batch as MessagePack."""
    return _encoder.encode(batch)


def decode_batch(data: bytes) -> Batch:
    """Read a batch.

    Raises:
        BatchError: if it is malformed, or a row does not have as many values as there are columns.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise BatchError("batch too large")
    try:
        batch = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BatchError("malformed batch") from error
    for statement in batch.statements:
        if isinstance(statement, Put):
            width = len(statement.columns)
            if len(set(statement.columns)) != width:
                raise BatchError("a column is named twice")
            if any(len(values) != width for _, _, values in statement.rows):
                raise BatchError("a row has not one value for each column")
            if not all(are_values(values) for _, _, values in statement.rows):
                raise BatchError("a cell holds what SQLite cannot")
    return batch


def cut(batches: Iterable[bytes]) -> list[bytes]:
    """A transaction's encoded batches as pieces of at most ``PIECE_BYTES``, one for an operation.

    The whole transaction counts as written by its last operation.
    """
    pieces: list[bytes] = []
    open_ = bytearray()
    for batch in batches:
        open_ += len(batch).to_bytes(_LENGTH_BYTES, "big") + batch
        while len(open_) > PIECE_BYTES:
            pieces.append(bytes(open_[:PIECE_BYTES]))
            del open_[:PIECE_BYTES]
    if open_ or not pieces:
        pieces.append(bytes(open_))
    return pieces


def join(pieces: Iterable[bytes]) -> Iterator[Batch]:
    """The batches of a transaction, one after the other.

    Raises:
        BatchError: if one is malformed or cut off; those before it were given already.
    """
    open_ = bytearray()
    for piece in pieces:
        open_ += piece
        while len(open_) >= _LENGTH_BYTES:
            length = int.from_bytes(open_[:_LENGTH_BYTES], "big")
            if length > MAX_BATCH_BYTES:
                raise BatchError("batch too large")
            if len(open_) < _LENGTH_BYTES + length:
                break
            yield decode_batch(bytes(open_[_LENGTH_BYTES : _LENGTH_BYTES + length]))
            del open_[: _LENGTH_BYTES + length]
    if open_:
        raise BatchError("cut off")
