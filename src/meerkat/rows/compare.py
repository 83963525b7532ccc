"""Which rows of a table differ between a database's file and its state.

Reads both in the order of their locators and merges; memory is bounded by a few blocks of rows.
Values are the same only by type and bytes. What a difference means is decided elsewhere
(``pairing``, ``recording``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from .pages import MAX_ROWID, MIN_ROWID
from .schema import Table
from .skeleton import KeyRange
from .sqltext import quote
from .values import Locator, RawText, Scalar, encode_extension

__all__ = ["RowDelta", "compare"]

FIRST_ROWS: Final = 4  # of a block; it grows as long as rows turn out small
MOST_ROWS: Final = 1024
BLOCK_BYTES: Final = 512 * 1024  # what a block of rows should not exceed; guess
_TYPES_AT_ONCE: Final = 400  # in one expression; SQLite nests no deeper than 1000
_CODECS: Final = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}
_EVERY_ROW: Final = (KeyRange(MIN_ROWID, MAX_ROWID),)

Row = tuple[Any, ...]
"""The locator's values (unless it is one of the columns), then the columns'."""

_encode = msgspec.msgpack.Encoder(enc_hook=encode_extension).encode


@dataclass(frozen=True, slots=True)
class RowDelta:
    """A row that differs: as it was (in the state), and as it is (in the file); None: not there.

    The values are those of ``Table.columns``. The two places differ only in tables without rowids,
    where 1 and 1.0 are the same key.
    """

    old_at: Locator | None
    old: tuple[Scalar, ...] | None
    new_at: Locator | None
    new: tuple[Scalar, ...] | None


class _Order(NamedTuple):
    """How many values of a row its locator takes, what it is, and what orders it."""

    width: int
    at: Callable[[Row], Locator]
    key: Callable[[Row], Any]


def _order_of(table: Table, codec: str) -> _Order:
    if table.has_rowid:
        # The rowid comes first, or it is one of the columns anyway.
        names = [column.name for column in table.columns]
        if table.rowid_column in names:
            place = itemgetter(names.index(table.rowid_column))
            return _Order(0, place, place)
        return _Order(1, itemgetter(0), itemgetter(0))
    width = len(table.key)
    return _Order(width, lambda row: row[:width], _key(codec, width))


def compare(
    file: apsw.Connection,
    state: apsw.Connection,
    in_file: Table,
    in_state: Table,
    ranges: Iterable[KeyRange] | None = None,
) -> Iterator[RowDelta]:
    """The rows of a table that differ, in order; with ``ranges`` only those with these rowids.

    The two must have the same columns, and the table must not be written to on the way.

    Raises:
        apsw.Error: if either cannot be read.
    """
    ours, theirs = _Reader(file, in_file), _Reader(state, in_state)
    order = ours.order
    if in_file.has_rowid:
        for low, high in _EVERY_ROW if ranges is None else ranges:
            yield from _merge(ours.between(low, high), theirs.between(low, high), order)
        return
    yield from _merge(ours.all(), theirs.all(), order)


def _merge(ours: _Rows, theirs: _Rows, order: _Order) -> Iterator[RowDelta]:
    amount = FIRST_ROWS
    calm = True
    while True:
        here, there = ours.take(amount), theirs.take(amount)
        if not here and not there:
            return
        ended = len(here) < amount, len(there) < amount
        packed, other = _encode(here), _encode(there)
        size = max(len(packed), len(other))
        if size > BLOCK_BYTES:
            amount = max(1, amount // 2)
        elif size * 4 < BLOCK_BYTES:
            amount = min(MOST_ROWS, amount * 4)
        # Most of what is compared is the same; one look at all bytes of a block tells.
        if calm and packed == other:
            continue
        calm = True
        for delta in _differing(here, there, ended, order):
            calm = False
            yield delta
        ours.back(here)
        theirs.back(there)


def _differing(
    here: list[Row],
    there: list[Row],
    ended: tuple[bool, bool],
    order: _Order,
) -> Iterator[RowDelta]:
    """Compare two blocks as far as they overlap, and leave the rest of them."""
    width, at, key = order.width, order.at, order.key
    at_here = at_there = 0
    if list(map(at, here)) == list(map(at, there)):  # the usual: only values changed
        for new, old, one, other in zip(
            here, there, map(_encode, here), map(_encode, there), strict=True
        ):
            if one != other:
                yield RowDelta(at(old), old[width:], at(new), new[width:])
        here.clear()
        there.clear()
        return
    while at_here < len(here) and at_there < len(there):
        new, old = here[at_here], there[at_there]
        new_key, old_key = key(new), key(old)
        if new_key == old_key:
            at_here, at_there = at_here + 1, at_there + 1
            if new != old or _encode(new) != _encode(old):
                yield RowDelta(at(old), old[width:], at(new), new[width:])
        elif new_key < old_key:
            at_here += 1
            yield RowDelta(None, None, at(new), new[width:])
        else:
            at_there += 1
            yield RowDelta(at(old), old[width:], None, None)
    if ended[1] and at_there == len(there):
        for new in here[at_here:]:
            yield RowDelta(None, None, at(new), new[width:])
        at_here = len(here)
    if ended[0] and at_here == len(here):
        for old in there[at_there:]:
            yield RowDelta(at(old), old[width:], None, None)
        at_there = len(there)
    del here[:at_here]
    del there[:at_there]


class _Reader:
    """Reads one table of one connection."""

    def __init__(self, connection: apsw.Connection, table: Table) -> None:
        self._connection = connection
        self.codec = _CODECS[str(connection.execute("PRAGMA main.encoding").get)]
        self.order = _order_of(table, self.codec)
        names = [*table.locator_columns[: self.order.width], *(one.name for one in table.columns)]
        self._names = [quote(name) for name in names]
        name = f"main.{quote(table.name)}"
        if table.has_rowid:
            place = quote(table.locator_columns[0])
            # An index that covers all columns would be read instead of the table itself.
            hint = "" if table.module else " NOT INDEXED"
            self._rest = f"FROM {name}{hint} WHERE {place} BETWEEN ? AND ? ORDER BY {place}"
        else:
            order = ", ".join(f"{quote(column)} COLLATE BINARY" for column in table.key)
            self._rest = f"FROM {name} ORDER BY {order} LIMIT -1 OFFSET ?"

    def between(self, low: int, high: int) -> _Rows:
        """The rows with these rowids, in order."""
        return _Rows(
            self, lambda last, _: (low if last is None else self.order.key(last) + 1, high)
        )

    def all(self) -> _Rows:
        """All rows, in the order of their keys."""
        return _Rows(self, lambda _, count: (count,))

    def read(self, bindings: tuple[int, ...]) -> Iterator[Row]:
        """Read; UnicodeDecodeError if some text is not UTF-8."""
        if self.codec != _CODECS["UTF-8"]:
            return self.careful(bindings)  # else SQLite would replace what is not UTF-16
        return iter(
            self._connection.execute(f"SELECT {', '.join(self._names)} {self._rest}", bindings)
        )

    def careful(self, bindings: tuple[int, ...]) -> Iterator[Row]:
        """The same, for text that may be anything, and slower."""
        names = self._names
        types = [
            "||".join(f"substr(typeof({name}), 1, 1)" for name in names[at : at + _TYPES_AT_ONCE])
            for at in range(0, len(names), _TYPES_AT_ONCE)
        ]
        values = [
            f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
            for name in names
        ]
        for row in self._connection.execute(
            f"SELECT {', '.join(types + values)} {self._rest}", bindings
        ):
            kinds = "".join(str(part) for part in row[: len(types)])
            yield tuple(
                self._text(value) if kind == "t" and isinstance(value, bytes) else value
                for kind, value in zip(kinds, row[len(types) :], strict=True)
            )

    def _text(self, data: bytes) -> str | RawText:
        try:
            return data.decode(self.codec)
        except UnicodeDecodeError:
            return RawText(data)


class _Rows:
    """Rows on their way, in blocks. ``bindings``: to read on after the last row or as many rows."""

    def __init__(
        self, reader: _Reader, bindings: Callable[[Row | None, int], tuple[int, ...]]
    ) -> None:
        self._reader, self._bindings = reader, bindings
        self._kept: list[Row] = []
        self._last: Row | None = None
        self._count = 0
        self._cursor = reader.read(bindings(None, 0))

    def take(self, amount: int) -> list[Row]:
        """As many rows; fewer only at the end."""
        rows, self._kept = self._kept[:amount], self._kept[amount:]
        before = len(rows)
        try:
            rows.extend(islice(self._cursor, amount - before))
        except UnicodeDecodeError:  # what came before it is in the list
            self._note(rows, before)
            self._cursor = self._reader.careful(self._bindings(self._last, self._count))
            self._kept = rows
            return self.take(amount)
        self._note(rows, before)
        return rows

    def _note(self, rows: list[Row], before: int) -> None:
        if len(rows) > before:
            self._last = rows[-1]
            self._count += len(rows) - before

    def back(self, rows: list[Row]) -> None:
        """Give back rows that were taken last."""
        self._kept = rows + self._kept


def _key(codec: str, width: int) -> Callable[[Row], tuple[tuple[int, Any], ...]]:
    """How SQLite orders keys under the collation BINARY."""

    def place(value: Scalar) -> tuple[int, Any]:
        if value is None:
            return 0, 0
        if isinstance(value, int | float):
            return 1, value
        if isinstance(value, str):
            return 2, value.encode(codec)
        return (2, value.data) if isinstance(value, RawText) else (3, value)

    return lambda row: tuple(map(place, row[:width]))
