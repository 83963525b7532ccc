"""Who wants to hear of changed rows, and what they are told: in batches, and bounded.

A watcher is a question of the host, for a table of the database at a path. Whoever would hear of
more than a batch at once is told to read the table anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .values import RawText
from .wire import Changes, RowChanged, Watch

__all__ = ["Collected", "Watching"]

MAX_CHANGES = 1_000  # told at once; guess: more is a bulk change, of which nobody reads each row
MAX_BYTES = 1024 * 1024  # the same, about


@dataclass(slots=True)
class Collected:
    """What changed while one job ran, for the watchers of one database. Filled by any thread."""

    watches: tuple[Watch, ...]
    changes: list[RowChanged] = field(default_factory=list)
    size: int = 0
    full: bool = False

    def add(self, change: RowChanged) -> None:
        """A row changed."""
        if self.full:
            return
        self.changes.append(change)
        self.size += _size(change)
        if len(self.changes) > MAX_CHANGES or self.size > MAX_BYTES:
            self.full = True
            self.changes.clear()

    def told(self) -> list[Changes]:
        """What each watcher is told."""
        if self.full:
            return [Changes(watch.ticket, (), again=True) for watch in self.watches]
        told: list[Changes] = []
        for watch in self.watches:
            table = watch.table.lower()
            found = tuple(one for one in self.changes if not table or one.table.lower() == table)
            if found:
                told.append(Changes(watch.ticket, found))
        return told


class Watching:
    """All watchers. The main thread adds and removes; any thread asks who there is."""

    def __init__(self, say: Callable[[Changes], None]) -> None:
        self._say = say
        self._watches: dict[int, Watch] = {}

    def add(self, watch: Watch) -> None:
        """From now on."""
        self._watches = {**self._watches, watch.ticket: watch}

    def remove(self, ticket: int) -> bool:
        """Whether there was such a watcher."""
        if ticket not in self._watches:
            return False
        self._watches = {one: watch for one, watch in self._watches.items() if one != ticket}
        return True

    def of(self, path: str) -> tuple[Watch, ...]:
        """The watchers of the database at a path."""
        watches = self._watches
        return tuple(watch for watch in watches.values() if watch.path == path) if path else ()

    def tell(self, collected: Collected) -> None:
        """A job has ended."""
        for changes in collected.told():
            self._say(changes)

    def tell_again(self, path: str) -> None:
        """What happened to the database at a path is not known in full."""
        for watch in self.of(path):
            self._say(Changes(watch.ticket, (), again=True))


def _size(change: RowChanged) -> int:
    size = 0
    for values in (change.old, change.new):
        for name, value in (values or {}).items():
            if isinstance(value, RawText):
                value = value.data
            size += len(name) + (len(value) if isinstance(value, str | bytes) else 8)
    return size
