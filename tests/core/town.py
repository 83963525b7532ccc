"""A town of couriers: nothing but letters, links with latencies, and neighbors that die."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from blake3 import blake3

from meerkat.core.courier import Courier, CourierConfig, Delivered, News, Received, Unreachable
from meerkat.core.effects import Effect, Send, StartTimer
from meerkat.core.events import LinkId
from meerkat.core.ids import AuthorId, MemberId, PoolId
from meerkat.core.letters import LetterKind
from meerkat.core.messages import Direct, DirectAck, DirectFailed, Hello, Message
from meerkat.core.wire import decode, encode

WALL = 1_790_000_000.0
POOL = PoolId(blake3(b"town").digest())
SILENT = float("inf")  # nobody notices that a neighbor died


def author_of(index: int) -> AuthorId:
    return AuthorId(blake3(b"author %d" % index).digest())


def member_of(index: int) -> MemberId:
    return MemberId(blake3(b"member %d" % index).digest())


@dataclass
class TownGate:
    """Signatures are keyed hashes; ``houses`` says which member lives where."""

    houses: dict[AuthorId, MemberId]
    author: AuthorId
    pool: PoolId = POOL

    def size(self) -> int:
        return len(self.houses)

    def may_link(self, author: AuthorId) -> bool:
        return author in self.houses

    def member_of(self, author: AuthorId) -> MemberId | None:
        return self.houses.get(author)

    def name_of(self, author: AuthorId) -> str:
        return author.short()

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        raise NotImplementedError

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        raise NotImplementedError

    def introduce(self) -> tuple[bytes, str]:
        raise NotImplementedError

    def sign(self, data: bytes) -> bytes:
        return blake3(self.author + data).digest(length=64)

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        return author in self.houses and blake3(author + data).digest(length=64) == signature


def seal(member: MemberId, plain: bytes) -> bytes:
    return bytes(member) + plain


def opener_of(member: MemberId) -> Callable[[bytes], bytes | None]:
    return lambda box: box[32:] if box[:32] == member else None


@dataclass
class House:
    """One installation: its courier, its links and what it was told."""

    index: int
    courier: Courier
    gate: TownGate
    member: MemberId
    links: dict[LinkId, int] = field(default_factory=dict)  # link -> house at its other end
    news: list[News] = field(default_factory=list)
    dead: bool = False
    timer: float | None = None

    def link_to(self, other: int) -> LinkId:
        return next(link for link, end in self.links.items() if end == other)

    def got(self) -> list[Received]:
        return [one for one in self.news if isinstance(one, Received)]

    def delivered(self) -> list[Delivered]:
        return [one for one in self.news if isinstance(one, Delivered)]

    def unreachable(self) -> list[Unreachable]:
        return [one for one in self.news if isinstance(one, Unreachable)]


class Town:
    """Houses, and what is on its way between them. Everything goes through the wire's codec."""

    def __init__(
        self,
        edges: Iterable[tuple[int, int]],
        seed: int = 0,
        members: dict[int, int] | None = None,
        config: CourierConfig | None = None,
        latency: tuple[float, float] = (0.010, 0.050),
    ) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.edges = sorted({(min(pair), max(pair)) for pair in edges})
        count = max(max(pair) for pair in self.edges) + 1
        members = members or {}
        self.homes = {author_of(i): member_of(members.get(i, i)) for i in range(count)}
        self.houses: list[House] = []
        self.sent: Counter[str] = Counter()  # messages by type, dead receivers included
        self.latency: dict[tuple[int, int], float] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        for index in range(count):
            gate = TownGate(self.homes, author_of(index))
            member = self.homes[gate.author]
            rng = Random(seed * 10_007 + index)
            courier = Courier(
                gate,
                config or CourierConfig(),
                rng,
                rng.randbytes,
                seal=seal,
                open_=opener_of(member),
            )
            self.houses.append(House(index, courier, gate, member))
        for one, other in self.edges:
            self.latency[one, other] = self.latency[other, one] = self.rng.uniform(*latency)
            self.link(one, other)

    # -- shape -----------------------------------------------------------------------------

    def link(self, one: int, other: int) -> None:
        for near, far in ((one, other), (other, one)):
            self._number += 1
            house, link = self.houses[near], LinkId(self._number)
            house.links[link] = far
            house.courier.link_up(link, author_of(far), self.houses[far].member)

    def unlink(self, near: int, far: int) -> None:
        """``near`` notices that its link is gone."""
        house = self.houses[near]
        link = house.link_to(far)
        del house.links[link]
        self.perform(house, house.courier.link_down(link))

    def teach(self, *sources: int) -> None:
        """Each of these says something to all: first arrivals become pointers."""
        neighbors: dict[int, list[int]] = {}
        for one, other in self.edges:
            neighbors.setdefault(one, []).append(other)
            neighbors.setdefault(other, []).append(one)
        for source in sources:
            heap, seen = [(0.0, source, source)], set()
            while heap:
                at, index, before = heapq.heappop(heap)
                if index in seen or self.houses[index].dead:
                    continue
                seen.add(index)
                if index != source:
                    house = self.houses[index]
                    link = house.link_to(before)
                    house.courier.learn(author_of(source), link, self.now + at)
                for other in neighbors[index]:
                    if other not in seen:
                        lag = self.latency[index, other]
                        heapq.heappush(heap, (at + lag, other, index))

    def distance(self, one: int, other: int) -> int | None:
        """Links on the shortest way that is alive."""
        level, seen, steps = {one}, {one}, 0
        while level and other not in level:
            steps += 1
            level = {
                far
                for near in level
                for far in self.houses[near].links.values()
                if far not in seen and not self.houses[far].dead
            }
            seen |= level
        return steps if level else None

    def kill(self, victims: Iterable[int], noticed: Callable[[], float]) -> None:
        """They answer no more; after ``noticed()`` seconds a neighbor's link is down."""
        gone = set(victims)
        for index in gone:
            self.houses[index].dead = True
        for house in self.houses:
            if house.dead:
                continue
            for far in sorted(set(house.links.values()) & gone):
                after = noticed()
                if after <= 0:
                    self.unlink(house.index, far)
                elif after < SILENT:
                    self._at(self.now + after, partial(self.unlink, house.index, far))

    # -- time ------------------------------------------------------------------------------

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (when, self._number, what))

    def perform(self, house: House, effects: list[Effect]) -> None:
        house.news += house.courier.take_news()
        for effect in effects:
            if isinstance(effect, Send):
                far = house.links.get(effect.link)
                assert far is not None, "sent on a link that is down"
                self.sent[type(effect.message).__name__] += 1
                self.post(house.index, far, decode(encode(effect.message)))
            elif isinstance(effect, StartTimer):
                assert effect.name == "courier"
                due = house.timer = self.now + effect.delay
                self._at(due, partial(self._ring, house, due))

    def post(self, near: int, far: int, message: Message) -> None:
        """A message is on its way from one house to its neighbor."""
        lag = self.latency[near, far]
        self._at(self.now + lag, lambda: self._deliver(near, far, message))

    def _deliver(self, near: int, far: int, message: Message) -> None:
        house = self.houses[far]
        if house.dead or near not in house.links.values():
            return
        link = house.link_to(near)
        match message:
            case Direct():
                effects = house.courier.on_direct(link, message, self.now, WALL + self.now)
            case DirectAck():
                effects = house.courier.on_ack(link, message, self.now)
            case DirectFailed():
                effects = house.courier.on_failed(link, message, self.now)
            case _:
                raise AssertionError(message)
        self.perform(house, effects)

    def _ring(self, house: House, due: float) -> None:
        if house.timer == due and not house.dead:
            house.timer = None
            self.perform(house, house.courier.on_timer("courier", self.now))

    def run(self, until: float = float("inf")) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, what = heapq.heappop(self._queue)
            what()
        if until < float("inf"):
            self.now = max(self.now, until)

    def send(
        self, near: int, to: int, content: bytes = b"hello", kind: LetterKind = LetterKind.TEXT
    ) -> bytes:
        """From a house to a member's number."""
        house = self.houses[near]
        letter, effects = house.courier.send(
            member_of(to), kind, content, self.now, WALL + self.now
        )
        self.perform(house, effects)
        return letter


def random_graph(count: int, degree: int, seed: int) -> list[tuple[int, int]]:
    """Connected, every house with about ``degree`` links: a ring and random chords."""
    rng = Random(seed)
    edges = {(i, (i + 1) % count) for i in range(count)}
    while len(edges) < count * degree // 2:
        one, other = rng.sample(range(count), 2)
        if (other, one) not in edges:
            edges.add((one, other))
    return sorted(edges)
