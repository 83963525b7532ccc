"""What is laid over the text: the file picker, "go to line", the help."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from meerkat.core.shown_text import one_line

from .fuzzy import rank
from .keymap import help_text

__all__ = ["GotoScreen", "HelpScreen", "PickerScreen"]

MOST_SHOWN = 200  # files in the list; more letters show others
NEW = "\0new"  # the option that makes a file


class _Over(ModalScreen[str]):
    """Something in a box; Escape closes it without an answer.

    Textual calls ``on_key`` of every class a screen is made of, so those below do not call this.
    """

    DEFAULT_CSS = """
    _Over { align: center top; background: $background 40%; }
    _Over > Vertical { width: 76; max-width: 96%; height: auto; max-height: 90%; margin-top: 1;
        background: $surface; padding: 0 1; }
    _Over Input { border: none; height: 1; margin: 0 0 1 0; }
    _Over Input:focus { border: none; }
    _Over OptionList { height: auto; max-height: 16; border: none; padding: 0; }
    _Over .hint { color: $text-muted; }
    """

    def on_key(self, event: events.Key) -> None:
        """Escape."""
        if event.key in ("escape", "ctrl+q"):
            event.stop()
            self.dismiss("")


class PickerScreen(_Over):
    """Choose a file by some of its letters, or make one. Its answer: the path."""

    def __init__(self, paths: Sequence[str], why: str = "") -> None:
        super().__init__()
        self._paths = paths
        self._why = why

    def compose(self) -> ComposeResult:
        """A field and a list."""
        with Vertical():
            yield Label(self._why or "Open a file: some letters of its path", id="why")
            yield Input(id="letters", compact=True)
            yield OptionList(id="list", markup=False)
            yield Label(
                "Enter: open   Ctrl-N: make the file that you typed   Esc: close", classes="hint"
            )

    def on_mount(self) -> None:
        """All of them."""
        self._list()
        self.query_one("#letters", Input).focus()

    def show(self, paths: Sequence[str]) -> None:
        """The folder has other files now."""
        self._paths = paths
        if self.is_mounted:
            self._list()

    def _list(self) -> None:
        query = self.query_one("#letters", Input).value
        options = self.query_one("#list", OptionList)
        options.clear_options()
        for path, places in rank(query, self._paths, MOST_SHOWN):
            shown = Text(one_line(path) or "?", no_wrap=True, overflow="ellipsis")
            for at in places:
                shown.stylize("bold underline", at, at + 1)
            options.add_option(Option(shown, id=path))
        wanted = query.strip()
        if wanted and wanted not in self._paths:
            options.add_option(Option(Text(f"+ new file {wanted}", style="italic"), id=NEW))
        if options.option_count:
            options.highlighted = 0

    def on_input_changed(self, event: Input.Changed) -> None:
        """As one types."""
        event.stop()
        self._list()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        options = self.query_one("#list", OptionList)
        if options.highlighted is not None:
            self._choose(options.get_option_at_index(options.highlighted).id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        event.stop()
        self._choose(event.option_id)

    def _choose(self, path: str | None) -> None:
        typed = self.query_one("#letters", Input).value.strip()
        self.dismiss(typed if path == NEW or path is None else path)

    def on_key(self, event: events.Key) -> None:
        """The list moves while the field has the keys."""
        options = self.query_one("#list", OptionList)
        moves: dict[str, Callable[[], None]] = {
            "up": options.action_cursor_up,
            "down": options.action_cursor_down,
            "pageup": options.action_page_up,
            "pagedown": options.action_page_down,
        }
        if event.key in moves and options.option_count:
            event.stop()
            event.prevent_default()
            moves[event.key]()
        elif event.key == "ctrl+n":
            event.stop()
            self._choose(NEW)


class GotoScreen(_Over):
    """A line, or line:column. Its answer: "line:column", both from 1."""

    def compose(self) -> ComposeResult:
        """One field."""
        with Vertical():
            yield Label("Go to line, or line:column")
            yield Input(id="place", compact=True)

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one("#place", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        found = re.fullmatch(r"\s*(\d{1,9})(?:\s*[:,]\s*(\d{1,9}))?\s*", event.value)
        if found is None:
            self.query_one(Label).update("A number, please: 120, or 120:8")
        else:
            self.dismiss(f"{found[1]}:{found[2] or 1}")


class HelpScreen(_Over):
    """All keys."""

    DEFAULT_CSS = "HelpScreen VerticalScroll { height: auto; max-height: 20; }"

    def compose(self) -> ComposeResult:
        """The table."""
        table = Text()
        for keys, says in help_text():
            table.append(f"{keys:<15}", style="bold")
            table.append(f"{says}\n")
        with Vertical():
            with VerticalScroll():
                yield Static(table)
            yield Label("Esc: close", classes="hint")

    def on_mount(self) -> None:
        """The arrows scroll."""
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: events.Key) -> None:
        """Also the key that opened it."""
        if event.key in ("f1", "enter", "q"):
            event.stop()
            self.dismiss("")
