"""A live database, as a program sees it: SQL in, rows out, changes as they happen.

Everything goes over the control socket; the file itself is opened by the rows process alone. Any
other library may open it, too: what it writes is found, merged and heard of here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, SupportsIndex, overload

from meerkat.control import schema
from meerkat.control.cells import RawText, Scalar, from_json, params_to_json
from meerkat.errors import MeerkatError

from .streams import Stream

__all__ = [
    "Change",
    "ChangeStream",
    "Conflict",
    "Database",
    "Row",
    "Rows",
    "Written",
    "path_in",
]

Facts = Mapping[str, Any]
Cell = None | int | float | str | bytes
Values = Iterable[Cell] | Mapping[str, Cell]

LIMIT = 10_000  # rows of one answer, unless a program asks for more
# One statement that only reads; everything else runs in a transaction that may write.
READS = re.compile(
    r"(?>\s+|--[^\n]*\n|/\*.*?\*/)*+(?:SELECT|VALUES|EXPLAIN)\b[^;]*+;?\s*", re.I | re.DOTALL
)


class Row(tuple[Any, ...]):
    """A row: a tuple whose cells can be had by their column's name, too."""

    columns: tuple[str, ...]

    def __new__(cls, columns: tuple[str, ...], cells: Iterable[Cell]) -> Self:
        row = super().__new__(cls, cells)
        row.columns = columns
        return row

    @overload
    def __getitem__(self, place: SupportsIndex | str, /) -> Any: ...
    @overload
    def __getitem__(self, place: slice, /) -> tuple[Any, ...]: ...
    def __getitem__(self, place: Any, /) -> Any:
        if isinstance(place, str):
            try:
                return super().__getitem__(self.columns.index(place))
            except ValueError:
                raise KeyError(place) from None
        return super().__getitem__(place)

    def keys(self) -> tuple[str, ...]:
        """The columns, so that ``dict(row)`` works."""
        return self.columns


class Rows(list[Row]):
    """What a statement gave. ``changed``: how many rows it wrote."""

    def __init__(self, columns: tuple[str, ...], rows: Iterable[Row], changed: int = 0) -> None:
        super().__init__(rows)
        self.columns = columns
        self.changed = changed


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is another than before.

    ``operation``: "insert", "update" or "delete"; or "reload": more changed than is told one by
    one, so read the table again. ``key``: the rowid, or in a WITHOUT ROWID table the primary key.
    ``old`` and ``new`` are the row's cells by column, without those of more than 16 KiB. ``name``
    and ``author`` (an id): who wrote it; empty if a program of this machine did. ``missed``
    messages with changes came just before this one and were dropped, because this program read too
    slowly.
    """

    table: str
    operation: str
    key: tuple[Any, ...] = ()
    old: dict[str, Any] | None = field(default=None, repr=False)
    new: dict[str, Any] | None = None
    name: str = ""
    author: str = ""
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that a constraint keeps out of the file, whole, and why."""

    table: str
    values: dict[str, Any]
    reason: str
    name: str
    author: str
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Written:
    """Who wrote a cell last, and when (ms since the epoch); empty and 0: nobody since it came."""

    column: str
    name: str
    author: str
    wall_ms: int


class Ask(Protocol):
    """Asks the folder's process."""

    def __call__(
        self, request: schema.Request, *, within: float | None = ...
    ) -> Awaitable[dict[str, Any]]:
        """The answer's facts."""


class ChangeStream(Stream[Change]):
    """Changes one by one: ``async for`` it."""

    def __init__(self, path: Path, request: schema.DbWatch) -> None:
        super().__init__(path, (), self._take, request=request)
        self._table = request.table
        self._rest: deque[Change] = deque()

    async def __anext__(self) -> Change:
        if self._rest:
            return self._rest.popleft()
        return await super().__anext__()

    def _take(self, event: Facts, missed: int) -> Change | None:
        self._rest.extend(_change(one) for one in event.get("changes", ()))
        if event.get("again"):
            self._rest.append(Change(self._table, "reload"))
        if not self._rest:
            return None
        first = self._rest.popleft()
        return replace(first, missed=missed)


