"""Places in a text that stay where they belong while it changes: carets and selections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meerkat.core.edits import Edit

__all__ = ["Span", "moved"]


def moved(offset: int, edits: Sequence[Edit], *, stay: bool = False) -> int:
    """Where an offset is after a change. What is inserted right at it comes before it, as with the
    cursors that peers tell each other; with ``stay`` behind it.
    """
    shift = 0
    for edit in edits:
        if edit.position > offset or (stay and edit.position == offset):
            break
        if edit.end > offset:
            return edit.position + shift + (0 if stay else len(edit.inserted))
        shift += len(edit.inserted) - edit.deleted
    return offset + shift


@dataclass(frozen=True, slots=True)
class Span:
    """A selection from ``anchor`` to ``head``, where the caret is; equal for a mere caret."""

    anchor: int
    head: int

    @property
    def start(self) -> int:
        """The lower end."""
        return min(self.anchor, self.head)

    @property
    def end(self) -> int:
        """The higher end."""
        return max(self.anchor, self.head)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is selected."""
        return self.anchor == self.head

    def after(self, edits: Sequence[Edit]) -> Span:
        """The same place after a change: what others write at the edges is not selected."""
        if self.is_empty:
            at = moved(self.head, edits)
            return Span(at, at)
        start = moved(self.start, edits)
        end = max(start, moved(self.end, edits, stay=True))
        return Span(start, end) if self.anchor <= self.head else Span(end, start)
