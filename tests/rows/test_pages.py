"""The pages of a file say where its rows are, as SQLite itself puts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.rows.pages import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    TABLE_INTERIOR,
    TABLE_LEAF,
    FileHeader,
    PageError,
    interior,
    kind_of,
    overflow_heads,
    parse_header,
)
from meerkat.rows.skeleton import EVERY_ROW, KeyRange, Skeleton, merged

SIZES = [512, 1024, 4096, 16384, 32768, 65536]


class Image:
    """The pages of a database's bytes."""

    def __init__(self, data: bytes) -> None:
        self.header = parse_header(data)
        self.usable = self.header.usable
        self.count = len(data) // self.header.page_size
        self._data = data

    def page(self, number: int) -> bytes:
        if not 1 <= number <= self.count:
            raise PageError(f"no page {number}")
        size = self.header.page_size
        return self._data[(number - 1) * size : number * size]

    def word(self, number: int) -> int:
        return int.from_bytes(self.page(number)[:4], "big")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("PRAGMA synchronous = off; PRAGMA journal_mode = memory")
    yield connection
    connection.close()


def image(connection: apsw.Connection) -> Image:
    return Image(connection.serialize("main"))


def root(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).get)


def owned(connection: apsw.Connection, name: str) -> set[int]:
    """The pages of a table, by SQLite's own account."""
    return {
        page for (page,) in connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,))
    }


@pytest.mark.parametrize("reserved", [0, 32])
@pytest.mark.parametrize("auto_vacuum", [0, 1])
@pytest.mark.parametrize("size", SIZES)
def test_all_pages_of_all_tables(
    connection: apsw.Connection, size: int, auto_vacuum: int, reserved: int
) -> None:
    connection.reserve_bytes("main", reserved)
    connection.execute(f"PRAGMA page_size = {size}; PRAGMA auto_vacuum = {auto_vacuum}")
    connection.execute(
        "BEGIN; CREATE TABLE a (x); CREATE TABLE b (x PRIMARY KEY, y) WITHOUT ROWID;"
        " CREATE TABLE c (x)"
    )
    lengths = [0, 3, size // 9, size // 4, size // 2, size - 40, size, 3 * size, 16_384, 70_000]
    rows = [(length, number) for number in range(4) for length in lengths]
    connection.executemany("INSERT INTO a VALUES (zeroblob(?1 + 0 * ?2))", rows)
    connection.executemany("INSERT INTO b VALUES (randomblob(?1 + 9), ?2)", rows)
    connection.execute(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO c SELECT i FROM n"
    )
    connection.execute("COMMIT")
    pages = image(connection)
    assert pages.usable == size - reserved
    skeleton = Skeleton()
    roots = {name: root(connection, name) for name in "abc"}
    skeleton.build(pages, {1, *roots.values()})
    for name, at in roots.items():
        mine = {page for page in range(1, pages.count + 1) if skeleton.root_of(page) == at}
        assert mine == owned(connection, name)


@pytest.mark.parametrize("size", [512, 4096])
def test_ranges_hold_a_leaf_s_rows(connection: apsw.Connection, size: int) -> None:
    connection.execute(f"PRAGMA page_size = {size}; CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    connection.executemany(
        "INSERT INTO t VALUES (?, zeroblob(30))",
        [(number * number - 900,) for number in range(999)],
    )
    before = image(connection)
    skeleton = Skeleton()
    roots = {root(connection, "t")}
    skeleton.build(before, roots)
    for row in (-900, -899, 0, 500 * 500 - 900, 998 * 998 - 900):
        connection.execute("UPDATE t SET x = x'ff' || substr(x, 2) WHERE id = ?", (row,))
        after = image(connection)
        changed = {
            number
            for number in range(2, after.count + 1)
            if after.page(number) != before.page(number)
        }
        ((low, high),) = skeleton.step(after, changed, roots)[min(roots)]
        assert low <= row <= high
        rows = connection.execute(
            "SELECT count(*) FROM t WHERE id BETWEEN ? AND ?", (low, high)
        ).get
        assert 0 < rows < size // 30
        skeleton.keep()
        before = after


def test_a_step_is_taken_back(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA page_size = 512; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    skeleton = Skeleton()
    roots = {1, root(connection, "t")}
    skeleton.build(image(connection), roots)
    known = (dict(skeleton.nodes), list(skeleton.parents), set(skeleton.roots))
    connection.execute("CREATE TABLE u (x)")
    connection.executemany("INSERT INTO t VALUES (zeroblob(?))", [(n,) for n in range(900)])
    after = image(connection)
    more = roots | {root(connection, "u")}
    skeleton.step(after, set(range(1, after.count + 1)), more)
    assert skeleton.roots == more
    skeleton.undo()
    parents = list(skeleton.parents)
    assert (skeleton.nodes, parents[: len(known[1])], skeleton.roots) == known
    assert not any(parents[len(known[1]) :])


def test_header() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(
        "PRAGMA page_size = 65536; PRAGMA user_version = 7; PRAGMA application_id = 9;"
        "PRAGMA encoding = 'UTF-16be'; CREATE TABLE t (x)"
    )
    header = parse_header(connection.serialize("main"))
    assert header == FileHeader(65536, 65536, False, 1, 3, 7, 9)
    assert header.lock_page == 16385


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SQLite format 3\0",
        b"\0" * 100,
        b"SQLite format 3\0" + b"\x03\xe8" + b"\0" * 90,
        b"SQLite format 3\0" + b"\x02\x00\x01\x01\xff" + b"\0" * 90,
    ],
)
def test_no_database(data: bytes) -> None:
    with pytest.raises(PageError):
        parse_header(data)


@given(
    st.sampled_from([TABLE_LEAF, TABLE_INTERIOR, INDEX_LEAF, INDEX_INTERIOR, 0, 255]),
    st.binary(min_size=511, max_size=511),
    st.sampled_from([1, 2]),
)
def test_hostile_pages(kind: int, rest: bytes, number: int) -> None:
    page = bytearray(bytes([kind]) + rest)
    if number == 1:
        page = page[:100] + bytes([kind]) + page[101:]
    # Few cells, or most pages are refused for their number.
    start = 100 if number == 1 else 0
    page[start + 3] = 0
    page[start + 4] &= 3
    for read in (interior, overflow_heads):
        try:
            read(bytes(page), number, 512)
        except PageError:
            continue
    assert kind_of(bytes(page), number) == kind


def test_ranges_are_merged() -> None:
    ranges = [KeyRange(5, 9), KeyRange(1, 2), KeyRange(3, 4), KeyRange(20, 30), KeyRange(8, 12)]
    assert merged(ranges) == [KeyRange(1, 12), KeyRange(20, 30)]
    assert merged([EVERY_ROW, KeyRange(1, 2)]) == [EVERY_ROW]
