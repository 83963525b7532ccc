"""What a node asks of its store beyond the core's port: transactions and a life."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from meerkat.core.ports import Store

__all__ = ["TransactionalStore"]


class TransactionalStore(Store, Protocol):
    """``SqliteStore``, or ``meerkat.testing``'s ``MemoryStore``."""

    @property
    def failed(self) -> bool:
        """Whether the disk refused something; nothing works until ``reopen`` succeeds."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing: durable when the block has ended, forgotten if it raised anything."""
        ...

    def quick_check(self) -> None:
        """Raise ``StoreDamaged`` if the structure is not sound."""
        ...

    def verify(self) -> None:
        """Raise ``StoreDamaged`` if anything is not as it was written."""
        ...

    def reopen(self) -> None:
        """Begin anew with what is on the disk."""
        ...

    def close(self) -> None:
        """Close; what is committed stays."""
        ...
