"""When to scan: at the start, on demand, after lost events, and slowly for ever.

Also notices that the folder itself went away, and that it is back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from meerkat.core.files import Kind

from .config import FolderConfig
from .scanner import Scanner
from .walk import Walk
from .watcher import Watcher
from .worker import Worker

__all__ = ["ScanSchedule"]

COMPLETE_WITHIN = 2.0  # seconds that a scan's end waits for paths that keep changing
REHASH_SLICE = 64
LOST_TEXT = (
    "the folder is missing, or another file system is mounted there: nothing is synced until it "
    "is back, and nothing counts as deleted"
)


class ScanSchedule:
    """Runs walks in the background of the first thread. For that thread only."""

    def __init__(
        self,
        scanner: Scanner,
        worker: Worker,
        watcher: Watcher,
        config: FolderConfig,
        state: Path,
    ) -> None:
        self._scanner = scanner
        self._worker = worker
        self._watcher = watcher
        self._config = config
        self._state_name = state.name if state.parent == scanner.root.path else None
        self._state_inode = self._find_state_inode()
        self._walking = False
        self._wanted = False
        self._left: set[str] | None = None
        self._left_until = 0.0
        self._next_scan = float("inf")
        self._next_rehash = time.monotonic() + config.rehash_every
        self._partial: set[str] = set()
        self.lost = False
        self.walks = 0

    # --- scans ---

    def scan(self, *, remove_stale: bool = False) -> None:
        """Scan everything, now or right after the scan that is running.

        Args:
            remove_stale: also remove temporary files that a crash left.
        """
        if self._walking or self.lost:
            self._wanted = True
            return
        self._walking, self._wanted, self._left = True, False, None
        self._worker.in_background(self._full(remove_stale))

    def _full(self, remove_stale: bool) -> Iterator[None]:
        walk = Walk(self._scanner, self._watcher, remove_stale=remove_stale)
        spent = 0.0
        for _ in self._timed(walk):
            spent = walk.seconds
            yield
        self._walking = False
        self.walks += 1
        pause = max(self._config.rescan_shortest, self._config.rescan_factor * spent)
        self._arm_scan(time.monotonic() + pause)
        if walk.complete and not self.lost:
            self._left = self._scanner.waiting() | self._scanner.hashing()
            self._left_until = time.monotonic() + COMPLETE_WITHIN
            self._worker.at(self._left_until, lambda: None)
        if self._wanted:
            self.scan()

    def _timed(self, walk: Walk) -> Iterator[None]:
        work = walk.run()
        while not self.lost:
            start = time.thread_time()
            try:
                next(work)
            except StopIteration:
                walk.seconds += time.thread_time() - start - walk.take_reading_seconds()
                return
            walk.seconds += time.thread_time() - start - walk.take_reading_seconds()
            yield

    def _arm_scan(self, when: float) -> None:
        self._next_scan = when
        self._worker.at(when, self._scan_if_due)

    def _scan_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._next_rehash and not self.lost:
            self._next_rehash = float("inf")
            self._worker.in_background(self._rehash())
        if now >= self._next_scan and not self._walking:
            self.scan()

    def scan_folder(self, path: str) -> None:
        """A folder appeared: watch it and look at everything in it, soon."""
        if path in self._partial or self.lost:
            return
        self._partial.add(path)
        self._worker.in_background(self._part(path))

    def _part(self, path: str) -> Iterator[None]:
        self._partial.discard(path)  # from here on, another appearance needs another walk
        self._scanner.examine(path)
        yield from Walk(self._scanner, self._watcher, path).run()

    def _rehash(self) -> Iterator[None]:
        """F3: compare every file by content, whatever its size and times say."""
        start = time.monotonic()
        for count, path in enumerate(self._scanner.known.paths(), 1):
            if self.lost:
                break
            known = self._scanner.known.get(path)
            if known is not None and known.kind is Kind.FILE:
                self._scanner.recheck(path)
                yield
            elif count % REHASH_SLICE == 0:
                yield
        spent = time.monotonic() - start
        pause = max(self._config.rehash_every, self._config.rescan_factor * spent)
        self._next_rehash = time.monotonic() + pause

    def complete_if_done(self) -> None:
        """A scan is complete when all it found doubtful is settled and all it found is read.

        What keeps changing is not waited for long; what is large, for as long as that takes.
        """
        if self._left is None or self.lost:
            return
        if self._left:
            late = time.monotonic() >= self._left_until
            doubtful = set() if late else self._scanner.waiting()
            self._left &= doubtful | self._scanner.hashing()
        if not self._left:
            self._left = None
            self._scanner.batch.flush(scan_complete=True)

    @property
    def walking(self) -> bool:
        """Whether a full scan is running."""
        return self._walking

    # --- the folder itself ---

    def on_lost(self) -> None:
        """The folder is not where it was: stop looking, keep everything, wait for it."""
        if self.lost:
            return
        self.lost = True
        self._left = None
        self._scanner.forget_doubts()
        self._scanner.problems.add("", LOST_TEXT)
        self._worker.at(time.monotonic() + self._config.root_retry, self._look_for_root)

    def is_lost(self) -> bool:
        """Look whether the folder is there, before writing to it."""
        if not self.lost and not self._scanner.root.standing():
            self.on_lost()
        return self.lost

    def _look_for_root(self) -> None:
        root = self._scanner.root
        if not root.standing():
            if not self._came_back_on_another_device():
                self._worker.at(time.monotonic() + self._config.root_retry, self._look_for_root)
                return
            root.reopen()
        self.lost = False
        self._scanner.problems.clear("")
        self.scan()

    def _find_state_inode(self) -> int | None:
        if self._state_name is None:
            return None
        try:
            return self._scanner.root.lstat_outside(self._state_name).st_ino
        except OSError:
            return None

    def _came_back_on_another_device(self) -> bool:
        """A removable disk mounted again: same folder, same state inside, new device number."""
        inode = self._find_state_inode()
        return inode is not None and inode == self._state_inode and self._scanner.root.same_inode()
