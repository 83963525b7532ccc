"""A transport inside one process: the port of ``meerkat.transport.base`` without sockets.

Passes the same acceptance suite as the real one (``check_transport``). Frames are delivered by
``loop.call_soon``, so a test needs no sleeps. A network can be cut between two members and healed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from meerkat.core.ids import MemberId
from meerkat.transport.base import DialRefused, LinkListener, PeerNotTrusted, PortTaken
from meerkat.transport.frames import MAX_GOODBYE_BYTES
from meerkat.transport.options import TransportOptions

__all__ = ["MemoryLink", "MemoryNetwork", "MemoryTransport"]


class MemoryNetwork:
    """The addresses of one pretend network, and which pairs of members cannot reach each other."""

    def __init__(self) -> None:
        self._next_port = 50_000
        self.listening: dict[str, MemoryTransport] = {}
        self.links: set[MemoryLink] = set()
        self._cuts: set[frozenset[MemberId]] = set()

    def cut(self, one: MemberId, other: MemberId) -> None:
        """Lose the links between two members and refuse new ones until ``heal``.

        Both hear "lost", as after keepalive; frames under way are gone.
        """
        self._cuts.add(frozenset((one, other)))
        for link in tuple(self.links):
            if {link.member, link.owner} == {one, other}:
                link.lose("lost")

    def heal(self) -> None:
        """Undo every cut. Links do not come back by themselves."""
        self._cuts.clear()

    def is_cut(self, one: MemberId, other: MemberId) -> bool:
        """Whether these two cannot reach each other now."""
        return frozenset((one, other)) in self._cuts

    def free_port(self) -> int:
        """A port nobody has had yet."""
        self._next_port += 1
        return self._next_port


@dataclass(slots=True)
class _Queue:
    """Frames of one stream, sent and not delivered."""

    limit_bytes: int
    frames: deque[bytes] = field(default_factory=deque)
    queued_bytes: int = 0

    def put(self, frame: bytes) -> bool:
        if self.queued_bytes + len(frame) + 64 > self.limit_bytes:
            return False
        self.frames.append(frame)
        self.queued_bytes += len(frame) + 64
        return True

    def take(self, max_frames: int, max_bytes: int) -> list[bytes]:
        taken = [self.frames.popleft()] if self.frames else []
        size = sum(map(len, taken))
        while self.frames and len(taken) < max_frames and size + len(self.frames[0]) <= max_bytes:
            taken.append(self.frames.popleft())
            size += len(taken[-1])
        self.queued_bytes -= size + 64 * len(taken)
        return taken

    def clear(self) -> None:
        self.frames.clear()
        self.queued_bytes = 0


class MemoryLink:
    """One end of a link; ``far`` is the other."""

    far: MemoryLink

    def __init__(
        self, transport: MemoryTransport, member: MemberId, address: str, outbound: bool
    ) -> None:
        self.owner = transport.member
        self.member = member
        self.address = address
        self.outbound = outbound
        self.reason: str | None = None
        self._down = False
        self._transport = transport
        self._live = _Queue(transport.options.live_outbox_bytes)
        self._bulk = _Queue(transport.options.bulk_outbox_bytes)
        self._bulk_paused = False
        self._scheduled = False

    @property
    def bulk_queued_bytes(self) -> int:
        """See Link."""
        return self._bulk.queued_bytes

    def send(self, frame: bytes) -> None:
        """See Link."""
        self._put(self._live, frame)

    def send_bulk(self, frame: bytes) -> None:
        """See Link."""
        self._put(self._bulk, frame)

    def pause_bulk(self) -> None:
        """See Link."""
        self._bulk_paused = True

    def resume_bulk(self) -> None:
        """See Link."""
        self._bulk_paused = False
        self.far.schedule()

    def close(self, reason: str) -> None:
        """See Link."""
        self._close(reason, drop=False)

    def lose(self, reason: str) -> None:
        """The network takes this end away without a word."""
        if self.reason is None:
            self.reason = reason
            self._live.clear()
            self._bulk.clear()
        self.schedule()

    def schedule(self) -> None:
        """Deliver what is queued, soon; never inside the caller."""
        if not self._scheduled and not self._down:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def receive(self, frames: list[bytes], *, bulk: bool = False) -> None:
        """Tell the listener, unless these frames break the rules."""
        if max(map(len, frames)) > self._transport.options.max_frame_bytes:
            self._close("protocol", drop=True)
        elif bulk:
            self.listener.received_bulk(self, frames[0])
        else:
            self.listener.received(self, frames)

    def _close(self, reason: str, *, drop: bool) -> None:
        if self.reason is not None:
            return
        self.reason = reason.encode()[:MAX_GOODBYE_BYTES].decode(errors="ignore")
        self._bulk.clear()
        if drop:
            self._live.clear()
        self.schedule()

    def _put(self, queue: _Queue, frame: bytes) -> None:
        if self.reason is not None:
            return
        if len(frame) > self._transport.options.max_frame_bytes:
            self._close("oversize", drop=True)
        elif not queue.put(frame):
            self._close("overflow", drop=True)
        self.schedule()

    def _deliver(self) -> None:
        self._scheduled = False
        options, far = self._transport.options, self.far
        if far.reason is not None:
            self._live.clear()
            self._bulk.clear()
        elif live := self._live.take(options.receive_frames, options.receive_bytes):
            far.receive(live)
        if self._bulk.frames and far.reason is None and not far._bulk_paused:
            far.receive(self._bulk.take(1, 0), bulk=True)
        if self._live.frames or (self._bulk.frames and not far._bulk_paused):
            self.schedule()
        elif self.reason is not None:
            self._go_down(self.reason)

    def _go_down(self, reason: str) -> None:
        if self._down:
            return
        self._down = True
        self.reason = reason
        self._transport.forget(self)
        self.listener.link_down(self, reason)
        self.far.lose(reason or "closed")

    @property
    def listener(self) -> LinkListener:
        """Who hears about this end."""
        return self._transport.listener


class MemoryTransport:
    """A ``Transport``. ``certificate`` may be any bytes: here it is only compared."""

    def __init__(
        self,
        network: MemoryNetwork,
        member: MemberId,
        certificate: bytes,
        listener: LinkListener,
        options: TransportOptions | None = None,
    ) -> None:
        self.member = member
        self.listener = listener
        self.options = options or TransportOptions()
        self._network = network
        self._certificate = certificate
        self._roster: dict[MemberId, bytes] = {}
        self._links: set[MemoryLink] = set()
        self._all_down = asyncio.Event()
        self._closed = False

    async def listen(self, host: str, port: int) -> str:
        """See Transport."""
        address = f"{host}:{port or self._network.free_port()}"
        if address in self._network.listening:
            raise PortTaken(port)
        self._network.listening[address] = self
        return address

    async def dial(self, address: str, member: MemberId, certificate: bytes | None) -> MemoryLink:
        """See Transport."""
        there = self._network.listening.get(address)
        if self._closed or there is None or self._network.is_cut(self.member, there.member):
            raise DialRefused(f"nobody answers at {address}")
        if there.member != member or certificate not in (None, there._certificate):
            raise PeerNotTrusted(f"{address} is not {member.short()}")
        if there._roster.get(self.member) != self._certificate:
            raise PeerNotTrusted(f"{address} does not count us as a member")
        here = MemoryLink(self, member, address, outbound=True)
        far = MemoryLink(there, self.member, f"memory:{self._network.free_port()}", outbound=False)
        here.far, far.far = far, here
        for link in (far, here):
            link._transport._links.add(link)
            self._network.links.add(link)
            link.listener.link_up(link)
        return here

    def trust(self, certificates: Mapping[MemberId, bytes]) -> None:
        """See Transport."""
        self._roster = dict(certificates)

    def forget(self, link: MemoryLink) -> None:
        """A link of ours is down."""
        self._links.discard(link)
        self._network.links.discard(link)
        if not self._links:
            self._all_down.set()

    async def close(self) -> None:
        """See Transport."""
        self._closed = True
        for address, transport in tuple(self._network.listening.items()):
            if transport is self:
                del self._network.listening[address]
        if self._links:
            self._all_down.clear()
            for link in tuple(self._links):
                link.close("leave")
            await self._all_down.wait()
