"""What one connection asks about live databases, and what it watches of them.

Decides how answers look on a control line. The rows process reads, writes and merges; the peer
decides what is live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

from meerkat.errors import MeerkatError
from meerkat.rows import wire
from meerkat.rows.values import Scalar

from . import schema
from .cells import Params, from_json, params_from_json, to_json
from .tables import TableDesk

__all__ = ["Databases", "DeskOfDatabases", "PeerOfDatabases", "Rows"]

MAX_WATCHES = 256  # of one connection; guess
MAX_ANSWER = 16 * 1024 * 1024  # characters of texts and bytes in one answer; a line holds it
EVENT_BYTES = 256 * 1024  # of rows in one event, about: escaped, it stays below a line. guess
EVENT_CELL = 16 * 1024  # characters or bytes of a cell in an event; longer ones are left out
OPEN = frozenset({"live", "merging"})
NOT_OPEN = {
    "off": "It is an ordinary file, for everyone. `meerkat db on` merges it by rows again.",
    "ignored": "A rule of this folder ignores it: it is not shared and not changed here.",
}
_NOTHING = {"file_bytes": 0, "state_bytes": 0, "journal_mode": "", "tables": []}  # is known
CELL_BYTES = 24  # of a number in an event, with its quotes and commas; about
PutEvent = Callable[[Mapping[str, Any]], None]


class Rows(Protocol):
    """The rows process: ``node.rows``, seen from here. Paths are those in the folder.

    Everything raises ``MeerkatError`` if there is no live database at the path, or with what SQLite
    says.
    """

    def databases(self) -> list[tuple[str, str, int]]:
        """(path, problem or nothing, rows set aside), sorted."""

    async def describe(self, path: str) -> wire.DatabaseFacts:
        """How it is, and what its tables are."""

    async def conflicts(self, path: str) -> tuple[wire.Conflict, ...]:
        """Rows that a constraint keeps out of the file."""

    async def history(
        self, path: str, table: str, key: tuple[Scalar, ...]
    ) -> tuple[wire.CellWritten, ...]:
        """Who wrote the cells of a row."""

    async def query(self, path: str, sql: str, params: Params, *, limit: int) -> wire.Rows:
        """Read."""

    async def execute(self, path: str, sql: str, params: Params, *, limit: int) -> wire.Rows:
        """Write, in one transaction."""

    async def watch(
        self, path: str, table: str, hear: Callable[[wire.Changes], None]
    ) -> Callable[[], None]:
        """Call ``hear`` with all changes from now on; returns how to stop that."""


class PeerOfDatabases(Protocol):
    """The peer: ``node.requests``, seen from here."""

    async def set_live(self, path: str, *, live: bool) -> dict[str, Any]:
        """Merge the database at ``path`` by rows, or treat it as an ordinary file."""

    def databases(self) -> list[dict[str, Any]]:
        """Every database, live or not, by path: ``core.status.DatabaseEntry``."""

    def author_name(self, author: bytes) -> str:
        """A name to show for an author."""


class DeskOfDatabases(Protocol):
    """Who answers: the node, seen from here."""

    @property
    def rows(self) -> Rows:
        """For what is in databases."""

    @property
    def requests(self) -> PeerOfDatabases:
        """For what is decided about them."""

    def describe(self) -> dict[str, Any]:
        """Everything a person can be told, as JSON values."""


class Databases:
    """Requests in, ``rows`` events out. ``end`` it."""

    def __init__(self, desk: DeskOfDatabases, put: PutEvent) -> None:
        """``put`` may drop what is not read in time."""
        self._desk, self._put = desk, put
        self._watches: dict[int, Callable[[], None]] = {}
        self._ended = False

    def end(self) -> None:
        """The connection is gone."""
        self._ended = True
        for stop in self._watches.values():
            stop()
        self._watches.clear()

    async def ask(self, request: schema.DatabaseRequest) -> dict[str, Any]:
        """Carry out a request.

        Raises:
            MeerkatError: why it cannot be.
        """
        try:
            return await self._ask(request)
        except MeerkatError as error:
            if isinstance(request, schema.DbOff | schema.DbOn):
                raise  # it says what is in the way of that
            if why := self._why_not(getattr(request, "path", "")):
                raise MeerkatError(why) from error
            raise

    def _why_not(self, path: str) -> str:
        """What is known of a file that is no live database; empty if it is one."""
        if not path or any(one == path for one, _, _ in self._desk.rows.databases()):
            return ""
        problems = self._desk.describe()["problems"]
        texts = [one["text"] for one in problems if one["path"] == path]
        listed = self._desk.requests.databases()
        texts += [NOT_OPEN.get(one["state"], "") for one in listed if one["path"] == path]
        return next((f"{path}: {text}" for text in texts if text), "")

    async def _ask(self, request: schema.DatabaseRequest) -> dict[str, Any]:
        match request:
            case schema.DbList():
                return {"databases": self._listed()}
            case schema.DbStatus(path=path):
                return await self._status(path)
            case schema.DbOff(path=path):
                return await self._desk.requests.set_live(path, live=False)
            case schema.DbOn(path=path):
                return await self._desk.requests.set_live(path, live=True)
            case schema.DbConflicts(path=path):
                found = await self._desk.rows.conflicts(path)
                return {"conflicts": [self._conflict(one) for one in found]}
            case schema.DbHistory(path=path, table=table, key=key):
                cells = await self._desk.rows.history(path, table, tuple(map(from_json, key)))
                return {"cells": [self._cell(one) for one in cells]}
            case schema.DbQuery(path=path, sql=sql, params=params, limit=limit):
                values = params_from_json(params)
                return _answer(await self._desk.rows.query(path, sql, values, limit=limit))
            case schema.DbExec(path=path, sql=sql, params=params, limit=limit):
                values = params_from_json(params)
                answer = await self._desk.rows.execute(path, sql, values, limit=limit)
                return {**_answer(answer), "changed": answer.changed}
            case schema.DbWatch(watch=number, path=path, table=table):
                await self._watch(number, path, table)
                return {}
            case schema.DbUnwatch(watch=number):
                self._watches.pop(number, _nothing)()
                return {}
            case _:
                return await self._page(request)

    def _listed(self) -> list[dict[str, Any]]:
        """Every database, with what the rows process or the peer says of it."""
        said = {path: problem for path, problem, _ in self._desk.rows.databases()}
        listed = []
        for one in self._desk.requests.databases():
            state, problem = one["state"], one["problem"]
            if state in OPEN or state == "waiting":  # else it is none for the process
                problem = problem or said.get(one["path"], "")
                state = "waiting" if problem else state
            facts = {"path": one["path"], "state": state, "problem": problem}
            listed.append({**facts, "aside": one["aside"]})
        return listed

    async def _status(self, path: str) -> dict[str, Any]:
        """How one is; of what is not open here only that, and why."""
        try:
            facts = _facts(await self._desk.rows.describe(path))
        except MeerkatError as error:
            found = next((one for one in self._listed() if one["path"] == path), None)
            if found is None:
                raise
            problem = found["problem"] or NOT_OPEN.get(found["state"], str(error))
            return {**_NOTHING, **found, "problem": problem}
        return {**facts, "state": "live"}

    async def _page(self, request: schema.TableRequest) -> dict[str, Any]:
        """What a page asks, which sends no SQL."""
        path = request.path

        async def run(
            sql: str, params: tuple[Scalar, ...] = (), *, write: bool = False
        ) -> wire.Rows:
            ask = self._desk.rows.execute if write else self._desk.rows.query
            return await ask(path, sql, params, limit=schema.MAX_ROWS)

        desk = TableDesk(run)
        match request:
            case schema.DbTables():
                return {"tables": await desk.tables()}
            case schema.DbRows():
                return await desk.page(request)
            case schema.DbCell(table=table, key=key, column=column):
                return {"value": await desk.cell(table, key, column)}
            case schema.DbSetCell(table=table, key=key, column=column, value=value):
                await desk.set_cell(table, key, column, value)
                return {}
            case schema.DbInsertRow(table=table, values=values):
                return {"key": await desk.insert(table, values)}
            case schema.DbDeleteRow(table=table, key=key):
                await desk.delete(table, key)
                return {}
            case _:
                assert_never(request)

    async def _watch(self, number: int, path: str, table: str) -> None:
        if number in self._watches:
            raise MeerkatError(f"Watch {number} is in use already; choose another number.")
        if len(self._watches) >= MAX_WATCHES:
            raise MeerkatError("Too many tables are watched here; end some.")
        self._watches[number] = _nothing  # taken while we ask
        try:
            stop = await self._desk.rows.watch(path, table, lambda news: self._tell(number, news))
        except BaseException:
            self._watches.pop(number, None)
            raise
        if self._ended or number not in self._watches:
            stop()
        else:
            self._watches[number] = stop

    def _tell(self, number: int, news: wire.Changes) -> None:
        if self._ended:
            return
        changes: list[dict[str, Any]] = []
        again, size = news.again, 0
        for one in news.changes:
            row_size = _size_of(one)
            if row_size > EVENT_BYTES:
                again = True  # too wide to be told
                continue
            if size + row_size > EVENT_BYTES:
                self._put({"event": "rows", "watch": number, "changes": changes, "again": False})
                changes, size = [], 0
            changes.append(self._changed(one))
            size += row_size
        self._put({"event": "rows", "watch": number, "changes": changes, "again": again})

    def _changed(self, one: wire.RowChanged) -> dict[str, Any]:
        return {
            "table": one.table,
            "operation": one.operation,
            "key": [to_json(cell) for cell in one.key],
            "old": None if one.old is None else _by_column(_small(one.old)),
            "new": None if one.new is None else _by_column(_small(one.new)),
            **self._who(one.author),
        }

    def _conflict(self, one: wire.Conflict) -> dict[str, Any]:
        return {
            "table": one.table,
            "row": one.id.hex(),
            "values": _by_column(one.values),
            "reason": one.reason,
            **self._who(one.author),
            "wall_ms": one.wall_ms,
        }

    def _cell(self, one: wire.CellWritten) -> dict[str, Any]:
        return {"column": one.column, **self._who(one.author), "wall_ms": one.wall_ms}

    def _who(self, author: bytes) -> dict[str, Any]:
        return {
            "author": author.hex(),
            "name": self._desk.requests.author_name(author) if author else "",
        }


def _small(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row fits into an event."""
    return {
        name: value
        for name, value in values.items()
        if not isinstance(value, str | bytes) or len(value) <= EVENT_CELL
    }


