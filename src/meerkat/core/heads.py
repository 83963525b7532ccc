"""Heads: author -> sequence, our version vector. What a peer lacks is a set of ranges.

The seeds called an author's last operation its *command head*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .ids import AuthorId

__all__ = ["Heads", "Range"]


@dataclass(frozen=True, slots=True)
class Range:
    """Operations ``first..last`` (both included, from 1) of one author."""

    author: AuthorId
    first: int
    last: int


class Heads:
    """A version vector that only grows. An author it does not name stands at 0."""

    __slots__ = ("_sequences", "total")

    def __init__(self, sequences: Mapping[AuthorId, int] | None = None) -> None:
        self._sequences: dict[AuthorId, int] = dict(sequences or {})
        self.total = sum(self._sequences.values())
        """Operations that it stands for. Of one vector and a later state of it, equal totals mean
        that nothing has grown, and that takes no look at a thousand authors."""

    def __getitem__(self, author: AuthorId) -> int:
        return self._sequences.get(author, 0)

    def __iter__(self) -> Iterator[AuthorId]:
        return iter(self._sequences)

    def __len__(self) -> int:
        return len(self._sequences)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Heads) and self._sequences == other._sequences

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        inside = ", ".join(f"{a.short()}:{s}" for a, s in self.items())
        return f"Heads({inside})"

    def items(self) -> list[tuple[AuthorId, int]]:
        """All entries, sorted by author, so that nothing depends on arrival order."""
        return sorted(self._sequences.items())

    def copy(self) -> Heads:
        """An independent copy."""
        made = Heads()
        made._sequences, made.total = self._sequences.copy(), self.total
        return made

    def advance(self, author: AuthorId, sequence: int) -> bool:
        """Raise one entry; True if it was news."""
        before = self._sequences.get(author, 0)
        if sequence <= before:
            return False
        self._sequences[author] = sequence
        self.total += sequence - before
        return True

    def merge(self, entries: Iterable[tuple[AuthorId, int]]) -> list[tuple[AuthorId, int]]:
        """Raise many entries; returns those that were news."""
        return [entry for entry in entries if self.advance(*entry)]
