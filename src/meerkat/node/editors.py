"""Editors of this machine: each open text is a session, and hears of it through a callback."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meerkat.core.editing import (
    Closed,
    EditorMessage,
    RangeEdit,
    Selection,
    SessionId,
    Speech,
)
from meerkat.core.effects import TellEditor
from meerkat.core.events import (
    CursorMoved,
    Event,
    LineEndsChosen,
    RangesEdited,
    TextClosed,
    TextOpened,
)

from .options import NodeConfig
from .requests import Requests

__all__ = ["Editors", "Hear", "Opened"]

Hear = Callable[[EditorMessage], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open text. ``text`` is what a session that speaks in ranges starts from."""

    session: SessionId
    path: str
    file: str  # hexadecimal
    version: str  # hexadecimal
    text: str = field(repr=False, default="")


class Editors:
    """Sessions by number. A callback runs inside the node's turn: it must be quick."""

    def __init__(
        self,
        post: Callable[[Event], None],
        put_frame: Callable[[SessionId, bytes], None],
        requests: Requests,
        config: NodeConfig,
    ) -> None:
        self._post, self._put_frame = post, put_frame
        self._requests = requests
        self._within = config.ticket
        self._numbers = itertools.count(1)
        self._hear: dict[SessionId, Hear] = {}

    async def open(
        self,
        path: str,
        speech: Speech,
        hear: Hear,
        content: str | None = None,
        *,
        saves: bool = True,
        line_ends: bool = False,
    ) -> Opened:
        """Open the text at ``path``; ``hear`` may be called before this returns.

        ``content``: what the editor shows; the difference is corrected by its first message.
        ``saves``: an editor that speaks in ranges writes the file itself, so nobody else does.
        ``line_ends``: it does so with the line ends that it is told.

        Raises:
            MeerkatError: if there is no such text, or the node cannot answer now.
        """
        session = SessionId(next(self._numbers))
        self._hear[session] = hear
        try:
            facts = await self._requests.ask(
                lambda ticket: TextOpened(ticket, session, path, speech, content, saves, line_ends),
                within=self._within,
            )
        except BaseException:
            self.close(session)
            raise
        return Opened(
            session,
            str(facts["path"]),
            str(facts["file"]),
            str(facts["version"]),
            str(facts.get("text", "")),
        )

    async def edit(self, session: SessionId, revision: int, edits: Sequence[RangeEdit]) -> None:
        """Type. Calls take effect in the order in which they are begun.

        Raises:
            MeerkatError: if it does not fit; the session is over then, open the text again.
        """
        await self._requests.ask(
            lambda ticket: RangesEdited(ticket, session, revision, tuple(edits)),
            within=self._within,
        )

    def frame(self, session: SessionId, data: bytes) -> None:
        """A frame of the y-websocket protocol; what makes no sense ends the session."""
        if session in self._hear:
            self._put_frame(session, data)

    def cursor(self, session: SessionId, selections: Sequence[Selection]) -> None:
        """Where the cursors are, in what the editor shows; none: it has no focus."""
        if session in self._hear:
            self._post(CursorMoved(session, tuple(selections)))

    def choose_line_ends(self, session: SessionId, *, crlf: bool) -> None:
        """The file's lines should end in CRLF, or in LF; for a session that is told of that."""
        if session in self._hear:
            self._post(LineEndsChosen(session, crlf))

    def close(self, session: SessionId) -> None:
        """Done with it; nothing is heard any more."""
        if self._hear.pop(session, None) is not None:
            self._post(TextClosed(session))

    def tell(self, effect: TellEditor) -> None:
        """The peer has something for a session."""
        hear = self._hear.get(effect.session)
        if hear is None:
            return
        if isinstance(effect.message, Closed):
            del self._hear[effect.session]
        hear(effect.message)

    def end(self, why: Closed) -> None:
        """All sessions are over: who decides now does not know them."""
        for session in list(self._hear):
            self.tell(TellEditor(session, why))
