"""The node's hand in live databases: the rows process, what it is asked, and its crashes.

The process is started when it is first needed: a folder without databases costs nothing. If it
crashes, the peer begins anew with it (``restarted``); a database over which it keeps crashing is
left alone. What is asked of it in order comes from the peer (``send``), the rest from faces.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec import MsgspecError

from meerkat.core import rows
from meerkat.core.rows import RowsReport, RowsRequest
from meerkat.errors import MeerkatError
from meerkat.rows import wire
from meerkat.rows.values import Scalar
from meerkat.rows.working import import_name, read_working

from .rows_child import RowsChild, start_child
from .rows_picture import RowsPicture
from .spawn import Spawn

__all__ = ["Params", "RowsConfig", "RowsHost"]

LOG = logging.getLogger(__name__)
Params = tuple[Scalar, ...] | dict[str, Scalar]
Hear = Callable[[wire.Changes], None]

NOT_LIVE = "{} is no live database. `meerkat db list` shows which there are."
ENDED = "The process for databases has ended; try again."
CRASHING = "The process for live databases keeps crashing; the log says why."
SLOW = "The process for databases does not answer; try again."
GIVEN_UP = (
    "Merging it crashed {} times, so it is left alone until `meerkat db on` or the next start. "
    "The log has more; `meerkat db off` makes it an ordinary file."
)


@dataclass(frozen=True, slots=True)
class RowsConfig:
    """Times in seconds, sizes in bytes; guesses."""

    restart_shortest: float = 0.1  # after a crash; each further one doubles it
    restart_longest: float = 30.0
    crashes: int = 3  # in a row over one database, then it is given up
    calm: float = 600.0  # without a crash, after which earlier ones are forgotten
    told: float = 60.0  # after a crash, that people hear of it; more than the longest restart
    queued_bytes: int = 256 * 1024 * 1024  # that it has not read; then it hangs, and is killed
    capture: float = 2.0  # for what programs wrote last, when the node stops
    stop: float = 5.0  # for the process to end by itself
    query: float = 30.0  # for SQL of faces
    answer: float = 30.0  # ... beyond that, for any answer
    limit_rows: int = 10_000  # of an answer, unless asked for otherwise


DEFAULT_CONFIG = RowsConfig()


class RowsHost:
    """One folder's rows process, whenever there is one."""

    def __init__(
        self,
        folder: Path,
        *,
        spawn: Spawn,
        reported: Callable[[tuple[RowsReport, ...]], None],
        restarted: Callable[[], None],
        config: RowsConfig = DEFAULT_CONFIG,
    ) -> None:
        """``reported`` and ``restarted`` are called on the loop, never from within ``send``."""
        self._folder = folder
        self._working = folder / ".meerkat" / "rows" / "working"
        self._spawn = spawn
        self._reported, self._restarted = reported, restarted
        self._config = config
        self._picture = RowsPicture()
        self._child: RowsChild | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._stopped = False
        self._crashes: dict[bytes, int] = {}  # by what it was at work on
        self._crashed_at = 0.0
        self._crashes_in_a_row = 0
        self._delay = config.restart_shortest
        self._given_up: dict[bytes, str] = {}  # why
        self._tickets = itertools.count(1)
        self._questions: dict[int, asyncio.Future[wire.Answer]] = {}
        self._watches: dict[int, tuple[wire.Watch, Hear]] = {}

    # --- For the peer ---

    def send(self, request: RowsRequest) -> None:
        """Ask for something, in order. Between a crash and ``restarted`` nothing is passed on."""
        name = _name_of(request)
        if isinstance(request, rows.LoadDatabase | rows.ImportDatabase) and request.again:
            self._given_up.pop(name, None)
            self._crashes.pop(name, None)
        if self._restart is not None or self._stopped:
            return
        if name in self._given_up:
            answers = _refusals(request, self._given_up[name])
            if answers:
                asyncio.get_running_loop().call_soon(self._report, answers)
            return
        self._picture.sent(request)
        self._write(wire.encode(request))

    def look(self, path: str) -> None:
        """Something happened to the file at ``path`` or beside it: see what, now."""
        if self._child is not None and self._picture.is_live(path):
            self._write(wire.encode(wire.Look((path,))))

    @property
    def queued_bytes(self) -> int:
        """What waits to be taken by the process."""
        return self._child.queued_bytes if self._child is not None else 0

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self._child.pid if self._child is not None else None

    @property
    def problem(self) -> str:
        """What people should know about the process itself, or nothing."""
        works = time.monotonic() - self._crashed_at > self._config.told
        return "" if works or self._crashes_in_a_row < self._config.crashes else CRASHING

    async def capture(self) -> None:
        """Return when what programs wrote up to now is reported, or soon without that."""
        if self._child is not None and self._restart is None:
            try:
                await self._ask(wire.Capture, within=self._config.capture)
            except MeerkatError as error:
                LOG.warning("not everything was captured: %s", error)

    async def stop(self) -> None:
        """End the process; what was sent is done first, unless that takes long."""
        self._stopped = True
        await self._end(self._config.stop)

    async def abandon(self) -> None:
        """End the process at once: the peer that it reported to is gone. ``send`` begins anew."""
        await self._end(0.0)

    # --- For faces ---

    def databases(self) -> list[tuple[str, str, int]]:
        """All live databases: (path, problem or nothing, rows set aside), by path."""
        # One that went while the process was away is in the picture, until somebody asks for it.
        return [
            (path, problem, aside)
            for path, problem, aside in self._picture.databases()
            if not problem or os.path.lexists(self._folder / path)
        ]

    async def query(
        self, path: str, sql: str, params: Params = (), *, limit: int | None = None
    ) -> wire.Rows:
        """Read with SQL.

        Raises:
            MeerkatError: if there is no live database at the path, or what SQLite says.
        """
        return await self._run(path, sql, params, limit, write=False)

    async def execute(
        self, path: str, sql: str, params: Params = (), *, limit: int | None = None
    ) -> wire.Rows:
        """Write with SQL, in one transaction.

        Raises:
            MeerkatError: as ``query``.
        """
        return await self._run(path, sql, params, limit, write=True)

    async def describe(self, path: str) -> wire.DatabaseFacts:
        """How a database is, and its tables.

        Raises:
            MeerkatError: as ``query``.
        """
        answer = await self._ask_of(path, lambda ticket: wire.Describe(ticket, path))
        assert isinstance(answer, wire.DatabaseFacts)
        return answer

    async def conflicts(self, path: str) -> tuple[wire.Conflict, ...]:
        """Rows that a constraint keeps out of the file.

        Raises:
            MeerkatError: as ``query``.
        """
        answer = await self._ask_of(path, lambda ticket: wire.Conflicts(ticket, path))
        assert isinstance(answer, wire.Aside)
        return answer.conflicts

    async def history(
        self, path: str, table: str, key: tuple[Scalar, ...]
    ) -> tuple[wire.CellWritten, ...]:
        """Who wrote the cells of a row. ``key``: its rowid, or its primary key without one.

        Raises:
            MeerkatError: as ``query``.
        """
        answer = await self._ask_of(path, lambda ticket: wire.History(ticket, path, table, key))
        assert isinstance(answer, wire.Cells)
        return answer.cells

    async def watch(self, path: str, table: str, hear: Hear) -> Callable[[], None]:
        """Call ``hear`` with every change of a table (empty: of all) from now on.

        It must be quick. Returns what ends it. If changes may have been missed, ``again`` is set.

        Raises:
            MeerkatError: as ``query``.
        """
        watch = wire.Watch(next(self._tickets), path, table)
        self._watches[watch.ticket] = (watch, hear)

        def stop() -> None:
            if self._watches.pop(watch.ticket, None) is not None and self._child is not None:
                self._write(wire.encode(wire.Cancel(watch.ticket)))

        try:
            await self._ask_of(path, lambda _: watch)
        except BaseException:
            stop()
            raise
        return stop

    async def _run(
        self, path: str, sql: str, params: Params, limit: int | None, *, write: bool
    ) -> wire.Rows:
        rows_limit = self._config.limit_rows if limit is None else limit
        seconds = self._config.query
        answer = await self._ask_of(
            path,
            lambda ticket: wire.Query(ticket, path, sql, params, rows_limit, seconds, write),
        )
        assert isinstance(answer, wire.Rows)
        return answer

    # --- Questions ---

    async def _ask_of(self, path: str, make: Callable[[int], wire.Question]) -> object:
        """Ask about a live database."""
        if not self._picture.is_live(path):
            raise MeerkatError(self._picture.why_not(path) or NOT_LIVE.format(path))
        if self._child is None:
            raise MeerkatError(ENDED)
        return await self._ask(make, within=self._config.query + self._config.answer)

    async def _ask(self, make: Callable[[int], wire.Question], *, within: float) -> object:
        question = make(next(self._tickets))
        ticket = question.ticket
        try:
            body = wire.encode(question)
        except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
            raise MeerkatError(f"This is no text or value for SQLite: {error}.") from error
        future = asyncio.get_running_loop().create_future()
        self._questions[ticket] = future
        self._write(body)
        try:
            answer: wire.Answer = await asyncio.wait_for(future, within)
        except TimeoutError as error:
            self._cancel(ticket)
            raise MeerkatError(SLOW) from error
        except asyncio.CancelledError:
            self._cancel(ticket)
            raise
        finally:
            self._questions.pop(ticket, None)
        if answer.problem:
            raise MeerkatError(answer.problem)
        return answer.value

    def _cancel(self, ticket: int) -> None:
        if self._child is not None:
            self._write(wire.encode(wire.Cancel(ticket)))

    # --- The process ---

    def _write(self, body: bytes) -> None:
        child = self._child
        if child is None:
            child = self._begin()
        child.write(body)
        if child.queued_bytes > self._config.queued_bytes:
            LOG.error("the rows process does not read: it is ended")
            child.kill()

    def _begin(self) -> RowsChild:
        """A new process, on its way."""
        self._working.unlink(missing_ok=True)  # what an earlier one was at
        child = RowsChild(self._hear, lambda: self._on_ended(child))
        self._child = child
        for watch, _ in self._watches.values():
            child.write(wire.encode(wire.Watch(watch.ticket, watch.path, watch.table, again=True)))
        alone = bool(self._crashes)

        async def start() -> None:
            try:
                await start_child(self._folder, child, alone=alone)
            except OSError:
                LOG.exception("the rows process cannot be started")
                child.connection_lost(None)

        self._spawn(start)
        return child

    def _hear(self, bodies: list[bytes]) -> None:
        reports: list[RowsReport] = []
        for body in bodies:
            try:
                said = wire.decode_said(body)
            except (MsgspecError, ValueError):
                LOG.exception("the rows process makes no sense")
                if self._child is not None:
                    self._child.kill()
                break
            match said:
                case wire.Answer(ticket=ticket):
                    future = self._questions.get(ticket)
                    if future is not None and not future.done():
                        future.set_result(said)
                case wire.Changes(ticket=ticket):
                    if ticket in self._watches:
                        self._watches[ticket][1](said)
                case _:
                    reports.append(said)
        self._report(reports)

    def _report(self, reports: list[RowsReport]) -> None:
        for report in reports:
            self._picture.reported(report)
        if reports:
            self._reported(tuple(reports))

    def _on_ended(self, child: RowsChild) -> None:
        """A process has ended: as it should, or not."""
        if child is not self._child:
            return
        self._child = None
        self._forget()
        suspects = read_working(self._working)
        LOG.error("the rows process crashed at work on %s", [one.hex() for one in suspects])
        now = time.monotonic()
        if now - self._crashed_at > self._config.calm:
            self._crashes.clear()
            self._crashes_in_a_row = 0
            self._delay = self._config.restart_shortest
        self._crashed_at = now
        self._crashes_in_a_row += 1
        self._crashes = {name: self._crashes.get(name, 0) + 1 for name in suspects}
        for name, count in self._crashes.items():
            if count >= self._config.crashes:
                self._given_up[name] = GIVEN_UP.format(count)
        self._restart = asyncio.get_running_loop().call_later(self._delay, self._again)
        self._delay = min(self._delay * 2, self._config.restart_longest)

    def _again(self) -> None:
        self._restart = None
        self._restarted()

    def _forget(self) -> None:
        """Nobody answers any more, and no database is attached."""
        self._picture.forget()
        for ticket, future in self._questions.items():
            if not future.done():
                future.set_result(wire.Answer(ticket, ENDED))

    async def _end(self, within: float) -> None:
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        child, self._child = self._child, None
        if child is None:
            return
        child.close()
        if not within or not await child.wait_ended(within):
            child.kill()
            await child.wait_ended(self._config.stop)
        self._forget()


def _name_of(request: RowsRequest) -> bytes:
    if isinstance(request, rows.ImportDatabase):
        return import_name(request.path)
    return request.version


def _refusals(request: RowsRequest, why: str) -> list[RowsReport]:
    """What is said in the name of a process that shall not be bothered with this any more."""
    match request:
        case rows.ImportDatabase(ticket=ticket, path=path):
            return [rows.DatabaseRefused(ticket, path, why)]
        case rows.LoadDatabase(version=version):
            return [rows.DatabaseDetached(version, (), why), rows.DatabaseState(version, why)]
        case _:
            return []
