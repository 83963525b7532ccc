"""What the rows process does when: many databases side by side, none of which holds up another.

The main thread decides and never touches a database; its ``turn`` gives each database's next job to
a thread. A database that fails stops alone. Reports leave in the order in which a database makes
them. What a job does is decided in ``lane`` and ``database``.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from meerkat.core import rows
from meerkat.core.rows import RowsReport

from .answering import Answering
from .database import BUSY, STATE, Database
from .importing import Importing
from .lane import Job, Lane, LaneConfig, LaneRequest
from .watching import Collected, Watching
from .wire import (
    Answer,
    Asked,
    Cancel,
    Capture,
    Conflicts,
    Describe,
    History,
    Look,
    Query,
    Said,
    Watch,
)
from .working import Working

__all__ = ["Serving", "ServingConfig"]

LOG = logging.getLogger(__name__)
STOPPED = (
    "Merging stopped because of a bug ({}): the file is left alone until meerkat starts again. "
    "The log has more."
)


WAITING = "What meerkat keeps about it cannot be written ({}): merging waits."
# What the machine does to us, and what passes: the database undid the step, and does it again.
_TROUBLE = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.BusyError, OSError)


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """Times in seconds; guesses."""

    threads: int = 8  # databases at work at once; more only fight for the interpreter
    poll: float = 1.0  # between looks at the files from outside: hints may get lost
    idle: float = 2.0  # after which handles are closed (they block a program's journal_mode=delete)
    lanes: LaneConfig = field(default_factory=LaneConfig)


class Serving:
    """Takes what the host asks, and says what it should hear."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[Said], None],
        wake: Callable[[], None],
        working: Working,
        config: ServingConfig,
    ) -> None:
        """``say`` and ``wake`` (which lets the main thread call ``turn``) are for any thread.

        ``folder``: without symbolic links.
        """
        self._root = folder
        self._state = folder / ".meerkat" / "rows"
        self._bases = folder / ".meerkat" / "bases"
        self._say, self._wake = say, wake
        self._working = working
        self._config = config
        self._lanes: dict[bytes, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._later: set[Lane] = set()  # that want to look, but not yet
        self._running = 0
        self._done: deque[Callable[[], None]] = deque()  # from threads, for the main thread
        self._threads = ThreadPoolExecutor(config.threads, thread_name_prefix="rows")
        self._watching = Watching(say)
        self._answering = Answering(folder, say, self._later_do, working)
        self._importing = Importing(folder, self._bases, say, working)
        self._captures: dict[int, set[bytes]] = {}  # by ticket: who has not looked yet
        self._next_poll = 0.0
        self._polling = False

    # --- What the host asks ---

    def handle(self, asked: Asked) -> None:
        """Begin what is asked for. In the main thread, as all but what says otherwise."""
        match asked:
            case rows.ImportDatabase():
                self._importing.begin(asked)
            case Look(paths=paths):
                wanted = frozenset(paths)
                for lane in self._lanes.values():
                    if lane.path in wanted:
                        self._look(lane)
            case Query():
                self._query(asked)
            case Watch():
                self._watch(asked)
            case Describe():
                self._describe(asked)
            case Conflicts() | History():
                self._inquire(asked)
            case Cancel(ticket=ticket):
                if not self._watching.remove(ticket):
                    self._answering.cancel(ticket)
            case Capture(ticket=ticket):
                self._capture(ticket)
            case _:
                self._put(asked)

    @property
    def waiting_bytes(self) -> int:
        """The memory that requests take which have not begun."""
        return sum(lane.waiting_bytes for lane in self._lanes.values())

    @property
    def is_idle(self) -> bool:
        """Whether everything asked for is done."""
        return (
            not self._running
            and not self._done
            and not any(lane.has_requests for lane in self._lanes.values())
        )

    def _put(self, request: LaneRequest) -> None:
        lane = self._lanes.get(request.version)
        if lane is None:
            lane = self._lanes[request.version] = self._make_lane(request.version)
        lane.put(request)
        self._poke(lane)

    def _make_lane(self, version: bytes) -> Lane:
        place = self._state / version.hex()

        def make() -> Database:
            return Database(self._root, place, version, on_report=report)

        def report(one: RowsReport) -> None:
            self._reported(lane, one)

        config = self._config.lanes
        lane = Lane(version, self._root, make, self._base_at, report, config)
        return lane

    def _base_at(self, digest: bytes) -> Path:
        return self._bases / digest.hex()

    def _reported(self, lane: Lane, report: RowsReport) -> None:
        """In the lane's thread. Who is told that a path is live may ask about it at once."""
        if isinstance(report, rows.DatabaseAttached):
            lane.path = report.path
            lane.look = True
        elif isinstance(report, rows.DatabaseDetached) and report.reason != BUSY:
            lane.path = ""
        elif isinstance(report, rows.DatabaseState):
            lane.problem, lane.aside = report.problem, report.aside
        self._say(report)
        if isinstance(report, rows.DatabaseAttached):
            self._watching.tell_again(report.path)

    def _lane_of(self, ticket: int, path: str) -> Lane | None:
        """The database at a path; if there is none, that is the answer."""
        for lane in self._lanes.values():
            if lane.path == path:
                return lane
        self._say(Answer(ticket, f"{path} is no live database."))
        return None

    def _query(self, query: Query) -> None:
        lane = self._lane_of(query.ticket, query.path)
        if lane is not None:
            self._answering.run(query, lane, lambda: self._look(lane))
            self._poke(lane)

    def _describe(self, asked: Describe) -> None:
        lane = self._lane_of(asked.ticket, asked.path)
        if lane is not None:
            self._answering.describe(asked, lane, self._state / lane.version.hex() / STATE)

    def _inquire(self, asked: Conflicts | History) -> None:
        lane = self._lane_of(asked.ticket, asked.path)
        if lane is not None:
            self._answering.ask(asked, lane)
            self._poke(lane)

    def _watch(self, watch: Watch) -> None:
        if watch.again or self._lane_of(watch.ticket, watch.path) is not None:
            self._watching.add(watch)
            self._say(Answer(watch.ticket))

    def _capture(self, ticket: int) -> None:
        lanes = [lane for lane in self._lanes.values() if lane.path]
        self._captures[ticket] = {lane.version for lane in lanes}
        for lane in lanes:
            lane.not_before = 0.0
            self._look(lane)
        self._looked(b"")

    # --- Doing it ---

    def turn(self, now: float) -> float:
        """Begin what is due; in how many seconds to come again at the latest."""
        while self._done:
            self._done.popleft()()
        if now >= self._next_poll and not self._polling:
            self._next_poll = now + self._config.poll
            self._begin_poll(now)
        for lane in [one for one in self._later if one.running or one.due(now)]:
            self._later.discard(lane)
            self._poke(lane)
        while self._ready and self._running < self._config.threads:
            self._begin(self._ready.popleft(), now)
        dues = [due for lane in self._later if (due := lane.waits_until) is not None]
        return max(min([self._next_poll, *dues]) - now, 0.0)

    def close(self, within: float) -> bool:
        """Let go of everything, in so many seconds; whether that worked out."""
        deadline = time.monotonic() + within
        self._answering.close()
        self._importing.close()
        while not self.is_idle and time.monotonic() < deadline:
            self.turn(time.monotonic())
            time.sleep(_BREATH)
        if not self.is_idle:
            return False
        for lane in self._lanes.values():
            if lane.database is not None:
                lane.database.close()
        self._threads.shutdown()
        return True

    def _look(self, lane: Lane) -> None:
        lane.hint()
        self._poke(lane)

    def _poke(self, lane: Lane) -> None:
        """Something may be due for a database."""
        if lane.running or lane.queued:
            return
        if lane.due(time.monotonic()):
            lane.queued = True
            self._ready.append(lane)
        elif lane.waits_until is not None:
            self._later.add(lane)

    def _begin(self, lane: Lane, now: float) -> None:
        job, looks = lane.next_job(now)
        lane.queued, lane.running = False, True
        self._running += 1
        self._threads.submit(self._run, lane, job, looks)

    def _run(self, lane: Lane, job: Job, looks: bool) -> None:
        """In a thread: one job of one database, whatever becomes of it."""
        began = time.monotonic()
        collected = Collected(self._watching.of(lane.path))
        busy = False
        try:
            with self._working.on(lane.version):
                if looks:
                    lane.about_to_look(time.time())
                if lane.database is not None:
                    lane.database.on_rows = collected.add if collected.watches else None
                busy = job()
            self._recover(lane)
        except _TROUBLE as error:
            LOG.warning("database at %r: %s", lane.path, error)
            lane.trouble = WAITING.format(error)
            self._say(rows.DatabaseState(lane.version, lane.trouble, lane.aside))
        except Exception as error:
            LOG.exception("database %s at %r", lane.version.hex(), lane.path)
            self._give_up(lane, error)
        self._watching.tell(collected)
        took = time.monotonic() - began
        self._later_do(lambda: self._ended(lane, took, busy=busy, looked=looks))

    def _recover(self, lane: Lane) -> None:
        if lane.trouble:
            lane.trouble = ""
            self._say(rows.DatabaseState(lane.version, lane.problem, lane.aside))

    def _give_up(self, lane: Lane, error: Exception) -> None:
        """In the lane's thread: its database is not to be trusted any more."""
        database, lane.database = lane.database, None
        lane.broken = STOPPED.format(type(error).__name__)
        lane.path = ""
        if database is not None:
            try:
                database.close()
            except Exception:
                LOG.exception("closing it")
        self._say(rows.DatabaseDetached(lane.version, (), lane.broken))
        self._say(rows.DatabaseState(lane.version, lane.broken))

    def _ended(self, lane: Lane, took: float, *, busy: bool, looked: bool) -> None:
        lane.running = False
        self._running -= 1
        lane.done(time.monotonic(), took, busy=busy, looked=looked)
        if looked or not lane.path:
            self._looked(lane.version)
        self._poke(lane)

    def _looked(self, version: bytes) -> None:
        """A database was looked at: who waits for it?"""
        for ticket, missing in list(self._captures.items()):
            missing.discard(version)
            if not missing:
                del self._captures[ticket]
                self._say(Answer(ticket))

    def _later_do(self, action: Callable[[], None]) -> None:
        """From any thread: have the main thread do it."""
        self._done.append(action)
        self._wake()

    # --- What nobody asked for ---

    def _begin_poll(self, now: float) -> None:
        """See whether files changed though nobody said so, and let go of what is idle."""
        for lane in self._lanes.values():
            if not lane.running and not lane.is_resting and now - lane.used >= self._config.idle:
                lane.close_soon()
                self._poke(lane)
        attached = [lane for lane in self._lanes.values() if lane.path and not lane.running]
        if attached:
            self._polling = True
            self._threads.submit(self._poll, attached)

    def _poll(self, lanes: list[Lane]) -> None:
        """In a thread: a slow disk holds nobody else up."""
        wall = time.time()
        changed = [lane for lane in lanes if lane.changed_since_look(wall)]
        self._later_do(lambda: self._polled(changed))

    def _polled(self, changed: list[Lane]) -> None:
        self._polling = False
        for lane in changed:
            self._look(lane)


_BREATH = 0.005  # seconds between looks whether the threads are done, at the end
