"""Which part of a text is on the screen: rows, wrapped or not, from a top row on.

Rows are found from the top row by walking, never counted from the beginning, so nothing here grows
with the text. Does not draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meerkat.core.edits import Edit

from .cells import LineCells, Row, line_cells
from .lines import Lines
from .spans import moved

__all__ = ["Place", "ShownRow", "Viewport"]

MARGIN = 2  # rows kept between the caret and the edge of the screen, and cells at the sides
_LAST = 2**40  # a column or line behind every other


@dataclass(frozen=True, slots=True)
class Place:
    """A row: the line's number, and the row's in it."""

    line: int
    row: int = 0


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row on the screen. ``begin``: the offset of its line's first code point."""

    line: int
    number: int  # in its line; 0 for the first
    begin: int
    row: Row
    is_last: bool  # of its line
    length: int  # code points of its line

    def holds(self, offset: int) -> bool:
        """Whether a caret at an offset stands in this row."""
        at = offset - self.begin
        return self.row.start <= at < self.row.end or (self.is_last and at == self.row.end)


class Viewport:
    """A window of ``width`` x ``height`` cells onto a text."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.width, self.height = 80, 24
        self.tab = 4
        self.wrap = True
        self.left = 0
        self.top = Place(0)

    # --- Rows ---

    def cells(self, line: int) -> LineCells:
        """A line, measured."""
        return line_cells(self.lines[line], self.tab)

    def starts(self, line: int) -> Sequence[int]:
        """Where the rows of a line begin."""
        cells = self.cells(line)
        return cells.rows(max(2, self.width)) if self.wrap or cells.is_long else (0,)

    def row(self, place: Place) -> Row:
        """One row."""
        return self.cells(place.line).row(self.starts(place.line), place.row, self.tab)

    def step(self, place: Place, rows: int) -> Place:
        """So many rows down (negative: up), not beyond the first and the last one."""
        line, row = place.line, place.row + rows
        while row < 0:
            if line == 0:
                return Place(0)
            line -= 1
            row += len(self.starts(line))
        while row >= (count := len(self.starts(line))):
            if line + 1 >= len(self.lines):
                return Place(line, count - 1)
            line += 1
            row -= count
        return Place(line, row)

    def shown(self) -> list[ShownRow]:
        """The rows on the screen."""
        self._clamp_top()
        found: list[ShownRow] = []
        line, first = self.top.line, self.top.row
        begin = self.lines.offset(line, 0)
        for text in self.lines.between(line, line + self.height):
            cells = line_cells(text, self.tab)
            starts = cells.rows(max(2, self.width)) if self.wrap or cells.is_long else (0,)
            for number in range(first, len(starts)):
                row = cells.row(starts, number, self.tab)
                is_last = number + 1 == len(starts)
                found.append(ShownRow(line, number, begin, row, is_last, len(text)))
                if len(found) >= self.height:
                    return found
            first = 0
            line += 1
            begin += len(text) + 1
        return found

    def _clamp_top(self) -> None:
        line = min(self.top.line, len(self.lines) - 1)
        row = min(self.top.row, len(self.starts(line)) - 1)
        self.top = Place(line, row)

    # --- Positions ---

    def locate(self, offset: int) -> tuple[Place, int]:
        """The row of an offset, and its cell there."""
        line, column = self.lines.position(offset)
        starts = self.starts(line)
        low, high = 0, len(starts)
        while high - low > 1:
            middle = (low + high) // 2
            if starts[middle] <= column:
                low = middle
            else:
                high = middle
        place = Place(line, low)
        return place, self.row(place).x_of(column)

    def offset_at(self, place: Place, x: int) -> int:
        """The offset at a cell of a row; behind its end, its last one."""
        row = self.row(place)
        column = row.column_at(x)
        if column >= row.end and place.row + 1 < len(self.starts(place.line)):
            column = self.cells(place.line).before(row.end)  # the next row begins at the end
        return self.lines.offset(place.line, column)

    def screen_y(self, offset: int) -> int | None:
        """The screen's row with an offset; None if it is not on the screen."""
        place, _ = self.locate(offset)
        return self.distance(place)

    def distance(self, place: Place) -> int | None:
        """How many rows below the top one a row is; None unless it is on the screen."""
        if (place.line, place.row) < (self.top.line, self.top.row):
            return None
        y = -self.top.row
        for line in range(self.top.line, place.line):
            y += len(self.starts(line))
            if y >= self.height:
                return None
        y += place.row
        return y if y < self.height else None

    # --- Scrolling ---

    def scroll(self, rows: int) -> None:
        """Move the window; its last row shows the text's last at the most."""
        bottom = self.step(Place(_LAST if not len(self.lines) else len(self.lines) - 1, 0), 10**6)
        lowest = self.step(bottom, 1 - self.height)
        top = self.step(self.top, rows)
        if rows > 0 and (top.line, top.row) > (lowest.line, lowest.row):
            top = max(self.top, lowest, key=lambda one: (one.line, one.row))
        self.top = top

    def reveal(self, offset: int, *, center: bool = False) -> None:
        """Scroll as little as is needed to show an offset; ``center``: into the middle if far."""
        self._clamp_top()
        place, x = self.locate(offset)
        margin = min(MARGIN, (self.height - 1) // 2)
        y = self.distance(place)
        if y is None:
            first = (place.line, place.row) < (self.top.line, self.top.row)
            near = self.height - 1 - margin
            above = self.height // 2 if center else (margin if first else near)
            self.top = self.step(place, -above)
        elif y < margin:
            self.top = self.step(place, -margin)
        elif y > self.height - 1 - margin:
            self._lower(y - (self.height - 1 - margin))
        self._reveal_x(place, x)

    def _lower(self, rows: int) -> None:
        """Scroll down, but not so far that nothing but emptiness comes into view."""
        before = self.top
        self.scroll(rows)
        if (self.top.line, self.top.row) < (before.line, before.row):
            self.top = before

    def _reveal_x(self, place: Place, x: int) -> None:
        if self.wrap or self.cells(place.line).is_long:
            self.left = 0
        elif x < self.left + MARGIN:
            self.left = max(0, x - self.width // 4)
        elif x >= self.left + self.width - MARGIN:
            self.left = x - self.width * 3 // 4

    def keep(self, offset: int, y: int) -> None:
        """Scroll so that an offset stands in the screen's row ``y``."""
        place, _ = self.locate(offset)
        self.top = self.step(place, -y)

    def top_offset(self) -> int:
        """The offset of the first thing on the screen; ask before the text changes."""
        self._clamp_top()
        return self.lines.offset(self.top.line, self.row(self.top).start)

    def follow_top(self, offset: int, edits: Sequence[Edit]) -> None:
        """The text changed: what was first on the screen (at ``offset`` before) is so again."""
        if offset:
            self.top, _ = self.locate(moved(offset, edits))
