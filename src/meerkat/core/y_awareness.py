"""Who shows what of themselves in one text's Yjs editors: names, colours, cursors.

Decides which awareness states are passed on, to whom, and when they are gone. Does not know where
a relative position is (``bridge.py`` asks ``anchors.py``). Nothing here is stored. The rules of
clocks are those of ``y-protocols/awareness.js``.

A client sends on what it hears from others, so the same state comes from many: whoever announced a
client first speaks for it, and all else is an echo.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from blake3 import blake3

from .anchors import Anchor
from .editing import SessionId
from .y_protocol import (
    MAX_STATE_BYTES,
    AwarenessState,
    ShowAwareness,
    decode_state,
    encode_awareness,
)

__all__ = ["Awareness", "Outgoing", "RelativePosition", "read_cursor"]

Outgoing = tuple[SessionId, bytes]
"""A frame for a session."""

CLIENTS_PER_SESSION = 8  # tabs of one browser may speak for one another; guess
MAX_VIRTUAL = 256  # people whose cursors are shown who are not sessions here; guess
MAX_GONE = 1_024  # clients remembered after they left, so that echoes do not bring them back
ROOT_NAME = "text"  # as text_update.ROOT
_LIGHT = "33"  # the alpha of a selection's colour, as y-codemirror's demos have it


@dataclass(frozen=True, slots=True)
class RelativePosition:
    """A place as Yjs' bindings write it; without an item, the text's end or start."""

    item: Anchor | None
    assoc: int = 0

    def to_json(self) -> dict[str, Any]:
        """All fields, as ``JSON.stringify`` gives them: y-monaco takes a missing one for an id."""
        item = None if self.item is None else {"client": self.item[0], "clock": self.item[1]}
        return {"type": None, "tname": ROOT_NAME, "item": item, "assoc": self.assoc}


@dataclass(slots=True)
class _Held:
    """A client that is here. ``owner``: the session that announced it; None is ourselves."""

    state: AwarenessState
    owner: SessionId | None
    cursor: tuple[RelativePosition, RelativePosition] | None = None


class Awareness:
    """The states of all clients in one text."""

    def __init__(self, nonce: bytes) -> None:
        """``nonce``: unpredictable; other ids every time, since clocks begin anew with us."""
        self._nonce = nonce
        self._sessions: dict[SessionId, None] = {}
        self._held: dict[int, _Held] = {}
        self._gone: OrderedDict[int, int] = OrderedDict()
        self._virtual: dict[str, int] = {}
        self._beat = 0  # one clock for all that we show: it may only grow

    def join(self, session: SessionId) -> list[Outgoing]:
        """A session comes: it is told who is here."""
        self._sessions[session] = None
        return self.answer(session)

    def answer(self, session: SessionId) -> list[Outgoing]:
        """A session asks who is here."""
        states = [held.state for held in self._held.values() if held.owner != session]
        return [(session, encode_awareness(states))] if states else []

    def leave(self, session: SessionId) -> list[Outgoing]:
        """A session goes, and all it spoke for.

        With the clock it had, as y-websocket's server does it: a tab that comes back goes on from
        that one, and nobody would hear it below ours.
        """
        self._sessions.pop(session, None)
        owned = [client for client, held in self._held.items() if held.owner == session]
        gone = [self._remove(client, self._held[client].state.clock) for client in owned]
        return self._tell(gone, session)

    def _remove(self, client: int, clock: int) -> AwarenessState:
        del self._held[client]
        self._gone[client] = clock
        self._gone.move_to_end(client)
        while len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)
        return AwarenessState(client, clock, "null")

    def hear(self, session: SessionId, message: ShowAwareness) -> list[Outgoing]:
        """A session shows states; what is new of its own goes to the others.

        Raises:
            YProtocolError: if one of them is not JSON.
        """
        news = []
        for state in message.states:
            held = self._held.get(state.client)
            if held is None:
                if state.is_gone or not self._may_announce(session, state):
                    continue
            elif held.owner != session or not _is_newer(state, held.state):
                continue
            if len(state.json) > MAX_STATE_BYTES:
                continue  # not shown, but that is no reason to stop somebody's work
            value = decode_state(state)
            if value is None:
                news.append(self._remove(state.client, state.clock))
            else:
                self._held[state.client] = _Held(state, session, read_cursor(value))
                news.append(state)
        return self._tell(news, session)

    def _may_announce(self, session: SessionId, state: AwarenessState) -> bool:
        if state.clock <= self._gone.get(state.client, -1):
            return False  # an echo of somebody who left
        owned = sum(held.owner == session for held in self._held.values())
        return owned < CLIENTS_PER_SESSION

    def cursors(self, session: SessionId) -> tuple[tuple[RelativePosition, RelativePosition], ...]:
        """The cursors (anchor, head) that a session shows."""
        held = (held for held in self._held.values() if held.owner == session)
        return tuple(each.cursor for each in held if each.cursor is not None)

    def show(
        self,
        user: str,
        name: str,
        color: str,
        cursor: tuple[RelativePosition, RelativePosition] | None,
    ) -> list[Outgoing]:
        """Somebody's cursor who is no session here; None: gone. To be told again at a beat."""
        self._beat += 1
        client = self._virtual.get(user)
        if cursor is None:
            if client is None or client not in self._held:
                return []
            del self._virtual[user]
            return self._tell([self._remove(client, self._beat)])
        if client is None:
            client = self._id_of(user)
            if len(self._virtual) >= MAX_VIRTUAL or client in self._held:
                return []
            self._virtual[user] = client
        anchor, head = (position.to_json() for position in cursor)
        place = {"anchor": anchor, "head": head}
        value = {
            "user": {"name": name, "color": color, "colorLight": color + _LIGHT},
            "cursor": place,  # y-codemirror.next, y-quill
            "selection": place,  # y-monaco
        }
        text = json.dumps(value, separators=(",", ":"))
        self._held[client] = _Held(AwarenessState(client, self._beat, text), None)
        return self._tell([self._held[client].state])

    def _id_of(self, user: str) -> int:
        digest = blake3(user.encode(errors="replace"), key=self._nonce).digest(length=4)
        return int.from_bytes(digest, "big") or 1

    def _tell(
        self, states: Sequence[AwarenessState], source: SessionId | None = None
    ) -> list[Outgoing]:
        if not states:
            return []
        frame = encode_awareness(states)
        return [(session, frame) for session in self._sessions if session != source]


def _is_newer(state: AwarenessState, known: AwarenessState) -> bool:
    return state.clock > known.clock or (state.clock == known.clock and state.is_gone)


def read_cursor(value: dict[str, Any]) -> tuple[RelativePosition, RelativePosition] | None:
    """Anchor and head in an awareness state, as the usual bindings write them."""
    for name in ("cursor", "selection"):
        place = value.get(name)
        if isinstance(place, dict):
            anchor, head = _read_position(place.get("anchor")), _read_position(place.get("head"))
            if anchor is not None and head is not None:
                return anchor, head
    return None


def _read_position(value: object) -> RelativePosition | None:
    """A relative position in our root text, or None if it is something else."""
    if not isinstance(value, dict) or value.get("type") is not None:
        return None
    item, assoc = value.get("item"), value.get("assoc")
    if value.get("tname") not in (None, ROOT_NAME):
        return None
    assoc = assoc if _is_number(assoc) else 0
    if item is None:
        return RelativePosition(None, assoc)
    if not isinstance(item, dict):
        return None
    client, clock = item.get("client"), item.get("clock")
    if not _is_number(client) or not _is_number(clock):
        return None
    return RelativePosition((client, clock), assoc)


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
