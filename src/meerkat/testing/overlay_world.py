"""Thousands of overlay-only peers, one heap of events, one seed: the network without its files.

Decides when things happen between peers: how long a message takes, when a dial fails, when a death
is noticed. What happens is for the peers to say (``OverlayProtocol``, in practice
``meerkat.core.network.Network``). The model is that of the anchors' simulation: latency 10-50 ms,
fixed per pair; a dial costs one more round trip; a dial to nobody fails after 500 ms; a death is
noticed 1-3 s later. Messages are handed over as objects (``through_wire`` encodes them as well).

Built for 10,000 peers: entries of the heap are flat tuples, nothing is allocated for a message but
its event, and the cyclic garbage collector can rest (``no_collector``).
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, get_args

from meerkat.core import wire
from meerkat.core.effects import CloseLink, Dial, Effect, Notify, Send, StartTimer
from meerkat.core.events import (
    DialFailed,
    Discovered,
    Event,
    LinkDown,
    LinkId,
    LinkUp,
    Listening,
    MessageReceived,
    Started,
    TimerExpired,
)
from meerkat.core.ids import AuthorId, MemberId
from meerkat.core.messages import JoinRequest, Message, NetworkMessage

__all__ = ["Line", "Node", "OverlayProtocol", "World", "WorldConfig", "no_collector"]

WALL = 1_790_000_000.0  # s since the epoch at virtual time 0
ENOUGH_LINKS = 5  # overlay.md, 5.3: a peer is steady from five links on

MESSAGE, DOWN, UP, CONNECT, FAILED, TIMER, CALL = range(7)
Entry = tuple[float, int, int, Any, Any, Any]
"""(when, number, what, node, key, data); the number makes every entry different and keeps order."""

_CODES = {kind: code for code, kind in enumerate((*get_args(Message), *get_args(NetworkMessage)))}
_MASK = 2**64 - 1
_PRIME = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads neighboring numbers (Knuth, 6.4)


class OverlayProtocol(Protocol):
    """What lives in the world."""

    def handle(self, event: Event, now: float, wall: float) -> list[Effect]:
        """As ``Peer.handle``."""
        ...

    def neighbors(self) -> list[AuthorId]:
        """Whoever it would send news to."""
        ...


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The network between the peers; times in seconds (overlay.md, section 1)."""

    latency_min: float = 0.010
    latency_max: float = 0.050
    dial_timeout: float = 0.5
    notice_min: float = 1.0
    notice_max: float = 3.0
    dial_loss: float = 0.0
    """Share of the dials that fail though somebody listens."""
    breaks: float = 0.0
    """Chance per message that it is lost and its connection with it."""
    through_wire: bool = False
    """Encode and decode every message: slower, and nothing in it is shared."""


class Line:
    """A connection. Both ends know it by the same number; it is never used again."""

    __slots__ = ("a", "b", "broken", "delay", "id")

    def __init__(self, number: int, a: Node, b: Node, delay: float) -> None:
        self.id = LinkId(number)
        self.a, self.b, self.delay = a, b, delay
        self.broken = False

    def other(self, node: Node) -> Node:
        """The far end."""
        return self.b if node is self.a else self.a


class Node:
    """A place in the network: a peer, its connections, its timers."""

    __slots__ = (
        "address",
        "author",
        "dialable",
        "group",
        "hostile",
        "index",
        "life",
        "lines",
        "linked_at",
        "member",
        "peer",
        "requests",
        "started_at",
        "timers",
    )

    def __init__(self, index: int, author: AuthorId) -> None:
        self.index = index
        self.author = author
        self.member = MemberId(author)
        self.address = f"sim:{index}"
        self.peer: OverlayProtocol | None = None
        self.life = 0  # counts deaths; what was meant for an earlier life is dropped
        self.dialable = True
        self.hostile = False
        self.group = 0  # peers of one group reach each other
        self.lines: dict[LinkId, Line] = {}
        self.timers: dict[str, list[float]] = {}  # name -> [deadline, time of its heap entry]
        self.started_at = 0.0
        self.linked_at: float | None = None  # when it first had ENOUGH_LINKS
        self.requests = 0  # JOIN_REQs that came here

    def __repr__(self) -> str:
        return f"Node({self.index})"


