"""Hints from the operating system that something may have changed. Never the truth: scans are.

On Linux ``inotify_simple`` reports to us within 0.2 ms, and we place a watch on each folder just
before listing it, through the very descriptor that is listed: nothing can slip in between, and
ignored trees cost no watches. ``watchdog`` serves other systems. It is not used on Linux because a
file moved out of the folder holds up every later event for 500 ms there (7.1.0, measured).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

__all__ = ["WATCHING", "Hint", "Watcher", "make_watcher"]

LOG = logging.getLogger(__name__)
WATCHING = "(watching)"  # the "path" of problems with watching as such
LIMIT_TEXT = (
    "the system watches no more folders: raise fs.inotify.max_user_watches; until then changes "
    "are found by scanning"
)


class Hint(Enum):
    """What may have happened to a path."""

    WRITTEN = "written, perhaps still open"
    COMPLETE = "closed, renamed to, or its mode changed"
    FOLDER = "a folder appeared"
    MISSING = "removed or renamed away"
    REMOVED = "removed"
    MOVED = "renamed: (new, old)"
    LOST = "events were lost"


OnHint = Callable[[Hint, str, str], None]
OnProblem = Callable[[str | None], None]


class Watcher(Protocol):
    """Calls ``on_hint(hint, path, old)`` from a thread of its own."""

    def start(self) -> None:
        """Begin; nothing is watched before the scan says so."""

    def stop(self) -> None:
        """End; the thread is joined."""

    def watch(self, path: str, descriptor: int) -> None:
        """Watch one folder, open as ``descriptor``, not what is below it."""

    def unwatch(self, path: str) -> None:
        """The folder and what was below it are gone."""


class NoWatcher:
    """Scans alone find changes."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def watch(self, path: str, descriptor: int) -> None:
        """Do nothing."""

    def unwatch(self, path: str) -> None:
        """Do nothing."""


class InotifyWatcher:
    """inotify, one watch per folder."""

    def __init__(self, on_hint: OnHint, on_problem: OnProblem) -> None:
        import inotify_simple

        self._flags = inotify_simple.flags
        flags = self._flags
        self._mask = int(
            flags.CLOSE_WRITE
            | flags.MODIFY
            | flags.ATTRIB
            | flags.CREATE
            | flags.DELETE
            | flags.MOVED_FROM
            | flags.MOVED_TO
            | flags.ONLYDIR
        )
        self._inotify = inotify_simple.INotify()
        self._on_hint = on_hint
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._limited = False
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="folder-watcher", daemon=True)

    def start(self) -> None:
        """Start reading events."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the watches back."""
        os.write(self._wake_write, b".")
        if self._thread.is_alive():
            self._thread.join()
        self._inotify.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def watch(self, path: str, descriptor: int) -> None:
        """Place a watch; again on the same folder is harmless and learns its new name."""
        try:
            number = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", self._mask)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM) and not self._limited:
                self._limited = True
                self._on_problem(LIMIT_TEXT)
            return
        with self._lock:
            self._watches[path] = number
            self._paths[number] = path

    def unwatch(self, path: str) -> None:
        """Give back the watches of a folder that left; a removed one's are gone already."""
        with self._lock:
            prefix = path + "/"
            gone = [p for p in self._watches if p == path or p.startswith(prefix)]
            for known in gone:
                number = self._watches.pop(known)
                if self._paths.get(number) == known:
                    del self._paths[number]
                    with contextlib.suppress(OSError):
                        self._inotify.rm_watch(number)
        if gone and self._limited:
            self._limited = False
            self._on_problem(None)

    def _run(self) -> None:
        import select

        poller = select.poll()
        poller.register(self._inotify.fileno(), select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        while True:
            ready = poller.poll()
            if any(descriptor == self._wake_read for descriptor, _ in ready):
                return
            try:
                self._deliver(self._inotify.read(timeout=0))
            except Exception:
                LOG.exception("the watcher failed; scans go on")
                self._on_hint(Hint.LOST, "", "")

    def _deliver(self, events: list[Any]) -> None:
        moved: dict[int, str] = {}  # halves of one rename arrive together, the first half first
        for number, mask, cookie, name in events:
            if mask & self._flags.Q_OVERFLOW:
                self._on_hint(Hint.LOST, "", "")
                continue
            with self._lock:
                folder = self._paths.get(number)
                if folder is None:
                    continue
                if mask & self._flags.IGNORED:
                    del self._paths[number]
                    if self._watches.get(folder) == number:
                        del self._watches[folder]
                    continue
            if name:
                self._deliver_one(mask, cookie, f"{folder}/{name}" if folder else name, moved)

    def _deliver_one(self, mask: int, cookie: int, path: str, moved: dict[int, str]) -> None:
        flags = self._flags
        if mask & (flags.DELETE | flags.MOVED_FROM):
            if mask & flags.MOVED_FROM:
                moved[cookie] = path
            self._on_hint(Hint.REMOVED if mask & flags.DELETE else Hint.MISSING, path, "")
            return
        if mask & flags.MOVED_TO and cookie in moved:
            self._on_hint(Hint.MOVED, path, moved.pop(cookie))
        if mask & flags.ISDIR:
            if mask & (flags.CREATE | flags.MOVED_TO):
                self._on_hint(Hint.FOLDER, path, "")
        elif mask & (flags.CLOSE_WRITE | flags.MOVED_TO | flags.ATTRIB):
            self._on_hint(Hint.COMPLETE, path, "")
        else:
            self._on_hint(Hint.WRITTEN, path, "")


def make_watcher(root: Path, on_hint: OnHint, on_problem: OnProblem, *, watch: bool) -> Watcher:
    """The best watcher this system has; scans alone if it has none, with the reason shown."""
    if not watch:
        return NoWatcher()
    try:
        if sys.platform == "linux" and os.path.isdir("/proc/self/fd"):
            try:
                return InotifyWatcher(on_hint, on_problem)
            except ImportError:
                LOG.info("inotify_simple is not installed; watchdog is used")
        from .watchdog_watcher import WatchdogWatcher

        return WatchdogWatcher(root, on_hint, on_problem)
    except (ImportError, OSError) as error:
        on_problem(f"changes are found by scanning only ({error})")
        return NoWatcher()
