"""SQL that people and programs of ours run on a live database, on a connection of its own.

Bounded in rows, bytes and time, and unable to reach beyond the file: only reading, unless it is
asked to write, and then in one transaction. Does not decide which file (``serving``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from .authorizing import reading_only, writing_too
from .schema import Table, read_schema
from .sqltext import quote
from .values import RawText, Scalar
from .wire import Column, Conflict, Query, Rows, TableFacts

__all__ = ["ASIDE_TABLE", "QueryError", "QueryLimits", "describe_tables", "run_query"]

MIB = 1024 * 1024
_STEPS = 5_000  # of SQLite's machine between looks at the clock: well below a millisecond
_FLAGS = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
_NOW_AND_THEN = 64  # rows between looks at the clock

ASIDE_TABLE = "meerkat_conflicts"
"""The rows that are not in the file, as a table for queries."""
_MAKE_ASIDE = (
    'CREATE TEMP TABLE meerkat_conflicts("table" TEXT, "row" TEXT, reason TEXT, author TEXT,'
    ' wall_ms INTEGER, "values" TEXT)'
)


class QueryError(Exception):
    """It cannot be answered; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Sizes in bytes, times in seconds; all guesses."""

    rows: int = 100_000
    answer_bytes: int = 8 * MIB  # about; held by several processes at once
    value_bytes: int = 64 * MIB  # of one value or row, also in between
    seconds: float = 60.0
    lock_retry: float = 0.005  # between attempts while another program has the file
    describing: float = (
        1.0  # for the names of tables and columns; longer while it is locked: no use
    )
    counting: float = 0.2  # for counting the rows of all tables of a database


@dataclass(slots=True)
class _Result:
    """What the last statement that has columns gave."""

    columns: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    size: int = 0  # bytes, about
    more: bool = False


class _Patience:
    """Until when, and whether anybody still wants the answer."""

    def __init__(self, seconds: float, cancelled: Callable[[], bool], retry: float) -> None:
        self._until = time.monotonic() + seconds
        self._cancelled = cancelled
        self._retry = retry
        self._seconds = seconds

    def over(self) -> bool:
        """For SQLite: whether to interrupt."""
        return self._cancelled() or time.monotonic() >= self._until

    def wait(self, _tries: int) -> bool:
        """For SQLite: another program has the file; whether to try again."""
        if self.over():
            return False
        time.sleep(self._retry)
        return True

    def why(self) -> str:
        """Why it was interrupted."""
        if self._cancelled():
            return "Nobody waits for the answer any more."
        return f"It took longer than {self._seconds:g} s, and was given up."


def run_query(
    path: Path,
    query: Query,
    cancelled: Callable[[], bool],
    limits: QueryLimits,
    aside: Iterable[Conflict] | None = None,
) -> Rows:
    """Run a query's SQL on the file ``path``. For any thread.

    ``aside``: rows for a temporary table ``ASIDE_TABLE``; their values are JSON, with what is no
    JSON as hexadecimal digits.

    Raises:
        QueryError: if SQLite refuses it, it may not be run, or it takes too long.
    """
    seconds = min(max(query.seconds, 0.0), limits.seconds)
    patience = _Patience(seconds, cancelled, limits.lock_retry)
    params = _bindings(query.params)
    with _opened(path, patience, limits) as connection:
        if aside is not None:
            _show_aside(connection, aside)
        bound = _Bound(min(query.limit, limits.rows), limits.answer_bytes)
        if query.write:
            return _write(connection, query.sql, params, bound)
        connection.pragma("query_only", True)
        connection.authorizer = reading_only
        try:
            return _rows(_run(connection, query.sql, params, bound, patience.over))
        except UnicodeDecodeError:
            raw = _raw_sql(connection, query.sql, params)
        return _cooked(_run(connection, raw, params, bound, patience.over))


def describe_tables(path: Path, limits: QueryLimits) -> tuple[tuple[TableFacts, ...], str]:
    """The tables and views of the file ``path``, and its journal mode. For any thread.

    Raises:
        QueryError: if it cannot be read.
    """
    patience = _Patience(limits.describing, lambda: False, limits.lock_retry)
    with _opened(path, patience, limits) as connection:
        schema = read_schema(connection)
        counting = _Patience(limits.counting, lambda: False, limits.lock_retry)
        connection.set_progress_handler(counting.over, _STEPS)
        facts = [_table(connection, table) for table in schema.tables.values()]
        connection.set_progress_handler(patience.over, _STEPS)
        facts += [
            _view(connection, one.name, one.sql)
            for one in schema.objects.values()
            if one.kind == "view"
        ]
        mode = connection.pragma("journal_mode")
        return tuple(facts), str(mode)


@contextmanager
def _opened(path: Path, patience: _Patience, limits: QueryLimits) -> Iterator[apsw.Connection]:
    """A connection that cannot reach beyond its file; SQLite's errors become ours."""
    try:
        connection = apsw.Connection(str(path), flags=_FLAGS)
    except apsw.Error as error:
        raise QueryError(f"The database cannot be opened: {error}.") from error
    try:
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, limits.value_bytes)
        connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        connection.limit(apsw.SQLITE_LIMIT_WORKER_THREADS, 0)
        connection.set_busy_handler(patience.wait)
        connection.set_progress_handler(patience.over, _STEPS)
        yield connection
    except apsw.InterruptError as error:
        raise QueryError(patience.why()) from error
    except apsw.AuthError as error:
        raise QueryError(f"This must not be done here: {error}.") from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise QueryError("Another program holds the database; try again.") from error
    except UnicodeDecodeError as error:
        raise QueryError("It gives text that is not UTF-8; CAST it to a BLOB.") from error
    except KeyError as error:
        raise QueryError(f"No value was given for :{error.args[0]}.") from error
    except (apsw.Error, TypeError, ValueError, OverflowError) as error:
        raise QueryError(f"{str(error).rstrip('.')}.") from error
    finally:
        connection.set_progress_handler(None)
        connection.close(True)