def _size_of(change: wire.RowChanged) -> int:
    """About how long a row is in an event, in bytes."""
    rows = (_small(one) for one in (change.old, change.new) if one is not None)
    return sum(
        CELL_BYTES + len(name) + (len(value) if isinstance(value, str | bytes) else 0)
        for row in rows
        for name, value in row.items()
    )


def _nothing() -> None:
    pass


def _facts(facts: wire.DatabaseFacts) -> dict[str, Any]:
    return {
        "path": facts.path,
        "problem": facts.problem,
        "aside": facts.aside,
        "file_bytes": facts.file_bytes,
        "state_bytes": facts.state_bytes,
        "journal_mode": facts.journal_mode,
        "tables": [
            {
                "name": table.name,
                "kind": table.kind,
                "rows": table.rows,
                "columns": [column.name for column in table.columns],
            }
            for table in facts.tables
        ],
    }


def _by_column(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json(value) for name, value in values.items()}


def _answer(answer: wire.Rows) -> dict[str, Any]:
    size = sum(len(one) for row in answer.rows for one in row if isinstance(one, str | bytes))
    if size > MAX_ANSWER:
        raise MeerkatError(
            f"The answer has more than {MAX_ANSWER // 1024**2} MiB. Ask for fewer rows or columns."
        )
    rows = [[to_json(cell) for cell in row] for row in answer.rows]
    return {"columns": list(answer.columns), "rows": rows, "more": answer.more}
