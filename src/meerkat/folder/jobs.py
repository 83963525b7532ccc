"""The queue of jobs: groups for the writer, blobs by way of the incoming thread.

Results of one path come in the order of its jobs. A blob is hashed on the incoming thread before it
is published; jobs that touch its path wait for it, others pass.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence

from meerkat.core.files import (
    IGNORE_FILE,
    Export,
    Job,
    JobResult,
    KeepBase,
    KeepResult,
    MoveFile,
    Outcome,
    PrepareBlob,
    PrepareResult,
    WriteFile,
)
from meerkat.core.ids import ContentHash

from .bases import EXPORT_NAME, Bases, Exports
from .config import FolderConfig
from .incoming import Incoming, part_name
from .outcome import outcome_of
from .paths import UnsafePath, check_path
from .publish import Place
from .worker import Worker
from .writer import Writer

__all__ = ["JobQueue", "size_of"]

LOG = logging.getLogger(__name__)

Result = JobResult | PrepareResult | KeepResult


def _paths_of(job: Job) -> tuple[str, ...]:
    if isinstance(job, PrepareBlob | KeepBase):
        return ()
    return (job.path, job.target) if isinstance(job, MoveFile) else (job.path,)


def size_of(job: Job) -> int:
    """What a queued job holds in memory, about."""
    if isinstance(job, WriteFile) and not isinstance(job.data, Export):
        return len(job.data)
    return len(job.data or b"") if isinstance(job, KeepBase) else 0


class JobQueue:
    """For the first thread, except ``store_chunk``'s work, which runs on the incoming one."""

    def __init__(
        self,
        writer: Writer,
        incoming: Incoming,
        bases: Bases,
        exports: Exports,
        first: Worker,
        third: Worker,
        config: FolderConfig,
        deliver: Callable[[list[Result], int], None],
    ) -> None:
        self._writer = writer
        self._incoming = incoming
        self._bases = bases
        self._exports = exports
        self._first = first
        self._third = third
        self._config = config
        self._deliver = deliver
        self._queue: deque[Job] = deque()
        self._waiting: list[Job] = []
        self._publishing: set[str] = set()
        self.refuse_all: Callable[[], str | None] = lambda: None

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, jobs: Sequence[Job]) -> None:
        """Queue jobs."""
        self._queue.extend(jobs)

    def run_group(self) -> None:
        """Do as many of the next jobs as share one flush."""
        reason = self.refuse_all()
        group: list[Job] = []
        size = 0
        while self._queue and len(group) < self._config.group_jobs:
            job = self._queue.popleft()
            if reason is not None:
                self._refuse(job, reason)
                continue
            if self._must_wait(job):
                self._waiting.append(job)
                continue
            if isinstance(job, PrepareBlob):
                self._prepare(job)
            elif isinstance(job, KeepBase):
                self._keep(job)
            elif ignored := self._writer.ignored(job):
                self._deliver([ignored], size_of(job))
            elif isinstance(job, WriteFile) and isinstance(job.data, ContentHash | Export):
                self._publish_part(job, job.data)
            else:
                group.append(job)
                size += size_of(job)
                if size >= self._config.group_bytes or job.path == IGNORE_FILE:
                    break  # after new rules the next job may be one to refuse
        if group:
            self._deliver(list(self._perform(group)), sum(size_of(job) for job in group))

    def _perform(self, group: list[Job], part: Place | None = None) -> list[JobResult]:
        try:
            return self._writer.perform(group, part)
        except Exception:
            # A fault of ours. Without results the peer would wait for ever; so it tries again.
            LOG.exception("a group of %d jobs failed", len(group))
            busy = "meerkat failed here, its log says how; it is tried again"
            return [JobResult(job.ticket, Outcome.BUSY, None, busy) for job in group]

    def _refuse(self, job: Job, reason: str) -> None:
        result: Result
        if isinstance(job, PrepareBlob):
            result = PrepareResult(job.ticket, job.blob, Outcome.BUSY, (), reason)
        elif isinstance(job, KeepBase):
            result = KeepResult(job.ticket, job.blob, Outcome.BUSY, reason)
        else:
            result = JobResult(job.ticket, Outcome.BUSY, None, reason)
        self._deliver([result], size_of(job))

    def _must_wait(self, job: Job) -> bool:
        if not self._publishing:
            return False
        busy = set(self._publishing)
        for waiting in self._waiting:
            busy.update(_paths_of(waiting))
        for path in _paths_of(job):
            for other in busy:
                if path == other or path.startswith(other + "/") or other.startswith(path + "/"):
                    return True
        return False

    # --- blobs ---

    def _prepare(self, job: PrepareBlob) -> None:
        def done(result: PrepareResult) -> None:
            self._first.call(lambda: self._deliver([result], 0))

        self._third.call(lambda: self._third.in_background(self._incoming.prepare(job, done)))

    def _keep(self, job: KeepBase) -> None:
        def done(result: KeepResult) -> None:
            self._first.call(lambda: self._deliver([result], size_of(job)))

        self._third.call(lambda: self._third.in_background(self._bases.keep(job, done)))

    def _publish_part(self, job: WriteFile, data: ContentHash | Export) -> None:
        """Put a file that lies ready elsewhere in place, once it is checked and durable."""
        try:
            check_path(job.path)
        except UnsafePath as error:
            result = JobResult(job.ticket, Outcome.NAME, None, f"refused: {error}")
            self._deliver([result], size_of(job))
            return
        self._publishing.add(job.path)
        if isinstance(data, Export):
            self._third.call(lambda: self._open_export(job, data))
        else:
            self._verify(job, data)

    def _verify(self, job: WriteFile, blob: ContentHash) -> None:
        def done(outcome: Outcome, detail: str) -> None:
            self._first.call(lambda: self._verified(job, blob, outcome, detail))

        work = self._incoming.verify(blob, job.digest, executable=job.executable, done=done)
        self._third.call(lambda: self._third.in_background(work))

    def _verified(self, job: WriteFile, blob: ContentHash, outcome: Outcome, detail: str) -> None:
        self._publishing.discard(job.path)
        if outcome is Outcome.DONE and not self._incoming.has(blob):
            outcome, detail = Outcome.CORRUPT, "another path took it meanwhile"
        if outcome is Outcome.DONE:
            part = Place(self._incoming.descriptor, part_name(blob), job.path)
            result = self._perform([job], part)[0]
            if result.outcome is Outcome.DONE:
                self._third.call(lambda: self._incoming.close_part(blob))
        else:
            result = JobResult(job.ticket, outcome, None, detail)
        self._deliver([result], size_of(job))
        self._go_on()

    def _open_export(self, job: WriteFile, export: Export) -> None:
        try:
            directory = self._exports.open(export.version, executable=job.executable)
        except FileNotFoundError:
            result = JobResult(job.ticket, Outcome.BUSY, None, "no copy of it lies ready")
            self._first.call(lambda: self._exported(job, result))
        except OSError as error:
            outcome, detail = outcome_of(error)
            result = JobResult(job.ticket, outcome, None, detail)
            self._first.call(lambda: self._exported(job, result))
        else:
            self._first.call(lambda: self._place_export(job, directory))

    def _place_export(self, job: WriteFile, directory: int) -> None:
        try:
            result = self._perform([job], Place(directory, EXPORT_NAME, job.path))[0]
        finally:
            os.close(directory)
        self._exported(job, result)

    def _exported(self, job: WriteFile, result: JobResult) -> None:
        self._publishing.discard(job.path)
        self._deliver([result], size_of(job))
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._queue.extendleft(reversed(waiting))
