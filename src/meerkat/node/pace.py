"""Going no faster than others accept: who asks too often waits for its turn."""

from __future__ import annotations

import asyncio

__all__ = ["Pace"]


class Pace:
    """A token bucket: ``burst`` at once, then ``rate`` a second; turns are taken in order."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._level = burst
        self._at: float | None = None
        self._turn = asyncio.Lock()

    async def wait_turn(self) -> None:
        """Return when one more may go."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            self._fill(loop.time())
            if self._level < 1:
                await asyncio.sleep((1 - self._level) / self._rate)
                self._fill(loop.time())
            self._level -= 1

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
