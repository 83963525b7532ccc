"""Who has which automatic id, in tables with an INTEGER PRIMARY KEY.

The key cell of a row is its *claim*. Of the rows that claim an id (dead ones too) the one whose
claim was written last has it. The others get ids in the order in which their claims were written:
each the smallest one above its claim that was in no row's claim ever (in the base: none up to the
highest) and that no earlier one of them has got; beyond the highest integer it goes on from 1.
So ids are a function of the claims, whatever their order of arrival. What is not an integer claims
nothing, and such a row has no id. Where the key is a foreign key too, another id would be another
row's: there a row claims the present id of the row that it refers to, and who loses has none.

Here that function is brought up to date for the rows named in ``Desk.claims`` and the ids that were
left (``Ledger.left``): work is done for these and for whoever has to give way, not for all.
"""

from __future__ import annotations

import heapq

import msgspec

from .desk import Desk
from .ledger import ASLEEP, VISIBLE, Row, Stamp
from .values import Ref
from .visible import Visible

__all__ = ["settle_claims"]

LAST_ID = 2**63 - 1  # SQLite's rowids are 64-bit, signed
_FETCHED = 256  # ids looked at by one statement (guess)

_Priority = tuple[Stamp, bytes]


def settle_claims(desk: Desk) -> None:
    """Give every row its id. Rows whose id changes are taken out of the visible tables."""
    ledger = desk.ledger
    for table_id in sorted({*desk.claims, *ledger.left, *ledger.reclaim}):
        visible = desk.visible(table_id)
        if visible is not None and visible.rowid_column is not None:
            _Table(desk, visible).settle()
    desk.claims.clear()
    ledger.left.clear()
    ledger.reclaim.clear()


