"""Which operations changed a version, in the order of their Lamport times: an index of the log."""

from __future__ import annotations

from collections.abc import Iterator

from .ids import AuthorId, VersionId
from .operation import Operation
from .ports import Store, Table

__all__ = ["VersionLog"]

_NUMBER_BYTES = 8
_AUTHOR_AT = VersionId.SIZE + _NUMBER_BYTES
_SEQUENCE_AT = _AUTHOR_AT + AuthorId.SIZE


class VersionLog:
    """One kind of change, in a table of its own.

    Keys are version, Lamport time, author and sequence: they sort as their operations are ordered.
    """

    def __init__(self, store: Store, table: Table) -> None:
        self._store, self._table = store, table

    def note(self, version: bytes, operation: Operation) -> None:
        """An operation changes this version."""
        lamport = operation.lamport.to_bytes(_NUMBER_BYTES, "big")
        sequence = operation.sequence.to_bytes(_NUMBER_BYTES, "big")
        self._store.put(self._table, version + lamport + operation.author + sequence, b"")

    def of(self, version: bytes) -> Iterator[tuple[AuthorId, int]]:
        """All of a version's: (author, sequence)."""
        for key, _ in self._store.scan(self._table, version):
            author = AuthorId(key[_AUTHOR_AT:_SEQUENCE_AT])
            yield author, int.from_bytes(key[_SEQUENCE_AT:], "big")
