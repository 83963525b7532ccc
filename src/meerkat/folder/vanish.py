"""Paths that were found missing: proof of deletions, and who may have been moved where.

A deletion needs two looks, some time apart. Meanwhile a new path that is the same file is held
back, so that both can be reported as one move.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from meerkat.core.files import Kind, Observed
from meerkat.core.ids import ContentHash

from .reading import Found

__all__ = ["Held", "Vanishing"]


@dataclass(frozen=True, slots=True)
class Held:
    """A new path that waits for the proof that it was moved from a vanishing one."""

    path: str
    found: Found


class Vanishing:
    """Missing paths, each with the time of its second look and perhaps where it went."""

    def __init__(self, settle_gone: float) -> None:
        self._settle = settle_gone
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._by_digest: dict[ContentHash, str] = {}
        self._digests: dict[str, ContentHash] = {}
        self._held: dict[str, Held] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._due

    def paths(self) -> set[str]:
        """All that were missed once."""
        return set(self._due)

    def missed(self, path: str, known: Observed, now: float) -> None:
        """First look: not there. Later ones change nothing."""
        if path in self._due:
            return
        self.wait(path, now)
        if known.kind is Kind.FILE and known.signature.size_bytes > 0:
            self._by_digest[known.digest] = path
            self._digests[path] = known.digest

    def wait(self, path: str, now: float) -> None:
        """Look (again) after the settle time."""
        self._due[path] = now + self._settle
        heapq.heappush(self._heap, (now + self._settle, path))

    def came_back(self, path: str) -> Held | None:
        """The path is there after all; returns whoever was held for it."""
        self._due.pop(path, None)
        digest = self._digests.pop(path, None)
        if digest is not None and self._by_digest.get(digest) == path:
            del self._by_digest[digest]
        return self._held.pop(path, None)

    resolve = came_back  # proof or return: either way the wait is over

    def hold(self, old: str, new: str, found: Found) -> bool:
        """Hold ``new`` as where ``old`` went; False if another path is."""
        held = self._held.get(old)
        if held is not None and held.path != new:
            return False
        self._held[old] = Held(new, found)
        return True

    def held_for(self, path: str) -> Held | None:
        """What is held as where ``path`` went."""
        return self._held.get(path)

    def let_go(self, path: str) -> None:
        """What was held for ``path`` is not where it went after all."""
        self._held.pop(path, None)

    def with_content(self, digest: ContentHash) -> str | None:
        """A missing path that held this content."""
        return self._by_digest.get(digest)

    def next_due(self) -> float | None:
        """When to call ``take_due`` next."""
        while self._heap:
            due, path = self._heap[0]
            if self._due.get(path) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: float) -> list[str]:
        """Paths to look at a second time. They stay until ``resolve`` or ``came_back``."""
        paths = []
        while (due := self.next_due()) is not None and due <= now:
            paths.append(heapq.heappop(self._heap)[1])
        return paths

    def clear(self) -> None:
        """Forget all."""
        for table in (self._due, self._by_digest, self._digests, self._held):
            table.clear()
        self._heap.clear()
