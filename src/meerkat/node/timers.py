"""Timers as values on one heap, and one handle of the loop for the earliest of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["Timers"]


class _Loop(Protocol):
    """What is used of an event loop."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> _Handle: ...


class _Handle(Protocol):
    def cancel(self) -> None: ...


class Timers:
    """Named timers of a peer. Setting a name again moves it; a moved entry is left on the heap."""

    def __init__(self, loop: _Loop, expired: Callable[[list[str]], None]) -> None:
        """``expired`` is called with all names that ran out, in order of their time."""
        self._loop = loop
        self._expired = expired
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._handle: _Handle | None = None
        self._armed_for = 0.0

    def __len__(self) -> int:
        return len(self._due)

    def start(self, name: str, delay: float) -> None:
        """Let ``name`` run out ``delay`` seconds from now."""
        due = self._loop.time() + max(delay, 0.0)
        self._due[name] = due
        heapq.heappush(self._heap, (due, name))
        self._arm()

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        """Keep exactly one handle, for the earliest timer."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._handle is not None and self._heap and self._armed_for == self._heap[0][0]:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._armed_for = self._heap[0][0]
            self._handle = self._loop.call_at(self._armed_for, self._ring)

    def _ring(self) -> None:
        self._handle = None
        names = list(self._take(self._loop.time()))
        self._arm()
        if names:
            self._expired(names)

    def _take(self, now: float) -> Iterator[str]:
        # A handle may ring up to one clock tick early; what it was armed for is due by definition.
        now = max(now, self._armed_for)
        while self._heap and self._heap[0][0] <= now:
            due, name = heapq.heappop(self._heap)
            if self._due.get(name) == due:
                del self._due[name]
                yield name