class _Table:
    def __init__(self, desk: Desk, visible: Visible) -> None:
        self._desk, self._ledger, self._visible = desk, desk.ledger, visible
        self._id = visible.id
        assert visible.rowid_column is not None
        self._column = visible.rowid_column
        self._fixed = desk.is_fixed(self._id)
        self._high = desk.ledger.high(self._id)
        self._losers = desk.ledger.losers(self._id)
        self._rows: dict[bytes, Row] = {}
        self._claim: dict[bytes, int | None] = {}
        self._stands: dict[int, bytes | None] = {}  # ids looked up or given here: whose they are
        self._place: dict[bytes, int | None] = {}  # as decided here
        self._next: dict[int, int] = {}  # ids known to be taken -> where to look next

    def settle(self) -> None:
        dirty = {row_id for row_id in self._desk.claims.get(self._id, ()) if self._row(row_id)}
        lost: set[bytes] = set()
        contested: set[int] = set(self._ledger.left.get(self._id, ()))
        for row_id in sorted(dirty):
            self._leave(row_id)
            claim = self._claims(row_id)
            if claim is None:
                self._set(row_id, None, None)
            else:
                contested.add(claim)
        by_claim: dict[int, set[bytes]] = {}
        for row_id in (*self._losers, *dirty):
            claim = self._claims(row_id)
            if claim is not None:
                by_claim.setdefault(claim, set()).add(row_id)
        everyone = self._id in self._ledger.reclaim
        for claim in sorted(contested):
            everyone |= self._contest(claim, by_claim.get(claim, set()), lost)
        if everyone:
            lost |= {row_id for row_id in self._losers if row_id not in lost}
            for row_id in sorted(lost):
                self._leave(row_id)
        self._give(lost)
        self._keep()

    # -- rows -------------------------------------------------------------------------------

    def _row(self, row_id: bytes) -> Row | None:
        row = self._rows.get(row_id)
        if row is None:
            row = self._desk.find(self._id, row_id)
            if row is not None:
                self._rows[row_id] = row
        return row

    def _claims(self, row_id: bytes) -> int | None:
        if row_id in self._claim:
            return self._claim[row_id]
        claim: object = self._losers.get(row_id)
        row = self._row(row_id)
        if claim is None and row is not None:
            visible = row.state == VISIBLE
            claim = row.values.get(self._column)
            if isinstance(claim, Ref):
                resolve = self._desk.resolve
                claim = resolve(self._id, self._column, claim) if self._fixed else claim.value
            elif visible:
                claim = row.locator
        found = claim if type(claim) is int else None
        self._claim[row_id] = found
        return found

    def _priority(self, row_id: bytes) -> _Priority:
        row = self._row(row_id)
        assert row is not None
        return (self._ledger.stamp(self._ledger.writer(row, self._column)), row_id)

    def _who(self, place: int) -> bytes | None:
        """Whose an id is at the moment, rows of the base without a record among them."""
        if place in self._stands:
            return self._stands[place]
        row = self._ledger.claimant(self._id, place)
        if row is None and place <= self._high:
            values = self._visible.get(place)
            if values is not None:
                row_id = self._desk.base_key(self._visible, place, values)
                if self._ledger.row(self._id, row_id) is None:
                    row = Row(self._id, row_id, VISIBLE, place)
        if row is not None:
            row = self._rows.setdefault(row.id, row)
            if row.id in self._place:
                row = None  # it was moved away here
        self._stands[place] = row.id if row else None
        return self._stands[place]

    def _leave(self, row_id: bytes) -> None:
        row = self._row(row_id)
        place = self._place.get(row_id, row.locator if row else None)
        self._place[row_id] = None
        if isinstance(place, int) and self._stands.get(place, row_id) == row_id:
            self._stands[place] = None

    def _set(self, row_id: bytes, place: int | None, claim: int | None) -> None:
        """A row gets an id; ``claim``: if it lost it."""
        self._place[row_id] = place
        if place is not None:
            self._stands[place] = row_id
        if claim is None and row_id in self._losers:
            del self._losers[row_id]
            self._ledger.set_loser(self._id, row_id, None)
        elif claim is not None and self._losers.get(row_id) != claim:
            self._losers[row_id] = claim
            self._ledger.set_loser(self._id, row_id, claim)

    # -- who has the id, who loses it ---------------------------------------------------------

    def _contest(self, claim: int, rivals: set[bytes], lost: set[bytes]) -> bool:
        """Give an id to whom it belongs. Whether someone is no loser any more."""
        there = self._who(claim)
        if there is not None:
            if self._claims(there) == claim:
                rivals = {*rivals, there}
            else:  # a loser got this id when nobody had claimed it
                self._leave(there)
                lost.add(there)
        if not rivals:
            return False
        winner = max(rivals, key=self._priority)
        for rival in sorted(rivals - {winner}):
            if rival not in self._losers or self._place.get(rival, 0) is None:
                if rival not in self._losers:
                    self._leave(rival)
                lost.add(rival)
        regained = winner in self._losers
        if regained:
            self._leave(winner)
            lost.discard(winner)
        self._set(winner, claim, None)
        return regained

    def _give(self, lost: set[bytes]) -> None:
        queue = [(self._priority(row_id), row_id) for row_id in lost]
        heapq.heapify(queue)
        while queue:
            priority, row_id = heapq.heappop(queue)
            claim = self._claims(row_id)
            assert claim is not None
            if self._fixed:
                self._set(row_id, None, claim)
                continue
            place = self._free(claim, priority)
            evicted = self._stands.get(place)
            self._set(row_id, place, claim)
            if evicted is not None:
                self._place[evicted] = None
                heapq.heappush(queue, (self._priority(evicted), evicted))

    def _free(self, claim: int, priority: _Priority) -> int:
        place = max(claim, self._high) + 1
        path = []
        while True:
            if place > LAST_ID:
                place = max(self._high, 0) + 1
            if place in self._next:
                path.append(place)
                place = self._next[place]
                continue
            if not self._is_taken(place, priority):
                break
            path.append(place)
            self._next[place] = place + 1
            place += 1
        for passed in path:
            self._next[passed] = place
        return place

    def _is_taken(self, place: int, priority: _Priority) -> bool:
        if place not in self._stands:
            self._look_ahead(place)
        there = self._who(place)
        if there is None:
            return self._ledger.was_claimed(self._id, place)
        if there in self._losers and self._claims(there) != place:
            return self._priority(there) < priority
        return True

    def _look_ahead(self, place: int) -> None:
        """Look up many ids at once: there are long runs of them."""
        for row in self._ledger.claimants(self._id, place, place + _FETCHED):
            row = self._rows.setdefault(row.id, row)
            if isinstance(row.locator, int) and row.id not in self._place:
                self._stands.setdefault(row.locator, row.id)

    # -- the outcome ------------------------------------------------------------------------

    def _keep(self) -> None:
        moved: list[tuple[Row, int | None]] = []
        for row_id, place in sorted(self._place.items()):
            row = self._row(row_id)
            assert row is not None
            if row.locator == place:
                continue
            if row.state == VISIBLE:
                self._desk.pull(row)
                if not isinstance(row.values.get(self._column), Ref):
                    row.values[self._column] = self._claims(row_id)
            moved.append((row, place))
        # Two rows may exchange their ids, so all of them are freed first.
        self._ledger.put_all(
            self._id, [msgspec.structs.replace(row, locator=None) for row, _ in moved]
        )
        for row, place in moved:
            row.locator = place
            row.flags &= ~ASLEEP
            self._desk.touched.add(self._id)
            self._desk.parents.add(row.id)
        self._ledger.put_all(self._id, [row for row, _ in moved])
