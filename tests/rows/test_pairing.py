"""The same row before and after, where a comparison by locator sees two."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import pytest

from meerkat.rows.compare import RowDelta
from meerkat.rows.pairing import PAIRED_COUNT, Pairing, RowBorn, RowChanged, RowDied
from meerkat.rows.schema import Table, read_schema
from meerkat.rows.values import Locator, Scalar

Values = tuple[Scalar, ...]
Standing = dict[tuple[Scalar, ...], tuple[Locator, Values]]


def table(sql: str) -> Table:
    connection = apsw.Connection(":memory:")
    connection.execute(sql)
    (found,) = read_schema(connection).tables.values()
    return found


INTEGER = table("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)")
KEYED = table("CREATE TABLE t(k TEXT PRIMARY KEY, a, b)")
KEYLESS = table("CREATE TABLE t(a, b)")
NO_ROWID = table("CREATE TABLE t(k TEXT PRIMARY KEY, a) WITHOUT ROWID")


def pairs(
    of: Table, deltas: Sequence[RowDelta], standing: Standing | None = None
) -> list[RowChanged | RowBorn | RowDied]:
    known = standing or {}
    return list(Pairing(of, known.get).pairs(deltas))


def test_a_row_that_stays_is_itself() -> None:
    delta = RowDelta(3, (3, "x", 1), 3, (3, "y", 1))
    assert pairs(INTEGER, [delta]) == [RowChanged(3, (3, "x", 1), 3, (3, "y", 1))]


def test_a_key_update_is_one_row_if_the_rest_says_so() -> None:
    deltas = [RowDelta(3, (3, "x", 1), None, None), RowDelta(None, None, 9, (9, "x", 1))]
    assert pairs(INTEGER, deltas) == [RowChanged(3, (3, "x", 1), 9, (9, "x", 1))]


def test_two_that_look_alike_are_not_guessed_at() -> None:
    gone = [RowDelta(at, (at, "x", 1), None, None) for at in (3, 4)]
    come = [RowDelta(None, None, 9, (9, "x", 1))]
    assert pairs(INTEGER, [*gone, *come]) == [
        RowBorn(9, (9, "x", 1)),
        RowDied(3, (3, "x", 1)),
        RowDied(4, (4, "x", 1)),
    ]


@pytest.mark.parametrize("gone_first", [True, False])
def test_replace_keeps_the_row_of_a_natural_key(gone_first: bool) -> None:
    """Under another rowid: its key says who it is, whichever comes first."""
    old, new = ("k", 1, 1), ("k", 2, 2)
    gone, come = RowDelta(3, old, None, None), RowDelta(None, None, 8, new)
    deltas = [gone, come] if gone_first else [come, gone]
    assert pairs(KEYED, deltas, {("k",): (3, old)}) == [RowChanged(3, old, 8, new)]


def test_a_rowid_that_is_used_again_is_another_row() -> None:
    deltas = [RowDelta(3, ("k", 1, 1), 3, ("other", 2, 2))]
    assert pairs(KEYED, deltas) == [
        RowBorn(3, ("other", 2, 2), over=True),
        RowDied(3, ("k", 1, 1)),
    ]


def test_a_key_that_changed_in_place_is_the_same_row() -> None:
    deltas = [RowDelta(3, ("k", 1, 1), 3, ("other", 1, 2))]
    assert pairs(KEYED, deltas) == [RowChanged(3, ("k", 1, 1), 3, ("other", 1, 2))]


def test_keys_that_are_exchanged() -> None:
    """Each row takes the other's key with everything else in place: two key updates."""
    one, two = ("a", 1, 1), ("b", 2, 2)
    deltas = [RowDelta(1, one, 1, ("b", 1, 1)), RowDelta(2, two, 2, ("a", 2, 2))]
    standing: Standing = {("a",): (1, one), ("b",): (2, two)}
    assert pairs(KEYED, deltas, standing) == [
        RowChanged(1, one, 1, ("b", 1, 1)),
        RowChanged(2, two, 2, ("a", 2, 2)),
    ]


def test_vacuum_renumbers_rows_without_a_key() -> None:
    """Equal rows cannot be told apart: none is born, none dies."""
    gone = [RowDelta(at, ("x", 1), None, None) for at in (5, 7)]
    come = [RowDelta(None, None, at, ("x", 1)) for at in (1, 2)]
    assert pairs(KEYLESS, [*come, *gone]) == [
        RowChanged(5, ("x", 1), 1, ("x", 1)),
        RowChanged(7, ("x", 1), 2, ("x", 1)),
    ]


def test_a_key_update_without_rowids() -> None:
    deltas = [RowDelta(("a",), ("a", 1), None, None), RowDelta(None, None, ("b",), ("b", 1))]
    assert pairs(NO_ROWID, deltas) == [RowChanged(("a",), ("a", 1), ("b",), ("b", 1))]


def test_null_in_a_key_names_nobody() -> None:
    """SQLite allows many rows with NULL there."""
    come = [RowDelta(None, None, at, (None, at, 0)) for at in (1, 2)]
    assert pairs(KEYED, come) == [RowBorn(1, (None, 1, 0)), RowBorn(2, (None, 2, 0))]


def test_too_many_to_be_paired_keep_their_order() -> None:
    """Ids are told to be automatic by how they follow each other."""
    count = 2 * PAIRED_COUNT + 5
    come = [RowDelta(None, None, at, (at, "x", at)) for at in range(1, count)]
    found = pairs(INTEGER, come)
    assert [one.at for one in found if isinstance(one, RowBorn)] == list(range(1, count))
