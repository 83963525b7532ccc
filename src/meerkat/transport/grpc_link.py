"""One link: two streams, four pumps, one end.

Invariants:
1. ``_reason`` is set once, by whichever comes first: our ``close``, their goodbye, or a loss.
2. The listener hears nothing but ``link_down`` after ``_reason`` is set.
3. Each stream has one reading and one writing task (several writers kill a call, measured).
4. A dialer is never silent on Live for long: gRPC's keepalive tells its listener too late that it
   is frozen, since it must be patient with thin lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from meerkat.core.ids import MemberId
from meerkat.transport import frames
from meerkat.transport.base import LinkListener
from meerkat.transport.options import TransportOptions
from meerkat.transport.outbox import Outbox
from meerkat.transport.streams import Stream, StreamLost

__all__ = ["GrpcLink"]

LOOKS = 5  # of the listener, before it takes a silent dialer for frozen


class GrpcLink:
    """A ``Link`` over two gRPC streams. Whoever makes it calls ``announce``, then ``run``."""

    def __init__(
        self,
        member: MemberId,
        address: str,
        outbound: bool,
        listener: LinkListener,
        options: TransportOptions,
    ) -> None:
        self.member = member
        self.address = address
        self.outbound = outbound
        self.finished = asyncio.Event()
        self._listener = listener
        self._options = options
        self._live = Outbox(
            options.live_outbox_bytes,
            gather_bytes=options.gather_bytes,
            gather_frames=options.gather_frames,
        )
        self._bulk = Outbox(options.bulk_outbox_bytes, gather_bytes=0, gather_frames=1)
        self._bulk_flows = asyncio.Event()
        self._bulk_flows.set()
        self._reason: str | None = None
        self._over = asyncio.Event()
        self._silent_looks = 0

    def __repr__(self) -> str:
        way = "to" if self.outbound else "from"
        return f"<GrpcLink {way} {self.member.short()} at {self.address}>"

    @property
    def bulk_queued_bytes(self) -> int:
        """See Link. Counts 64 bytes of overhead a frame."""
        return self._bulk.queued_bytes

    def send(self, frame: bytes) -> None:
        """See Link."""
        self._put(self._live, frame)

    def send_bulk(self, frame: bytes) -> None:
        """See Link."""
        self._put(self._bulk, frame)

    def pause_bulk(self) -> None:
        """See Link."""
        self._bulk_flows.clear()

    def resume_bulk(self) -> None:
        """See Link."""
        self._bulk_flows.set()

    def close(self, reason: str) -> None:
        """See Link."""
        self._close(reason, drop=False)

    def announce(self) -> None:
        """Tell the listener that the link is up. Once, before ``run``."""
        self._listener.link_up(self)

    async def run(self, live: Stream, bulk: Stream) -> None:
        """Carry frames until the link ends, then tell the listener why."""
        try:
            async with asyncio.TaskGroup() as group:
                work = (
                    self._pump(self._read_live(live)),
                    self._pump(self._read_bulk(bulk)),
                    self._drain(self._write_live(live)),
                    self._drain(self._write_bulk(bulk)),
                )
                pumps = [group.create_task(pump) for pump in work]
                if not self.outbound:
                    pumps.append(group.create_task(self._watch()))
                await self._over.wait()
                for pump in pumps:
                    pump.cancel()
        finally:
            self._reason = self._reason or "lost"  # cancelled: gRPC saw the far end vanish
            self._live.finish(drop=True)
            self._bulk.finish(drop=True)
            self.finished.set()
            self._listener.link_down(self, self._reason)

    def _put(self, outbox: Outbox, frame: bytes) -> None:
        if self._reason is not None:
            return
        if len(frame) > self._options.max_frame_bytes:
            self._close("oversize", drop=True)
        elif not outbox.put(frame):
            self._close("overflow", drop=True)

    def _close(self, reason: str, *, drop: bool) -> None:
        if self._reason is not None:
            return
        short = reason.encode()[: frames.MAX_GOODBYE_BYTES].decode(errors="ignore")
        self._reason = short
        self._live.finish(drop=drop)
        self._bulk.finish(drop=True)
        # The writer says goodbye and the far end ends the stream; this bounds the wait for both.
        asyncio.get_running_loop().call_later(self._options.goodbye_wait, self._over.set)

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._over.set()

    async def _pump(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StreamLost as lost:
            self._end(str(lost))
        except frames.FrameError:
            self._close("protocol", drop=True)
        except Exception as bug:  # the listener's: loud, but it costs this link only
            self._end("bug")
            context = {"message": f"listener failed on {self!r}", "exception": bug}
            asyncio.get_running_loop().call_exception_handler(context)

    async def _drain(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StreamLost:
            # The reader knows better why: the far end's goodbye may be waiting to be read.
            self._lose_later()

    async def _read_live(self, live: Stream) -> None:
        options = self._options
        while (message := await live.read()) is not None:
            self._silent_looks = 0
            received, goodbye = frames.decode(message, options.max_frame_bytes)
            for run in frames.slices(received, options.receive_frames, options.receive_bytes):
                if self._reason is None:
                    self._listener.received(self, run)
            if goodbye is not None:
                self._end(goodbye or "closed")
                return
        self._end("lost")

    async def _write_live(self, live: Stream) -> None:
        while (taken := await self._take_live()) != []:
            await live.write(frames.encode(taken or ()))
        await live.write(frames.encode((), goodbye=self._reason))
        await live.finish()

    async def _take_live(self) -> list[bytes] | None:
        """What is to be written; empty at the end, None if a dialer has been silent for long."""
        if not self.outbound:
            return await self._live.take()
        try:
            async with asyncio.timeout(self._options.heartbeat):
                return await self._live.take()
        except TimeoutError:
            return None

    async def _watch(self) -> None:
        """End the link if the dialer sends no heartbeats. A busy loop of ours delays the looks."""
        while self._silent_looks < LOOKS:
            await asyncio.sleep(self._options.heartbeats_missed / LOOKS)
            self._silent_looks += 1
        self._end("frozen")

    async def _read_bulk(self, bulk: Stream) -> None:
        while True:
            await self._bulk_flows.wait()
            frame = await bulk.read()
            if frame is None:
                break
            if len(frame) > self._options.max_frame_bytes:
                raise frames.FrameError(f"a bulk frame of {len(frame)} bytes")
            await self._bulk_flows.wait()  # paused while we waited for this one
            if self._reason is None:
                self._listener.received_bulk(self, frame)
        self._lose_later()  # the goodbye may still be on its way, on Live

    async def _write_bulk(self, bulk: Stream) -> None:
        while taken := await self._bulk.take():
            await bulk.write(taken[0])

    def _lose_later(self) -> None:
        """One stream has ended; unless Live's reader hears why soon, the link is lost."""
        loop = asyncio.get_running_loop()
        loop.call_later(self._options.goodbye_wait, self._end, "lost")
