"""Serving content: chunks read off the disk in worker threads, paced by what each link takes.

Each link that asks has its own task and its own bound, so a slow one costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from meerkat.core.effects import ServeChunks
from meerkat.core.events import LinkId
from meerkat.core.files import Location
from meerkat.core.ids import ContentHash
from meerkat.core.messages import NoChunks
from meerkat.core.wire import encode, encode_chunks
from meerkat.transport.base import Link

from .links import Links
from .options import NodeConfig
from .spawn import Spawn

__all__ = ["Serving"]

ReadChunk = Callable[[Location, ContentHash], bytes | None]
Wanted = tuple[ContentHash, Location]

READERS = 4  # threads; more only fight over the disk. guess


class _LinkQueue:
    """What one link still wants."""

    def __init__(self) -> None:
        self.wanted: deque[Wanted] = deque()


class Serving:
    """Carries out ``ServeChunks``."""

    def __init__(
        self, spawn: Spawn, links: Links, read_chunk: ReadChunk, config: NodeConfig
    ) -> None:
        self._spawn = spawn
        self._links = links
        self._read_chunk = read_chunk
        self._config = config
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
        queue.wanted.extend(effect.chunks)
        if len(queue.wanted) > self._config.serve_queue_chunks:
            self._links.close(effect.link, "flood")
            queue.wanted.clear()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, number: LinkId, link: Link, queue: _LinkQueue) -> None:
        loop = asyncio.get_running_loop()
        try:
            while queue.wanted and number in self._links:
                batch = self._next_batch(queue.wanted)
                frames, missing = await loop.run_in_executor(self._threads, self._read, batch)
                if missing:
                    self._send_missing(link, missing)
                for frame in frames:
                    await self._wait_room(number, link, len(frame))
                    link.send_bulk(frame)
        finally:
            del self._queues[number]

    def _next_batch(self, wanted: deque[Wanted]) -> list[Wanted]:
        batch: list[Wanted] = []
        size = 0
        while wanted and (not batch or size + wanted[0][1].length <= self._config.serve_read_bytes):
            batch.append(wanted.popleft())
            size += batch[-1][1].length
        return batch

    def _read(self, batch: list[Wanted]) -> tuple[list[bytes], list[ContentHash]]:
        """In a worker thread: bulk frames, and what could not be read."""
        frames: list[bytes] = []
        missing: list[ContentHash] = []
        gathered: list[tuple[ContentHash, bytes]] = []
        size = 0
        for chunk, location in batch:
            data = self._read_chunk(location, chunk)
            if data is None:
                missing.append(chunk)
                continue
            if gathered and size + len(data) > self._config.serve_frame_bytes:
                frames.append(encode_chunks(gathered))
                gathered, size = [], 0
            gathered.append((chunk, data))
            size += len(data)
        if gathered:
            frames.append(encode_chunks(gathered))
        return frames, missing

    def _send_missing(self, link: Link, missing: list[ContentHash]) -> None:
        link.send(encode(NoChunks(tuple(bytes(chunk) for chunk in missing))))

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
