"""What a constraint forbids is aside, whole, and comes back by itself."""

from __future__ import annotations

from typing import Any

from meerkat.rows.changes import AUTO, BORN, LOOSE, Gone, Put, Statement
from meerkat.rows.ledger import ASLEEP
from meerkat.rows.values import base_id

from .oracle import Transaction
from .replicas import Replica

ANN, BOB, CID = b"a" * 32, b"b" * 32, b"c" * 32
SCRIPT = """
CREATE TABLE user(id INTEGER PRIMARY KEY, mail TEXT UNIQUE COLLATE NOCASE, age INT CHECK(age < 99));
CREATE TABLE post(id INTEGER PRIMARY KEY, user INTEGER REFERENCES user(id), slug TEXT UNIQUE);
CREATE TABLE note(id INTEGER PRIMARY KEY, post INTEGER REFERENCES post(id), text TEXT);
INSERT INTO user VALUES(1, 'one@x', 30), (2, 'two@x', 40);
INSERT INTO post VALUES(1, 1, 'first'), (2, 7, 'lost');
INSERT INTO note VALUES(1, 1, 'hello');
"""
NAMES = {"ann": ANN, "bob": BOB, "cid": CID}


def user(row: bytes, number: int, mail: str | None, age: int = 20) -> Put:
    return Put("user", ("id", "mail", "age"), ((row, BORN | AUTO, (number, mail, age)),))


def cell(table: str, number: int, column: str, value: Any) -> Put:
    return Put(table, (column,), ((base_id((number,)), 0, (value,)),))


def write(author: bytes, sequence: int, lamport: int, *statements: Statement, **seen: int) -> Any:
    vector = tuple((NAMES[name], last) for name, last in seen.items())
    return Transaction(author, sequence, lamport, vector, statements).entry()


def test_the_last_writer_of_a_unique_value_is_visible():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 5, user(b"a-ann", 3, "same@x"))])
    replica.apply([write(BOB, 1, 6, user(b"a-bob", 4, "SAME@x"))])
    assert replica.query("SELECT id FROM user WHERE id > 2") == [(4,)]
    (aside,) = replica.merge.conflicts()
    assert aside.values == {"id": 3, "mail": "same@x", "age": 20}
    assert (aside.table, aside.author) == ("user", ANN)
    assert aside.reason == "UNIQUE constraint failed: user.mail"


def test_a_row_comes_back_when_the_obstacle_goes():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 5, user(b"a-ann", 3, "same@x"))])
    replica.apply([write(BOB, 1, 6, user(b"a-bob", 4, "same@x"))])
    assert replica.query("SELECT flags FROM meerkat_rows WHERE state=1") == [(AUTO | ASLEEP,)]
    replica.apply([write(BOB, 2, 7, Put("user", ("mail",), ((b"a-bob", 0, ("other@x",)),)))])
    assert replica.query("SELECT id, mail FROM user WHERE id > 2") == [
        (3, "same@x"),
        (4, "other@x"),
    ]
    assert replica.merge.aside_count == 0


def test_a_row_of_the_base_gives_way_and_returns():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, user(b"a-ann", 3, "one@x"))])
    # With its user go its post and the note on that.
    assert replica.query("SELECT id FROM user ORDER BY id") == [(2,), (3,)]
    assert replica.query("SELECT id FROM post ORDER BY id") == [(2,)]
    assert replica.aside() == {(name, base_id((1,))) for name in ("user", "post", "note")}
    replica.apply([write(ANN, 2, 2, Gone("user", (b"a-ann",)))])
    assert replica.aside() == set()
    assert replica.query("SELECT * FROM note") == [(1, 1, "hello")]


def test_what_breaks_a_check_waits_until_it_does_not():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, cell("user", 2, "age", 100))])
    assert replica.query("SELECT id FROM user ORDER BY id") == [(1,)]
    replica.apply([write(ANN, 2, 2, cell("user", 2, "mail", "new@x"))])
    assert replica.query("SELECT id FROM user ORDER BY id") == [(1,)]
    replica.apply([write(ANN, 3, 3, cell("user", 2, "age", 98))])
    assert replica.query("SELECT * FROM user WHERE id = 2") == [(2, "new@x", 98)]


def test_an_edit_beats_a_deletion_that_did_not_see_it():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, cell("user", 2, "age", 41))])
    replica.apply([write(BOB, 1, 9, Gone("user", (base_id((2,)),)))])
    assert replica.query("SELECT age FROM user WHERE id = 2") == [(41,)]
    replica.apply([write(BOB, 2, 10, Gone("user", (base_id((2,)),)), ann=1)])
    assert replica.query("SELECT age FROM user WHERE id = 2") == []
    replica.apply([write(CID, 1, 2, cell("user", 2, "age", 42))])
    assert replica.query("SELECT * FROM user WHERE id = 2") == [(2, "two@x", 42)]


