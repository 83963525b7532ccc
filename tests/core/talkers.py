"""People with logs, rosters and couriers, on links without delay: what Talk needs, and no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from meerkat.core.actions import MemberAdded
from meerkat.core.birth import Identity, begin_join, finish_join
from meerkat.core.courier import Courier, CourierConfig
from meerkat.core.effects import Answered, Effect, Notify, Send, StartTimer
from meerkat.core.events import LinkId
from meerkat.core.ids import MemberId
from meerkat.core.messages import Direct, DirectAck, DirectFailed, Message
from meerkat.core.ports import Table
from meerkat.core.roster import Roster
from meerkat.core.roster_gate import RosterGate
from meerkat.core.sealed import opener, sealer
from meerkat.core.signing import SigningKey
from meerkat.core.status import ChatLine
from meerkat.core.talk import Talk, TalkConfig
from meerkat.core.wire import decode, encode
from meerkat.testing.memory_store import MemoryStore
from tests.core.replicas import WALL, Party, make_pool, seed_of


class Talker:
    """One installation. ``told`` are its notices, in order."""

    def __init__(self, party: Party, street: Street) -> None:
        self.party, self.street = party, street
        self.told: list[Notify] = []
        self.answers: dict[int, Answered] = {}
        self.timers: dict[str, float] = {}
        self.links: dict[LinkId, Talker] = {}
        self.load()

    def load(self) -> None:
        """As a peer that starts; also again, from what its store kept."""
        party = self.party
        party.load(party.replica.roster.pool)
        seed = party.store.get(Table.META, b"author_seed")
        opened = party.store.operation(party.author, 1)
        assert seed is not None
        assert opened is not None
        self.gate = RosterGate(party.replica.roster, SigningKey(seed), opened)
        rng = Random(party.author)
        seal, open_ = sealer(rng.randbytes), opener(party.identity.key.seed)
        config = CourierConfig()
        self.courier = Courier(self.gate, config, rng, rng.randbytes, seal=seal, open_=open_)
        self.talk = Talk(
            party.store,
            party.replica,
            self.gate,
            self.courier,
            TalkConfig(),
            rng,
            seal=seal,
            open_=open_,
        )
        self.timers.clear()
        self.links.clear()
        self.handle(self.start)

    def start(self) -> list[Effect]:
        self.talk.started()
        return []

    # -- what a peer does ------------------------------------------------------------------

    def handle(self, what: Callable[[], list[Effect] | None]) -> None:
        """One event: as ``Peer.handle`` wraps it."""
        with self.party.store.transaction():
            effects = list(what() or [])
            while self.party.replica.apply_ready():
                pass
            effects += self.talk.settle(self.wall)
            if self.talk.has_to_write:
                effects += self.talk.write(self.wall)
            self.party.replica.flush()
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send():
                far = self.links[effect.link]
                self.street.post(self, far, decode(encode(effect.message)))
            case StartTimer():
                self.timers[effect.name] = self.street.now + effect.delay
            case Notify():
                self.told.append(effect)
            case Answered():
                assert effect.ticket not in self.answers
                self.answers[effect.ticket] = effect

    def receive(self, source: Talker, message: Message) -> None:
        link = next((one for one, far in self.links.items() if far is source), None)
        if link is None:
            return
        courier, now = self.courier, self.street.now
        match message:
            case Direct():
                self.handle(lambda: courier.on_direct(link, message, now, self.wall))
            case DirectAck():
                self.handle(lambda: courier.on_ack(link, message, now))
            case DirectFailed():
                self.handle(lambda: courier.on_failed(link, message, now))

    def ring(self, name: str) -> None:
        del self.timers[name]
        if name == "courier":
            self.handle(lambda: self.courier.on_timer(name, self.street.now))
        else:
            self.handle(self.talk.on_timer)

    def take(self, batch: Iterable[bytes]) -> None:
        """Operations from somebody else."""
        batch = list(batch)

        def admit() -> None:
            self.party.replica.log.admit(batch)

        self.handle(admit)

    # -- what people do and see ------------------------------------------------------------

    @property
    def wall(self) -> float:
        return WALL + self.street.now

    @property
    def member(self) -> MemberId:
        return self.party.identity.member

    @property
    def roster(self) -> Roster:
        return self.party.replica.roster

    def say(self, text: str, to: Talker | None = None) -> bytes:
        said: list[bytes] = []

        def say() -> list[Effect]:
            member = to.member if to is not None else None
            line, effects = self.talk.say(text, member, self.street.now, self.wall)
            said.append(line)
            return effects

        self.handle(say)
        return said[0]

    def rename(self, name: str) -> None:
        self.handle(lambda: self.talk.rename(name, self.wall))

    def history(self, limit: int = 1000) -> list[ChatLine]:
        return self.talk.history(limit)

    def lines(self, limit: int = 1000) -> list[tuple[str, str, str]]:
        """(who, to whom, what), the oldest first."""
        return [(one.name, one.to_name, one.text) for one in self.history(limit)]

    def notices(self, name: str) -> list[dict]:
        return [one.facts for one in self.told if one.name == name]


class Street:
    """People, their links, and time."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self._mail: deque[tuple[Talker, Talker, Message]] = deque()
        self._links = 0
        self.people = [Talker(party, self) for party in make_pool(count)]

    def link(self, one: Talker, other: Talker) -> None:
        for near, far in ((one, other), (other, one)):
            self._links += 1
            near.links[LinkId(self._links)] = far
            near.courier.link_up(LinkId(self._links), far.party.author, far.member)

    def unlink(self, one: Talker, other: Talker) -> None:
        for near, far in ((one, other), (other, one)):
            for link in [link for link, end in near.links.items() if end is far]:
                del near.links[link]
                near.handle(partial(near.courier.link_down, link))

    def post(self, near: Talker, far: Talker, message: Message) -> None:
        self._mail.append((near, far, message))

    def run(self, seconds: float = 0.0) -> None:
        """Deliver what is on its way, and ring what is due, for so long."""
        end = self.now + seconds
        while True:
            while self._mail:
                near, far, message = self._mail.popleft()
                far.receive(near, message)
            due = sorted(
                (at, number, name)
                for number, one in enumerate(self.people)
                for name, at in one.timers.items()
            )
            if not due or due[0][0] > end:
                break
            at, number, name = due[0]
            self.now = max(self.now, at)
            self.people[number].ring(name)
        self.now = end

    def exchange(self, *people: Talker) -> None:
        """These get all operations of one another, as by anti-entropy."""
        people = people or tuple(self.people)
        everything = [data for one in people for data in one.party.operations()]
        for one in people:
            before = None
            while before != one.party.replica.log.heads:
                before = one.party.replica.log.heads.copy()
                one.take(everything)

    def second_home(self, person: Talker) -> Talker:
        """Another installation of the same member, that knows what the first knows."""
        identity = Identity(person.party.identity.key, b"certificate of a second home", "elsewhere")
        store, pool = MemoryStore(), person.roster.pool
        newborn = begin_join(
            identity, pool, entropy=lambda count: seed_of("second", "author")[:count], wall=WALL
        )
        with store.transaction():
            finish_join(store, newborn, pool_name="test", introductions=[])
        party = Party("second", store, identity)
        party.load(pool)
        home = Talker(party, self)
        self.people.append(home)
        self.exchange()
        return home


def newcomer(street: Street, name: str) -> Talker:
    """Somebody whom the first of the street lets in; it has its own birth and nothing else."""
    first = street.people[0]
    identity = Identity(
        SigningKey(seed_of(name, "member")), b"certificate of " + name.encode(), name
    )
    store, pool = MemoryStore(), first.roster.pool
    newborn = begin_join(
        identity, pool, entropy=lambda count: seed_of(name, "author")[:count], wall=WALL
    )
    added = MemberAdded(bytes(identity.member), "writer", name)

    def let_in() -> None:
        first.party.replica.write_membership([added], first.wall)
        first.party.replica.log.admit([newborn.opened.data])

    first.handle(let_in)
    with store.transaction():
        finish_join(store, newborn, pool_name="test", introductions=[])
    party = Party(name, store, identity)
    party.load(pool)
    one = Talker(party, street)
    street.people.append(one)
    return one
