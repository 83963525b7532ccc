"""Waiting for a condition with a deadline: the loop turns, nobody sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WITHIN = 20.0  # seconds; a busy machine is not a bug


async def until(condition: Callable[[], object], what: str, within: float = WITHIN) -> None:
    """Let everybody have turns until ``condition`` holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        if loop.time() > deadline:
            raise TimeoutError(f"after {within:.0f} s still not: {what}")
        await loop.run_in_executor(None, _breathe)
        await asyncio.sleep(0)


def _breathe() -> None:
    """A turn in another thread gives the folder's threads the interpreter, too."""