def test_a_child_of_a_deleted_row_is_aside_unless_it_pointed_nowhere_before():
    replica = Replica(SCRIPT)
    born = Put("post", ("id", "user", "slug"), ((b"a-p", BORN | AUTO, (3, 2, "new")),))
    replica.apply([write(ANN, 1, 1, born)])
    replica.apply([write(BOB, 1, 1, Gone("user", (base_id((2,)),)))])
    assert replica.query("SELECT id FROM post ORDER BY id") == [(1,), (2,)]
    assert replica.merge.conflicts()[0].reason == "FOREIGN KEY constraint failed"
    loose = Put("post", ("id", "user", "slug"), ((b"a-q", BORN | AUTO | LOOSE, (4, 2, "q")),))
    replica.apply([write(BOB, 2, 2, loose)])
    assert replica.query("SELECT id FROM post ORDER BY id") == [(1,), (2,), (4,)]


def test_a_row_without_its_parent_keeps_nobody_out():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, cell("post", 1, "slug", "taken"))])
    high = Put("post", ("id", "user", "slug"), ((b"a-p", BORN | AUTO, (3, 2, "taken")),))
    replica.apply([write(BOB, 1, 5, high)])
    assert replica.query("SELECT id FROM post ORDER BY id") == [(2,), (3,)]
    replica.apply([write(CID, 1, 6, Gone("user", (base_id((2,)),)))])
    assert replica.query("SELECT id FROM post ORDER BY id") == [(1,), (2,)]
    assert replica.aside() == {("post", b"a-p")}


def test_a_clash_in_an_index_over_an_expression():
    script = "CREATE TABLE t(a, b); CREATE UNIQUE INDEX i ON t(lower(a)) WHERE b IS NOT NULL"
    replica = Replica(script)
    for number, (name, mark) in enumerate((("X", 1), ("x", 2), ("x", None)), 1):
        row = (b"a%d" % number, BORN | AUTO, (name, mark))
        replica.apply([write(ANN, number, number, Put("t", ("a", "b"), (row,)))])
    assert replica.query("SELECT * FROM t ORDER BY rowid") == [("x", 2), ("x", None)]
    assert replica.aside() == {("t", b"a1")}


def test_thousands_of_rows_aside_are_not_asked_again():
    replica = Replica(SCRIPT)
    rows = [(b"a%05d" % n, BORN | AUTO, (n, f"{n}@x", 1)) for n in range(10, 310)]
    replica.apply([write(ANN, 1, 1, Put("user", ("id", "mail", "age"), tuple(rows)))])
    again = [(b"aa%05d" % n, BORN | AUTO, (n + 1000, f"{n}@x", 1)) for n in range(10, 310)]
    replica.apply([write(BOB, 1, 2, Put("user", ("id", "mail", "age"), tuple(again)))])
    assert replica.merge.aside_count == 300
    assert replica.ledger.rows_awake("user") == []
    replica.apply([write(BOB, 2, 3, Gone("user", (b"aa00010",)))])
    assert replica.merge.aside_count == 299
    assert replica.query("SELECT id FROM user WHERE mail = '10@x'") == [(10,)]


def test_history_says_who_wrote_each_cell():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, cell("user", 2, "age", 41))])
    assert replica.merge.history("user", 2) == [
        ("id", b"", 0),
        ("mail", b"", 0),
        ("age", ANN, 1000),
    ]
    assert replica.merge.history("user", 99) == []


def test_a_transaction_is_seen_when_its_last_part_is_here():
    replica = Replica(SCRIPT)
    whole = write(ANN, 3, 3, user(b"a-ann", 3, "x@x"))
    half = len(whole.data) // 2
    first = type(whole)(ANN, 2, 2, 0, False, whole.data[:half])
    last = type(whole)(ANN, 3, 3, 0, True, whole.data[half:])
    replica.apply([first])
    replica.restart()
    assert replica.query("SELECT count(*) FROM user") == [(2,)]
    assert replica.ledger.have == {}
    replica.apply([first, last, last])
    assert replica.query("SELECT count(*) FROM user") == [(3,)]
    assert replica.ledger.have == {ANN: 3}


def test_what_changed_is_told_with_its_values_from_before():
    replica = Replica(SCRIPT)
    replica.apply(
        [
            write(ANN, 1, 1, cell("user", 2, "age", 41)),
            write(ANN, 2, 2, cell("user", 2, "age", 42)),
            write(ANN, 3, 3, Gone("note", (base_id((1,)),))),
            write(ANN, 4, 4, user(b"a-ann", 3, None)),
        ]
    )
    assert [(one.table, one.locator, one.old) for one in replica.ledger.todo()] == [
        ("note", 1, (1, 1, "hello")),
        ("user", 2, (2, "two@x", 40)),
        ("user", 3, None),
    ]
