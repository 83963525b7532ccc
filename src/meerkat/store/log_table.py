"""The operations of every author: append, read, and the heads that follow from them."""

from __future__ import annotations

from typing import Any

from meerkat.core.ids import AuthorId, OperationHash
from meerkat.core.ports import Head
from meerkat.errors import StoreDamaged

from .author_heads import AuthorHeads
from .connection import Connection
from .row_check import crc_of_author, crc_of_operation

__all__ = ["LogTable"]

COUNTER_LIMIT = 1 << 53  # all counters fit 53 bits (design, section 2)

_INSERT = (
    "INSERT INTO operations (author, sequence, lamport, hash, crc, data) VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_AUTHOR = "INSERT INTO authors (number, key, crc) VALUES (?, ?, ?)"
_COLUMNS = "SELECT author, sequence, lamport, hash, crc, data FROM operations"
_ONE = f"{_COLUMNS} WHERE author = ? AND sequence = ?"
_RANGE = f"{_COLUMNS} WHERE author = ? AND sequence BETWEEN ? AND ? ORDER BY sequence"
_LAST = f"{_COLUMNS} WHERE author = ? ORDER BY sequence DESC LIMIT 1"
_AUTHORS = "SELECT number, key, crc FROM authors"


class LogTable:
    """The log inside the store's file. Heads are kept in memory and follow every rollback."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heads = AuthorHeads()
        self.load()

    def load(self) -> None:
        """Read the heads from the file: once for each author, whatever the log's length."""
        numbers: dict[AuthorId, int] = {}
        heads: dict[AuthorId, Head] = {}
        for number, key, crc in self._connection.rows(_AUTHORS):
            author = self._checked_author(number, key, crc)
            numbers[author] = number
            for row in self._connection.rows(_LAST, (number,)):
                heads[author] = self._head_of(row)
        self._heads.load(numbers, heads)

    def begin(self) -> None:
        """A transaction begins."""
        self._heads.begin()

    def rollback(self) -> None:
        """The transaction is not in the file."""
        self._heads.rollback()

    def heads(self) -> dict[AuthorId, Head]:
        """See ``Store.heads``."""
        return self._heads.all()

    def append(self, author: AuthorId, head: Head, data: bytes) -> None:
        """See ``Store.append``."""
        check_append(self._heads.head(author), head)
        number = self._heads.number(author)
        if number is None:
            number = self._heads.add_author(author)
            row = (number, bytes(author), crc_of_author(number, author))
            self._connection.write(_INSERT_AUTHOR, row)
        crc = crc_of_operation(number, head.sequence, head.lamport, head.hash, data)
        self._connection.write(
            _INSERT, (number, head.sequence, head.lamport, bytes(head.hash), crc, data)
        )
        self._heads.set_head(author, head)

    def operation(self, author: AuthorId, sequence: int) -> bytes | None:
        """See ``Store.operation``."""
        found = self.operations(author, sequence, sequence, limit_bytes=0)
        return found[0] if found else None

    def operations(
        self, author: AuthorId, first: int, last: int, *, limit_bytes: int
    ) -> list[bytes]:
        """See ``Store.operations``."""
        head, number = self._heads.head(author), self._heads.number(author)
        first, last = max(first, 1), min(last, head.sequence if head else 0)
        if first > last:
            return []
        found: list[bytes] = []
        size = 0
        for row in self._connection.iterate(_RANGE, (number, first, last)):
            data = self._checked(row, first + len(found))
            size += len(data)
            if found and size > limit_bytes:
                return found
            found.append(data)
        if first + len(found) <= last:
            raise self._damage(f"operation {first + len(found)} of {author} is missing")
        return found

    def verify(self) -> None:
        """Read and check every row.

        Raises:
            StoreDamaged: if one is not as it was written, or missing.
        """
        self.load()
        for author, head in self.heads().items():
            expected = 1
            number = self._heads.number(author)
            for row in self._connection.iterate(_RANGE, (number, 1, head.sequence)):
                self._checked(row, expected)
                expected += 1
            if expected != head.sequence + 1:
                raise self._damage(f"operation {expected} of {author} is missing")
        known = {self._heads.number(author) for author in self.heads()}
        stray = "SELECT DISTINCT author FROM operations"
        if any(number not in known for (number,) in self._connection.rows(stray)):
            raise self._damage("it holds operations of an author it does not know")

    def _checked_author(self, number: Any, key: Any, crc: Any) -> AuthorId:
        if not isinstance(key, bytes) or len(key) != AuthorId.SIZE:
            raise self._damage("an author's key has the wrong length")
        if not 0 < number < COUNTER_LIMIT or crc != crc_of_author(number, key):
            raise self._damage("an author's key is not as it was written")
        return AuthorId(key)

    def _checked(self, row: tuple[Any, ...], expected: int) -> bytes:
        """The operation's bytes, if the row is what was written."""
        author, sequence, lamport, operation_hash, crc, data = row
        if sequence != expected:
            raise self._damage(f"operation {expected} is missing, {sequence} is in its place")
        if not isinstance(operation_hash, bytes) or not isinstance(data, bytes):
            raise self._damage(f"operation {sequence} has the wrong type")
        if not isinstance(lamport, int) or not 0 <= lamport < COUNTER_LIMIT:
            raise self._damage(f"operation {sequence} has an impossible Lamport time")
        if crc != crc_of_operation(author, sequence, lamport, operation_hash, data):
            raise self._damage(f"operation {sequence} is not as it was written")
        return data

    def _head_of(self, row: tuple[Any, ...]) -> Head:
        _, sequence, lamport, operation_hash, _, _ = row
        if not isinstance(sequence, int) or not 0 < sequence < COUNTER_LIMIT:
            raise self._damage("a sequence number is impossible")
        self._checked(row, sequence)
        if len(operation_hash) != OperationHash.SIZE:
            raise self._damage(f"operation {sequence} has a hash of the wrong length")
        return Head(sequence, OperationHash(operation_hash), lamport)

    def _damage(self, what: str) -> StoreDamaged:
        return StoreDamaged(
            f"Meerkat's store {self._connection.path} is damaged: {what}. "
            "Run `meerkat rebuild` to make it anew from the other members."
        )


def check_append(last: Head | None, head: Head) -> None:
    """Refuse an operation that does not follow the author's last.

    Raises:
        ValueError: if the sequence is not the next, or the Lamport time is out of bounds.
    """
    expected = last.sequence + 1 if last else 1
    if head.sequence != expected:
        raise ValueError(f"the author's next sequence is {expected}, not {head.sequence}")
    if not 0 <= head.lamport < COUNTER_LIMIT:
        raise ValueError(f"a Lamport time fits 53 bits, {head.lamport} does not")
