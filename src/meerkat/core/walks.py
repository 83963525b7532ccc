"""JOIN_REQ: walks over the network until somebody takes their origin as a neighbor.

Decides whether a walk ends here or where it goes on; remembers the way back, for offers and hints.
Whom to dial besides, is the overlay's to say. overlay.md, 5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random

from .allowance import Allowance
from .contact import Belief, judge_contact, sign_join, verify_join
from .effects import CloseLink, Effect, Send
from .events import LinkId
from .gate import Gate
from .ids import AuthorId
from .messages import (
    Contact,
    JoinHint,
    JoinOffer,
    JoinRequest,
    WalkKind,
)
from .neighbors import Neighbor, Neighbors
from .overlay_config import OverlayConfig
from .timing import ROUNDING

__all__ = ["Answer", "Host", "Outcome", "Walks"]

REQUEST_BYTES = 16
MINE_MAX = 256  # requests of ours that are remembered


class Outcome(Enum):
    """What became of a walk here, for whoever counts."""

    DROPPED = "dropped"
    FORWARDED = "forwarded"
    ACCEPTED = "accepted"
    OFFERED = "offered"
    HINTED = "hinted"


class Host:
    """What walks need of the overlay."""

    __slots__ = ("busy", "contact", "dial", "dialable", "sample")

    def __init__(
        self,
        *,
        dial: Callable[[Contact, bytes, float], list[Effect]],
        busy: Callable[[AuthorId], bool],
        sample: Callable[[], list[Contact]],
        contact: Callable[[], Contact],
        dialable: Callable[[], bool],
    ) -> None:
        self.dial = dial
        """Dial the origin of a walk; nothing if that cannot be."""
        self.busy = busy
        """Whether an author is being dialled, or is on its way here."""
        self.sample = sample
        self.contact = contact
        self.dialable = dialable


@dataclass(slots=True)
class _Path:
    """A walk that came by."""

    back: LinkId | None  # None: it began here
    ttl: int
    at: float
    visits: int = 0
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An offer or a hint for a walk of ours."""

    effects: list[Effect]
    contacts: tuple[Contact, ...] = ()
    dial: Contact | None = None


