"""Answers to faces in the rows process: SQL in threads of its own, the rest between other work."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import assert_never

from .database import Database
from .lane import Lane
from .queries import ASIDE_TABLE, QueryError, QueryLimits, describe_tables, run_query
from .wire import (
    Answer,
    Aside,
    Cells,
    CellWritten,
    Conflict,
    Conflicts,
    DatabaseFacts,
    Describe,
    History,
    Query,
    TableFacts,
)
from .working import Working

__all__ = ["Answering"]

LOG = logging.getLogger(__name__)
_THREADS = 4  # for SQL; guess
_WAITING = 64  # questions at once, those that run included; guess
TOO_MANY = "Too many queries at once; try again."
GONE = "The database is not live any more."
BUG = "It failed because of a bug ({}); the log has more."

Question = Conflicts | History


class Answering:
    """Answers each question once, from whichever thread."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[Answer], None],
        later: Callable[[Callable[[], None]], None],
        working: Working,
    ) -> None:
        self._root = folder
        self._say, self._later = say, later
        self._working = working
        self._limits = QueryLimits()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="query")
        self._cancelled: dict[int, threading.Event] = {}  # by ticket: SQL that is to be answered

    def run(self, query: Query, lane: Lane, written: Callable[[], None]) -> None:
        """Run SQL; ``written`` is called in the main thread after a successful write."""
        if ASIDE_TABLE not in query.sql.lower():
            self._run(query, lane.version, written, None)
            return

        def inquire(database: Database | None) -> None:
            aside = _aside_of(database) if database is not None else ()
            self._later(lambda: self._run(query, lane.version, written, aside))

        lane.ask(inquire)

    def _run(
        self,
        query: Query,
        version: bytes,
        written: Callable[[], None],
        aside: tuple[Conflict, ...] | None,
    ) -> None:
        def work(cancelled: threading.Event) -> Answer:
            path = self._root / query.path
            rows = run_query(path, query, cancelled.is_set, self._limits, aside)
            if query.write:
                self._later(written)
            return Answer(query.ticket, "", rows)

        self._submit(query.ticket, version, work)

    def describe(self, asked: Describe, lane: Lane, state: Path) -> None:
        """Tell what there is."""
        path, problem, aside = self._root / asked.path, lane.problem, lane.aside

        def work(_: threading.Event) -> Answer:
            tables: tuple[TableFacts, ...] = ()
            trouble, mode = problem, ""
            try:
                tables, mode = describe_tables(path, self._limits)
            except QueryError as error:  # what is known of it is wanted most when it is not well
                trouble = problem or str(error)
            facts = DatabaseFacts(
                version=lane.version,
                path=asked.path,
                problem=trouble,
                aside=aside,
                file_bytes=_size(path),
                state_bytes=_size(state),
                journal_mode=mode,
                tables=tables,
            )
            return Answer(asked.ticket, "", facts)

        self._submit(asked.ticket, lane.version, work)

    def ask(self, question: Question, lane: Lane) -> None:
        """Have the database itself asked, in its turn."""

        def inquire(database: Database | None) -> None:
            try:
                self._say(answer_of(question, database))
            except Exception as error:
                LOG.exception("answering %r", question)
                self._say(Answer(question.ticket, BUG.format(type(error).__name__)))

        lane.ask(inquire)

    def cancel(self, ticket: int) -> None:
        """Nobody waits for the answer any more."""
        cancelled = self._cancelled.get(ticket)
        if cancelled is not None:
            cancelled.set()

    def close(self) -> None:
        """End what runs."""
        for cancelled in list(self._cancelled.values()):
            cancelled.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(
        self, ticket: int, version: bytes, work: Callable[[threading.Event], Answer]
    ) -> None:
        if len(self._cancelled) >= _WAITING:
            self._say(Answer(ticket, TOO_MANY))
            return
        cancelled = self._cancelled[ticket] = threading.Event()

        def guarded() -> None:
            try:
                with self._working.on(version):
                    answer = work(cancelled)
            except QueryError as error:
                answer = Answer(ticket, str(error))
            except Exception as error:
                LOG.exception("a query")
                answer = Answer(ticket, BUG.format(type(error).__name__))
            del self._cancelled[ticket]
            self._say(answer)

        self._threads.submit(guarded)


def answer_of(question: Question, database: Database | None) -> Answer:
    """What a database says."""
    ticket = question.ticket
    if database is None:
        return Answer(ticket, GONE)
    match question:
        case Conflicts():
            return Answer(ticket, "", Aside(_aside_of(database)))
        case History(table=table, key=key):
            cells = tuple(CellWritten(*cell) for cell in database.history(table, key))
            return Answer(ticket, "", Cells(cells))
        case _:
            assert_never(question)


def _aside_of(database: Database) -> tuple[Conflict, ...]:
    return tuple(
        Conflict(one.table, one.row, dict(one.values), one.reason, one.author, one.wall_ms)
        for one in database.conflicts()
    )


def _size(path: Path) -> int:
    """A database with its log, in bytes."""
    size = 0
    for name in (str(path), f"{path}-wal"):
        with suppress(OSError):
            size += os.stat(name).st_size
    return size
