"""A pool of overlay-only peers in a world: who comes in, who publishes, and what arrived where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from meerkat.core.effects import Effect
from meerkat.core.ids import AuthorId
from meerkat.core.messages import Announce, Beat, Contact, Direct, Graft, Prune, Push
from meerkat.core.network import NetworkConfig

from .hostile_peer import GreedyPeer
from .overlay_measures import Graph, percentile
from .overlay_peer import QUIET, Notebook, OverlayPeer, Registry
from .overlay_world import Node, OverlayProtocol, World, WorldConfig

__all__ = ["Letter", "OverlayPool", "Publisher", "Spread", "pick"]

CONTROL = (Announce, Graft, Prune)


class Publisher(OverlayProtocol, Protocol):
    """What a scenario needs from a peer beyond living."""

    def publish(self, data: bytes, now: float) -> list[Effect]:
        """For everyone who is here now."""
        ...

    def write(self, to: AuthorId, content: bytes, now: float) -> tuple[bytes, list[Effect]]:
        """For one; its number and what to do."""
        ...


@dataclass(slots=True)
class Spread:
    """How far one broadcast has come. Times are seconds after it was sent."""

    source: int
    sent_at: float
    times: dict[int, float] = field(default_factory=dict)
    last_hop: int = 0
    copies: int = 0

    @property
    def rmr(self) -> float:
        """Relative message redundancy: copies that nobody needed, per copy that somebody did."""
        needed = len(self.times) - 1
        return self.copies / needed - 1.0 if needed else 0.0

    @property
    def last_ms(self) -> float:
        """When the last one had it."""
        return 1000 * max(self.times.values(), default=0.0)

    @property
    def median_ms(self) -> float:
        """When half of them had it."""
        return 1000 * percentile(list(self.times.values()), 0.5)


@dataclass(slots=True)
class Letter:
    """A direct message on its way."""

    to: int
    sent_at: float
    messages: int = 0
    hops: int | None = None  # when it arrived
    flooded: bool = False


class OverlayPool:
    """Peers of one seed. ``make`` builds the peer of a node; by default the real core."""

    def __init__(
        self,
        seed: int,
        config: WorldConfig | None = None,
        *,
        make: Callable[[OverlayPool, Node], Publisher] | None = None,
    ) -> None:
        self.world = World(seed, config)
        self.registry = Registry(seed)
        self.rng = Random(seed + 1)
        self.notebooks: dict[int, Notebook] = {}
        self.spreads: dict[bytes, Spread] = {}
        self.letters: dict[bytes, Letter] = {}
        self.keep_books = False
        """Whether a peer that comes back finds its address book again (costs memory)."""
        self.network: NetworkConfig = QUIET
        self.accomplices: list[Contact] = []
        self.liars = False
        """Whether hostile peers also claim to have few links."""
        self._make = make or _real
        self.world.hooks[Push] = self._on_push
        self.world.hooks[Direct] = self._on_direct

    # -- who is here -----------------------------------------------------------------------

    def enter(self, via: Node | None, *, dialable: bool = True, hostile: bool = False) -> Node:
        """A newcomer, who knows one other node."""
        node = self.world.add(self.registry.enroll(len(self.world.nodes)))
        node.dialable, node.hostile = dialable, hostile
        self.world.start(node, self._make(self, node), [via] if via is not None else [])
        return node

    def come_back(self, node: Node, via: Node | None = None) -> None:
        """One that died starts again with its book."""
        self.world.start(node, self._make(self, node), [via] if via is not None else [])

    @property
    def alive(self) -> list[Node]:
        """Whose peer lives."""
        return self.world.alive

    def graph(self) -> Graph:
        """Who is linked to whom."""
        return self.world.graph()

    def latency(self, a: int, b: int) -> float:
        """Between two nodes, one way, in seconds."""
        return self.world.latency(self.world.nodes[a], self.world.nodes[b])

    def message_count(self) -> int:
        """Messages that arrived anywhere, beats apart."""
        return sum(self.world.counts.values()) - self.world.counts.get(Beat, 0)

    def control_count(self) -> int:
        """Announcements, grafts and prunes that arrived."""
        return sum(self.world.counts.get(kind, 0) for kind in CONTROL)

    # -- news ------------------------------------------------------------------------------

    def publish(self, node: Node) -> Spread:
        """A broadcast of ``node``; watch it in what is returned."""
        data = f"broadcast {len(self.spreads)}".encode()
        spread = self.spreads[data] = Spread(node.index, self.world.now, {node.index: 0.0})
        if node.peer is not None:
            self.world.perform(node, _publisher(node).publish(data, self.world.now))
        return spread

    def write(self, node: Node, to: Node) -> Letter:
        """A direct message; watch it in what is returned."""
        letter = Letter(to.index, self.world.now)
        number, effects = _publisher(node).write(to.author, b"a letter", self.world.now)
        self.letters[number] = letter
        self.world.perform(node, effects)
        return letter

    def _on_push(self, node: Node, push: Push) -> None:
        spread = self.spreads.get(push.broadcast.payload)
        if spread is None:
            return
        spread.copies += 1
        if node.index not in spread.times:
            spread.times[node.index] = self.world.now - spread.sent_at
            spread.last_hop = max(spread.last_hop, push.hops + 1)

    def _on_direct(self, node: Node, direct: Direct) -> None:
        letter = self.letters.get(direct.id)
        if letter is None:
            return
        letter.messages += 1
        letter.flooded = letter.flooded or direct.flood
        if node.index == letter.to and letter.hops is None:
            letter.hops = direct.hops + 1


def _publisher(node: Node) -> Any:
    return node.peer


def _real(pool: OverlayPool, node: Node) -> Publisher:
    """The core's own network layers, or a hostile peer."""
    rng = Random(pool.rng.random())
    if node.hostile:
        return GreedyPeer(pool.registry, node.author, pool.accomplices, rng, lies=pool.liars)
    notebook = pool.notebooks.setdefault(node.index, Notebook()) if pool.keep_books else None
    return OverlayPeer(pool.registry, node.author, rng, notebook, pool.network)


def pick(rng: Random, nodes: Sequence[Node], share: float) -> list[Node]:
    """A random share of some nodes, at least one if the share is not 0."""
    count = round(share * len(nodes)) or (1 if share > 0 else 0)
    return rng.sample(list(nodes), min(count, len(nodes)))