class World:
    """All nodes and the time they live in."""

    def __init__(self, seed: int, config: WorldConfig | None = None) -> None:
        self.rng = Random(seed)
        self.config = config or WorldConfig()
        self.now = 0.0
        self.nodes: list[Node] = []
        self.by_author: dict[AuthorId, Node] = {}
        self.event_count = 0
        self.counts: dict[type, int] = {}
        self.notices: dict[str, int] = {}
        """``Notify("network")`` by what it said."""
        self.hooks: dict[type, Callable[[Node, Any], None]] = {JoinRequest: _count_request}
        """What a measure looks at when a message of a class arrives."""
        self.log: Callable[[str], None] | None = None
        """Gets a line for every event, to hunt a bug with."""
        self._seed = seed
        self._heap: list[Entry] = []
        self._number = 0
        self._digest = seed

    # -- nodes -----------------------------------------------------------------------------

    def add(self, author: AuthorId) -> Node:
        """A place for a peer that does not live yet."""
        node = Node(len(self.nodes), author)
        self.nodes.append(node)
        self.by_author[author] = node
        return node

    @property
    def alive(self) -> list[Node]:
        """Nodes whose peer lives."""
        return [node for node in self.nodes if node.peer is not None]

    def start(self, node: Node, peer: OverlayProtocol, via: Iterable[Node] = ()) -> None:
        """Let ``peer`` live at ``node``; it has been told about ``via``."""
        node.peer = peer
        node.started_at = self.now
        node.linked_at = None
        wall = WALL + self.now
        self._handle(node, Listening((node.address,) if node.dialable else ()))
        self._handle(node, Started(wall))
        for other in via:
            self.tell(node, Discovered(other.author, (other.address,)))

    def tell(self, node: Node, event: Event) -> None:
        """Something a scenario lets a peer know now."""
        self._handle(node, event)

    def kill(self, nodes: Iterable[Node]) -> None:
        """All at once, without a goodbye; whoever is left notices 1-3 s later."""
        dying = list(nodes)
        for node in dying:
            node.peer = None
            node.life += 1
            node.timers.clear()
        for node in dying:
            for line in node.lines.values():
                line.broken = True
                other = line.other(node)
                if other.peer is not None:
                    self._notice(other, line)
            node.lines.clear()

    def partition(self, groups: Iterable[Iterable[Node]]) -> None:
        """Only nodes of one group reach each other from now on."""
        for number, group in enumerate(groups):
            for node in group:
                node.group = number
        for node in self.nodes:
            for line in node.lines.values():
                if line.a is node and not line.broken and line.a.group != line.b.group:
                    self._break(line)

    def heal(self) -> None:
        """Everyone reaches everyone."""
        for node in self.nodes:
            node.group = 0

    def latency(self, a: Node, b: Node) -> float:
        """One way, in seconds; fixed per pair."""
        low, high = (a.index, b.index) if a.index < b.index else (b.index, a.index)
        mixed = ((low << 32) + high + self._seed * _PRIME) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK  # splitmix64's constants
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        share = ((mixed ^ (mixed >> 31)) >> 11) / 2**53
        config = self.config
        return config.latency_min + share * (config.latency_max - config.latency_min)

    def graph(self) -> dict[int, list[int]]:
        """Who has whom as a neighbor, both ways, among the living: index -> indices, sorted."""
        known: dict[int, list[int]] = {}
        by_author = self.by_author
        for node in self.nodes:
            if node.peer is None:
                continue
            found = (by_author.get(author) for author in node.peer.neighbors())
            known[node.index] = [
                one.index for one in found if one is not None and one.peer is not None
            ]
        sets = {index: set(others) for index, others in known.items()}
        return {
            index: sorted({one for one in others if index in sets[one]})
            for index, others in known.items()
        }

    # -- time ------------------------------------------------------------------------------

    @property
    def trace(self) -> str:
        """A digest of what happened where and when, to compare two runs of one seed."""
        return f"{self._digest:016x}"

    def call_at(self, when: float, happen: Callable[[], None]) -> None:
        """Something a scenario does at a virtual time (s)."""
        self._push(when, CALL, None, happen, None)

    def run(self, until: float) -> None:
        """Let time pass until ``until`` (virtual s)."""
        heap, pop, handle = self._heap, heapq.heappop, self._handle
        counts, hooks, codes = self.counts, self.hooks, _CODES
        while heap and heap[0][0] <= until:
            when, _, what, node, key, data = pop(heap)
            self.now = when
            if what == MESSAGE:
                if key not in node.lines:
                    continue
                kind = type(data)
                counts[kind] = counts.get(kind, 0) + 1
                self._digest = (
                    (self._digest + node.index) * _PRIME + int(when * 1e9) + codes[kind]
                ) & _MASK
                hook = hooks.get(kind)
                if hook is not None:
                    hook(node, data)
                if self.config.through_wire:
                    data = wire.decode(wire.encode(data))
                handle(node, MessageReceived(key, data))
            else:
                self._happen(what, node, key, data)
        self.now = until

    def _happen(self, what: int, node: Node, key: Any, data: Any) -> None:
        """Anything but a message."""
        if node is not None:
            mixed = (self._digest + node.index) * _PRIME + int(self.now * 1e9) - what
            self._digest = mixed & _MASK
        if what == TIMER:
            timer = node.timers.get(key)
            if timer is None or timer[1] != self.now:
                return
            if timer[0] > self.now:  # it was moved on meanwhile
                timer[1] = timer[0]
                self._push(timer[0], TIMER, node, key, None)
                return
            del node.timers[key]
            self._handle(node, TimerExpired(key))
        elif what == UP:
            if key.id in node.lines:
                other = key.other(node)
                # As with TCP, where a dialler comes from is no place to dial.
                address = data.address if data is not None else f"sim-out:{other.index}-{key.id}"
                self._handle(node, LinkUp(key.id, other.member, address, data is not None))
        elif what == DOWN:
            if node.lines.pop(key, None) is not None:
                self._handle(node, LinkDown(key, data))
        elif what == CONNECT:
            self._connect(node, key, data)
        elif what == FAILED:
            if node.life == data:
                self._handle(node, DialFailed(key.author, key.address, "refused"))
        else:
            key()

    def _push(self, when: float, what: int, node: Node | None, key: Any, data: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, what, node, key, data))

    # -- one event -------------------------------------------------------------------------

    def _handle(self, node: Node, event: Event) -> None:
        """As ``Node.step``: let the peer decide, then carry out."""
        peer = node.peer
        if peer is None:
            return
        now = self.now
        self.event_count += 1
        effects = peer.handle(event, now=now, wall=WALL + now)
        if self.log is not None:
            self.log(f"{now:.4f} {node.index} {event} -> {effects}")
        if effects:
            self.perform(node, effects)
        if node.linked_at is None and len(peer.neighbors()) >= ENOUGH_LINKS:
            node.linked_at = now

    def perform(self, node: Node, effects: Iterable[Effect]) -> None:
        """Carry out what the peer of ``node`` asked for."""
        now, breaks = self.now, self.config.breaks
        for effect in effects:
            if type(effect) is Send:
                line = node.lines.get(effect.link)
                if line is None or line.broken:
                    continue
                if breaks and self.rng.random() < breaks:
                    self._break(line)
                    continue
                self._number += 1
                receiver = line.b if line.a is node else line.a
                heapq.heappush(
                    self._heap,
                    (now + line.delay, self._number, MESSAGE, receiver, line.id, effect.message),
                )
            else:
                self._perform(node, effect)

    def _perform(self, node: Node, effect: Effect) -> None:
        match effect:
            case StartTimer():
                self._start_timer(node, effect.name, effect.delay)
            case Dial():
                self._dial(node, effect)
            case CloseLink():
                self._close(node, effect.link, effect.reason)
            case Notify(name="network"):
                what = str(effect.facts.get("what"))
                self.notices[what] = self.notices.get(what, 0) + 1
            case _:  # there is no TLS, no folder and nobody to tell
                pass

    def _start_timer(self, node: Node, name: str, delay: float) -> None:
        deadline = self.now + max(delay, 0.0)
        timer = node.timers.get(name)
        if timer is not None and timer[1] <= deadline:
            timer[0] = deadline  # its entry comes first and will be put off
            return
        node.timers[name] = [deadline, deadline]
        self._push(deadline, TIMER, node, name, None)

    # -- connections -----------------------------------------------------------------------

    def _dial(self, node: Node, effect: Dial) -> None:
        target = self._listener(node, effect)
        if target is None:
            after = min(self.config.dial_timeout, effect.patience)
            self._push(self.now + after, FAILED, node, effect, node.life)
            return
        round_trip = 2 * self.latency(node, target)
        self._push(self.now + round_trip, CONNECT, node, effect, node.life)

    def _listener(self, node: Node, effect: Dial) -> Node | None:
        """Who answers at an address, if it is the one that TLS will want to see."""
        number = effect.address.rpartition(":")[2]
        if not number.isdecimal() or int(number) >= len(self.nodes):
            return None
        target = self.nodes[int(number)]
        if target.peer is None or not target.dialable or target.group != node.group:
            return None
        if target.member != effect.member:
            return None
        loss = self.config.dial_loss
        return None if loss and self.rng.random() < loss else target

    def _connect(self, node: Node, effect: Dial, life: int) -> None:
        if node.life != life:
            return
        target = self.nodes[int(effect.address.rpartition(":")[2])]
        if target.peer is None or target.group != node.group:
            self._push(self.now, FAILED, node, effect, life)
            return
        self._number += 1
        line = Line(self._number, node, target, self.latency(node, target))
        node.lines[line.id] = line
        target.lines[line.id] = line
        self._push(self.now, UP, target, line, None)
        self._push(self.now, UP, node, line, effect)

    def _close(self, node: Node, link: LinkId, reason: str) -> None:
        """A goodbye: the closer knows at once, the other after what was sent before."""
        line = node.lines.get(link)
        if line is None:
            return
        self._push(self.now, DOWN, node, link, reason)
        if not line.broken:
            line.broken = True
            self._push(self.now + line.delay, DOWN, line.other(node), link, reason)

    def _break(self, line: Line) -> None:
        """Nobody says goodbye; each side notices in its own time."""
        line.broken = True
        for end in (line.a, line.b):
            self._notice(end, line)

    def _notice(self, node: Node, line: Line) -> None:
        after = self.rng.uniform(self.config.notice_min, self.config.notice_max)
        self._push(self.now + after, DOWN, node, line.id, "lost")


def _count_request(node: Node, _: JoinRequest) -> None:
    node.requests += 1


@contextmanager
def no_collector() -> Iterator[None]:
    """Hardly anything here is cyclic garbage, and to look for some in 10^7 objects takes long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