@dataclass(frozen=True, slots=True)
class _Bound:
    rows: int
    size: int


def _bindings(params: tuple[Any, ...] | dict[str, Any]) -> tuple[Scalar, ...] | dict[str, Scalar]:
    values = params.values() if isinstance(params, dict) else params
    for value in values:
        if isinstance(value, RawText):
            raise QueryError("A text that is not UTF-8 cannot be a parameter.")
        if value is not None and not isinstance(value, int | float | str | bytes):
            raise QueryError("A parameter is null, a number, a text or bytes.")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise QueryError(f"{value} is too large: SQLite's integers have 64 bits.")
    return params


def _write(connection: apsw.Connection, sql: str, params: Any, bound: _Bound) -> Rows:
    connection.pragma("foreign_keys", True)
    connection.execute("BEGIN IMMEDIATE")
    before = connection.total_changes()
    connection.authorizer = writing_too
    try:
        result = _run(connection, sql, params, bound, None)
        connection.authorizer = None
        connection.execute("COMMIT")
    except BaseException:
        connection.authorizer = None
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return _rows(result, connection.total_changes() - before)


def _run(
    connection: apsw.Connection,
    sql: str,
    params: Any,
    bound: _Bound,
    over: Callable[[], bool] | None,
) -> _Result:
    """Run all statements; a read that has given enough ends there (``over`` is given)."""
    result = _Result()

    def begins(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        names = tuple(name for name, *_ in cursor.get_description())
        if names:
            result.columns, result.rows = names, []
            result.size, result.more = 0, False
        return True

    cursor = connection.cursor()
    cursor.exec_trace = begins
    for number, row in enumerate(cursor.execute(sql, params or None)):
        if len(result.rows) >= bound.rows or result.size >= bound.size:
            result.more = True
            if over is not None:
                break
            continue
        result.rows.append(row)
        result.size += _size(row)
        if over is not None and number % _NOW_AND_THEN == 0 and over():
            connection.interrupt()
    cursor.close(True)
    return result


def _size(row: tuple[Any, ...]) -> int:
    """About what it takes in a message."""
    return sum(len(one) if isinstance(one, str | bytes) else 8 for one in row) + 2


def _rows(result: _Result, changed: int = 0) -> Rows:
    return Rows(result.columns, tuple(result.rows), result.more, changed)


def _raw_sql(connection: apsw.Connection, sql: str, params: Any) -> str:
    """A query that gives each value of ``sql`` as its type and its bytes."""
    names: list[str] = []

    def begins(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        names.extend(name for name, *_ in cursor.get_description())
        return False

    cursor = connection.cursor()
    cursor.exec_trace = begins
    with suppress(apsw.ExecTraceAbort):
        cursor.execute(sql, params or None)
    inner = [f"c{number}" for number in range(len(names))]
    outer = ", ".join(
        f"CASE typeof({one}) WHEN 'text' THEN CAST({one} AS BLOB) ELSE {one} END AS {quote(name)}, "
        f"typeof({one})"
        for one, name in zip(inner, names, strict=True)
    )
    text = sql.strip().rstrip(";")
    return f"WITH meerkat_raw({', '.join(inner)}) AS ({text}\n) SELECT {outer} FROM meerkat_raw"


def _cooked(result: _Result) -> Rows:
    rows = tuple(
        tuple(
            _text(value) if kind == "text" else value
            for value, kind in zip(row[::2], row[1::2], strict=True)
        )
        for row in result.rows
    )
    return Rows(result.columns[::2], rows, result.more)


def _text(data: bytes) -> str | RawText:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return RawText(data)


def _show_aside(connection: apsw.Connection, aside: Iterable[Conflict]) -> None:
    connection.pragma("temp_store", "memory")
    connection.execute(_MAKE_ASIDE)
    connection.executemany(
        "INSERT INTO temp.meerkat_conflicts VALUES (?, ?, ?, ?, ?, ?)",
        (
            (
                one.table,
                one.id.hex(),
                one.reason,
                one.author.hex(),
                one.wall_ms,
                json.dumps(one.values, default=_hex, ensure_ascii=False),
            )
            for one in aside
        ),
    )


def _hex(value: RawText | bytes) -> str:
    return (value.data if isinstance(value, RawText) else value).hex()


# -- what there is ------------------------------------------------------------------------------


def _table(connection: apsw.Connection, table: Table) -> TableFacts:
    columns = tuple(
        Column(one.name, one.type, one.not_null, one.default, one.primary_key, one.generated)
        for one in table.declared
    )
    kind = "virtual" if table.module else "table"
    count = _count(connection, table.name) if table.replicated else None
    return TableFacts(table.name, kind, table.sql, columns, table.locator_columns, count)


def _count(connection: apsw.Connection, name: str) -> int | None:
    # Not count(*) of the table itself: that is one step of SQLite's machine, however long it takes.
    sql = f"SELECT count(*) FROM (SELECT 1 FROM main.{quote(name)} LIMIT -1)"
    try:
        return int(connection.execute(sql).get)
    except (apsw.InterruptError, apsw.SQLError):
        return None  # too many to count now, or a virtual table that this SQLite does not know


def _view(connection: apsw.Connection, name: str, sql: str) -> TableFacts:
    try:
        found = connection.execute(
            "SELECT name, type FROM pragma_table_xinfo(?, 'main')", (name,)
        ).fetchall()
    except apsw.SQLError:
        found = []  # a view of a table that is gone
    columns = tuple(Column(str(one), str(kind), False, None, 0, False) for one, kind in found)
    return TableFacts(name, "view", sql, columns, (), None)
