"""Bringing a database with rows to another schema."""

from __future__ import annotations

import random

import apsw
import pytest

from meerkat.rows.definitions import Definitions, names_between
from meerkat.rows.migrate import migrate
from meerkat.rows.schema import Table, read_schema
from meerkat.rows.sqltext import quote
from meerkat.rows.values import RawText

BASE = """
CREATE TABLE person(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, age INT);
CREATE TABLE pair(a TEXT, b INT, x, PRIMARY KEY(a, b DESC), CHECK (b > 0)) WITHOUT ROWID;
CREATE TABLE made(x INTEGER PRIMARY KEY DESC, y AS (x + 1), z AS (1) STORED, w DEFAULT (1 + 2));
CREATE TABLE "we""ird [x]"(rowid, "a b" TEXT, 'q' INT CHECK (q));
CREATE TABLE child(id INTEGER PRIMARY KEY, person REFERENCES person ON DELETE CASCADE);
CREATE TABLE firm(n INT NOT NULL, t TEXT, v ANY) STRICT;
CREATE VIRTUAL TABLE own USING fts5(a, b);
CREATE VIRTUAL TABLE over USING fts5(name, content=person, content_rowid=id);
CREATE VIRTUAL TABLE less USING fts5(a, content='');
CREATE VIRTUAL TABLE four USING fts4(a, b);
CREATE VIRTUAL TABLE box USING rtree(i, x0, x1, +note);
CREATE VIEW grown AS SELECT name FROM person WHERE age > 17;
CREATE INDEX by_age ON person(age, lower(name)) WHERE age > 0;
CREATE TRIGGER born AFTER INSERT ON person BEGIN INSERT INTO child(person) VALUES (new.id); END;
PRAGMA user_version = 7;
"""
ROWS = """
INSERT INTO person VALUES (5, 'x', 20), (6, 'y', NULL), (9, 'z', 1);
DELETE FROM person WHERE id = 9;
INSERT INTO pair VALUES ('k', 1, 5), ('k', 2, x'00'), ('l', 1, NULL);
INSERT INTO made(rowid, x) VALUES (77, 2), (3, 9);
INSERT INTO "we""ird [x]"(_rowid_, rowid, "a b", q) VALUES (33, 1, CAST(x'ff' AS TEXT), 3);
INSERT INTO firm VALUES (1, 'a', 1), (2, 'a', '1');
INSERT INTO own(rowid, a, b) VALUES (4, 'hello', 'world'), (8, 'you', 7);
INSERT INTO over(over) VALUES ('rebuild');
INSERT INTO less(rowid, a) VALUES (1, 'hidden');
INSERT INTO four(docid, a) VALUES (8, 'four');
INSERT INTO box VALUES (3, 1, 2, 't');
"""


def database(base: str = BASE, rows: str = ROWS) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute(base)
    connection.execute(rows)
    return connection


def rows_of(connection: apsw.Connection) -> dict[str, list[object]]:
    """Every row of every table, with its rowid and types."""
    found: dict[str, list[object]] = {}
    for table in read_schema(connection).tables.values():
        if not table.replicated:
            continue
        names = [column.name for column in table.declared]
        names += [table.rowid_name] if table.has_rowid else []
        terms = ", ".join(
            f"typeof({name}), CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB)"
            f" ELSE {name} END"
            for name in map(quote, names)
        )
        order = ", ".join(map(quote, table.locator_columns))
        found[table.name] = list(
            connection.execute(f"SELECT {terms} FROM {quote(table.name)} ORDER BY {order}")
        )
    return found


def roots(connection: apsw.Connection) -> dict[str, int]:
    return {table.name: table.root for table in read_schema(connection).tables.values()}


class Lost(list[tuple[str, object, tuple[object, ...]]]):
    def __call__(self, table: Table, at: object, values: tuple[object, ...]) -> None:
        self.append((table.name, at, values))


