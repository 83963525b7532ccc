"""What a program hears: events of the folder's process as values, one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from meerkat.control import schema
from meerkat.control.async_client import EventStream

__all__ = ["Stream"]

Value = TypeVar("Value")


class Stream(Generic[Value]):
    """``async for`` it. It hears from its first step on, or from ``wait_listening``.

    What is not read yet waits in the serving process, within bounds; then the oldest goes, and
    the value that follows says how many were ``missed``.

    Raises:
        NotRunning: when the process that serves the folder ends.
    """

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        read: Callable[[dict[str, Any], int], Value | None],
        first: Callable[[], Awaitable[list[Value]]] | None = None,
        request: schema.Request | None = None,
    ) -> None:
        """``read`` makes a value of an event and a count of missed ones; None: nothing to tell.

        ``first`` comes before all events, and is asked for when listening has begun.
        ``request``: what the events follow on, if not on their names.
        """
        self._events = EventStream(path, *names, request=request)
        self._read = read
        self._first = first
        self._before: deque[Value] = deque()
        self._missed = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Value:
        await self.wait_listening()
        if self._before:
            return self._before.popleft()
        while True:
            event = await anext(self._events)
            if event["event"] == "resync":
                self._missed += int(event.get("missed", 0))
            elif (value := self._read(event, self._missed)) is not None:
                self._missed = 0
                return value

    async def wait_listening(self) -> None:
        """Return when everything that happens from now on will be heard."""
        await self._events.wait_listening()
        if self._first is not None:
            self._before.extend(await self._first())
            self._first = None

    async def aclose(self) -> None:
        """Hear no more."""
        await self._events.aclose()
