"""The rows at the bottom where one says what to find, and what to put in its place."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label

from .paint import Look
from .search import Query

__all__ = ["FindBar"]

HINT = "Enter next  ↑ previous  Alt-C case  Alt-W word  Alt-R regex  Esc"
REPLACE_HINT = "Enter replace, go on  Alt-A replace all  Tab back"
_SWITCHES = {"alt+c": "case", "alt+w": "word", "alt+r": "regex"}


class FindBar(Vertical):
    """Hidden until it is needed. What it wants it says in messages."""

    DEFAULT_CSS = """
    FindBar { display: none; height: auto; width: 1fr; }
    FindBar Horizontal { height: 1; width: 1fr; }
    FindBar Label { height: 1; padding: 0 1; }
    FindBar .hint { color: $text-muted; }
    FindBar #replace-row .hint { max-width: 60%; }
    FindBar Input { width: 1fr; height: 1; border: none; padding: 0; }
    FindBar Input:focus { border: none; }
    """

    class Changed(Message):
        """The query is another one."""

    class Go(Message):
        """To the next match, or the one before."""

        def __init__(self, back: bool) -> None:
            super().__init__()
            self.back = back

    class Replace(Message):
        """The match at the caret, or all of them."""

        def __init__(self, everywhere: bool) -> None:
            super().__init__()
            self.everywhere = everywhere

    class Closed(Message):
        """Nothing is to be found any more."""

    def __init__(self) -> None:
        super().__init__()
        self.case = self.word = self.regex = False

    def compose(self) -> ComposeResult:
        """Two rows."""
        with Horizontal():
            yield Label("Find", id="find-label")
            yield Input(id="find", compact=True)
            yield Label("", id="found")
        with Horizontal(id="replace-row"):
            yield Label("With")
            yield Input(id="replace", compact=True)
            yield Label(REPLACE_HINT, classes="hint")
        yield Label(HINT, classes="hint", id="hint")

    @property
    def query_text(self) -> Query:
        """What to look for."""
        text = self.query_one("#find", Input).value
        return Query(text, self.case, self.regex, self.word)

    @property
    def replacement(self) -> str:
        """What to put there."""
        return self.query_one("#replace", Input).value

    def set_look(self, look: Look) -> None:
        """Light or dark; what is hidden does not hear of another theme by itself."""
        for field in self.query(Input):
            field.styles.background, field.styles.color = look.ground, look.text

    def open(self, text: str, *, replace: bool) -> None:
        """Show it with this text in it."""
        self.display = True
        self.query_one("#replace-row").display = replace
        field = self.query_one("#find", Input)
        if text:
            field.value = text
        field.focus()
        field.select_all()
        self._label()

    def say(self, found: str) -> None:
        """How many there are, or what is wrong."""
        self.query_one("#found", Label).update(found)

    def _label(self) -> None:
        names = [name for name in ("case", "word", "regex") if getattr(self, name)]
        self.query_one("#find-label", Label).update(
            "Find" + (f" ({', '.join(names)})" if names else "")
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """As one types."""
        event.stop()
        if event.input.id == "find":
            self.post_message(self.Changed())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        if event.input.id == "find":
            self.post_message(self.Go(back=False))
        else:
            self.post_message(self.Replace(everywhere=False))

    def on_key(self, event: events.Key) -> None:
        """What the fields do not take themselves."""
        if event.key in _SWITCHES:
            name = _SWITCHES[event.key]
            setattr(self, name, not getattr(self, name))
            self._label()
            self.post_message(self.Changed())
        elif event.key in ("up", "shift+f3"):
            self.post_message(self.Go(back=True))
        elif event.key in ("down", "f3"):
            self.post_message(self.Go(back=False))
        elif event.key in ("alt+a", "ctrl+alt+enter"):
            self.post_message(self.Replace(everywhere=True))
        elif event.key == "escape":
            self.display = False
            self.post_message(self.Closed())
        else:
            return
        event.stop()
        event.prevent_default()
