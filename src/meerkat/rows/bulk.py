"""The fast ways: rows that nobody knew yet, cells that no constraint is about, plain deletions.

Each does for many rows at once what ``merge`` does one by one, and gives back the rows it is not
sure about; nothing is decided differently. Where SQLite refuses some rows, smaller and smaller
parts are tried, so that one row costs the others little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import apsw

from .cells import bound, is_raw
from .changes import AUTO, BORN, LOOSE, ROWID, Gone, Put, PutRow
from .desk import Desk
from .existence import lives, with_newest
from .ledger import DEAD, VISIBLE, Row
from .notebook import unpack_locator
from .rewriting import is_plain, rewriter
from .sqltext import quote
from .values import Locator, RawText, Ref, Value, base_id
from .visible import Visible

__all__ = ["Bulk"]

WORTH_COUNT = 8  # rows: a smaller part that SQLite refuses is done one by one (guess)
MAX_ROWID = 2**63 - 1

_RAW = frozenset({RawText})
_REF = frozenset({Ref})
_T = TypeVar("_T")


class Bulk:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._ledger = desk, desk.ledger
        self._connection = desk.ledger.connection

    def put(self, statement: Put, op: int) -> Sequence[PutRow]:
        """Write what can be written fast; the rest, in order."""
        visible = self._desk.visible(statement.table)
        rows = statement.rows
        if visible is None or self._desk.deaths(statement.table):
            return rows
        if len({row_id for row_id, _, _ in rows}) != len(rows):
            return rows
        if not visible.names.keys() >= {one for one in statement.columns if one != ROWID}:
            return rows
        born = [bool(flags & BORN) for _, flags, _ in rows]
        if all(born):
            return _Births(self._desk, visible, statement, op).run()
        if any(born) or ROWID in statement.columns:
            return rows
        if not is_plain(self._desk, visible, statement.columns):
            return rows
        return self._update(visible, statement, op)

    # -- cells ------------------------------------------------------------------------------

    def _update(self, visible: Visible, statement: Put, op: int) -> Sequence[PutRow]:
        desk, ledger, columns = self._desk, self._ledger, statement.columns
        ids = [row_id for row_id, _, _ in statement.rows]
        known = ledger.raw_rows(visible.id, ids)
        base = desk.base_rows(visible, [row_id for row_id in ids if row_id not in known])
        rewrite = rewriter(ledger, visible.id, columns, op)
        special = _RAW | _REF
        rest: list[PutRow] = []
        work: list[tuple[PutRow, Locator, bytes | None]] = []  # None: it has no record yet
        for given in statement.rows:
            row_id, flags, values = given
            raw = known.get(row_id)
            if flags & LOOSE or not special.isdisjoint(map(type, values)):
                rest.append(given)
            elif raw is None:
                at = base.get(row_id)
                if at is None or is_raw(at):
                    rest.append(given)
                else:
                    work.append((given, at, None))
            else:
                data = rewrite(raw)
                at = unpack_locator(raw[2])
                if data is None or at is None or is_raw(at):
                    rest.append(given)
                else:
                    work.append((given, at, data))
        places = ",".join(f"{quote(visible.names[column])}=?" for column in columns)
        sql = f"UPDATE OR ABORT {visible.quoted} SET {places} WHERE {visible.where}"
        written = dict.fromkeys(columns, op)

        def write(part: Sequence[tuple[PutRow, Locator, bytes | None]]) -> None:
            olds = visible.get_many([at for _, at, _ in part])
            self._connection.executemany(sql, [(*given[2], *bound(at)) for given, at, _ in part])
            ledger.put_data(
                visible.id, [(data, given[0]) for given, _, data in part if data is not None]
            )
            ledger.put_all(
                visible.id,
                (
                    Row(visible.id, given[0], VISIBLE, at, cells=written, touches=(op,))
                    for given, at, data in part
                    if data is None
                ),
            )
            ledger.add_todos(visible.table.name, ((at, olds.get(at)) for _, at, _ in part))

        rest += [given for given, _, _ in in_parts(self._connection, write, work)]
        desk.touched.add(visible.id)
        return rest

    # -- deletions --------------------------------------------------------------------------

    def gone(self, statement: Gone, op: int) -> Sequence[bytes]:
        """Delete what can be deleted fast; the rest, in order."""
        desk, ledger = self._desk, self._ledger
        visible = desk.visible(statement.table)
        if visible is None:
            return statement.rows
        rows = tuple(dict.fromkeys(statement.rows))
        known = ledger.rows_of(visible.id, rows)
        base = desk.base_rows(visible, [row_id for row_id in rows if row_id not in known])
        table_deaths = desk.deaths(visible.id)
        fates: dict[tuple[Any, ...], tuple[tuple[int, ...], bool]] = {}  # most rows are alike
        rest: list[bytes] = []
        dead: list[Row] = []
        olds: list[tuple[Locator, Any]] = []
        for row_id in rows:
            row = known.get(row_id)
            if row is None and row_id in base:
                row = Row(visible.id, row_id, VISIBLE, base[row_id])
            at = row.locator if row is not None else None
            if row is None or row.state != VISIBLE or at is None:
                rest.append(row_id)
                continue
            alike = (row.born, row.touches, row.deaths)
            if alike not in fates:
                row.deaths = with_newest(ledger, row.deaths, op)
                fates[alike] = row.deaths, lives(ledger, row, table_deaths)
            row.deaths, alive = fates[alike]
            if alive:
                rest.append(row_id)
                continue
            dead.append(row)
        there = visible.get_many([row.locator for row in dead if row.locator is not None])
        losers = ledger.losers(visible.id) if visible.rowid_column is not None else {}
        for row in dead:
            at = row.locator
            assert at is not None
            olds.append((at, there.get(at)))
            desk.unpack(row, visible, there.get(at), losers)
            row.state = DEAD
        visible.cells.delete(at for at, _ in olds)
        ledger.disturb(visible.id, (at for at, _ in olds))
        ledger.put_all(visible.id, dead)
        ledger.add_todos(visible.table.name, olds)
        desk.touched.add(visible.id)
        return rest


class _Births:
    def __init__(self, desk: Desk, visible: Visible, statement: Put, op: int) -> None:
        self._desk, self._ledger, self._visible = desk, desk.ledger, visible
        self._statement, self._op = statement, op
        self._columns = tuple(column for column in statement.columns if column != ROWID)
        self._place = {column: place for place, column in enumerate(statement.columns)}
        self._shape = desk.ledger.shape(self._columns)
        names = [visible.names[column] for column in self._columns]
        if visible.hidden:
            names.append(visible.hidden)
        missing = visible.missing(names)
        places = ["?"] * len(names) + list(missing.values())
        self._sql = (
            f"INSERT OR ABORT INTO {visible.quoted}({','.join(map(quote, [*names, *missing]))})"
            f" VALUES({','.join(places)})"
        )

    def run(self) -> Sequence[PutRow]:
        visible, rows = self._visible, self._statement.rows
        if not self._columns or not self._has_place():
            return rows
        known = self._ledger.rows_of(visible.id, [row_id for row_id, _, _ in rows])
        rest: list[PutRow] = []
        work: list[PutRow] = []
        for row in rows:
            row_id, _, values = row
            if (
                row_id in known
                or not _RAW.isdisjoint(map(type, values))
                or not self._is_placed(values)
                or not self._is_named(row_id, values)
            ):
                rest.append(row)
            else:
                work.append(row)
        rest += in_parts(self._ledger.connection, self._insert, work)
        self._desk.touched.add(visible.id)
        return rest

    def _has_place(self) -> bool:
        visible = self._visible
        if visible.table.without_rowid:
            return set(visible.key) <= set(self._columns)
        return visible.rowid_column is None or visible.rowid_column in self._place

    def _is_placed(self, values: Sequence[Value]) -> bool:
        """Whether it is clear where a row will stand."""
        visible = self._visible
        if visible.table.without_rowid:
            return all(
                visible.is_stored_as_is(column, values[self._place[column]])
                for column in visible.key
            )
        if visible.rowid_column is not None:
            return type(values[self._place[visible.rowid_column]]) is int
        return True

    def _is_named(self, row_id: bytes, values: Sequence[Value]) -> bool:
        """Whether no row of the base can have this id without SQLite telling of it."""
        visible = self._visible
        if row_id[:1] != b"k":
            return True
        columns = (visible.rowid_column,) if visible.rowid_column is not None else visible.key
        if columns and all(column in self._place for column in columns):
            key = tuple(values[self._place[column or ""]] for column in columns)
            if None not in key and row_id == base_id(key):  # type: ignore[arg-type]
                return True
        return self._desk.base_row(visible.id, row_id) is None

    def _insert(self, rows: Sequence[PutRow]) -> None:
        desk, ledger, visible = self._desk, self._ledger, self._visible
        refs = self._resolved(rows)
        wished = self._place.get(ROWID)
        width = len(self._columns)
        cells: list[Any] = []
        for _, _, values in rows:
            if wished is not None:
                values = (*values[:wished], *values[wished + 1 :])
            if refs and not _REF.isdisjoint(map(type, values)):
                values = tuple(
                    refs[column, value.row] or value.value if type(value) is Ref else value
                    for column, value in zip(self._columns, values, strict=True)
                )
            cells.append(values)
        places = self._places(rows, cells)
        if visible.hidden:
            cells = [(*values[:width], at) for values, at in zip(cells, places, strict=True)]
        ledger.connection.executemany(self._sql, cells)
        self._keep(rows, places)
        ledger.add_todos(visible.table.name, ((at, None) for at in places))
        if visible.id in desk.links:
            desk.fresh.setdefault(visible.id, []).extend(places)
        if visible.id in desk.referred:
            desk.parents.update(ledger.referred(row_id for row_id, _, _ in rows))

    def _places(self, rows: Sequence[PutRow], cells: Sequence[Any]) -> list[Locator]:
        visible = self._visible
        columns = {column: place for place, column in enumerate(self._columns)}
        if visible.rowid_column is not None:
            place = columns[visible.rowid_column]
            return [values[place] for values in cells]
        if visible.table.without_rowid:
            key = [columns[column] for column in visible.key]
            return [tuple(values[place] for place in key) for values in cells]
        highest = visible.highest()
        wished = self._place.get(ROWID)
        if wished is not None:
            wishes: list[Any] = [values[wished] for _, _, values in rows]
            if all(type(at) is int and at > highest for at in wishes):
                return wishes
        if highest > MAX_ROWID - len(rows):
            raise apsw.ConstraintError("no rowids are left above the highest")
        return list(range(highest + 1, highest + 1 + len(rows)))

    def _resolved(self, rows: Sequence[PutRow]) -> dict[tuple[str, bytes], int | None]:
        """The present ids of all that is referred to."""
        found: dict[tuple[str, bytes], int | None] = {}
        for column in self._columns:
            place = self._place[column]
            wanted = {values[place].row for _, _, values in rows if type(values[place]) is Ref}
            if not wanted:
                continue
            parent = self._desk.parent_of(self._visible.id, column)
            if parent is None:
                for row_id in wanted:
                    found[column, row_id] = self._desk.present_id(row_id)
                continue
            known = self._ledger.rows_of(parent, sorted(wanted))
            for row_id in wanted:
                at = known[row_id].locator if row_id in known else None
                found[column, row_id] = at if isinstance(at, int) else None
        return found

    def _keep(self, rows: Sequence[PutRow], places: Sequence[Locator]) -> None:
        ledger, table, op = self._ledger, self._visible.id, self._op
        plain: dict[int, list[tuple[bytes, Locator]]] = {}
        others: list[Row] = []
        refs: list[tuple[bytes, bytes]] = []
        for (row_id, flags, values), at in zip(rows, places, strict=True):
            if _REF.isdisjoint(map(type, values)):
                plain.setdefault(flags & (AUTO | LOOSE), []).append((row_id, at))
                continue
            given = dict(zip(self._statement.columns, values, strict=True))
            kept: dict[str, Value] = {c: v for c, v in given.items() if type(v) is Ref}
            loose = op if flags & LOOSE else -1
            others.append(
                Row(
                    table,
                    row_id,
                    VISIBLE,
                    at,
                    op,
                    self._shape,
                    flags & (AUTO | LOOSE),
                    touches=(op,),
                    loose=loose,
                    values=kept,
                )
            )
            refs += [(value.row, row_id) for value in kept.values() if isinstance(value, Ref)]
        for flags, pairs in plain.items():
            ledger.put_born(table, op, self._shape, flags, pairs)
        if others:
            ledger.put_all(table, others)
            ledger.add_refs(table, refs)


def in_parts(
    connection: apsw.Connection, work: Callable[[Sequence[_T]], None], rows: Sequence[_T]
) -> Iterator[_T]:
    """Do it with all rows, or with halves and their halves; those that were too few to go on."""
    ahead = [rows] if rows else []
    while ahead:
        part = ahead.pop()
        connection.execute("SAVEPOINT meerkat_part")
        try:
            work(part)
        except (
            apsw.ConstraintError,
            apsw.MismatchError,
            apsw.SQLError,
            apsw.TooBigError,
            UnicodeDecodeError,
        ):
            connection.execute("ROLLBACK TO meerkat_part")
            if len(part) <= WORTH_COUNT:
                yield from part
            else:
                middle = len(part) // 2
                ahead += [part[middle:], part[:middle]]
        finally:
            connection.execute("RELEASE meerkat_part")
