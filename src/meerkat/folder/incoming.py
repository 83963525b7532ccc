"""Blobs on their way in: one sparse file each, filled chunk by chunk, every chunk verified.

Lives on a thread of its own, so that receiving a large file delays no small one. What a crash left
is hashed again before it counts.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from meerkat.core.chunks import Chunk
from meerkat.core.files import Location, Outcome, PrepareBlob, PrepareResult
from meerkat.core.ids import ContentHash

from .outcome import outcome_of

__all__ = ["Incoming", "part_name"]

READ_BYTES = 1024 * 1024
STALE_SECONDS = 30 * 24 * 3600.0  # without a chunk: it was given up. Else it is fetched anew; guess
PART = ".part"


def part_name(blob: ContentHash) -> str:
    """The incoming file's name."""
    return blob.hex() + PART


@dataclass(slots=True)
class _Part:
    descriptor: int
    chunks: tuple[Chunk, ...]
    offsets: list[int]
    missing: set[int] = field(default_factory=set)


class Incoming:
    """The ``incoming`` folder."""

    def __init__(
        self, folder: Path, read_chunk: Callable[[Location, ContentHash], bytes | None]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._read_chunk = read_chunk
        self._parts: dict[ContentHash, _Part] = {}
        with suppress(OSError):
            self._remove_stale(time.time() - STALE_SECONDS)

    def _remove_stale(self, before: float) -> None:
        """What nobody has wanted since then takes room for nothing."""
        with os.scandir(self.descriptor) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name.endswith(PART) and entry.stat(follow_symlinks=False).st_mtime < before
            ]
        for name in names:
            os.unlink(name, dir_fd=self.descriptor)

    def close(self) -> None:
        """Close all files; they stay for next time."""
        for blob in list(self._parts):
            self.close_part(blob)
        os.close(self.descriptor)

    def prepare(self, job: PrepareBlob, done: Callable[[PrepareResult], None]) -> Iterator[None]:
        """Open, resume and fill from what this machine has; in slices."""
        try:
            part = self._parts.get(job.blob)
            if part is None or part.chunks != job.chunks or not self._is_in_place(part, job.blob):
                self.close_part(job.blob)
                part = self._open(job)
        except OSError as error:
            outcome, detail = outcome_of(error)
            done(PrepareResult(job.ticket, job.blob, outcome, (), detail))
            return
        yield
        try:
            for index, (chunk, offset) in enumerate(zip(part.chunks, part.offsets, strict=True)):
                if index in part.missing and self._holds(part, chunk, offset):
                    part.missing.discard(index)
                    yield
                elif (source := job.sources.get(chunk.hash)) is not None:
                    data = self._read_chunk(source, chunk.hash)
                    if data is not None and len(data) == chunk.length:
                        _write_all(part.descriptor, data, offset)
                        part.missing.discard(index)
                    yield
            missing = tuple(sorted(part.missing))
            if missing and _room(part.descriptor) < part.chunks[missing[0]].length:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            outcome, detail = outcome_of(error)
            done(PrepareResult(job.ticket, job.blob, outcome, (), detail))
            return
        done(PrepareResult(job.ticket, job.blob, Outcome.DONE, missing))

    def _open(self, job: PrepareBlob) -> _Part:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(part_name(job.blob), flags, 0o666, dir_fd=self.descriptor)
        offsets, total = [], 0
        for chunk in job.chunks:
            offsets.append(total)
            total += chunk.length
        part = _Part(descriptor, job.chunks, offsets, set(range(len(job.chunks))))
        self._parts[job.blob] = part
        os.ftruncate(descriptor, total)
        return part

    def _is_in_place(self, part: _Part, blob: ContentHash) -> bool:
        """Whether it is the incoming file still, and what is known of its chunks holds."""
        try:
            named = os.stat(part_name(blob), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(part.descriptor))

    @staticmethod
    def _holds(part: _Part, chunk: Chunk, offset: int) -> bool:
        try:  # skip holes without reading them
            start = os.lseek(part.descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        if start >= offset + chunk.length:
            return False
        data = os.pread(part.descriptor, chunk.length, offset)
        return len(data) == chunk.length and ContentHash.of(data) == chunk.hash

    def store(self, blob: ContentHash, index: int, data: bytes) -> bool:
        """Verify and write one chunk; False if it is not that chunk or cannot be written."""
        part = self._parts.get(blob)
        if part is None or not 0 <= index < len(part.chunks):
            return False
        chunk = part.chunks[index]
        if len(data) != chunk.length or ContentHash.of(data) != chunk.hash:
            return False
        try:
            _write_all(part.descriptor, data, part.offsets[index])
        except OSError:
            return False
        part.missing.discard(index)
        return True

    def verify(
        self,
        blob: ContentHash,
        digest: ContentHash,
        *,
        executable: bool,
        done: Callable[[Outcome, str], None],
    ) -> Iterator[None]:
        """Hash the whole file and flush it; a wrong one is removed. In slices."""
        try:
            descriptor = os.open(
                part_name(blob), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.descriptor
            )
        except OSError as error:
            done(Outcome.CORRUPT, f"the incoming file is not there ({error.strerror})")
            return
        try:
            hasher = blake3()
            while data := os.read(descriptor, READ_BYTES):
                hasher.update(data)
                yield
            if hasher.digest() != digest:
                self.discard(blob)
                done(Outcome.CORRUPT, "the assembled file does not hash to its name")
                return
            mode = os.fstat(descriptor).st_mode & 0o666
            os.fchmod(descriptor, mode | (mode & 0o444) >> 2 if executable else mode)
            os.fsync(descriptor)
            done(Outcome.DONE, "")
        except OSError as error:
            done(*outcome_of(error))
        finally:
            os.close(descriptor)

    def has(self, blob: ContentHash) -> bool:
        """Whether the incoming file is there; publishing it takes it away. Any thread."""
        try:
            os.stat(part_name(blob), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def open(self, blob: ContentHash) -> int:
        """The incoming file for reading, whoever reads checks the chunks. Any thread.

        Raises:
            OSError: it is not there (any more).
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(part_name(blob), flags, dir_fd=self.descriptor)

    def discard(self, blob: ContentHash) -> None:
        """Remove an incoming file."""
        self.close_part(blob)
        os.unlink(part_name(blob), dir_fd=self.descriptor)

    def close_part(self, blob: ContentHash) -> None:
        """Close the file: it was published, or is prepared anew."""
        part = self._parts.pop(blob, None)
        if part is not None:
            os.close(part.descriptor)


def _room(descriptor: int) -> int:
    """How many bytes its file system has left for us; very many if it does not say."""
    stat = os.fstatvfs(descriptor)
    blocks = stat.f_bavail if os.geteuid() else stat.f_bfree
    return blocks * stat.f_frsize if stat.f_blocks else sys.maxsize


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
