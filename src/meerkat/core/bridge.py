"""The Yjs document that a node keeps for its Yjs editors of one text, and never sends elsewhere.

Decides what of an editor's frames is taken, who is told, and what is stored. Does not know the
text that the pool shares (T): the caller writes what changed here into T and the other way, so that
both hold the same string (docs/decisions/0017).

The document's own client id is random and at least 2^32; Yjs clients choose theirs below. It goes
on where it was when the document is loaded again: that is safe, since an update is stored in the
transaction of the step that sends it, so none was ever seen that the store does not have. Whoever
knows more of it than we do has met another time of ours (a restored backup), and whoever knows
another such id a document that is no more; both are *stale*, since merging them would double or
mix the text. So that everyone who was here can be told, the document begins with a mark of its
own, even if it is empty.

Like ``text.py``, this cannot see a change placed between neighbors that never were such. A document
that such a forgery spoiled is noticed when it is saved, and begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from .anchors import Anchors
from .birth import Entropy
from .bridge_table import BridgeTable
from .diff import diff
from .editing import SessionId
from .edits import Edit
from .ports import Store
from .text import Text, TextTooLarge, merge_updates
from .text_file import MAX_TEXT_BYTES
from .text_update import (
    ParsedUpdate,
    TextUnfit,
    TextUpdateError,
    TextUpdateGap,
    parse_update,
)
from .y_awareness import Awareness, Outgoing, RelativePosition
from .y_protocol import (
    MAX_FRAME_BYTES,
    AskAwareness,
    Ignored,
    ShowAwareness,
    SyncStep1,
    SyncUpdate,
    YMessage,
    YProtocolError,
    decode_frame,
    encode_step1,
    encode_step2,
    encode_update,
)

__all__ = ["FIRST_OWN_CLIENT", "Bridge", "Outgoing", "Received"]

FIRST_OWN_CLIENT: Final = 2**32
"""Yjs clients choose ids below (``random.uint32``), bridges from here on."""

MAX_GAPS = 4  # answers to our step 1 in a row that still lack something; guess
MAX_TOGETHER = 512  # updates taken as one: merging a thousand takes 5 ms, then it is quadratic
MAX_WAITING = 1_000  # updates that come while we wait for such an answer; guess
LAST_OWN_CLIENT: Final = 2**53 - 1  # what JavaScript holds exactly
_NONCE_BYTES = 32
_MARK = "\n"  # written and deleted when a document begins

_OTHER_TIME = "The editor's document is of another time of this text: open it again."
_TOO_LARGE = (
    f"The text would become larger than {MAX_TEXT_BYTES // 2**20} MiB, so the last change was not"
    " taken: open it again."
)


@dataclass(slots=True)
class Received:
    """What became of frames.

    ``edits``: one parallel list after the other, each on the text as it was then.
    ``cursors``: (anchor, head) in code points of the text now; None if they did not change, but
    for what others typed.
    ``refused``: (``Closed.reason``, a sentence): the session is over; what came before holds.
    """

    edits: list[list[Edit]] = field(default_factory=list)
    out: list[Outgoing] = field(default_factory=list)
    cursors: tuple[tuple[int, int], ...] | None = None
    refused: tuple[str, str] | None = None


class _Refused(Exception):
    """The session cannot go on."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason, self.text = reason, text


@dataclass(slots=True)
class _Session:
    is_synced: bool = False  # it told what it has (step 1), and heard what it lacked
    owes: bool = False  # it sent updates before that, which were not taken
    is_asked: bool = False  # we asked it again for what it has and wait
    gaps: int = 0
    waiting: int = 0
    shown: tuple[tuple[RelativePosition, RelativePosition], ...] = ()  # cursors last found
    is_lost: bool = False  # some of them are at characters that are not here yet


