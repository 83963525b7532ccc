"""Does the peer's jobs: each names what it expects to find, and touches nothing else.

Many small files share one flush: all temporary files are written, flushed together, renamed one by
one, and their folders flushed. Before its rename a path holds the old content, after it the new;
results are given when the names are durable, too (D2).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from meerkat.core.files import (
    Job,
    JobResult,
    KeepBase,
    Kind,
    MakeFolder,
    MoveFile,
    Observed,
    Outcome,
    PrepareBlob,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    Signature,
    WriteFile,
)

from . import syscalls
from .changes import Changes
from .config import FolderConfig
from .ground import Ground, Refuse
from .outcome import outcome_of
from .paths import Root, UnsafePath, check_path, link_stays_inside, split
from .publish import Place, Publisher, Raced
from .reading import database_found
from .scanner import Scanner
from .signature import is_executable, same_file, signature_of
from .staging import Staged, Staging, discard

__all__ = ["Writer"]


class Writer:
    """Jobs in groups. For the first thread only."""

    def __init__(self, scanner: Scanner, publisher: Publisher, config: FolderConfig) -> None:
        self._scanner = scanner
        self._root: Root = scanner.root
        self._publisher = publisher
        self._config = config
        self._staging = Staging(config, self._root.descriptor)
        self._results: dict[int, JobResult] = {}
        self._ground = Ground(scanner, config)
        self._changes = Changes(scanner, publisher, self._ground)

    def perform(self, jobs: Sequence[Job], part: Place | None = None) -> list[JobResult]:
        """Do a group of jobs; the results are in the same order.

        Args:
            jobs: any but ``PrepareBlob`` and ``KeepBase``.
            part: the file that lies ready for the group's only job (a blob, an export).
        """
        self._results, self._changes.touched = {}, set()
        with self._root.keeping():
            for index, job in enumerate(jobs):
                self._guard(index, job, partial(self._one, index, job, part))
            self._publish()
            self._sync_folders()
        return [self._results[index] for index in range(len(jobs))]

    def _guard(self, index: int, job: Job, work: Callable[[], JobResult | None]) -> None:
        try:
            result = work()
        except Refuse as refused:
            result = JobResult(job.ticket, refused.outcome, refused.observed, refused.detail)
        except UnsafePath as error:
            result = JobResult(job.ticket, Outcome.NAME, None, f"refused: {error}")
        except Raced:
            result = self._changed(job)
        except OSError as error:
            outcome, detail = outcome_of(error)
            result = JobResult(job.ticket, outcome, None, detail)
            if outcome is Outcome.CHANGED:
                result = replace(self._changed(job), detail=detail)
        if result is not None:
            self._results[index] = result

    def ignored(self, job: Job) -> JobResult | None:
        """The refusal of a job that names an ignored path; None for any other."""
        assert not isinstance(job, PrepareBlob | KeepBase)
        folder = isinstance(job, MakeFolder | RemoveFolder)
        for path in (job.path, job.target) if isinstance(job, MoveFile) else (job.path,):
            try:
                check_path(path)
            except UnsafePath:
                return None  # refused for that
            if self._scanner.ignore.ignores(path, folder=folder):
                return JobResult(job.ticket, Outcome.IGNORED, None, "ignored here", path)
        return None

    def _changed(self, job: Job) -> JobResult:
        assert not isinstance(job, PrepareBlob | KeepBase)
        if (ignored := self.ignored(job)) is not None:
            return ignored  # a rule that came meanwhile
        path = job.target if isinstance(job, MoveFile) else job.path
        for looked in {job.path, path}:
            self._scanner.look_now(looked)
        observed = self._scanner.known.get(path)
        if isinstance(job, WriteFile) and observed is not None:
            wanted = (job.kind, job.digest, job.executable)
            same = (observed.kind, observed.digest, observed.executable) == wanted
            if same and job.kind is not Kind.DATABASE:
                return JobResult(job.ticket, Outcome.DONE, observed)  # somebody did it before us
        detail = "something else stands there; it was left alone"
        return JobResult(job.ticket, Outcome.CHANGED, observed, detail)

    def _one(self, index: int, job: Job, part: Place | None) -> JobResult | None:
        match job:
            case WriteFile():
                if (
                    job.path in self._staging.targets
                    or self._staging.bytes > self._config.group_bytes
                ):
                    self._publish()
                return self._write(index, job, part)
            case MakeFolder():
                return self._changes.perform(job)
            case SetExecutable() | RemoveFile() | MoveFile() | RemoveFolder():
                self._publish()
                return self._changes.perform(job)
            case PrepareBlob() | KeepBase():
                raise TypeError("blobs are prepared and kept elsewhere")
            case _:
                assert_never(job)

    def _write(self, index: int, job: WriteFile, part: Place | None) -> JobResult | None:
        check_path(job.path)
        if job.kind is Kind.SYMLINK and not self._link_allowed(job):
            raise Refuse(Outcome.NAME, "refused: a link that points outside the folder")
        place = self._ground.place(job.path, make=True)
        standing = self._standing(job, place)
        if standing is not None and self._ground.has_parts(job.path):
            plain = standing.kind is not Kind.DATABASE
            outcome = Outcome.BUSY if plain else Outcome.DENIED  # busy: until that program ends
            self._ground.refuse_parts(place, outcome, own=True)
        elif job.kind is Kind.DATABASE:
            self._ground.refuse_parts(place)
        if part is None:
            self._staging.write(index, job, place, standing)
        else:
            self._staging.take(index, job, part, place, standing)
        return None

    @staticmethod
    def _link_allowed(job: WriteFile) -> bool:
        try:
            return isinstance(job.data, bytes) and link_stays_inside(job.path, job.data.decode())
        except UnicodeDecodeError:
            return False

    def _standing(self, job: WriteFile, place: Place) -> Observed | None:
        if job.expected is not None:
            return self._ground.verify(place, job.expected)
        if job.path in self._scanner.known:
            try:
                os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
            except FileNotFoundError:
                return None
            raise Raced
        return None

    def _publish(self) -> None:
        if not self._staging.files:
            return
        files = list(self._staging.files)
        try:
            self._staging.flush()
        except OSError as error:
            outcome, detail = outcome_of(error)
            for file in files:
                self._results[file.index] = JobResult(file.job.ticket, outcome, None, detail)
            return
        for file in files:
            self._guard(file.index, file.job, partial(self._publish_one, file))
            if self._results[file.index].outcome is not Outcome.DONE:
                discard(file)

    def _publish_one(self, file: Staged) -> JobResult:
        if file.standing is None:
            self._publisher.new(file.temp, file.place)
        else:
            self._publisher.over(file.temp, file.place, file.standing)
        self._changes.touched.add(split(file.job.path)[0])
        stat = os.stat(file.place.name, dir_fd=file.place.directory, follow_symlinks=False)
        job = file.job
        if job.kind is Kind.DATABASE:
            return self._published_database(job, file.signature, stat)
        ours = same_file(stat, file.signature)
        signature = signature_of(stat) if ours else file.signature
        observed = Observed(job.kind, job.digest, job.executable and ours, signature)
        if job.kind is Kind.FILE and ours:
            observed = replace(observed, executable=is_executable(stat))
        self._scanner.record_own(job.path, observed)
        if not ours:
            self._scanner.look_soon(job.path)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _published_database(
        self, job: WriteFile, staged: Signature, stat: os.stat_result
    ) -> JobResult:
        self._scanner.databases.set_plain(job.path, plain=False)
        observed = database_found(stat).observed
        if observed.signature.inode == staged.inode:
            self._scanner.record_own(job.path, observed)
        else:
            observed = replace(observed, signature=Signature(0, 0, 0, staged.inode, staged.device))
            self._scanner.record_own(job.path, observed)
            self._scanner.look_soon(job.path)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _sync_folders(self) -> None:
        folders = list(self._changes.touched)
        try:
            if len(folders) > self._config.sync_each_limit and syscalls.supports("syncfs"):
                syscalls.sync_filesystem(self._root.descriptor)
                return
            for path in folders:
                os.fsync(self._root.kept_folder(path))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return  # no such thing here, or the folder is gone again
            outcome, detail = outcome_of(error)
            for index, result in self._results.items():
                self._results[index] = replace(result, outcome=outcome, detail=detail)
