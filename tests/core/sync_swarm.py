"""Real logs over ``Sync`` on a graph of links that may lose, double and reorder messages."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from meerkat.core.actions import Action, PutFolder
from meerkat.core.effects import Effect, Send, StartTimer
from meerkat.core.events import LinkId
from meerkat.core.messages import (
    Graft,
    HaveHeads,
    Message,
    Operations,
    Prune,
    WantOperations,
)
from meerkat.core.sync import Sync, SyncConfig
from meerkat.core.trees import Trees
from tests.core.replicas import Party, make_pool

BEAT = 10.0  # s between Beats of the overlay


def make_parties(count: int) -> list[Party]:
    """A founder and so many members, who all have the same."""
    return make_pool(count, [f"peer{n}" for n in range(count)])


class SyncSwarm:
    """So many parties; link ids are the other's number."""

    def __init__(
        self,
        parties: list[Party],
        links: Iterable[tuple[int, int]],
        *,
        seed: int = 0,
        beats: bool = True,
        config: SyncConfig | None = None,
    ) -> None:
        self.rng = Random(f"sync {seed}")
        self.now = 0.0
        self.parties = parties
        self.trees = [Trees() for _ in parties]
        self.syncs = [
            Sync(one.replica.log, config or SyncConfig(), trees)
            for one, trees in zip(parties, self.trees, strict=True)
        ]
        self.loss = self.double = self.reorder = 0.0
        self.latency: dict[tuple[int, int], float] = {}
        self.sent: Counter[str] = Counter()
        self.operations: Counter[int] = Counter()  # operations received, by node
        self.entries = 0  # heads said
        self._last: dict[tuple[int, int], float] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._timers: dict[tuple[int, str], int] = {}
        for index in range(len(parties)):
            self._perform(index, [StartTimer("beat", self.rng.uniform(5, 15))])
        for a, b in links:
            self.link(a, b)
        if beats:
            self._at(self.rng.uniform(0, BEAT), self._beats)

    # -- links ---------------------------------------------------------------------------------

    def link(self, a: int, b: int) -> None:
        """Both Hellos come at once, as far as heads go; nothing of them is lost."""
        self.latency[min(a, b), max(a, b)] = self.rng.uniform(0.01, 0.05)
        said = {}
        for one, other in ((a, b), (b, a)):
            sync = self.syncs[one]
            said[one] = sync.greet(LinkId(other)), sync.heads_hash()
        for one, other in ((a, b), (b, a)):
            heads, hashed = said[other]
            self.syncs[one].link_up(LinkId(other), heads, hashed, self.now)
            self._perform(one, [])

    def cut(self, a: int, b: int) -> None:
        del self.latency[min(a, b), max(a, b)]
        for one, other in ((a, b), (b, a)):
            self.syncs[one].link_down(LinkId(other))
            self._perform(one, [])

    # -- what happens --------------------------------------------------------------------------

    def write(self, index: int, *actions: Action) -> None:
        party = self.parties[index]
        written = party.write(*(actions or (PutFolder(f"{index} at {self.now}"),)))
        self._perform(index, self.syncs[index].relay(written, None, self.now))

    def _beats(self) -> None:
        for a, b in sorted(self.latency):
            for one, other in ((a, b), (b, a)):
                hashed = self.syncs[one].heads_hash()
                self._carry(one, other, self._beat(other, one, hashed))
        self._at(self.now + BEAT, self._beats)

    def _beat(self, index: int, source: int, hashed: bytes) -> Callable[[], None]:
        def arrive() -> None:
            self.syncs[index].on_beat(LinkId(source), hashed, self.now)
            self._perform(index, [])

        return arrive

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._heap)
            happen()
        self.now = until

    def settle(self, limit: float = 60.0) -> float:
        """Until all have the same and know it; s it took."""
        start = self.now
        while self.now - start < limit and not self.settled():
            self.run(0.05)
        return self.now - start

    def settled(self) -> bool:
        return self.equal() and all(
            self.syncs[a].has_all(LinkId(b)) and self.syncs[b].has_all(LinkId(a))
            for a, b in self.latency
        )

    def equal(self) -> bool:
        heads = [one.replica.log.heads for one in self.parties]
        return all(one == heads[0] for one in heads)

    # -- the machinery -------------------------------------------------------------------------

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, happen))

    def _perform(self, index: int, effects: list[Effect]) -> None:
        for effect in [*effects, *self.syncs[index].evaluate(self.now)]:
            if isinstance(effect, Send):
                self._send(index, int(effect.link), effect.message)
            elif isinstance(effect, StartTimer):
                self._start(index, effect)

    def _start(self, index: int, effect: StartTimer) -> None:
        number = self._timers[index, effect.name] = self._count + 1

        def ring() -> None:
            if self._timers.get((index, effect.name)) == number:
                sync = self.syncs[index]
                self._perform(index, sync.beat(self.now) if effect.name == "beat" else [])

        self._at(self.now + effect.delay, ring)

    def _send(self, index: int, other: int, message: Message) -> None:
        name = type(message).__name__
        self.sent[name + " answer" * getattr(message, "answer", False)] += 1
        if isinstance(message, HaveHeads):
            self.entries += len(message.heads)
        if isinstance(message, Operations):
            self.operations[other] += len(message.operations)

        def arrive() -> None:
            if (min(index, other), max(index, other)) in self.latency:
                self._perform(other, self._take(other, LinkId(index), message))

        self._carry(index, other, arrive)

    def _carry(self, index: int, other: int, arrive: Callable[[], None]) -> None:
        latency = self.latency.get((min(index, other), max(index, other)))
        if latency is None or self.rng.random() < self.loss:
            return
        for _ in range(2 if self.rng.random() < self.double else 1):
            when = self.now + latency
            if self.rng.random() < self.reorder:
                when += self.rng.uniform(0, 0.2)
            else:
                when = self._last[index, other] = max(when, self._last.get((index, other), 0.0))
            self._at(when, arrive)

    def _take(self, index: int, link: LinkId, message: Message) -> list[Effect]:
        sync, party = self.syncs[index], self.parties[index]
        match message:
            case Operations():
                result = party.take(message.operations)
                answer = message.answer
                effects = sync.on_operations(link, result, self.now, answer=answer)
                return [*effects, *sync.relay(result.admitted, link, self.now)]
            case HaveHeads():
                sync.on_heads(link, message, self.now)
                return []
            case WantOperations():
                return sync.on_want(link, message)
            case Graft():
                self.trees[index].on_graft(link, message.tree, self.now)
                return []
            case Prune():
                self.trees[index].on_prune(link, message)
                return []
            case _:
                raise AssertionError(message)


def ring(count: int, chords: int, seed: int = 0) -> set[tuple[int, int]]:
    """A circle with chords: in one piece, and with more than one way."""
    rng = Random(f"ring {seed}")
    links = {(min(n, (n + 1) % count), max(n, (n + 1) % count)) for n in range(count)}
    while len(links) < count + chords:
        a, b = rng.sample(range(count), 2)
        links.add((min(a, b), max(a, b)))
    return links
