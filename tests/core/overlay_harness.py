"""Many overlays on one heap of events: latency, dials that fail, cuts; one seed, no chance besides.

Only ``Overlay``: no gossip, no operations. Identity is a table of keys, as far as a forger without
the key is concerned.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from random import Random

from blake3 import blake3

from meerkat.core.contact import sign_contact
from meerkat.core.effects import CloseLink, Dial, Effect, Notify, Send, StartTimer
from meerkat.core.events import DialFailed, LinkId, LinkUp
from meerkat.core.gate import Refused
from meerkat.core.ids import AuthorId, MemberId, PoolId
from meerkat.core.messages import Contact, Hello, Message
from meerkat.core.overlay import Overlay, OverlayConfig
from meerkat.testing.memory_store import MemoryStore

WALL = 1_790_000_000.0  # s since the epoch at virtual time 0
DEAD_DIAL = 0.5  # s until a dial into nothing fails (overlay.md, section 1)
NOTICE = (1.0, 3.0)  # s until a neighbor's death is noticed
POOL = PoolId(bytes(32))


class Pool:
    """Everyone's keys; who is in it, is a member."""

    def __init__(self, seed: int = 0, limit: int | None = None) -> None:
        self.seed = seed
        self.secrets: dict[bytes, bytes] = {}
        self.limit = limit

    def enroll(self, index: int) -> AuthorId:
        secret = blake3(f"{self.seed} {index}".encode()).digest()
        author = AuthorId(blake3(secret).digest())
        self.secrets[author] = secret
        return author

    def sign(self, author: bytes, data: bytes) -> bytes:
        return blake3(data, key=self.secrets[author]).digest(length=64)


class OpenGate:
    """Everyone of the pool may link."""

    def __init__(self, keys: Pool, author: AuthorId) -> None:
        self.keys, self._author = keys, author
        self.strangers: set[bytes] = set()

    @property
    def pool(self) -> PoolId:
        return POOL

    @property
    def author(self) -> AuthorId:
        return self._author

    def size(self) -> int:
        return self.keys.limit or len(self.keys.secrets)

    def may_link(self, author: AuthorId) -> bool:
        return author in self.keys.secrets and author not in self.strangers

    def member_of(self, author: AuthorId) -> MemberId | None:
        return MemberId(author) if author in self.keys.secrets else None

    def name_of(self, author: AuthorId) -> str:
        return author.short()

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        return (MemberId(author), b"") if self.may_link(author) else None

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        if hello.pool != POOL:
            raise Refused("other pool")
        if hello.author != member or not self.may_link(AuthorId(hello.author)):
            raise Refused("not a member")
        if hello.author == self._author:
            raise Refused("myself")
        return AuthorId(hello.author)

    def introduce(self) -> tuple[bytes, str]:
        return b"\0", self._author.short()

    def sign(self, data: bytes) -> bytes:
        return self.keys.sign(self._author, data)

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        return author in self.keys.secrets and self.keys.sign(author, data) == signature


class Wire:
    """One connection: (node, link) at both ends."""

    __slots__ = ("ends", "open", "order")

    def __init__(self, a: tuple[Node, LinkId], b: tuple[Node, LinkId]) -> None:
        self.ends = (a, b)
        self.open = True
        self.order = [0.0, 0.0]  # when the last message arrives at each end

    def side(self, node: Node) -> int:
        return 0 if self.ends[0][0] is node else 1


class Node:
    """An overlay and its place in the network."""

    __slots__ = (
        "address",
        "alive",
        "author",
        "dialable",
        "gate",
        "group",
        "index",
        "next_link",
        "notes",
        "overlay",
        "store",
        "timers",
        "wires",
    )

    def __init__(
        self, index: int, gate: OpenGate, overlay: Overlay, store: MemoryStore | None
    ) -> None:
        self.index, self.gate, self.overlay, self.store = index, gate, overlay, store
        self.author = gate.author
        self.address = f"sim:{index}"
        self.alive = True
        self.dialable = True
        self.group = 0
        self.next_link = 0
        self.wires: dict[LinkId, Wire] = {}
        self.timers: dict[str, int] = {}
        self.notes: list[Notify] = []


