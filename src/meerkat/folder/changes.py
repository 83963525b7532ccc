"""The jobs that write no content: folders, removals, renames, the executable bit."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import assert_never

from meerkat.core.files import (
    JobResult,
    Kind,
    MakeFolder,
    MoveFile,
    Observed,
    Outcome,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
)

from .ground import Ground, Refuse
from .moving import move_new
from .parts import Part, move_parts, parts_at
from .paths import Root, check_path, is_own_name, split
from .publish import Place, Publisher, Raced
from .reading import database_found, folder_found
from .scanner import Scanner
from .signature import is_executable, same_database, same_file, signature_of

__all__ = ["Changes"]


class Changes:
    """Does one job at a time; ``touched`` collects folders whose names changed."""

    def __init__(self, scanner: Scanner, publisher: Publisher, ground: Ground) -> None:
        self._scanner = scanner
        self._root: Root = scanner.root
        self._publisher = publisher
        self._ground = ground
        self.touched: set[str] = set()

    def perform(
        self, job: MakeFolder | SetExecutable | RemoveFile | MoveFile | RemoveFolder
    ) -> JobResult:
        """Do it.

        Raises:
            Raced: what stands there is not what the job expects.
            UnsafePath: the path must not be touched.
            OSError: the system's reason.
        """
        check_path(job.path)
        match job:
            case MakeFolder():
                return self._make_folder(job)
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

    def _make_folder(self, job: MakeFolder) -> JobResult:
        self._root.make_folders(job.path)
        descriptor = self._root.kept_folder(job.path)
        observed = folder_found(os.fstat(descriptor)).observed
        if job.path not in self._scanner.known:
            self._scanner.on_new_folder(job.path)  # watch it; it may already hold something
        self._scanner.record_own(job.path, observed)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _set_executable(self, job: SetExecutable) -> JobResult:
        place = self._ground.place(job.path)
        known = self._ground.verify(place, job.expected)
        if known.kind is Kind.DATABASE:
            return self._set_database_executable(job, place, known)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(place.name, flags, dir_fd=place.directory)
        try:
            stat = os.fstat(descriptor)
            if not same_file(stat, known.signature):
                raise Raced
            os.fchmod(descriptor, _mode(stat, executable=job.executable))
            os.fsync(descriptor)
            stat = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not same_file(stat, known.signature):
            raise Raced
        observed = Observed(Kind.FILE, known.digest, is_executable(stat), signature_of(stat))
        self._scanner.record_own(job.path, observed)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _set_database_executable(
        self, job: SetExecutable, place: Place, known: Observed
    ) -> JobResult:
        # A handle that reads nothing, and neither holds nor drops anybody's locks.
        flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place.name, flags, dir_fd=place.directory)
        try:
            stat = os.fstat(descriptor)
            if not same_database(stat, known):
                raise Raced
            mode = _mode(stat, executable=job.executable)
            if hasattr(os, "O_PATH"):
                os.chmod(f"/proc/self/fd/{descriptor}", mode)
            else:
                os.fchmod(descriptor, mode)
            observed = database_found(os.fstat(descriptor)).observed
        finally:
            os.close(descriptor)
        self._scanner.record_own(job.path, observed)
        return JobResult(job.ticket, Outcome.DONE, observed)

    def _remove(self, job: RemoveFile) -> JobResult:
        place = self._ground.place(job.path)
        known = self._ground.verify(place, job.expected)
        self._publisher.take_away(place, known, parts=self._ground.has_parts(job.path))
        self.touched.add(split(job.path)[0])
        self._scanner.record_own(job.path, None)
        return JobResult(job.ticket, Outcome.DONE)

    def _move(self, job: MoveFile) -> JobResult:
        place = self._ground.place(job.path)
        known = self._ground.verify(place, job.expected)
        target = self._ground.place(job.target, make=True)
        parts: list[Part] = []
        plain = self._scanner.databases.is_plain(job.path)
        if self._ground.has_parts(job.path):
            self._ground.refuse_parts(target)
            parts = parts_at(place.directory, place.name)
        self._publisher.hook("before-move", job.path)
        try:
            move_new(place.directory, place.name, target.directory, target.name)
        except FileExistsError:
            if not self._same_name(place, target):
                raise
            os.rename(
                place.name, target.name, src_dir_fd=place.directory, dst_dir_fd=target.directory
            )
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            text = "another file system is mounted there; move the file by hand"
            raise Refuse(Outcome.DENIED, text, known) from error
        self.touched |= {split(job.path)[0], split(job.target)[0]}
        move_parts(parts, place.directory, place.name, target.directory, target.name)
        stat = os.stat(target.name, dir_fd=target.directory, follow_symlinks=False)
        if known.kind is Kind.DATABASE:
            same, observed = same_database(stat, known), known
        else:
            same = same_file(stat, known.signature)
            observed = replace(known, signature=signature_of(stat) if same else known.signature)
        self._scanner.record_own(job.path, None)
        self._scanner.databases.set_plain(job.target, plain=plain)
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
        place = self._ground.place(job.path)
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
        self.touched.add(split(job.path)[0])
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


def _mode(stat: os.stat_result, *, executable: bool) -> int:
    mode = stat.st_mode & 0o777
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111
