"""A text as lines, for an editor: any position in any unit, and cheap changes in large texts.

Lines end at LF alone; a CR is a character like any other. Offsets count code points, as edits do;
bytes are UTF-8, as the CRDT engine counts. Does not decide what changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from meerkat.core.edits import Edit, apply_edits

__all__ = ["Lines"]

BLOCK_LINES = 128  # lines in a new block; it is split at twice that. guess: 10 µs a look-up
MANY_EDITS = 400  # from so many on, building anew is quicker than changing (50 ms for 4 MiB)


@dataclass(slots=True)
class _Block:
    """Some lines in a row, without their ends, and how much they are with one LF each."""

    lines: list[str]
    chars: int
    size: int  # UTF-8 bytes


class _Begins(NamedTuple):
    """Lines, code points and bytes before each block, and at last of all of them."""

    lines: list[int]
    chars: list[int]
    bytes: list[int]


def _size(line: str) -> int:
    return len(line) if line.isascii() else len(line.encode())


def _block(lines: list[str]) -> _Block:
    count = len(lines)
    return _Block(lines, sum(map(len, lines)) + count, sum(map(_size, lines)) + count)


class Lines:
    """The lines of one text. Line and character numbers count from 0."""

    __slots__ = ("_begins", "_blocks", "_count", "_length", "_size", "_text")

    def __init__(self, text: str = "") -> None:
        self._set(text)

    def _set(self, text: str) -> None:
        lines = text.split("\n")
        self._blocks = [
            _block(lines[at : at + BLOCK_LINES]) for at in range(0, len(lines), BLOCK_LINES)
        ]
        self._begins: _Begins | None = None
        self._count = len(lines)
        self._length = len(text)
        self._size = sum(block.size for block in self._blocks) - 1
        self._text: str | None = text

    def __len__(self) -> int:
        return self._count

    @property
    def length(self) -> int:
        """Code points of the text."""
        return self._length

    @property
    def size(self) -> int:
        """UTF-8 bytes of the text."""
        return self._size

    @property
    def text(self) -> str:
        """The whole text; after a change it is put together anew (1 ms for 4 MiB)."""
        if self._text is None:
            self._text = "\n".join(["\n".join(block.lines) for block in self._blocks])
        return self._text

    def __getitem__(self, number: int) -> str:
        """A line without its end.

        Raises:
            IndexError: if there is none of this number.
        """
        if not 0 <= number < self._count:
            raise IndexError(number)
        block, line = self._block_of(number)
        return self._blocks[block].lines[line]

    def between(self, first: int, end: int) -> Iterator[str]:
        """The lines ``first`` to ``end`` - 1, as far as there are any."""
        first, end = max(0, first), min(end, self._count)
        if first >= end:
            return
        index, line = self._block_of(first)
        left = end - first
        while left > 0:
            lines = self._blocks[index].lines[line : line + left]
            yield from lines
            left -= len(lines)
            index, line = index + 1, 0

    def slice(self, start: int, end: int) -> str:
        """The text between two offsets."""
        (first, column), (last, end_column) = self.position(start), self.position(end)
        if first == last:
            return self[first][column:end_column]
        lines = list(self.between(first, last + 1))
        lines[0] = lines[0][column:]
        lines[-1] = lines[-1][:end_column]
        return "\n".join(lines)

    # --- Positions ---

    def _sums(self) -> _Begins:
        """Where each block begins; added up again after a change."""
        if self._begins is None:
            blocks = self._blocks
            self._begins = _Begins(
                list(accumulate((len(one.lines) for one in blocks), initial=0)),
                list(accumulate((one.chars for one in blocks), initial=0)),
                list(accumulate((one.size for one in blocks), initial=0)),
            )
        return self._begins

    def _block_of(self, line: int) -> tuple[int, int]:
        """Which block holds a line, and its number there."""
        begins = self._sums().lines
        index = bisect_right(begins, line) - 1
        return index, line - begins[index]

    def offset(self, line: int, column: int) -> int:
        """The offset of a position; what lies outside is moved to the nearest inside."""
        if line < 0:
            return 0
        if line >= self._count:
            return self._length
        index, line = self._block_of(line)
        lines = self._blocks[index].lines
        at = self._sums().chars[index] + sum(map(len, lines[:line])) + line
        return at + min(max(0, column), len(lines[line]))

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column) of an offset; what lies outside is moved to the nearest inside."""
        left = min(max(0, offset), self._length)
        begins = self._sums()
        index = bisect_right(begins.chars, left) - 1
        left -= begins.chars[index]
        line = begins.lines[index]
        for one in self._blocks[index].lines:
            if left <= len(one):
                return line, left
            left -= len(one) + 1
            line += 1
        raise AssertionError("the blocks do not add up")

    def byte_at(self, offset: int) -> int:
        """The UTF-8 byte at which the code point ``offset`` starts."""
        left = min(max(0, offset), self._length)
        begins = self._sums()
        index = bisect_right(begins.chars, left) - 1
        block, byte = self._blocks[index], begins.bytes[index]
        left -= begins.chars[index]
        if block.chars == block.size:  # ASCII
            return byte + left
        for one in block.lines:
            if left <= len(one):
                return byte + _size(one[:left])
            left -= len(one) + 1
            byte += _size(one) + 1
        raise AssertionError("the blocks do not add up")

    def char_at(self, byte: int) -> int:
        """The offset of the code point that starts at ``byte``; inside one, of that one."""
        left = min(max(0, byte), self._size)
        begins = self._sums()
        index = bisect_right(begins.bytes, left) - 1
        block, offset = self._blocks[index], begins.chars[index]
        left -= begins.bytes[index]
        if block.chars == block.size:
            return offset + left
        for one in block.lines:
            size = _size(one)
            if left <= size:
                return offset + len(one.encode()[:left].decode(errors="ignore"))
            left -= size + 1
            offset += len(one) + 1
        raise AssertionError("the blocks do not add up")

    # --- Changes ---

    def apply(self, edits: Sequence[Edit]) -> None:
        """Change the text: a parallel list, as ``core.edits`` has it.

        Raises:
            ValueError: if the edits do not fit the text.
        """
        if len(edits) > MANY_EDITS:
            self._set(apply_edits(self.text, edits))
            return
        if edits and edits[-1].end > self._length:
            raise ValueError(f"an edit ends at {edits[-1].end} in a text of {self._length}")
        for edit in reversed(edits):
            self._replace(edit)

    def _replace(self, edit: Edit) -> None:
        first, column = self.position(edit.position)
        last, end_column = self.position(edit.end)
        block, line = self._block_of(first)
        end_block, end_line = self._block_of(last)
        touched = self._blocks[block : end_block + 1]
        start_text = touched[0].lines[line][:column]
        end_text = touched[-1].lines[end_line][end_column:]
        new = (start_text + edit.inserted + end_text).split("\n")
        old_size = sum(one.size for one in touched)
        if block == end_block:
            self._replace_inside(touched[0], line, end_line, new)
            made = touched if len(touched[0].lines) <= 2 * BLOCK_LINES else _split(touched[0].lines)
        else:
            made = _split(touched[0].lines[:line] + new + touched[-1].lines[end_line + 1 :])
        self._blocks[block : end_block + 1] = made
        self._count += len(new) - (last - first + 1)
        self._length += len(edit.inserted) - edit.deleted
        self._size += sum(one.size for one in made) - old_size
        self._text = None
        self._begins = None

    @staticmethod
    def _replace_inside(block: _Block, first: int, last: int, new: list[str]) -> None:
        old = block.lines[first : last + 1]
        block.chars += sum(map(len, new)) + len(new) - sum(map(len, old)) - len(old)
        block.size += sum(map(_size, new)) + len(new) - sum(map(_size, old)) - len(old)
        block.lines[first : last + 1] = new


def _split(lines: list[str]) -> list[_Block]:
    return [_block(lines[at : at + BLOCK_LINES]) for at in range(0, len(lines), BLOCK_LINES)]
