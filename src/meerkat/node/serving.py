"""Serving content: chunks read off the disk in worker threads, paced by what each link takes.

Each link that asks has its own task and its own bound, so a slow one costs the others nothing.
What is not where the peer said (it reached its place in the folder meanwhile, say) is the peer's to
find again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from meerkat.core.effects import ServeChunks
from meerkat.core.events import ChunksUnread, LinkId
from meerkat.core.files import Location
from meerkat.core.ids import ContentHash
from meerkat.core.wire import encode_chunks
from meerkat.transport.base import Link

from .links import Links
from .options import NodeConfig
from .spawn import Spawn

__all__ = ["Serving"]

ReadChunk = Callable[[Location, ContentHash], bytes | None]
Wanted = tuple[ContentHash, Location | bytes]

READERS = 4  # threads; more only fight over the disk. guess


class _LinkQueue:
    """What one link still wants."""

    def __init__(self) -> None:
        self.wanted: deque[Wanted] = deque()
        self.held_bytes = 0  # chunks that we keep in memory for it


class Serving:
    """Carries out ``ServeChunks``."""

    def __init__(
        self,
        spawn: Spawn,
        links: Links,
        read_chunk: ReadChunk,
        config: NodeConfig,
        unread: Callable[[ChunksUnread], None],
    ) -> None:
        self._spawn = spawn
        self._links = links
        self._read_chunk = read_chunk
        self._config = config
        self._unread = unread
        self._queues: dict[LinkId, _LinkQueue] = {}
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="meerkat-serve")

    def serve(self, effect: ServeChunks) -> None:
        """Queue chunks for a link, which begins its task if it has none."""
        link = self._links.get(effect.link)
        if link is None:
            return
        queue = self._queues.get(effect.link)
        if queue is None:
            queue = self._queues[effect.link] = _LinkQueue()
            self._spawn(lambda: self._serve(effect.link, link, queue))
        self._enqueue(effect, queue)
        if len(queue.wanted) > self._config.serve_queue_chunks:
            self._links.close(effect.link, "flood")
            queue.wanted.clear()

    def _enqueue(self, effect: ServeChunks, queue: _LinkQueue) -> None:
        refused: list[Wanted] = []
        for chunk, place in effect.chunks:
            if isinstance(place, bytes):
                if (
                    queue.held_bytes
                    and queue.held_bytes + len(place) > self._config.serve_queue_bytes
                ):
                    refused.append((chunk, place))  # once it is on the disk, we need not hold it
                    continue
                queue.held_bytes += len(place)
            queue.wanted.append((chunk, place))
        if refused:
            self._unread(ChunksUnread(effect.link, tuple(refused)))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, number: LinkId, link: Link, queue: _LinkQueue) -> None:
        loop = asyncio.get_running_loop()
        try:
            while queue.wanted and number in self._links:
                batch = self._next_batch(queue)
                frames, missing = await loop.run_in_executor(self._threads, self._read, batch)
                if missing:
                    self._unread(ChunksUnread(number, tuple(missing)))
                for frame in frames:
                    await self._wait_room(number, link, len(frame))
                    link.send_bulk(frame)
        finally:
            del self._queues[number]

    def _next_batch(self, queue: _LinkQueue) -> list[Wanted]:
        wanted, batch = queue.wanted, list[Wanted]()
        size = 0
        while wanted:
            _, place = wanted[0]
            held = len(place) if isinstance(place, bytes) else 0
            size += held if isinstance(place, bytes) else place.length
            if batch and size > self._config.serve_read_bytes:
                break
            batch.append(wanted.popleft())
            queue.held_bytes -= held
        return batch

    def _read(self, batch: list[Wanted]) -> tuple[list[bytes], list[Wanted]]:
        """In a worker thread: bulk frames, and what could not be read."""
        frames: list[bytes] = []
        missing: list[Wanted] = []
        gathered: list[tuple[ContentHash, bytes]] = []
        size = 0
        for chunk, place in batch:
            data = place if isinstance(place, bytes) else self._read_chunk(place, chunk)
            if data is None:
                missing.append((chunk, place))
                continue
            if gathered and size + len(data) > self._config.serve_frame_bytes:
                frames.append(encode_chunks(gathered))
                gathered, size = [], 0
            gathered.append((chunk, data))
            size += len(data)
        if gathered:
            frames.append(encode_chunks(gathered))
        return frames, missing

    async def _wait_room(self, number: LinkId, link: Link, size: int) -> None:
        """Return when the stream has taken enough. The transport tells nobody, so we look."""
        pause = self._config.serve_poll_shortest
        before = link.bulk_queued_bytes
        while number in self._links:
            queued = link.bulk_queued_bytes
            if queued == 0 or queued + size <= self._config.serve_queue_bytes:
                return
            if queued == before:
                pause = min(pause * 2, self._config.serve_poll_longest)
            else:
                pause = self._config.serve_poll_shortest
            before = queued
            await asyncio.sleep(pause)
