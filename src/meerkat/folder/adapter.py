"""The folder as the node sees it: a few threads behind one small face.

The first thread does everything whose order matters: looking at small files, writing, renaming.
The second hashes large files, the third assembles incoming blobs; both hand their outcome to the
first. A fourth, the watcher's, only says where to look.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from meerkat.core.files import Job, Location, Observed, Seen, TextContent
from meerkat.core.ids import ContentHash
from meerkat.errors import FolderError

from .bases import Bases, Exports
from .config import FolderConfig
from .hints import HintQueue
from .ignore import DEFAULT_RULES, Ignore
from .incoming import Incoming
from .jobs import JobQueue, Result, size_of
from .known import Known
from .paths import Root, UnsafePath, check_path, is_own_name
from .publish import Publisher
from .reading import Found, Reading
from .replaced import Replaced
from .report import FolderListener
from .scanner import Scanner
from .schedule import LOST_TEXT, ScanSchedule
from .watcher import WATCHING, Hint, Watcher, make_watcher
from .worker import Worker
from .writer import Writer

__all__ = ["FolderAdapter"]


def _no_hook(gap: str, path: str) -> None:
    return None


class FolderAdapter:
    """Watches, scans and writes one folder.

    Args:
        root: the user's folder.
        state: meerkat's own folder (``.meerkat``), on the same file system.
        known: what was reported before; paths that still have these signatures are not read.
        listener: told what happens, from the folder's threads.
        config: times and sizes.
        ignore: rules in git's syntax that hold besides ``.meerkatignore``.
        hook: called with (gap, path) between the steps of a write; for tests.

    Raises:
        FolderError: the folder cannot be opened.
    """

    def __init__(
        self,
        root: Path,
        state: Path,
        known: dict[str, Observed],
        listener: FolderListener,
        *,
        config: FolderConfig | None = None,
        ignore: Iterable[str] = DEFAULT_RULES,
        hook: Callable[[str, str], None] = _no_hook,
    ) -> None:
        self._config = config = config or FolderConfig()
        self._listener = listener
        try:
            self._root = Root(root)
            self._replaced = Replaced(state / "replaced", config, self._saved_meanwhile)
            self._incoming = Incoming(state / "incoming", self.read_chunk)
            self._bases = Bases(state / "bases", self._incoming)
            self._exports = Exports(state / "rows")
        except OSError as error:
            raise FolderError(f"{root} cannot be used: {error.strerror}") from error
        self._first = Worker("folder", self._after_turn)
        self._hasher = Worker("folder-hasher")
        self._third = Worker("folder-incoming")
        self._hints = HintQueue(lambda: self._first.call(lambda: None))
        memory, rules, post = Known(known), Ignore(ignore), self._first.call
        self._scanner = Scanner(self._root, memory, rules, config, listener, self._hasher, post)
        self._watcher: Watcher = make_watcher(
            self._root.path, self._on_hint, self._on_watch_problem, watch=config.watch
        )
        self._schedule = ScanSchedule(self._scanner, self._first, self._watcher, config, state)
        self._jobs = self._connect(config, hook)
        self._armed = float("inf")
        self._queued_bytes = 0
        self._lock = threading.Lock()

    def _connect(self, config: FolderConfig, hook: Callable[[str, str], None]) -> JobQueue:
        scanner, schedule = self._scanner, self._schedule
        scanner.on_new_folder = schedule.scan_folder
        scanner.on_folder_gone = self._watcher.unwatch
        scanner.on_root_lost = schedule.on_lost
        scanner.on_rules_changed = schedule.scan
        scanner.databases.on_touched = self._listener.database_touched
        writer = Writer(scanner, Publisher(self._replaced, hook), config)
        jobs = JobQueue(
            writer,
            self._incoming,
            self._bases,
            self._exports,
            self._first,
            self._third,
            config,
            self._deliver,
        )
        jobs.refuse_all = lambda: LOST_TEXT if schedule.is_lost() else None
        return jobs

    # --- the face ---

    def start(self) -> None:
        """Start the threads and the first scan."""
        self._scanner.load_rules()  # jobs wait already, and must not meet what is ignored
        for worker in (self._first, self._hasher, self._third):
            worker.start()
        self._watcher.start()
        self._first.call(self._begin)

    def stop(self) -> None:
        """Stop and join the threads; queued work is dropped, work in hand is finished."""
        for worker in (self._hasher, self._third, self._first):
            worker.stop()
        self._watcher.stop()
        self._bases.close()
        self._exports.close()
        self._incoming.close()
        self._replaced.close()
        self._root.close()

    def request_scan(self) -> None:
        """Scan everything soon."""
        self._first.call(self._schedule.scan)

    def request_report(self, path: str) -> None:
        """Read ``path`` and report it as seen, chunks and all, even if it did not change."""
        self._first.call(lambda: self._scanner.report_again(path))

    def treat_as_plain(self, path: str, *, plain: bool) -> None:
        """Treat a database at ``path`` as an ordinary file or again as one; report it as seen.

        Said before the start, it holds from the first scan on.
        """
        self._first.call(lambda: self._scanner.treat_as_plain(path, plain=plain))

    def perform(self, jobs: Sequence[Job]) -> None:
        """Queue jobs. The results of one path come in order; see ``jobs``."""
        self._count(sum(size_of(job) for job in jobs))
        self._first.call(lambda: self._take_jobs(jobs))

    def store_chunk(self, blob: ContentHash, index: int, data: bytes) -> None:
        """Queue one received chunk for the incoming file of ``blob``."""
        self._count(len(data))
        self._third.call(lambda: self._store(blob, index, data))

    def read_chunk(self, location: Location, expected: ContentHash) -> bytes | None:
        """Read a chunk that should lie there, or None if it does not. Blocks; any thread."""
        if location.blob is None:
            return _chunk_in(partial(self._open_file, location.path), location, expected)
        # What is being put together has holes, and hides nothing that is whole.
        for open_blob in (self._bases.open, self._incoming.open):
            data = _chunk_in(partial(open_blob, location.blob), location, expected)
            if data is not None:
                return data
        return None

    def _open_file(self, path: str) -> int:
        check_path(path)
        if self._scanner.databases.is_live(path):
            raise FileNotFoundError
        return self._root.open(path, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def queued_bytes(self) -> int:
        """What waits to be written: the node asks for less while this is high."""
        return self._queued_bytes

    def _count(self, change: int) -> None:
        with self._lock:
            self._queued_bytes += change

    # --- on the first thread ---

    def _begin(self) -> None:
        for name in self._replaced.left_behind():
            text = f"written to while meerkat stopped: its content is kept in {name}"
            self._scanner.problems.add(f".meerkat/replaced/{name}", text)
        self._scanner.batch.flush(even_nothing=True)  # now it is known what is ignored
        self._schedule.scan(remove_stale=True)

    def _take_jobs(self, jobs: Sequence[Job]) -> None:
        self._jobs.add(jobs)

    def _after_turn(self, busy: bool) -> None:
        again = self._hints.take(self._take_hint)
        if self._jobs:
            self._jobs.run_group()
        if again or self._jobs:
            self._first.call(lambda: None)
        self._scanner.run_due()
        now = time.monotonic()
        self._replaced.purge(now)
        self._schedule.complete_if_done()
        if not busy or self._scanner.batch.due(now):
            self._scanner.batch.flush_findings()
        self._scanner.problems.flush()
        self._arm(now)

    def _arm(self, now: float) -> None:
        dues = (self._scanner.next_due(), self._replaced.next_due())
        due = min((due for due in dues if due is not None), default=None)
        if self._armed <= now:
            self._armed = float("inf")
        if due is not None and due < self._armed:
            self._armed = due
            self._first.at(due, lambda: None)

    def _deliver(self, results: list[Result], size: int) -> None:
        self._count(-size)
        self._scanner.batch.flush_findings()  # what was found before these results comes first
        self._listener.jobs_done(results)

    def _saved_meanwhile(self, path: str, name: str, reading: Reading) -> None:
        """A program wrote into a file after we replaced it: that is a save, not to be lost."""
        if isinstance(reading, Found) and isinstance(reading.content, TextContent):
            self._scanner.batch.seen(Seen(path, reading.observed, reading.content))
            current = self._scanner.known.get(path)
            if current is not None:
                self._scanner.report_again(path)
            return
        self._replaced.put_beside(self._root, path, name)

    # --- from the other threads ---

    def _on_hint(self, hint: Hint, path: str, old: str) -> None:
        name = path.rpartition("/")[2]
        if is_own_name(name):
            return
        database = self._scanner.databases.concerned(path)
        if database is not None:
            self._listener.database_touched(database)
            if database != path:
                return  # there is nothing to look at in a part
        self._hints.add(hint, path, old)

    def _take_hint(self, hint: Hint, path: str, old: str) -> None:
        if self._schedule.lost:
            return
        if hint is Hint.LOST:
            self._schedule.scan()
        else:
            self._scanner.hint(hint, path, old)

    def _on_watch_problem(self, text: str | None) -> None:
        def show() -> None:
            if text is None:
                self._scanner.problems.clear(WATCHING)
            else:
                self._scanner.problems.add(WATCHING, text)

        self._first.call(show)

    def _store(self, blob: ContentHash, index: int, data: bytes) -> None:
        stored = self._incoming.store(blob, index, data)
        self._count(-len(data))
        indexes = [index]
        self._listener.chunks_stored(blob, indexes if stored else [], [] if stored else indexes)


def _chunk_in(opened: Callable[[], int], location: Location, expected: ContentHash) -> bytes | None:
    """The chunk, if the file can be opened and has it there."""
    try:
        descriptor = opened()
    except (OSError, UnsafePath):
        return None
    try:
        data = os.pread(descriptor, location.length, location.offset)
    except (OSError, OverflowError):
        return None
    finally:
        os.close(descriptor)
    return data if len(data) == location.length and ContentHash.of(data) == expected else None
