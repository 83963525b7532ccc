"""Where people are in open texts: said by everyone of itself, spread, never stored.

A cursor travels as the characters it stands before (Yjs item ids), so it is right whatever else
arrives first; typing in front of a character moves nobody who stands before it, so a person who
types says nothing new. What is heard is checked against the text before the engine sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct

from .allowance import Allowance
from .editing import SessionId
from .ids import AuthorId, MemberId
from .messages import Bytes16
from .packing import pack
from .timing import NEVER, ROUNDING

__all__ = ["Cursors", "CursorsConfig", "HeardCursor", "Spot", "colors_of"]

MAX_SELECTIONS = 16  # of one session; an editor with more shows its first (guess)
MAX_SESSIONS = 32  # of one author (guess)
MAX_HEARD = 2_048  # cursors of others that are remembered (guess)
_USER_BYTES = 8  # of an author, in a cursor's name

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Spot = tuple[Number, Number] | None
"""The character (client, clock) that a cursor stands before; None: the end of the text."""


@dataclass(frozen=True, slots=True)
class CursorsConfig:
    """Pace, in seconds."""

    beat: float = 4.0
    """Between two of ours if nothing changes; two may get lost (design: gone after ten)."""
    gone: float = 10.0
    """Without a word, a cursor disappears (design, section 9)."""
    rate: float = 10.0
    """Changes said per second (guess: smooth enough to follow), and ``burst`` at once."""
    burst: float = 5.0


class _Cursor(Struct, frozen=True, array_like=True):
    session: Number
    version: Bytes16
    selections: Annotated[tuple[tuple[Spot, Spot], ...], Meta(max_length=MAX_SELECTIONS)]


class _Said(Struct, frozen=True, array_like=True):
    """All cursors of one author: what is not in here any more is gone."""

    cursors: Annotated[tuple[_Cursor, ...], Meta(max_length=MAX_SESSIONS)]


_decoder: msgspec.msgpack.Decoder[_Said] = msgspec.msgpack.Decoder(_Said)


@dataclass(slots=True)
class HeardCursor:
    """A cursor of somebody else. ``user`` is its name for editors, unique in the pool."""

    user: str
    author: AuthorId
    version: bytes
    selections: tuple[tuple[Spot, Spot], ...]
    at: float


_Key = tuple[AuthorId, int]
_PALETTE = (
    "#d9480f", "#2b8a3e", "#1971c2", "#9c36b5", "#c2255c", "#0c8599",
    "#a86100", "#5f3dc4", "#5c940d", "#8d5524", "#495057", "#c92a2a",
)  # fmt: skip


def colors_of(members: Collection[MemberId]) -> dict[MemberId, str]:
    """Each person's color, "#rrggbb": the same everywhere, readable on dark and on light.

    Two people share one only if there are more of them than colors; a newcomer may take that of
    somebody whose key sorts after theirs.
    """
    colors: dict[MemberId, str] = {}
    free: list[str] = []
    for member in sorted(members):
        free = free or list(_PALETTE)
        colors[member] = free.pop(blake3(member).digest()[0] % len(free))
    return colors


class Cursors:
    """Ours to say, theirs to show."""

    def __init__(self, config: CursorsConfig) -> None:
        self._config = config
        self._own: dict[SessionId, _Cursor] = {}
        self._said: tuple[_Cursor, ...] = ()
        self._said_at = -NEVER
        self._allowance = Allowance(config.rate, config.burst)
        self._heard: dict[_Key, HeardCursor] = {}
        self.changed: dict[str, HeardCursor] = {}  # by user: new, moved, seen again, or gone
        self.came_or_went = False

    @staticmethod
    def user(author: AuthorId, session: int) -> str:
        """The name of one session for editors, unique in the pool."""
        return f"{author[:_USER_BYTES].hex()}-{session}"

    # -- ours ------------------------------------------------------------------------------

    def move(
        self, session: SessionId, version: bytes, selections: Sequence[tuple[Spot, Spot]]
    ) -> None:
        """One of our sessions has its cursors there; none: it has no cursor."""
        self._own[session] = _Cursor(session, version, tuple(selections[:MAX_SELECTIONS]))

    def drop(self, session: SessionId) -> None:
        """One of our sessions ended."""
        self._own.pop(session, None)

    def due(self, now: float) -> tuple[bytes, float]:
        """What to say now, or nothing yet; and in how many seconds to look again (0: never)."""
        current = tuple(self._own[one] for one in sorted(self._own))[:MAX_SESSIONS]
        if current == self._said:
            if not current:
                return b"", 0.0
            when = self._said_at + self._config.beat
        else:
            when = now + self._allowance.wait(now)
        if when > now + ROUNDING:
            return b"", when - now
        self._allowance.take(now, 1)
        self._said, self._said_at = current, now
        return pack(_Said(current)), self._config.beat if current else 0.0

    # -- theirs ----------------------------------------------------------------------------

    @property
    def has_heard(self) -> bool:
        """Whether anybody else has a cursor, or had until just now."""
        return bool(self._heard or self.changed)

    def recall(self, version: bytes) -> None:
        """Show those in a text anew: somebody new wants to see them."""
        for cursor in self.heard():
            if cursor.version == version:
                self.changed[_mark(cursor)] = cursor

    def heard(self) -> list[HeardCursor]:
        """Everyone's, in a fixed order."""
        return [self._heard[key] for key in sorted(self._heard)]

    def hear(self, author: AuthorId, payload: bytes, now: float) -> None:
        """An author says where its cursors are."""
        try:
            said = _decoder.decode(payload)
        except msgspec.MsgspecError:
            return
        present = {(author, cursor.session) for cursor in said.cursors}
        for key in [key for key in self._heard if key[0] == author and key not in present]:
            self._forget(key)
        for cursor in said.cursors:
            key = (author, cursor.session)
            known = self._heard.get(key)
            if known is None and len(self._heard) >= MAX_HEARD:
                continue
            if known is not None and known.version != cursor.version:
                self._forget(key)  # gone from the one text, before it comes to the other
                known = None
            if known is None:
                self.came_or_went = True
                user = self.user(author, cursor.session)
                known = HeardCursor(user, author, cursor.version, (), now)
                self._heard[key] = known
            known.selections, known.at = cursor.selections, now
            self.changed[_mark(known)] = known

    def expire(self, now: float) -> float:
        """Forget whom nothing is heard of; in how many seconds to look again (0: never)."""
        late = now - self._config.gone + ROUNDING
        for key in [key for key, one in self._heard.items() if one.at <= late]:
            self._forget(key)
        oldest = min((one.at for one in self._heard.values()), default=None)
        return 0.0 if oldest is None else max(oldest + self._config.gone - now, ROUNDING)

    def _forget(self, key: _Key) -> None:
        gone = self._heard.pop(key)
        self.came_or_went = True
        self.changed[_mark(gone)] = HeardCursor(gone.user, gone.author, gone.version, (), gone.at)


def _mark(cursor: HeardCursor) -> str:
    """One entry in ``changed`` for each text that a user leaves or enters."""
    return f"{cursor.user} {cursor.version.hex()}"