class Walks:
    """Our own walks, and those that come by."""

    def __init__(
        self,
        gate: Gate,
        neighbors: Neighbors,
        config: OverlayConfig,
        rng: Random,
        entropy: Callable[[int], bytes],
        host: Host,
    ) -> None:
        self._gate, self._neighbors, self._config = gate, neighbors, config
        self._rng, self._entropy, self._host = rng, entropy, host
        self._paths: dict[bytes, _Path] = {}
        self._mine: dict[bytes, tuple[WalkKind, float]] = {}
        self._open: dict[bytes, float] = {}  # of them, those that nobody has answered yet
        self._offers: dict[bytes, tuple[AuthorId, float]] = {}

    # -- our own ---------------------------------------------------------------------------

    def name(self, kind: WalkKind, now: float) -> tuple[bytes, bytes]:
        """A new request of ours, and its proof: for a Hello that may be passed on as a walk."""
        request = self._entropy(REQUEST_BYTES)
        self._mine[request] = (kind, now)
        if len(self._mine) > MINE_MAX:
            del self._mine[next(iter(self._mine))]
        return request, sign_join(self._gate, request)

    def start(self, kind: WalkKind, now: float) -> list[Effect]:
        """Send a JOIN_REQ through a neighbor."""
        via = self._neighbors.less_connected(None, b"", self._rng)
        if via is None:
            if not self._neighbors.linked:
                return []
            via = self._rng.choice(self._neighbors.linked)  # guests, or whose guest we are
        return self.start_at(via.id, kind, now)

    def start_at(self, via: LinkId, kind: WalkKind, now: float) -> list[Effect]:
        """... through this one."""
        config = self._config
        request, proof = self.name(kind, now)
        self._open[request] = now
        message = JoinRequest(request, self._host.contact(), kind, config.warm, config.ttl, proof)
        return [Send(via, message)]

    @property
    def open_count(self) -> int:
        """Our walks that nobody has answered yet."""
        return len(self._open)

    def open_until(self) -> float | None:
        """When the first of them is given up."""
        first = next(iter(self._open.values()), None)  # they were put in by time
        return None if first is None else first + self._config.walk_retry

    def give_up(self, now: float) -> None:
        """Wait no longer for what is too old."""
        for request, at in list(self._open.items()):
            if now - at >= self._config.walk_retry - ROUNDING:
                del self._open[request]
        while self._mine:
            request = next(iter(self._mine))
            if now - self._mine[request][1] < self._config.path_time:
                break
            del self._mine[request]

    def claim(self, request: bytes) -> WalkKind | None:
        """Somebody accepts a walk of ours (perhaps late); its kind, or None if it is not ours."""
        mine = self._mine.get(request)
        self._open.pop(request, None)
        return None if mine is None else mine[0]

    def offered(self, request: bytes, author: AuthorId) -> bool:
        """Whether we offered a link to ``author`` for this request; the offer is taken by it."""
        offer = self._offers.get(request)
        if offer is None or offer[0] != author:
            return False
        del self._offers[request]
        return True

    def forget(self) -> None:
        """We are another author now."""
        self._mine.clear()
        self._open.clear()
        self._offers.clear()

    # -- walks of others -------------------------------------------------------------------

    def on_request(
        self, link: Neighbor, message: JoinRequest, now: float, wall: float
    ) -> tuple[Outcome, list[Effect]]:
        """A JOIN_REQ came by."""
        config = self._config
        if link.walks is None:
            link.walks = Allowance(config.walk_rate, config.walk_burst)
        if not link.walks.take(now):
            link.excess += 1
            flood = link.excess > config.flood_excess
            return Outcome.DROPPED, [CloseLink(link.id, "flood")] if flood else []
        if message.ttl > config.ttl or message.origin.author == self._gate.author:
            return Outcome.DROPPED, []
        path = self._paths.get(message.request)
        if path is None:
            path = self._remember(message.request, link.id, config.ttl + 1, now)
        if message.ttl >= path.ttl:
            return Outcome.DROPPED, []  # doubled by the network, or a walk without end
        path.ttl = message.ttl
        path.visits += 1
        if path.visits > config.revisits_max:
            return self._hint(message, link.id)
        return self._step(message, link.id, now, wall)

    def pass_on(
        self,
        origin: Contact,
        request: bytes,
        proof: bytes,
        kind: WalkKind,
        now: float,
    ) -> list[Effect]:
        """A link that found no room here goes on as a walk."""
        config = self._config
        if request in self._paths:
            return []
        self._remember(request, None, config.ttl, now)
        warm = config.merge_warm if kind is WalkKind.MERGE else 0
        via = self._neighbors.less_connected(None, origin.author, self._rng)
        if via is None:
            return []
        return [Send(via.id, JoinRequest(request, origin, kind, warm, config.ttl, proof))]

    def _remember(self, request: bytes, back: LinkId | None, ttl: int, now: float) -> _Path:
        paths, config = self._paths, self._config
        while paths:  # oldest first
            first = next(iter(paths))
            old = now - paths[first].at > config.path_time
            if not old and len(paths) < config.paths_max:
                break
            del paths[first]
        path = paths[request] = _Path(back, ttl, now)
        return path

    def _step(
        self, message: JoinRequest, came: LinkId, now: float, wall: float
    ) -> tuple[Outcome, list[Effect]]:
        """Accept, pass on, or end in a hint: never in silence."""
        origin = AuthorId(message.origin.author)
        last = message.ttl == 0
        if self._wanted(last=last, warm=message.warm) and self._possible(message.origin, origin):
            accepted = self._accept(message, origin, came, now, wall)
            if accepted is not None:
                return accepted
        if last:
            return self._hint(message, came)
        via = self._neighbors.less_connected(came, origin, self._rng)
        if via is None:
            if self._possible(message.origin, origin) and self._room():
                accepted = self._accept(message, origin, came, now, wall)
                if accepted is not None:
                    return accepted
            return self._hint(message, came)
        onward = JoinRequest(
            message.request,
            message.origin,
            message.kind,
            max(message.warm - 1, 0),
            message.ttl - 1,
            message.proof,
        )
        return Outcome.FORWARDED, [Send(via.id, onward)]

    def _room(self) -> bool:
        return self._neighbors.degree < self._config.links_max

    def _wanted(self, *, last: bool, warm: int) -> bool:
        """The seeds' 1/(connections + 1), scaled so that the least connected in sight takes it."""
        degree = self._neighbors.degree
        if degree >= self._config.links_max:
            return False
        if last or degree < self._config.links_min:
            return True
        if warm:
            return False
        lowest = min(self._neighbors.lowest, degree)
        return self._rng.random() * (degree + 1) < lowest + 1

    def _possible(self, contact: Contact, origin: AuthorId) -> bool:
        return (
            self._neighbors.of(origin) is None
            and (contact.dialable or self._host.dialable())
            and not self._host.busy(origin)
            and self._gate.reach(origin) is not None
        )

    def _accept(
        self, message: JoinRequest, origin: AuthorId, came: LinkId, now: float, wall: float
    ) -> tuple[Outcome, list[Effect]] | None:
        """Dial the origin, or let it dial us. None: it cannot be now."""
        believed = judge_contact(self._gate, message.origin, wall)
        if believed is Belief.STRANGER:
            return None
        if believed is Belief.FORGED or not verify_join(
            self._gate, origin, message.request, message.proof
        ):
            return Outcome.DROPPED, []
        if message.origin.dialable:
            effects = self._host.dial(message.origin, message.request, now)
            return (Outcome.ACCEPTED, effects) if effects else None
        self._clean_offers(now)
        promised = self._neighbors.clients + len(self._offers)
        if promised >= self._config.clients_max:
            return None
        self._offers[message.request] = (origin, now)
        return Outcome.OFFERED, [Send(came, JoinOffer(message.request, self._host.contact()))]

    def _clean_offers(self, now: float) -> None:
        for request, (_, at) in list(self._offers.items()):
            if now - at <= self._config.path_time:
                break
            del self._offers[request]

    def _hint(self, message: JoinRequest, came: LinkId) -> tuple[Outcome, list[Effect]]:
        hint = JoinHint(message.request, tuple(self._host.sample()))
        return Outcome.HINTED, [Send(came, hint)]

    # -- the way back ----------------------------------------------------------------------

    def on_answer(self, link: LinkId, message: JoinOffer | JoinHint) -> Answer:
        """An offer or a hint: for a walk of ours, or to be passed back. Unasked: ignored."""
        if message.request in self._mine:
            self._open.pop(message.request, None)
            if isinstance(message, JoinOffer):
                return Answer([], (message.contact,), message.contact)
            return Answer([], message.contacts)
        path = self._paths.get(message.request)
        if path is None or path.back is None or path.back == link:
            return Answer([])
        back = self._neighbors.links.get(path.back)
        path.answers += 1
        if back is None or not back.greeted or path.answers > self._config.answers_max:
            return Answer([])
        return Answer([Send(path.back, message)])
