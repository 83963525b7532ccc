"""Who is linked, and whom to dial: for now, every member links to every other it can reach.

A newcomer enters through any member, asks for the client list (``Addresses``) and the data, and
connects to each client of the list. The random overlay replaces this file's decision whom to dial;
its handshake stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

import msgspec

from .effects import CloseLink, Dial, Effect, Send, StartTimer
from .events import LinkId
from .ids import AuthorId, MemberId
from .messages import AddressEntry, Addresses, HeadEntry, Hello
from .operation import OperationError
from .packing import pack
from .ports import Store, Table
from .roster import Credentials, Roster, read_opened
from .wire import PROTOCOL_VERSION

__all__ = ["Mesh", "MeshConfig", "MeshLink", "Phase"]


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Pace of dialling, in seconds."""

    redial_first: float = 0.1
    redial_max: float = 30.0
    eager_for: float = 600.0
    """For this long after a link was lost it is dialled at least every ``redial_eager``, so that a
    healed cut is noticed within a second."""
    redial_eager: float = 0.5
    dial_patience: float = 5.0
    """For an attempt; a satellite's round trips fit."""
    dial_impatience: float = 0.8
    """... of most attempts while a lost link is dialled eagerly: one begun in the silence of a cut
    would wait for TCP's next repetition long after the heal."""
    hello_timeout: float = 5.0
    authors_count: int = 4096
    """Authors whose addresses are kept on hearsay."""
    addresses_count: int = 8
    """Addresses kept of one author."""


PATIENT_EVERY = 8  # so that a slow but healthy way is not given up for ever


ROUNDING = 0.001  # s; a timer may ring a hair early, as floating point counts


class Phase(Enum):
    """Of a link."""

    HELLO = "hello"  # connected; the other side has not said who it is
    LINKED = "linked"


@dataclass(slots=True)
class MeshLink:
    """A connection and who is behind it."""

    id: LinkId
    member: MemberId
    address: str
    outbound: bool
    since: float
    phase: Phase = Phase.HELLO
    author: AuthorId | None = None


@dataclass(slots=True)
class _Target:
    addresses: list[str]
    next_try: float = 0.0
    delay: float = 0.1
    lost_at: float = -1e9
    turn: int = 0
    dialling: bool = False


@dataclass(slots=True)
class Greeted:
    """What a Hello led to."""

    linked: bool
    effects: list[Effect] = field(default_factory=list)
    credentials: Credentials | None = None


