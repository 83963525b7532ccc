"""What the folder hands to the rows process and takes from it, in meerkat's own folder.

A *base* is the bytes of a database from which its rows are merged; it is named by its hash, and
anybody in the pool may ask for its chunks. An *export* is a database as it is merged, laid ready
for a place in the user's folder.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

from meerkat.core.files import KeepBase, KeepResult, Outcome
from meerkat.core.ids import ContentHash, VersionId

from .incoming import Incoming, part_name
from .outcome import outcome_of
from .paths import FOLDER_FLAGS

__all__ = ["EXPORT_NAME", "Bases", "Exports"]

EXPORT_NAME = "export.db"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Bases:
    """The ``bases`` folder. ``keep`` is for the incoming thread, ``open`` for any."""

    def __init__(self, folder: Path, incoming: Incoming) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._incoming = incoming

    def close(self) -> None:
        """Nothing may be called afterwards."""
        os.close(self._descriptor)

    def open(self, blob: ContentHash) -> int:
        """A base for reading; whoever reads checks the chunks.

        Raises:
            OSError: there is none of that name.
        """
        return os.open(blob.hex(), READ, dir_fd=self._descriptor)

    def keep(self, job: KeepBase, done: Callable[[KeepResult], None]) -> Iterator[None]:
        """Make a blob a base, durably; in slices."""
        try:
            if self._has(job.blob):
                outcome, detail = Outcome.DONE, ""
                with suppress(FileNotFoundError):  # it was put together once more for nothing
                    self._incoming.discard(job.blob)
            elif job.data is not None:
                outcome, detail = self._keep_bytes(job.blob, job.data)
            else:
                outcome, detail = yield from self._keep_incoming(job.blob)
        except OSError as error:
            outcome, detail = outcome_of(error)
        done(KeepResult(job.ticket, job.blob, outcome, detail))

    def _has(self, blob: ContentHash) -> bool:
        try:
            os.stat(blob.hex(), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _keep_bytes(self, blob: ContentHash, data: bytes) -> tuple[Outcome, str]:
        if ContentHash.of(data) != blob:
            return Outcome.CORRUPT, "the bytes do not hash to their name"
        name = f"{secrets.token_hex(8)}.tmp"
        descriptor = os.open(name, NEW_FILE, 0o600, dir_fd=self._descriptor)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._take(self._descriptor, name, blob)
        except BaseException:
            os.unlink(name, dir_fd=self._descriptor)
            raise
        return Outcome.DONE, ""

    def _keep_incoming(self, blob: ContentHash) -> Generator[None, None, tuple[Outcome, str]]:
        verified = [(Outcome.CORRUPT, "")]

        def done(outcome: Outcome, detail: str) -> None:
            verified[0] = outcome, detail

        yield from self._incoming.verify(blob, blob, executable=False, done=done)
        outcome, detail = verified[0]
        if outcome is Outcome.DONE:
            try:
                self._take(self._incoming.descriptor, part_name(blob), blob)
            except FileNotFoundError:
                return Outcome.CORRUPT, "another path took it meanwhile"
            self._incoming.close_part(blob)
        return outcome, detail

    def _take(self, directory: int, name: str, blob: ContentHash) -> None:
        os.rename(name, blob.hex(), src_dir_fd=directory, dst_dir_fd=self._descriptor)
        os.fsync(self._descriptor)


class Exports:
    """The rows process's folder, where each database has one of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Nothing may be called afterwards."""
        os.close(self._descriptor)

    def open(self, version: VersionId, *, executable: bool) -> int:
        """The directory of a database whose export lies ready and is durable. Blocks.

        Raises:
            OSError: it does not, or the system's reason.
        """
        directory = os.open(version.hex(), FOLDER_FLAGS, dir_fd=self._descriptor)
        try:
            descriptor = os.open(EXPORT_NAME, READ, dir_fd=directory)
            try:
                mode = os.fstat(descriptor).st_mode & 0o666
                os.fchmod(descriptor, mode | (mode & 0o444) >> 2 if executable else mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            os.close(directory)
            raise
        return directory