def follow(change: str, *, aside: Lost | None = None, checks: bool = True, rows: str = ROWS):
    """A program changes one database; another one, with the same rows, follows."""
    changed, other = database(rows=rows), database(rows=rows)
    old = read_schema(changed)
    definitions = Definitions.of(old)
    before = definitions.target()
    changed.execute(change)
    new = read_schema(changed)
    for statement in definitions.changes(old, new):
        definitions.apply(statement, (5, b"alice", 1), {})
    target = definitions.target()
    assert (target.schema, target.left_out) == (new, [])
    other.execute("PRAGMA foreign_keys = ON; BEGIN")
    try:
        migrate(other, target, names_between(before, target), aside=aside, checks=checks)
    except apsw.Error:
        other.execute("ROLLBACK")
        raise
    finally:
        assert other.execute("PRAGMA foreign_keys").get == 1
        assert other.config(apsw.SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, -1) == 0
        assert other.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, -1) == 1
    other.execute("COMMIT")
    assert other.execute("PRAGMA integrity_check").get == "ok"
    assert read_schema(other) == new
    return changed, other


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE person ADD COLUMN mail TEXT NOT NULL DEFAULT 'none'",
        "ALTER TABLE person RENAME COLUMN name TO label",
        "ALTER TABLE person RENAME TO people",
        "ALTER TABLE person RENAME TO p; ALTER TABLE p RENAME TO Person",
        "DROP VIEW grown; DROP INDEX by_age; ALTER TABLE person DROP COLUMN age",
        "ALTER TABLE pair ADD COLUMN more; ALTER TABLE pair RENAME TO pairs",
        "ALTER TABLE pair DROP COLUMN x",
        "ALTER TABLE made DROP COLUMN w; ALTER TABLE made ADD COLUMN v AS (z + 1)",
        'ALTER TABLE "we""ird [x]" RENAME COLUMN "a b" TO "row id"',
        'ALTER TABLE "we""ird [x]" RENAME TO "new""name"',
        "ALTER TABLE firm ADD COLUMN r REAL",
        "ALTER TABLE own RENAME TO \"o 'w' n\"",
        "ALTER TABLE four RENAME TO 'fo ur'; ALTER TABLE box RENAME TO boxes",
        "DROP TABLE own; DROP TABLE box; DROP TABLE pair",
        "DROP TRIGGER born; DROP VIEW grown; CREATE VIEW grown(n) AS SELECT 1",
        "DROP INDEX by_age; CREATE UNIQUE INDEX by_age ON pair(x) WHERE b = 1",
        "CREATE TABLE t(a PRIMARY KEY, b REFERENCES t) WITHOUT ROWID; CREATE INDEX i ON t(b)",
        "CREATE VIRTUAL TABLE t USING fts5(a); CREATE VIRTUAL TABLE v USING fts5vocab(t, row)",
        "PRAGMA user_version = 8; PRAGMA application_id = -5",
        # As Django does it.
        "CREATE TABLE new__pair(a TEXT, b INT NOT NULL, x TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID;"
        "INSERT INTO new__pair SELECT a, b, x FROM pair; DROP TABLE pair;"
        "ALTER TABLE new__pair RENAME TO pair",
        "CREATE TABLE n(n INT NOT NULL, t TEXT, v TEXT);"
        "INSERT INTO n(rowid, n, t, v) SELECT rowid, n, t, v FROM firm; DROP TABLE firm;"
        "ALTER TABLE n RENAME TO firm",
    ],
)
def test_rows_are_kept(change):
    changed, other = follow(change)

    assert rows_of(other) == rows_of(changed)
    sequence = "SELECT seq FROM sqlite_sequence ORDER BY 1"
    assert list(other.execute(sequence)) == list(changed.execute(sequence))


