"""Between the folder's threads and the loop: what the folder says becomes events, in order."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from meerkat.core.events import ChunksStored, Event, FilesObserved, JobsDone
from meerkat.core.files import JobResult, KeepResult, PrepareResult, Seen, TextContent
from meerkat.core.ids import ContentHash
from meerkat.core.status import Problem
from meerkat.folder.report import Observation
from meerkat.folder.report import Problem as FolderProblem

from .options import NodeConfig

__all__ = ["DatabaseTouched", "FolderBridge", "FolderProblems", "FolderProgress"]

THROTTLE = 0.5  # seconds a folder thread waits at most for the loop to keep up; guess


@dataclass(frozen=True, slots=True)
class FolderProblems:
    """All problems the folder has now."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class FolderProgress:
    """A large file is being read."""

    path: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class DatabaseTouched:
    """Perhaps something was written into a live database."""

    path: str


Told = Event | FolderProblems | FolderProgress | DatabaseTouched


class FolderBridge:
    """A ``FolderListener``. ``deliver`` gets what was told, on the loop's thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: NodeConfig,
        deliver: Callable[[list[Told]], None],
    ) -> None:
        self._loop = loop
        self._config = config
        self._deliver = deliver
        self._lock = threading.Condition()
        self._told: deque[Told] = deque()
        self._touched: set[DatabaseTouched] = set()  # those among ``_told``
        self._scheduled = False
        self._waiting_bytes = 0
        self._closed = False

    # --- From the folder's threads ---

    def observed(self, batch: Observation) -> None:
        """See FolderListener. Slows its caller down while the loop is behind with reading."""
        for event in split(batch, self._config.observed_entries):
            self._tell(event)
        with self._lock:
            self._lock.wait_for(self._has_room, timeout=THROTTLE)

    def database_touched(self, path: str) -> None:
        """See FolderListener. Once is enough until it is handed over."""
        touched = DatabaseTouched(path)
        with self._lock:
            if touched in self._touched:
                return
            self._touched.add(touched)
        self._tell(touched)

    def jobs_done(self, results: list[JobResult | PrepareResult | KeepResult]) -> None:
        """See FolderListener."""
        self._tell(JobsDone(tuple(results)))

    def chunks_stored(self, blob: ContentHash, indexes: list[int], failed: list[int]) -> None:
        """See FolderListener."""
        self._tell(ChunksStored(blob, tuple(indexes), tuple(failed)))

    def problems_changed(self, problems: tuple[FolderProblem, ...]) -> None:
        """See FolderListener."""
        self._tell(FolderProblems(tuple(Problem(one.path, one.text) for one in problems)))

    def progress(self, path: str, done_bytes: int, total_bytes: int) -> None:
        """See FolderListener."""
        self._tell(FolderProgress(path, done_bytes, total_bytes))

    # --- From the loop's thread ---

    def decided(self, event: FilesObserved) -> None:
        """The peer has seen this; the folder may read on."""
        with self._lock:
            self._waiting_bytes -= text_bytes(event)
            self._lock.notify_all()

    def flush(self) -> None:
        """Hand over now what was told."""
        self._hand_over()

    def close(self) -> None:
        """Hear nothing more, and hold nobody up."""
        with self._lock:
            self._closed = True
            self._told.clear()
            self._touched.clear()
            self._lock.notify_all()

    def _has_room(self) -> bool:
        return self._closed or self._waiting_bytes <= self._config.observed_bytes

    def _tell(self, told: Told) -> None:
        with self._lock:
            if self._closed:
                return
            self._told.append(told)
            if isinstance(told, FilesObserved):
                self._waiting_bytes += text_bytes(told)
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._hand_over)
        except RuntimeError:  # the loop is closed: the process is ending
            self.close()

    def _hand_over(self) -> None:
        with self._lock:
            self._scheduled = False
            told = list(self._told)
            self._told.clear()
            self._touched.clear()
        if told:
            self._deliver(told)


def text_bytes(event: FilesObserved) -> int:
    """The memory its texts take."""
    return sum(
        len(seen.content.data) for seen in event.seen if isinstance(seen.content, TextContent)
    )


def split(batch: Observation, entries: int) -> Iterator[FilesObserved]:
    """The batch in pieces that are decided quickly.

    Only what is seen for the first time in a scan is cut up: a move or a removal is understood
    best together with all that was found at the same time.
    """
    if batch.gone or batch.moved or batch.hidden or len(batch.seen) <= entries:
        yield _event(batch.seen, batch, last=True)
        return
    for start in range(0, len(batch.seen), entries):
        last = start + entries >= len(batch.seen)
        yield _event(batch.seen[start : start + entries], batch, last=last)


def _event(seen: tuple[Seen, ...], batch: Observation, *, last: bool) -> FilesObserved:
    if not last:
        return FilesObserved(seen=seen)
    return FilesObserved(
        seen=seen,
        gone=batch.gone,
        moved=batch.moved,
        touched=batch.touched,
        scan_complete=batch.scan_complete,
        hidden=batch.hidden,
    )
