"""Whether somebody who dialled us becomes a neighbor, and as what. overlay.md, 5.3."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from .attempts import Attempts
from .effects import Effect
from .gate import Gate
from .ids import AuthorId
from .messages import Hello, Intent, WalkKind
from .neighbors import Kind, Neighbor, Neighbors
from .overlay_config import OverlayConfig
from .seeking import Seeker
from .walks import Walks

__all__ = ["Admission", "Verdict"]

MERGE_SHARE = 0.5  # of those who link across and find us with enough links (overlay.md, 5.4)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``kind`` None: ``goodbye`` says why not; ``effects`` pass the wish on."""

    kind: Kind | None
    goodbye: str = ""
    effects: list[Effect] = field(default_factory=list)


class Admission:
    """Rules for inbound connections, by what their dialler wants."""

    def __init__(
        self,
        gate: Gate,
        neighbors: Neighbors,
        attempts: Attempts,
        walks: Walks,
        seeker: Seeker,
        config: OverlayConfig,
        rng: Random,
    ) -> None:
        self._gate, self._neighbors, self._attempts = gate, neighbors, attempts
        self._walks, self._seeker, self._config, self._rng = walks, seeker, config, rng

    def decide(self, link: Neighbor, hello: Hello, now: float, *, merging: bool) -> Verdict:
        """For somebody who is no neighbor yet."""
        neighbors, config = self._neighbors, self._config
        kind = Kind.INBOUND if link.dialable else Kind.CLIENT
        taken = neighbors.degree + self._attempts.accepting
        room = taken < config.links_max if link.dialable else neighbors.clients < config.clients_max
        if merging:  # beyond enough: somebody else is shed
            return Verdict(Kind.WALK)
        match hello.intent:
            case Intent.ACK:
                return self._acknowledged(hello, now)
            case Intent.JOIN:
                if room:
                    return Verdict(kind)
                guests = neighbors.guests < config.guests_max
                return Verdict(Kind.GUEST) if guests else Verdict(None, "busy")
            case Intent.PROBE:
                needed = hello.degree < config.links_min or self._seeker.needy
                return Verdict(kind) if needed and room else Verdict(None, "probe")
            case Intent.MERGE:
                return self._crossing(hello, now, room=room)
            case _:
                if room or self._walks.offered(hello.request, _author(link)):
                    return Verdict(kind)
                return Verdict(None, "busy", self._pass_on(hello, WalkKind.OWN, now))

    def _acknowledged(self, hello: Hello, now: float) -> Verdict:
        """Somebody accepts a walk: perhaps one of ours, perhaps one too many."""
        kind = self._walks.claim(hello.request)
        if kind is None:
            return Verdict(None, "enough")
        below = self._neighbors.degree < self._config.links_max
        if kind is WalkKind.MERGE:
            return Verdict(Kind.WALK) if below else Verdict(None, "enough")
        if not (below and self._seeker.wants_walk(now)):
            return Verdict(None, "enough")
        self._seeker.won += 1
        return Verdict(Kind.WALK)

    def _crossing(self, hello: Hello, now: float, *, room: bool) -> Verdict:
        few = self._neighbors.degree < self._config.links_min
        small = self._gate.size() <= self._config.small_pool
        if room and (few or small or self._rng.random() < MERGE_SHARE):
            return Verdict(Kind.WALK)
        return Verdict(None, "walk", self._pass_on(hello, WalkKind.MERGE, now))

    def _pass_on(self, hello: Hello, kind: WalkKind, now: float) -> list[Effect]:
        contact = hello.contact
        if not contact.dialable or not hello.proof or not hello.request:
            return []
        return self._walks.pass_on(contact, hello.request, hello.proof, kind, now)


def _author(link: Neighbor) -> AuthorId:
    """Of a connection whose Hello was checked."""
    assert link.author is not None
    return link.author
