"""Large files: hashed on a thread of their own, reported by the first one.

A file is hashed once at a time; a change meanwhile asks for another round.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .paths import Root
from .reading import Found, Interrupted, Reading, Unread, hash_large
from .report import FolderListener
from .signature import unchanged
from .worker import Worker

__all__ = ["LargeFiles"]


@dataclass(slots=True)
class _Round:
    """One reading under way, and whether to look again afterwards."""

    again: bool = False


class _Scanner(Protocol):
    root: Root

    def examine(self, path: str, *, settled: bool = False) -> None: ...
    def handle(self, path: str, reading: Reading) -> None: ...


class LargeFiles:
    """The part of the scanner that waits for the hashing thread. For the first thread."""

    def __init__(
        self,
        scanner: _Scanner,
        listener: FolderListener,
        hasher: Worker,
        to_first_thread: Callable[[Callable[[], None]], None],
    ) -> None:
        self._scanner = scanner
        self._listener = listener
        self._hasher = hasher
        self._to_first_thread = to_first_thread
        self._hashing: dict[str, _Round] = {}

    def paths(self) -> set[str]:
        """What is being hashed, or waits for it."""
        return set(self._hashing)

    def hash(self, path: str) -> None:
        """Hash what stands at ``path``; the scanner gets the reading."""
        if path in self._hashing:
            self._hashing[path].again = True
            return
        this = self._hashing[path] = _Round()

        shown = 0  # the whole size, while only a part of it was told

        def progress(done: int, total: int) -> None:
            nonlocal shown
            shown = total if done < total else 0
            self._listener.progress(path, done, total)

        def work() -> None:
            with contextlib.suppress(Interrupted):
                root, hasher = self._scanner.root, self._hasher
                reading = hash_large(root, path, progress, lambda: hasher.stopping)
                if shown:  # it changed meanwhile, or went away: this reading ends all the same
                    progress(shown, shown)
                self._to_first_thread(lambda: self._hashed(path, this, reading))

        self._hasher.call(work)

    def drop(self, path: str) -> None:
        """It is no ordinary file: what a reading under way finds does not count."""
        self._hashing.pop(path, None)

    def _hashed(self, path: str, this: _Round, reading: Reading) -> None:
        if self._hashing.get(path) is not this:
            return
        del self._hashing[path]
        if isinstance(reading, Found):
            try:
                now = self._scanner.root.lstat(path)
            except OSError:
                self._scanner.examine(path)
                return
            if not unchanged(now, reading.observed.signature):
                reading = Unread.CHANGED
        self._scanner.handle(path, reading)
        if this.again and isinstance(reading, Found):
            self._scanner.examine(path, settled=True)
