"""The same scenarios with whole peers: files, logs and all, in the ``Simulator``.

Offers what the steps ask of an ``OverlayPool``. The simulator's network differs a little from the
overlay world's: delays vary by message instead of by pair, and a crash is noticed sooner.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import cast

from meerkat.core.effects import Effect, Heard
from meerkat.core.events import Event, MessageReceived, PublishRequested
from meerkat.core.messages import Announce, Beat, Graft, Hello, JoinRequest, Prune, Push

from .faults import Faults
from .overlay_measures import Graph
from .overlay_pool import OverlayPool, Spread
from .overlay_world import ENOUGH_LINKS
from .play import Play
from .scenario import Broadcast, Join, Kill, Measure, Partition, Rest, Scenario, ScenarioError
from .simulator import SimulatedPeer, Simulator

__all__ = ["FullPool", "check_full", "full_play"]

SUPPORTED = (Join, Rest, Broadcast, Kill, Partition, Measure)
MEAN_DELAY = 0.03  # s, the mean of the overlay world's 10-50 ms


def check_full(scenario: Scenario) -> None:
    """Say what whole peers cannot play.

    Raises:
        ScenarioError: if the scenario has a step for overlay-only peers.
    """
    for step in scenario.steps:
        hostile = isinstance(step, Join) and (step.hostile or step.pools > 1)
        if not isinstance(step, SUPPORTED) or hostile:
            name = type(step).__name__.lower()
            raise ScenarioError(f"Whole peers (--full) cannot play the step {name} like this.")


class _Watched(Simulator):
    """Counts what arrives, and sees what programs hear."""

    def __init__(self, pool: FullPool, seed: int) -> None:
        super().__init__(seed, faults=Faults(delay=MEAN_DELAY))
        self._pool = pool

    def handle(self, one: SimulatedPeer, event: Event) -> None:
        """See Simulator."""
        if isinstance(event, MessageReceived):
            self._pool.on_message(one, event)
        super().handle(one, event)
        if isinstance(event, MessageReceived) and isinstance(event.message, Hello):
            self._pool.on_greeted(one)

    def _perform(self, one: SimulatedPeer, effect: Effect) -> None:
        if isinstance(effect, Heard):
            self._pool.on_heard(one, effect)
        super()._perform(one, effect)


class FullNode:
    """A simulated peer under the names that the steps use."""

    __slots__ = ("dialable", "hostile", "index", "linked_at", "one", "requests", "started_at")

    def __init__(self, one: SimulatedPeer, now: float) -> None:
        self.one = one
        self.index = one.index
        self.dialable = one.dialable
        self.hostile = False
        self.started_at = now
        self.linked_at: float | None = None
        self.requests = 0

    @property
    def peer(self) -> object | None:
        """None: it died."""
        return self.one.peer


class FullWorld:
    """Time and faults, as ``World`` offers them."""

    def __init__(self, simulator: Simulator, nodes: list[FullNode]) -> None:
        self._simulator, self.nodes = simulator, nodes

    @property
    def now(self) -> float:
        """Virtual s."""
        return self._simulator.now

    @property
    def event_count(self) -> int:
        """Events so far."""
        return self._simulator.event_count

    @property
    def trace(self) -> str:
        """See Simulator."""
        return self._simulator.trace[:16]

    def run(self, until: float) -> None:
        """Let time pass."""
        self._simulator.run(until)

    def kill(self, nodes: Iterable[FullNode]) -> None:
        """All at once."""
        for node in nodes:
            self._simulator.crash(node.one)

    def partition(self, groups: Iterable[Iterable[FullNode]]) -> None:
        """Only those of one group reach each other."""
        self._simulator.partition(*([node.one for node in group] for group in groups))

    def heal(self) -> None:
        """Everyone reaches everyone."""
        self._simulator.mend()


class FullPool:
    """See ``OverlayPool``."""

    def __init__(self, seed: int) -> None:
        self._simulator = _Watched(self, seed)
        self._nodes: list[FullNode] = []
        self.world = FullWorld(self._simulator, self._nodes)
        self.rng = Random(seed + 1)
        self.spreads: dict[bytes, Spread] = {}
        self.keep_books = self.liars = False  # whole peers always keep theirs, and are honest
        self._messages = self._control = 0

    def enter(
        self, via: FullNode | None, *, dialable: bool = True, hostile: bool = False
    ) -> FullNode:
        """The founder, or a newcomer through somebody's door."""
        name = f"peer{len(self._nodes)}"
        if via is None:
            one = self._simulator.found(name)
        else:
            one = self._simulator.join(name, via.one, dialable=dialable)
        node = FullNode(one, self._simulator.now)
        self._nodes.append(node)
        return node

    @property
    def alive(self) -> list[FullNode]:
        """Whose peer lives."""
        return [node for node in self._nodes if node.peer is not None]

    def graph(self) -> Graph:
        """Who is linked to whom, both ways."""
        alive = [node.one for node in self.alive]
        index_of = {one.peer.author.hex(): one.index for one in alive if one.peer is not None}
        known = {
            one.index: {index_of[author] for author in _linked(one) if author in index_of}
            for one in alive
        }
        return {
            index: sorted(one for one in others if index in known[one])
            for index, others in known.items()
        }

    def latency(self, a: int, b: int) -> float:
        """The mean: here it varies by message."""
        return MEAN_DELAY

    def message_count(self) -> int:
        """Messages that arrived anywhere, beats apart."""
        return self._messages

    def control_count(self) -> int:
        """Announcements, grafts and prunes that arrived."""
        return self._control

    def publish(self, node: FullNode) -> Spread:
        """A broadcast of a program at ``node``."""
        data = f"broadcast {len(self.spreads)}".encode()
        spread = self.spreads[data] = Spread(node.index, self.world.now, {node.index: 0.0})
        self._simulator.handle(node.one, PublishRequested(len(self.spreads), data))
        return spread

    # -- what the simulator shows ----------------------------------------------------------

    def on_message(self, one: SimulatedPeer, event: MessageReceived) -> None:
        """A message arrives."""
        message = event.message
        self._messages += not isinstance(message, Beat)
        self._control += isinstance(message, Announce | Graft | Prune)
        if isinstance(message, JoinRequest) and one.index < len(self._nodes):
            self._nodes[one.index].requests += 1
        elif isinstance(message, Push):
            spread = self.spreads.get(message.broadcast.payload)
            if spread is not None:
                spread.copies += 1
                if one.index not in spread.times:
                    spread.last_hop = max(spread.last_hop, message.hops + 1)

    def on_heard(self, one: SimulatedPeer, heard: Heard) -> None:
        """A program hears what was published."""
        spread = self.spreads.get(heard.data)
        if spread is not None:
            spread.times.setdefault(one.index, self.world.now - spread.sent_at)

    def on_greeted(self, one: SimulatedPeer) -> None:
        """Does it have enough links by now?"""
        if one.index >= len(self._nodes):
            return
        node = self._nodes[one.index]
        if node.linked_at is None and len(_linked(one)) >= ENOUGH_LINKS:
            node.linked_at = self.world.now


def _linked(one: SimulatedPeer) -> list[str]:
    """Authors of its neighbors, hexadecimal."""
    return [link.author for link in one.peer.status().peers] if one.peer is not None else []


def full_play(scenario: Scenario) -> Play:
    """A scenario with whole peers.

    Raises:
        ScenarioError: as ``check_full``.
    """
    check_full(scenario)
    # Of an OverlayPool the supported steps use only what a FullPool has, too.
    return Play(scenario, cast(OverlayPool, FullPool(scenario.seed)))