class Bridge:
    """One text's Yjs document and the sessions that have it open."""

    def __init__(self, store: Store, version: bytes, content: str, entropy: Entropy) -> None:
        """Load the document, or begin one; ``text`` is ``content`` then.

        Raises:
            ValueError: if ``content`` holds NUL or lone surrogates.
        """
        self._table = BridgeTable(store, version)
        self._sessions: dict[SessionId, _Session] = {}
        self._awareness = Awareness(entropy(_NONCE_BYTES))
        self._is_spoiled = False
        text = self._load()
        if text is None:
            text = Text(_own_client(entropy))
            text.edit([Edit(0, 0, _MARK)])
            text.edit([Edit(0, len(_MARK), "")])
            text.edit([Edit(0, 0, content)] if content else [])
            self._table.save(text.client, text.state())
        elif text.text != content:
            for update in text.edit(diff(text.text, content)):
                self._table.append(update)
        self._text = text
        self._anchors = Anchors(text)

    def _load(self) -> Text | None:
        saved = self._table.load()
        if saved is None or saved.client < FIRST_OWN_CLIENT:
            return None
        try:
            return Text.load(saved.state, saved.client, saved.updates)
        except TextUpdateError:
            return None

    @property
    def text(self) -> str:
        """The text, as all synced editors have it or will."""
        return self._text.text

    @property
    def sessions(self) -> Collection[SessionId]:
        """Who has it open."""
        return self._sessions.keys()

    def join(self, session: SessionId) -> list[Outgoing]:
        """An editor opens the text: it is asked what it has, and told who is here."""
        self._sessions[session] = _Session()
        ask = (session, encode_step1(self._text.clocks))
        return [ask, *self._awareness.join(session)]

    def leave(self, session: SessionId) -> list[Outgoing]:
        """An editor is gone, and with it its cursor at the others."""
        self._sessions.pop(session, None)
        return self._awareness.leave(session)

    def edit(self, edits: Sequence[Edit]) -> list[Outgoing]:
        """The shared text changed otherwise; positions refer to ``text``.

        Raises:
            ValueError: if they do not fit.
        """
        out: list[Outgoing] = []
        for update in self._text.edit(edits):
            self._table.append(update)
            out += self._relay(update)
        self._fold()
        return out

    def show(
        self, user: str, name: str, color: str, cursors: tuple[tuple[int, int], ...]
    ) -> list[Outgoing]:
        """Somebody's cursors who is no session here, in code points of ``text``; () means gone.

        Yjs clients forget what they did not hear of for 30 s, so call it again before. Of several
        cursors they can show one, the first.
        """
        cursor = None
        if cursors:
            anchor, head = (RelativePosition(self._anchors.item_at(place)) for place in cursors[0])
            cursor = (anchor, head)
        return self._awareness.show(user, name, color, cursor)

    def close(self) -> None:
        """Save it so that the next opening is quick; sessions are the caller's business."""
        if not self._table.is_folded:
            self._save()

    def receive(self, session: SessionId, frames: Sequence[bytes]) -> Received:
        """Frames of an editor, in order. Of a session that is not here they mean nothing."""
        received = Received()
        state = self._sessions.get(session)
        if state is None:
            return received
        try:
            messages, problem = _decode(frames)
            for message in self._gathered(state, messages):
                if self._is_spoiled:
                    raise _Refused("stale", _OTHER_TIME)
                self._take(session, state, message, received)
            if problem is not None:
                raise problem
        except _Refused as refused:
            received.refused = refused.reason, refused.text
        except YProtocolError as error:
            received.refused = "protocol", f"The editor sent what is no Yjs: {error}."
        self._find_cursors(session, state, received)
        self._fold()
        return received

    def _gathered(self, state: _Session, messages: Iterable[YMessage]) -> Iterator[YMessage]:
        """The messages, with updates that follow each other as one, if that can be applied.

        Typing that came together is then one change of the text and one operation of the log. What
        does not fit together is left as it came, so that the first that is wrong is found.
        """
        updates: list[SyncUpdate] = []
        for message in messages:
            if (
                isinstance(message, SyncUpdate)
                and not message.is_answer
                and len(updates) < MAX_TOGETHER
            ):
                updates.append(message)
            else:
                yield from self._together(state, updates)
                updates = []
                yield message
        yield from self._together(state, updates)

    def _together(self, state: _Session, updates: list[SyncUpdate]) -> list[SyncUpdate]:
        grown = sum(len(one.update) for one in updates)
        is_close = self._text.size + grown > MAX_TEXT_BYTES  # to the limit: take what still fits
        if len(updates) <= 1 or is_close or not state.is_synced:
            return updates
        try:
            for one in updates:
                parse_update(one.update)
            update = merge_updates([one.update for one in updates])
            if update is None:
                return updates
            parsed = parse_update(update)
            self._text.check(parsed, parsed.clients.keys())
        except TextUpdateError:
            return updates
        return [SyncUpdate(update)]

    def _take(
        self, session: SessionId, state: _Session, message: YMessage, received: Received
    ) -> None:
        match message:
            case SyncStep1():
                received.out += self._on_step1(session, state, message)
            case SyncUpdate():
                self._on_update(session, state, message, received)
            case ShowAwareness():
                received.out += self._awareness.hear(session, message)
            case AskAwareness():
                received.out += self._awareness.answer(session)
            case Ignored():
                pass

    def _on_step1(self, session: SessionId, state: _Session, message: SyncStep1) -> list[Outgoing]:
        """It says what it has: refuse another document's, or answer what it lacks."""
        own = self._text.client
        for client, clock in message.vector.items():
            if client >= FIRST_OWN_CLIENT and (client != own or clock > self._text.clocks[own]):
                raise _Refused("stale", _OTHER_TIME)
        try:
            update = self._text.update_since(message.vector)
        except TextUpdateError:
            raise _Refused("stale", _OTHER_TIME) from None
        state.is_synced = True
        out = [(session, encode_step2(update))]
        if state.owes:
            state.owes = False
            out.append((session, encode_step1(self._text.clocks)))
        return out

    def _on_update(
        self, session: SessionId, state: _Session, message: SyncUpdate, received: Received
    ) -> None:
        """It typed, here or while it was away."""
        if not state.is_synced:  # whose document is it? It would come again when we ask
            state.owes = True
            return
        if message.is_answer:
            state.is_asked = False
        try:
            parsed = parse_update(message.update)
            is_new = self._is_new(parsed)
            edits = self._text.apply(
                message.update, parsed.clients.keys(), parsed=parsed, limit=MAX_TEXT_BYTES
            )
        except TextUpdateGap:
            received.out += self._ask_again(session, state)
            return
        except TextTooLarge:
            raise _Refused("stale", _TOO_LARGE) from None
        except TextUnfit as problem:
            raise _Refused("stale", f"The last change was not taken, {problem}.") from None
        except TextUpdateError as problem:
            sentence = f"The editor's change is none of a plain text: {problem}."
            raise _Refused("protocol", sentence) from None
        state.gaps = state.waiting = 0
        if is_new or edits:
            self._table.append(message.update)
            received.out += self._relay(message.update, session)
        if edits:
            received.edits.append(edits)

    def _is_new(self, parsed: ParsedUpdate) -> bool:
        """Whether there is something in it that was not here.

        Raises:
            _Refused: if that is written in the name of a bridge, ours or another.
        """
        clocks = self._text.clocks
        is_new = False
        for client, (_, end) in parsed.clients.items():
            if end > clocks.get(client, 0):
                if client >= FIRST_OWN_CLIENT:
                    raise _Refused("stale", _OTHER_TIME)
                is_new = True
        return is_new

    def _ask_again(self, session: SessionId, state: _Session) -> list[Outgoing]:
        """Something is missing in between: it has it, since it built on it."""
        if state.is_asked:
            state.waiting += 1
        else:
            state.gaps += 1
        if state.gaps > MAX_GAPS or state.waiting > MAX_WAITING:
            raise _Refused("stale", _OTHER_TIME)
        if state.is_asked:
            return []
        state.is_asked = True
        return [(session, encode_step1(self._text.clocks))]

    def _relay(self, update: bytes, source: SessionId | None = None) -> list[Outgoing]:
        frame = encode_update(update)
        return [
            (session, frame)
            for session, state in self._sessions.items()
            if state.is_synced and session != source
        ]

    def _find_cursors(self, session: SessionId, state: _Session, received: Received) -> None:
        """Where its cursors are, if they moved or their characters came only now.

        Also if it typed: a cursor is said by the character behind it, and that stays the same.
        """
        shown = self._awareness.cursors(session)
        is_moved = shown != state.shown or (bool(shown) and bool(received.edits))
        if not is_moved and not state.is_lost:
            return
        found = []
        for pair in shown:
            anchor = self._place_of(pair[0])
            head = anchor if pair[0] == pair[1] else self._place_of(pair[1])
            if anchor is not None and head is not None:
                found.append((anchor, head))
        is_lost = len(found) < len(shown)
        if is_moved or not is_lost:
            received.cursors = tuple(found)
        state.shown, state.is_lost = shown, is_lost

    def _place_of(self, position: RelativePosition) -> int | None:
        if position.item is None and position.assoc < 0:
            return 0
        return self._anchors.offset_of(position.item, after=position.assoc < 0)

    def _fold(self) -> None:
        if self._table.is_long and not self._is_spoiled:
            self._save()

    def _save(self) -> None:
        """Fold all into a snapshot, if it loads as the same text; else forget the document."""
        state = self._text.state()
        try:
            is_same = Text.load(state, self._text.client).text == self.text
        except TextUpdateError:
            is_same = False
        if is_same:
            self._table.save(self._text.client, state)
        else:
            self._is_spoiled = True
            self._table.drop()


def _decode(frames: Sequence[bytes]) -> tuple[list[YMessage], Exception | None]:
    """The messages up to the first frame that is none, and what is wrong with that one."""
    messages: list[YMessage] = []
    for frame in frames:
        if len(frame) > MAX_FRAME_BYTES:
            return messages, _Refused("stale", _TOO_LARGE)
        try:
            messages.append(decode_frame(frame))
        except YProtocolError as problem:
            return messages, problem
    return messages, None


def _own_client(entropy: Entropy) -> int:
    return FIRST_OWN_CLIENT + int.from_bytes(entropy(8), "big") % (
        LAST_OWN_CLIENT - FIRST_OWN_CLIENT
    )
