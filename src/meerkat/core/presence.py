"""Who is here, and who is linked to whom: said by everyone of itself, spread, never stored.

A peer says so at a slow beat and soon after its links changed; whoever is not heard of for a few
beats is away. Together they are the picture of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from .gate import Gate
from .ids import AuthorId
from .packing import pack
from .status import NetworkNode, NetworkPicture
from .timing import ROUNDING

__all__ = ["Presence", "PresenceConfig", "Presences"]

SHORT_BYTES = 8  # of a neighbor's id: 1 collision in 10^13 for 1,000 peers (birthday bound)


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """Pace, in seconds."""

    beat: float = 10.0
    """Between two of ours; 0 is never (guess: a person looks twice)."""
    beat_each: float = 1.0
    """... and at least so much for each peer of the pool: at most one a second arrives anywhere."""
    settle: float = 1.0
    """After a change of links, so that a burst of them is said once."""
    missed: float = 3.5
    """Beats without a word until somebody counts as away."""


class Presence(Struct, frozen=True, array_like=True):
    """What a peer says of itself."""

    neighbors: Annotated[tuple[Annotated[bytes, Meta(max_length=32)], ...], Meta(max_length=512)]
    dialable: bool
    leaving: bool = False


_decoder = msgspec.msgpack.Decoder(Presence)


@dataclass(slots=True)
class _Heard:
    presence: Presence
    at: float


class Presences:
    """What everyone said last."""

    def __init__(self, gate: Gate, config: PresenceConfig) -> None:
        self._gate, self._config = gate, config
        self._heard: dict[AuthorId, _Heard] = {}
        self._said: Presence | None = None
        self._said_at = -1e9
        self._changed_at: float | None = None

    # -- ours ------------------------------------------------------------------------------

    @property
    def _beat(self) -> float:
        return max(self._config.beat, self._config.beat_each * self._gate.size())

    def due(self, neighbors: list[AuthorId], now: float, *, dialable: bool) -> tuple[bytes, float]:
        """Our own presence to say now, or nothing yet; and in how many seconds to look again."""
        if not self._config.beat:
            return b"", 0.0
        current = _of(neighbors, dialable=dialable)
        if self._said is not None and current != self._said and self._changed_at is None:
            self._changed_at = now
        when = self._said_at + self._beat
        if self._changed_at is not None:
            pace = self._config.settle + self._beat / self._config.beat - 1.0
            when = min(when, max(self._changed_at + self._config.settle, self._said_at + pace))
        if when > now + ROUNDING:
            return b"", when - now
        self._said, self._said_at, self._changed_at = current, now, None
        return pack(current), self._beat

    def goodbye(self) -> bytes:
        """That we leave."""
        return pack(Presence((), dialable=False, leaving=True)) if self._config.beat else b""

    # -- theirs ----------------------------------------------------------------------------

    def hear(self, author: AuthorId, payload: bytes, now: float) -> bool:
        """Somebody said something of itself; True if its links or its being here changed."""
        try:
            presence = _decoder.decode(payload)
        except msgspec.MsgspecError:
            return False
        before = self._heard.get(author)
        if presence.leaving:
            self._heard.pop(author, None)
            return before is not None
        self._heard[author] = _Heard(presence, now)
        return before is None or before.presence != presence

    def forget_old(self, now: float) -> None:
        """Drop those who have not been heard of for long."""
        limit = now - self._config.missed * self._beat
        for author in [one for one, heard in self._heard.items() if heard.at < limit]:
            del self._heard[author]

    def picture(self, neighbors: list[AuthorId], now: float, *, dialable: bool) -> NetworkPicture:
        """The network as far as it has been heard of, ourselves first."""
        self.forget_old(now)
        me = self._gate.author
        known = {author: heard for author, heard in self._heard.items() if author != me}
        full = {bytes(one[:SHORT_BYTES]): one for one in (*known, *neighbors, me)}
        nodes = [self._node(me, _of(neighbors, dialable=dialable), full, 0.0, linked=False)]
        linked = set(neighbors)
        for author in sorted(known.keys() | linked):
            heard = known.get(author)
            presence = heard.presence if heard else Presence((me[:SHORT_BYTES],), dialable=True)
            age = now - heard.at if heard else 0.0
            nodes.append(self._node(author, presence, full, age, linked=author in linked))
        return NetworkPicture(me.hex(), tuple(nodes))

    def _node(
        self,
        author: AuthorId,
        presence: Presence,
        full: dict[bytes, AuthorId],
        age: float,
        *,
        linked: bool,
    ) -> NetworkNode:
        member = self._gate.member_of(author)
        named = [full[one].hex() for one in presence.neighbors if one in full]
        return NetworkNode(
            author=author.hex(),
            member=member.hex() if member else "",
            name=self._gate.name_of(author),
            here=True,
            linked=linked,
            degree=len(presence.neighbors),
            neighbors=tuple(sorted(named)),
            dialable=presence.dialable,
            age=age,
        )


def _of(neighbors: list[AuthorId], *, dialable: bool) -> Presence:
    return Presence(tuple(bytes(one[:SHORT_BYTES]) for one in sorted(neighbors)), dialable)
