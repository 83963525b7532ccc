"""Whether what is missing was deleted or moved, proven before it is reported.

A path is gone when it was missing at two looks with the folder itself in place; if meanwhile the
same file was found under a new path, it was moved. Inode numbers are used again at once after a
deletion, so they count only together with size and time, or with the system's own word.
"""

from __future__ import annotations

import os
import time
from typing import Protocol

from meerkat.core.files import BlobContent, Kind, Observed, Seen

from .config import FolderConfig
from .databases import Databases
from .known import Known
from .paths import Root, missing, split
from .reading import Found
from .report import Batch
from .signature import kind_of, same_database, same_file, signature_of
from .vanish import Held, Vanishing

__all__ = ["Departures"]

MOST_MOVE_HINTS = 100_000


class _Scanner(Protocol):
    databases: Databases

    def examine(self, path: str, *, settled: bool = False) -> None: ...
    def examine_large(self, path: str, stat: os.stat_result) -> None: ...
    def deliver(self, path: str, found: Found) -> None: ...
    def record(self, path: str, found: Found) -> None: ...
    def forget(self, path: str) -> None: ...
    def on_folder_gone(self, path: str) -> None: ...
    def look_for_rules(self, path: str) -> None: ...
    def on_root_lost(self) -> None: ...


class Departures:
    """The part of the scanner that deals with paths that are no longer there."""

    def __init__(
        self, root: Root, known: Known, batch: Batch, config: FolderConfig, scanner: _Scanner
    ) -> None:
        self._root = root
        self._known = known
        self._batch = batch
        self._large_bytes = config.large_bytes
        self._scanner = scanner
        self._vanishing = Vanishing(config.settle_gone)
        self._moved_from: dict[str, str] = {}
        self._removed: set[str] = set()  # databases; moved, they would not be told as removed
        self.next_due = self._vanishing.next_due
        self.paths = self._vanishing.paths

    def hint_move(self, new: str, old: str) -> None:
        """The system says that ``old`` was renamed to ``new``."""
        if len(self._moved_from) >= MOST_MOVE_HINTS:
            self._moved_from.clear()
        # Renamed twice before anybody was told: what counts is where it came from.
        first = self._moved_from.pop(old, old)
        self._moved_from[new] = old if old in self._known else first

    def hint_removed(self, path: str, *, removed: bool) -> None:
        """The system says that the name was removed, or only that it went away."""
        known = self._known.get(path)
        if removed and known is not None and known.kind is Kind.DATABASE:
            self._removed.add(path)

    def missed(self, path: str) -> None:
        """First look at a path: nothing there."""
        known = self._known.get(path)
        if known is not None:
            self._vanishing.missed(path, known, time.monotonic())

    def miss_below(self, folder: str) -> None:
        """The folder is something else now: what was in it is missing."""
        for path in list(self._known.below([folder])):
            self.missed(path)

    def came_back(self, path: str) -> None:
        """The path is there; whoever was held as its new name is a file of its own."""
        self._removed.discard(path)
        if path in self._vanishing:
            held = self._vanishing.came_back(path)
            if held is not None:
                self._release(held)

    def _release(self, held: Held) -> None:
        self._moved_from.pop(held.path, None)
        content = held.found.content
        if isinstance(content, BlobContent) and not content.chunks:
            self._scanner.examine(held.path, settled=True)  # was held unread
        else:
            self._scanner.deliver(held.path, held.found)

    # --- where it came from ---

    def hold(self, path: str, found: Found) -> bool:
        """Keep a new path back if it may be where a missing one went."""
        source = self._source(path, found)
        return source is not None and self._hold(source, path, found)

    def _hold(self, source: str, path: str, found: Found) -> bool:
        held = self._vanishing.held_for(source)
        moved_on = held is not None and held.path != path and not self._still(held)
        if moved_on:
            self._vanishing.let_go(source)
        done = self._vanishing.hold(source, path, found)
        if held is not None and moved_on:
            self._scanner.examine(held.path, settled=True)  # nothing, or another file by now
        return done

    def _source(self, path: str, found: Found) -> str | None:
        observed = found.observed
        told = self._moved_from.get(path)
        if told is not None and self._is_missing(told, observed.kind):
            return told
        same = self._known.of_signature(observed.signature)
        if same is not None and same != path:
            known = self._known.get(same)
            assert known is not None
            if same in self._removed:
                return None  # the inode number is used again
            if known.digest == observed.digest and self._is_missing(same, observed.kind):
                return same
        if observed.kind is Kind.FILE and observed.signature.size_bytes:
            return self._vanishing.with_content(observed.digest)
        return None

    def hold_unread(self, path: str, stat: os.stat_result) -> bool:
        """Recognise a large file that was moved, without reading it."""
        source = self._known.of_inode(stat.st_ino, stat.st_dev)
        known = self._known.get(source) if source is not None else None
        if source is None or known is None or source == path:
            return False
        if not same_file(stat, known.signature) or not self._is_missing(source, Kind.FILE):
            return False
        executable = bool(stat.st_mode & 0o100)
        observed = Observed(known.kind, known.digest, executable, signature_of(stat))
        return self._hold(source, path, Found(observed, BlobContent(()), stat.st_nlink))

    def _is_missing(self, path: str, kind: Kind) -> bool:
        known = self._known.get(path)
        if known is None or known.kind is not kind:
            return False
        if path not in self._vanishing and self._absent(path):
            self.missed(path)
        return path in self._vanishing

    def _absent(self, path: str) -> bool:
        try:
            self._root.lstat(path)
        except OSError as error:
            return missing(error)
        return False

    # --- the second look ---

    def look_again(self, now: float) -> None:
        """Decide on all whose time has come."""
        due = self._vanishing.take_due(now)
        if not due:
            return
        if not self._root.standing():
            self._scanner.on_root_lost()
            return
        due = self._children_first(due, now)
        moves, gone = [], []
        for path in due:
            if self._proven(path, now):
                held = self._vanishing.resolve(path)
                if held is not None and held.path not in self._known and self._still(held):
                    moves.append((path, held))
                else:
                    gone.append((path, held))
        for path, held in sorted(moves, key=lambda move: move[1].path.count("/")):
            self._depart_to(path, held)
        for path, unused in sorted(gone, key=lambda item: item[0].count("/"), reverse=True):
            self._forget(path)
            self._batch.gone(path)
            if unused is not None:
                self._scanner.examine(unused.path, settled=True)

    def _children_first(self, due: list[str], now: float) -> list[str]:
        """A folder is not gone before what was in it; start looking for that now."""
        folders = {path for path in due if self._is_folder(path)}
        ready, waiting = set(due), set()
        if folders:
            for path in list(self._known.below(folders)):
                if path not in ready:
                    self.missed(path)
                    waiting.update(_above(path) & folders)
        for path in waiting:
            self._vanishing.wait(path, now)
        return [path for path in due if path not in waiting]

    def _is_folder(self, path: str) -> bool:
        known = self._known.get(path)
        return known is not None and known.kind is Kind.FOLDER

    def _proven(self, path: str, now: float) -> bool:
        if path not in self._known:
            self._vanishing.resolve(path)
            return False
        try:
            self._root.lstat(path)
        except OSError as error:
            if missing(error):
                return True
            self._vanishing.wait(path, now)  # unreadable: no proof
            return False
        self._scanner.examine(path, settled=True)
        self.came_back(path)
        return False

    def _depart_to(self, path: str, held: Held) -> None:
        if held.found.observed.kind is Kind.DATABASE:
            self._scanner.databases.bring_parts(path, held.path)
        self._forget(path)
        self._moved_from.pop(held.path, None)
        self._scanner.record(held.path, held.found)
        seen = Seen(held.path, held.found.observed, held.found.content)
        self._batch.moved(path, seen)

    def _forget(self, path: str) -> None:
        folder = self._is_folder(path)
        self._removed.discard(path)
        self._scanner.forget(path)
        if folder:
            self._scanner.on_folder_gone(path)
        self._scanner.look_for_rules(path)

    def _still(self, held: Held) -> bool:
        try:
            stat = self._root.lstat(held.path)
        except OSError:
            return False
        if held.found.observed.kind is Kind.FOLDER:
            return kind_of(stat) is Kind.FOLDER
        if held.found.observed.kind is Kind.DATABASE:
            return same_database(stat, held.found.observed)
        return same_file(stat, held.found.observed.signature)

    def clear(self) -> None:
        """Forget all that is pending: the folder itself is away."""
        self._vanishing.clear()
        self._moved_from.clear()
        self._removed.clear()


def _above(path: str) -> set[str]:
    above = set()
    parent, _ = split(path)
    while parent:
        above.add(parent)
        parent, _ = split(parent)
    return above
