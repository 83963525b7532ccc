"""The watcher for systems without inotify, by ``watchdog``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

if TYPE_CHECKING:
    from .watcher import OnHint, OnProblem

__all__ = ["WatchdogWatcher"]


class WatchdogWatcher(FileSystemEventHandler):
    """Watches the whole tree at once; opening and reading are not reported."""

    def __init__(self, root: Path, on_hint: OnHint, on_problem: OnProblem) -> None:
        self._root = os.path.abspath(root)
        self._on_hint = on_hint
        self._on_problem = on_problem
        self._observer = Observer()
        self._observer.schedule(self, self._root, recursive=True)

    def start(self) -> None:
        """Start watchdog's threads."""
        try:
            self._observer.start()
        except OSError as error:
            self._on_problem(f"changes are found by scanning only ({error})")

    def stop(self) -> None:
        """Stop and join them."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def watch(self, path: str, descriptor: int) -> None:
        """The tree is watched as a whole."""

    def unwatch(self, path: str) -> None:
        """The tree is watched as a whole."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Translate; anything unclear is a hint to look."""
        from .watcher import Hint

        path = self._relative(event.src_path)
        kind = event.event_type
        if kind in ("opened", "closed_no_write") or path is None:
            return
        if kind == EVENT_TYPE_DELETED:
            self._on_hint(Hint.MISSING, path, "")
        elif kind == EVENT_TYPE_MOVED:
            self._on_hint(Hint.MISSING, path, "")
            target = self._relative(event.dest_path)
            if target is not None:
                self._on_hint(Hint.MOVED, target, path)
                hint = Hint.FOLDER if event.is_directory else Hint.COMPLETE
                self._on_hint(hint, target, "")
        elif event.is_directory:
            if kind == "created":
                self._on_hint(Hint.FOLDER, path, "")
        else:
            complete = kind == EVENT_TYPE_CLOSED
            self._on_hint(Hint.COMPLETE if complete else Hint.WRITTEN, path, "")

    def _relative(self, path: bytes | str) -> str | None:
        text = os.fsdecode(path)
        if not text.startswith(self._root + os.sep):
            return None
        return text[len(self._root) + 1 :].replace(os.sep, "/")
