"""What programs do to rows, as others get it: who is the same row, who is another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meerkat.rows import pairing, recording
from tests.rows.pool import Pool

MakePool = Callable[..., Pool]


def test_many_rows_born_apart_are_all_there(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than are held at once, and farther than an automatic id jumps: none is mixed up."""
    monkeypatch.setattr(pairing, "PAIRED_COUNT", 20)
    monkeypatch.setattr(recording, "AUTO_GAP", 30)
    pool = make_pool(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, who); INSERT INTO t VALUES (1, 'base')"
    )
    for member in pool.members:
        member.offline = True
        member.run(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
            f" INSERT INTO t(who) SELECT '{member.name}' || i FROM n"
        )
    for member in pool.members:
        member.offline = False
    pool.assert_equal()
    assert pool[0].rows("SELECT count(*), count(DISTINCT who) FROM t") == [(201, 201)]


def test_an_id_chosen_by_both_is_one_row(make_pool: MakePool) -> None:
    pool = make_pool("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)")
    alice, bob = pool.members
    for member in pool.members:
        member.offline = True
    alice.run("INSERT INTO t VALUES (7000000, 'alice', NULL)")
    bob.run(
        "INSERT INTO t VALUES (7000000, NULL, 'bob')", "UPDATE t SET b='bob''s' WHERE id=7000000"
    )
    for member in pool.members:
        member.offline = False
    pool.assert_equal()
    assert [row[0] for row in alice.rows("SELECT id FROM t")] == [7000000]


@pytest.mark.parametrize("in_one", [True, False])
def test_a_key_that_is_free_again_names_another_row(make_pool: MakePool, in_one: bool) -> None:
    """The row that was born under it goes on under its new key."""
    pool = make_pool("CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('y', 1)")
    alice, bob = pool.members
    statements = ["UPDATE t SET k='x' WHERE k='y'", "INSERT INTO t VALUES ('y', 2)"]
    if in_one:
        alice.run("BEGIN;" + ";".join(statements) + ";COMMIT")
    else:
        alice.run(statements[0])
        alice.run(statements[1])
    pool.assert_equal()
    assert sorted(bob.rows("SELECT k, v FROM t")) == [("x", 1), ("y", 2)]
    bob.run("UPDATE t SET v=v*10")
    pool.assert_equal()
    assert sorted(alice.rows("SELECT k, v FROM t")) == [("x", 10), ("y", 20)]


def test_rows_that_exchange_their_ids(make_pool: MakePool) -> None:
    pool = make_pool(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"
        " INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)"
    )
    alice, bob = pool.members
    bob.offline = True
    alice.run(
        "BEGIN; UPDATE t SET id=9 WHERE id=1; UPDATE t SET id=1 WHERE id=2;"
        " UPDATE t SET id=2 WHERE id=9; COMMIT"
    )
    bob.run("UPDATE t SET b=30 WHERE id=3")
    bob.offline = False
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t ORDER BY id") == [
        (1, "two", 2),
        (2, "one", 1),
        (3, "three", 30),
    ]


FAMILY = """
CREATE TABLE person(id INTEGER PRIMARY KEY, name, boss INTEGER REFERENCES person(id));
CREATE TABLE task(id INTEGER PRIMARY KEY, person INTEGER REFERENCES person(id), title);
INSERT INTO person VALUES (1, 'base', NULL);
"""


def test_references_follow_rows_born_in_the_same_transaction(make_pool: MakePool) -> None:
    """Also within one table, and to a row that comes later."""
    pool = make_pool(FAMILY)
    for member in pool.members:
        member.offline = True
        member.run(
            "BEGIN;"
            f"INSERT INTO person VALUES (2, '{member.name} staff', 3);"
            f"INSERT INTO person VALUES (3, '{member.name} boss', NULL);"
            f"INSERT INTO task(person, title) VALUES (2, '{member.name} task');"
            "COMMIT"
        )
    for member in pool.members:
        member.offline = False
    pool.assert_equal()
    query = (
        "SELECT task.title, staff.name, boss.name FROM task JOIN person AS staff"
        " ON staff.id = task.person JOIN person AS boss ON boss.id = staff.boss ORDER BY 1"
    )
    for member in pool.members:
        assert member.rows(query) == [
            ("alice task", "alice staff", "alice boss"),
            ("bob task", "bob staff", "bob boss"),
        ]
        assert member.rows("PRAGMA foreign_key_check") == []


def test_what_dangles_at_its_author_dangles_everywhere(make_pool: MakePool) -> None:
    """Without foreign_keys=ON a program may do so; nobody's row is set aside for it."""
    pool = make_pool(FAMILY)
    alice, bob = pool.members
    alice.run("INSERT INTO task VALUES (1, 77, 'nobody''s')", "INSERT INTO task VALUES (2, 1, 'x')")
    pool.sync()
    bob.run("DELETE FROM person WHERE id=1")
    pool.assert_equal()
    assert alice.rows("SELECT id, person FROM task ORDER BY id") == [(1, 77), (2, 1)]
    assert not alice.database.conflicts()


def test_children_follow_a_parent_whose_id_a_program_changed(make_pool: MakePool) -> None:
    pool = make_pool(FAMILY)
    alice, bob = pool.members
    alice.run("INSERT INTO person(name) VALUES ('new')")
    alice.run("INSERT INTO task(person, title) VALUES (2, 'hers')")
    pool.sync()
    bob.run("UPDATE person SET id=50 WHERE id=2")
    pool.assert_equal()
    assert alice.rows("SELECT person FROM task") == [(50,)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_table_renamed_and_changed_in_one_transaction_is_itself(
    make_pool: MakePool, journal: str
) -> None:
    """It stands where it stood, so what others wrote meanwhile is written to it."""
    pool = make_pool(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, name, price, note);"
        " INSERT INTO p VALUES(1, 'a', 1, 'x')",
        journal=journal,
    )
    alice, bob = pool.members
    alice.run("INSERT INTO p VALUES (2, 'b', 2, 'y')")
    pool.sync()
    alice.offline = bob.offline = True
    alice.run("UPDATE p SET name='edited' WHERE id=1", "INSERT INTO p VALUES (3, 'c', 3, 'z')")
    bob.run(
        "BEGIN; ALTER TABLE p RENAME TO product; ALTER TABLE product DROP COLUMN price;"
        " ALTER TABLE product RENAME COLUMN note TO remark; COMMIT"
    )
    alice.offline = bob.offline = False
    pool.assert_equal()
    assert alice.rows("SELECT id, name, remark FROM product ORDER BY id") == [
        (1, "edited", "x"),
        (2, "b", "y"),
        (3, "c", "z"),
    ]
    assert alice.rows("SELECT name FROM sqlite_schema WHERE type='table'") == [("product",)]
    assert not alice.database.conflicts()
