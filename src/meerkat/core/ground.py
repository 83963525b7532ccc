"""What all parts of the overlay stand on: their common state, and what they hear of others.

Decides what contacts are believed, and whom they are told of. Nothing here dials or admits.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .allowance import Allowance
from .attempts import Attempts
from .beacon import Beacons, Merges
from .book import Book
from .contact import Belief, judge_contact, sign_contact
from .effects import CloseLink, Effect, Notify
from .gate import Gate
from .messages import Contact, HeadEntry
from .neighbors import Neighbor, Neighbors, Phase
from .overlay_config import OverlayConfig
from .ports import Store
from .sampler import Sampler
from .seeking import Seeker
from .timing import MS
from .walks import Host, Walks

__all__ = ["POLITE", "Ground"]

POLITE = frozenset({"shed", "enough", "busy", "probe", "walk", "duplicate", "replaced"})
"""Goodbyes of somebody who is there, and will be."""
OUR_PART = 300.0  # s; whoever answered a dial so recently is in our part of the pool (guess)


class Ground:
    """Neighbors, book, sampler, walks, dials and beacons of one overlay."""

    def __init__(
        self,
        gate: Gate,
        store: Store | None,
        config: OverlayConfig,
        rng: Random,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.gate, self.store, self.config, self.rng = gate, store, config, rng
        self.listen: tuple[str, ...] = ()
        self.heads_for_hello: Callable[[], tuple[bytes, tuple[HeadEntry, ...]]] = _no_heads
        self.neighbors = Neighbors()
        self.book = Book(store, config, rng)
        self.sampler = Sampler(entropy)
        for entry in self.book:
            if entry.contact is not None:
                self.sampler.observe(entry.contact)
        self.attempts = Attempts(gate, self.book, config)
        host = Host(
            dial=self._take_in,
            busy=self.attempts.__contains__,
            sample=self.some_contacts,
            contact=self.own_contact,
            dialable=lambda: bool(self.listen),
        )
        self.walks = Walks(gate, self.neighbors, config, rng, entropy, host)
        self.seeker = Seeker(
            gate,
            self.neighbors,
            self.book,
            self.sampler,
            self.walks,
            self.attempts,
            config,
            rng,
        )
        self.beacons = Beacons(gate, config)
        self.merges = Merges(gate, config, rng, entropy)
        self.dirty = True
        """Whether something changed that there is to decide on."""
        self.now = 0.0
        self._offset = 0.0  # time of day minus monotonic time
        self._contact: Contact | None = None

    def clock(self, now: float, wall: float) -> None:
        """It is so late."""
        self.now = now
        self._offset = wall - now

    @property
    def wall(self) -> float:
        """Time of day (s since the epoch) at the event in hand."""
        return self.now + self._offset

    def own_contact(self) -> Contact:
        """Where we are, signed; the same until that changes."""
        contact = self._contact
        if contact is None:
            stamp = int(self.wall * MS)
            contact = sign_contact(self.gate, self.listen, dialable=bool(self.listen), stamp=stamp)
            self._contact = contact
        return contact

    def listening(self, addresses: tuple[str, ...]) -> None:
        """Where we can be reached has changed."""
        if addresses != self.listen:
            self.listen, self._contact = addresses, None

    def become(self) -> None:
        """We are another author now."""
        self._contact = None
        self.book.forget(self.gate.author)
        self.walks.forget()
        self.beacons.become(self.now)

    # -- contacts --------------------------------------------------------------------------

    def hear(self, contact: Contact, now: float, wall: float) -> Belief:
        """GOOD only if it is right."""
        if contact.author == self.gate.author:
            return Belief.STRANGER
        entry = self.book.get(contact.author)
        if entry is not None and entry.contact is not None:
            if contact == entry.contact:
                if self.sampler.hungry and contact.dialable:
                    self.sampler.observe(contact)
                return Belief.GOOD
            if contact.stamp <= entry.stamp:
                return Belief.STRANGER
        belief = judge_contact(self.gate, contact, wall)
        if belief is Belief.GOOD:
            if contact.dialable:
                self.sampler.observe(contact)
            if self.book.hear(contact):
                self._news(now)
        elif belief is Belief.STRANGER:
            self.book.wonder(contact)
        return belief

    def learn(
        self, link: Neighbor, contacts: tuple[Contact, ...], now: float, wall: float
    ) -> list[Effect]:
        """Contacts that a neighbor vouches for."""
        if link.contacts is None:
            link.contacts = Allowance(self.config.contacts_rate, self.config.contacts_burst)
        for contact in contacts:
            if not link.contacts.take(now):
                break  # each may cost us a signature
            if self.hear(contact, now, wall) is Belief.FORGED:
                effects = self.strike(link, now)
                if effects:
                    return effects
        return []

    def strike(self, link: Neighbor, now: float) -> list[Effect]:
        """It handed on what nobody has signed."""
        link.strikes += 1
        if link.strikes < self.config.forged_max or link.phase is Phase.CLOSING:
            return []
        if link.author is not None:
            self.seeker.distrust(link.author, now)
        return [*self.say("refused", link, why="forged"), self.close(link, "forged")]

    def _news(self, now: float) -> None:
        self.dirty = self.dirty or self.seeker.curious(now)

    def some_contacts(self) -> list[Contact]:
        """For somebody else's book: half of them neighbors, who are there for certain."""
        count = self.config.contacts_each
        linked = self.neighbors.linked
        picked: dict[bytes, Contact] = {}
        for _ in range(min(count // 2, len(linked))):
            contact = linked[int(self.rng.random() * len(linked))].contact
            if contact is not None and contact.dialable:
                picked[contact.author] = contact
        for contact in self.book.sample(count - len(picked)):
            picked[contact.author] = contact
        return list(picked.values())

    def our_part(self) -> list[Contact]:
        """For another part of the pool: who is certainly in ours."""
        most = self.config.merge_contacts
        near = [one.contact for one in self.neighbors.linked if not one.crossed]
        self.rng.shuffle(near)
        near += self.book.answered_since(self.wall - OUR_PART)
        found = [self._contact, *near]
        return [one for one in found if one is not None and one.dialable][:most]

    # -- links -----------------------------------------------------------------------------

    def close(self, link: Neighbor, reason: str) -> CloseLink:
        """Say goodbye; what it was to be counts no more."""
        attempt = self.attempts.of(link.id)
        if attempt is not None or link.greeted:
            self.dirty = True
        if attempt is not None:
            self.attempts.end(attempt.author)
            if reason not in POLITE:
                self.seeker.failed(attempt.author, self.now)
        self.neighbors.closing(link)
        if link.greeted and link.author is not None:
            eager = reason == "silent"
            self.book.lost(link.author, self.now, self.wall, eager=eager)
        return CloseLink(link.id, reason)

    def _take_in(self, contact: Contact, request: bytes, now: float) -> list[Effect]:
        """Accept a walk: dial its origin."""
        if self.neighbors.degree + self.attempts.accepting >= self.config.links_max:
            return []
        return self.attempts.accept(contact, request, now)

    def say(self, what: str, link: Neighbor, **facts: str | int) -> list[Effect]:
        """Tell people what happens."""
        if not self.config.notices:
            return []
        author = link.author
        name = self.gate.name_of(author) if author is not None else link.address
        told: dict[str, str | int | float | bool] = {"what": what, "name": name, **facts}
        if author is not None:
            told["author"] = author.hex()
        told["kind"] = link.kind.value
        return [Notify("network", told)]


def _no_heads() -> tuple[bytes, tuple[HeadEntry, ...]]:
    return b"", ()
