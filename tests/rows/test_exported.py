"""A file that was exported and placed: only what programs wrote to it meanwhile is compared."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.rows.pool import VERSION, Member, Pool

MakePool = Callable[..., Pool]

BASE = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
    CREATE TABLE keyless(x);
    CREATE TABLE k(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO t SELECT i, 'some text', i FROM n;
    INSERT INTO keyless SELECT a FROM t;
    INSERT INTO k SELECT id, b FROM t;
"""


def _place(member: Member) -> None:
    """Let go of the file, and put a fresh copy in its place."""
    member.database.detach(True)
    for part in ("-wal", "-shm"):
        (member.path.parent / f"{member.path.name}{part}").unlink(missing_ok=True)
    member.place_export()


def _attach(member: Member) -> list[str]:
    """Attach; which tables of the state were read meanwhile."""
    following = member.database._following
    assert following is not None
    read: list[str] = []

    def note(_cursor: object, sql: str, _bindings: object) -> bool:
        read.extend(name for name in ("t", "keyless", "k") if f'FROM main."{name}"' in sql)
        return True

    following.connection.exec_trace = note
    try:
        member.attach()
    finally:
        following.connection.exec_trace = None
    return sorted(set(read))


def test_it_is_not_read_again(make_pool: MakePool) -> None:
    pool = make_pool(BASE, journal="delete")
    alice, bob = pool.members
    _place(bob)
    assert _attach(bob) == []
    bob.run("UPDATE t SET b = -1 WHERE id = 77")
    alice.run("UPDATE t SET b = -2 WHERE id = 78", "INSERT INTO keyless VALUES ('new')")
    pool.assert_equal()
    assert [len(member.sent) for member in pool.members] == [1, 1]


CHANGES = {
    "a row": ("UPDATE t SET b = -1 WHERE id = 77", ["t"]),
    "rows": ("DELETE FROM k WHERE v > 100; INSERT INTO t(a) VALUES ('x')", ["k", "t"]),
    "all pages": ("VACUUM", []),
    "the schema": ("ALTER TABLE t ADD COLUMN c DEFAULT 5; UPDATE t SET c = id", ["t"]),
    "a table": ("DROP TABLE keyless; CREATE TABLE more(y); INSERT INTO more VALUES (1)", []),
    "the journal": ("PRAGMA journal_mode = wal; UPDATE t SET b = -1 WHERE id = 77", ["t"]),
    "the page size": ("PRAGMA page_size = 1024; VACUUM; DELETE FROM k WHERE v = 3", ["k"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_program_wrote_before_it_was_attached(make_pool: MakePool, what: str) -> None:
    pool = make_pool(BASE, journal="delete")
    bob = pool[1]
    sql, tables = CHANGES[what]
    _place(bob)
    bob.write(sql)
    assert set(_attach(bob)) >= set(tables)
    pool.assert_equal()
    assert len(bob.sent) == (0 if what == "all pages" else 1)
    _assert_wholly_compared(bob)


def test_another_content_under_the_same_inode(make_pool: MakePool) -> None:
    """As ``cp`` writes it over what was placed."""
    pool = make_pool(BASE, journal="delete")
    alice, bob = pool.members
    _place(bob)
    inode = os.stat(bob.path).st_ino
    with alice.program() as program:
        program.execute("UPDATE t SET a = 'alice''s' WHERE id > 400; DELETE FROM k WHERE v < 9")
    bob.path.write_bytes(alice.path.read_bytes())
    assert os.stat(bob.path).st_ino == inode
    bob.attach()
    pool.assert_equal()
    assert bob.rows("SELECT count(*) FROM t WHERE a = 'alice''s'") == [(100,)]


def test_another_file_in_its_place(make_pool: MakePool) -> None:
    pool = make_pool(BASE, journal="delete")
    bob = pool[1]
    _place(bob)
    copy = bob.path.with_name("copy.db")
    copy.write_bytes(bob.path.read_bytes())
    copy.replace(bob.path)
    assert _attach(bob) == ["k", "keyless", "t"]
    assert not bob.sent


def test_a_state_that_went_on_is_compared(make_pool: MakePool) -> None:
    """Another copy may be placed than the one that was noted: what it lacks was not deleted."""
    pool = make_pool(BASE, journal="delete")
    alice, bob = pool.members
    _place(bob)
    alice.run("UPDATE t SET a = 'alice''s' WHERE id = 1")
    bob.database.detach()  # nothing holds it still any more
    bob.receive(alice.sent[0])
    bob.place_export()
    bob.attach()
    pool.assert_equal()
    assert not bob.sent


def test_after_a_restart(make_pool: MakePool) -> None:
    pool = make_pool(BASE, journal="delete")
    alice, bob = pool.members
    _place(bob)
    bob.restart(attach=False)
    bob.write("UPDATE t SET b = -1 WHERE id = 77")
    assert _attach(bob) == ["t"]
    pool.assert_equal()
    assert alice.rows("SELECT b FROM t WHERE id = 77") == [(-1,)]


def test_one_that_was_never_placed(make_pool: MakePool) -> None:
    """The file that stands there instead is compared wholly."""
    pool = make_pool(BASE, journal="delete")
    bob = pool[1]
    bob.database.detach()
    bob.database.export()
    assert (bob.folder / ".meerkat" / "rows" / VERSION.hex() / "export.db").exists()
    assert _attach(bob) == ["k", "keyless", "t"]
    assert not bob.sent


def _assert_wholly_compared(member: Member) -> None:
    """The state is what the file is, as a look at everything finds."""
    before: list[Any] = list(member.sent)
    member.database.detach(True)
    member.attach()
    assert member.sent == before
