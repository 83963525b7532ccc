"""The ledger keeps what it is told, also over a restart."""

from __future__ import annotations

import apsw
import pytest

from meerkat.core.rows import RowsEntry
from meerkat.rows.changes import AUTO, LOOSE
from meerkat.rows.ledger import ASIDE, DEAD, PENDING, VISIBLE, Ledger, Row
from meerkat.rows.notebook import Todo, Waiting
from meerkat.rows.values import RawText, Ref

US, THEM = b"u" * 32, b"t" * 32


@pytest.fixture
def ledger():
    connection = apsw.Connection(":memory:")
    Ledger.create(connection, US)
    return Ledger(connection)


def again(ledger: Ledger) -> Ledger:
    return Ledger(ledger.connection)


def test_operations(ledger):
    first = ledger.add_op(THEM, 4, 7, 1000, {US: 3})
    assert ledger.op(first).stamp == (7, THEM, 4)
    assert again(ledger).op(first).seen == {US: 3}
    assert ledger.op(0).stamp == (0, b"", 0)


def test_a_pending_operation_beats_all_before_it_until_it_is_signed(ledger):
    one, two = ledger.pending_op({}), ledger.pending_op({})
    theirs = ledger.add_op(THEM, 1, 10**9, 0, {})
    assert ledger.stamp(theirs) < ledger.stamp(one) < ledger.stamp(two)
    assert ledger.stamp(one)[0] == PENDING
    ledger.sign(one, US, 5, 8, 99)
    assert again(ledger).stamp(one) == ledger.stamp(one) == (8, US, 5)


@pytest.mark.parametrize(
    "row",
    [
        Row("t", b"a1", VISIBLE, 5, 1, 1, AUTO, touches=(1,)),
        Row("t", b"a1", VISIBLE, 5, 1, 1, AUTO | LOOSE, touches=(1,), loose=1),
        Row("t", b"a1", ASIDE, 5, 1, 1, values={"a": Ref(b"p", 3), "b": RawText(b"\xff")}),
        Row("t", b"a1", DEAD, None, cells={"a": 2}, touches=(1, 2), deaths=(3,), reason="why"),
        Row("t", b"k=", VISIBLE, ("x", 1, None, b"\x00", 1.5), touches=(2,)),
    ],
)
def test_a_record_is_read_as_it_was_put(ledger, row):
    ledger.shape(["a", "b"])
    ledger.put(row)
    assert again(ledger).row("t", row.id) == row
    assert ledger.rows_of("t", [b"zz", row.id]) == {row.id: row}
    assert list(ledger.rows("t", row.state)) == [row]
    if row.locator is not None:
        assert ledger.claimant("t", row.locator) == row
        assert ledger.at("t", row.locator) == (row if row.state == VISIBLE else None)
        assert ledger.at_many("t", [row.locator]) == (
            {row.locator: row} if row.state == VISIBLE else {}
        )


def test_rows_born_together_have_the_records_of_rows_put_one_by_one(ledger):
    shape = ledger.shape(["a", "b"])
    ledger.put_born("t", 3, shape, AUTO, [(b"a1", 1), (b"a2", 2)])
    assert ledger.row("t", b"a2") == Row("t", b"a2", VISIBLE, 2, 3, shape, AUTO, touches=(3,))
    assert ledger.writer(Row("t", b"a2", origin=3, shape=shape), "a") == 3
    assert ledger.writer(Row("t", b"a2", origin=3, shape=shape), "c") == 0


def test_two_rows_do_not_stand_at_one_place(ledger):
    ledger.put(Row("t", b"a1", VISIBLE, 1))
    with pytest.raises(apsw.ConstraintError):
        ledger.put(Row("t", b"a2", DEAD, 1))
    ledger.put(Row("other", b"a2", DEAD, 1))


def test_names_keep_their_numbers(ledger):
    shape = ledger.shape(["b", "a"])
    number = ledger.table_number("t")
    assert (again(ledger).shape(["b", "a"]), again(ledger).table_number("t")) == (shape, number)
    assert ledger.shape_columns(shape) == {"a", "b"}
    assert ledger.tables() == ["t"]


def test_todo_keeps_the_first_old_values(ledger):
    ledger.add_todo("t", 5, (1, RawText(b"\xff")))
    ledger.add_todo("t", 5, None)
    ledger.add_todo("w", ("k", 1), None)
    assert list(ledger.todo()) == [
        Todo("t", 5, (1, RawText(b"\xff"))),
        Todo("w", ("k", 1), None),
    ]
    ledger.clear_todo()
    assert not ledger.has_todo()


def test_captures_wait_and_parts_are_kept(ledger):
    ledger.number = 3
    ledger.add_waiting(3, [b"x", b"y"], [7, 7])
    assert again(ledger).waiting() == [Waiting(3, (b"x", b"y"), (7, 7))]
    assert again(ledger).number == 3
    ledger.remove_waiting(3)
    assert ledger.waiting() == []
    part = RowsEntry(THEM, 2, 5, 9, False, b"data")
    ledger.add_part(part)
    ledger.add_part(RowsEntry(THEM, 2, 6, 9, False, b"again"))
    assert again(ledger).take_parts(THEM) == [part]
    assert ledger.take_parts(THEM) == []


def test_have_only_grows(ledger):
    ledger.raise_have(THEM, 4)
    ledger.raise_have(THEM, 2)
    assert again(ledger).have == {THEM: 4}


def test_who_refers_to_a_row(ledger):
    ledger.add_refs("item", [(b"p1", b"i1"), (b"p1", b"i2"), (b"p1", b"i1")])
    assert ledger.referrers(b"p1") == [("item", b"i1"), ("item", b"i2")]
    assert ledger.referred([b"p0", b"p1"]) == [b"p1"]
