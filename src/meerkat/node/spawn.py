"""Starting a task that has a parent: the node's task group, and the node hears of its failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Spawn", "spawner"]

Work = Callable[[], Coroutine[Any, Any, None]]
Spawn = Callable[[Work], asyncio.Task[None]]


def spawner(group: asyncio.TaskGroup, failed: Callable[[Exception], None]) -> Spawn:
    """A ``Spawn`` whose tasks report a bug to ``failed`` instead of cancelling the group."""

    async def guarded(work: Work) -> None:
        try:
            await work()  # made here: a task cancelled before it began leaves nothing behind
        except Exception as error:
            failed(error)

    return lambda work: group.create_task(guarded(work))
