"""Yjs pages at the peers of a simulation: real Yjs documents, as a browser's tab has one.

A page goes on typing while its node is away, and syncs when it is back, as the y-websocket
provider does.
"""

from __future__ import annotations

from typing import Any

import pycrdt

from meerkat.core.editing import Closed, EditorMessage, Frame, SessionId, Speech
from meerkat.core.effects import Answered
from meerkat.core.events import FramesReceived, TextClosed, TextOpened
from meerkat.core.y_protocol import (
    SyncStep1,
    SyncUpdate,
    decode_frame,
    encode_step1,
    encode_step2,
    encode_update,
    encode_vector,
)
from meerkat.testing.simulator import SimulatedPeer
from tests.simulation.people_editing import WORDS, Desks, Piped

_CLIENTS = 2**32 - 1  # Yjs in JavaScript chooses an id of 32 bits


class ModelPage(Piped):
    """A tab with one text."""

    def __init__(self, desks: Desks, one: SimulatedPeer, path: str) -> None:
        super().__init__(desks, one)
        self.path = path
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=self.rng.randint(1, _CLIENTS))
        self._text: pycrdt.Text = self.doc.get("text", type=pycrdt.Text)
        self._is_local = False
        self._updates: list[bytes] = []
        self.doc.observe(self._on_update)
        self.closed: Closed | None = None
        self.problems: list[str] = []
        self.session = SessionId(0)
        self.is_connected = False
        self.connect()

    @property
    def text(self) -> str:
        return str(self._text)

    def connect(self) -> None:
        """Open the text, or open it again after the node came back."""
        self.session = SessionId(self._desks.number())
        self.is_connected = True
        self._desks.editors[self.one.index, self.session] = self
        self._send(TextOpened(self._ticket(), self.session, self.path, Speech.YJS))
        self._send_frame(encode_step1(_vector(self.doc)))

    def disconnect(self, *, politely: bool) -> None:
        self.is_connected = False
        if politely:
            self._send(TextClosed(self.session))

    def _on_update(self, event: Any) -> None:
        if self._is_local:
            self._updates.append(event.update)

    # -- the socket ------------------------------------------------------------------------

    def _send_frame(self, frame: bytes) -> None:
        if self.is_connected:
            self._send(FramesReceived(self.session, (frame,)))

    def deliver(self, message: EditorMessage) -> None:
        session = self.session

        def take() -> None:
            if self.session == session and self.is_connected:
                self._take(message)

        self._simulator.call_at(self._when(to_node=False), take)

    def answered(self, answer: Answered) -> None:
        self.tickets.discard(answer.ticket)
        if answer.problem:
            self.problems.append(answer.problem)

    def _take(self, message: EditorMessage) -> None:
        if isinstance(message, Closed):
            self.closed = message
            self.is_connected = False
        elif isinstance(message, Frame):
            match decode_frame(message.data):
                case SyncStep1(vector=vector):
                    known = {c: k for c, k in vector.items() if c in _vector(self.doc)}
                    update = self.doc.get_update(encode_vector(known))
                    self._send_frame(encode_step2(update))
                case SyncUpdate(update=update):
                    self.doc.apply_update(update)
                case _:
                    pass

    # -- its person ------------------------------------------------------------------------

    def type(self, start: int, end: int, inserted: str) -> None:
        """Replace a range, in code points."""
        text = self.text
        first, last = len(text[:start].encode()), len(text[:end].encode())
        self._is_local = True
        with self.doc.transaction():
            if last > first:
                del self._text[first:last]
            if inserted:
                self._text.insert(first, inserted)
        self._is_local = False
        updates, self._updates = self._updates, []
        for update in updates:
            self._send_frame(encode_update(update))

    def type_something(self) -> None:
        start = self.rng.randint(0, len(self.text))
        end = min(len(self.text), start + self.rng.choice((0, 0, 0, 1, 2, 7)))
        inserted = "".join(self.rng.choices(WORDS, k=self.rng.choice((0, 1, 1, 2))))
        if inserted or end > start:
            self.type(start, end, inserted)

    def close(self) -> None:
        self.disconnect(politely=True)


def _vector(doc: pycrdt.Doc[Any]) -> dict[int, int]:
    frame = encode_step1_of(doc)
    message = decode_frame(frame)
    assert isinstance(message, SyncStep1)
    return dict(message.vector)


def encode_step1_of(doc: pycrdt.Doc[Any]) -> bytes:
    """Step 1 with the engine's own state vector."""
    state = doc.get_state()
    size, rest = len(state), bytearray()
    while size > 0x7F:
        rest.append(size & 0x7F | 0x80)
        size >>= 7
    rest.append(size)
    return b"\x00\x00" + bytes(rest) + state
