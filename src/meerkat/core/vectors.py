"""Small version vectors of one file: who wrote to it last, and what of that a removal had seen.

Kept as sorted tuples, since nearly all have one entry and tens of thousands are in memory: equal
ones are one object (``Shares``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

__all__ = ["Shares", "Vector", "is_covered", "raised"]

Vector = tuple[tuple[bytes, int], ...]
"""(author, sequence), sorted by author, each author once."""

SHARES_COUNT = 4_096  # values remembered; files of one operation come together
_T = TypeVar("_T")


def raised(vector: Vector, entries: Iterable[tuple[bytes, int]]) -> Vector:
    """The vector with every entry at least as high as in ``entries``."""
    found = dict(vector)
    changed = False
    for author, sequence in entries:
        if sequence > found.get(author, 0):
            found[bytes(author)] = sequence
            changed = True
    return tuple(sorted(found.items())) if changed else vector


def is_covered(touches: Vector, covered: Vector) -> bool:
    """Whether every write was seen by whatever ``covered`` stands for."""
    if not covered:
        return not touches
    seen = dict(covered)
    return all(sequence <= seen.get(author, 0) for author, sequence in touches)


class Shares:
    """Gives equal immutable values one object."""

    def __init__(self) -> None:
        self._values: dict[Any, Any] = {}

    def __call__(self, value: _T) -> _T:
        """The object that stands for this value."""
        if len(self._values) >= SHARES_COUNT:
            self._values.clear()
        found: _T = self._values.setdefault(value, value)
        return found
