"""One text that the editor has open: its document is kept in step with the folder's process.

Speaks the y-websocket protocol (sync and awareness). The document outlives the connection: what is
typed while the process is away is synced when it is back. Decides when all that was typed is saved:
when the process, asked after the last change, answered what we lack (it answers after its commit).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from meerkat.core.y_protocol import (
    AskAwareness,
    ShowAwareness,
    SyncStep1,
    SyncUpdate,
    YProtocolError,
    decode_frame,
    encode_awareness,
    encode_step1,
    encode_step2,
    encode_update,
    encode_vector,
)
from meerkat.errors import MeerkatError

from .connection import Folder
from .document import DocumentDamaged, LiveDocument
from .people import OwnState, People
from .spans import Span

__all__ = ["Closing", "State", "TextSession"]

Facts = Mapping[str, Any]


class State(Enum):
    """How far a session is."""

    NEW = "new"  # there is no such file yet
    OFFLINE = "offline"
    SYNCING = "syncing"
    LIVE = "live"
    CLOSED = "closed"


class Closing(Exception):
    """Why a session is over: ``reason`` as ``core.editing.Closed`` has it, and the sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class TextSession:
    """Connects one document to one path. ``on_change``: the state or the people changed;
    ``on_closed``: it is over, and the document goes on alone.
    """

    def __init__(
        self,
        folder: Folder,
        path: str,
        document: LiveDocument,
        *,
        on_change: Callable[[], None],
        on_closed: Callable[[Closing], None],
        on_moved: Callable[[str], None],
    ) -> None:
        self.path = path
        self.state = State.OFFLINE
        self.people = People(document)
        self.own = OwnState(document.client, "", "#888888")
        self.is_saved = True
        self._folder = folder
        self._document = document
        self._on_change, self._on_closed, self._on_moved = on_change, on_closed, on_moved
        self._session: int | None = None
        self._early: list[Facts] = []  # heard before we knew our number
        self._is_asked = False  # we said what we have: updates are taken from now on
        self._changes = 0  # of ours
        self._asked_at = -1  # how many there were when we asked whether all is saved
        self._told: dict[str, Any] | None = None

    # --- Opening ---

    async def open(self) -> None:
        """Open the text there, and sync.

        Raises:
            MeerkatError: why it cannot be opened (now).
        """
        self._drop()
        self.state = State.SYNCING
        self._on_change()
        early: list[Facts] = []
        self._early = early
        try:
            session, path = await self._folder.open_text(self.path, self._hear)
        except MeerkatError:
            if self.state is State.SYNCING:
                self.state = State.OFFLINE
                self._on_change()
            raise
        if early is not self._early or self.state is not State.SYNCING:
            self._folder.close_text(session)
            return
        self._session = session
        self._note_path(path)
        self._send(encode_step1(self._document.vector()))
        self._is_asked = True
        # What we typed while away goes out only when we are asked for it, maybe after the answer.
        self._asked_at = self._changes if self.is_saved else -1
        for event in early:
            self._on_event(event)

    def lost(self) -> None:
        """The process is away."""
        self._drop()
        if self.state is not State.CLOSED:
            self.state = State.OFFLINE
        self._on_change()

    def close(self) -> None:
        """We are done with the text."""
        if self._session is not None:
            self._folder.close_text(self._session)
        self._drop()
        self.state = State.CLOSED

    def _drop(self) -> None:
        self._session = None
        self._is_asked = False
        self._early = []
        self._told = None
        self.people.forget_all()

    # --- What we say ---

    def send_update(self, update: bytes) -> None:
        """We typed. While nobody listens it waits in the document."""
        self.is_saved = False
        self._changes += 1
        if self._is_asked:
            self._send(encode_update(update))

    def ask_saved(self) -> None:
        """Find out whether all that was typed is kept."""
        if self.state is State.LIVE and not self.is_saved and self._asked_at != self._changes:
            self._asked_at = self._changes
            self._send(encode_step1(self._document.vector()))

    def show_selection(self, span: Span, *, again: bool = False) -> None:
        """Tell the others where we are, if that is new; ``again``: so that they do not forget."""
        if self.state is not State.LIVE or not self.own.name:
            return
        selection = self.people.own_selection(span)
        if selection != self._told or again:
            self._told = selection
            self.own, state = self.own.told(selection)
            self._send(encode_awareness([state]))

    def _send(self, frame: bytes) -> None:
        if self._session is not None:
            self._folder.send_frame(self._session, frame)

    # --- What we hear ---

    def _hear(self, event: Facts) -> None:
        if self._session is None:
            self._early.append(event)
        elif event.get("session") == self._session:
            self._on_event(event)

    def _on_event(self, event: Facts) -> None:
        match event.get("what"):
            case "frame":
                self._on_frame(b64decode(str(event.get("data", ""))))
            case "moved":
                self._note_path(str(event.get("path", "")))
            case "closed":
                self._end(str(event.get("reason", "")), str(event.get("text", "")))
            case _:
                pass

    def _note_path(self, path: str) -> None:
        if path and path != self.path:
            self.path = path
            self._on_moved(path)

    def _end(self, reason: str, text: str) -> None:
        self._drop()
        self.state = State.CLOSED
        self._on_closed(Closing(reason, text))

    def _on_frame(self, frame: bytes) -> None:
        try:
            message = decode_frame(frame)
            match message:
                case SyncStep1(vector=vector):
                    missing = self._document.missing(encode_vector(vector))
                    self._send(encode_step2(missing))
                case SyncUpdate(update=update, is_answer=is_answer):
                    self._document.apply(update)
                    if is_answer:
                        self._on_answer()
                case ShowAwareness(states=states):
                    self.people.hear(states)
                    self._on_change()
                case AskAwareness():
                    self._told = None
                case _:
                    pass
        except (YProtocolError, DocumentDamaged) as problem:
            self.close()
            self._end("damaged", f"{problem} It is opened anew.")

    def _on_answer(self) -> None:
        """All that we said before we asked is kept."""
        if self.state is State.SYNCING:
            self.state = State.LIVE
        if self._asked_at == self._changes:
            self.is_saved = True
        else:
            self._asked_at = -1
        self._on_change()
