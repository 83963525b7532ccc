"""A text in blocks that knows where its lines begin, for edits of a few characters in many MiB.

Lines end at LF alone. Positions past the end are clamped: a line that is not there is the end of
the text, a character past the end of a line is that end. A key costs work for the touched block
and for the list of blocks, never a walk through the text or a copy of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from .editing import Position
from .edits import Edit, check_edits

__all__ = ["Lines"]

BLOCK = 4096  # code points; measured: with 2,048 or 8,192 a key costs about the same
LARGEST = 2 * BLOCK  # one that grew beyond is divided
SMALLEST = BLOCK // 4  # one that shrank below joins a neighbor
LF = "\n"


class Lines:
    """A text that finds its lines."""

    __slots__ = ("_blocks", "_breaks", "_ends", "_lines", "_text")

    def __init__(self, text: str) -> None:
        self._text: str | None = text
        self._blocks = _divided(text)
        self._breaks = [block.count(LF) for block in self._blocks]
        self._sum_up()

    def __len__(self) -> int:
        """Code points."""
        return self._ends[-1]

    @property
    def text(self) -> str:
        """All of it; put together when asked for, and kept until it changes."""
        if self._text is None:
            self._text = "".join(self._blocks)
        return self._text

    def copy(self) -> Lines:
        """Another one, which goes its own way from here."""
        other = Lines.__new__(Lines)
        other._text = self._text
        other._blocks, other._breaks = self._blocks.copy(), self._breaks.copy()
        other._ends, other._lines = self._ends, self._lines  # replaced, never changed
        return other

    def apply(self, edits: Sequence[Edit]) -> None:
        """Change the text.

        Raises:
            ValueError: if the edits do not fit it; then nothing has changed.
        """
        check_edits(edits, len(self))
        for edit in reversed(edits):  # from behind: what lies before keeps its place
            self._replace(edit)
        if edits:
            self._text = None
            self._sum_up()

    def part(self, start: int, end: int) -> str:
        """The text between two offsets that are within it."""
        first, last = self._range(start, end)
        begin = self._begin(first)
        if first == last:
            return self._blocks[first][start - begin : end - begin]
        return "".join(self._blocks[first : last + 1])[start - begin : end - begin]

    def offset(self, position: Position) -> int:
        """Where a position is, in code points from the beginning; clamped."""
        line, character = position
        start = self._start_of(line)
        end = self._start_of(line + 1) - 1 if line < self._lines[-1] else len(self)
        return max(start, min(start + character, end))

    def position(self, offset: int) -> Position:
        """Line and character of an offset between 0 and the length of the text."""
        block = self._block_at(offset)
        within = offset - self._begin(block)
        line = (self._lines[block - 1] if block else 0) + self._blocks[block].count(LF, 0, within)
        return line, offset - self._start_of(line)

    def _start_of(self, line: int) -> int:
        if line <= 0:
            return 0
        if line > self._lines[-1]:
            return len(self)
        block = bisect_left(self._lines, line)
        wanted = line - (self._lines[block - 1] if block else 0)  # LFs from its beginning on
        text = self._blocks[block]
        low, high = 0, len(text)
        while high - low > 1:  # the LF we look for is in [low, high)
            middle = (low + high) // 2
            before = text.count(LF, low, middle)
            if before >= wanted:
                high = middle
            else:
                low, wanted = middle, wanted - before
        return self._begin(block) + high

    def _begin(self, block: int) -> int:
        return self._ends[block - 1] if block else 0

    def _block_at(self, offset: int) -> int:
        return bisect_right(self._ends, offset, hi=len(self._ends) - 1)

    def _range(self, start: int, end: int) -> tuple[int, int]:
        """The first and the last block that a range touches."""
        first = self._block_at(start)
        return first, bisect_left(self._ends, end, lo=first, hi=len(self._ends) - 1)

    def _replace(self, edit: Edit) -> None:
        """One edit. ``_ends`` is that of the text before, which is true up to the edit's end."""
        first, last = self._range(edit.position, edit.end)
        begin = self._begin(first)
        old = self._blocks[first] if first == last else "".join(self._blocks[first : last + 1])
        new = old[: edit.position - begin] + edit.inserted + old[edit.end - begin :]
        if len(new) < SMALLEST and len(self._blocks) > 1:
            if last + 1 < len(self._blocks):
                last += 1
                new += self._blocks[last]
            elif first:
                first -= 1
                new = self._blocks[first] + new
        blocks = _divided(new)
        self._blocks[first : last + 1] = blocks
        self._breaks[first : last + 1] = [block.count(LF) for block in blocks]

    def _sum_up(self) -> None:
        self._ends = list(accumulate(map(len, self._blocks)))
        self._lines = list(accumulate(self._breaks))


def _divided(text: str) -> list[str]:
    if len(text) <= LARGEST:
        return [text]
    return [text[start : start + BLOCK] for start in range(0, len(text), BLOCK)]
