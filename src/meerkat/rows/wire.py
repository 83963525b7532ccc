"""What the node's host and the rows process say to each other beyond ``core.rows``.

The peer knows nothing of these: they serve faces, which ask by the path in the folder. Values of
cells travel as they are (``rows.values``). Also the encoding of both directions: MessagePack.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from meerkat.core.rows import RowsReport, RowsRequest

from .values import decode_extension, encode_extension

__all__ = [
    "Answer",
    "Aside",
    "Asked",
    "Cancel",
    "Capture",
    "CellWritten",
    "Cells",
    "Changes",
    "Column",
    "Conflict",
    "Conflicts",
    "DatabaseFacts",
    "Describe",
    "History",
    "Look",
    "Query",
    "Question",
    "RowChanged",
    "Rows",
    "Said",
    "TableFacts",
    "Watch",
    "decode_asked",
    "decode_said",
    "encode",
]

Ticket = Annotated[int, Meta(ge=1)]
"""The host's number for a question; never used twice while the process runs."""


# --- Asked of the process ---


class Look(Struct, frozen=True, array_like=True, tag=64):
    """Something happened to these files, or to a companion of theirs."""

    paths: tuple[str, ...]


class Query(Struct, frozen=True, array_like=True, tag=65):
    """Run SQL on the file; with ``write`` in one transaction, else nothing can be written.

    At most ``limit`` rows, and what the process allows of bytes and of ``seconds``.
    """

    ticket: Ticket
    path: str
    sql: str
    params: tuple[Any, ...] | dict[str, Any]
    limit: Annotated[int, Meta(ge=0)]
    seconds: float
    write: bool = False


class Watch(Struct, frozen=True, array_like=True, tag=66):
    """From now on tell every change of a table's rows (empty: of all tables): ``Changes``.

    ``again``: it was watched before the process was started anew, so the path need not be live yet.
    """

    ticket: Ticket
    path: str
    table: str
    again: bool = False


class Describe(Struct, frozen=True, array_like=True, tag=67):
    """The tables, and how it is."""

    ticket: Ticket
    path: str


class Conflicts(Struct, frozen=True, array_like=True, tag=68):
    """Rows that a constraint keeps out of the file."""

    ticket: Ticket
    path: str


class History(Struct, frozen=True, array_like=True, tag=69):
    """Who wrote the cells of a row. ``key``: its rowid, or its primary key without one."""

    ticket: Ticket
    path: str
    table: str
    key: tuple[Any, ...]


class Cancel(Struct, frozen=True, array_like=True, tag=70):
    """A question's answer is not wanted any more, or a watcher has gone."""

    ticket: Ticket


class Capture(Struct, frozen=True, array_like=True, tag=71):
    """Look at every file once more, and answer then: the node is about to stop."""

    ticket: Ticket


Question = Query | Watch | Describe | Conflicts | History | Capture
"""What gets an ``Answer``."""
Asked = RowsRequest | Question | Look | Cancel


# --- Answers ---


class Rows(Struct, frozen=True, array_like=True, tag=1):
    """What a statement gave. ``more``: there would have been more rows, or more bytes.

    ``changed``: how many rows it wrote.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool = False
    changed: int = 0


class Column(Struct, frozen=True, array_like=True):
    """``primary_key``: its place in the primary key from 1, or 0."""

    name: str
    type: str
    not_null: bool
    default: str | None
    primary_key: int
    generated: bool


class TableFacts(Struct, frozen=True, array_like=True):
    """A table or a view. ``key``: the columns that name a row (as in ``History`` and ``Changes``);
    a rowid that is no column is named by a word for it. ``rows``: how many, or ``None`` if counting
    would take too long.
    """

    name: str
    kind: str  # "table", "view" or "virtual"
    sql: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int | None


class DatabaseFacts(Struct, frozen=True, array_like=True, tag=2):
    """A live database. Sizes in bytes, of the file with its log, and of our own records of it."""

    version: bytes
    path: str
    problem: str
    aside: int
    file_bytes: int
    state_bytes: int
    journal_mode: str
    tables: tuple[TableFacts, ...]


class Conflict(Struct, frozen=True, array_like=True):
    """A row that is kept, but not in the file. ``author``: who wrote it last; ``wall_ms``: when."""

    table: str
    id: bytes
    values: dict[str, Any]
    reason: str
    author: bytes
    wall_ms: int


class Aside(Struct, frozen=True, array_like=True, tag=3):
    """Rows that a constraint keeps out of the file."""

    conflicts: tuple[Conflict, ...]


class CellWritten(Struct, frozen=True, array_like=True):
    """Who wrote a cell last, and when (ms since the epoch); empty and 0: it was in the base."""

    column: str
    author: bytes
    wall_ms: int


class Cells(Struct, frozen=True, array_like=True, tag=4):
    """The cells of a row."""

    cells: tuple[CellWritten, ...]


class Answer(Struct, frozen=True, array_like=True, tag=64):
    """What became of a question. ``problem``: a sentence, or empty."""

    ticket: int
    problem: str = ""
    value: Rows | DatabaseFacts | Aside | Cells | None = None


class RowChanged(Struct, frozen=True, array_like=True):
    """A row of the file is another. ``author``: empty if a program of this machine wrote it.

    ``operation``: "insert", "update" or "delete"; ``old`` and ``new`` are values by column.
    """

    table: str
    operation: str
    key: tuple[Any, ...]
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    author: bytes


class Changes(Struct, frozen=True, array_like=True, tag=65):
    """For a watcher. ``again``: some were left out, so read the table anew."""

    ticket: int
    changes: tuple[RowChanged, ...]
    again: bool = False


Said = RowsReport | Answer | Changes


def _plain(value: object) -> object:
    """The core's ids are bytes of types of their own."""
    return bytes(value) if isinstance(value, bytes) else encode_extension(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_asked: msgspec.msgpack.Decoder[Asked] = msgspec.msgpack.Decoder(Asked, ext_hook=decode_extension)
_said: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said, ext_hook=decode_extension)


def encode(message: Asked | Said) -> bytes:
    """The body of a frame."""
    return _encoder.encode(message)


def decode_asked(body: bytes) -> Asked:
    """Read what the host asks.

    Raises:
        msgspec.MsgspecError, ValueError: on anything else.
    """
    return _asked.decode(body)


def decode_said(body: bytes) -> Said:
    """Read what the process says.

    Raises:
        msgspec.MsgspecError, ValueError: on anything else.
    """
    return _said.decode(body)
