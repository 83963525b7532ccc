"""Which living rows are visible, and which are aside because of a constraint.

The choice is a function of all living rows: what SQLite refuses for the row itself (NOT NULL,
CHECK, types) is aside. Of the others, in rounds: take them in order of priority
(``Desk.priority``), each that clashes with none taken before; of those taken, the ones that point
to a row not taken (nor excused, ``is_loose``) are out, and those that point to them; if some were
out and others had to give way, another round without the ones that were out. So a row that is
aside itself keeps nobody out. In the end those that were out are looked at again, in the same
order and as often as that helps: who clashes with nobody visible and points to visible rows is
visible after all.

Work is done for rows aside, rows changed, visible rows of lower priority that clash with one of
them, and visible children of what went. All others are taken in every round of the whole choice
too: they clash with nobody that is ever taken before them, and their parents stay.

A row that SQLite refuses for itself, or that clashes with a visible one of higher priority,
*sleeps* until that one is disturbed or the schema is another: it is taken in no round, so it has a
part in nothing. So many rows aside cost nothing while nobody touches what they clash with.

SQLite itself says what clashes and what points nowhere: each round is played in the visible tables,
inside a savepoint.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from .desk import Desk
from .existence import is_loose
from .ledger import ASIDE, ASLEEP, Row, Stamp
from .references import children_of, dangling
from .values import Locator
from .visible import Refused

__all__ = ["settle_rows"]

_Key = tuple[str, bytes]
_Priority = tuple[Stamp, bytes, str]


def settle_rows(desk: Desk) -> None:
    """Make the visible tables hold just the rows that are to be visible."""
    ledger = desk.ledger
    related = _related(desk)
    if not _is_needed(desk, related):
        return
    everyone: dict[_Key, Row] = {}
    for table_id, places in sorted(desk.fresh.items()):
        for row in _excused_not(desk, table_id, dangling(desk, table_id, places)):
            desk.pull(row)
            everyone[row.key] = row
    for table_id in sorted(related):
        ledger.wake(table_id, ledger.disturbed.get(table_id, ()))
        everyone |= {row.key: row for row in ledger.rows_awake(table_id)}
    if not everyone and not desk.lost:
        return
    while not _settled(desk, everyone):
        pass


def _settled(desk: Desk, everyone: dict[_Key, Row]) -> bool:
    """Play all rounds. False if others have to take part, who are among ``everyone`` now."""
    candidates, outs = dict(everyone), dict[_Key, str]()
    while True:
        played = _Round(desk, candidates)
        last = played.play()
        places = played.joined()
        woken = {
            key
            for table_id, here in places.items()
            for key in desk.ledger.sleepers(table_id, here)
            if key not in everyone
        }
        if last and not woken:
            played.readmit({*outs, *played.out})
        played.end(keep=last and not woken)
        if last and not woken:
            played.note(outs)
            return True
        outs.update(played.out)
        for key in played.out:
            candidates.pop(key, None)
        for table_id, here in sorted(places.items()):
            visible = desk.visible(table_id)
            assert visible is not None
            for at in here:
                row = desk.at(visible, at)
                desk.pull(row)
                everyone[row.key] = row
                if row.key not in outs:
                    candidates[row.key] = row
        for table_id, here in places.items():
            desk.ledger.wake(table_id, here)
        for table_id, row_id in sorted(woken):
            sleeper = desk.ledger.row(table_id, row_id)
            if sleeper is not None:
                everyone[sleeper.key] = sleeper
        if woken:
            return False


def _is_needed(desk: Desk, related: set[str]) -> bool:
    if desk.unsettled or desk.lost or desk.fresh:
        return True
    ledger = desk.ledger
    return any(
        ledger.has_awake(table_id)
        or any(True for _ in ledger.sleepers(table_id, ledger.disturbed.get(table_id, ())))
        for table_id in related
    )


def _related(desk: Desk) -> set[str]:
    """The tables that were touched, and all that foreign keys join with them."""
    found = {table for table in desk.touched if desk.visible(table) is not None}
    ahead = list(found)
    while ahead:
        table = ahead.pop()
        joined = [link.child for link in desk.referred.get(table, ())]
        joined += [link.parent for link in desk.links.get(table, ())]
        for other in joined:
            if other not in found:
                found.add(other)
                ahead.append(other)
    return found


def _excused_not(desk: Desk, table_id: str, places: Iterable[Locator]) -> list[Row]:
    visible = desk.visible(table_id)
    assert visible is not None
    columns = [column for link in desk.links.get(table_id, ()) for column in link.column_ids]
    rows = (desk.at(visible, at) for at in sorted(set(places), key=repr))
    return [row for row in rows if not is_loose(desk.ledger, row, columns)]


class _Round:
    def __init__(self, desk: Desk, candidates: dict[_Key, Row]) -> None:
        self._desk, self._connection = desk, desk.ledger.connection
        self._candidates = candidates
        self._columns = {table: desk.unique_columns(table) for table in desk.tables()}
        self._order: list[tuple[_Priority, Row]] = []
        self._taken: dict[_Key, Locator] = {}
        self._at: dict[str, dict[Locator, _Key]] = {}
        self._joined: dict[_Key, Locator] = {}
        self._back: dict[_Key, str] = {}  # kept out: why
        self._asleep: dict[_Key, Locator | None] = {}  # ... by whom; None: by itself
        self._blocked = False
        self.out: dict[_Key, str] = {}

    def play(self) -> bool:
        """Whether this was the last round. To be ended."""
        self._connection.execute("SAVEPOINT meerkat_round")
        self._order = sorted(
            ((self._priority(row), row) for row in self._candidates.values()),
            key=lambda entry: entry[0],
        )
        while self._order:
            priority, row = self._order.pop()
            self._take(priority, row)
        self._drop_dangling()
        return not (self.out and self._blocked)

    def readmit(self, outs: set[_Key]) -> None:
        """Show those of the rows that were out that can be seen after all."""
        desk = self._desk
        found = (desk.ledger.row(*key) for key in outs)
        rows = sorted(
            ((self._priority(row), row) for row in found if row is not None and row.state == ASIDE),
            key=lambda entry: entry[0],
            reverse=True,
        )
        while True:
            rest = [entry for entry in rows if not self._is_readmitted(entry[1])]
            if len(rest) == len(rows):
                return
            rows = rest

    def _is_readmitted(self, row: Row) -> bool:
        desk = self._desk
        self._connection.execute("SAVEPOINT meerkat_back")
        try:
            at = desk.show(row)
            good = not _excused_not(desk, row.table, dangling(desk, row.table, (at,)))
        except Refused:
            good = False
        if not good:
            self._connection.execute("ROLLBACK TO meerkat_back")
        self._connection.execute("RELEASE meerkat_back")
        return good

    def end(self, *, keep: bool) -> None:
        """Let what was played stand, or not."""
        if not keep:
            self._connection.execute("ROLLBACK TO meerkat_round")
        self._connection.execute("RELEASE meerkat_round")

    def joined(self) -> dict[str, list[Locator]]:
        """Where visible rows stood that had to give way, or pointed to what had: by table."""
        found: dict[str, list[Locator]] = {}
        for (table_id, _), at in sorted(self._joined.items()):
            found.setdefault(table_id, []).append(at)
        return found

    def note(self, outs: dict[_Key, str]) -> None:
        """Keep why rows are aside, and which of them need not be looked at again for now."""
        ledger = self._desk.ledger
        for (table_id, row_id), reason in sorted({**outs, **self._back, **self.out}.items()):
            row = ledger.row(table_id, row_id)
            if row is None or row.state != ASIDE:
                continue
            asleep = row.key in self._asleep
            if row.reason != reason or asleep:
                row.reason = reason
                row.flags = (row.flags | ASLEEP) if asleep else row.flags & ~ASLEEP
                ledger.put(row)
                ledger.set_sleeper(row, self._asleep.get(row.key))

    def _priority(self, row: Row) -> _Priority:
        return self._desk.priority(row, self._columns[row.table])

    def _take(self, priority: _Priority, row: Row) -> None:
        desk = self._desk
        visible = desk.visible(row.table)
        assert visible is not None
        try:
            at = desk.show(row)
        except Refused as refused:
            if refused.clash and self._give_way(priority, row):
                self._take(priority, row)
                return
            self._back[row.key] = refused.reason
            if not refused.clash:
                self._asleep[row.key] = None
            return
        self._taken[row.key] = at
        self._at.setdefault(row.table, {})[at] = row.key

    def _give_way(self, priority: _Priority, row: Row) -> bool:
        """Whether all that a row clashes with had to go."""
        desk = self._desk
        visible = desk.visible(row.table)
        assert visible is not None
        try:
            places = visible.clashes(desk.scalars(row), desk.place(row))
        except Refused:
            return False
        taken = self._at.get(row.table, {})
        before = next((at for at in places if at in taken), None)
        if not places or before is not None:
            self._blocked = True
            if before is not None:
                self._asleep[row.key] = before
            return False
        others = [(desk.at(visible, at), at) for at in places]
        ranked = [(self._priority(other), other, at) for other, at in others]
        higher = next((at for rank, _, at in ranked if rank >= priority), None)
        if higher is not None:
            self._blocked = True
            self._asleep[row.key] = higher
            return False
        for rank, other, at in ranked:
            self._joined[other.key] = at
            desk.pull(other)
            bisect.insort(self._order, (rank, other), key=lambda entry: entry[0])
        return True

    def _drop_dangling(self) -> None:
        desk = self._desk
        checks: dict[str, list[Locator]] = {}
        for (table_id, _), at in self._taken.items():
            checks.setdefault(table_id, []).append(at)
        going: list[Row] = []
        for table_id, places in sorted(checks.items()):
            going += _excused_not(desk, table_id, dangling(desk, table_id, places))
        gone = {table: list(rows) for table, rows in desk.lost.items()}
        while True:
            for table_id, rows in sorted(gone.items()):
                by_child: dict[str, list[Locator]] = {}
                for child, at in children_of(desk, table_id, rows):
                    by_child.setdefault(child, []).append(at)
                for child, places in sorted(by_child.items()):
                    going += _excused_not(desk, child, places)
            known = {table: len(rows) for table, rows in desk.lost.items()}
            for row in going:
                if row.key not in self.out:
                    self._remove(row)
            going = []
            gone = {
                table: rows[known.get(table, 0) :]
                for table, rows in desk.lost.items()
                if len(rows) > known.get(table, 0)
            }
            if not gone:
                return

    def _remove(self, row: Row) -> None:
        at = row.locator
        if row.key not in self._taken and row.key not in self._joined and at is not None:
            self._joined[row.key] = at
        self.out[row.key] = "FOREIGN KEY constraint failed"
        self._desk.pull(row)