@pytest.mark.parametrize(
    ("change", "table", "kept"),
    [
        ("ALTER TABLE person ADD COLUMN mail TEXT DEFAULT 'none'", "person", True),
        ("ALTER TABLE person RENAME COLUMN name TO label", "person", True),
        ("ALTER TABLE person RENAME TO people", "people", True),
        (
            "DROP TRIGGER born; CREATE TABLE n(id INTEGER PRIMARY KEY, person);"
            "DROP TABLE child; ALTER TABLE n RENAME TO child",
            "child",
            False,
        ),
    ],
)
def test_tables_are_altered_in_place_where_that_does(change, table, kept):
    before = roots(database())[{"people": "person"}.get(table, table)]
    _, other = follow(change)

    assert (roots(other)[table] == before) == kept


def test_full_text_is_found_again():
    _, other = follow(
        "ALTER TABLE own RENAME TO mine; DROP TABLE over;"
        "CREATE VIRTUAL TABLE over USING fts5(name, age, content=person, content_rowid=id)"
    )

    assert other.execute("SELECT rowid FROM mine WHERE mine MATCH 'hello'").get == 4
    assert other.execute("SELECT rowid FROM over WHERE over MATCH '20'").get == 5
    other.execute("INSERT INTO mine(mine) VALUES ('integrity-check')")
    other.execute("INSERT INTO over(over, rank) VALUES ('integrity-check', 1)")


def test_an_automatic_id_is_not_given_again_after_a_rebuild():
    _, other = follow(
        "DROP VIEW grown; DROP TRIGGER born;"
        "CREATE TABLE n(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, age TEXT);"
        "INSERT INTO n SELECT * FROM person; DROP TABLE person; ALTER TABLE n RENAME TO person"
    )

    assert other.execute("INSERT INTO person(name) VALUES ('w') RETURNING id").get == 10


def test_names_that_are_exchanged():
    _, other = follow(
        "ALTER TABLE firm RENAME TO tmp; ALTER TABLE child RENAME TO firm;"
        "ALTER TABLE tmp RENAME TO child"
    )

    assert [column.name for column in read_schema(other).tables["child"].columns] == ["n", "t", "v"]


def test_tables_that_pass_their_names_on():
    connection = database("CREATE TABLE a(x); CREATE TABLE b(y); CREATE TABLE c(z)", "")
    definitions = Definitions.of(read_schema(connection))
    before = definitions.target()
    connection.execute(
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); INSERT INTO c VALUES (3)"
    )
    other = database(
        "CREATE TABLE a(z); CREATE TABLE B(x); CREATE TABLE c(y)",
        "",
    )
    target = Definitions.of(read_schema(other)).target()
    assert set(before.schema.tables) == {"a", "b", "c"}
    names = {"a": ("c", {"z": "z"}), "B": ("a", {"x": "x"}), "c": ("b", {"y": "y"})}
    connection.execute("BEGIN")
    migrate(connection, target, names)
    connection.execute("COMMIT")

    assert [connection.execute(f"SELECT * FROM {name}").get for name in "aBc"] == [3, 1, 2]
    assert read_schema(connection) == target.schema


UNIQUE_LATER = (
    "DELETE FROM firm WHERE n = 2; CREATE UNIQUE INDEX only ON firm(t)",
    [("firm", 2, (2, "a", "1"))],
)
NOT_NULL_LATER = (
    "DELETE FROM pair WHERE x IS NULL;"
    "CREATE TABLE n(a TEXT, b INT, x NOT NULL, PRIMARY KEY(a, b)) WITHOUT ROWID;"
    "INSERT INTO n SELECT * FROM pair; DROP TABLE pair; ALTER TABLE n RENAME TO pair",
    [("pair", ("l", 1), ("l", 1, None))],
)
STRICT_LATER = (
    'CREATE TABLE n(rowid INT, "a b" INT, q INT) STRICT; DROP TABLE "we""ird [x]";'
    'ALTER TABLE n RENAME TO "we""ird [x]"',
    [('we"ird [x]', 33, (1, RawText(b"\xff"), 3))],
)


