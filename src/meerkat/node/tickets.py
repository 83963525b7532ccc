"""Questions to the peer that it answers with an effect: a number, a future, a deadline."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Tickets"]

Answer = TypeVar("Answer")


class Tickets(Generic[Answer]):
    """Open questions. Answers without a question are dropped."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[Answer]] = {}

    async def ask(self, post: Callable[[int], None], *, within: float) -> Answer:
        """Post a question under a new number and wait for its answer.

        Raises:
            TimeoutError: if none comes.
        """
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = future
        try:
            post(number)
            async with asyncio.timeout(within):
                return await future
        finally:
            self._open.pop(number, None)

    def answer(self, number: int, answer: Answer) -> None:
        """The peer's answer."""
        future = self._open.get(number)
        if future is not None and not future.done():
            future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """No open question will be answered."""
        for future in self._open.values():
            if not future.done():
                future.set_exception(error)
