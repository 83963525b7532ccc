"""The lines around the text: its name and who is here, what needs attention, how things are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from .paint import DARK, Look, readable, style

__all__ = ["Banner", "StatusBar", "TitleBar"]

NOTE = 4.0  # s that a note stays

Piece = tuple[str, str, str]
"""(text, color, ground)"""


class _Bar(Widget):
    """One row that is drawn from pieces."""

    DEFAULT_CSS = "_Bar { height: 1; width: 1fr; }"

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.look: Look = DARK

    def render_line(self, y: int) -> Strip:
        """The row: left pieces, room, right pieces; the left ones give way."""
        width = self.size.width
        left, right = self.pieces(width)
        color, ground = self.bar_colors()
        used = sum(cell_len(text) for text, _, _ in right)
        room = max(0, width - used)
        segments: list[Segment] = []
        for text, own, below in left:
            text = text if cell_len(text) <= room else set_cell_size(text, room)
            segments.append(Segment(text, style(own or color, below or ground)))
            room -= cell_len(text)
        segments.append(Segment(" " * room, style(color, ground)))
        segments += [
            Segment(text, style(own or color, below or ground)) for text, own, below in right
        ]
        return Strip(segments).adjust_cell_length(width, style(color, ground))

    def pieces(self, width: int) -> tuple[Sequence[Piece], Sequence[Piece]]:
        """What stands at the left and at the right; an empty color is the bar's."""
        raise NotImplementedError

    def bar_colors(self) -> tuple[str, str]:
        """The bar's own color and ground."""
        return self.look.text, self.look.bracket


class TitleBar(_Bar):
    """Which text it is, and who is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.people: Sequence[tuple[str, str]] = ()  # name, color
        self.following = ""

    def pieces(self, width: int) -> tuple[Sequence[Piece], Sequence[Piece]]:
        """The path; names as far as half the row goes, then how many more."""
        right: list[Piece] = []
        room = width // 2
        for count, (name, color) in enumerate(self.people):
            text = f" {name} "
            if cell_len(text) > room:
                right.append((f" +{len(self.people) - count} ", "", ""))
                break
            room -= cell_len(text) + 1
            right += [(text, readable(color), color), (" ", "", "")]
        title = f" {self.title}"
        if self.following:
            return [(title, "", ""), (f"  following {self.following}", self.look.dim, "")], right
        return [(title, "", "")], right


class Banner(_Bar):
    """A sentence that stays until something is done about it; hidden without one."""

    DEFAULT_CSS = "Banner { display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.choices = ""

    def say(self, text: str, choices: str = "") -> None:
        """Show this, or nothing."""
        self.text, self.choices = text, choices
        self.display = bool(text)
        self.refresh()

    def pieces(self, width: int) -> tuple[Sequence[Piece], Sequence[Piece]]:
        """The sentence, and the keys at the right."""
        right = [(f" {self.choices} ", "#ffffff", "#7a3b00")] if self.choices else []
        return [(f" {self.text}", "", "")], right

    def bar_colors(self) -> tuple[str, str]:
        """It is to be seen."""
        return "#000000", "#e8a33d"


class StatusBar(_Bar):
    """How things are: saved, linked, where the caret is; and what was just said."""

    def __init__(self) -> None:
        super().__init__()
        self.state = ""
        self.state_kind = "string"
        self.facts: Sequence[str] = ()
        self._note = ""
        self._timer: Timer | None = None

    def say(self, note: str) -> None:
        """Something to be read now; it goes away by itself."""
        self._note = note
        self.refresh()
        if self._timer is not None:
            self._timer.stop()
        if note:
            self._timer = self.set_timer(NOTE, lambda: self.say(""))

    def pieces(self, width: int) -> tuple[Sequence[Piece], Sequence[Piece]]:
        """The note takes the room of the facts that are least needed."""
        left: list[Piece] = [(f" {self.state} ", self.look.kinds[self.state_kind], "")]
        facts = list(self.facts)
        note = f" {self._note} " if self._note else ""
        while len(facts) > 1 and cell_len(left[0][0] + note + " · ".join(facts)) + 2 > width:
            facts.pop()
        if note:
            left.append((note, self.look.ground, self.look.kinds["string"]))
        return left, [(" " + " · ".join(facts) + " ", "", "")]
