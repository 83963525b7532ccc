"""Rows born apart under one automatic id are two rows, and all members give them the same ids."""

from __future__ import annotations

from typing import Any

from meerkat.rows.changes import AUTO, BORN, Gone, Put, Statement
from meerkat.rows.values import Ref, base_id

from .oracle import Transaction
from .replicas import Replica

ANN, BOB, CID = b"a" * 32, b"b" * 32, b"c" * 32
SCRIPT = """
CREATE TABLE person(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER REFERENCES person(id));
CREATE TABLE profile(person INTEGER PRIMARY KEY REFERENCES person(id), bio TEXT);
INSERT INTO person VALUES(1, 'base'), (4, 'four');
"""


def person(row: bytes, number: int, name: str) -> Put:
    return Put("person", ("id", "name"), ((row, BORN | AUTO, (number, name)),))


def write(author: bytes, sequence: int, lamport: int, *statements: Statement, **seen: int) -> Any:
    names = {"ann": ANN, "bob": BOB, "cid": CID}
    vector = tuple((names[name], last) for name, last in seen.items())
    return Transaction(author, sequence, lamport, vector, statements).entry()


def everywhere(*entries: Any) -> Replica:
    """Delivered in either order: the same."""
    one, two = Replica(SCRIPT), Replica(SCRIPT)
    one.apply(entries)
    for entry in reversed(entries):
        two.apply([entry])
    names = ("person", "item", "profile")
    assert one.tables(names) == two.tables(names)
    assert one.aside() == two.aside()
    return two


def test_the_last_claim_has_the_id_and_the_other_row_gets_the_next():
    replica = everywhere(
        write(ANN, 1, 1, person(b"a-ann", 5, "ann")),
        write(BOB, 1, 2, person(b"a-bob", 5, "bob")),
    )
    assert replica.query("SELECT * FROM person WHERE id > 4") == [(5, "bob"), (6, "ann")]


def test_references_follow_their_row():
    replica = everywhere(
        write(
            ANN,
            1,
            1,
            person(b"a-ann", 5, "ann"),
            Put("item", ("id", "owner"), ((b"a-i", BORN | AUTO, (1, Ref(b"a-ann", 5))),)),
        ),
        write(BOB, 1, 2, person(b"a-bob", 5, "bob")),
    )
    assert replica.query("SELECT name FROM item JOIN person ON owner=person.id") == [("ann",)]


def test_an_id_that_somebody_claimed_is_given_to_nobody_else():
    replica = everywhere(
        write(ANN, 1, 1, person(b"a-ann", 5, "ann"), person(b"a-anna", 6, "anna")),
        write(BOB, 1, 2, person(b"a-bob", 5, "bob")),
        write(CID, 1, 3, person(b"a-cid", 7, "cid")),
    )
    assert replica.query("SELECT * FROM person WHERE id > 4") == [
        (5, "bob"),
        (6, "anna"),
        (7, "cid"),
        (8, "ann"),
    ]


def test_a_deleted_row_keeps_its_id_to_itself():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, person(b"a-ann", 5, "ann"))])
    replica.apply([write(ANN, 2, 2, Gone("person", (b"a-ann",)))])
    replica.apply([write(BOB, 1, 1, person(b"a-bob", 5, "bob"))])
    assert replica.query("SELECT * FROM person WHERE id > 4") == [(5, "bob")]
    edit = write(CID, 1, 2, Put("person", ("name",), ((b"a-ann", 0, ("back",)),)), ann=1)
    replica.apply([edit])
    assert replica.query("SELECT * FROM person WHERE id > 4") == [(5, "bob"), (6, "back")]


def test_autoincrement_counts_on_from_ids_that_are_gone():
    replica = Replica(SCRIPT)
    replica.apply([write(ANN, 1, 1, person(b"a-ann", 50, "ann"))])
    replica.apply([write(ANN, 2, 2, Gone("person", (b"a-ann",)))])
    assert replica.query("SELECT seq FROM sqlite_sequence") == [(50,)]


def test_a_row_gets_its_id_back_when_the_other_moves_away():
    born = (
        write(ANN, 1, 1, person(b"a-ann", 5, "ann")),
        write(BOB, 1, 2, person(b"a-bob", 5, "bob")),
    )
    replica = Replica(SCRIPT)
    replica.apply(born)
    replica.apply([write(BOB, 2, 3, Put("person", ("id",), ((b"a-bob", 0, (9,)),)))])
    assert replica.query("SELECT * FROM person WHERE id > 4") == [(5, "ann"), (9, "bob")]


def test_a_key_that_is_a_reference_is_never_another_rows_id():
    def profile(row: bytes, bio: str) -> Put:
        return Put("profile", ("person", "bio"), ((row, BORN | AUTO, (4, bio)),))

    replica = everywhere(
        write(ANN, 1, 1, profile(b"a-ann", "one")), write(BOB, 1, 2, profile(b"a-bob", "two"))
    )
    assert replica.query("SELECT * FROM profile") == [(4, "two")]
    assert replica.aside() == {("profile", b"a-ann")}


def test_a_key_that_is_a_reference_follows_its_row():
    replica = everywhere(
        write(
            ANN,
            1,
            1,
            person(b"a-ann", 5, "ann"),
            Put("profile", ("person", "bio"), ((b"a-p", BORN | AUTO, (Ref(b"a-ann", 5), "me")),)),
        ),
        write(BOB, 1, 2, person(b"a-bob", 5, "bob")),
    )
    assert replica.query("SELECT * FROM profile") == [(6, "me")]


def test_hundreds_of_rows_born_apart_under_the_same_ids():
    def many(author: bytes) -> Put:
        name = author[:1].decode()
        rows = tuple(
            (b"a" + author[:1] + number.to_bytes(4, "big"), BORN | AUTO, (number, name))
            for number in range(5, 305)
        )
        return Put("person", ("id", "name"), rows)

    replica = everywhere(write(ANN, 1, 1, many(ANN)), write(BOB, 1, 2, many(BOB)))
    rows = replica.query("SELECT id, name FROM person WHERE id > 4 ORDER BY id")
    assert rows == [(n, "b") for n in range(5, 305)] + [(n, "a") for n in range(305, 605)]


def test_a_row_of_the_base_loses_its_id_to_a_later_row():
    replica = everywhere(
        write(ANN, 1, 1, Gone("person", (base_id((4,)),)), person(b"a-ann", 4, "ann")),
        write(BOB, 1, 1, Put("person", ("name",), ((base_id((4,)), 0, ("FOUR",)),))),
    )
    assert replica.query("SELECT * FROM person") == [(1, "base"), (4, "ann"), (5, "FOUR")]
