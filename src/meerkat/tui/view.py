"""The text on the screen: what is drawn where, the mouse, and scrolling.

Decides how a text, its selections, the people in it and what was found look. Does not change the
text: keys are named in ``keymap.py`` and done by ``commands.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich.segment import Segment
from textual import events
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from meerkat.core.edits import Edit

from . import moves
from .cells import LONG_LINE, Row
from .editing import Editing
from .highlight import Highlighter, Spans
from .indent import Indent
from .paint import DARK, Layer, Look, kind_layer, paint, readable, style, tinted
from .people import Cursor
from .spans import Span
from .viewport import Place, ShownRow, Viewport

__all__ = ["TextView"]

WHEEL_ROWS = 3
MIN_DIGITS = 3  # of the line numbers: the text does not jump at line 10 and 100
LABEL_GAP = 2  # cells between a line's end and the name of somebody whose cursor is in it
MAX_LABEL = 24  # cells of a name beside a line


class _Plan(NamedTuple):
    """A row, and all that decides how it looks: equal looks, equal cells."""

    row: Row
    look: tuple[Any, ...]


class TextView(Widget, can_focus=True):
    """One text. ``editing`` may be exchanged for another; ``show`` does so."""

    class Touched(Message):
        """The mouse moved the caret or the window: nobody is followed any more."""

    DEFAULT_CSS = "TextView { width: 1fr; height: 1fr; }"

    def __init__(self, editing: Editing) -> None:
        super().__init__()
        self.look: Look = DARK
        self.numbers = True
        self.people: Sequence[Cursor] = ()
        self.found: Callable[[str], Sequence[tuple[int, int]]] = lambda line: ()
        self.keys: Callable[[events.Key], bool] = lambda event: False
        self._wrap = True
        self._dragging = self._on_bar = False
        self.show(editing, Highlighter(editing.lines, None))

    def show(self, editing: Editing, highlighter: Highlighter) -> None:
        """Show another text."""
        self.editing = editing
        self.highlighter = highlighter
        self.viewport = Viewport(editing.lines)
        self.viewport.wrap = self._wrap
        self.goal: int | None = None  # the cell that up and down keep to
        self._rows: list[ShownRow] = []
        self._line_count = len(editing.lines)
        self._caret_y: int | None = None  # when it was last drawn
        self._top_offset = 0
        self._brackets: tuple[int, int] | None = None
        self._plans: list[_Plan] = []
        self._size_planned: Size | None = None
        self._is_redrawing = False
        self.set_indent(editing.indent)

    def set_indent(self, indent: Indent) -> None:
        """Tabs are that wide from now on."""
        self.editing.indent = indent
        self.viewport.tab = indent.size if indent.tabs else 4
        self.redraw()

    @property
    def wrap(self) -> bool:
        """Whether long lines go on in the next row."""
        return self._wrap

    @wrap.setter
    def wrap(self, wrap: bool) -> None:
        self._wrap = self.viewport.wrap = wrap
        self.viewport.left = 0
        self.viewport.reveal(self.editing.span.head)
        self.redraw()

    # --- Changes ---

    def text_changed(self, edits: Sequence[Edit], is_own: bool) -> None:
        """The text is another one; it was changed by us or by others."""
        lines = self.editing.lines
        shift = 0
        for edit in edits[:-1]:
            shift += len(edit.inserted) - edit.deleted
        first = lines.position(edits[0].position)[0]
        last = edits[-1]
        end = lines.position(last.position + shift + len(last.inserted))[0]
        grown = len(lines) - self._line_count
        self.highlighter.changed(first, end - grown, end - first + 1)
        self._line_count = len(lines)
        if not is_own:
            self._stay(edits)
        self.redraw()

    def _stay(self, edits: Sequence[Edit]) -> None:
        """What one looks at stays where it is while others write elsewhere."""
        if self._caret_y is not None:
            self.viewport.keep(self.editing.span.head, self._caret_y)
        else:
            self.viewport.follow_top(self._top_offset, edits)
        self._top_offset = self.viewport.top_offset()

    def reveal(self, *, center: bool = False) -> None:
        """Scroll to the caret."""
        self.viewport.reveal(self.editing.span.head, center=center)
        self._note_place()
        self.redraw()

    def _note_place(self) -> None:
        self._caret_y = self.viewport.screen_y(self.editing.span.head)
        self._top_offset = self.viewport.top_offset()

    def scroll_rows(self, rows: int) -> None:
        """Move the window without the caret."""
        self.viewport.scroll(rows)
        self._note_place()
        self.redraw()

    # --- Geometry ---

    @property
    def margin_left(self) -> int:
        """Cells of the line numbers and what parts them from the text."""
        if not self.numbers:
            return 1
        return max(MIN_DIGITS, len(str(len(self.editing.lines)))) + 2

    def on_resize(self) -> None:
        """The terminal is larger or smaller."""
        self._measure()
        self.viewport.reveal(self.editing.span.head)
        self._note_place()

    def _measure(self) -> None:
        # One cell for the bar at the right, one for a caret behind a full row.
        self.viewport.width = max(4, self.size.width - self.margin_left - 2)
        self.viewport.height = max(1, self.size.height)

    def offset_at(self, at: Offset) -> int:
        """The text's offset at a cell of the widget."""
        place = self.viewport.step(self.viewport.top, at.y)
        return self.viewport.offset_at(place, max(0, at.x - self.margin_left + self.viewport.left))

    # --- Drawing ---

    def redraw(self) -> None:
        """Something is to look different: soon find out which rows, and draw those."""
        if self.is_mounted and not self._is_redrawing:
            self._is_redrawing = True
            self.call_next(self._redraw)

    def _redraw(self) -> None:
        self._is_redrawing = False
        before, self._plans = self._plans, self._plan()
        width = self.size.width
        for y in range(self.size.height):
            old = before[y] if y < len(before) else None
            new = self._plans[y] if y < len(self._plans) else None
            if old is None or new is None or old.look != new.look:
                self.refresh(Region(0, y, width, 1))

    def _plan(self) -> list[_Plan]:
        """How every row of the screen is to look."""
        self._measure()
        self._size_planned = self.size
        self._rows = self.viewport.shown()
        self._note_place()
        first, end = (self._rows[0].line, self._rows[-1].line + 1) if self._rows else (0, 0)
        kinds = self.highlighter.spans(first, end)
        span = self.editing.span
        self._brackets = None
        if self.has_focus and span.is_empty:
            self._brackets = moves.bracket_at(self.editing.lines, span.head)
        return [
            self._plan_row(y, shown, kinds[shown.line - first])
            for y, shown in enumerate(self._rows)
        ]

    def _plan_row(self, y: int, shown: ShownRow, kinds: Spans) -> _Plan:
        row, begin, head = shown.row, shown.begin, self.editing.span.head
        is_caret_line = begin <= head <= begin + shown.length and self.has_focus
        lit = is_caret_line and self.editing.span.is_empty
        ground = self.look.own_line if lit else self.look.ground
        here = [one for one in self.people if shown.holds(one.span.head)]
        number = str(shown.line + 1) if shown.number == 0 and self.numbers else ""
        room = self.size.width - self.margin_left - 1
        used = max(0, row.x_of(row.end) - self.viewport.left)
        looks = (
            row.cells.text[row.start - row.base : row.end - row.base],
            row.start,
            self.viewport.left,
            self.margin_left,
            number,
            is_caret_line,
            here[0].color if here else "",
            ground,
            tuple(self._layers(shown, kinds)),
            tuple(self._tail(shown, here, room - used, ground)),
            self._bar(y),
        )
        return _Plan(row, looks)

    def render_lines(self, crop: Region) -> list[Strip]:
        """What was planned, or if the size is another since, what is planned now."""
        if self._size_planned != self.size:
            self._plans = self._plan()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width, look = self.size.width, self.look
        if y >= len(self._plans):
            empty = Segment(" " * (width - 1), style(look.dim, look.ground))
            return Strip([empty, self._bar(y)], width)
        row, looks = self._plans[y]
        _, _, left, margin, number, is_caret_line, mark, ground, layers, tail, bar = looks
        color = look.text if is_caret_line else look.dim
        side = Segment("▎", style(mark, ground)) if mark else Segment(" ", style(color, ground))
        digits = margin - 2
        pieces = [Segment(f"{number:>{digits}} " if digits > 0 else "", style(color, ground)), side]
        pieces += paint(row, layers, look, ground, (left, left + width - margin - 1))
        pieces += tail
        strip = Strip(pieces).adjust_cell_length(width - 1, style(look.dim, ground))
        return Strip([*strip, bar], width)

    def _layers(self, shown: ShownRow, kinds: Spans) -> list[Layer]:
        """From the lowest to the highest; positions are the line's."""
        look, begin, row = self.look, shown.begin, shown.row
        layers = [
            kind_layer(look, *one) for one in kinds if one[0] < row.end and one[1] > row.start
        ]
        layers += [
            Layer(one.span.start - begin, one.span.end - begin, "", tinted(one.color, look.ground))
            for one in self.people
            if one.span.end > begin + row.start and one.span.start < begin + row.end
        ]
        span = self.editing.span
        for start, end in self.found(row.cells.text) if row.cells.length <= LONG_LINE else ():
            is_now = (begin + row.base + start, begin + row.base + end) == (span.start, span.end)
            ground = look.found_now if is_now else look.found
            layers.append(Layer(row.base + start, row.base + end, "", ground))
            if is_now:
                span = Span(span.head, span.head)
        if span.end > begin + row.start and span.start < begin + row.end:
            layers.append(Layer(span.start - begin, span.end - begin, "", look.selection))
        layers += [
            Layer(at - begin, at - begin + 1, "", look.bracket, "bold")
            for at in self._brackets or ()
            if begin + row.start <= at < begin + row.end
        ]
        for one in self.people:
            if shown.holds(one.span.head):
                layers.append(self._caret(shown, one.span.head, readable(one.color), one.color))
        if self.has_focus and shown.holds(self.editing.span.head):
            layers.append(self._caret(shown, self.editing.span.head, look.ground, look.text))
        return layers

    @staticmethod
    def _caret(shown: ShownRow, head: int, color: str, ground: str) -> Layer:
        """A whole cluster; behind the row's end there is none, and ``_tail`` draws it."""
        row, at = shown.row, head - shown.begin - shown.row.base
        end = max(row.cells.after(at), at) + row.base
        return Layer(row.cells.nearest(at) + row.base, end, color, ground)

    def _tail(
        self, shown: ShownRow, here: Sequence[Cursor], room: int, ground: str
    ) -> list[Segment]:
        """What stands behind the end of a row: carets, a selected line end, names."""
        if room <= 0:
            return []
        look, span = self.look, self.editing.span
        end = shown.begin + shown.row.end
        pieces: list[Segment] = []
        at_end = [one for one in here if one.span.head == end]
        if span.head == end and self.has_focus and shown.is_last:
            pieces.append(Segment(" ", style(look.ground, look.text)))
        elif at_end:
            pieces.append(Segment(" ", style(look.text, at_end[0].color)))
        elif shown.is_last and span.start <= end < span.end:
            pieces.append(Segment(" ", style(look.text, look.selection)))
        room -= len(pieces)
        for one in here:
            name = Segment(f" {one.name[:MAX_LABEL]} ", style(readable(one.color), one.color))
            gap = Segment(" " * LABEL_GAP, style(look.dim, ground))
            room -= name.cell_length + LABEL_GAP
            if room < 0:
                break
            pieces += [gap, name]
        return pieces

    def _bar(self, y: int) -> Segment:
        """One cell of the bar at the right: where the window is, and where the others are."""
        look, height = self.look, max(1, self.size.height)
        count = max(1, len(self.editing.lines))
        for one in self.people:
            if min(height - 1, one.line * height // max(count, height)) == y:
                return Segment("●", style(one.color, look.ground))
        first, last = self.viewport.top.line, self._rows[-1].line if self._rows else 0
        if count <= height and first == 0 and last == count - 1:
            return Segment(" ", style(look.dim, look.ground))
        is_thumb = first * height // count <= y <= last * height // count
        return Segment("┃" if is_thumb else "│", style(look.dim, look.ground))

    # --- Keys and the mouse ---

    def on_key(self, event: events.Key) -> None:
        """Whoever knows the keys takes them."""
        if self.keys(event):
            event.stop()
            event.prevent_default()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the caret; with shift, select up to there."""
        if event.button != 1:
            return
        self.focus()
        self.post_message(self.Touched())
        self._on_bar = event.x >= self.size.width - 1
        if self._on_bar:
            self.capture_mouse()
            self._jump(event.y)
            return
        at = self.offset_at(event.offset)
        self.editing.put(at, select=event.shift)
        self.goal = None
        self._dragging = True
        self.capture_mouse()
        self._note_place()
        self.redraw()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Select while the button is held; beyond an edge the text scrolls."""
        if self._on_bar:
            self._jump(min(max(0, event.y), self.size.height - 1))
        if not self._dragging:
            return
        if event.y < 0 or event.y >= self.size.height:
            self.viewport.scroll(event.y if event.y < 0 else event.y - self.size.height + 1)
        y = min(max(0, event.y), self.size.height - 1)
        self.editing.put(self.offset_at(Offset(event.x, y)), select=True)
        self._note_place()
        self.redraw()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """The selection is made."""
        self._dragging = self._on_bar = False
        self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        """Twice a word, three times a line."""
        if event.button != 1 or event.chain < 2 or event.x >= self.size.width - 1:
            return
        lines, at = self.editing.lines, self.offset_at(event.offset)
        if event.chain == 2:
            self.editing.select(*moves.word_at(lines, at))
        else:
            line = lines.position(at)[0]
            self.editing.select(lines.offset(line, 0), lines.offset(line + 1, 0))
        self._note_place()
        self.redraw()

    def _jump(self, y: int) -> None:
        line = y * len(self.editing.lines) // max(1, self.size.height)
        self.viewport.top = self.viewport.step(Place(line), -(self.size.height // 2))
        self._note_place()
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.post_message(self.Touched())
        self.scroll_rows(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.post_message(self.Touched())
        self.scroll_rows(-WHEEL_ROWS)
