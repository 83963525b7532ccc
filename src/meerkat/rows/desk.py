"""Rows in motion: taken out of the visible tables, changed, and put back if they may be.

Between the two a row is aside, with all its cells in its record. What ``constraints`` and
``claims`` must look at again is noted here. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from .changes import LOOSE, ROWID
from .definitions import Definitions
from .ledger import ASIDE, ASLEEP, DEAD, VISIBLE, Ledger, Row, Stamp
from .schema import ForeignKey
from .sqltext import quote
from .values import (
    MAX_ROW_ID_BYTES,
    Locator,
    Ref,
    Scalar,
    Value,
    base_id,
    unpack_values,
)
from .visible import Refused, Values, Visible

__all__ = ["Desk", "Link"]


class Link(msgspec.Struct, frozen=True):
    """A declared foreign key whose ends exist. Columns are named as SQL names them."""

    child: str
    parent: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    column_ids: tuple[str, ...]


class Desk:
    """For one state database; one step at a time."""

    def __init__(self, ledger: Ledger, definitions: Definitions) -> None:
        self.ledger, self.definitions = ledger, definitions
        self.unsettled = False
        self.fresh: dict[str, list[Locator]] = {}
        """Rows that came by the fast path: table id -> where; their references are unchecked."""
        self.lost: dict[str, list[dict[str, Scalar]]] = {}
        """Rows that went, of tables that others refer to: table id -> values by column name."""
        self.claims: dict[str, set[bytes]] = {}
        """Rows whose id is to be found: table id -> row ids."""
        self.parents: set[bytes] = set()
        """Rows to which others may refer by another id than they have."""
        self.touched: set[str] = set()
        """Ids of tables in which rows came, went or moved."""
        self.refresh()

    def clear(self) -> None:
        """The step is done."""
        self.unsettled = False
        for noted in (self.fresh, self.lost, self.claims, self.parents, self.touched):
            noted.clear()
        self.ledger.disturbed.clear()

    def refresh(self) -> None:
        """The schema is another one."""
        target = self.definitions.target()
        self._visible: dict[str, Visible] = {}
        by_name: dict[str, str] = {}
        for name, table in target.schema.tables.items():
            table_id = self.definitions.table_id(name)
            if table_id is not None and table.replicated:
                self.ledger.table_number(table_id)
                columns = self.definitions.columns(table_id)
                self._visible[table_id] = Visible(self.ledger, table_id, table, columns)
                by_name[name] = table_id
        self.links: dict[str, list[Link]] = {}  # by child
        self.referred: dict[str, list[Link]] = {}  # by parent
        for table_id, visible in self._visible.items():
            for key in visible.table.foreign_keys:
                link = self._link(table_id, visible, key, by_name)
                if link is not None:
                    self.links.setdefault(table_id, []).append(link)
                    self.referred.setdefault(link.parent, []).append(link)
        tables = self.ledger.tables()
        self._base_columns = {table: self.ledger.base_columns(table) for table in tables}
        self._deaths = {table: self.ledger.table_deaths(table) for table in tables}

    def _link(
        self, child: str, visible: Visible, key: ForeignKey, by_name: dict[str, str]
    ) -> Link | None:
        parent = by_name.get(key.parent)
        if parent is None or len(key.columns) != len(key.parent_columns) or not key.columns:
            return None
        known = {column.name for column in self._visible[parent].table.declared}
        ids = {name: column for column, name in visible.names.items()}
        if not known.issuperset(key.parent_columns) or any(one not in ids for one in key.columns):
            return None
        columns = tuple(ids[one] for one in key.columns)
        return Link(child, parent, key.columns, key.parent_columns, columns)

    # -- tables -----------------------------------------------------------------------------

    def visible(self, table_id: str) -> Visible | None:
        """A table's visible rows; None: there is no such table now, or its rows are local."""
        return self._visible.get(table_id)

    def tables(self) -> list[str]:
        """The ids of the tables there are, sorted."""
        return sorted(self._visible)

    def deaths(self, table_id: str) -> tuple[int, ...]:
        """The operations that dropped a table."""
        return self._deaths.get(table_id, ())

    def add_death(self, table_id: str, deaths: tuple[int, ...]) -> None:
        """Keep who dropped a table."""
        self.ledger.set_table_deaths(table_id, deaths)
        self._deaths[table_id] = deaths

    def parent_of(self, table_id: str, column: str) -> str | None:
        """The table whose id a cell holds, if that is declared."""
        for link in self.links.get(table_id, ()):
            if link.column_ids == (column,):
                parent = self._visible[link.parent]
                if link.parent_columns == (parent.table.rowid_column,):
                    return link.parent
        return None

    def is_fixed(self, table_id: str) -> bool:
        """Whether the ids of a table are those of another one's rows."""
        column = (self._visible[table_id].rowid_column,)
        return any(link.column_ids == column for link in self.links.get(table_id, ()))

    def nowhere(self, link: Link) -> str:
        """SQL that says of a child ``c`` that it points to no visible row."""
        filled = " AND ".join(f"c.{quote(name)} IS NOT NULL" for name in link.columns)
        pairs = zip(link.parent_columns, link.columns, strict=True)
        equal = " AND ".join(f"p.{quote(one)}=c.{quote(other)}" for one, other in pairs)
        parent = self._visible[link.parent].quoted
        return f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {equal})"

    # -- rows -------------------------------------------------------------------------------

    def find(self, table_id: str, row_id: bytes) -> Row | None:
        """A row's record; for a row of the base that has none, what it would say."""
        return self.ledger.row(table_id, row_id) or self.base_row(table_id, row_id)

    def base_row(self, table_id: str, row_id: bytes) -> Row | None:
        """The record that a visible row of the base without one would have."""
        visible = self._visible.get(table_id)
        if visible is None or row_id[:2] != b"k=" or len(row_id) > MAX_ROW_ID_BYTES:
            return None
        try:
            key = unpack_values(row_id[2:])
        except (msgspec.MsgspecError, ValueError):
            return None
        at = self._stands(visible, key)
        if at is None or self.ledger.claimant(table_id, at) is not None:
            return None
        values = visible.get(at)
        if values is None or self.base_key(visible, at, values) != row_id:
            return None
        return Row(table_id, row_id, VISIBLE, at)

    def base_rows(self, visible: Visible, ids: Sequence[bytes]) -> dict[bytes, Locator]:
        """Where the visible rows of the base without a record stand, as far as there are such."""
        if visible.key or not visible.table.has_rowid:
            rows = ((row_id, self.base_row(visible.id, row_id)) for row_id in ids)
            return {
                row_id: row.locator
                for row_id, row in rows
                if row is not None and row.locator is not None
            }
        wanted: dict[int, bytes] = {}
        for row_id in ids:
            at = base_place(row_id)
            if at is not None:
                wanted[at] = row_id
        places = list(wanted)
        taken = self.ledger.places_taken(visible.id, places)
        there = visible.get_many(places)
        return {row_id: at for at, row_id in wanted.items() if at in there and at not in taken}

    def _stands(self, visible: Visible, key: tuple[Value, ...]) -> Locator | None:
        table = visible.table
        scalars: tuple[Scalar, ...] = tuple(one for one in key if not isinstance(one, Ref))
        if table.without_rowid:
            return scalars if len(scalars) == len(table.key) else None
        if len(key) == len(table.key) + 1 or not table.key:
            return key[-1] if key and type(key[-1]) is int else None
        if len(scalars) != len(table.key):
            return None
        return visible.cells.find(table.key, scalars)

    @staticmethod
    def base_key(visible: Visible, at: Locator, values: Values) -> bytes:
        """The row id of a row of the base: its key, or where it stands."""
        if not visible.key or not values:
            return base_id((at,) if isinstance(at, int) else at)
        # As it is stored: a collation may take another key for equal to it.
        cells = dict(zip(visible.column_ids, values, strict=True))
        key = tuple(cells[column] for column in visible.key)
        return base_id((*key, at) if None in key and isinstance(at, int) else key)

    def at(self, visible: Visible, at: Locator) -> Row:
        """The record of the visible row that stands there, which a row of the base gets now."""
        row = self.ledger.at(visible.id, at)
        if row is not None:
            return row
        values = visible.get(at) or ()
        return Row(visible.id, self.base_key(visible, at, values), VISIBLE, at)

    def pull(self, row: Row) -> None:
        """Take a visible row out of its table: it is aside, with all its cells."""
        visible = self._visible[row.table]
        at = row.locator
        self.release(row, visible, visible.remove(at) if at is not None else None)

    def release(self, row: Row, visible: Visible, values: Values | None) -> None:
        """A visible row stood in its table with these values, and does not any more."""
        self.unpack(row, visible, values)
        row.state, row.reason, row.flags = ASIDE, "unsettled", row.flags & ~ASLEEP
        self.ledger.put(row)
        self.unsettled = True
        self.touched.add(row.table)

    def unpack(
        self,
        row: Row,
        visible: Visible,
        values: Values | None,
        losers: Mapping[bytes, int] | None = None,
    ) -> None:
        """Give the record of a row that is not visible any more all its cells.

        ``losers``: those of its table (``Ledger.losers``), if they are known.
        """
        at = row.locator
        nobody = self.unwritten(row, visible)
        cells: dict[str, Value] = dict(zip(visible.column_ids, values or (), strict=False))
        self.note_lost(visible, values)
        row.values = {**cells, **row.values}
        claim = None
        if visible.rowid_column is not None:
            if isinstance(at, int):
                if losers is None:
                    claim = self.ledger.loser(row.table, row.id)
                else:
                    claim = losers.get(row.id)
            if claim is not None and not isinstance(row.values.get(visible.rowid_column), Ref):
                row.values[visible.rowid_column] = claim
        else:
            if visible.hidden:
                row.values[ROWID] = at if isinstance(at, int) else None
            row.locator = None
        for column in nobody:
            row.values.pop(column, None)

    def unwritten(self, row: Row, visible: Visible) -> set[str]:
        """The columns that hold only a default, since nobody wrote to them."""
        if row.origin:
            written = self.ledger.shape_columns(row.shape)
        else:
            written = self._base_columns.get(row.table)
        if written is None:
            return set()
        return set(visible.column_ids).difference(written, row.cells)

    def note_lost(self, visible: Visible, values: Values | None) -> None:
        """A row with these values is not visible any more."""
        if values is not None and visible.id in self.referred:
            names = (visible.names[column] for column in visible.column_ids)
            self.lost.setdefault(visible.id, []).append(dict(zip(names, values, strict=True)))

    def show(self, row: Row) -> Locator:
        """Put a row that is aside into its table.

        Raises:
            Refused: if a constraint forbids it; nothing is changed then.
        """
        visible = self._visible[row.table]
        if visible.rowid_column is not None and row.locator is None:
            raise Refused(f"{visible.table.name}: no id is left for the row", clash=False)
        if visible.table.without_rowid and any(one not in row.values for one in visible.key):
            raise Refused(f"{visible.table.name}: a part of the key is not known", clash=False)
        at = visible.insert(self.scalars(row), self.place(row))
        kept = {
            column: value
            for column, value in row.values.items()
            if isinstance(value, Ref) or (column not in visible.names and column != ROWID)
        }
        row = msgspec.structs.replace(row, state=VISIBLE, locator=at, values=kept, reason="")
        row.flags &= ~ASLEEP
        self.ledger.put(row)
        self.touched.add(row.table)
        return at

    def place(self, row: Row) -> Locator | None:
        """Where a row is to stand; None: anywhere."""
        visible = self._visible[row.table]
        if visible.table.without_rowid:
            return None
        if visible.rowid_column is not None:
            return row.locator
        wish = row.values.get(ROWID)
        free = isinstance(wish, int) and visible.get(wish) is None
        return wish if isinstance(wish, int) and free else None

    def scalars(self, row: Row) -> dict[str, Scalar]:
        """A row's cells as they are to be seen."""
        visible = self._visible[row.table]
        return {
            column: self.resolve(row.table, column, value) if isinstance(value, Ref) else value
            for column, value in row.values.items()
            if column in visible.names
        }

    def resolve(self, table_id: str, column: str, ref: Ref) -> int:
        """The present id of the row that a cell refers to."""
        declared = self.parent_of(table_id, column)
        found = self.present_id(ref.row, [declared] if declared else None)
        return ref.value if found is None else found

    def present_id(self, row_id: bytes, tables: Sequence[str] | None = None) -> int | None:
        """The id that a row has, or would have if it were visible."""
        for table_id in self.tables() if tables is None else tables:
            if self._visible[table_id].rowid_column is not None:
                found = self.ledger.row(table_id, row_id)
                if found is not None and isinstance(found.locator, int):
                    return found.locator
        return None

    def drop_to_dead(self, row: Row, reason: str = "") -> None:
        """A row that is aside does not live any more."""
        row.state, row.reason = DEAD, reason
        self.ledger.put(row)

    # -- a base -----------------------------------------------------------------------------

    def note_dangling(self, visible: Visible) -> None:
        """Rows of the base whose foreign keys point nowhere already are excused for good."""
        for link in self.links.get(visible.id, ()):
            for at in visible.locators_where(self.nowhere(link)):
                row = self.at(visible, at)
                row.flags, row.loose = row.flags | LOOSE, 0
                self.ledger.put(row)

    def note_long(self, visible: Visible, size: int) -> None:
        """Rows of the base whose key does not tell where they stand get records."""
        for at, values in list(visible.long_keys(size)):
            row_id = self.base_key(visible, at, values)
            if row_id[:2] != b"k=" and self.ledger.row(visible.id, row_id) is None:
                self.ledger.put(Row(visible.id, row_id, VISIBLE, at))

    # -- what decides between rows ------------------------------------------------------------

    def unique_columns(self, table_id: str) -> tuple[str, ...]:
        """The column ids of a table that take part in a unique index."""
        visible = self._visible[table_id]
        ids = {name: column for column, name in visible.names.items()}
        found: set[str] = set()
        for unique in visible.table.uniques:
            if unique.partial or None in unique.columns:
                return visible.column_ids
            if any(name not in ids for name in unique.columns):
                return visible.column_ids  # of a generated column
            found.update(ids[name] for name in unique.columns if name is not None)
        return tuple(sorted(found))

    def priority(self, row: Row, columns: Iterable[str]) -> tuple[Stamp, bytes, str]:
        """Of two rows that clash in these columns the one with the higher value is visible."""
        ledger = self.ledger
        stamps = [ledger.stamp(ledger.writer(row, column)) for column in columns]
        return (max(stamps, default=(0, b"", 0)), row.id, row.table)


def base_place(row_id: bytes) -> int | None:
    """The rowid that a row of the base is named by, if that is how it is named."""
    if row_id[:2] != b"k=":
        return None
    try:
        key = unpack_values(row_id[2:])
    except (msgspec.MsgspecError, ValueError):
        return None
    at = key[0] if len(key) == 1 else None
    return at if type(at) is int and base_id((at,)) == row_id else None
