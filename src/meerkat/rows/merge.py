"""Merging: the visible rows are a function of the set of operations, in whatever order they came.

Takes what others wrote into ledger and visible tables. Decided here: which write of a cell counts
(the one with the highest stamp) and what a statement means; elsewhere: whether a row lives
(``existence``), which id it has (``claims``), whether constraints let it be seen (``constraints``),
what the schema is (``definitions``).

A program's transaction counts as one operation, that of its last entry: its stamp is the stamp of
all its writes. Statements about the schema come before those about rows; of two writes of one cell
in it the later counts. What a statement says of rows or columns nobody knows is kept and shows once
they are known; a table that is dropped takes its rows aside or, those that its dropper had seen,
with it. Only rows that a statement names are checked: an untouched row of the base stays as it is.

Limits: a value is kept as its column stored it, so when a column's type changes, what was visible
before may differ from what was aside in the last digit or the type. Hidden rowids are wishes, and
may differ between members.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import apsw
import msgspec

from meerkat.core.rows import RowsEntry

from .bulk import Bulk
from .changes import (
    AUTO,
    BORN,
    LOOSE,
    ROWID,
    Batch,
    BatchError,
    DropTable,
    Gone,
    Put,
    PutRow,
    Statement,
    join,
)
from .claims import settle_claims
from .constraints import settle_rows
from .definitions import Definitions
from .desk import Desk
from .existence import lives, with_newest
from .ledger import ASIDE, ASLEEP, DEAD, PENDING, UNBORN, VISIBLE, Ledger, Row
from .reshape import DROPPED, Reshape
from .values import LONG_KEY_BYTES, Locator, Ref, Scalar, Value

__all__ = ["Conflict", "Merge"]

KEPT_BYTES = 2 * 1024 * 1024  # a transaction's batches up to this are decoded once (guess)
SETTLE_ROUNDS = 20  # of ids that follow ids of parents; deeper chains of shared keys wait (guess)


class Conflict(msgspec.Struct, frozen=True):
    """A row that a constraint keeps aside. ``values`` by column name; who wrote it last, and when.

    ``wall_ms``: milliseconds since the epoch, by the writer's clock.
    """

    table: str
    row: bytes
    values: dict[str, Scalar]
    reason: str
    author: bytes
    wall_ms: int


class Merge:
    """See the module. Every call is part of the caller's transaction of the state."""

    def __init__(
        self, connection: apsw.Connection, ledger: Ledger, definitions: Definitions
    ) -> None:
        self._connection, self._ledger, self._definitions = connection, ledger, definitions
        self._desk = Desk(ledger, definitions)
        self._bulk = Bulk(self._desk)
        self._target = definitions.target()

    @property
    def desk(self) -> Desk:
        """For who records what programs did."""
        self._follow_schema()
        return self._desk

    def begin(self) -> None:
        """Note what must be known of a base before anything is merged into it.

        That is: the highest ids; rows whose reference dangles already; rows whose long keys could
        not be found again by their row ids.
        """
        desk, ledger = self._desk, self._ledger
        for table_id in desk.tables():
            visible = desk.visible(table_id)
            assert visible is not None
            ledger.set_base_columns(table_id, visible.column_ids)
            if visible.rowid_column is not None:
                ledger.set_high(table_id, visible.highest())
            desk.note_dangling(visible)
            if visible.key:
                desk.note_long(visible, LONG_KEY_BYTES)
        desk.refresh()

    # -- what others wrote ------------------------------------------------------------------

    def apply(self, entries: Sequence[RowsEntry]) -> None:
        """Take in entries, each after its causes; those that were taken in before are passed over.

        Raises:
            apsw.Error: if the disk is full or broken; the caller rolls back and reloads.
        """
        self._follow_schema()
        ledger = self._ledger
        for entry in entries:
            if entry.sequence <= ledger.have.get(entry.author, 0):
                continue
            if not entry.last:
                ledger.add_part(entry)
                continue
            parts = [
                part for part in ledger.take_parts(entry.author) if part.sequence < entry.sequence
            ]
            self._transaction([*parts, entry])
            ledger.raise_have(entry.author, entry.sequence)
        self.settle()

    def _transaction(self, parts: Sequence[RowsEntry]) -> None:
        pieces = [part.data for part in parts]
        seen: dict[bytes, int] = {}
        schema: list[Statement] = []
        deletes = False
        batches: list[Batch] = []
        small = sum(map(len, pieces)) <= KEPT_BYTES
        try:
            for batch in join(pieces):
                if small:
                    batches.append(batch)
                for author, sequence in batch.seen:
                    seen[author] = max(sequence, seen.get(author, 0))
                for one in batch.statements:
                    deletes |= isinstance(one, Gone | DropTable)
                    if not isinstance(one, Put | Gone):
                        schema.append(one)
        except BatchError:
            return  # alike on every member
        last = parts[-1]
        lamport = min(last.lamport, PENDING - 1)
        op = self._ledger.add_op(
            last.author, last.sequence, lamport, last.wall_ms, seen if deletes else {}
        )
        if schema:
            self.settle()
            for change in schema:
                self._definitions.apply(change, self._ledger.stamp(op), seen)
            self.migrate([one.table for one in schema if isinstance(one, DropTable)], op)
        # A large transaction is read a second time, so that it is never in memory as a whole.
        for batch in batches if small else join(pieces):
            for statement in batch.statements:
                if isinstance(statement, Put):
                    self._put(statement, op)
                elif isinstance(statement, Gone):
                    self._gone(statement, op)

    # -- the schema -------------------------------------------------------------------------

    def migrate(self, dropped: Iterable[str] = (), op: int = 0) -> None:
        """The definitions say something else than the state's tables: bring these to it.

        ``dropped``: tables (ids) that the operation ``op`` dropped. For a recorded change of the
        schema too, in place of ``migrate.migrate``, before its rows are recorded.

        Raises:
            apsw.Error: see ``migrate.migrate``.
        """
        reshape = Reshape(self._desk, self._target)
        for table_id in dropped:
            reshape.drop(table_id, op)
        reshape.run()
        self._target = self._definitions.target()

    def _follow_schema(self) -> None:
        if self._definitions.target() is not self._target:
            self._target = self._definitions.target()
            self._desk.refresh()

    # -- rows -------------------------------------------------------------------------------

    def _put(self, statement: Put, op: int) -> None:
        for row in self._bulk.put(statement, op):
            self._put_row(statement.table, statement.columns, row, op)

    def _put_row(self, table_id: str, columns: Sequence[str], given: PutRow, op: int) -> None:
        row_id, flags, values = given
        desk, ledger = self._desk, self._ledger
        row = desk.find(table_id, row_id)
        if row is not None and row.state == VISIBLE:
            if desk.visible(table_id) is None:
                return  # of a table that is not replicated any more
            desk.pull(row)
        visible = desk.visible(table_id)
        key = visible.rowid_column if visible is not None else None
        if row is None:
            row = Row(table_id, row_id, flags=UNBORN)
            if flags & BORN:
                names = tuple(column for column in columns if column != ROWID)
                row.flags, row.origin, row.shape = 0, op, ledger.shape(names)
        written = dict(zip(columns, values, strict=True))
        if not self._write_cells(row, written, key, op):
            desk.claims.setdefault(table_id, set()).add(row_id)
        if flags & BORN:
            row.flags = (row.flags & ~UNBORN) | (flags & AUTO)
        if flags & LOOSE and (row.loose < 0 or ledger.stamp(op) >= ledger.stamp(row.loose)):
            row.flags, row.loose = row.flags | LOOSE, op
        row.touches = with_newest(ledger, row.touches, op)
        alive = lives(ledger, row, desk.deaths(table_id))
        row.state, row.reason = (ASIDE, "unsettled") if alive else (DEAD, "")
        row.flags &= ~ASLEEP
        ledger.put(row)
        ledger.add_refs(
            table_id, [(value.row, row_id) for value in values if isinstance(value, Ref)]
        )
        desk.unsettled = True
        desk.touched.add(table_id)
        desk.parents.add(row_id)

    def _write_cells(
        self, row: Row, written: Mapping[str, Value], key: str | None, op: int
    ) -> bool:
        """Let a row's cells be what they are by now. Whether its claim stays what it is."""
        ledger, same_claim = self._ledger, True
        stamp = ledger.stamp(op)
        new = row.origin == op and not row.cells and not row.touches
        for column, value in written.items():
            if column == ROWID:
                row.values.setdefault(ROWID, value)
                continue
            wins = new or stamp >= ledger.stamp(ledger.writer(row, column))
            if column == key:
                if not wins:
                    if type(value) is int:
                        ledger.add_claimed(row.table, [value])
                    continue
                if not new:
                    ledger.leave(row)
                    before = row.values.get(column)
                    if type(before) is int:  # it may not have been settled yet
                        ledger.add_claimed(row.table, [before])
                row.locator, same_claim = None, False
            if wins:
                row.values[column] = value
                if not new:
                    row.cells[column] = op
        return same_claim

    def _gone(self, statement: Gone, op: int) -> None:
        for row_id in self._bulk.gone(statement, op):
            self._gone_row(statement.table, row_id, op)

    def _gone_row(self, table_id: str, row_id: bytes, op: int) -> None:
        desk, ledger = self._desk, self._ledger
        row = desk.find(table_id, row_id) or Row(table_id, row_id, flags=UNBORN)
        row.deaths = with_newest(ledger, row.deaths, op)
        if row.state != DEAD and not lives(ledger, row, desk.deaths(table_id)):
            if row.state == VISIBLE:
                if desk.visible(table_id) is None:
                    return
                desk.pull(row)
            row.state, row.reason = DEAD, ""
        ledger.put(row)
        desk.touched.add(table_id)

    # -- what is to be seen -----------------------------------------------------------------

    def settle(self) -> None:
        """Make the visible tables hold just what is to be seen; what changed is noted to do."""
        self._follow_schema()
        desk = self._desk
        for _ in range(SETTLE_ROUNDS):
            settle_claims(desk)
            self._follow_parents()
            if not desk.claims:
                break
        settle_rows(desk)
        for table_id in sorted(desk.touched):
            self._count_on(table_id)
        desk.clear()

    def _follow_parents(self) -> None:
        """Rows that refer to one that has got another id are shown with that."""
        desk, ledger = self._desk, self._ledger
        parents, desk.parents = desk.parents, set()
        for parent in sorted(parents):
            for table_id, row_id in ledger.referrers(parent):
                row, visible = ledger.row(table_id, row_id), desk.visible(table_id)
                if row is None or visible is None:
                    continue
                fixed = desk.is_fixed(table_id)
                refs = {
                    column: desk.resolve(table_id, column, value)
                    for column, value in row.values.items()
                    if isinstance(value, Ref)
                    and value.row == parent
                    and column in visible.names
                    and (fixed or column != visible.rowid_column)
                }
                if row.state == VISIBLE and row.locator is not None:
                    shown = dict(
                        zip(visible.column_ids, visible.get(row.locator) or (), strict=False)
                    )
                    if all(shown.get(column) == value for column, value in refs.items()):
                        continue
                    desk.pull(row)
                elif row.flags & ASLEEP:
                    row.flags &= ~ASLEEP
                    ledger.put(row)
                    desk.touched.add(table_id)
                if visible.rowid_column in refs:
                    row.locator = None
                    ledger.put(row)
                    ledger.set_loser(table_id, row_id, None)
                    desk.claims.setdefault(table_id, set()).add(row_id)

    def _count_on(self, table_id: str) -> None:
        """An id that anybody ever had is not given again where AUTOINCREMENT says so."""
        visible = self._desk.visible(table_id)
        if visible is None or not visible.table.autoincrement:
            return
        name, highest = visible.table.name, self._ledger.highest_id(table_id)
        run = self._connection.execute
        found = run("SELECT max(seq) FROM sqlite_sequence WHERE name=?", (name,)).get
        if not isinstance(found, int):
            run("INSERT INTO sqlite_sequence(name, seq) VALUES(?,?)", (name, highest))
        elif found < highest:
            run("UPDATE sqlite_sequence SET seq=? WHERE name=?", (highest, name))

    # -- for people -------------------------------------------------------------------------

    @property
    def aside_count(self) -> int:
        """How many rows are aside."""
        return sum(self._ledger.count(table_id, ASIDE) for table_id in self._ledger.tables())

    def conflicts(self, limit: int = 1_000) -> list[Conflict]:
        """The rows that are aside, by table and row id; of each table no more than ``limit``."""
        self._follow_schema()
        found = []
        for table_id in self._ledger.tables():
            name = self._definitions.table_name(table_id) or table_id
            for row in self._ledger.rows(table_id, ASIDE, limit):
                op = self._ledger.op(max(row.touches, key=self._ledger.stamp, default=0))
                values = {
                    self._definitions.column_name(table_id, column) or column: (
                        self._desk.resolve(table_id, column, value)
                        if isinstance(value, Ref)
                        else value
                    )
                    for column, value in row.values.items()
                    if column != ROWID
                }
                reason = DROPPED if self._desk.visible(table_id) is None else row.reason
                found.append(Conflict(name, row.id, values, reason, op.author, op.wall_ms))
        return found

    def history(self, table: str, locator: Locator) -> list[tuple[str, bytes, int]]:
        """Who wrote the cells of a visible row, and when: (column name, author, milliseconds).

        Milliseconds are since the epoch. Author b"" and 0: it is as in the base.
        """
        self._follow_schema()
        table_id = self._definitions.table_id(table)
        visible = self._desk.visible(table_id) if table_id is not None else None
        if visible is None or visible.get(locator) is None:
            return []
        row = self._desk.at(visible, locator)
        ops = [
            (name, self._ledger.op(self._ledger.writer(row, column)))
            for column, name in visible.names.items()
        ]
        return [(name, op.author, op.wall_ms) for name, op in ops]
