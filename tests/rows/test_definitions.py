"""What schema statements come to, in whatever order they arrive."""

from __future__ import annotations

import pytest

from meerkat.rows.changes import DefineObject, DefineTable, DropTable, Put, SetNumber, Statement
from meerkat.rows.definitions import Definitions
from meerkat.rows.registers import PENDING, Stamp
from meerkat.rows.schema import Schema

from .schema_member import ALICE, BOB, CAROL, DAVE, Member


def exchange(one: Member, other: Member, sql: str | list[str], other_sql: str | list[str]) -> None:
    """Both change the schema apart, then hear of each other."""
    first = one.write(*([sql] if isinstance(sql, str) else sql))
    second = other.write(*([other_sql] if isinstance(other_sql, str) else other_sql))
    one.take(second)
    other.take(first)
    assert one.definitions.dump() == other.definitions.dump()
    assert one.schema == other.schema


@pytest.fixture
def pair() -> tuple[Member, Member]:
    return Member(ALICE), Member(BOB)


def test_columns_added_apart_are_both_there(pair):
    alice, bob = pair
    exchange(
        alice,
        bob,
        "ALTER TABLE person ADD COLUMN mail TEXT DEFAULT 'none'",
        "ALTER TABLE person ADD COLUMN phone INT NOT NULL DEFAULT 0",
    )

    assert set(alice.columns("person")) == {"id", "name", "age", "mail", "phone"}
    assert alice.file.execute("SELECT mail, phone FROM person LIMIT 1").get == ("none", 0)


def test_one_column_added_by_both_is_one(pair):
    alice, bob = pair
    exchange(
        alice,
        bob,
        "ALTER TABLE person ADD COLUMN mail TEXT",
        "ALTER TABLE person ADD COLUMN mail INT",
    )

    assert alice.columns("person") == ["id", "name", "age", "mail"]


def test_a_column_renamed_while_another_is_added(pair):
    alice, bob = pair
    exchange(
        alice,
        bob,
        "ALTER TABLE person RENAME COLUMN name TO label",
        "ALTER TABLE person ADD COLUMN mail",
    )

    assert alice.columns("person") == ["id", "label", "age", "mail"]
    assert bob.file.execute("SELECT label FROM person").fetchall() == [("a",), ("b",)]
    assert bob.definitions.column_id("person", "label") == "name"


def test_a_table_renamed_while_a_column_is_added(pair):
    alice, bob = pair
    exchange(
        alice, bob, "ALTER TABLE person RENAME TO people", "ALTER TABLE person ADD COLUMN mail"
    )

    assert set(bob.schema.tables) == {"people", "note"}
    assert bob.columns("people") == ["id", "name", "age", "mail"]
    assert bob.definitions.table_id("people") == "person"
    assert bob.definitions.table_name("person") == "people"
    assert ("index", "by_name") in bob.schema.objects


def test_an_index_on_a_table_renamed_apart(pair):
    alice, bob = pair
    exchange(alice, bob, "ALTER TABLE note RENAME TO memo", "CREATE INDEX by_body ON note(body)")

    assert alice.schema.objects["index", "by_body"].table == "memo"


def test_references_follow_a_parent_renamed_apart(pair):
    alice, bob = pair
    bob.lamport = 5  # so that his definition of the child counts
    exchange(alice, bob, "ALTER TABLE person RENAME TO people", "ALTER TABLE note ADD COLUMN more")

    (key,) = alice.schema.tables["note"].foreign_keys
    assert (key.parent, key.parent_columns) == ("people", ("id",))
    assert alice.columns("note") == ["k", "body", "person", "more"]


def test_references_do_not_follow_a_parent_that_is_made_anew(pair):
    alice, bob = pair
    bob.take(
        alice.write(
            "PRAGMA legacy_alter_table = ON",
            "DROP VIEW old",
            "ALTER TABLE person RENAME TO old_person",
        )
    )

    (key,) = bob.schema.tables["note"].foreign_keys
    assert key.parent == "person"