class Database:
    """One live database of a pool: ``pool.database(path)``."""

    def __init__(
        self, path: str, ask: Ask, hear: Callable[[schema.DbWatch], Stream[Change]]
    ) -> None:
        self.path = path
        self._ask = ask
        self._hear = hear

    async def execute(self, sql: str, values: Values = (), *, limit: int = LIMIT) -> Rows:
        """Run SQL; its rows, each a tuple with names.

        ``values``: for each ``?`` in order, or for each ``:name`` by name. What writes is one
        transaction, however many statements it has: other members see all of it or nothing.

        Raises:
            MeerkatError: what SQLite says, or that there are more rows than ``limit``.
        """
        params = params_to_json(_scalars(values))
        ask = schema.DbQuery if READS.fullmatch(sql) else schema.DbExec
        answer = await self._ask(
            ask(path=self.path, sql=sql, params=params, limit=limit), within=None
        )
        if answer["more"]:
            raise MeerkatError(f"There are more than {limit:,} rows. Say LIMIT, or raise `limit`.")
        columns = tuple(str(name) for name in answer["columns"])
        rows = (Row(columns, (_cell(cell) for cell in row)) for row in answer["rows"])
        return Rows(columns, rows, int(answer.get("changed", 0)))

    def watch(self, table: str) -> Stream[Change]:
        """The rows of a table that change from now on, whoever changes them."""
        return self._hear(schema.DbWatch(watch=1, path=self.path, table=table))

    def changes(self) -> Stream[Change]:
        """The same for all tables."""
        return self.watch("")

    async def status(self) -> dict[str, Any]:
        """How it is, as `meerkat db status --json` prints it."""
        return await self._ask(schema.DbStatus(path=self.path))

    async def conflicts(self) -> list[Conflict]:
        """The rows that a constraint keeps out of the file."""
        answer = await self._ask(schema.DbConflicts(path=self.path))
        return [
            Conflict(
                one["table"],
                _by_column(one["values"]),
                one["reason"],
                one["name"],
                one["author"],
                one["wall_ms"],
            )
            for one in answer["conflicts"]
        ]

    async def history(self, table: str, *key: Cell) -> list[Written]:
        """Who wrote each cell of a row last: of the one with this rowid (or primary key)."""
        values = tuple(params_to_json(list(key)))
        answer = await self._ask(schema.DbHistory(path=self.path, table=table, key=values))
        return [
            Written(one["column"], one["name"], one["author"], one["wall_ms"])
            for one in answer["cells"]
        ]


def _scalars(values: Values) -> Iterable[Scalar] | Mapping[str, Scalar]:
    if isinstance(values, Mapping):
        return {name: _scalar(value) for name, value in values.items()}
    return [_scalar(value) for value in values]


def _scalar(value: Any) -> Scalar:
    """As sqlite3 takes it."""
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return RawText(value.encode(errors="surrogateescape"))
    if value is None or isinstance(value, int | float | str | bytes):
        return value
    raise TypeError(f"SQLite holds no {type(value).__name__}; give it a number, text or bytes")


def _cell(value: Any) -> Cell:
    """A text that is not UTF-8 keeps its bytes as lone surrogates (``surrogateescape``)."""
    cell = from_json(value)
    return cell.data.decode(errors="surrogateescape") if isinstance(cell, RawText) else cell


def _by_column(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cell(value) for name, value in cells.items()}


def _change(facts: Facts) -> Change:
    old, new = facts["old"], facts["new"]
    return Change(
        str(facts["table"]),
        str(facts["operation"]),
        tuple(_cell(one) for one in facts["key"]),
        None if old is None else _by_column(old),
        None if new is None else _by_column(new),
        str(facts["name"]),
        str(facts["author"]),
    )


def path_in(folder: Path, path: str | Path) -> str:
    """A file's path in the folder, however a program names it.

    Raises:
        MeerkatError: if it lies outside.
    """
    given = Path(path)
    if not given.is_absolute():
        return given.as_posix()
    root = folder.resolve()
    if not given.resolve().is_relative_to(root):
        raise MeerkatError(f"{path} lies outside {folder}.")
    return given.resolve().relative_to(root).as_posix()