class Mesh:
    """Links, addresses, and the decision whom to dial."""

    def __init__(
        self, store: Store, roster: Roster, author: AuthorId, config: MeshConfig, rng: Random
    ) -> None:
        self._store, self._roster, self._config, self._rng = store, roster, config, rng
        self.author = author
        self.listen: tuple[str, ...] = ()
        self.links: dict[LinkId, MeshLink] = {}
        self._by_author: dict[AuthorId, LinkId] = {}
        self._targets: dict[AuthorId, _Target] = {}
        self._found: dict[str, AuthorId] = {}  # address -> who answered there last
        for key, value in store.scan(Table.ADDRESS):
            addresses = msgspec.msgpack.decode(value, type=list[str])
            self._targets[AuthorId(key)] = _Target(addresses)

    # -- links -----------------------------------------------------------------------------

    @property
    def linked(self) -> list[MeshLink]:
        """Links whose other side is known, by author."""
        return [self.links[link] for _, link in sorted(self._by_author.items())]

    def link_of(self, author: AuthorId) -> MeshLink | None:
        """The link to an author, if there is one."""
        link = self._by_author.get(author)
        return self.links[link] if link is not None else None

    def link_up(
        self, link: LinkId, member: MemberId, address: str, *, outbound: bool, now: float
    ) -> list[Effect]:
        """A connection stands; it has to say hello in time."""
        self.links[link] = MeshLink(link, member, address, outbound, now)
        return [StartTimer("hello", self._config.hello_timeout)]

    def link_down(self, link: LinkId, now: float) -> bool:
        """A connection ended; True if it was a link."""
        ended = self.links.pop(link, None)
        if ended is None:
            return False
        if ended.author is None:  # it never said who it is: as good as nobody answering
            for author in self._dialled(ended):
                self.dial_failed(author, now)
            return False
        target = self._targets.get(ended.author)
        if target is not None:
            target.dialling = False
        if self._by_author.get(ended.author) != link:
            return False
        del self._by_author[ended.author]
        if target is not None:
            target.lost_at, target.delay = now, self._config.redial_first
            target.next_try = now + self._rng.uniform(0, self._config.redial_first)
        return True

    def _dialled(self, link: MeshLink) -> list[AuthorId]:
        """Whom we meant to reach by this connection."""
        return [
            author
            for author, target in sorted(self._targets.items())
            if link.outbound and target.dialling and link.address in target.addresses
        ]

    def overdue(self, now: float) -> list[Effect]:
        """Close what never said hello; come again for those that still have time."""
        effects: list[Effect] = []
        for link in list(self.links.values()):
            if link.phase is not Phase.HELLO:
                continue
            left = link.since + self._config.hello_timeout - now
            if left < ROUNDING:
                effects.append(CloseLink(link.id, "no hello"))
            else:
                effects.append(StartTimer("hello", left))
        return effects

    def on_hello(self, link_id: LinkId, hello: Hello, now: float) -> Greeted:
        """Decide whether the one behind a connection becomes a neighbor."""
        link = self.links.get(link_id)
        if link is None or link.phase is not Phase.HELLO:
            return _refuse(link_id, "protocol")
        if hello.version != PROTOCOL_VERSION or hello.pool != self._roster.pool:
            return _refuse(link_id, "version" if hello.pool == self._roster.pool else "other pool")
        try:
            credentials = read_opened(hello.opened, self._roster.pool)
        except OperationError:
            return _refuse(link_id, "credentials")
        author = credentials.operation.author
        if author != hello.author or credentials.opened.member != link.member:
            return _refuse(link_id, "credentials")
        if not self._roster.knows(link.member):
            return _refuse(link_id, "not a member")
        if link.outbound:
            self._answered(link.address, author)
        if author == self.author:
            return _refuse(link_id, "myself")
        if author not in self._roster.authors:
            # A new author of a known member; its log will say the same.
            self._roster.introduce([credentials])
        link.author = author
        return self._keep_one(link, author, hello, credentials)

    def _keep_one(
        self, link: MeshLink, author: AuthorId, hello: Hello, credentials: Credentials
    ) -> Greeted:
        """Of two connections to one author the one dialled by the smaller id survives."""
        effects: list[Effect] = []
        other = self._by_author.get(author)
        if other is not None:
            old = self.links[other]
            if old.outbound == link.outbound:
                # The other side dialled again: it knows that the old one is dead.
                effects.append(CloseLink(other, "replaced"))
            elif link.outbound != (self.author < author):
                return _refuse(link.id, "duplicate")
            else:
                effects.append(CloseLink(other, "duplicate"))
        link.phase = Phase.LINKED
        self._by_author[author] = link.id
        target = self._targets.get(author)
        if target is not None:
            target.dialling, target.delay = False, self._config.redial_first
        addresses = [*hello.listen, *([link.address] if link.outbound else [])]
        self._remember(author, addresses)
        return Greeted(True, effects, credentials)

    def _answered(self, address: str, author: AuthorId) -> None:
        """We dialled there and ``author`` answered. Who was there before has moved, or goes on
        under a new key; what others still say of it does not count.
        """
        self._found[address] = author
        for other, target in sorted(self._targets.items()):
            if other != author and address in target.addresses:
                target.dialling = False
                target.addresses = [one for one in target.addresses if one != address]
                self._store.put(Table.ADDRESS, other, pack(target.addresses))

    # -- addresses -------------------------------------------------------------------------

    def client_list(self) -> Addresses:
        """Everyone we know how to reach, ourselves included."""
        entries = [AddressEntry(bytes(self.author), self.listen)] if self.listen else []
        entries += [
            AddressEntry(bytes(author), tuple(target.addresses))
            for author, target in sorted(self._targets.items())
            if target.addresses and self._roster.may_link(author)
        ]
        return Addresses(tuple(entries[:1024]))

    def on_addresses(self, message: Addresses) -> None:
        """Somebody's client list."""
        for entry in message.entries:
            author = AuthorId(entry.author)
            if author != self.author:
                self._remember(author, entry.addresses, hearsay=True)

    def _remember(
        self, author: AuthorId, addresses: Iterable[str], *, hearsay: bool = False
    ) -> None:
        target = self._targets.get(author)
        if target is None:
            if hearsay and len(self._targets) >= self._config.authors_count:
                return
            target = self._targets[author] = _Target([])
        fresh = [one for one in dict.fromkeys(addresses) if one]
        if hearsay:
            fresh = [one for one in fresh if self._found.get(one, author) == author]
        known = target.addresses
        # What the author itself says comes first; hearsay only adds.
        merged = known + fresh if hearsay else fresh + known
        merged = list(dict.fromkeys(merged))[: self._config.addresses_count]
        if merged != known:
            target.addresses = merged
            target.next_try = 0.0
            self._store.put(Table.ADDRESS, author, pack(merged))

    # -- dialling --------------------------------------------------------------------------

    def dial_failed(self, author: AuthorId, now: float) -> None:
        """Nobody answered; try the next address, less and less often."""
        target = self._targets.get(author)
        if target is None:
            return
        target.dialling = False
        target.turn += 1
        eager = now - target.lost_at < self._config.eager_for
        most = self._config.redial_eager if eager else self._config.redial_max
        target.delay = min(target.delay * 2, most)
        target.next_try = now + target.delay * self._rng.uniform(0.8, 1.0)

    def evaluate(self, now: float) -> list[Effect]:
        """Dial everyone who is not linked and whose turn it is."""
        effects: list[Effect] = []
        soonest: float | None = None
        for author, target in sorted(self._targets.items()):
            record = self._roster.authors.get(author)
            if (
                record is None
                or author == self.author
                or author in self._by_author
                or target.dialling
                or not target.addresses
                or not self._roster.may_link(author)
            ):
                continue
            if target.next_try > now:
                soonest = min(soonest or target.next_try, target.next_try)
                continue
            target.dialling = True
            address = target.addresses[target.turn % len(target.addresses)]
            patience = self._patience(target, now)
            member = MemberId(record.member)
            effects.append(Dial(author, member, address, patience, record.certificate))
        if soonest is not None:
            effects.append(StartTimer("dial", max(soonest - now, 0.001)))
        return effects

    def _patience(self, target: _Target, now: float) -> float:
        eager = now - target.lost_at < self._config.eager_for
        if eager and target.turn % PATIENT_EVERY:
            return self._config.dial_impatience
        return self._config.dial_patience

    def hello(self, link: LinkId, opened: bytes, name: str, heads: tuple[HeadEntry, ...]) -> Send:
        """Our own introduction."""
        return Send(
            link,
            Hello(
                PROTOCOL_VERSION,
                bytes(self._roster.pool),
                bytes(self.author),
                opened,
                name,
                self.listen,
                heads,
            ),
        )


def _refuse(link: LinkId, reason: str) -> Greeted:
    return Greeted(False, [CloseLink(link, reason)])
