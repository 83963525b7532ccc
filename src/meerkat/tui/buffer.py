"""One open text with all that belongs to it: its document, caret, session, colors."""

from __future__ import annotations

import random
from collections.abc import Sequence

from meerkat.core.edits import Edit

from .connection import Folder
from .document import MAX_CLIENT
from .editing import Editing
from .highlight import Highlighter, lexer_for
from .indent import guess_indent
from .session import Closing, State, TextSession

__all__ = ["Buffer", "Listener"]


_chance = random.SystemRandom()


class Listener:
    """Who is told what happens to a buffer; the app is one."""

    def text_changed(self, buffer: Buffer, edits: Sequence[Edit], is_own: bool) -> None:
        """The text is another one."""

    def session_changed(self, buffer: Buffer) -> None:
        """Its state, or the people in it."""

    def session_closed(self, buffer: Buffer, why: Closing) -> None:
        """Nobody keeps the text in step any more."""

    def moved(self, buffer: Buffer) -> None:
        """It has another path."""


class Buffer:
    """A text by its path. ``is_new``: there is no such file yet."""

    def __init__(
        self,
        folder: Folder,
        path: str,
        listener: Listener,
        *,
        is_new: bool = False,
    ) -> None:
        self._listener = listener
        self.is_new = is_new
        self.line_end = "LF"
        self.was_filled = False  # the text came, so its indentation was guessed
        client = _chance.randrange(1, MAX_CLIENT)
        self.editing = Editing(client, self._send, self._text_changed)
        self.session = TextSession(
            folder,
            path,
            self.editing.document,
            on_change=lambda: listener.session_changed(self),
            on_closed=lambda why: listener.session_closed(self, why),
            on_moved=lambda path: self._moved(),
        )
        if is_new:
            self.session.state = State.NEW
        self.highlighter = Highlighter(self.editing.lines, lexer_for(path))
        self._name()

    @property
    def path(self) -> str:
        """Where the text is."""
        return self.session.path

    @property
    def text(self) -> str:
        """All of it."""
        return self.editing.document.text

    def _name(self) -> None:
        self.editing.path = self.path
        self.editing.indent = guess_indent(self.editing.lines.between(0, 2_000), self.path)

    def _moved(self) -> None:
        self.highlighter = Highlighter(self.editing.lines, lexer_for(self.path))
        self.editing.path = self.path
        self._listener.moved(self)

    def _send(self, update: bytes) -> None:
        self.session.send_update(update)

    def _text_changed(self, edits: Sequence[Edit], is_own: bool) -> None:
        self.session.people.text_changed(edits)
        if not self.was_filled and self.editing.lines.length > 0:
            self.was_filled = True
            if not is_own:
                self._name()
                self.editing.span = type(self.editing.span)(0, 0)
        self._listener.text_changed(self, edits, is_own)
