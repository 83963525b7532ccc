"""One live database as its requests and reports: what is answered, in which order, how often."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from meerkat.core import rows
from meerkat.rows.wire import RowChanged
from tests.rows.pool import NAME, VERSION, Pool, content

MakePool = Callable[..., Pool]

BASE = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
    INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
"""


def _kinds(reports: list[rows.RowsReport]) -> list[str]:
    return [type(one).__name__ for one in reports]


def test_what_is_reported(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    assert _kinds(alice.reports) == ["DatabaseLoaded", "DatabaseAttached"]
    assert _kinds(bob.reports) == ["DatabaseLoaded", "DatabaseExported", "DatabaseAttached"]
    alice.reports.clear()
    bob.reports.clear()
    alice.run("UPDATE t SET a='x'")
    assert _kinds(alice.reports) == ["RowsCaptured"]
    pool.sync()
    assert bob.reports == [rows.RowsApplied(VERSION, ((alice.author, 1),), 1)]
    assert _kinds(alice.reports) == ["RowsCaptured"]


def test_what_programs_wrote_before_the_attachment_is_theirs(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.database.detach()
    alice.write("UPDATE t SET a='x' WHERE id=1")
    alice.reports.clear()
    alice.attach()
    assert _kinds(alice.reports) == ["DatabaseAttached", "RowsCaptured"]
    pool.assert_equal()
    assert bob.rows("SELECT a FROM t WHERE id=1") == [("x",)]


def test_a_capture_is_repeated_until_it_is_signed(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.write("UPDATE t SET a='x' WHERE id=1")
    alice.database.look()
    captured = alice.last(rows.RowsCaptured)
    alice._to_sign.clear()
    for _ in range(2):
        alice.database.close()
        alice.reports.clear()
        alice._new_database()
        alice.database.load(alice.bases / pool.base, alice.author)
        assert alice.last(rows.RowsCaptured) == captured
        assert alice.last(rows.DatabaseLoaded).number == captured.number
        alice._to_sign = alice._to_sign[-1:]
    alice.sign()
    alice.sign()
    alice.attach()
    pool.assert_equal()
    alice.restart()
    assert "RowsCaptured" not in _kinds(alice.reports)
    assert bob.rows("SELECT a FROM t WHERE id=1") == [("x",)]


def test_moved(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    bob.run("UPDATE t SET b='bob'")
    alice.run("UPDATE t SET a='alice'")
    alice.reports.clear()
    assert not alice.database.detach()
    assert alice.reports == [rows.DatabaseDetached(VERSION, ((alice.author, 1),))]
    assert sorted(one.name for one in alice.folder.iterdir()) == [".meerkat", NAME]
    (alice.folder / "sub").mkdir()
    alice.path = alice.path.rename(alice.folder / "sub" / "new.db")
    alice.database.attach("sub/new.db")
    assert alice.last(rows.DatabaseAttached).path == "sub/new.db"
    pool.assert_equal()
    assert alice.rows("SELECT DISTINCT a, b FROM t") == [("alice", "bob")]


def test_merged_while_there_is_no_file(make_pool: MakePool) -> None:
    """What others write between letting go and coming back is no change of a program."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.database.detach()
    bob.run("UPDATE t SET a='bob' WHERE id=1", "DELETE FROM t WHERE id=2")
    pool.sync()
    assert alice.rows("SELECT a FROM t WHERE id=1") == [("one",)]
    alice.write("UPDATE t SET b='alice' WHERE id=1", "INSERT INTO t VALUES (9, 'alice', 9)")
    alice.attach()
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t") == [
        (1, "bob", "alice"),
        (3, "three", 3),
        (9, "alice", 9),
    ]


def test_detached_while_a_program_has_it(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    with alice.program() as program:
        program.execute("UPDATE t SET a='x' WHERE id=1")
        program.execute("BEGIN")
        program.execute("SELECT * FROM t").fetchall()
        alice.write("UPDATE t SET a='y' WHERE id=1")
        alice.database.detach()
        assert alice.last(rows.DatabaseDetached).reason == "busy"
        alice.write("UPDATE t SET b='z' WHERE id=1")
        alice.look()
        program.execute("COMMIT")
    alice.database.detach()
    assert alice.last(rows.DatabaseDetached).reason == ""
    alice.attach()
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t WHERE id=1") == [(1, "y", "z")]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_left_while_a_program_has_it(make_pool: MakePool, journal: str) -> None:
    """Nothing is captured or written from then on, and nothing is missing afterwards."""
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    bob.run("UPDATE t SET a='bob' WHERE id=1", "DELETE FROM t WHERE id=2")
    with alice.program() as program:
        program.execute("BEGIN IMMEDIATE")
        program.execute("UPDATE t SET b='alice' WHERE id=1")
        assert alice.database.apply(bob.sent[0].entries)  # busy
        alice.handed[bob.author] = bob.sent[0].entries[-1].sequence
        alice.database.detach(leave=True)
        assert alice.last(rows.DatabaseDetached).reason == ""
        program.execute("COMMIT")
        program.execute("INSERT INTO t VALUES (9, 'alice', 9)")
        alice.look()
        assert not alice.sent
        assert alice.rows("SELECT * FROM t WHERE id=1") == [(1, "one", "alice")]
    alice.attach()
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t") == [
        (1, "bob", "alice"),
        (3, "three", 3),
        (9, "alice", 9),
    ]


def test_rows_of_a_dropped_table_say_so_everywhere(make_pool: MakePool) -> None:
    """In whichever order drop and change arrive."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.run("DROP TABLE t")
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    pool.sync()
    for member in pool.members:
        (conflict,) = member.database.conflicts()
        assert conflict.table == "t"
        assert conflict.values == {"id": 1, "a": "bob", "b": 1}
        assert conflict.reason == "the table was dropped while somebody else changed the row"


def test_exported_and_then_still(make_pool: MakePool) -> None:
    """Until it is attached nothing is merged: the copy is what the state is."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.database.detach(True)
    alice.database.export()
    bob.run("UPDATE t SET a='bob'")
    count = len(alice.reports)
    alice.receive(bob.sent[0])
    assert len(alice.reports) == count
    export = alice.folder / ".meerkat" / "rows" / VERSION.hex() / "export.db"
    export.replace(alice.path)
    alice.write("UPDATE t SET b='alice'")
    alice.attach()
    pool.assert_equal()
    assert bob.rows("SELECT DISTINCT a, b FROM t") == [("bob", "alice")]


def test_the_export_has_the_bases_settings(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(
        "PRAGMA page_size=1024; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA encoding='UTF-16be';"
        "PRAGMA application_id=77; PRAGMA user_version=5;" + BASE
    )
    bob = pool[1]
    with bob.program() as program:
        found = {
            name: program.pragma(name)
            for name in ("page_size", "auto_vacuum", "encoding", "application_id", "user_version")
        }
    assert found == {
        "page_size": 1024,
        "auto_vacuum": 2,
        "encoding": "UTF-16be",
        "application_id": 77,
        "user_version": 5,
    }
    bob.run("INSERT INTO t VALUES (4, 'ünï', '☃')")
    pool.assert_equal()


def test_hidden_rowids_and_counters_are_in_the_export(make_pool: MakePool) -> None:
    pool = make_pool(
        "CREATE TABLE n(a); INSERT INTO n VALUES (1), (2), (3); DELETE FROM n WHERE a=2;"
        "CREATE TABLE i(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO i VALUES (7);"
        "DELETE FROM i"
    )
    for member in pool.members:
        assert member.rows("SELECT rowid, a FROM n") == [(1, 1), (3, 3)]
        assert member.rows("SELECT * FROM sqlite_sequence") == [("i", 7)]


def test_loaded_anew_from_the_base(make_pool: MakePool) -> None:
    """A state that was lost is built again from the base and all operations, our own too."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.run("INSERT INTO t VALUES (NULL, 'alice', 1)")
    bob.run("INSERT INTO t VALUES (NULL, 'bob', 1)", "DELETE FROM t WHERE id=1")
    expected = pool.assert_equal()
    alice.database.close()
    for part in ("", "-wal", "-shm"):
        (alice.folder / ".meerkat" / "rows" / VERSION.hex() / f"state.db{part}").unlink(
            missing_ok=True
        )
    alice._new_database()
    alice.database.load(alice.bases / pool.base, alice.author)
    assert alice.last(rows.DatabaseLoaded).have == ()
    for sent in [*alice.sent, *bob.sent]:
        alice.database.apply(sent.entries)
    alice.attach()
    assert alice.content() == expected
    assert pool.assert_equal() == expected
    assert len(alice.sent) == 1


def test_a_large_transaction_is_seen_at_once(make_pool: MakePool) -> None:
    """Several operations of one transaction: nothing shows before the last is there."""
    pool = make_pool("CREATE TABLE b(id INTEGER PRIMARY KEY, x BLOB)")
    alice, bob = pool.members
    with alice.program() as program:
        program.execute("BEGIN")
        for number in range(40):
            program.execute("INSERT INTO b VALUES (?, randomblob(20000))", (number,))
        program.execute("COMMIT")
    alice.look()
    entries = alice.sent[0].entries
    assert len(entries) > 2
    assert [entry.last for entry in entries] == [False] * (len(entries) - 1) + [True]
    for entry in entries[:-1]:
        bob.database.apply([entry])
        assert bob.rows("SELECT count(*) FROM b") == [(0,)]
    bob.restart()
    bob.receive(alice.sent[0])
    assert bob.rows("SELECT count(*) FROM b") == [(40,)]
    pool.assert_equal()


def test_what_was_given_twice_counts_once(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.run("INSERT INTO t VALUES (NULL, 'alice', 1)")
    bob.receive(alice.sent[0])
    bob.run("DELETE FROM t WHERE a='alice'")
    bob.database.apply(alice.sent[0].entries)
    bob.look()
    pool.assert_equal()
    assert alice.rows("SELECT count(*) FROM t") == [(3,)]


def test_changed_rows_are_told(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    heard: list[RowChanged] = []
    alice.database.on_rows = heard.append
    alice.run("UPDATE t SET a='x' WHERE id=1")
    assert heard == [
        RowChanged(
            "t",
            "update",
            (1,),
            {"id": 1, "a": "one", "b": 1},
            {"id": 1, "a": "x", "b": 1},
            b"",
        )
    ]
    heard.clear()
    bob.run("INSERT INTO t VALUES (7, 'bob', 7)", "DELETE FROM t WHERE id=2")
    pool.sync()
    assert sorted(heard, key=lambda change: change.key) == [
        RowChanged("t", "delete", (2,), {"id": 2, "a": "two", "b": 2}, None, b""),
        RowChanged("t", "insert", (7,), None, {"id": 7, "a": "bob", "b": 7}, bob.author),
    ]
    heard.clear()
    pool.sync()
    assert heard == []


def test_conflicts_and_history(make_pool: MakePool) -> None:
    pool = make_pool("CREATE TABLE u(id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    alice, bob = pool.members
    alice.run("INSERT INTO u VALUES (1, 'same')")
    bob.run("INSERT INTO u VALUES (2, 'same')")
    pool.assert_equal()
    assert alice.rows("SELECT count(*) FROM u") == [(1,)]
    for member in pool.members:
        (conflict,) = member.database.conflicts()
        assert conflict.table == "u"
        assert conflict.values["name"] == "same"
        assert member.database.aside == 1
        assert member.last(rows.DatabaseState).aside == 1
    ((shown,),) = alice.rows("SELECT id FROM u")
    cells = alice.database.history("u", (shown,))
    author = alice.author if shown == 1 else bob.author
    assert [(column, who) for column, who, _ in cells] == [("id", author), ("name", author)]
    assert alice.database.history("nowhere", (1,)) == []
    alice.run("UPDATE u SET name='another'")
    pool.assert_equal()
    assert alice.rows("SELECT count(*) FROM u") == [(2,)]
    assert alice.last(rows.DatabaseState).aside == 0


def test_nothing_is_left_beside_the_file(make_pool: MakePool) -> None:
    """When our handles are closed nobody sees that we were there."""
    pool = make_pool(BASE, journal="wal")
    alice, bob = pool.members
    bob.run("UPDATE t SET a='bob'")
    pool.sync()
    alice.database.close_idle(alice.clock + 10)
    assert sorted(one.name for one in alice.folder.iterdir()) == [".meerkat", NAME]
    connection = apsw.Connection(f"file:{alice.path}?immutable=1", flags=_READ_ONLY)
    assert content(connection) == bob.content()
    connection.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_resting_file_is_not_opened_for_nothing(make_pool: MakePool, journal: str) -> None:
    """Closing it is a change in the folder that is noticed; it must not go on for ever."""
    alice = make_pool(BASE, journal=journal)[0]
    alice.run("UPDATE t SET a='x'")
    alice.database.close_idle(alice.clock + 10)
    os.utime(alice.path, (1_000_000_000, 1_000_000_000))  # long ago, so that no write hides in it
    alice.database.look()
    alice.clock += 10
    alice.database.close_idle(alice.clock)
    assert alice.database.is_resting
    alice.database.look()
    assert alice.database.is_resting
    alice.write("UPDATE t SET a='y'")
    alice.database.look()
    assert not alice.database.is_resting
    assert len([one for one in alice.reports if isinstance(one, rows.RowsCaptured)]) == 2


_READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_three_members_in_any_order(make_pool: MakePool, journal: str) -> None:
    pool = make_pool(BASE, journal=journal, count=3)
    for number in range(6):
        for member in pool.members:
            member.run(
                f"UPDATE t SET a=a || '{member.name[0]}' WHERE id={1 + number % 3}",
                f"INSERT INTO t(a, b) VALUES ('{member.name}', {number})",
                f"DELETE FROM t WHERE id={10 + number * 2}",
            )
        if number % 2:
            pool.deliver()
    pool.assert_equal()
