"""Which part of the pool we are in: the smallest author heard of says so every ten seconds.

Two beacons that differ, both followed for ten seconds, are two parts of one pool. When they meet,
each floods some of the other's contacts (``Merges``). overlay.md, 5.4.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .allowance import Allowance
from .contact import STAMP_AHEAD
from .gate import Gate
from .ids import AuthorId
from .messages import Beacon, Contact, MergeHint
from .overlay_config import OverlayConfig
from .timing import MS, ROUNDING

__all__ = ["Beacons", "Merges"]

SILENT_MAX = 64  # beacons that fell silent, remembered so that no echo brings them back
SWITCHES_RATE = 1.0  # a second; a pool that grows by one meets H(n) smaller ids (guess)
SWITCHES_BURST = 16.0
MERGES_MAX = 256
ID_HEAD_BYTES = 8
ID_HEADS = 1 << (8 * ID_HEAD_BYTES)
MISSED = 1.5  # sequences of one beacon that a part must lack to be apart (guess)


class Beacons:
    """The beacon that we follow, or are."""

    __slots__ = (
        "_author",
        "_config",
        "_gate",
        "_heard_at",
        "_sequence",
        "_silent",
        "_speak_at",
        "_stable_at",
        "_switches",
        "ready",
    )

    def __init__(self, gate: Gate, config: OverlayConfig) -> None:
        self._gate, self._config = gate, config
        self._author = gate.author
        self.ready = False
        """Whether we have begun; the time is not known before."""
        self._sequence = 0
        self._heard_at = self._stable_at = 0.0
        self._speak_at = 0.0  # when we speak as the beacon, or stand up for it
        self._silent: dict[AuthorId, int] = {}
        self._switches = Allowance(SWITCHES_RATE, SWITCHES_BURST)

    def become(self, now: float) -> None:
        """We are another author now (or have just begun): our own beacon until we hear another."""
        self.ready = True
        self._follow(self._gate.author, 0, now)
        self._speak_at = now

    def _follow(self, author: AuthorId, sequence: int, now: float) -> None:
        # After a silence all of a part look for another one at the same time, and soon agree.
        config = self._config
        silent = now - self._heard_at >= config.beacon_lost - ROUNDING and self._sequence
        self._author, self._sequence = author, sequence
        self._stable_at = now + (config.beacon_settled if silent else config.beacon_stable)
        self._heard_at = now

    def current(self, now: float) -> Beacon:
        """For a Beat or a Hello."""
        return Beacon(bytes(self._author), self._sequence, self.stable(now))

    def stable(self, now: float) -> bool:
        """Followed for long enough, and not silent for too long."""
        ours = self._author == self._gate.author
        return now >= self._stable_at and (ours or now - self._heard_at < self._config.beacon_lost)

    def differs(self, other: Beacon | None, now: float) -> bool:
        """Whether the other side is in another part of the pool, for certain."""
        if other is None:
            return False
        if other.author == self._author:
            # It goes on in the other part, or in ours, but one of us does not hear it any more.
            first, last = sorted((other.sequence, self._sequence))
            return first > 0 and last - first > MISSED * self._config.beacon_every * MS
        return other.stable and self.stable(now)

    def hear(self, beacon: Beacon, now: float, wall: float) -> bool:
        """Somebody follows this one; True if that is news to pass on."""
        author = self._author
        if beacon.author == author:
            if beacon.sequence <= self._sequence or author == self._gate.author:
                return False
            if beacon.sequence > (wall + STAMP_AHEAD) * MS:
                return False
            early = now - self._heard_at < self._config.beacon_every / 2
            if early and not self._switches.take(now):
                return False  # a flood of somebody else's making
            self._sequence, self._heard_at = beacon.sequence, now
            return True
        if beacon.author > author or beacon.sequence > (wall + STAMP_AHEAD) * MS:
            return False
        other = AuthorId(beacon.author)
        if (
            beacon.sequence <= self._silent.get(other, 0)
            or not self._gate.may_link(other)
            or not self._switches.take(now)
        ):
            return False
        self._follow(other, beacon.sequence, now)
        return True

    def due(self) -> float:
        """When ``speak`` has something to do."""
        if self._author == self._gate.author:
            return self._speak_at
        return max(self._heard_at + self._config.beacon_lost, self._speak_at)

    def speak(self, now: float, wall: float) -> bool:
        """Our turn: as the beacon, or because it fell silent; True if there is a new sequence."""
        if now < self.due() - ROUNDING:
            return False
        config, gate = self._config, self._gate
        if self._author != gate.author:
            if self._speak_at <= self._heard_at + config.beacon_lost - ROUNDING:
                # Whoever is smaller speaks first, so that not all have to.
                rank = int.from_bytes(gate.author[:ID_HEAD_BYTES], "big") / ID_HEADS
                wait = min(rank * gate.size() * config.beacon_pace, config.beacon_every)
                self._speak_at = now + wait
                if wait > ROUNDING:
                    return False
            self._silent.pop(self._author, None)
            self._silent[self._author] = self._sequence
            if len(self._silent) > SILENT_MAX:
                del self._silent[next(iter(self._silent))]
            self._follow(gate.author, 0, now)
        self._sequence = max(int(wall * MS), self._sequence + 1)
        self._heard_at = now
        self._speak_at = now + config.beacon_every
        return True


class Merges:
    """What is said of another part of the pool, once per node and ten seconds."""

    __slots__ = ("_config", "_entropy", "_gate", "_next", "_rng", "_seen")

    def __init__(
        self, gate: Gate, config: OverlayConfig, rng: Random, entropy: Callable[[int], bytes]
    ) -> None:
        self._gate, self._config, self._rng, self._entropy = gate, config, rng, entropy
        self._seen: dict[bytes, None] = {}
        self._next = 0.0

    def begin(self, contacts: list[Contact], merge: bytes = b"") -> MergeHint:
        """What the other side should know of ours."""
        return MergeHint(merge or self._entropy(16), tuple(contacts[: self._config.merge_contacts]))

    def news(self, hint: MergeHint, now: float) -> bool:
        """Whether to act on a hint and pass it on."""
        if hint.merge in self._seen or now < self._next or not hint.contacts:
            return False
        self._seen[hint.merge] = None
        if len(self._seen) > MERGES_MAX:
            del self._seen[next(iter(self._seen))]
        self._next = now + self._config.merge_every
        return True

    def chosen(self, hint: MergeHint) -> bool:
        """Whether we are one of those who link across. Few hints: a small part, so fewer dial."""
        config = self._config
        if self._gate.size() < config.merge_all_below:
            return True
        share = min(len(hint.contacts) / config.merge_part, 1.0)
        return self._rng.random() < config.merge_chance * share
