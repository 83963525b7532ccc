"""Rows are the same only by type and bytes, and every row that differs is found once."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.rows.compare import RowDelta, compare
from meerkat.rows.schema import read_schema
from meerkat.rows.skeleton import KeyRange
from meerkat.rows.values import RawText, same


def two(create: str, encoding: str = "UTF-8") -> tuple[apsw.Connection, apsw.Connection]:
    made = apsw.Connection(":memory:"), apsw.Connection(":memory:")
    for connection in made:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute(create)
    return made


def differing(
    file: apsw.Connection, state: apsw.Connection, ranges: list[KeyRange] | None = None
) -> list[RowDelta]:
    table = read_schema(file).tables["t"]
    return list(compare(file, state, table, read_schema(state).tables["t"], ranges))


VALUES: list[Any] = [None, 0, 1, 1.0, "1", b"1", 0.0, -0.0, "", b"", "a", "A", 2**53, float(2**53)]


@pytest.mark.parametrize("new", VALUES, ids=repr)
@pytest.mark.parametrize("old", VALUES, ids=repr)
def test_values_by_type_and_bytes(old: Any, new: Any) -> None:
    file, state = two("CREATE TABLE t (a)")
    file.execute("INSERT INTO t VALUES (?)", (new,))
    state.execute("INSERT INTO t VALUES (?)", (old,))
    expected = [] if same(old, new) else [RowDelta(1, (old,), 1, (new,))]
    assert repr(differing(file, state)) == repr(expected)


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("rows", [1, 40, 3000])
def test_text_that_is_none(encoding: str, rows: int) -> None:
    file, state = two("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", encoding)
    for connection in (file, state):
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?)", [(n, f"nä {n}", b"\xff\xd8") for n in range(rows)]
        )
    broken = b"\xff\xfe\x80" if encoding == "UTF-8" else b"\xd8\xd8\x41\x41"
    at = rows // 2
    file.execute("UPDATE t SET a = CAST(? AS TEXT) WHERE id = ?", (broken, at))
    (delta,) = differing(file, state)
    assert delta.new == (at, RawText(broken), b"\xff\xd8")
    assert delta.old == (at, f"nä {at}", b"\xff\xd8")
    state.execute("UPDATE t SET a = CAST(? AS TEXT) WHERE id = ?", (broken, at))
    assert differing(file, state) == []


def test_ranges() -> None:
    file, state = two("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    file.executemany("INSERT INTO t VALUES (?, 1)", [(-(2**63),), (3,), (7,), (2**63 - 1,)])
    state.executemany("INSERT INTO t VALUES (?, 0)", [(3,), (5,), (7,)])
    assert [(one.old_at, one.new_at) for one in differing(file, state, [KeyRange(3, 5)])] == [
        (3, 3),
        (5, None),
    ]
    assert [one.new_at for one in differing(file, state)] == [-(2**63), 3, None, 7, 2**63 - 1]
    assert differing(file, state, []) == []


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_keys_of_all_types_in_order(encoding: str) -> None:
    file, state = two("CREATE TABLE t (k, v, PRIMARY KEY (k)) WITHOUT ROWID", encoding)
    keys: list[Any] = [-1, 0, 0.5, 2**53, 2**60 + 1, float(2**60), "", "a", "é", "\uffff", "𝄞", b""]
    chance = random.Random(3)
    ours, theirs = chance.sample(keys, 8), chance.sample(keys, 8)
    file.executemany("INSERT INTO t VALUES (?, 1)", [(key,) for key in ours])
    state.executemany("INSERT INTO t VALUES (?, 1)", [(key,) for key in theirs])
    found = differing(file, state)
    born = {one.new_at for one in found if one.old is None}
    died = {one.old_at for one in found if one.new is None}
    assert born == {(key,) for key in ours if key not in theirs}
    assert died == {(key,) for key in theirs if key not in ours}
    assert len(found) == len(born) + len(died)


def test_key_of_another_type_or_case() -> None:
    file, state = two(
        "CREATE TABLE t (k TEXT COLLATE nocase, n, PRIMARY KEY (k, n DESC)) WITHOUT ROWID"
    )
    file.executemany("INSERT INTO t VALUES (?, ?)", [("a", 1.0), ("B", 1), ("c", 2)])
    state.executemany("INSERT INTO t VALUES (?, ?)", [("a", 1), ("b", 1), ("c", 2)])
    assert repr(differing(file, state)) == repr(
        [
            RowDelta(None, None, ("B", 1), ("B", 1)),
            RowDelta(("a", 1), ("a", 1), ("a", 1.0), ("a", 1.0)),
            RowDelta(("b", 1), ("b", 1), None, None),
        ]
    )


def test_virtual_tables() -> None:
    for create in (
        "CREATE VIRTUAL TABLE t USING fts5(a, b)",
        "CREATE VIRTUAL TABLE t USING rtree(id, low, high)",
    ):
        file, state = two(create)
        file.executemany(
            "INSERT INTO t (rowid, 'a', 'b') VALUES (?, ?, ?)"
            if "fts" in create
            else "INSERT INTO t VALUES (?, ?, ?)",
            [(1, 1, 2), (5, 2, 3)],
        )
        (first, second) = differing(file, state)
        assert (first.new_at, second.new_at) == (1, 5)


def test_rows_that_are_large() -> None:
    file, state = two("CREATE TABLE t (a)")
    for connection in (file, state):
        connection.execute(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
            " INSERT INTO t SELECT zeroblob(300000) FROM n"
        )
    file.execute("DELETE FROM t WHERE rowid IN (1, 20, 40)")
    assert [one.old_at for one in differing(file, state)] == [1, 20, 40]


row_sets = st.dictionaries(st.integers(0, 60), st.sampled_from([0, 1, 1.0, "x", None]), max_size=60)


@given(row_sets, row_sets)
def test_any_rows(new: dict[int, Any], old: dict[int, Any]) -> None:
    file, state = two("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    file.executemany("INSERT INTO t VALUES (?, ?)", new.items())
    state.executemany("INSERT INTO t VALUES (?, ?)", old.items())
    expected = [
        RowDelta(
            key if key in old else None,
            (key, old[key]) if key in old else None,
            key if key in new else None,
            (key, new[key]) if key in new else None,
        )
        for key in sorted(old.keys() | new.keys())
        if not (key in old and key in new and same(old[key], new[key]))
    ]
    assert repr(differing(file, state)) == repr(expected)
