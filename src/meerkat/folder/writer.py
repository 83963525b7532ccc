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
    Kind,
    MakeFolder,
    MoveFile,
    Observed,
    Outcome,
    PrepareBlob,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    WriteFile,
)
from meerkat.core.ids import ContentHash

from . import syscalls
from .config import FolderConfig
from .outcome import outcome_of
from .paths import Root, UnsafePath, check_path, is_own_name, link_stays_inside, split
from .publish import Place, Publisher, Raced, move_new
from .reading import (
    Found,
    Unread,
    folder_found,
    is_executable,
    read_entry,
    same_file,
    signature_of,
    unchanged,
)
from .scanner import Scanner
from .staging import Staged, Staging, discard

__all__ = ["Refuse", "Writer"]


class Refuse(Exception):
    """A job that ends without being done."""

    def __init__(self, outcome: Outcome, detail: str, observed: Observed | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.observed = observed


class Writer:
    """Jobs in groups. For the first thread only."""

    def __init__(self, scanner: Scanner, publisher: Publisher, config: FolderConfig) -> None:
        self._scanner = scanner
        self._root: Root = scanner.root
        self._publisher = publisher
        self._config = config
        self._staging = Staging(config, self._root.descriptor)
        self._results: dict[int, JobResult] = {}
        self._touched: set[str] = set()
        self._jobs: Sequence[Job] = ()

    def perform(self, jobs: Sequence[Job], part: Place | None = None) -> list[JobResult]:
        """Do a group of jobs; the results are in the same order.

        Args:
            jobs: any but ``PrepareBlob``.
            part: the assembled file of the group's only job, if that writes a blob.
        """
        self._jobs, self._results, self._touched = jobs, {}, set()
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

    def _changed(self, job: Job) -> JobResult:
        assert not isinstance(job, PrepareBlob)
        path = job.target if isinstance(job, MoveFile) else job.path
        for looked in {job.path, path}:
            self._scanner.look_now(looked)
        observed = self._scanner.known.get(path)
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
                return self._make_folder(job)
            case SetExecutable() | RemoveFile() | MoveFile() | RemoveFolder():
                self._publish()
                return self._change(job)
            case PrepareBlob():
                raise TypeError("blobs are prepared elsewhere")
            case _:
                assert_never(job)

    def _change(self, job: SetExecutable | RemoveFile | MoveFile | RemoveFolder) -> JobResult:
        check_path(job.path)
        match job:
            case SetExecutable():
                return self._set_executable(job)
            case RemoveFile():
                return self._remove(job)
            case MoveFile():
                check_path(job.target)
                return self._move(job)
            case RemoveFolder():
                return self._remove_folder(job)
            case _:
                assert_never(job)

    # --- what stands there ---

    def _place(self, path: str, *, make: bool = False) -> Place:
        parent, name = split(path)
        try:
            directory = self._root.kept_folder(parent)
        except FileNotFoundError:
            if not make:
                raise Raced from None
            self._root.make_folders(parent)
            directory = self._root.kept_folder(parent)
        return Place(directory, name, path)

    def _verify(self, place: Place, expected: ContentHash) -> Observed:
        """What stands there, if it holds ``expected``; it is read unless its signature is known."""
        scanner = self._scanner
        try:
            stat = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        except FileNotFoundError:
            raise Raced from None
        known = scanner.known.get(place.path)
        if known is None or not unchanged(stat, known.signature) or scanner.is_fresh(stat):
            limit = self._config.large_bytes
            reading = read_entry(place.directory, place.name, place.path, limit)
            if reading is Unread.LARGE:
                scanner.examine_large(place.path, stat)
                raise Refuse(Outcome.BUSY, "the large file there changed and is being read")
            if not isinstance(reading, Found):
                raise Raced
            known = reading.observed
        if known.digest != expected or known.kind is Kind.FOLDER:
            raise Raced
        return known

    # --- the jobs ---

    def _write(self, index: int, job: WriteFile, part: Place | None) -> JobResult | None:
        check_path(job.path)
        if job.kind is Kind.SYMLINK and not self._link_allowed(job):
            raise Refuse(Outcome.NAME, "refused: a link that points outside the folder")
        place = self._place(job.path, make=True)
        try:
            standing = self._standing(job, place)
        except Raced:
            result = self._changed(job)
            there = result.observed
            wanted = (job.kind, job.digest, job.executable)
            if there and (there.kind, there.digest, there.executable) == wanted:
                return JobResult(job.ticket, Outcome.DONE, there)
            return result
        if part is None:
            self._staging.write(index, job, place, standing)
        else:
            stat = os.stat(part.name, dir_fd=part.directory, follow_symlinks=False)
            self._staging.add(Staged(index, job, part, place, standing, signature_of(stat)))
        return None

    @staticmethod
    def _link_allowed(job: WriteFile) -> bool:
        try:
            return link_stays_inside(job.path, bytes(job.data).decode("utf-8"))
        except UnicodeDecodeError:
            return False

    def _standing(self, job: WriteFile, place: Place) -> Observed | None:
        if job.expected is not None:
            return self._verify(place, job.expected)
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
        self._touched.add(split(file.job.path)[0])
        stat = os.stat(file.place.name, dir_fd=file.place.directory, follow_symlinks=False)
        job = file.job
        ours = same_file(stat, file.signature)
        signature = signature_of(stat) if ours else file.signature
        observed = Observed(job.kind, job.digest, job.executable and ours, signature)
        if job.kind is Kind.FILE and ours:
            observed = replace(observed, executable=is_executable(stat))
        self._scanner.record_own(job.path, observed)
        if not ours:
            self._scanner.look_soon(job.path)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _make_folder(self, job: MakeFolder) -> JobResult:
        check_path(job.path)
        self._root.make_folders(job.path)
        descriptor = self._root.kept_folder(job.path)
        observed = folder_found(os.fstat(descriptor)).observed
        if job.path not in self._scanner.known:
            self._scanner.on_new_folder(job.path)  # watch it; it may already hold something
        self._scanner.record_own(job.path, observed)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _set_executable(self, job: SetExecutable) -> JobResult:
        place = self._place(job.path)
        known = self._verify(place, job.expected)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(place.name, flags, dir_fd=place.directory)
        try:
            stat = os.fstat(descriptor)
            if not same_file(stat, known.signature):
                raise Raced
            mode = stat.st_mode & 0o777
            mode = mode | (mode & 0o444) >> 2 if job.executable else mode & ~0o111
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            stat = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not same_file(stat, known.signature):
            raise Raced
        observed = Observed(Kind.FILE, known.digest, is_executable(stat), signature_of(stat))
        self._scanner.record_own(job.path, observed)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _remove(self, job: RemoveFile) -> JobResult:
        place = self._place(job.path)
        known = self._verify(place, job.expected)
        self._publisher.take_away(place, known)
        self._touched.add(split(job.path)[0])
        self._scanner.record_own(job.path, None)
        return JobResult(job.ticket, Outcome.DONE)

    def _move(self, job: MoveFile) -> JobResult:
        place = self._place(job.path)
        known = self._verify(place, job.expected)
        target = self._place(job.target, make=True)
        self._publisher.hook("before-move", job.path)
        try:
            move_new(place.directory, place.name, target.directory, target.name)
        except FileExistsError:
            if not self._same_name(place, target):
                raise
            os.rename(
                place.name, target.name, src_dir_fd=place.directory, dst_dir_fd=target.directory
            )
        self._touched |= {split(job.path)[0], split(job.target)[0]}
        stat = os.stat(target.name, dir_fd=target.directory, follow_symlinks=False)
        same = same_file(stat, known.signature)
        observed = replace(known, signature=signature_of(stat) if same else known.signature)
        self._scanner.record_own(job.path, None)
        self._scanner.record_own(job.target, observed)
        if not same:
            self._scanner.look_soon(job.target)
        return JobResult(job.ticket, Outcome.DONE, observed)

    @staticmethod
    def _same_name(place: Place, target: Place) -> bool:
        """Two spellings of one name, on a file system that ignores case."""
        if place.directory != target.directory:
            return False
        if place.name.casefold() != target.name.casefold():
            return False
        first = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        second = os.stat(target.name, dir_fd=target.directory, follow_symlinks=False)
        return first.st_ino == second.st_ino and first.st_nlink == 1

    def _remove_folder(self, job: RemoveFolder) -> JobResult:
        place = self._place(job.path)
        self._root.forget_kept(job.path)
        try:
            os.rmdir(place.name, dir_fd=place.directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._remove_own_junk(job.path)
            os.rmdir(place.name, dir_fd=place.directory)
        self._touched.add(split(job.path)[0])
        self._scanner.record_own(job.path, None)
        return JobResult(job.ticket, Outcome.DONE)

    def _remove_own_junk(self, path: str) -> None:
        directory = self._root.open_folder(path)
        try:
            names = os.listdir(directory)
            if all(is_own_name(name) for name in names):
                for name in names:
                    os.unlink(name, dir_fd=directory)
        finally:
            os.close(directory)

    def _sync_folders(self) -> None:
        folders = list(self._touched)
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
