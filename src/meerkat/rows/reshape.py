"""The state's tables become what the definitions say, and the ledger keeps up.

Rows that the new tables cannot hold (their table is dropped, a new constraint forbids them, their
column is gone) are kept in the ledger first, and come back when they can. Decided here is only what
must move; ``migrate`` does the tables, ``constraints`` the rest.
"""

from __future__ import annotations

import msgspec

from .copying import filling
from .definitions import Target, names_between
from .desk import Desk
from .existence import is_loose, lives, with_newest
from .ledger import ASIDE, DEAD, VISIBLE, Row
from .migrate import migrate
from .schema import Table
from .values import Locator, Scalar, Value
from .visible import Visible

__all__ = ["DROPPED", "Reshape"]

DROPPED = "the table was dropped while somebody else changed the row"


class Reshape:
    """From the schema ``before``, which the desk still has, to that of its definitions."""

    def __init__(self, desk: Desk, before: Target) -> None:
        self._desk, self._ledger, self._before = desk, desk.ledger, before
        self._killed: set[str] = set()

    def drop(self, table_id: str, op: int) -> None:
        """A table was dropped by an operation: rows that it had seen do not live."""
        deaths = with_newest(self._ledger, self._desk.deaths(table_id), op)
        self._desk.add_death(table_id, deaths)
        self._killed.add(table_id)

    def run(self) -> None:
        """Move rows, tables, rows."""
        desk, before, after = self._desk, self._before, self._desk.definitions.target()
        moved = set(self._killed)
        for table_id in before.tables:
            now = after.tables.get(table_id)
            visible = desk.visible(table_id)
            if visible is None:
                continue
            if now is None or not self._alike(
                visible, after.schema.tables[now.name], dict(now.columns)
            ):
                moved.add(table_id)
            elif lost := [
                column for column in visible.column_ids if column not in now.column_names
            ]:
                self._keep_columns(visible, lost)
        for table_id in sorted(moved):
            self._take_out(table_id)
        refused: list[tuple[str, Locator, tuple[Scalar, ...]]] = []
        migrate(
            self._ledger.connection,
            after,
            names_between(before, after),
            aside=lambda table, at, values: refused.append((table.name, at, values)),
        )
        self._set_aside(refused)
        for table_id, was in before.tables.items():
            now = after.tables.get(table_id)
            if now is not None and now.name != was.name:
                self._ledger.rename_todo(was.name, now.name)
        desk.refresh()
        self._ledger.wake_all()
        desk.unsettled = True
        for table_id in desk.tables():
            known = before.tables.get(table_id)
            if known is None or table_id in moved:
                self._give_ids(table_id)
            fresh = set(after.tables[table_id].column_names) - set(
                known.column_names if known else ()
            )
            if fresh:
                self._show_columns(table_id, fresh)
            self._fill_again(table_id)
            desk.touched.add(table_id)
        for table_id in desk.tables():
            self._check_links(table_id)

    @staticmethod
    def _alike(visible: Visible, now: Table, names: dict[str, str]) -> bool:
        """Whether rows keep what they are known by: the same key, where it was."""
        ids = {name: column for column, name in names.items()}
        return (
            visible.table.without_rowid == now.without_rowid
            and bool(visible.table.module) == bool(now.module)
            and now.replicated
            and visible.key == tuple(ids.get(name, name) for name in now.key)
            and visible.rowid_column == ids.get(now.rowid_column or "")
        )

    def _take_out(self, table_id: str) -> None:
        """All rows of a table leave it; they have records from now on."""
        desk, ledger = self._desk, self._ledger
        visible = desk.visible(table_id)
        if visible is not None:
            for at in visible.locators():
                desk.pull(desk.at(visible, at))
        deaths = desk.deaths(table_id)
        for row in list(ledger.rows(table_id, ASIDE)):
            if not lives(ledger, row, deaths):
                desk.drop_to_dead(row)
            elif row.reason == "unsettled":
                row.reason = DROPPED
                ledger.put(row)
        desk.touched.add(table_id)

    def _keep_columns(self, visible: Visible, lost: list[str]) -> None:
        """Cells of columns that go wait in the ledger."""
        places = {column: place for place, column in enumerate(visible.column_ids)}
        for at in visible.locators():
            row, values = self._desk.at(visible, at), visible.get(at) or ()
            unwritten = self._desk.unwritten(row, visible)
            kept: dict[str, Value] = {
                column: values[places[column]]
                for column in lost
                if column not in unwritten and places[column] < len(values)
            }
            if kept:
                row.values = {**kept, **row.values}
                self._ledger.put(row)

    def _set_aside(self, refused: list[tuple[str, Locator, tuple[Scalar, ...]]]) -> None:
        """Rows that SQLite did not carry over, named as they were before."""
        desk, ledger = self._desk, self._ledger
        for name, at, values in refused:
            table_id = self._before.table_ids.get(name)
            visible = desk.visible(table_id) if table_id is not None else None
            if table_id is None or visible is None:
                continue
            row = ledger.at(table_id, at)
            if row is None:
                row = Row(table_id, desk.base_key(visible, at, values), VISIBLE, at)
            ledger.add_todo(name, at, values)
            desk.release(row, visible, values)

    def _give_ids(self, table_id: str) -> None:
        """A table came (again), or has another key: who stands where is found anew."""
        desk, ledger = self._desk, self._ledger
        visible = desk.visible(table_id)
        assert visible is not None
        ledger.forget_places(table_id)
        if visible.rowid_column is None:
            return
        wanting = desk.claims.setdefault(table_id, set())
        for state in (ASIDE, DEAD):
            wanting.update(row.id for row in ledger.rows(table_id, state))

    def _fill_again(self, table_id: str) -> None:
        """Cells that nobody wrote show the default there is now."""
        desk, was = self._desk, self._before.tables.get(table_id)
        visible = desk.visible(table_id)
        assert visible is not None
        if was is None:
            return
        old = self._before.schema.tables[was.name]
        before = {was.column_ids.get(one.name): (one.default, filling(one)) for one in old.columns}
        base = self._ledger.base_columns(table_id) or ()
        ids = {name: column for column, name in visible.names.items()}
        other = {
            column
            for one in visible.table.columns
            if (column := ids[one.name]) not in base
            and before.get(column, (one.default, filling(one))) != (one.default, filling(one))
        }
        if not other:
            return
        for at in visible.locators():
            row = desk.at(visible, at)
            if not other.isdisjoint(desk.unwritten(row, visible)):
                desk.pull(row)

    def _check_links(self, child: str) -> None:
        """Foreign keys may be others, and what they point to."""
        desk = self._desk
        visible = desk.visible(child)
        assert visible is not None
        links = desk.links.get(child, ())
        columns = [column for link in links for column in link.column_ids]
        for link in links:
            for at in visible.locators_where(desk.nowhere(link)):
                row = desk.at(visible, at)
                if not is_loose(self._ledger, row, columns):
                    desk.pull(row)

    def _show_columns(self, table_id: str, fresh: set[str]) -> None:
        """Cells that waited for their column are shown."""
        rows = [
            row
            for row in self._ledger.rows_with_data(table_id)
            if row.state == VISIBLE and not fresh.isdisjoint(row.values)
        ]
        for row in rows:
            waiting = {c: v for c, v in row.values.items() if c in fresh}
            self._desk.pull(msgspec.structs.replace(row))
            pulled = self._ledger.row(table_id, row.id)
            assert pulled is not None
            pulled.values.update(waiting)
            self._ledger.put(pulled)