@pytest.mark.parametrize(("change", "lost"), [UNIQUE_LATER, NOT_NULL_LATER, STRICT_LATER])
def test_rows_that_new_constraints_forbid_are_handed_over(change, lost):
    aside = Lost()
    _, other = follow(change, aside=aside)

    assert aside == lost
    count = other.execute(f"SELECT count(*) FROM {quote(lost[0][0])}").get
    assert count == database().execute(f"SELECT count(*) FROM {quote(lost[0][0])}").get - 1


@pytest.mark.parametrize(("change", "lost"), [UNIQUE_LATER, NOT_NULL_LATER, STRICT_LATER])
def test_or_nothing_is_done(change, lost):
    with pytest.raises((apsw.ConstraintError, apsw.MismatchError)):
        follow(change)


def test_the_first_by_its_key_stays_where_two_are_the_same():
    aside = Lost()
    _, other = follow(
        "DELETE FROM pair WHERE a > 'l'; CREATE UNIQUE INDEX only ON pair(x, lower(a) <> '')",
        aside=aside,
        rows=ROWS + "INSERT INTO pair VALUES ('m', 1, 5), (CAST(x'ff' AS TEXT), 1, 5);",
    )

    assert sorted(aside, key=repr) == [
        ("pair", ("m", 1), ("m", 1, 5)),
        ("pair", (RawText(b"\xff"), 1), (RawText(b"\xff"), 1, 5)),
    ]
    assert other.execute("SELECT count(*) FROM pair").get == 3


def test_checks_may_wait():
    change = (
        "DROP TRIGGER born; CREATE TABLE n(id INTEGER PRIMARY KEY, person CHECK (person > 100));"
        "DROP TABLE child; ALTER TABLE n RENAME TO child"
    )
    rows = ROWS + "INSERT INTO child VALUES (50, 5);"
    aside = Lost()
    follow(change, aside=aside, rows=rows)
    assert (50, (50, 5)) in [(at, values) for _, at, values in aside]

    changed, other = database(rows=rows), database(rows=rows)
    changed.execute(change)
    definitions = Definitions.of(read_schema(other))
    before = definitions.target()
    for statement in definitions.changes(before.schema, read_schema(changed)):
        definitions.apply(statement, (5, b"alice", 1), {})
    migrate(other, definitions.target(), names_between(before, definitions.target()), checks=False)
    assert (50, 5) in other.execute("SELECT * FROM child").fetchall()


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        ("NOT NULL", b""),
        ("TEXT NOT NULL", ""),
        ("INT NOT NULL", 0),
        ("REAL NOT NULL", 0.0),
        ("DEFAULT CURRENT_TIMESTAMP", "1970-01-01 00:00:00"),
        ("DEFAULT (random())", None),
        ("INT NOT NULL DEFAULT (random())", 0),
        ("DEFAULT (CURRENT_DATE || '')", None),
        ("DEFAULT '(CURRENT_DATE'", "(CURRENT_DATE"),
        ("DEFAULT (1 + 2)", 3),
        ("DEFAULT NULL", None),
    ],
)
def test_new_columns_hold_the_same_everywhere(declaration, value):
    _, other = follow(
        f"CREATE TABLE m(n INT NOT NULL, t TEXT, v, c {declaration});"
        "DROP TABLE firm; ALTER TABLE m RENAME TO firm"
    )

    assert {row[3] for row in other.execute("SELECT * FROM firm")} == {value}


def test_a_key_that_becomes_the_rowid_and_the_reverse():
    _, other = follow(
        "DROP TRIGGER born; CREATE TABLE n(n INTEGER PRIMARY KEY, t TEXT, v); DROP TABLE firm;"
        "ALTER TABLE n RENAME TO firm;"
        "CREATE TABLE c(id INT, person); DROP TABLE child; ALTER TABLE c RENAME TO child",
        rows=ROWS + "INSERT INTO firm(rowid, n) VALUES (50, 9)",
    )

    assert other.execute("SELECT rowid, n FROM firm").fetchall() == [(1, 1), (2, 2), (9, 9)]
    assert {rowid == key for rowid, key in other.execute("SELECT rowid, id FROM child")} == {True}


