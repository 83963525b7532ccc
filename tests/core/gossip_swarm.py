"""Many ``Gossip``s on a random graph: latencies 10-50 ms a link, no codec, no overlay."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from meerkat.core.effects import Effect, Send, StartTimer
from meerkat.core.events import LinkId
from meerkat.core.gossip import Gossip, GossipConfig
from meerkat.core.ids import AuthorId, MemberId, PoolId
from meerkat.core.messages import Announce, Graft, Hello, Message, Prune, Push
from meerkat.core.trees import Trees, TreesConfig

POOL = PoolId(b"p" * 32)
WALL = 1_790_000_000.0
BOOT = 1_790_000_000_000


def author_of(index: int) -> AuthorId:
    return AuthorId(index.to_bytes(32, "big"))


class OpenGate:
    """Everyone whose number is below ``size`` is known; whose signature it is stands in it."""

    def __init__(self, index: int, size: int) -> None:
        self.pool, self.author, self._size = POOL, author_of(index), size
        self.checked = 0

    def size(self) -> int:
        return self._size

    def may_link(self, author: AuthorId) -> bool:
        return self.member_of(author) is not None

    def member_of(self, author: AuthorId) -> MemberId | None:
        return MemberId(bytes(author)) if int.from_bytes(author, "big") < self._size else None

    def name_of(self, author: AuthorId) -> str:
        return author.short()

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        return None

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        return AuthorId(hello.author)

    def introduce(self) -> tuple[bytes, str]:
        return b"", ""

    def sign(self, data: bytes) -> bytes:
        return bytes(self.author) + bytes(32)

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        self.checked += 1
        return signature == bytes(author) + bytes(32)


@dataclass
class Spread:
    """What became of one broadcast."""

    author: int
    at: float
    reached: dict[int, tuple[float, int]] = field(default_factory=dict)  # node -> (s, hops)


class Swarm:
    """So many nodes, ``degree`` links each, and the time they live in."""

    def __init__(
        self,
        count: int,
        *,
        degree: int = 10,
        seed: int = 0,
        gossip: GossipConfig | None = None,
        trees: TreesConfig | None = None,
    ) -> None:
        self.rng = Random(f"swarm {seed}")
        self.now = 0.0
        self.gates = [OpenGate(index, count) for index in range(count)]
        self.trees = [Trees(trees) for _ in range(count)]
        self.nodes = [
            Gossip(gate, tree, gossip or GossipConfig(), BOOT)
            for gate, tree in zip(self.gates, self.trees, strict=True)
        ]
        self.alive = set(range(count))
        self.loss = 0.0
        self.latency: dict[tuple[int, int], float] = {}
        self.sent: Counter[str] = Counter()
        self.spreads: dict[tuple[bytes, int], Spread] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._timers: dict[int, int] = {}
        for a, b in sorted(_regular(count, degree, self.rng)):
            self.link(a, b)

    def link(self, a: int, b: int) -> None:
        """Link ids are the other's number."""
        self.latency[min(a, b), max(a, b)] = self.rng.uniform(0.01, 0.05)
        self._perform(a, self.nodes[a].link_up(LinkId(b), self.now))
        self._perform(b, self.nodes[b].link_up(LinkId(a), self.now))

    def neighbors(self, index: int) -> list[int]:
        return [b if a == index else a for a, b in sorted(self.latency) if index in (a, b)]

    def cut(self, a: int, b: int) -> None:
        del self.latency[min(a, b), max(a, b)]
        for one, other in ((a, b), (b, a)):
            if one in self.alive:
                self._perform(one, self.nodes[one].link_down(LinkId(other), self.now))

    def kill(self, dead: Sequence[int], notice: float | None) -> None:
        """They are gone; the others notice ``notice`` to three times as many seconds later."""
        self.alive -= set(dead)
        for a, b in sorted(self.latency):
            for one, other in ((a, b), (b, a)):
                if notice is not None and one in self.alive and other not in self.alive:
                    when = self.now + self.rng.uniform(notice, 3 * notice)
                    self._at(when, self._noticing(one, other))

    def _noticing(self, one: int, other: int) -> Callable[[], None]:
        return lambda: self._perform(one, self.nodes[one].link_down(LinkId(other), self.now))

    def publish(self, index: int, payload: bytes = b"news") -> Spread:
        effects = self.nodes[index].publish(3, payload, self.now)
        push = next((e.message for e in effects if isinstance(e, Send)), None)
        spread = Spread(index, self.now, {index: (0.0, 0)})
        if isinstance(push, Push):
            self.spreads[push.broadcast.author, push.broadcast.sequence] = spread
        self._perform(index, effects)
        return spread

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._heap)
            happen()
        self.now = until

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, happen))

    def _perform(self, index: int, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(index, int(effect.link), effect.message)
            elif isinstance(effect, StartTimer):
                self._start(index, effect)

    def _start(self, index: int, effect: StartTimer) -> None:
        number = self._timers[index] = self._count + 1

        def ring() -> None:
            if self._timers.get(index) == number and index in self.alive:
                self._perform(index, self.nodes[index].on_timer(effect.name, self.now))

        self._at(self.now + effect.delay, ring)

    def _send(self, index: int, other: int, message: Message) -> None:
        latency = self.latency.get((min(index, other), max(index, other)))
        self.sent[type(message).__name__] += 1
        if isinstance(message, Announce):
            self.sent["announced"] += len(message.entries)
        if isinstance(message, Graft):
            self.sent["grafted"] += len(message.entries)
        if latency is None or self.rng.random() < self.loss:
            return

        def arrive() -> None:
            if other in self.alive and index in self.alive:
                self._perform(other, self._take(other, index, message))

        self._at(self.now + latency, arrive)

    def _take(self, index: int, source: int, message: Message) -> list[Effect]:
        node, link, wall = self.nodes[index], LinkId(source), WALL + self.now
        match message:
            case Push():
                arrived = node.on_push(link, message, self.now, wall)
                if arrived.broadcast is not None:
                    one = arrived.broadcast
                    spread = self.spreads[one.author, one.sequence]
                    assert index not in spread.reached, "delivered twice"
                    spread.reached[index] = (self.now - spread.at, arrived.hops)
                return arrived.effects
            case Announce():
                return node.on_announce(link, message, self.now, wall)
            case Graft():
                return node.on_graft(link, message, self.now)
            case Prune():
                self.trees[index].on_prune(link, message)
                return []
            case _:
                raise AssertionError(message)


def _regular(count: int, degree: int, rng: Random) -> set[tuple[int, int]]:
    """A random graph with (nearly) so many links at each node, and in one piece."""
    while True:
        ends = [index for index in range(count) for _ in range(degree)]
        rng.shuffle(ends)
        pairs = zip(ends[::2], ends[1::2], strict=False)
        links = {(min(a, b), max(a, b)) for a, b in pairs if a != b}
        if len(component(0, range(count), links)) == count:
            return links


def component(start: int, nodes: Sequence[int] | set[int], links: object) -> set[int]:
    """Whom news of ``start`` can reach over links between ``nodes``."""
    alive, beside = set(nodes), dict[int, list[int]]()
    assert isinstance(links, (set, dict))
    for a, b in links:
        if a in alive and b in alive:
            beside.setdefault(a, []).append(b)
            beside.setdefault(b, []).append(a)
    found, left = {start}, [start]
    while left:
        for other in beside.get(left.pop(), []):
            if other not in found:
                found.add(other)
                left.append(other)
    return found
