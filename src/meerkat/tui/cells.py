"""Where each character of a line stands on a terminal: cells, clusters, rows of a wrapped line.

A *cluster* is what a person takes for one character (an emoji of several code points, a letter with
its marks); a caret never stands inside one. What a terminal would obey or hide (controls, changes
of direction, invisible spaces) gets a sign of its own. Widths are rich's: what Textual counts with.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import get_character_cell_size, split_graphemes

__all__ = ["LONG_LINE", "Cluster", "LineCells", "Row", "line_cells"]

LONG_LINE = 8_192  # code points; a longer line is cut into equal rows instead of being measured
MOST_MARKS = 6  # on one letter; more climb over the lines above. guess
CACHED_LINES = 1_024  # some screens full

MORE = "+"  # behind the first part of an emoji whose parts this terminal may not join
# Terminals that draw an emoji of several parts in two cells; the others may take more.
JOINS_EMOJI = os.environ.get("TERM_PROGRAM", "") in ("iTerm.app", "WezTerm", "ghostty") or (
    os.environ.get("TERM", "") in ("xterm-kitty", "xterm-ghostty", "wezterm")
)

_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_PICTURES = 0x2400  # Unicode's pictures of the controls 0 to 31
_SPACE, _DELETE, _AFTER_C1 = 0x20, 0x7F, 0xA0
_ZWJ, _SELECTOR_16 = "\u200d", "\ufe0f"
_INVISIBLE = frozenset("\u200c\u200d") | frozenset(map(chr, range(0xFE00, 0xFE10)))
# Invisible, or obeyed by terminals: soft hyphen, zero-width spaces and marks, embeddings,
# overrides, isolates and other format characters, line and paragraph separators.
_HIDDEN = frozenset(
    [
        *(0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFFF9, 0xFFFC),
    ]
)
_SURROGATES, _TAGS = range(0xD800, 0xE000), range(0xE0000, 0xE0100)
_BLANKS = " \t"


class Cluster(NamedTuple):
    """One drawn thing: code points ``start`` to ``end`` as ``text``, ``width`` cells from ``x``."""

    start: int
    end: int
    x: int
    width: int
    text: str
    is_sign: bool  # drawn in place of something invisible


class LineCells:
    """One line, measured. ``None`` in ``clusters``: plain ASCII, each character one cell."""

    __slots__ = ("_starts", "_xs", "clusters", "length", "text", "width")

    def __init__(self, text: str, tab: int) -> None:
        self.text = text
        self.length = len(text)
        self.clusters: Sequence[Cluster] | None = None
        if len(text) > LONG_LINE or (text.isascii() and text.isprintable()):
            self.width = len(text)
            return
        self.clusters = _measure(text, tab)
        self._starts = [cluster.start for cluster in self.clusters]
        self._xs = [cluster.x for cluster in self.clusters]
        last = self.clusters[-1]
        self.width = last.x + last.width

    @property
    def is_long(self) -> bool:
        """Too long to be measured: shown in rows of equal length, whatever is in it."""
        return self.length > LONG_LINE

    def x_of(self, column: int) -> int:
        """The cell at which the cluster with this code point begins."""
        if self.clusters is None:
            return min(column, self.length)
        index = bisect_right(self._starts, column) - 1
        return self._xs[index] if column < self.length else self.width

    def column_at(self, x: int) -> int:
        """The code point shown at a cell; behind the last one, the line's length."""
        if self.clusters is None:
            return min(max(0, x), self.length)
        if x >= self.width:
            return self.length
        return self._starts[max(0, bisect_right(self._xs, x) - 1)]

    def nearest(self, column: int) -> int:
        """``column``, or the start of the cluster it lies inside."""
        if self.clusters is None or column >= self.length:
            return min(column, self.length)
        return self._starts[max(0, bisect_right(self._starts, column) - 1)]

    def before(self, column: int) -> int:
        """Where the cluster before ``column`` starts."""
        if self.clusters is None:
            return max(0, column - 1)
        return self._starts[max(0, bisect_left(self._starts, column) - 1)]

    def after(self, column: int) -> int:
        """Where the cluster at ``column`` ends."""
        if self.clusters is None or column >= self.length:
            return min(column + 1, self.length)
        return self.clusters[bisect_right(self._starts, column) - 1].end

    def slice(self, start: int, end: int) -> Sequence[Cluster]:
        """The clusters that start in a range of code points; not for plain lines."""
        assert self.clusters is not None
        return self.clusters[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def rows(self, width: int) -> Sequence[int]:
        """Where each row starts when the line is wrapped at ``width`` cells; the first is 0."""
        if self.is_long:
            return range(0, self.length + 1, _row_length(self.text, width))
        return _wrap(self, width) if self.width > width else (0,)

    def row(self, starts: Sequence[int], number: int, tab: int) -> Row:
        """One of ``rows()``."""
        start = starts[number]
        end = starts[number + 1] if number + 1 < len(starts) else self.length
        if self.is_long:
            return Row(start, end, line_cells(self.text[start:end], tab), start, 0)
        return Row(start, end, self, 0, self.x_of(start))


class Row(NamedTuple):
    """The part of a line that stands in one row: code points ``start`` to ``end`` of the line."""

    start: int
    end: int
    cells: LineCells
    base: int  # the code point of the line with which ``cells`` begins
    left: int  # the cell of ``cells`` with which the row begins

    def x_of(self, column: int) -> int:
        """The cell, from the row's first one, at which a code point of the line stands."""
        return self.cells.x_of(column - self.base) - self.left

    def column_at(self, x: int) -> int:
        """The code point of the line at a cell of the row."""
        return min(self.cells.column_at(max(0, x) + self.left) + self.base, self.end)

    def clusters(self) -> Iterator[Cluster]:
        """What is drawn; positions are the line's and the row's."""
        cells = self.cells
        if cells.clusters is None:
            for at in range(self.start, self.end):
                text = cells.text[at - self.base]
                yield Cluster(at, at + 1, at - self.start, 1, text, False)
            return
        for one in cells.slice(self.start - self.base, self.end - self.base):
            yield one._replace(
                start=one.start + self.base, end=one.end + self.base, x=one.x - self.left
            )


@lru_cache(CACHED_LINES)
def line_cells(text: str, tab: int) -> LineCells:
    """A line, measured; ``tab`` in cells."""
    return LineCells(text, tab)


def _row_length(text: str, width: int) -> int:
    """Code points in a row of a long line: what surely fits."""
    return max(1, width if text.isascii() and text.isprintable() else width // 2)


def _measure(text: str, tab: int) -> list[Cluster]:
    clusters: list[Cluster] = []
    x = 0
    for start, end, width in _graphemes(text):
        shown, is_sign = text[start:end], False
        sign = _sign(shown, x, tab)
        if sign is not None:
            shown, is_sign, width = sign
        elif end - start > 1:
            shown, width = _agreed(shown, width)
        clusters.append(Cluster(start, end, x, width, shown, is_sign))
        x += width
    return clusters


def _agreed(cluster: str, width: int) -> tuple[str, int]:
    """What all terminals give the same width: some draw joined emoji as one and some do not."""
    if _SELECTOR_16 in cluster:
        cluster = cluster.replace(_SELECTOR_16, "")
        width = get_character_cell_size(cluster[0])
    parts = [one for one in cluster if get_character_cell_size(one) > 1 or one in _SKIN_TONES]
    if len(parts) > 1 and not JOINS_EMOJI:
        return cluster[0] + MORE, width + len(MORE)
    return (cluster if _ZWJ in cluster else cluster[: MOST_MARKS + 1]), width


def _graphemes(text: str) -> list[tuple[int, int, int]]:
    """rich's, but nothing that has a sign of its own hangs on the character before it."""
    found: list[tuple[int, int, int]] = []
    begin = 0
    for at, character in enumerate(text):
        if not " " <= character < "\x7f" and _is_signed(ord(character)):
            found += _shifted(text[begin:at], begin)
            found.append((at, at + 1, 1))
            begin = at + 1
        elif character == _ZWJ and not _joins(text[at + 1 : at + 2]):
            found += _shifted(text[begin : at + 1], begin)
            begin = at + 1
    found += _shifted(text[begin:], begin)
    return found


def _shifted(text: str, by: int) -> list[tuple[int, int, int]]:
    if text.isascii():
        return [(at, at + 1, 1) for at in range(by, by + len(text))]
    return [(start + by, end + by, width) for start, end, width in split_graphemes(text)[0]]


def _joins(following: str) -> bool:
    """Whether a joiner makes one picture of what is around it: emoji do so, letters do not."""
    return following != "" and get_character_cell_size(following) > 1


def _is_signed(code: int) -> bool:
    control = code < _SPACE or _DELETE <= code < _AFTER_C1
    return control or code in _HIDDEN or code in _SURROGATES or code in _TAGS


def _sign(cluster: str, x: int, tab: int) -> tuple[str, bool, int] | None:
    """What is drawn for something without a picture of its own, and its width; None: itself."""
    code = ord(cluster[0])
    if cluster == "\t":
        width = tab - x % tab
        return " " * width, False, width
    if code < _SPACE:
        return chr(_PICTURES + code), True, 1
    if code == _DELETE:
        return "\u2421", True, 1
    if _is_signed(code) or cluster[0] in _INVISIBLE:  # the latter on nothing
        sign = f"<{code:x}>"
        return sign, True, len(sign)
    if split_graphemes(cluster[0])[1] == 0:  # a mark on nothing
        return "\u25cc" + cluster[: MOST_MARKS + 1], False, 1
    return None


def _wrap(cells: LineCells, width: int) -> list[int]:
    """Rows end behind white space if there is a word before it, else where they are full."""
    text = cells.text
    starts = [0]
    while True:
        begin = starts[-1]
        end = max(cells.column_at(cells.x_of(begin) + width), begin + 1)
        if end >= cells.length:
            return starts
        if text[end] not in _BLANKS:
            blank = max(text.rfind(one, begin, end) for one in _BLANKS)
            if blank > begin and not text[begin:blank].isspace():
                end = blank + 1
        starts.append(end)
