"""What the core needs from a store: a synchronous port, used inside one transaction.

``meerkat.store`` offers it over SQLite, ``meerkat.testing`` over plain dictionaries; one acceptance
suite checks both. The core reads and appends directly (as raft's ``LogStore`` does), so its logic
is plain code and the simulator runs it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .ids import AuthorId, OperationHash

__all__ = ["Head", "Store", "Table"]


@dataclass(frozen=True, slots=True)
class Head:
    """An author's last appended operation. ``sequence`` counts from 1."""

    sequence: int
    hash: OperationHash
    lamport: int


class Table(Enum):
    """Key-value tables of the store. Keys sort as bytes; values are opaque to the store."""

    META = "meta"  # one-off values: pool, own identity, applied heads, Lamport clock
    RECORD = "record"  # FileId -> the tree's record of a file
    FOLDER = "folder"  # path -> the tree's record of a folder
    DISK = "disk"  # path -> what the disk is known to hold, and what of the tree that is
    TEXT = "text"  # VersionId -> snapshot of a live text
    TEXT_LOG = "text_log"  # VersionId + Lamport + AuthorId + sequence -> b"": edits of a text
    ROWS_LOG = "rows_log"  # VersionId + Lamport + AuthorId + sequence -> b"": changes of a database
    ROWS = "rows"  # VersionId (+ number of a capture) -> what we know of the rows process's state
    CHUNK = "chunk"  # ContentHash of a chunk + VersionId that has it -> offset and length
    MEMBER = "member"  # MemberId -> the roster's record
    AUTHOR = "author"  # AuthorId -> the roster's record: its member, name and certificate
    ADDRESS = "address"  # AuthorId -> addresses where it was met
    INVITATION = "invitation"  # invitation id -> open invitations of ours
    BRIDGE = "bridge"  # a text as our own Yjs editors have it (``bridge_table``)
    TALK = "talk"  # what was said, the newest first, and which letters were answered


class Store(Protocol):
    """Every call happens inside the node's transaction; nothing is visible to others before commit.

    Raises:
        StoreError: (from ``meerkat.errors``) when the disk fails or is full.
    """

    def heads(self) -> dict[AuthorId, Head]:
        """The last operation of every author, from the log."""
        ...

    def append(self, author: AuthorId, head: Head, data: bytes) -> None:
        """Append the operation that ``head`` describes; ``data`` is exactly what was signed.

        Raises:
            ValueError: if ``head.sequence`` is not one more than the author's last.
        """
        ...

    def operation(self, author: AuthorId, sequence: int) -> bytes | None:
        """One operation's bytes, or None."""
        ...

    def operations(
        self, author: AuthorId, first: int, last: int, *, limit_bytes: int
    ) -> list[bytes]:
        """Operations ``first..last`` in order, at least one, until ``limit_bytes`` is reached."""
        ...

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value under ``key``, or None."""
        ...

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Insert or replace."""
        ...

    def put_many(self, table: Table, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Insert or replace many."""
        ...

    def delete(self, table: Table, key: bytes) -> None:
        """Remove if there."""
        ...

    def scan(self, table: Table, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All entries whose key begins with ``prefix``, in key order."""
        ...
