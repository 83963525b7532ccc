"""The same scenarios with whole peers: files, logs and all, in the ``Simulator``.

Offers what the steps ask of an ``OverlayPool``, and files. The simulator's network differs a little
from the overlay world's: delays vary by message instead of by pair, and a crash is noticed sooner.

Few peers come in through the door, one by one. Many (``FEW`` and beyond) have been members for long
and come back, each remembering one address; a good signature is checked once in the whole process;
and nobody floods where it is and whom it is linked to (``QUIET``), as in the overlay world.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

from meerkat.core.effects import Effect, Heard
from meerkat.core.events import Event, JobsDone, MessageReceived, PublishRequested
from meerkat.core.ids import AuthorId
from meerkat.core.messages import Announce, Beat, Graft, Hello, JoinRequest, Prune, Push
from meerkat.core.peer_config import PeerConfig
from meerkat.core.signing import remember

from .faults import Faults
from .overlay_measures import Graph
from .overlay_peer import QUIET
from .overlay_pool import OverlayPool, Spread
from .overlay_world import ENOUGH_LINKS
from .play import Play
from .scenario import (
    FEW,
    Broadcast,
    Join,
    Kill,
    Measure,
    Partition,
    Rest,
    Save,
    Scenario,
    ScenarioError,
)
from .simulator import SimulatedPeer, Simulator

__all__ = ["FullPool", "Saved", "check_full", "check_overlay", "full_play"]

SUPPORTED = (Join, Rest, Broadcast, Kill, Partition, Save, Measure)
MEAN_DELAY = 0.03  # s, the mean of the overlay world's 10-50 ms
SIGNATURES = 65_536  # that are not checked again: two for each peer, and all that is under way


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


def check_overlay(scenario: Scenario) -> None:
    """Say what cannot be played without files.

    Raises:
        ScenarioError: if the scenario saves some.
    """
    if scenario.saves:
        raise ScenarioError(
            f"The scenario {scenario.name} saves files, and that takes whole peers: "
            "add the option --full."
        )


@dataclass(slots=True)
class Saved:
    """A file on its way into all folders. Times are seconds after it was saved."""

    path: str
    data: bytes
    saved_at: float
    times: dict[int, float] = field(default_factory=dict)


class _Watched(Simulator):
    """Counts what arrives, and sees what programs hear."""

    def __init__(self, pool: FullPool, seed: int, config: PeerConfig | None) -> None:
        super().__init__(seed, faults=Faults(delay=MEAN_DELAY), config=config)
        self._pool = pool

    def handle(self, one: SimulatedPeer, event: Event) -> None:
        """See Simulator."""
        if isinstance(event, MessageReceived):
            self._pool.on_message(one, event)
        super().handle(one, event)
        if isinstance(event, MessageReceived) and isinstance(event.message, Hello):
            self._pool.on_greeted(one)
        elif isinstance(event, JobsDone):
            self._pool.on_written(one)

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

    def __init__(self, seed: int, residents: int = 0) -> None:
        config = PeerConfig(network=QUIET) if residents else None
        remember(SIGNATURES if residents else 0)
        self._simulator = _Watched(self, seed, config)
        self._away = self._simulator.populate(residents)[::-1] if residents else []
        self.saves: dict[str, Saved] = {}
        self.changed_at = 0.0  # when the last folder changed (virtual s)
        self._nodes: list[FullNode] = []
        self.world = FullWorld(self._simulator, self._nodes)
        self.rng = Random(seed + 1)
        self.spreads: dict[bytes, Spread] = {}
        self.keep_books = self.liars = False  # whole peers always keep theirs, and are honest
        self._messages = self._control = 0

    def enter(
        self, via: FullNode | None, *, dialable: bool = True, hostile: bool = False
    ) -> FullNode:
        """The founder, or a newcomer through somebody's door; or the next who comes back."""
        name = f"peer{len(self._nodes)}"
        if self._away:
            one = self._away.pop()
            one.dialable = dialable
            self._simulator.restart(one)
        elif via is None:
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
        index_of = {one.peer.author: one.index for one in alive if one.peer is not None}
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

    # -- files -----------------------------------------------------------------------------

    def save(self, node: FullNode, path: str, data: bytes) -> Saved:
        """A person at ``node`` saves a file; watch it in what is returned."""
        saved = self.saves[path] = Saved(path, data, self.world.now, {node.index: 0.0})
        node.one.folder.write(path, data)
        self._simulator.look(node.one)
        self.changed_at = self.world.now
        return saved

    def equal_share(self) -> float:
        """% of the folders that hold just what most of them hold."""
        listings: dict[tuple[tuple[str, object], ...], int] = {}
        for node in self.alive:
            listing = tuple(node.one.folder.listing().items())
            listings[listing] = listings.get(listing, 0) + 1
        return 100.0 * max(listings.values(), default=0) / max(len(self.alive), 1)

    def in_sync_share(self) -> float:
        """% of the peers that say they are in sync."""
        said = [node.one.peer.in_sync for node in self.alive if node.one.peer is not None]
        return 100.0 * sum(said) / max(len(said), 1)

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

    def on_written(self, one: SimulatedPeer) -> None:
        """A peer wrote into its folder."""
        self.changed_at = self.world.now
        for saved in self.saves.values():
            node = one.folder.nodes.get(saved.path)
            if one.index not in saved.times and node is not None and node.data == saved.data:
                saved.times[one.index] = self.world.now - saved.saved_at
                one.folder.nodes[saved.path] = replace(node, data=saved.data)  # one copy for all

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


def _linked(one: SimulatedPeer) -> list[AuthorId]:
    """Authors of its neighbors."""
    return one.peer.neighbors() if one.peer is not None else []


def full_play(scenario: Scenario, *, residents: bool | None = None) -> Play:
    """A scenario with whole peers. ``residents``: all are members already, and come back; else
    they come in through the door. None: as their number demands.

    Raises:
        ScenarioError: as ``check_full``.
    """
    check_full(scenario)
    # Of an OverlayPool the supported steps use only what a FullPool has, too.
    residents = scenario.peers > FEW if residents is None else residents
    pool = FullPool(scenario.seed, scenario.peers if residents else 0)
    return Play(scenario, cast(OverlayPool, pool))
