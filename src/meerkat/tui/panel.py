"""The list of people: who is here, and in which text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

__all__ = ["Here", "PeoplePanel"]


@dataclass(frozen=True, slots=True)
class Here:
    """Somebody in some text. ``is_own``: another window of ours."""

    name: str
    color: str
    path: str
    is_own: bool = False


class PeoplePanel(OptionList):
    """Names and paths; Enter or a click goes there and follows."""

    DEFAULT_CSS = """
    PeoplePanel { display: none; width: 26; height: 1fr; border: none; padding: 0 1; }
    PeoplePanel:focus { border: none; }
    """

    class Chosen(Message):
        """Go there, and follow."""

        def __init__(self, person: Here) -> None:
            super().__init__()
            self.person = person

    class Left(Message):
        """Back to the text."""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._people: Sequence[Here] = ()
        self._path = ""

    def show(self, people: Sequence[Here], path: str) -> None:
        """Who is here; ``path``: where we are."""
        if (people, path) == (self._people, self._path) and self.option_count:
            return
        at = self.highlighted
        self._people, self._path = people, path
        self.clear_options()
        for person in people:
            shown = Text(no_wrap=True, overflow="ellipsis")
            shown.append("● ", style=person.color)
            shown.append(person.name + (" (you)" if person.is_own else ""))
            where = "in this text" if person.path == path else person.path
            shown.append(f"\n  {where}", style="dim")
            self.add_option(Option(shown))
        if not people:
            self.add_option(Option(Text("Nobody else yet", style="dim"), disabled=True))
        else:
            self.highlighted = min(at or 0, len(people) - 1)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        event.stop()
        if event.option_index < len(self._people):
            self.post_message(self.Chosen(self._people[event.option_index]))

    def on_key(self, event: events.Key) -> None:
        """Escape."""
        if event.key == "escape":
            event.stop()
            self.post_message(self.Left())