def test_a_column_dropped_while_it_is_renamed_stays(pair):
    alice, bob = pair
    exchange(
        alice,
        bob,
        "ALTER TABLE note DROP COLUMN body",
        "ALTER TABLE note RENAME COLUMN body TO text",
    )

    assert set(alice.columns("note")) == {"k", "person", "text"}


def test_a_column_dropped_while_another_is_added(pair):
    alice, bob = pair
    exchange(alice, bob, "ALTER TABLE note ADD COLUMN more", "ALTER TABLE note DROP COLUMN body")

    assert alice.columns("note") == ["k", "person", "more"]


def test_a_table_dropped_while_it_is_redefined_stays(pair):
    alice, bob = pair
    exchange(alice, bob, "DROP TABLE note", "ALTER TABLE note ADD COLUMN more")

    assert alice.columns("note") == ["k", "body", "person", "more"]


def test_a_table_dropped_after_it_was_seen_is_gone(pair):
    alice, bob = pair
    bob.take(alice.write("ALTER TABLE note ADD COLUMN more"))
    alice.take(bob.write("DROP TABLE note"))

    assert set(alice.schema.tables) == {"person"}
    assert alice.definitions.table_name("note") is None


def test_a_table_made_again_is_another(pair):
    alice, bob = pair
    bob.take(alice.write("DROP TABLE note"), alice.write("CREATE TABLE note(z)"))

    assert bob.definitions.table_id("note") == "note'1"
    assert bob.definitions.columns("note'1") == (("z", "z"),)
    bob.take(alice.write("ALTER TABLE note ADD COLUMN y"), alice.write("ALTER TABLE note DROP y"))
    bob.take(alice.write("ALTER TABLE note ADD COLUMN y"))
    assert bob.definitions.columns("note'1") == (("z", "z"), ("y'1", "y"))


def test_tables_made_apart_under_one_name_are_one(pair):
    alice, bob = pair
    exchange(alice, bob, "CREATE TABLE t(a, b)", "CREATE TABLE t(b, c)")

    assert set(alice.columns("t")) == {"a", "b", "c"}


def test_two_tables_that_come_to_one_name_are_both_there(pair):
    alice, bob = pair
    exchange(alice, bob, "ALTER TABLE person RENAME TO t", "CREATE TABLE t(z)")

    assert set(alice.schema.tables) == {"note", "t", "t_2"}
    assert not alice.definitions.target().left_out


def test_two_columns_that_come_to_one_name_are_both_there(pair):
    alice, bob = pair
    exchange(
        alice,
        bob,
        "ALTER TABLE person RENAME COLUMN name TO t",
        "ALTER TABLE person ADD COLUMN t",
    )

    assert len(alice.columns("person")) == 4
    assert {"t", "id", "age"} < set(alice.columns("person"))


def test_an_index_on_a_column_dropped_apart_is_left_out(pair):
    alice, bob = pair
    exchange(alice, bob, "CREATE INDEX i ON note(body)", "ALTER TABLE note DROP COLUMN body")

    ((kind, name, reason),) = alice.definitions.target().left_out
    assert (kind, name) == ("index", "i")
    assert "body" in reason


def test_a_rebuild_by_hand_is_a_redefinition(pair):
    alice, bob = pair
    bob.take(
        alice.write(
            "CREATE TABLE new__note(k TEXT PRIMARY KEY, body TEXT NOT NULL, person) WITHOUT ROWID",
            "INSERT INTO new__note SELECT * FROM note",
            "DROP TABLE note",
            "ALTER TABLE new__note RENAME TO note",
        )
    )

    assert bob.schema.tables["note"].columns[1].not_null
    assert bob.definitions.table_id("note") == "note"
    assert bob.file.execute("SELECT * FROM note").fetchall() == [("x", "1", 1), ("y", "2", 2)]


