"""How a connection becomes a link: both say Hello, and the one who was dialled says yes or no.

The dialler says first why it calls; the Hello of the other side is the acceptance. Of two
connections to one author one survives. Unlike overlay.md, 5.2: no LINK_OK and no JOIN_ACK, the
Hello is both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .admission import Admission
from .contact import Belief, judge_contact
from .effects import Effect, Send
from .events import LinkId
from .gate import Refused
from .ground import POLITE, Ground
from .ids import AuthorId
from .messages import Contacts, Hello, Intent
from .neighbors import Kind, Neighbor, Phase
from .tending import Tending
from .wire import PROTOCOL_VERSION

__all__ = ["Greeted", "Handshake"]


@dataclass(slots=True)
class Greeted:
    """What a Hello led to. ``linked``: it is a neighbor from now on."""

    linked: bool
    effects: list[Effect] = field(default_factory=list)
    author: AuthorId | None = None


class Handshake:
    """Hellos, sent and heard."""

    def __init__(self, ground: Ground, tending: Tending) -> None:
        self._ground, self._tending = ground, tending
        self._gate, self._config = ground.gate, ground.config
        self._neighbors, self._book = ground.neighbors, ground.book
        self._attempts, self._seeker = ground.attempts, ground.seeker
        self._beacons = ground.beacons
        self._admission = Admission(
            ground.gate,
            ground.neighbors,
            ground.attempts,
            ground.walks,
            ground.seeker,
            ground.config,
            ground.rng,
        )

    def hello(self, now: float, intent: Intent, request: bytes, proof: bytes, degree: int) -> Hello:
        """Who we are, where, and what we want."""
        opened, name = self._gate.introduce()
        digest, heads = self._ground.heads_for_hello()
        return Hello(
            PROTOCOL_VERSION,
            bytes(self._gate.pool),
            bytes(self._gate.author),
            opened,
            name,
            self._ground.own_contact(),
            intent,
            request,
            proof,
            degree,
            self._beacons.current(now),
            digest,
            heads,
            tuple(self._ground.some_contacts()),
        )

    def on_hello(self, link_id: LinkId, hello: Hello, now: float, wall: float) -> Greeted:
        """Decide whether the one behind a connection becomes a neighbor."""
        link = self._neighbors.links.get(link_id)
        if link is None or link.phase is not Phase.HELLO:
            return Greeted(False)  # said twice, or too late
        if link.outbound and hello.author == self._gate.author:
            self._book.found(link.address, self._gate.author, wall)
        try:
            author = self._gate.welcome(link.member, hello)
        except Refused as refused:
            return self._refuse(link, str(refused))
        if author == self._gate.author:
            return self._refuse(link, "myself")
        belief = judge_contact(self._gate, hello.contact, wall)
        if hello.contact.author != author or belief is Belief.FORGED:
            return self._refuse(link, "credentials")
        link.author = author
        # One whose clock is wrong is linked, but its contact is not kept or passed on.
        link.contact = hello.contact if belief is not Belief.STRANGER else None
        link.dialable = hello.contact.dialable
        link.degree = hello.degree
        if link.outbound:
            self._book.found(link.address, author, wall)
            return self._answered(link, author, hello, now, wall)
        link.intent, link.request = hello.intent, hello.request
        return self._asked(link, author, hello, now, wall)

    def _asked(
        self, link: Neighbor, author: AuthorId, hello: Hello, now: float, wall: float
    ) -> Greeted:
        """Somebody dialled us: our Hello is the acceptance."""
        merging = self._merging(hello, now)
        goodbye = self._neighbors.survivor(link, author, self._gate.author)
        if goodbye == "duplicate":
            return self._refuse(link, goodbye)
        if goodbye:
            other = self._neighbors.of(author)
            assert other is not None
            kind: Kind | None = other.kind
        else:
            verdict = self._admission.decide(link, hello, now, merging=merging)
            kind = verdict.kind
            if kind is None:
                return self._refuse(link, verdict.goodbye, verdict.effects)
        effects = self._replace(author, goodbye)
        assert kind is not None
        self._neighbors.accept(link, author, kind, now)
        most = self._config.links_max
        degree = self._neighbors.degree
        # The newcomer sees by this whether it is a guest.
        degree = max(degree, most) if kind is Kind.GUEST else min(degree, most - 1)
        effects.append(Send(link.id, self.hello(now, Intent.NONE, b"", b"", degree)))
        return self._linked(link, author, hello, effects, now, wall, merging=merging)

    def _answered(
        self, link: Neighbor, author: AuthorId, hello: Hello, now: float, wall: float
    ) -> Greeted:
        """The one we dialled lets us in."""
        attempt = self._attempts.of(link.id)
        if attempt is not None:
            self._attempts.end(attempt.author)
            if attempt.author != author:  # somebody else lives there now
                self._seeker.failed(attempt.author, now)
        merging = self._merging(hello, now)
        goodbye = self._neighbors.survivor(link, author, self._gate.author)
        if goodbye == "duplicate":
            return self._refuse(link, goodbye)
        if not goodbye and link.intent is Intent.PROBE:
            needed = self._seeker.needy or hello.degree < self._config.links_min
            if not merging and not needed:
                self._book.answered(author, wall)
                return self._refuse(link, "probe")
        effects = self._replace(author, goodbye)
        kind = link.kind
        if link.intent is Intent.JOIN and hello.degree >= self._config.links_max:
            kind = Kind.GUEST
        elif kind is Kind.OWN and attempt is not None and attempt.author != author:
            kind = Kind.WALK  # not the one we chose
        elif merging and link.intent is Intent.PROBE:
            kind = Kind.WALK
        self._neighbors.accept(link, author, kind, now)
        if link.intent is Intent.MERGE:
            self._seeker.reunited()
        return self._linked(link, author, hello, effects, now, wall, merging=merging)

    def _merging(self, hello: Hello, now: float) -> bool:
        """Whether two parts of the pool meet here. Somebody alone is no part: it joins."""
        return (
            hello.degree > 0
            and self._neighbors.degree > 0
            and self._beacons.differs(hello.beacon, now)
        )

    def _replace(self, author: AuthorId, goodbye: str) -> list[Effect]:
        other = self._neighbors.of(author) if goodbye else None
        return [self._ground.close(other, goodbye)] if other is not None else []

    def _linked(
        self,
        link: Neighbor,
        author: AuthorId,
        hello: Hello,
        effects: list[Effect],
        now: float,
        wall: float,
        *,
        merging: bool,
    ) -> Greeted:
        """It is a neighbor from now on, on our side at least."""
        self._ground.dirty = True
        link.beat_at = now  # the Hello says what a Beat says
        where = [link.address] if link.outbound else []
        listen = hello.contact.addresses if link.contact is None else ()
        self._book.met(author, link.contact, (*where, *listen), wall)
        if link.contact is not None and link.dialable:
            self._ground.sampler.observe(link.contact)
        effects += self._ground.learn(link, hello.contacts, now, wall)
        if link.phase is not Phase.LINKED:  # forged ones
            link.greeted = False
            return Greeted(False, effects, author)
        self._seeker.changed()
        if merging:
            link.crossed = True
            effects.append(Send(link.id, self._ground.merges.begin(self._ground.our_part())))
            effects += self._ground.say("merge", link)
        if hello.beacon is not None and self._beacons.hear(hello.beacon, now, wall):
            effects += self._tending.beat_all(now, but=link.id)
        effects += self._ground.say("linked", link)
        return Greeted(True, effects, author)

    def _refuse(self, link: Neighbor, reason: str, effects: list[Effect] | None = None) -> Greeted:
        effects = effects or []
        if not link.outbound and reason in POLITE:
            contacts = tuple(self._ground.some_contacts())
            effects.append(Send(link.id, Contacts(contacts, answer=True)))
        effects += self._ground.say("refused", link, why=reason)
        effects.append(self._ground.close(link, reason))
        return Greeted(False, effects, link.author)
