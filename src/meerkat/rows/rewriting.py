"""Cells that no constraint between rows is about: where they change, many rows are alike.

Decides which columns are such, and what a visible row's record says once some of its cells were
written. For what others wrote (``bulk``) and what programs wrote (``recording``) alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

from .cells import Cells
from .desk import Desk
from .existence import with_newest
from .ledger import VISIBLE, Ledger, Row, pack_row, unpack_row
from .values import Locator, Scalar
from .visible import Visible

__all__ = ["Rewrite", "Rewriting", "is_plain", "rewriter"]

SAME_COUNT: Final = 1_000  # different records that are remembered while many are written (guess)
MAX_GROUPS: Final = 32  # combinations of columns; rows with others are written one by one (guess)
COPIED_COUNT: Final = 500  # rows read and written at once (guess)

Rewrite = Callable[[tuple[Any, ...]], bytes | None]
"""From a record as ``Ledger.raw_rows`` gives it to its data; None: not every cell wins."""


def is_plain(desk: Desk, visible: Visible, columns: Sequence[str]) -> bool:
    """Whether no constraint between rows is about any of these columns."""
    if not columns or visible.rowid_column in columns:
        return False
    special = {*visible.key, *desk.unique_columns(visible.id)}
    for link in desk.links.get(visible.id, ()):
        special.update(link.column_ids)
    if not special.isdisjoint(columns):
        return False
    names = {visible.names[column] for column in columns}
    return all(names.isdisjoint(link.parent_columns) for link in desk.referred.get(visible.id, ()))


def rewriter(ledger: Ledger, table: str, columns: Sequence[str], op: int) -> Rewrite:
    """What records say once an operation has written to these columns of visible rows."""

    @functools.lru_cache(SAME_COUNT)
    def data_of(state: int, origin: int, shape: int, flags: int, data: bytes | None) -> Any:
        row = unpack_row(table, (b"", state, None, origin, shape, flags, data))
        stamp = ledger.stamp(op)
        if row.state != VISIBLE or any(
            stamp < ledger.stamp(ledger.writer(row, column)) for column in columns
        ):
            return None
        row.cells |= dict.fromkeys(columns, op)
        row.touches = with_newest(ledger, row.touches, op)
        row.values = {c: v for c, v in row.values.items() if c not in columns}
        return pack_row(row)

    return lambda raw: data_of(raw[1], *raw[3:])


class _Group:
    """Rows whose cells in the same columns were written."""

    def __init__(self, columns: tuple[str, ...], rewrite: Rewrite) -> None:
        self.columns, self.rewrite = columns, rewrite
        self.places: list[Locator] = []  # until the state's rows are written
        self.data: list[tuple[bytes, bytes]] = []  # until the ledger is: of those with a record
        self.new: list[Row] = []  # ... and of the others


class Rewriting:
    """Rows of one table that a program changed in such cells only, and where they stood.

    They are noted here; ``keep`` writes the ledger, ``copy`` the state's rows.
    """

    def __init__(self, desk: Desk, visible: Visible) -> None:
        self._desk, self._visible = desk, visible
        self._groups: dict[tuple[int, ...], _Group | None] = {}
        self._possible = visible.table.has_rowid and not visible.table.module

    @property
    def empty(self) -> bool:
        """Whether no row was noted since the last ``copy``."""
        return not any(group is not None and group.places for group in self._groups.values())

    def columns(self, written: tuple[int, ...], op: int) -> tuple[str, ...] | None:
        """The ids of the columns at these positions; None: they are not for here."""
        group = self._group(written, op)
        return group.columns if group is not None else None

    def note(
        self,
        written: tuple[int, ...],
        at: Locator,
        old: Sequence[Scalar],
        raw: tuple[Any, ...] | None,
        op: int,
    ) -> bytes | None:
        """An operation wrote these cells of the row at ``at``; ``raw``: its record, if it has one.

        Returns the row's id; None: it is not for here.
        """
        group = self._group(written, op)
        if group is None:
            return None
        if raw is None:
            row_id = self._desk.base_key(self._visible, at, tuple(old))
            cells = dict.fromkeys(group.columns, op)
            table = self._visible.id
            group.new.append(Row(table, row_id, VISIBLE, at, cells=cells, touches=(op,)))
        else:
            row_id, data = raw[0], group.rewrite(raw)
            if data is None:
                return None
            group.data.append((data, row_id))
        group.places.append(at)
        return row_id

    def _group(self, written: tuple[int, ...], op: int) -> _Group | None:
        if written in self._groups:
            return self._groups[written]
        visible = self._visible
        columns = tuple(visible.column_ids[place] for place in written)
        good = self._possible and is_plain(self._desk, visible, columns)
        group = None
        if good and len(self._groups) < MAX_GROUPS:
            group = _Group(columns, rewriter(self._desk.ledger, visible.id, columns, op))
        if len(self._groups) < MAX_GROUPS:
            self._groups[written] = group
        return group

    def keep(self) -> None:
        """Keep in the ledger what was noted since the last time."""
        ledger, table = self._desk.ledger, self._visible.id
        for group in self._groups.values():
            if group is not None:
                ledger.put_data(table, group.data)
                ledger.put_all(table, group.new)
                group.data, group.new = [], []

    def copy(self, there: Cells) -> None:
        """Give the state's rows those cells as they are in the file. Not while the table is read.

        None of them is TEXT that is not UTF-8.
        """
        visible = self._visible
        for written, group in self._groups.items():
            if group is None:
                continue
            names = [there.names[place] for place in written]
            mine = [visible.names[column] for column in group.columns]
            for start in range(0, len(group.places), COPIED_COUNT):
                rows = there.read_many(group.places[start : start + COPIED_COUNT], names)
                visible.cells.update(mine, ((*row[1:], row[0]) for row in rows))
            group.places = []
