"""The overlay: who is a neighbor, and what neighbors tell each other to keep the pool in one piece.

Composes what stands on common ``ground``: handshake, walks, beacons, the seeker, tending.
Departures from overlay.md, section 5: a Hello that answers is the acceptance; keepalive is the
transport's; a full entry takes newcomers as guests.

Invariants: one link for each author, none to ourselves; at most ``links_max`` links of our own
kind for long; nobody is shed below ``links_min``; every JOIN_REQ ends in an ACK, an offer or a
hint; every wait has an end.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .allowance import Allowance
from .contact import Belief
from .effects import CloseLink, Effect, Send, StartTimer
from .events import DialFailed, Discovered, LinkId, LinkUp
from .gate import Gate
from .ground import POLITE, Ground
from .handshake import Greeted, Handshake
from .ids import AuthorId
from .messages import (
    AddressEntry,
    Beat,
    Contact,
    Contacts,
    HeadEntry,
    Hello,
    Intent,
    JoinHint,
    JoinOffer,
    JoinRequest,
    MergeHint,
    NetworkMessage,
    WalkKind,
)
from .neighbors import Kind, Neighbor, Phase
from .overlay_config import OverlayConfig
from .ports import Store
from .tending import Tending
from .timing import NEVER, ROUNDING
from .walks import Outcome

__all__ = ["Greeted", "Kind", "Neighbor", "Overlay", "OverlayConfig", "Phase"]

TIMER = "overlay"
DOOR_CONTACTS = 24  # for somebody who enters: enough not to meet the same few (guess)
NOTICES_RATE, NOTICES_BURST = 2.0, 20.0  # of walks passing by, a second
WAITING_MAX = 4  # connections of one member that have not said hello
NAMED = {Intent.LINK: WalkKind.OWN, Intent.MERGE: WalkKind.MERGE}  # may go on as walks
SHUFFLE_GAP = 5.0  # s between answers to one neighbor's contacts


class Overlay:
    """Links, and the decisions about them."""

    def __init__(
        self,
        gate: Gate,
        store: Store | None,
        config: OverlayConfig,
        rng: Random,
        entropy: Callable[[int], bytes],
    ) -> None:
        ground = Ground(gate, store, config, rng, entropy)
        self._ground, self._gate, self._config, self._rng = ground, gate, config, rng
        self._neighbors, self._book = ground.neighbors, ground.book
        self._attempts, self._walks = ground.attempts, ground.walks
        self._seeker, self._beacons = ground.seeker, ground.beacons
        self.links = ground.neighbors.links
        self._tending = Tending(ground)
        self._handshake = Handshake(ground, self._tending)
        self._due = 0.0
        self._timer_at = NEVER
        self._size = 0
        self._notices = Allowance(NOTICES_RATE, NOTICES_BURST)
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        """What became of the JOIN_REQs that came by."""

    # -- reading ---------------------------------------------------------------------------

    @property
    def heads_for_hello(self) -> Callable[[], tuple[bytes, tuple[HeadEntry, ...]]]:
        """The hash of our heads, and few of them: for Hellos and Beats."""
        return self._ground.heads_for_hello

    @heads_for_hello.setter
    def heads_for_hello(self, heads: Callable[[], tuple[bytes, tuple[HeadEntry, ...]]]) -> None:
        self._ground.heads_for_hello = heads

    @property
    def listen(self) -> tuple[str, ...]:
        """Where we can be reached; empty if we only dial out."""
        return self._ground.listen

    @property
    def linked(self) -> list[Neighbor]:
        """Neighbors, by author."""
        return list(self._neighbors.linked)

    @property
    def degree(self) -> int:
        """Links, without guests and those who only dial out."""
        return self._neighbors.degree

    def link_of(self, author: AuthorId) -> Neighbor | None:
        """The link to an author, if there is one."""
        return self._neighbors.of(author)

    def own_contact(self, wall: float) -> Contact:
        """Where we are, signed; the same until that changes."""
        self._ground.clock(self._ground.now, wall)
        return self._ground.own_contact()

    def contacts_for_door(self) -> tuple[AddressEntry, ...]:
        """Whom somebody who enters may dial: us, our neighbors, and some others."""
        entries = [AddressEntry(bytes(self._gate.author), self.listen)] if self.listen else []
        authors = [one.author for one in self._neighbors.linked]
        authors += [AuthorId(one.author) for one in self._book.sample(DOOR_CONTACTS)]
        for author in dict.fromkeys(authors):
            entry = self._book.get(author) if author is not None else None
            addresses = self._book.addresses(entry) if entry is not None else []
            if author is not None and addresses and self._gate.may_link(author):
                entries.append(AddressEntry(bytes(author), tuple(addresses)))
        return tuple(entries[: 1 + DOOR_CONTACTS])

    # -- what the node says ----------------------------------------------------------------

    def listening(self, addresses: tuple[str, ...], now: float, wall: float) -> list[Effect]:
        """Where we can be reached; empty if nobody can dial us."""
        self._ground.clock(now, wall)
        self._ground.listening(addresses)
        if not self._beacons.ready:
            self._beacons.become(now)
        return []

    def become(self, now: float, wall: float) -> None:
        """We are another author now; our links know us by the old name, and are closed."""
        self._ground.clock(now, wall)
        self._ground.become()

    def network_changed(self, now: float) -> None:
        """An interface changed, or the machine woke up."""
        self._seeker.network_changed(now)
        self._ground.dirty = True

    def discovered(self, event: Discovered, now: float) -> None:
        """Somebody says to listen nearby; TLS will tell."""
        if event.author != self._gate.author and self._book.tell(event.author, event.addresses):
            self._seeker.look_at(event.author)
            self._ground.dirty = True

    def hear(self, contact: Contact, now: float, wall: float | None = None) -> bool:
        """A contact from anywhere; True if its signature was right and it was news."""
        ground = self._ground
        ground.now = now
        return ground.hear(contact, now, ground.wall if wall is None else wall) is Belief.GOOD

    def link_up(self, event: LinkUp, now: float) -> list[Effect]:
        """A connection stands. Whoever dialled says why."""
        link = Neighbor(event.link, event.member, event.address, event.outbound, now)
        self._ground.now, self._ground.dirty = now, True
        self._neighbors.add(link)
        if not event.outbound:
            waiting = sum(
                one.phase is Phase.HELLO and one.member == event.member
                for one in self.links.values()
            )
            crowd = waiting > WAITING_MAX
            return [self._ground.close(link, "busy")] if crowd else []
        attempt = self._attempts.connected(event.link, event.member, event.address)
        proof = b""
        if attempt is None:  # we gave it up meanwhile
            link.intent = Intent.PROBE if self._neighbors.linked else Intent.JOIN
            link.kind = Kind.WALK
        else:
            link.intent, link.kind = attempt.intent, attempt.kind
            link.request = attempt.request
            kind = NAMED.get(attempt.intent)
            if kind is not None and not attempt.request:
                link.request, proof = self._walks.name(kind, now)
        hello = self._handshake.hello(now, link.intent, link.request, proof, self._neighbors.degree)
        return [Send(event.link, hello)]

    def link_down(self, link_id: LinkId, reason: str, now: float) -> bool:
        """A connection ended; True if it was a neighbor (also one that we closed ourselves)."""
        link = self._neighbors.drop(link_id)
        if link is None:
            return False
        self._ground.now = now
        wall = self._ground.wall
        attempt = self._attempts.of(link_id)
        if attempt is not None or link.greeted:
            self._ground.dirty = True
        if attempt is not None:
            self._attempts.end(attempt.author)
            if reason in POLITE:
                self._book.refused(attempt.author, now, wall)
            else:
                self._seeker.failed(attempt.author, now)
        if not link.greeted or link.author is None:
            return False
        if link.phase is not Phase.CLOSING:
            self._book.lost(link.author, now, wall, eager=reason not in POLITE)
            self._seeker.changed()
        return True

    def dial_failed(self, event: DialFailed, now: float) -> None:
        """Nobody (or the wrong one) answered."""
        if self._attempts.failed(event.author, event.address) is not None:
            self._seeker.failed(event.author, now)
            self._ground.dirty = True

    # -- messages --------------------------------------------------------------------------

    def on_hello(self, link_id: LinkId, hello: Hello, now: float, wall: float) -> Greeted:
        """Decide whether the one behind a connection becomes a neighbor."""
        self._ground.clock(now, wall)
        return self._handshake.on_hello(link_id, hello, now, wall)

    def on_message(
        self, link_id: LinkId, message: NetworkMessage, now: float, wall: float
    ) -> list[Effect]:
        """A neighbor says something about the network (contacts also from one that refuses)."""
        self._ground.clock(now, wall)
        link = self.links.get(link_id)
        if link is None:
            return []
        if link.phase is not Phase.LINKED:
            if isinstance(message, Contacts) and link.outbound:
                return self._ground.learn(link, message.contacts, now, wall)
            return []
        link.heard_at = now
        match message:
            case JoinRequest():
                return self._on_walk(link, message, now, wall)
            case Beat():
                return self._on_beat(link, message, now, wall)
            case JoinOffer() | JoinHint():
                return self._on_answer(link, message, now, wall)
            case Contacts():
                return self._on_contacts(link, message, now, wall)
            case MergeHint():
                return self._on_merge(link, message, now, wall)
            case _:
                return []

    def _on_walk(
        self, link: Neighbor, message: JoinRequest, now: float, wall: float
    ) -> list[Effect]:
        outcome, effects = self._walks.on_request(link, message, now, wall)
        self.counts[outcome] += 1
        if outcome is Outcome.ACCEPTED:
            self._ground.dirty = True
        for effect in effects:
            if isinstance(effect, CloseLink):
                self._ground.close(link, effect.reason)
        if self._config.notices and outcome is not Outcome.DROPPED and self._notices.take(now):
            origin = AuthorId(message.origin.author)
            facts = {"origin": origin.short(), "became": outcome.value, "left": message.ttl}
            effects += self._ground.say("join_req", link, **facts)
        return effects

    def _on_beat(self, link: Neighbor, beat: Beat, now: float, wall: float) -> list[Effect]:
        if beat.degree != link.degree:
            link.degree = beat.degree
            self._neighbors.look()
        if self._beacons.hear(beat.beacon, now, wall):
            return self._tending.beat_all(now, but=link.id)
        return []

    def _on_answer(
        self, link: Neighbor, message: JoinOffer | JoinHint, now: float, wall: float
    ) -> list[Effect]:
        answer = self._walks.on_answer(link.id, message)
        if not answer.contacts:
            return answer.effects
        effects = [*answer.effects, *self._ground.learn(link, answer.contacts, now, wall)]
        self._ground.dirty = True
        offer = answer.dial
        if offer is None or not self._seeker.wants_walk(now):
            return effects
        entry = self._book.get(offer.author)
        if (
            entry is not None
            and self._neighbors.of(offer.author) is None
            and isinstance(message, JoinOffer)
        ):
            self._seeker.won += 1
            effects += self._attempts.dial(
                entry, Intent.LINK, Kind.WALK, now, request=message.request
            )
        return effects

    def _on_contacts(
        self, link: Neighbor, message: Contacts, now: float, wall: float
    ) -> list[Effect]:
        effects = self._ground.learn(link, message.contacts, now, wall)
        if not message.answer and now - link.shuffled_at >= SHUFFLE_GAP:
            link.shuffled_at = now
            effects.append(
                Send(link.id, Contacts(tuple(self._ground.some_contacts()), answer=True))
            )
        return effects

    def _on_merge(
        self, link: Neighbor, message: MergeHint, now: float, wall: float
    ) -> list[Effect]:
        """Some of another part of the pool: tell our side; a few of us link across."""
        if not self._ground.merges.news(message, now):
            return []
        effects: list[Effect] = []
        good: list[Contact] = []
        for contact in message.contacts:
            belief = self._ground.hear(contact, now, wall)
            if belief is Belief.FORGED:
                effects += self._ground.strike(link, now)
            elif belief is Belief.GOOD:
                good.append(contact)
        if not good or link.phase is not Phase.LINKED:
            return effects
        hint = MergeHint(message.merge, tuple(good))
        for other in self._neighbors.linked:
            if other is not link and not other.crossed:
                effects.append(Send(other.id, hint))
        self._seeker.reunite(now)
        self._ground.dirty = True
        if self._ground.merges.chosen(hint):
            far = [one for one in good if self._neighbors.of(one.author) is None]
            entry = self._book.get(self._rng.choice(far).author) if far else None
            if entry is not None:
                effects += self._seeker.cross(entry, now)
        return effects

    # -- deciding --------------------------------------------------------------------------

    def on_timer(self, name: str, now: float, wall: float) -> list[Effect]:
        """Ours rang; ``evaluate`` does what is due."""
        self._ground.clock(now, wall)
        if name == TIMER:
            self._timer_at, self._ground.dirty = NEVER, True
        return []

    def evaluate(self, now: float, wall: float) -> list[Effect]:
        """What follows from the state: whom to dial, to shed, to tell. Cheap if nothing is due."""
        if (self._book.strangers or self._seeker.needy) and self._gate.size() != self._size:
            self._size, self._ground.dirty = self._gate.size(), True  # more may be known now
        if not self._ground.dirty and now < self._due - ROUNDING:
            return []
        self._ground.clock(now, wall)
        if self._book.strangers:
            for contact in self._book.take_strangers():
                self._ground.hear(contact, now, wall)
        self._ground.dirty = False
        if not self._beacons.ready:
            self._beacons.become(now)
        effects = self._tending.expire(now)
        effects += self._tending.keep_bounds(now)
        effects += self._seeker.evaluate(now, wall)
        effects += self._tending.tell(now, wall)
        self._tending.keep_anchors()
        self._due = self._tending.soonest()
        if self._due < self._timer_at - ROUNDING:
            self._timer_at = self._due
            effects.append(StartTimer(TIMER, max(self._due - now, ROUNDING)))
        return effects
