"""Temporary files, written and flushed in groups before any of them takes its place."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat as stat_module
from dataclasses import dataclass

from meerkat.core.files import Export, Kind, Observed, Signature, WriteFile
from meerkat.core.ids import ContentHash

from . import syscalls
from .config import FolderConfig
from .paths import OWN_PREFIX
from .publish import Place
from .signature import signature_of

__all__ = ["Staged", "Staging", "mode_for", "temporary_name"]


COPY_BYTES = 1024 * 1024


def temporary_name() -> str:
    """A name of our own: never synced, removed at the next start."""
    return f"{OWN_PREFIX}{secrets.token_hex(8)}.tmp"


def is_ready(job: WriteFile) -> bool:
    """Whether the content lies ready in a file of ours (a hash is bytes, too, for Python)."""
    return isinstance(job.data, ContentHash | Export)


def mode_for(executable: bool, replaced: os.stat_result | None) -> int | None:
    """Permission bits: those of the replaced file, with the executable bits set or cleared."""
    if replaced is None or not stat_module.S_ISREG(replaced.st_mode):
        return None
    mode = stat_module.S_IMODE(replaced.st_mode) & 0o777
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111


@dataclass(slots=True)
class Staged:
    """A finished file under its temporary name, and where it will go."""

    index: int
    job: WriteFile
    temp: Place
    place: Place
    standing: Observed | None
    signature: Signature


class Staging:
    """Writes temporary files; ``flush`` makes all of them durable at once."""

    def __init__(self, config: FolderConfig, root: int) -> None:
        self._config = config
        self._root = root
        self._open: list[int] = []
        self.files: list[Staged] = []
        self.bytes = 0
        self.targets: set[str] = set()

    def write(self, index: int, job: WriteFile, place: Place, standing: Observed | None) -> None:
        """Write one file's or link's content beside where it goes."""
        assert not isinstance(job.data, ContentHash | Export)
        name = temporary_name()
        temp = Place(place.directory, name, job.path)
        try:
            if job.kind is Kind.SYMLINK:
                os.symlink(job.data, name, dir_fd=place.directory)
                stat = os.stat(name, dir_fd=place.directory, follow_symlinks=False)
            else:
                stat = self._write_file(job, job.data, place, name, standing)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=place.directory)
            raise
        self.add(Staged(index, job, temp, place, standing, signature_of(stat)))
        self.bytes += len(job.data)

    def take(
        self, index: int, job: WriteFile, part: Place, place: Place, standing: Observed | None
    ) -> None:
        """Take a file that lies ready: as it is, or copied if elsewhere is another file system."""
        stat = os.stat(part.name, dir_fd=part.directory, follow_symlinks=False)
        if standing is not None:
            replaced = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
            mode = mode_for(job.executable, replaced)
            if mode is not None:
                os.chmod(part.name, mode, dir_fd=part.directory)
        if stat.st_dev == os.fstat(place.directory).st_dev:
            self.add(Staged(index, job, part, place, standing, signature_of(stat)))
            return
        temp = Place(place.directory, temporary_name(), job.path)
        try:
            copied = signature_of(_copy(part, temp))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp.name, dir_fd=temp.directory)
            raise
        os.unlink(part.name, dir_fd=part.directory)
        self.add(Staged(index, job, temp, place, standing, copied))

    def add(self, staged: Staged) -> None:
        """Take a file that is already complete and flushed."""
        self.files.append(staged)
        self.targets.add(staged.job.path)

    def _write_file(
        self, job: WriteFile, data: bytes, place: Place, name: str, standing: Observed | None
    ) -> os.stat_result:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = 0o777 if job.executable else 0o666
        descriptor = os.open(name, flags, mode, dir_fd=place.directory)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if standing is not None:
                with contextlib.suppress(FileNotFoundError):
                    replaced = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
                    kept = mode_for(job.executable, replaced)
                    if kept is not None:
                        os.fchmod(descriptor, kept)
            stat = os.fstat(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._open.append(descriptor)
        if syscalls.supports("syncfs") and len(self._open) > self._config.sync_each_limit:
            self._close_all()  # these will be flushed together
        return stat

    def _close_all(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def flush(self) -> list[Staged]:
        """Flush everything written; the files are the caller's now."""
        files, self.files, self.bytes = self.files, [], 0
        self.targets.clear()
        written = sum(not is_ready(f.job) and f.job.kind is Kind.FILE for f in files)
        try:
            if len(self._open) == written:
                for descriptor in self._open:
                    os.fsync(descriptor)
            else:
                syscalls.sync_filesystem(self._root)
        except OSError:
            for file in files:
                discard(file)
            raise
        finally:
            self._close_all()
        return files


def discard(file: Staged) -> None:
    """Remove a temporary file that will not be published (what lay ready stays)."""
    if file.temp.name.startswith(OWN_PREFIX):
        with contextlib.suppress(OSError):
            os.unlink(file.temp.name, dir_fd=file.temp.directory)


def _copy(source: Place, target: Place) -> os.stat_result:
    reading = os.open(source.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source.directory)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(target.name, flags, dir_fd=target.directory)
        try:
            os.fchmod(writing, os.fstat(reading).st_mode & 0o777)
            while data := os.read(reading, COPY_BYTES):
                view = memoryview(data)
                while view:
                    view = view[os.write(writing, view) :]
            os.fsync(writing)
            return os.fstat(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
