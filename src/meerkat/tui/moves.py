"""Where a key takes the caret: characters, words, lines. Offsets in, offsets out."""

from __future__ import annotations

import re

from .cells import line_cells
from .lines import Lines

__all__ = [
    "bracket_at",
    "char_left",
    "char_right",
    "line_home",
    "word_at",
    "word_left",
    "word_right",
]

_WORD = re.compile(r"\w+|[^\w\s]+")
_TAB = 4  # cells; of no matter for where a cluster begins
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_BACK = {close: opening for opening, close in _PAIRS.items()}
BRACKET_REACH = 20_000  # code points that are looked through for a bracket's partner. guess


def char_left(lines: Lines, offset: int) -> int:
    """One character back; a line's end counts as one."""
    line, column = lines.position(offset)
    if column == 0:
        return max(0, offset - 1)
    return offset - column + line_cells(lines[line], _TAB).before(column)


def char_right(lines: Lines, offset: int) -> int:
    """One character on."""
    line, column = lines.position(offset)
    text = lines[line]
    if column >= len(text):
        return min(lines.length, offset + 1)
    return offset - column + line_cells(text, _TAB).after(column)


def word_left(lines: Lines, offset: int) -> int:
    """The beginning of the word before; at a line's beginning, the end of the line before."""
    line, column = lines.position(offset)
    if column == 0:
        return max(0, offset - 1)
    start = 0
    for found in _WORD.finditer(lines[line], 0, column):
        start = found.start()
    return offset - column + start


def word_right(lines: Lines, offset: int) -> int:
    """The end of the word behind; at a line's end, the beginning of the next."""
    line, column = lines.position(offset)
    text = lines[line]
    if column >= len(text):
        return min(lines.length, offset + 1)
    found = _WORD.search(text, column)
    return offset - column + (found.end() if found else len(text))


def word_at(lines: Lines, offset: int) -> tuple[int, int]:
    """The word around an offset, or the one character or blank there."""
    line, column = lines.position(offset)
    text, begin = lines[line], offset - column
    for found in _WORD.finditer(text):
        if found.start() <= column <= found.end() and found.end() > column - 1:
            return begin + found.start(), begin + found.end()
        if found.start() > column:
            break
    return offset, min(char_right(lines, offset), begin + len(text))


def line_home(lines: Lines, offset: int) -> int:
    """The first character of a line that is no blank; from there, its beginning."""
    line, column = lines.position(offset)
    text = lines[line]
    indent = len(text) - len(text.lstrip(" \t"))
    return offset - column + (0 if column == indent else indent)


def bracket_at(lines: Lines, offset: int) -> tuple[int, int] | None:
    """The bracket behind or before the caret and its partner, if both are near."""
    for at in (offset, offset - 1):
        if not 0 <= at < lines.length:
            continue
        one = lines.slice(at, at + 1)
        if one in _PAIRS:
            text = lines.slice(at, min(lines.length, at + BRACKET_REACH))
            found = _partner(text, one, _PAIRS[one])
            return (at, at + found) if found is not None else None
        if one in _BACK:
            start = max(0, at + 1 - BRACKET_REACH)
            text = lines.slice(start, at + 1)[::-1]
            found = _partner(text, one, _BACK[one])
            return (at, at - found) if found is not None else None
    return None


def _partner(text: str, one: str, other: str) -> int | None:
    depth = 0
    for found in re.finditer(f"[{re.escape(one + other)}]", text):
        depth += 1 if found[0] == one else -1
        if depth == 0:
            return found.start()
    return None
