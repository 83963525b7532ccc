"""What the peer and the rows process say to each other about live databases.

The peer sequences: it signs what was captured and hands on what others wrote, without reading it.
The rows process (``meerkat.rows``) merges, and alone opens the files of live databases. These are
values only; the decisions are in ``databases``, the work in ``meerkat.rows``.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .messages import Bytes16, Bytes32, HeadEntry

__all__ = [
    "ApplyRows",
    "AttachDatabase",
    "DatabaseAttached",
    "DatabaseDetached",
    "DatabaseExported",
    "DatabaseImported",
    "DatabaseLoaded",
    "DatabaseRefused",
    "DatabaseState",
    "DetachDatabase",
    "ExportDatabase",
    "ImportDatabase",
    "LoadDatabase",
    "RowsApplied",
    "RowsCaptured",
    "RowsEntry",
    "RowsReport",
    "RowsRequest",
    "RowsSigned",
]

Vector = tuple[HeadEntry, ...]
Mark = tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(ge=1)]]
"""(Lamport, sequence) of an operation of our own author."""


class RowsEntry(Struct, frozen=True, array_like=True):
    """One operation's part in a database.

    ``data`` is a batch (``meerkat.rows.changes``), unread by the peer. Entries of one program's
    transaction follow each other; ``last`` ends it, and only then may any of it be seen.
    ``wall_ms``: milliseconds since the epoch, for people.
    """

    author: Bytes32
    sequence: int
    lamport: int
    wall_ms: int
    last: bool
    data: bytes


# --- Requests, in order. ``version`` names the database from its import on. ---


class ImportDatabase(Struct, frozen=True, array_like=True, tag=1):
    """Nobody knows the database at ``path`` yet: keep a copy of it as a base, and name it.

    Answered by ``DatabaseImported`` or ``DatabaseRefused``. ``again``: a person wants it, though it
    may have been given up.
    """

    ticket: int
    path: str
    again: bool = False


class LoadDatabase(Struct, frozen=True, array_like=True, tag=2):
    """Go on with a database's state, or begin it from a base. Answered by ``DatabaseLoaded``.

    ``author``: as whom we write from now on; loading again only changes that. ``again``: as above.
    """

    version: Bytes16
    base: Bytes32
    author: Bytes32
    again: bool = False


class ApplyRows(Struct, frozen=True, array_like=True, tag=3):
    """What others wrote (or we, before the state was lost), after its causes.

    Answered by ``RowsApplied`` once it is merged durably and, if attached, in the file.
    """

    version: Bytes16
    entries: tuple[RowsEntry, ...]


class RowsSigned(Struct, frozen=True, array_like=True, tag=4):
    """The batches of a capture are in our log, one operation each."""

    version: Bytes16
    number: int
    author: Bytes32
    marks: tuple[Mark, ...]
    wall_ms: int


class ExportDatabase(Struct, frozen=True, array_like=True, tag=5):
    """Write the database, as it is merged, where the folder finds it, and hold still.

    Until ``AttachDatabase`` or ``DetachDatabase`` nothing more is merged. Answered by
    ``DatabaseExported``.
    """

    version: Bytes16


class AttachDatabase(Struct, frozen=True, array_like=True, tag=6):
    """It stands at ``path``: what differs there was written by programs. Again: it was moved.

    Answered by ``DatabaseAttached``, or ``DatabaseDetached`` with a reason.
    """

    version: Bytes16
    path: str


class DetachDatabase(Struct, frozen=True, array_like=True, tag=7):
    """Capture what is left, empty the write-ahead log into the file, and let go of it.

    Answered by ``DatabaseDetached``; with the reason "busy" programs still have it open, and it is
    attached as before. ``gone``: the file is not there any more, or not ours; only let go.
    ``leave``: let go at once, programs or not; what differs when it is attached again, they wrote.
    """

    version: Bytes16
    gone: bool = False
    leave: bool = False


RowsRequest = (
    ImportDatabase
    | LoadDatabase
    | ApplyRows
    | RowsSigned
    | ExportDatabase
    | AttachDatabase
    | DetachDatabase
)


# --- Reports, in order. ---


class DatabaseImported(Struct, frozen=True, array_like=True, tag=1):
    """The base is kept. ``digest``: BLAKE3 of its bytes; ``chunks``: as in a blob's body."""

    ticket: int
    path: str
    digest: Bytes32
    size: int
    chunks: bytes


class DatabaseRefused(Struct, frozen=True, array_like=True, tag=2):
    """This cannot be a live database; ``reason`` is a sentence that says what to do."""

    ticket: int
    path: str
    reason: str


class DatabaseLoaded(Struct, frozen=True, array_like=True, tag=3):
    """``have``: of each author the last operation that is merged. ``number``: the last capture."""

    version: Bytes16
    have: Vector
    number: int = 0


class RowsApplied(Struct, frozen=True, array_like=True, tag=4):
    """``have`` as above, and in the file if one is attached. ``count``: entries taken in."""

    version: Bytes16
    have: Vector
    count: int


class RowsCaptured(Struct, frozen=True, array_like=True, tag=5):
    """A program's transaction, to be signed. Repeated with its ``number`` until it is.

    Numbers count from 1 in one state of a database. The batches become one operation each.
    """

    version: Bytes16
    number: int
    batches: tuple[bytes, ...]


class DatabaseExported(Struct, frozen=True, array_like=True, tag=6):
    """A copy lies in the export area under the version's name; ``reason``: or why not."""

    version: Bytes16
    reason: str = ""


class DatabaseAttached(Struct, frozen=True, array_like=True, tag=7):
    """The file at ``path`` is live."""

    version: Bytes16
    path: str


class DatabaseDetached(Struct, frozen=True, array_like=True, tag=8):
    """No handle of the file is open any more. ``reason``: empty if asked for, else a sentence.

    ``have`` as above: what the file held when it was let go.
    """

    version: Bytes16
    have: Vector
    reason: str = ""


class DatabaseState(Struct, frozen=True, array_like=True, tag=9):
    """What people should know of a database. ``problem``: empty, or a sentence.

    ``aside``: rows that a constraint keeps out of the file.
    """

    version: Bytes16
    problem: str
    aside: int = 0


RowsReport = (
    DatabaseImported
    | DatabaseRefused
    | DatabaseLoaded
    | RowsApplied
    | RowsCaptured
    | DatabaseExported
    | DatabaseAttached
    | DatabaseDetached
    | DatabaseState
)
