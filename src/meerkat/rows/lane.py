"""One live database in the rows process: what waits for it, and one thing of that at a time.

The main thread puts things in and asks for the next job; a job runs in any thread, never two of one
lane. When jobs run is for ``serving``, what they do for ``database``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from meerkat.core import rows
from meerkat.core.rows import ApplyRows, RowsEntry, RowsReport

from .signature import Signature, signature_of

if TYPE_CHECKING:
    from .database import Database

__all__ = ["Inquiry", "Job", "Lane", "LaneConfig", "LaneRequest"]

LaneRequest = (
    rows.LoadDatabase
    | rows.ApplyRows
    | rows.RowsSigned
    | rows.ExportDatabase
    | rows.AttachDatabase
    | rows.DetachDatabase
)
Job = Callable[[], bool]
"""Does something; says whether the file was busy, so that it has to be looked at again."""
Inquiry = Callable[["Database | None"], None]
"""Asks the database, or says that it is gone."""


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """Times in seconds."""

    slice_entries: int = 2_000  # merged in one go: some 40 ms at 50,000 rows/s; guess
    slice_bytes: int = 1024 * 1024
    retry_shortest: float = 0.005  # before another look at a busy file; then twice as long
    retry_longest: float = 0.5
    afterlooks: tuple[float, ...] = (*(0.001,) * 3, *(0.002,) * 5, *(0.005,) * 4, 0.02, 0.05)
    """After a look: a program's write is noticed before its commit is durable, and a commit in a
    write-ahead log makes itself seen in shared memory only, of which nobody is told (guess)."""
    rest_longest: float = 0.05  # after a look, at most: looking takes half of a processor
    trouble_retry: float = 1.0  # after our own disk was full, say


class Lane:
    """A database, or the place where it will be."""

    def __init__(
        self,
        version: bytes,
        root: Path,
        make: Callable[[], Database],
        base_at: Callable[[bytes], Path],
        report: Callable[[RowsReport], None],
        config: LaneConfig,
    ) -> None:
        """``root``: of the paths. ``base_at``: where a base is kept."""
        self.version = version
        self.database: Database | None = None
        self.path = ""  # where it is attached; this and the next two are set with the report
        self.problem = ""
        self.aside = 0
        self.broken = ""  # why it is not gone on with
        self.trouble = ""  # why it waits
        self.running = False
        self.queued = False  # its turn will come
        self.look = False  # something may have happened to the file
        self._afterlooks = 0  # how many were done since somebody said so
        self._rests_until = 0.0  # looks are not to take the whole processor, nor to hurry a lock
        self.not_before = 0.0  # ... but do not look earlier than this
        self.used = 0.0  # when the last job ended
        self.waiting_bytes = 0
        self._root = root
        self._make, self._report = make, report
        self._base_at = base_at
        self._config = config
        self._requests: deque[LaneRequest] = deque()
        self._inquiries: deque[Inquiry] = deque()
        self._closing = False
        self._delay = config.retry_shortest
        self._paused_until = 0.0
        self._under_way: LaneRequest | None = None
        self._signature: Signature | None = None

    def hint(self) -> None:
        """Something happened to the file just now."""
        self.look = True
        self._afterlooks = 0
        self.not_before = min(self.not_before, self._rests_until)

    def put(self, request: LaneRequest) -> None:
        """Have it done, in order."""
        self._requests.append(request)
        self.waiting_bytes += size_of(request)

    def ask(self, inquiry: Inquiry) -> None:
        """Have it answered, between the requests."""
        self._inquiries.append(inquiry)

    def close_soon(self) -> None:
        """Close handles that are idle, when nothing else waits."""
        self._closing = True

    @property
    def has_requests(self) -> bool:
        """Whether something waits that can be done."""
        return bool(self._requests) and not self.trouble

    @property
    def is_resting(self) -> bool:
        """Whether no handle is open. Not while it runs."""
        return self.database is None or self.database.is_resting

    def due(self, now: float) -> bool:
        """Whether there is something to do now."""
        if self.trouble and now < self._paused_until:
            return False
        if self._requests or self._inquiries or self._closing:
            return True
        return self.wants_look and now >= self.not_before

    @property
    def waits_until(self) -> float | None:
        """If nothing is due now: when something will be, as far as that is known."""
        if self.trouble:
            return self._paused_until
        return self.not_before if self.wants_look else None

    @property
    def wants_look(self) -> bool:
        """Whether there is a file to look at, sooner or later."""
        return self.look and self.database is not None

    def next_job(self, now: float) -> tuple[Job, bool]:
        """What to do, and whether it is a look; call it only if something is due."""
        if self._inquiries:
            return self._answering(self._inquiries.popleft()), False
        # A look goes before what others wrote: that is merged into what a program saw.
        if self.wants_look and now >= self.not_before:
            self.look = False
            return self._looking, True
        if self._requests:
            self._under_way = self._next_request()
            return self._doing(self._under_way), False
        self._closing = False
        return self._close_idle, False

    def done(self, now: float, took: float, *, busy: bool, looked: bool) -> None:
        """A job has ended. ``took``: seconds."""
        self.used = now
        request, self._under_way = self._under_way, None
        if self.trouble:
            self._paused_until = now + self._config.trouble_retry
            self.look = True  # for entries, too: the database has taken them over
            if isinstance(request, rows.RowsSigned | rows.DetachDatabase):
                self._requests.appendleft(request)
            return
        if busy:
            self.look = True
            self.not_before = self._rests_until = now + self._delay
            self._delay = min(self._delay * 2, self._config.retry_longest)
            return
        self._delay = self._config.retry_shortest
        if looked:
            self.not_before = self._rests_until = now + min(took, self._config.rest_longest)
            if not self.look and self._afterlooks < len(self._config.afterlooks):
                self.look = True
                self.not_before = max(
                    self.not_before, now + self._config.afterlooks[self._afterlooks]
                )
                self._afterlooks += 1

    def changed_since_look(self, wall: float) -> bool:
        """Whether the file is another than at the last look, or may be. For any thread."""
        if not self.path:
            return False
        known = self._signature
        return known is None or known != signature_of(self._root / self.path, wall)

    def about_to_look(self, wall: float) -> None:
        """What the file is now will have been seen. In the thread of the job."""
        self._signature = signature_of(self._root / self.path, wall) if self.path else None

    # --- Jobs ---

    def _next_request(self) -> LaneRequest:
        """The next request; of what others wrote a slice, or several requests at once."""
        request = self._requests.popleft()
        self.waiting_bytes -= size_of(request)
        if not isinstance(request, ApplyRows):
            return request
        entries, size = list(request.entries), size_of(request)
        while self._requests and not self._is_slice(len(entries), size):
            more = self._requests[0]
            if not isinstance(more, ApplyRows):
                break
            self._requests.popleft()
            entries += more.entries
            size += size_of(more)
            self.waiting_bytes -= size_of(more)
        cut = cut_of(entries, self._config)
        if cut < len(entries):
            rest = ApplyRows(self.version, tuple(entries[cut:]))
            self._requests.appendleft(rest)
            self.waiting_bytes += size_of(rest)
        return ApplyRows(self.version, tuple(entries[:cut]))

    def _is_slice(self, count: int, size: int) -> bool:
        return count >= self._config.slice_entries or size >= self._config.slice_bytes

    def _doing(self, request: LaneRequest) -> Job:
        return lambda: self._perform(request)

    def _perform(self, request: LaneRequest) -> bool:
        if isinstance(request, rows.LoadDatabase):
            return self._load(request)
        if self.database is None:
            return self._refuse(request)
        match request:
            case rows.ApplyRows(entries=entries):
                return self.database.apply(entries)
            case rows.RowsSigned():
                self.database.signed(request)
            case rows.ExportDatabase():
                self.database.export()
            case rows.AttachDatabase(path=path):
                return self.database.attach(path)
            case rows.DetachDatabase(gone=gone, leave=leave):
                return self.database.detach(gone, leave)
            case _:
                assert_never(request)
        return False

    def _load(self, request: rows.LoadDatabase) -> bool:
        if self.broken:
            return False
        if self.database is None:
            self.database = self._make()
        self.database.load(self._base_at(request.base), request.author)
        return False

    def _refuse(self, request: LaneRequest) -> bool:
        """It broke. What others wrote is not lost: a new process is given it again."""
        match request:
            case rows.AttachDatabase():
                self._report(rows.DatabaseDetached(self.version, (), self.broken))
            case rows.DetachDatabase():
                self._report(rows.DatabaseDetached(self.version, ()))
            case rows.ExportDatabase():
                self._report(rows.DatabaseExported(self.version, self.broken))
            case _:
                pass
        return False

    def _looking(self) -> bool:
        database = self.database
        return database is not None and database.look()

    def _answering(self, inquiry: Inquiry) -> Job:
        def answer() -> bool:
            inquiry(self.database)
            return False

        return answer

    def _close_idle(self) -> bool:
        if self.database is not None:
            self.database.close_idle(time.monotonic())
        return False


def size_of(request: LaneRequest) -> int:
    """The memory it takes, about, in bytes."""
    if isinstance(request, ApplyRows):
        return sum(len(one.data) for one in request.entries)
    return 0


def cut_of(entries: list[RowsEntry], config: LaneConfig) -> int:
    """How many entries make a slice: it ends with a transaction, if one ends in time."""
    size = 0
    end = 0
    for number, entry in enumerate(entries, 1):
        size += len(entry.data)
        if entry.last:
            end = number
        if number >= config.slice_entries or size >= config.slice_bytes:
            return end or number
    return len(entries)
