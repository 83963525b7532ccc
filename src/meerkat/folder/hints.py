"""Hints on their way from the watcher to the first thread: each once, and never too many.

A program that renames in a loop makes hints faster than they can be looked into. Since a hint only
says where to look, one that is already waiting stands for all that are equal; and when too many
wait, one scan stands for them all.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from .watcher import Hint

__all__ = ["HintQueue"]

MOST_WAITING = 50_000  # as many paths are scanned in 0.3 s
TURN_SECONDS = 0.01  # of hints before jobs have their turn; guess

_Entry = tuple[Hint, str, str]


class HintQueue:
    """Any thread may ``add``; one takes."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: OrderedDict[_Entry, None] = OrderedDict()

    def add(self, hint: Hint, path: str, old: str) -> None:
        """Queue a hint."""
        with self._lock:
            first = not self._waiting
            if len(self._waiting) >= MOST_WAITING:
                self._waiting = OrderedDict({(Hint.LOST, "", ""): None})
            self._waiting[hint, path, old] = None
        if first:
            self._wake()

    def take(self, look: Callable[[Hint, str, str], None]) -> bool:
        """Pass hints on for a while; True if some are left."""
        end = time.monotonic() + TURN_SECONDS
        while True:
            with self._lock:
                if not self._waiting:
                    return False
                entry, _ = self._waiting.popitem(last=False)
            look(*entry)
            if time.monotonic() >= end:
                return bool(self._waiting)
