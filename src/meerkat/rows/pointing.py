"""Where the foreign keys of a program's rows point: to which row, or nowhere.

A reference to a row whose id SQLite gave is recorded as a reference to that row, since its id may
become another where two were born under one. A reference that points nowhere in the program's own
file is no fault of merging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apsw

from .desk import Desk
from .schema import ForeignKey, Table
from .sqltext import quote
from .values import RawText, Scalar
from .visible import Visible

__all__ = ["Pointing"]

Promise = Callable[[Visible, int], bytes | None]
"""The row id that a parent will have which is born later in the same recording."""

KNOWN_COUNT = 10_000  # answers that are remembered (guess)


class Pointing:
    """For one recording; ``file`` is what the program left, the desk's state what was before."""

    def __init__(self, file: apsw.Connection, desk: Desk, promise: Promise) -> None:
        self._file, self._desk = file, desk
        self._promise = promise
        self._stand: dict[tuple[str, tuple[str, ...], tuple[Scalar, ...]], bool] = {}
        self._parents: dict[tuple[str, int], bytes | None] = {}
        self._keys: dict[str, list[tuple[ForeignKey, list[int]]]] = {}

    def dangles(self, table: Table, values: Sequence[Scalar]) -> bool:
        """Whether a declared foreign key of a row points nowhere in the program's file."""
        if not table.foreign_keys:
            return False
        keys = self._keys.get(table.name)
        if keys is None:
            keys = self._keys[table.name] = list(_keys_of(table))
        for key, places in keys:
            wanted = tuple(values[place] for place in places)
            if None not in wanted and not self._is_there(key, wanted):
                return True
        return False

    def parent(self, table_id: str, column: str, value: Scalar) -> bytes | None:
        """The row id of the parent that a cell refers to, if that parent's id may change."""
        if not isinstance(value, int):
            return None
        parent_id = self._desk.parent_of(table_id, column)
        parent = self._desk.visible(parent_id) if parent_id is not None else None
        if parent is None:
            return None
        known = (parent.id, value)
        if known not in self._parents:
            if len(self._parents) >= KNOWN_COUNT:
                self._parents.clear()
            self._parents[known] = self._find(parent, value)
        return self._parents[known]

    def _find(self, parent: Visible, value: int) -> bytes | None:
        found = self._desk.ledger.at(parent.id, value)
        if found is not None:
            return found.id if found.id[:1] == b"a" else None
        if parent.get(value) is not None:
            return None  # of the base, or known by its key: its id is what it is
        name = parent.table.rowid_column or ""
        key = ForeignKey((), parent.table.name, (name,))
        return self._promise(parent, value) if self._is_there(key, (value,)) else None

    def _is_there(self, key: ForeignKey, wanted: tuple[Scalar, ...]) -> bool:
        known = (key.parent, key.parent_columns, wanted)
        found = self._stand.get(known)
        if found is None:
            if len(self._stand) >= KNOWN_COUNT:
                self._stand.clear()
            found = self._stand[known] = _stands(self._file, key, wanted)
        return found


def _keys_of(table: Table) -> Iterator[tuple[ForeignKey, list[int]]]:
    """The foreign keys of a table, with where their columns are; not those of generated ones."""
    names = [column.name for column in table.columns]
    for key in table.foreign_keys:
        if all(name in names for name in key.columns):
            yield key, [names.index(name) for name in key.columns]


def _stands(connection: apsw.Connection, key: ForeignKey, wanted: Sequence[Scalar]) -> bool:
    if not key.parent_columns or any(isinstance(one, RawText) for one in wanted):
        return False
    where = " AND ".join(f"{quote(name)} = ?" for name in key.parent_columns)
    try:
        bound: Any = tuple(wanted)
        row = connection.execute(
            f"SELECT 1 FROM {quote(key.parent)} WHERE {where} LIMIT 1", bound
        ).fetchone()
    except apsw.SQLError:
        return False  # there is no such parent
    return row is not None
