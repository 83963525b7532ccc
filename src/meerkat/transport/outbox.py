"""Frames waiting for one stream: bounded by bytes, emptied by one writer."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Outbox"]

_FRAME_COST = 64  # bytes of memory a queued frame costs beyond its own: empty ones are not free


class Outbox:
    """A queue that never makes its producer wait, and says so when it is full."""

    def __init__(self, limit_bytes: int, *, gather_bytes: int, gather_frames: int) -> None:
        self._limit_bytes = limit_bytes
        self._gather_bytes = gather_bytes
        self._gather_frames = gather_frames
        self._frames: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._taken_bytes = 0
        self._finished = False
        self._ready = asyncio.Event()

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting or being written, each frame counted with 64 bytes of overhead."""
        return self._waiting_bytes + self._taken_bytes

    def put(self, frame: bytes) -> bool:
        """Queue a frame; False if the bound is reached, and then nothing was queued."""
        cost = len(frame) + _FRAME_COST
        if self.queued_bytes + cost > self._limit_bytes:
            return False
        self._frames.append(frame)
        self._waiting_bytes += cost
        self._ready.set()
        return True

    def finish(self, *, drop: bool) -> None:
        """Nothing more will come; with ``drop`` what waits is forgotten."""
        if drop:
            self._frames.clear()
            self._waiting_bytes = 0
        self._finished = True
        self._ready.set()

    async def take(self) -> list[bytes]:
        """Wait for frames and take what may go in one message; empty when finished.

        The frames taken before count as written now.
        """
        self._taken_bytes = 0
        if not self._frames and not self._finished:
            self._ready.clear()
            await self._ready.wait()
        return self._gather()

    def _gather(self) -> list[bytes]:
        taken: list[bytes] = []
        taken_bytes = 0
        while self._frames and len(taken) < self._gather_frames:
            size = len(self._frames[0])
            if taken and taken_bytes + size > self._gather_bytes:
                break
            taken.append(self._frames.popleft())
            taken_bytes += size
        self._taken_bytes = taken_bytes + _FRAME_COST * len(taken)
        self._waiting_bytes -= self._taken_bytes
        return taken
