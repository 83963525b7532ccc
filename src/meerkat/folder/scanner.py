"""What stands in the folder, and what of it is news.

Lives on the folder's first thread. ``hint`` says where to look, ``examine`` looks, ``found``
decides what to report. Nothing is believed that was not just seen on the disk.

Invariants:
 1. An ignored path is never reported, neither as seen nor as gone; nor is a part of a database.
 2. Gone is reported only after two looks, with the folder itself in place.
 3. What is reported was read between two equal signatures.
 4. A live database is not opened again unless another file stands there, or stood there meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import assert_never

from meerkat.core.files import IGNORE_FILE, Kind, Observed, Seen, TextContent

from .config import FolderConfig
from .databases import Databases
from .departures import Departures
from .ignore import Ignore
from .known import Known
from .large import LargeFiles
from .paths import Root, missing
from .reading import Found, Reading, Refused, Unread, database_found, read_path, refusal
from .report import Batch, FolderListener, Problems
from .settle import Settling
from .signature import (
    is_executable,
    is_fresh,
    kind_of,
    same_content,
    signature_of,
    tick_seconds,
    unchanged,
)
from .sqlite_files import SMALLEST_BYTES
from .watcher import Hint
from .worker import Worker

__all__ = ["Scanner"]


class Scanner:
    """Examines paths, one at a time or in a walk, and fills the batch."""

    def __init__(
        self,
        root: Root,
        known: Known,
        ignore: Ignore,
        config: FolderConfig,
        listener: FolderListener,
        hasher: Worker,
        to_first_thread: Callable[[Callable[[], None]], None],
    ) -> None:
        self.root = root
        self.known = known
        self.ignore = ignore
        self.config = config
        self.batch = Batch(listener, config)
        self.problems = Problems(listener)
        self.settling = Settling(config)
        self.databases = Databases(self)
        self.departures = Departures(root, known, self.batch, config, self)
        self.on_new_folder: Callable[[str], None] = lambda path: None
        self.on_folder_gone: Callable[[str], None] = lambda path: None
        self.on_root_lost: Callable[[], None] = lambda: None
        self.on_rules_changed: Callable[[], None] = lambda: None
        self._large = LargeFiles(self, listener, hasher, to_first_thread)
        self._rechecks = Settling(config)
        self._wanted: set[str] = set()  # to be reported even if nothing changed

    # --- hints ---

    def hint(self, hint: Hint, path: str, old: str) -> None:
        """Something may have happened; look, at once or when it is quiet."""
        if self.ignore.ignores(path, folder=hint is Hint.FOLDER):
            return
        now = time.monotonic()
        match hint:
            case Hint.MISSING | Hint.REMOVED:
                self.databases.doubt(path)
                self.departures.hint_removed(path, removed=hint is Hint.REMOVED)
                self.examine(path)
            case Hint.MOVED:
                self.departures.hint_move(path, old)
            case Hint.FOLDER:
                self.on_new_folder(path)
            case Hint.COMPLETE:
                if path in self.known:
                    self.examine(path, written=True)
                else:
                    self.settling.appeared(path, now)
            case Hint.WRITTEN:
                if self.databases.is_live(path):
                    self.examine(path)  # what is written into it is not our business
                else:
                    self.settling.written(path, now, known=path in self.known)
            case Hint.LOST:
                pass
            case _:
                assert_never(hint)

    def next_due(self) -> float | None:
        """When ``run_due`` has something to do."""
        dues = [self.settling.next_due(), self.departures.next_due(), self._rechecks.next_due()]
        return min((due for due in dues if due is not None), default=None)

    def run_due(self) -> None:
        """Look at what has waited long enough."""
        now = time.monotonic()
        for path in self.settling.take_due(now):
            self.examine(path, settled=True)
        self.departures.look_again(now)
        for path in self._rechecks.take_due(now):
            self._rechecks.drop(path)
            self.recheck(path)

    # --- looking ---

    def examine(self, path: str, *, settled: bool = False, written: bool = False) -> None:
        """Look at one path now."""
        try:
            stat = self.root.lstat(path)
        except OSError as error:
            if missing(error):
                self.missed(path)
            else:
                self.handle(path, refusal(error))
            return
        if self.databases.is_known_part(path):
            return
        known = self.known.get(path)
        if known is not None and self._as_known(path, known, stat, written=written):
            return
        if known is None and not settled:
            self.settling.appeared(path, time.monotonic())
            return
        if known is not None and self._just_emptied(path, known, stat, settled=settled):
            return
        self.look_into(path, stat, self.read)

    def look_into(self, path: str, stat: os.stat_result, read: Callable[[str], Reading]) -> None:
        """Read what stands there by ``read``, unless it is known well enough without."""
        if self.databases.is_part(path, stat):
            return
        known = self.known.get(path)
        if known is None and self.databases.is_being_made(path, stat):
            self.settling.retry(path, time.monotonic())
            return
        twin = self.databases.twin_of(path, stat)
        if twin is not None:
            self.handle(path, Refused(twin))
            return
        if known is not None and known.kind is Kind.DATABASE and self._mode_only(path, known, stat):
            return
        reading = read(path)
        if reading is Unread.LARGE:
            self.examine_large(path, stat)
        else:
            self.handle(path, reading)

    def read(self, path: str) -> Reading:
        """Read a path; a live database is recognised, and not read."""
        live = not self.databases.is_plain(path)
        return read_path(self.root, path, self.config.large_bytes, live=live)

    def _mode_only(self, path: str, known: Observed, stat: os.stat_result) -> bool:
        if path in self._wanted or not self.databases.same(path, known, stat):
            return False
        self.handle(path, database_found(stat))
        return True

    def _as_known(self, path: str, known: Observed, stat: os.stat_result, *, written: bool) -> bool:
        """Whether nothing changed (and then the path no longer waits for anything)."""
        if known.kind is Kind.FOLDER and kind_of(stat) is Kind.FOLDER:
            same = known.signature.inode == stat.st_ino
        elif known.kind is Kind.DATABASE:
            same = self.databases.same(path, known, stat) and path not in self._wanted
            same = same and is_executable(stat) == known.executable
        else:
            same = unchanged(stat, known.signature)
            if same and written and is_fresh(signature_of(stat), self.config):
                return False  # racily clean: written again within one tick of the clock
        if same:
            self.settling.drop(path)
            self.problems.clear(path)
            self.departures.came_back(path)
        return same

    def _just_emptied(
        self, path: str, known: Observed, stat: os.stat_result, *, settled: bool
    ) -> bool:
        if known.kind is Kind.DATABASE:
            return self._just_cut(path, stat, settled=settled)
        if stat.st_size or known.kind is not Kind.FILE or not known.signature.size_bytes:
            return False
        waiting = self.settling.get(path)
        if kind_of(stat) is not Kind.FILE or (waiting is not None and waiting.waited_empty):
            return False
        self.settling.emptied(path, time.monotonic())
        return True

    def _just_cut(self, path: str, stat: os.stat_result, *, settled: bool) -> bool:
        """As ``_just_emptied``, of a database; programs may touch it all the while."""
        if stat.st_size >= SMALLEST_BYTES:
            return False
        self.databases.doubt(path)
        waiting = self.settling.get(path)
        if waiting is not None and waiting.waited_empty:
            return not settled
        self.settling.emptied(path, time.monotonic(), database=True)
        return True

    def examine_large(self, path: str, stat: os.stat_result) -> None:
        """Hash on the second thread; a moved file is recognised without reading it."""
        self.settling.drop(path)
        if path in self.known or not self.departures.hold_unread(path, stat):
            self._hash(path)

    def _hash(self, path: str) -> None:
        self.settling.drop(path)
        self._large.hash(path)

    def recheck(self, path: str) -> None:
        """Compare by content what looks unchanged."""
        known = self.known.get(path)
        if known is None or known.kind is not Kind.FILE or path in self.settling:
            return
        self.handle(path, self.read(path), recheck=True)

    def look_now(self, path: str) -> None:
        """Look at one path without waiting for it to settle: a job met it."""
        self.settling.drop(path)
        if not self.ignore.ignores(path):
            self.examine(path, settled=True)

    def look_soon(self, path: str) -> None:
        """Somebody is writing there."""
        self.settling.written(path, time.monotonic(), known=True)

    def report_again(self, path: str) -> None:
        """Read a path and report it even if it is as known."""
        if path not in self.known:
            return
        self._wanted.add(path)
        if self.databases.is_live(path):
            self.examine(path)
        else:
            self.recheck(path)

    def treat_as_plain(self, path: str, *, plain: bool) -> None:
        """From now on a database there is an ordinary file, or a database again; report it."""
        self.databases.set_plain(path, plain=plain)
        known = self.known.get(path)
        if known is None or self.ignore.ignores(path):
            return
        if not plain or known.kind is Kind.DATABASE:  # else it is one, and was reported as such
            self._wanted.add(path)
            self.settling.drop(path)
            self.handle(path, self.read(path))

    def waiting(self) -> set[str]:
        """Paths about which nothing is decided yet."""
        return self.settling.paths() | set(self.departures.paths())

    def hashing(self) -> set[str]:
        """Large files that are being read."""
        return self._large.paths()

    def forget_doubts(self) -> None:
        """The folder is away: what was about to be decided is void."""
        self.settling.clear()
        self._rechecks.clear()
        self.departures.clear()

    # --- deciding ---

    def handle(self, path: str, reading: Reading, *, recheck: bool = False) -> None:
        """Take the outcome of a look."""
        match reading:
            case Found():
                self.settling.drop(path)
                self.found(path, reading, recheck=recheck)
            case Refused(text):
                self.settling.drop(path)
                self.departures.came_back(path)
                self.problems.add(path, text)
            case Unread.MISSING:
                self.missed(path)
            case Unread.CHANGED:
                self.settling.retry(path, time.monotonic())
            case Unread.LARGE:
                self._hash(path)
            case _:
                assert_never(reading)

    def found(self, path: str, found: Found, *, recheck: bool = False) -> None:
        """Report what stands at a path, if it is news."""
        self.problems.clear(path)
        self.departures.came_back(path)
        observed, known = found.observed, self.known.get(path)
        if self.ignore.ignores(path, folder=observed.kind is Kind.FOLDER):
            self.known.forget(path)  # whoever looked did so before the rule came
            return
        if observed.kind is Kind.DATABASE:
            self._large.drop(path)  # whoever reads it as an ordinary file, does so no longer
            self.databases.recognised(path)
        if known is not None and same_content(known, observed) and path not in self._wanted:
            if known.signature != observed.signature:
                self.known.record(path, observed, found.links)
                self.batch.touched(path, observed)
            return
        if known is None:
            if observed.kind is Kind.DATABASE and self.databases.follow(path, observed):
                self.handle(path, self.read(path))
                return
            if self.departures.hold(path, found):
                return
        elif known.kind is Kind.FOLDER:
            self.departures.miss_below(path)
        self.deliver(path, found)
        if not recheck:
            self._check_later(path, observed)

    def deliver(self, path: str, found: Found) -> None:
        """Report a finding as it is."""
        self._wanted.discard(path)
        self.record(path, found)
        self.batch.seen(Seen(path, found.observed, found.content))

    def missed(self, path: str) -> None:
        """Nothing stands there, at this look."""
        self.databases.doubt(path)
        self.settling.drop(path)
        self.problems.clear(path)
        self._wanted.discard(path)
        self.departures.missed(path)

    def record(self, path: str, found: Found) -> None:
        """Remember a finding as reported; look at other names of the same file."""
        self.known.record(path, found.observed, found.links)
        self.databases.recorded(path, found.observed)
        if path == IGNORE_FILE:
            text = found.content.data if isinstance(found.content, TextContent) else b""
            self._take_rules(text)
            self.on_rules_changed()
        if found.links > 1:
            for other in self.known.other_names(path, found.observed.signature.inode):
                self.settling.appeared(other, time.monotonic())

    def record_own(self, path: str, observed: Observed | None) -> None:
        """We put this there (or took it away) ourselves: no news."""
        self.settling.drop(path)
        self.problems.clear(path)
        self.departures.came_back(path)
        if observed is None:
            self.forget(path)
        else:
            self.known.record(path, observed)
            self.databases.recorded(path, observed)
        self.look_for_rules(path)

    def forget(self, path: str) -> None:
        """Nothing stands there any more."""
        had_parts = self.databases.is_live(path) or self.databases.is_plain(path)
        self.known.forget(path)
        if had_parts:
            self.databases.gone(path)

    def look_for_rules(self, path: str) -> None:
        """What stands at a path is new, or gone: are other files ignored from now on?"""
        if path == IGNORE_FILE:
            self.load_rules()
            self.on_rules_changed()

    def load_rules(self) -> None:
        """Read ``.meerkatignore`` before anything else is done, or after we wrote it."""
        reading = read_path(self.root, IGNORE_FILE, self.config.large_bytes)
        if isinstance(reading, Found) and isinstance(reading.content, TextContent):
            self._take_rules(reading.content.data)
        else:
            self._take_rules(b"")

    def _take_rules(self, text: bytes) -> None:
        self.ignore.set_rules(text.decode("utf-8", "replace"))
        for path in self.known.paths():
            known = self.known.get(path)
            if known and self.ignore.ignores(path, folder=known.kind is Kind.FOLDER):
                if known.kind is Kind.DATABASE:
                    self.databases.hide(path)
                self.known.forget(path)  # neither a change nor its end is news from now on
        for path in self.databases.take_back():
            self.batch.gone(path)

    def _check_later(self, path: str, observed: Observed) -> None:
        signature = observed.signature
        if observed.kind is Kind.FILE and is_fresh(signature, self.config):
            tick = tick_seconds(signature, self.config)
            self._rechecks.due_at(path, time.monotonic() + 2 * tick)