def test_a_table_rebuilt_under_another_name_is_renamed(pair):
    alice, _ = pair
    alice.write(
        "CREATE TABLE memo(k TEXT PRIMARY KEY, body, person) WITHOUT ROWID", "DROP TABLE note"
    )

    assert alice.definitions.table_id("memo") == "note"


@pytest.mark.parametrize(
    ("statements", "table_id"),
    [
        (["ALTER TABLE person RENAME TO p", "ALTER TABLE p ADD COLUMN more"], "person"),
        (["CREATE TABLE p(id, name, age, more)", "DROP TABLE person"], "person"),
        (["CREATE TABLE p(id, name, more)", "DROP TABLE person"], "p"),
        (["ALTER TABLE person DROP COLUMN age", "ALTER TABLE person RENAME TO p"], "person"),
    ],
)
def test_a_table_renamed_and_changed_in_one_look(statements, table_id):
    alice = Member(ALICE)
    alice.write("DROP VIEW old")
    alice.write(*statements)

    assert alice.definitions.table_id("p") == table_id


def test_what_changes_says_of_each_statement(pair):
    alice, _ = pair
    operation = alice.write(
        "PRAGMA user_version = 3",
        "ALTER TABLE note RENAME COLUMN body TO text",
        "DROP VIEW old",
        "CREATE TRIGGER t AFTER INSERT ON note BEGIN SELECT 1; END",
    )
    table = next(one for one in operation[1] if isinstance(one, DefineTable))

    assert table.columns == (("k", "k"), ("body", "text"), ("person", "person"))
    assert (table.named, table.dropped) == (("body",), ())
    assert SetNumber("user_version", 3) in operation[1]
    assert {type(one).__name__ for one in operation[1]} == {
        "DefineTable",
        "SetNumber",
        "DropObject",
        "DefineObject",
    }


def test_nothing_but_schema_statements_counts(pair):
    alice, _ = pair
    before = alice.definitions.dump()
    statements: list[Statement] = [
        Put("note", ("body",), ()),
        SetNumber("schema_version", 3),
        DefineObject("table", "x", "x", "CREATE TABLE x(a)"),
    ]
    for statement in statements:
        alice.definitions.apply(statement, (9, BOB, 9), {})

    assert alice.definitions.dump() == before


def test_dump_and_load(pair):
    alice, _ = pair
    alice.program("ALTER TABLE note RENAME TO memo", "CREATE INDEX i ON memo(body)")
    loaded = Definitions.load(alice.definitions.dump())

    assert loaded.target() == alice.definitions.target()
    loaded.restamp((PENDING, ALICE, 1), (1, ALICE, 1))
    alice.sign()
    assert loaded.dump() == alice.definitions.dump()
    assert Definitions.load(b"").target().schema.tables == {}


def test_a_drop_reaches_as_far_as_it_saw_whenever_it_arrives():
    """A hostile author may claim to have seen what comes later."""
    define = DefineTable("t", "t", "CREATE TABLE t(a)", (("a", "a"),), (), ("", "a"))
    statements: list[tuple[Statement, Stamp, dict[bytes, int]]] = [
        (define, (1, ALICE, 1), {}),
        (DropTable("t"), (1, BOB, 1), {ALICE: 5}),
        (define, (4, CAROL, 1), {ALICE: 1}),
        (DropTable("t"), (2, DAVE, 1), {CAROL: 7}),
    ]
    dumps = set()
    for order in (statements, statements[::-1], statements[2:] + statements[:2]):
        definitions = Definitions()
        for statement, stamp, seen in order:
            definitions.apply(statement, stamp, seen)
        assert not definitions.target().tables
        dumps.add(definitions.dump())
    assert len(dumps) == 1


def test_nothing_at_all():
    assert Definitions().target().schema == Schema({}, {}, {"application_id": 0, "user_version": 0})
