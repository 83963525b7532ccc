"""Which operations a database still lacks in the rows process, and how many it may get at once.

Says nothing about when: ``live_database`` does. In causal order, as they were applied here, or by
Lamport time, as the index has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from .bodies import Bodies
from .ids import AuthorId
from .log import Log
from .operation import Operation
from .rows import RowsEntry
from .version_log import VersionLog

__all__ = ["RowFeed"]

MAX_COUNT = 64  # entries handed over and not yet applied (guess: enough to keep a process busy)
MAX_BYTES = 4 * 1024 * 1024  # ... and what they hold
PAGE = 65_536  # places kept in memory; of more, the index is read again (about 10 MB)


class RowFeed:
    """One database's entries on their way to the rows process."""

    def __init__(self, index: VersionLog, log: Log, bodies: Bodies, version: bytes) -> None:
        self._index, self._log, self._bodies = index, log, bodies
        self._version = version
        self._queue: deque[tuple[AuthorId, int]] = deque()
        self._taken: dict[bytes, int] = {}  # of each author, the last that was queued
        self._known: frozenset[tuple[bytes, int]] = frozenset()
        self._until: Mapping[bytes, int] | None = None
        self._more = False  # the index has more than the queue
        self._out: deque[int] = deque()  # sizes of entries under way, in bytes
        self._running = False

    def start(
        self,
        have: Mapping[bytes, int],
        known: Iterable[tuple[bytes, int]],
        until: Mapping[bytes, int] | None = None,
    ) -> None:
        """The rows process has ``have`` of each author, and these operations, too.

        ``until``: what it shall have of each author, before ``go_on`` gives it the rest.
        """
        self.stop()
        self._running, self._until = True, until
        self._taken, self._known = dict(have), frozenset(known)
        self._fill()

    def go_on(self) -> None:
        """The rest may follow."""
        if self._running and self._until is not None:
            self._until = None
            self._fill()

    def stop(self) -> None:
        """There is nobody to feed."""
        self._running = self._more = False
        self._queue.clear()
        self._out.clear()

    @property
    def is_idle(self) -> bool:
        """Whether everything was taken in."""
        return not (self._queue or self._more or self._out)

    def arrived(self, operation: Operation) -> None:
        """An operation was applied, and is in the index."""
        if not self._running or self._more:
            return
        if len(self._queue) >= PAGE:
            self._more = True  # the rest waits in the index
        else:
            self._add(operation.author, operation.sequence)

    def take(self) -> tuple[RowsEntry, ...]:
        """What may be handed over now, in order."""
        entries: list[RowsEntry] = []
        under_way = sum(self._out)
        while len(self._out) < MAX_COUNT and under_way < MAX_BYTES:
            if not self._queue and self._more:
                self._fill()
            if not self._queue:
                break
            author, sequence = self._queue.popleft()
            entry = self._entry(author, sequence)
            if entry is not None:
                entries.append(entry)
                self._out.append(len(entry.data))
                under_way += len(entry.data)
        return tuple(entries)

    def done(self, count: int) -> None:
        """So many of those under way were taken in."""
        for _ in range(min(count, len(self._out))):
            self._out.popleft()

    def _fill(self) -> None:
        found = (one for one in self._index.of(self._version) if self._is_new(*one))
        page = list(islice(found, PAGE + 1))
        self._more = len(page) > PAGE
        for author, sequence in page[:PAGE]:
            self._add(author, sequence)

    def _is_new(self, author: bytes, sequence: int) -> bool:
        if self._until is not None and sequence > self._until.get(author, 0):
            return False
        return sequence > self._taken.get(author, 0) and (author, sequence) not in self._known

    def _add(self, author: AuthorId, sequence: int) -> None:
        if self._is_new(author, sequence):
            self._taken[author] = sequence
            self._queue.append((author, sequence))

    def _entry(self, author: AuthorId, sequence: int) -> RowsEntry | None:
        try:
            action = self._bodies.rows(self._version, author, sequence)
            operation = self._log.operation(author, sequence)
        except KeyError:
            return None
        if action is None:
            return None
        return RowsEntry(
            bytes(author),
            sequence,
            operation.lamport,
            operation.wall_ms,
            action.last,
            action.data,
        )
