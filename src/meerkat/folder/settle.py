"""When a path is quiet enough to be looked at.

Holds times only; what the events mean is decided in ``scanner``.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from .config import FolderConfig

__all__ = ["Settling", "Waiting"]


@dataclass(slots=True)
class Waiting:
    """A path that will be looked at when ``due``."""

    since: float
    due: float
    attempts: int = 0
    waited_empty: bool = False


class Settling:
    """Paths waiting to be looked at, and until when."""

    def __init__(self, config: FolderConfig) -> None:
        self._config = config
        self._waiting: dict[str, Waiting] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()

    def __contains__(self, path: str) -> bool:
        return path in self._waiting

    def get(self, path: str) -> Waiting | None:
        """The path's entry, if it waits."""
        return self._waiting.get(path)

    def paths(self) -> set[str]:
        """All that wait."""
        return set(self._waiting)

    def written(self, path: str, now: float, *, known: bool) -> None:
        """A write happened and the file may still be open: wait for quiet, but not for ever."""
        entry = self._entry(path, now)
        shortest = now if known else entry.since + self._config.settle_new
        quiet = now + self._config.settle_quiet
        self._set(path, max(shortest, min(quiet, entry.since + self._config.settle_longest)))

    def appeared(self, path: str, now: float) -> None:
        """A new path is complete as far as is known: only wait whether it stays."""
        entry = self._entry(path, now)
        self._set(path, max(now, entry.since + self._config.settle_new))

    def emptied(self, path: str, now: float, *, database: bool = False) -> None:
        """A file that had content is empty: its writer probably is about to fill it."""
        entry = self._entry(path, now)
        entry.waited_empty = True
        config = self._config
        self._set(path, now + (config.settle_database if database else config.settle_quiet))

    def retry(self, path: str, now: float) -> None:
        """The file changed while it was read: again, later each time."""
        entry = self._entry(path, now)
        delay = self._config.settle_quiet * 2.0 ** min(entry.attempts, 16)
        entry.attempts += 1
        self._set(path, now + min(delay, self._config.retry_longest))

    def due_at(self, path: str, when: float) -> None:
        """Look at exactly this time."""
        self._entry(path, when)
        self._set(path, when)

    def drop(self, path: str) -> None:
        """Looked at, or gone."""
        self._waiting.pop(path, None)

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()
        self._heap.clear()

    def next_due(self) -> float | None:
        """When to call ``take_due`` next."""
        while self._heap:
            due, _, path = self._heap[0]
            entry = self._waiting.get(path)
            if entry is not None and entry.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: float) -> list[str]:
        """Paths whose time has come, in that order. Their entries stay until ``drop``."""
        paths = []
        while (due := self.next_due()) is not None and due <= now:
            path = heapq.heappop(self._heap)[2]
            self._waiting[path].due = float("inf")
            paths.append(path)
        return paths

    def _entry(self, path: str, now: float) -> Waiting:
        entry = self._waiting.get(path)
        if entry is None:
            entry = self._waiting[path] = Waiting(since=now, due=now)
        return entry

    def _set(self, path: str, due: float) -> None:
        self._waiting[path].due = due
        heapq.heappush(self._heap, (due, next(self._numbers), path))