def test_a_table_of_another_kind_under_the_name():
    _, other = follow("DROP TABLE own; CREATE TABLE own(x); DROP TABLE box; CREATE TABLE box(i, y)")

    assert other.execute("SELECT rowid, x FROM own").fetchall() == [(4, None), (8, None)]
    assert other.execute("SELECT rowid, i, y FROM box").fetchall() == [(3, 3, None)]


def test_our_own_tables_are_left_alone():
    connection = database("CREATE TABLE meerkat_x(a); CREATE TABLE t(a)", "")
    connection.execute("INSERT INTO meerkat_x VALUES (1)")
    migrate(connection, Definitions().target(), {})

    assert connection.execute("SELECT a FROM meerkat_x").get == 1
    assert read_schema(connection, own=True).tables == {}


def test_a_target_again_changes_nothing():
    connection = database()
    before = rows_of(connection)
    definitions = Definitions.of(read_schema(connection))
    version = connection.execute("PRAGMA schema_version").get
    target = definitions.target()
    migrate(connection, target, names_between(target, target))

    assert rows_of(connection) == before
    assert connection.execute("PRAGMA schema_version").get == version


DECLARATIONS = ["", "TEXT", "INT", "REAL NOT NULL DEFAULT 1.5", "TEXT UNIQUE", "BLOB DEFAULT x'01'"]
KEYS = ["", "INTEGER PRIMARY KEY", "TEXT PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"]


def random_table(name: str, rng: random.Random) -> str:
    columns = rng.sample(["a", "b", "c", "d e", "rowid"], rng.randint(1, 4))
    texts = [f"k {rng.choice(KEYS)}"]
    texts += [f"{quote(column)} {rng.choice(DECLARATIONS)}" for column in columns]
    if rng.random() < 0.3:
        texts.append(f"CHECK ({quote(columns[0])} IS NOT 'no')")
    without = " WITHOUT ROWID" if "TEXT PRIMARY KEY" in texts[0] and rng.random() < 0.5 else ""
    return f"CREATE TABLE {name}({', '.join(texts)}){without}"


@pytest.mark.parametrize("seed", range(12))
def test_from_any_schema_to_any_other(seed):
    rng = random.Random(seed)
    words = ["t", "u", "v", "w"]
    sql = ["; ".join(random_table(word, rng) for word in rng.sample(words, 3)) for _ in range(2)]
    connection, wanted = database(sql[0], ""), database(sql[1], "")
    values = [None, 1, 2.5, "no", "yes", b"x", 7, "7"]
    for table in read_schema(connection).tables.values():
        for _ in range(12):
            row = [rng.choice(values) for _ in table.columns]
            places = ", ".join("?" * len(row))
            connection.execute(f"INSERT OR IGNORE INTO {table.name} VALUES ({places})", row) if (
                not table.rowid_column
            ) else connection.execute(
                f"INSERT OR IGNORE INTO {table.name} VALUES ({places})", [None, *row[1:]]
            )
    old = read_schema(connection)
    count = sum(len(rows) for rows in rows_of(connection).values())
    definitions = Definitions.of(old)
    before = definitions.target()
    for statement in definitions.changes(old, read_schema(wanted)):
        definitions.apply(statement, (5, b"alice", 1), {})
    target = definitions.target()
    names = names_between(before, target)
    kept = {was for was, _ in names.values()}
    dropped = sum(len(rows) for name, rows in rows_of(connection).items() if name not in kept)
    aside = Lost()
    connection.execute("BEGIN")
    migrate(connection, target, names, aside=aside)
    connection.execute("COMMIT")

    assert connection.execute("PRAGMA integrity_check").get == "ok"
    assert read_schema(connection) == target.schema == read_schema(wanted)
    after = sum(len(rows) for rows in rows_of(connection).values())
    assert after + len(aside) + dropped == count
