"""Walking the folder: compares every entry with what is known, in slices.

The loop over unchanged entries is kept bare: it runs 50,000 times a scan. Folders are listed
through descriptors, so a link swapped in cannot lead the walk outside.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from meerkat.core.files import Kind, Observed

from .paths import is_own_name
from .reading import Reading, folder_found, read_entry
from .scanner import Scanner
from .signature import kind_of
from .watcher import WATCHING, Watcher

__all__ = ["Walk"]

SLICE_ENTRIES = 256
NOT_UTF8 = "the name is not valid UTF-8: rename it to sync it"


class Walk:
    """One walk over the folder or a part of it."""

    def __init__(
        self, scanner: Scanner, watcher: Watcher, top: str = "", *, remove_stale: bool = False
    ) -> None:
        self._scanner = scanner
        self._watcher = watcher
        self._top = top
        self._unread: list[str] = []
        self._present: set[str] = set()
        self._folders = [top]
        self._remove_stale = remove_stale
        self._started_ns = time.time_ns()
        self._reading_seconds = 0.0
        self.seconds = 0.0  # of the walk itself, without reading what changed
        self.complete = False

    def take_reading_seconds(self) -> float:
        """Time spent reading since the last call."""
        seconds, self._reading_seconds = self._reading_seconds, 0.0
        return seconds

    def run(self) -> Iterator[None]:
        """Walk; yields after each slice. The rest of the folder may change meanwhile."""
        if not self._scanner.root.standing():
            self._scanner.on_root_lost()
            return
        while self._folders:
            folder = self._folders.pop()
            try:
                descriptor = self._scanner.root.open_folder(folder)
            except OSError as error:
                self._cannot_list(folder, error)
                continue
            try:
                self._watcher.watch(folder, descriptor)
                if folder:
                    self._scanner.problems.clear(folder)
                yield from self._list(folder, descriptor)
            except OSError as error:
                self._cannot_list(folder, error)
            finally:
                os.close(descriptor)
        if not self._top:  # what was missed below a new folder is found by the next full scan
            yield from self._miss_absent()
            self._clear_problems()
        self.complete = True

    def _cannot_list(self, folder: str, error: OSError) -> None:
        if not folder:
            self._unread.append("")
            self._scanner.on_root_lost()
            return
        self._unread.append(folder + "/")
        self._scanner.examine(folder)
        if isinstance(error, PermissionError):
            text = "the folder may not be listed: allow it, or add it to .meerkatignore"
            self._scanner.problems.add(folder, text)

    def _list(self, folder: str, descriptor: int) -> Iterator[None]:
        prefix = folder + "/" if folder else ""
        get = self._scanner.known.get
        present, folders = self._present, []
        with os.scandir(descriptor) as entries:
            for count, entry in enumerate(entries, 1):
                if count % SLICE_ENTRIES == 0:
                    yield
                name = entry.name
                path = prefix + name
                known = get(path)
                try:
                    stat = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError:
                    present.add(path)  # no proof that it is gone
                    continue
                if known is not None:
                    signature = known.signature
                    if (
                        stat.st_mtime_ns == signature.mtime_ns
                        and stat.st_ctime_ns == signature.ctime_ns
                        and stat.st_size == signature.size_bytes
                        and stat.st_ino == signature.inode
                        and stat.st_dev == signature.device
                    ):
                        present.add(path)
                        continue
                if self._examine(descriptor, path, stat, known):
                    folders.append(path)
        folders.reverse()
        self._folders += folders

    def _examine(
        self, descriptor: int, path: str, stat: os.stat_result, known: Observed | None
    ) -> bool:
        """Look at an entry that may be news; True if it is a folder to descend into."""
        scanner = self._scanner
        name = path.rpartition("/")[2]
        is_folder = kind_of(stat) is Kind.FOLDER
        if known is not None and known.kind is Kind.FOLDER and is_folder:
            self._present.add(path)
            if stat.st_ino != known.signature.inode:
                scanner.handle(path, folder_found(stat))
            return True
        if known is None and is_own_name(name):
            self._own(descriptor, name, stat)
            return False
        if not name.isascii() and not _is_utf8(name):
            scanner.problems.add(path, NOT_UTF8)
            self._present.add(path)
            return False
        if scanner.ignore.here(path, name, folder=is_folder):
            if known is not None:
                scanner.known.forget(path)  # a new rule hides it
            return False
        self._present.add(path)
        if path not in scanner.settling:
            self._look(descriptor, name, path, stat)
        return is_folder

    def _own(self, descriptor: int, name: str, stat: os.stat_result) -> None:
        if self._remove_stale and name.endswith(".tmp") and stat.st_ctime_ns < self._started_ns:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=descriptor)

    def _look(self, descriptor: int, name: str, path: str, stat: os.stat_result) -> None:
        scanner = self._scanner
        known = scanner.known.get(path)
        if known is not None and known.kind is Kind.DATABASE:
            scanner.databases.notice(path, stat)
            scanner.examine(path)
            return
        if scanner.databases.is_known_part(path):
            scanner.databases.notice(path, stat)
            return
        if known is None:
            age = time.time_ns() - max(stat.st_ctime_ns, stat.st_mtime_ns)
            if 0 <= age < scanner.config.settle_new * 1e9:
                scanner.settling.appeared(path, time.monotonic())
                return
        elif not stat.st_size:
            scanner.examine(path)  # perhaps just being written anew
            return
        start = time.thread_time()
        live = not scanner.databases.is_plain(path)

        def read(path: str) -> Reading:
            return read_entry(descriptor, name, path, scanner.config.large_bytes, live=live)

        scanner.look_into(path, stat, read)
        self._reading_seconds += time.thread_time() - start

    def _miss_absent(self) -> Iterator[None]:
        scanner, unread = self._scanner, tuple(self._unread)
        if "" in unread or not scanner.root.standing():
            return
        for count, path in enumerate(scanner.known.paths(), 1):
            if count % (SLICE_ENTRIES * 16) == 0:
                yield
            if path in self._present or path.startswith(unread):
                continue
            known = scanner.known.get(path)
            if known is None:
                continue
            if scanner.ignore.ignores(path, folder=known.kind is Kind.FOLDER):
                scanner.known.forget(path)
            else:
                scanner.examine(path)

    def _clear_problems(self) -> None:
        """What was wrong with a path that is no longer there is no problem any more."""
        scanner, unread = self._scanner, tuple(self._unread)
        for path in scanner.problems.paths():
            special = not path or path == WATCHING or is_own_name(path.partition("/")[0])
            if not (special or path in self._present or (path + "/").startswith(unread)):
                scanner.problems.clear(path)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