class Net:
    """Nodes and the time they live in."""

    def __init__(
        self,
        seed: int = 0,
        config: OverlayConfig | None = None,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: bool = False,
    ) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.config = config or OverlayConfig(notices=False)
        self.keys = Pool(seed)
        self.nodes: list[Node] = []
        self.by_address: dict[str, Node] = {}
        self.loss, self.duplicate, self.reorder = loss, duplicate, reorder
        self.sent: dict[str, int] = {}
        self.seen: Callable[[Node, Node, Message], None] | None = None
        self.dials = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0
        self._transactions = ExitStack()  # one long one for each store; nobody crashes here

    # -- building --------------------------------------------------------------------------

    def add(
        self, via: Iterable[Node] = (), *, dialable: bool = True, store: MemoryStore | None = None
    ) -> Node:
        if store is not None:
            self._transactions.enter_context(store.transaction())
        index = len(self.nodes)
        gate = OpenGate(self.keys, self.keys.enroll(index))
        overlay = self._overlay(gate, store)
        node = Node(index, gate, overlay, store)
        node.dialable = dialable
        self.nodes.append(node)
        self.by_address[node.address] = node
        self._start(node, via)
        return node

    def _overlay(self, gate: OpenGate, store: MemoryStore | None) -> Overlay:
        rng = Random(self.rng.random())
        return Overlay(gate, store, self.config, rng, rng.randbytes)

    def _start(self, node: Node, via: Iterable[Node]) -> None:
        listen = (node.address,) if node.dialable else ()
        self.perform(node, node.overlay.listening(listen, self.now, self.now + WALL))
        for other in via:
            node.overlay._book.tell(other.author, (other.address,))
            node.overlay._ground.dirty = True
        self.decide(node)

    def grow(self, count: int, rate: float, entry: Node | None = None) -> None:
        """So many join through one entry, so many a second."""
        entry = entry or self.add()
        for _ in range(count):
            self.run(self.now + 1.0 / rate)
            self.add([entry])

    def kill(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            node.alive = False
            for wire in list(node.wires.values()):
                self._cut(wire, "lost")

    def restart(self, node: Node) -> None:
        """From what its store kept."""
        node.alive = True
        node.timers.clear()
        node.overlay = self._overlay(node.gate, node.store)
        self._start(node, ())

    def partition(self, *groups: Iterable[Node]) -> None:
        for number, group in enumerate(groups):
            for node in group:
                node.group = number
        for node in self.nodes:
            for wire in list(node.wires.values()):
                if wire.ends[0][0].group != wire.ends[1][0].group:
                    self._cut(wire, "lost")

    def mend(self) -> None:
        for node in self.nodes:
            node.group = 0

    def _cut(self, wire: Wire, reason: str) -> None:
        wire.open = False
        for node, link in wire.ends:
            node.wires.pop(link, None)
            if node.alive:
                self.later(self.rng.uniform(*NOTICE), self._down, node, link, reason)

    # -- time ------------------------------------------------------------------------------

    def later(self, delay: float, happen: Callable[..., None], *args: object) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay, self._count, happen, args))

    def run(self, until: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= until:
            when, _, happen, args = heapq.heappop(heap)
            self.now = when
            happen(*args)
        self.now = until

    def latency(self, a: Node, b: Node) -> float:
        low, high = (a.index, b.index) if a.index < b.index else (b.index, a.index)
        mixed = (low * 2_654_435_761 + high * 40_503 + 12_345) % 1009
        return 0.010 + 0.040 * mixed / 1009  # 10-50 ms (overlay.md, section 1)

    # -- effects ---------------------------------------------------------------------------

    def decide(self, node: Node) -> None:
        self.perform(node, node.overlay.evaluate(self.now, self.now + WALL))

    def perform(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(node, effect)
            elif isinstance(effect, StartTimer):
                self._count += 1
                node.timers[effect.name] = self._count
                self.later(effect.delay, self._ring, node, effect.name, self._count)
            elif isinstance(effect, Dial):
                self._dial(node, effect)
            elif isinstance(effect, CloseLink):
                self._close(node, effect)
            elif isinstance(effect, Notify):
                node.notes.append(effect)

    def _ring(self, node: Node, name: str, number: int) -> None:
        if node.alive and node.timers.get(name) == number:
            self.perform(node, node.overlay.on_timer(name, self.now, self.now + WALL))
            self.decide(node)

    def _send(self, node: Node, effect: Send) -> None:
        wire = node.wires.get(effect.link)
        if wire is None:
            return
        message = effect.message
        kind = type(message).__name__
        self.sent[kind] = self.sent.get(kind, 0) + 1
        if self.loss and self.rng.random() < self.loss:
            return
        side = 1 - wire.side(node)
        other, link = wire.ends[side]
        if self.seen is not None:
            self.seen(node, other, message)
        copies = 2 if self.duplicate and self.rng.random() < self.duplicate else 1
        for _ in range(copies):
            at = self.now + self.latency(node, other)
            if self.reorder:
                at += self.rng.uniform(0, 0.05)
            else:
                at = wire.order[side] = max(at, wire.order[side])
            self.later(at - self.now, self._arrive, wire, other, link, message)

    def _arrive(self, wire: Wire, node: Node, link: LinkId, message: Message) -> None:
        if not (wire.open and node.alive):
            return
        wall = self.now + WALL
        if isinstance(message, Hello):
            effects = node.overlay.on_hello(link, message, self.now, wall).effects
        else:
            effects = node.overlay.on_message(link, message, self.now, wall)  # type: ignore[arg-type]
        self.perform(node, effects)
        self.decide(node)

    def _dial(self, node: Node, effect: Dial) -> None:
        self.dials += 1
        other = self.by_address.get(effect.address)
        if other is None or not self._reaches(node, other):
            self.later(min(DEAD_DIAL, effect.patience), self._failed, node, effect)
            return
        latency = self.latency(node, other)
        if other.author != effect.author:
            self.later(2 * latency, self._failed, node, effect)
            return
        self.later(2 * latency, self._up, node, other, effect)

    def _reaches(self, node: Node, other: Node) -> bool:
        return other.alive and other.dialable and node.group == other.group

    def _failed(self, node: Node, effect: Dial) -> None:
        if node.alive:
            node.overlay.dial_failed(DialFailed(effect.author, effect.address, "x"), self.now)
            self.decide(node)

    def _up(self, node: Node, other: Node, effect: Dial) -> None:
        if not node.alive:
            return
        if not self._reaches(node, other):
            self._failed(node, effect)
            return
        node.next_link += 1
        other.next_link += 1
        a, b = LinkId(node.next_link), LinkId(other.next_link)
        wire = Wire((node, a), (other, b))
        node.wires[a] = wire
        other.wires[b] = wire
        inbound = LinkUp(b, MemberId(node.author), f"from:{node.index}", outbound=False)
        self.perform(other, other.overlay.link_up(inbound, self.now))
        self.decide(other)
        outbound = LinkUp(a, MemberId(other.author), effect.address, outbound=True)
        self.perform(node, node.overlay.link_up(outbound, self.now))
        self.decide(node)

    def _close(self, node: Node, effect: CloseLink) -> None:
        wire = node.wires.get(effect.link)
        if wire is None:
            return
        self.sent[effect.reason] = self.sent.get(effect.reason, 0) + 1
        side = 1 - wire.side(node)
        other, link = wire.ends[side]
        node.wires.pop(effect.link, None)
        at = max(self.now + self.latency(node, other), wire.order[side])
        self.later(0.0, self._down, node, effect.link, effect.reason)
        self.later(at - self.now, self._goodbye, wire, other, link, effect.reason)

    def _goodbye(self, wire: Wire, node: Node, link: LinkId, reason: str) -> None:
        if wire.open:
            wire.open = False
            node.wires.pop(link, None)
            if node.alive:
                self._down(node, link, reason)

    def _down(self, node: Node, link: LinkId, reason: str) -> None:
        if node.alive:
            node.overlay.link_down(link, reason, self.now)
            self.decide(node)

    # -- measures --------------------------------------------------------------------------

    @property
    def alive(self) -> list[Node]:
        return [one for one in self.nodes if one.alive]

    def neighbors(self, node: Node) -> list[Node]:
        """Linked on both sides, by a wire that stands."""
        found = []
        for link in node.overlay.linked:
            wire = node.wires.get(link.id)
            if wire is None or not wire.open:
                continue
            other, far = wire.ends[1 - wire.side(node)]
            there = other.overlay.links.get(far)
            if other.alive and there is not None and there.phase.value == "linked":
                found.append(other)
        return found

    def components(self) -> list[int]:
        """Sizes of the connected parts, largest first."""
        left = {one.index: one for one in self.alive}
        sizes = []
        while left:
            _, start = left.popitem()
            todo, size = [start], 1
            while todo:
                for other in self.neighbors(todo.pop()):
                    if other.index in left:
                        del left[other.index]
                        todo.append(other)
                        size += 1
            sizes.append(size)
        return sorted(sizes, reverse=True)

    def degrees(self) -> list[int]:
        return sorted(len(self.neighbors(one)) for one in self.alive)

    def check(self) -> None:
        """Nobody linked twice or to itself; both ends agree."""
        for node in self.alive:
            others = self.neighbors(node)
            assert node not in others
            assert len({one.index for one in others}) == len(others), f"{node.index} twice"


def contact_of(keys: Pool, author: AuthorId, address: str | None, stamp: int = 1) -> Contact:
    """A contact signed by its author; without an address it only dials out."""
    addresses = () if address is None else (address,)
    gate = OpenGate(keys, author)
    return sign_contact(gate, addresses, dialable=bool(addresses), stamp=stamp)
