"""What programs did to the file, taken into the state and put into statements.

Takes the differences between file and state; decides which row each belongs to (``pairing``), names
new rows, and writes the same thing in three places: the state's tables, the ledger (under a pending
operation) and the batches to be signed (``composing``). The file was consistent, so nothing is
judged here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec
from blake3 import blake3

from .cells import Cells
from .changes import AUTO, BORN, LOOSE, ROWID, Statement
from .compare import RowDelta
from .composing import Composing
from .desk import Desk
from .existence import is_loose, with_newest
from .ledger import DEAD, VISIBLE, Row, unpack_row
from .pairing import Pairing, RowBorn, RowChanged, RowDied, changed_columns
from .pointing import Pointing
from .references import children_of
from .rewriting import Rewriting
from .schema import Table
from .values import Locator, RawText, Ref, Scalar, Value, base_id
from .visible import Visible

__all__ = ["AUTO_GAP", "Recording", "given_id"]

AUTO_GAP = 10_000
"""An id this far above the highest was chosen by the program, not given by SQLite (guess)."""
CHUNK_ROWS = 1_000  # new rows that are named and kept at once (guess)

Values = tuple[Scalar, ...]


@dataclass(slots=True)
class _Table:
    """One table while it is recorded."""

    table: Table
    visible: Visible
    pairing: Pairing
    rewriting: Rewriting
    pointed: frozenset[int]  # positions of columns by which other tables point here
    highest: int  # the last id that SQLite gave, or counts from
    touched: list[Locator] = field(default_factory=list)  # to be copied from the file
    left: list[Locator] = field(default_factory=list)  # where nobody stands any more, or another
    born: list[RowBorn] = field(default_factory=list)  # to be named and kept
    gone: list[bytes] = field(default_factory=list)
    waiting: list[RowChanged | RowDied] = field(default_factory=list)  # to be taken in
    evicted: dict[Locator, Row | None] = field(default_factory=dict)  # until their turn comes

    @property
    def id(self) -> str:
        return self.visible.id

    @property
    def refers(self) -> bool:
        """Whether rows may refer to others."""
        return bool(self.table.foreign_keys)

    @property
    def columns(self) -> tuple[str, ...]:
        """The ids of its columns, in the order of the values."""
        return self.visible.column_ids


class Recording:
    """Records one look at a file: ``schema``, ``rows`` of each table, ``finish``."""

    def __init__(self, file: apsw.Connection, desk: Desk) -> None:
        """``file``: in the transaction that was compared. All of it is part of the state's
        transaction, and the rows that follow from it are to be settled afterwards.
        """
        self._file, self._desk = file, desk
        self._ledger = desk.ledger
        self._seen = tuple(sorted(desk.ledger.have.items()))
        self._number = desk.ledger.number + 1
        self._op: int | None = None
        self._said = Composing(self._seen)
        self._ordinal = 0
        self._ids = blake3(desk.ledger.author).digest(6) + self._number.to_bytes(6, "big")
        self._pointing = Pointing(file, desk, self._promise)
        self._promised: dict[tuple[str, Locator], bytes] = {}  # parents named before their turn

    @property
    def op(self) -> int:
        """The number of the pending operation."""
        if self._op is None:
            self._op = self._ledger.pending_op(dict(self._seen))
        return self._op

    def schema(self, statements: Sequence[Statement]) -> None:
        """Statements that the definitions were told of already."""
        for statement in statements:
            self._said.add(statement)

    def rows(self, table: Table, deltas: Iterable[RowDelta]) -> None:
        """Record one table's differences. Parents come before their children where they can."""
        table_id = self._desk.definitions.table_id(table.name)
        visible = self._desk.visible(table_id) if table_id is not None else None
        if visible is None:
            return
        here = visible.cells

        def standing(key: tuple[Scalar, ...]) -> tuple[Locator, Values] | None:
            at = here.find(table.key, key)
            values = here.get(at) if at is not None else None
            return None if at is None or values is None else (at, values)

        links = self._desk.referred.get(visible.id, ())
        keys = {name for link in links for name in link.parent_columns}
        pointed = (index for index, column in enumerate(table.columns) if column.name in keys)
        pairing = Pairing(table, standing)
        rewriting = Rewriting(self._desk, visible)
        one = _Table(table, visible, pairing, rewriting, frozenset(pointed), _highest_id(visible))
        for what in pairing.pairs(deltas):
            match what:
                case RowBorn():
                    one.born.append(what)
                    one.touched.append(what.at)
                    if len(one.born) >= CHUNK_ROWS:
                        self._keep_born(one)
                case RowChanged() if what.old_at != what.new_at:
                    self._take(one)
                    self._moved(one, what)
                case _:
                    if one.born and isinstance(what, RowDied):  # all that were born came before
                        self._keep_born(one)
                    one.waiting.append(what)
                    if len(one.waiting) >= CHUNK_ROWS:
                        self._take(one)
        self._keep_born(one)
        self._take(one)
        self._said.gone(one.id, one.gone)
        if one.touched or one.left or not rewriting.empty:
            self._desk.touched.add(one.id)
            self._ledger.disturb(one.id, [*one.left, *one.touched])
            self._copy(one, here)

    def finish(self) -> int | None:
        """Keep what is to be signed; its number, or None if there is nothing to say."""
        self._excuse_children()
        pieces = self._said.pieces()
        if pieces is None:
            return None
        self._ledger.number = self._number
        self._ledger.add_waiting(self._number, pieces, [self.op] * len(pieces))
        return self._number

    # -- what happened to a row ------------------------------------------------------------

    def _take(self, one: _Table) -> None:
        """Take in rows that changed or died where they stood, many at once."""
        waiting, one.waiting = one.waiting, []
        if not waiting:
            return
        places = [what.at if isinstance(what, RowDied) else what.old_at for what in waiting]
        here = [at for at in places if at not in one.evicted]
        known = self._ledger.raw_at_many(one.id, here)
        losers = self._ledger.losers(one.id) if one.visible.rowid_column is not None else {}
        rows: list[Row] = []
        for what, at in zip(waiting, places, strict=True):
            raw = known.get(at)
            if at in one.evicted:
                row = one.evicted.pop(at)
            elif isinstance(what, RowChanged) and self._rewrite(one, what, raw):
                continue
            else:
                row = unpack_row(one.id, raw) if raw is not None else None
            row = row or self._base_row(one, at, what.old)
            if isinstance(what, RowDied):
                self._died(one, row, what, losers.get(row.id))
            else:
                one.touched.append(at)
                written = changed_columns(what.old, what.new)
                self._note_lost(one, what.old, written)
                self._write(one, row, written, what.new)
            rows.append(row)
        self._ledger.put_all(one.id, rows)
        one.rewriting.keep()

    def _rewrite(self, one: _Table, what: RowChanged, raw: tuple[Any, ...] | None) -> bool:
        """Take in a row of which only cells changed that no constraint is about; False: it is not.

        ``raw``: its record.
        """
        written = tuple(changed_columns(what.old, what.new))
        columns = one.rewriting.columns(written, self.op)
        if columns is None or (one.refers and self._pointing.dangles(one.table, what.new)):
            return False
        values = tuple([what.new[index] for index in written])
        if RawText in map(type, values):
            return False
        row_id = one.rewriting.note(written, what.old_at, what.old, raw, self.op)
        if row_id is None:
            return False
        self._said.put(one.id, columns, (row_id, 0, values))
        return True

    def _moved(self, one: _Table, what: RowChanged) -> None:
        at = what.old_at
        row = one.evicted.pop(at) if at in one.evicted else self._ledger.at(one.id, at)
        row = row or self._base_row(one, at, what.old)
        one.touched.append(what.new_at)
        one.left.append(at)
        self._leave(one, row, at)
        self._make_room(one, what.new_at)
        row.locator = what.new_at
        self._desk.parents.add(row.id)  # whoever refers to it follows
        written = changed_columns(what.old, what.new)
        if written:
            self._note_lost(one, what.old, written)
            self._write(one, row, written, what.new)
        self._ledger.put(row)

    def _note_lost(self, one: _Table, old: Values, written: Sequence[int]) -> None:
        """Rows may point to what this one was, if what they point by was written."""
        if not one.pointed.isdisjoint(written):
            self._desk.note_lost(one.visible, old)

    def _write(self, one: _Table, row: Row, written: Sequence[int], new: Values) -> None:
        loose = self._pointing.dangles(one.table, new)
        if one.refers:
            values = tuple(self._value(one, index, new[index], row) for index in written)
        else:
            values = tuple(new[index] for index in written)
        columns = tuple(one.columns[index] for index in written)
        self._said.put(one.id, columns, (row.id, LOOSE if loose else 0, values))
        row.cells = {**row.cells, **dict.fromkeys(columns, self.op)}
        row.touches = with_newest(self._ledger, row.touches, self.op)
        row.loose = self.op if loose else row.loose

    def _died(self, one: _Table, row: Row, what: RowDied, claim: int | None) -> None:
        """``claim``: the id that it should have had, if it lost that one."""
        cells: dict[str, Value] = dict(zip(one.columns, what.old, strict=True))
        row.values = {**cells, **row.values} if row.values else cells
        if one.visible.rowid_column is None:
            row.locator = None  # only an id that can be seen is kept for good
        elif isinstance(what.at, int):
            row.values[one.visible.rowid_column] = what.at if claim is None else claim
        row.deaths = with_newest(self._ledger, row.deaths, self.op)
        row.state = DEAD
        self._desk.note_lost(one.visible, what.old)
        one.left.append(what.at)
        one.gone.append(row.id)

    def _leave(self, one: _Table, row: Row, at: Locator) -> None:
        """A row is about to claim another id; the old one is not given to anybody again."""
        if one.visible.rowid_column is not None and isinstance(at, int):
            self._ledger.leave(msgspec.structs.replace(row, locator=at))

    def _make_room(self, one: _Table, at: Locator) -> None:
        """Somebody new is about to stand here. Who stood here moved, or died: that comes later.

        A row that only claims this id has to give way: what was written last has it.
        """
        found = self._ledger.claimant(one.id, at)
        if found is not None:
            self._ledger.put(msgspec.structs.replace(found, locator=None))
        if found is None or found.state == VISIBLE:
            one.evicted[at] = found
        elif isinstance(at, int):
            self._desk.claims.setdefault(one.id, set()).add(found.id)
            self._ledger.left.setdefault(one.id, set()).add(at)

    def _base_row(self, one: _Table, at: Locator, old: Values) -> Row:
        """The record of a row that has none yet."""
        return Row(one.id, self._desk.base_key(one.visible, at, old), VISIBLE, at)

    # -- new rows ------------------------------------------------------------------------------

    def _keep_born(self, one: _Table) -> None:
        """Write new rows to ledger and statements, many at once where nothing is in the way."""
        rows, one.born = one.born, []
        if not rows:
            return
        self._take(one)  # what bears a key now is known before the key is given again
        born, known = self._named(one, rows)
        if one.id in self._desk.referred:  # by one that is kept before it, perhaps
            self._promised.update(((one.id, what.at), row_id) for row_id, _, what in born)
        new = self._new_ones(one, born, known)
        columns = (*one.columns, ROWID) if one.visible.hidden else one.columns
        plain: list[tuple[bytes, Locator]] = []
        for row_id, flags, what in born:
            values: tuple[Value, ...] = what.new
            row = None
            if one.refers:
                row = Row(one.id, row_id, VISIBLE, what.at, flags=flags & AUTO)
                flags |= LOOSE if self._pointing.dangles(one.table, what.new) else 0
                values = tuple(self._value(one, i, value, row) for i, value in enumerate(what.new))
            if one.visible.hidden:
                values = (*values, _rowid(what.at))
            self._said.put(one.id, columns, (row_id, flags, values))
            needs_room = what.over or row_id not in new
            if needs_room or flags & LOOSE or (row is not None and row.values):
                row = row or Row(one.id, row_id, VISIBLE, what.at, flags=flags & AUTO)
                self._put_born(one, row, what, loose=bool(flags & LOOSE))
            else:
                plain.append((row_id, what.at))
        auto = [pair for pair in plain if pair[0][:1] == b"a"]
        keyed = [pair for pair in plain if pair[0][:1] != b"a"]
        for flag, pairs in ((AUTO, auto), (0, keyed)):
            if pairs:
                self._ledger.put_born(one.id, self.op, self._shape(one), flag, pairs)
        for _, _, what in born:
            self._promised.pop((one.id, what.at), None)

    def _named(
        self, one: _Table, rows: Sequence[RowBorn]
    ) -> tuple[list[tuple[bytes, int, RowBorn]], set[bytes]]:
        """New rows with their ids and flags, and the ids that have a record."""
        keys = [self._key(one, what) for what in rows]
        known = self._ledger.rows_of(one.id, [base_id(key) for key in keys if key is not None])
        born: list[tuple[bytes, int, RowBorn]] = []
        for what, key in zip(rows, keys, strict=True):
            if key is None:
                promised = self._promised.get((one.id, what.at))
                born.append((promised or self._new_id(), BORN | AUTO, what))
                continue
            row_id, number = base_id(key), 0
            found = known.get(row_id)
            while found is not None and found.state == VISIBLE:
                # A row that was born under this key goes on under another one.
                number += 1
                row_id = base_id((*key, number))
                found = self._ledger.row(one.id, row_id)
                if found is not None:
                    known[row_id] = found
            born.append((row_id, BORN, what))
        return born, set(known)

    def _key(self, one: _Table, what: RowBorn) -> tuple[Scalar, ...] | None:
        """By what a new row is known; None: by an id of ours, since SQLite gave it its own."""
        if (one.id, what.at) not in self._promised:
            key = one.pairing.key_of(what.new)
            if key is not None:
                return key
            if not one.table.key and not given_id(one.table, what.at, one.highest):
                return (what.at,) if isinstance(what.at, int) else what.at
        if isinstance(what.at, int):
            one.highest = max(one.highest, what.at)
        return None

    def _new_ones(
        self,
        one: _Table,
        born: Sequence[tuple[bytes, int, RowBorn]],
        known: Container[bytes],
    ) -> set[bytes]:
        """The ids of those that nobody knows, and where nobody stands nor claims to."""
        places = [what.at for _, _, what in born if isinstance(what.at, int)]
        taken: set[Locator | None] = set()
        if places:
            first, last = min(places), max(places)
            if last - first <= 4 * CHUNK_ROWS:
                taken = {row.locator for row in self._ledger.claimants(one.id, first, last + 1)}
            else:
                claims = (self._ledger.claimant(one.id, at) for at in places)
                taken = {row.locator for row in claims if row is not None}
        return {row_id for row_id, _, what in born if what.at not in taken and row_id not in known}

    def _put_born(self, one: _Table, row: Row, what: RowBorn, *, loose: bool) -> None:
        """A row that was known before (and dead, or aside), refers to others, or needs room."""
        self._make_room(one, what.at)
        known = self._ledger.row(one.id, row.id)
        if known is not None:
            if known.locator != what.at and known.locator is not None:
                self._leave(one, known, known.locator)
            row.touches, row.deaths = known.touches, known.deaths
            waits = {column: n for column, n in known.cells.items() if column not in one.columns}
            row.cells = waits
            row.values = {**{c: v for c, v in known.values.items() if c in waits}, **row.values}
        row.origin, row.shape = self.op, self._shape(one)
        row.touches = with_newest(self._ledger, row.touches, self.op)
        row.loose = self.op if loose else -1
        row.flags |= LOOSE if loose else 0
        self._ledger.put(row)

    def _shape(self, one: _Table) -> int:
        return self._ledger.shape(one.columns)

    def _promise(self, parent: Visible, at: int) -> bytes | None:
        """The id of a parent that will be born later in this recording; None: it keeps its key."""
        if not given_id(parent.table, at, _highest_id(parent)):
            return None
        found = self._promised.get((parent.id, at))
        if found is None:
            found = self._promised[parent.id, at] = self._new_id()
        return found if found[:1] == b"a" else None

    def _new_id(self) -> bytes:
        self._ordinal += 1
        return b"a" + self._ids + self._ordinal.to_bytes(4, "big")

    # -- cells ---------------------------------------------------------------------------------

    def _value(self, one: _Table, index: int, value: Scalar, row: Row) -> Value:
        """What the statement says of a cell, and the ledger of a reference."""
        column = one.columns[index]
        row.values.pop(column, None) if row.values else None
        parent = self._pointing.parent(one.id, column, value)
        if parent is None or not isinstance(value, int):
            return value
        ref = Ref(parent, value)
        row.values = {**row.values, column: ref}
        self._ledger.add_refs(one.id, [(parent, row.id)])
        return ref

    # -- afterwards ------------------------------------------------------------------------------

    def _copy(self, one: _Table, here: Cells) -> None:
        """Make the state's rows what the file's are, wherever one changed."""
        there = Cells(self._file, one.table)
        one.rewriting.copy(there)
        here.delete([*one.left, *one.touched])
        rows = ((at, there.get(at)) for at in one.touched)
        here.write(((at, row) for at, row in rows if row is not None), replace=True)

    def _excuse_children(self) -> None:
        """Rows that point to nothing since their parent was deleted or changed in the program's
        own file: that is how it wanted it, so they are no reason for a conflict anywhere.
        """
        desk = self._desk
        for parent, rows in sorted(desk.lost.items()):
            found: dict[str, list[Locator]] = {}
            for child, at in children_of(desk, parent, rows):
                found.setdefault(child, []).append(at)
            for child, places in sorted(found.items()):
                visible = desk.visible(child)
                assert visible is not None
                columns = [one for link in desk.links.get(child, ()) for one in link.column_ids]
                for at in dict.fromkeys(places):
                    row = desk.at(visible, at)
                    if not is_loose(self._ledger, row, columns):
                        self._said.put(child, (), (row.id, LOOSE, ()))
                        row.touches = with_newest(self._ledger, row.touches, self.op)
                        row.loose = self.op
                        self._ledger.put(row)


def given_id(table: Table, at: Locator, highest: int) -> bool:
    """Whether a new row's id was given by SQLite: one of a table without key always is."""
    if table.rowid_column is None:
        return True
    if not isinstance(at, int) or at <= highest:
        return False
    # What AUTOINCREMENT counts on from is the file's secret: it never saw ids of rows set aside.
    return table.autoincrement or at <= highest + AUTO_GAP


def _highest_id(visible: Visible) -> int:
    """The highest id in a table with automatic ids; 0 in others."""
    if visible.rowid_column is None or visible.table.module is not None:
        return 0
    return max(visible.highest(), 0)


def _rowid(at: Locator) -> Scalar:
    return at if isinstance(at, int) else None
