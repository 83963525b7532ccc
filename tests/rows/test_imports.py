"""How a file becomes a base: the same bytes for everybody, or a sentence why not."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from blake3 import blake3

from meerkat.core.chunks import unpack_chunks
from meerkat.rows.file import FileBusy, FileGone
from meerkat.rows.imports import RefusedError, import_base, refuse_reason
from tests.rows.pool import content


def _make(path: Path, journal: str, sql: str = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)") -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", journal)
    connection.execute(sql).fetchall()
    connection.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_quiet_file_is_taken_as_it_is(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "x.db"
    _make(path, journal, "CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(300000))")
    before = path.read_bytes()
    base = import_base(path, tmp_path / "bases")
    assert path.read_bytes() == before
    assert base.digest == blake3(before).digest()
    assert base.size == len(before)
    assert sum(chunk.length for chunk in unpack_chunks(base.chunks)) == base.size
    assert (tmp_path / "bases" / base.digest.hex()).read_bytes() == before
    assert [one.name for one in (tmp_path / "bases").iterdir()] == [base.digest.hex()]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bases", "x.db"]


def test_what_is_in_the_log_is_in_the_base(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    _make(path, "wal")
    with_log = apsw.Connection(str(path))
    with_log.execute("INSERT INTO t VALUES (1, 'in the log')")
    base = import_base(path, tmp_path / "bases")
    copy = apsw.Connection(str(tmp_path / "bases" / base.digest.hex()))
    assert copy.execute("SELECT * FROM t").fetchall() == [(1, "in the log")]
    copy.close()
    with_log.close()


def test_a_file_that_is_being_read_and_written(tmp_path: Path) -> None:
    """A reader of an old moment keeps the log from being emptied: SQLite's own copy helps."""
    path = tmp_path / "x.db"
    _make(path, "wal")
    reader, writer = apsw.Connection(str(path)), apsw.Connection(str(path))
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchall()
    writer.execute("INSERT INTO t VALUES (1, 'later')")
    base = import_base(path, tmp_path / "bases")
    kept = tmp_path / "bases" / base.digest.hex()
    assert base.digest == blake3(kept.read_bytes()).digest()
    copy = apsw.Connection(str(kept))
    assert content(copy) == content(writer)
    for one in (copy, reader, writer):
        one.close()


def test_busy(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    _make(path, "delete")
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(FileBusy):
        import_base(path, tmp_path / "bases")
    writer.close()
    with pytest.raises(FileGone):
        import_base(tmp_path / "none.db", tmp_path / "bases")
    assert list((tmp_path / "bases").iterdir()) == []


def _no_database(path: Path) -> None:
    path.write_bytes(b"no database " * 100)


def _encrypted(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + blake3(b"").digest(4096 * 4 - 16))


def _cut_off(path: Path) -> None:
    _make(path, "delete", "CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(100000))")
    path.write_bytes(path.read_bytes()[:8192])


def _bad_page(path: Path) -> None:
    _make(path, "delete", "CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES (1), (2)")
    data = bytearray(path.read_bytes())
    data[4096 + 100 : 4096 + 200] = b"\xff" * 100
    data[4096 + 3 : 4096 + 5] = b"\xff\xff"
    path.write_bytes(data)


def _own_names(path: Path) -> None:
    _make(path, "delete", "CREATE TABLE meerkat_x(a)")


def _foreign_collation(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.create_collation("odd", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE t(a TEXT COLLATE odd PRIMARY KEY)")
    connection.close()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "make",
    [_no_database, _encrypted, _cut_off, _bad_page, _own_names, _foreign_collation, _empty],
    ids=lambda make: make.__name__.strip("_"),
)
def test_refused_with_a_sentence(tmp_path: Path, make) -> None:
    path = tmp_path / "x.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"\.$"):
        import_base(path, tmp_path / "bases")
    assert path.read_bytes() == before
    assert list((tmp_path / "bases").iterdir()) == []
    if make in (_no_database, _encrypted, _own_names, _foreign_collation):
        assert refuse_reason(path)


def test_a_log_without_its_database(tmp_path: Path) -> None:
    """SQLite removes the log of a new database; that is why nobody opens what is not there."""
    log = tmp_path / "x.db-wal"
    log.write_bytes(b"\x37\x7f\x06\x82" + bytes(100))
    with pytest.raises(FileGone):
        import_base(tmp_path / "x.db", tmp_path / "bases")
    assert log.exists()
    assert not (tmp_path / "x.db").exists()
