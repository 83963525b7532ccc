"""Definitions that no program made: they have no effect, and that alike everywhere."""

from __future__ import annotations

import os
import random

import apsw
import pytest

from meerkat.rows.changes import DefineObject, DefineTable, DropObject, DropTable, Statement
from meerkat.rows.definitions import Definitions
from meerkat.rows.materialise import open_scratch
from meerkat.rows.registers import BASE
from meerkat.rows.schema import read_schema
from meerkat.rows.targets import Target

MALLORY = (5, b"mallory", 1)


def table(name: str, sql: str, *columns: str) -> DefineTable:
    ids = tuple((column, column) for column in columns)
    return DefineTable(name, name, sql, ids, (), ("", *columns))


def target_of(*statements: DefineTable | DefineObject) -> Target:
    """On top of a table with a full-text table beside it."""
    definitions = Definitions()
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a, b); CREATE VIRTUAL TABLE f USING fts5(a)")
    definitions = Definitions.of(read_schema(connection))
    for statement in statements:
        definitions.apply(statement, MALLORY, {})
    return definitions.target()


GOOD = target_of()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x(a); DROP TABLE t",
        "CREATE TABLE x(a); ATTACH 'evil.db' AS e; CREATE TABLE e.y(a)",
        "CREATE TABLE x(a);",
        "CREATE TABLE x(a); COMMIT",
        "CREATE TABLE x(a); ROLLBACK; BEGIN",
        "ATTACH 'evil.db' AS e",
        "VACUUM INTO 'evil.db'",
        "PRAGMA journal_mode = OFF",
        "PRAGMA temp_store_directory = '/'",
        "DROP TABLE t",
        "SELECT 1",
        "",
        "nonsense",
        "CREATE TABLE",
        "CREATE TABLE x",
        "CREATE TABLE x(",
        "CREATE TABLE y(a)",
        "CREATE TABLE IF NOT EXISTS x(a)",
        "create table x(a)",
        "CREATE TABLE main.x(a)",
        "CREATE TABLE temp.x(a)",
        "CREATE TEMP TABLE x(a)",
        "CREATE TABLE x(a, b)",
        "CREATE TABLE x AS SELECT 1 AS a",
        "CREATE TABLE x AS WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a FROM n)"
        " SELECT a FROM n",
        "CREATE TABLE x(a DEFAULT (load_extension('evil')))",
        "CREATE TABLE x(a CHECK (readfile(a)))",
        "CREATE TABLE x(a CHECK (nobody_has_this(a)))",
        "CREATE TABLE x(a COLLATE nobody_has_this UNIQUE)",
        "CREATE TABLE x(a" + " CHECK (" + "(" * 100_000 + "1" + ")" * 100_000 + "))",
        "CREATE TABLE x(a CHECK (" + "~" * 250_000 + "1))",
        "CREATE TABLE x(a CHECK (a" + "+1" * 9_000 + "))",
        "CREATE TABLE x(a"
        + "".join(f", g{n} AS (g{n - 1} + g{n - 1})" for n in range(1, 1_500)).replace("g0", "a")
        + ")",
        "CREATE TABLE x(a, " + ", ".join(f"c{number}" for number in range(2_000)) + ")",
        "CREATE VIEW x AS SELECT 1 AS a",
        "CREATE VIRTUAL TABLE x USING dbstat(main)",
        "CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')",
        "CREATE VIRTUAL TABLE x USING nothing(a)",
        "CREATE VIRTUAL TABLE x USING fts5(a, content='meerkat_rows')",
        "CREATE VIRTUAL TABLE x USING fts5(a, tokenize='nobody_has_this')",
        "CREATE VIRTUAL TABLE x USING fts5(a); DROP TABLE t",
        "CREATE TABLE x(a)\x00; DROP TABLE t",
    ],
)
def test_a_table_that_is_not_what_it_says(sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = target_of(table("x", sql, "a"))

    assert target.schema == GOOD.schema
    assert [entry[:2] for entry in target.left_out] == [("table", "x")]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["sqlite_x", "sqlite_schema", "sqlite_stat1", "Meerkat_x"])
def test_reserved_names(name):
    target = target_of(
        table(name, f"CREATE TABLE {name}(a)", "a"),
        DefineObject("view", name, name, f"CREATE VIEW {name} AS SELECT 1"),
        DefineObject("index", name, "t", f"CREATE INDEX {name} ON t(a)"),
        DefineObject("trigger", name, "t", f"CREATE TRIGGER {name} AFTER INSERT ON t BEGIN"
                     " SELECT 1; END"),
    )  # fmt: skip

    assert target.schema == GOOD.schema
    assert len(target.left_out) == 4


@pytest.mark.parametrize(
    ("kind", "name", "on", "sql"),
    [
        ("index", "i", "t", "CREATE INDEX i ON t(a); DROP TABLE t"),
        ("index", "i", "t", "CREATE INDEX j ON t(a)"),
        ("index", "i", "f", "CREATE INDEX i ON t(a)"),
        ("index", "i", "f_content", "CREATE INDEX i ON f_content(c0)"),
        ("index", "i", "sqlite_schema", "CREATE INDEX i ON sqlite_schema(name)"),
        ("index", "i", "t", "CREATE VIEW i AS SELECT 1"),
        ("view", "i", "i", "CREATE TEMP VIEW i AS SELECT 1"),
        ("view", "i", "i", "CREATE VIEW i AS SELECT load_extension('evil')"),
        ("view", "i", "i", "CREATE VIEW i AS SELECT \"writefile\"('x', 'y')"),
        ("view", "i", "i", "CREATE VIEW i AS SELECT 1; SELECT 2"),
        ("trigger", "i", "t", "CREATE TRIGGER i AFTER INSERT ON t BEGIN SELECT 1; END; SELECT 1"),
        (
            "trigger",
            "i",
            "t",
            "CREATE TRIGGER i AFTER INSERT ON t BEGIN SELECT writefile('x', 'y'); END",
        ),
        ("trigger", "i", "t", "CREATE TEMP TRIGGER i AFTER INSERT ON t BEGIN SELECT 1; END"),
        ("trigger", "i", "t", "CREATE TRIGGER i AFTER INSERT ON t BEGIN ATTACH 'x' AS y; END"),
    ],
)
def test_an_object_that_is_not_what_it_says(kind, name, on, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = target_of(DefineObject(kind, name, on, sql))

    assert target.schema.objects == {}
    assert set(target.schema.tables) == {"t", "f"}
    assert [entry[:2] for entry in target.left_out] == [(kind, name)]
    assert os.listdir(tmp_path) == []


def test_what_only_looks_like_that_is_taken():
    target = target_of(
        table("readfile", "CREATE TABLE readfile(a, writefile)", "a", "writefile"),
        DefineObject("index", "i", "readfile", "CREATE INDEX i ON readfile(a)"),
        DefineObject("view", "v", "v", "CREATE VIEW v AS SELECT * FROM v"),
        DefineObject(
            "trigger",
            "g",
            "readfile",
            "CREATE TRIGGER g AFTER INSERT ON readfile BEGIN INSERT INTO readfile(a) VALUES (1);"
            " END",
        ),
    )

    assert target.left_out == []
    assert len(target.schema.objects) == 3


def test_views_that_double_each_other_are_not_looked_into():
    views = [DefineObject("view", "v0", "v0", "CREATE VIEW v0 AS SELECT a FROM t")]
    for number in range(1, 60):
        name, text = f"v{number}", f"SELECT a + a AS a FROM v{number - 1}"
        views.append(DefineObject("view", name, name, f"CREATE VIEW {name} AS {text}"))
    trigger = "CREATE TRIGGER g INSTEAD OF INSERT ON v9 BEGIN SELECT 1; END"
    target = target_of(*views, DefineObject("trigger", "g", "v9", trigger))

    assert len(target.schema.objects) == 61


def test_a_bad_definition_does_not_take_a_table_away():
    target = target_of(table("t", "DROP TABLE t", "a", "b"))

    assert target.schema == GOOD.schema


@pytest.mark.parametrize(("columns", "fits"), [(8, True), (20, False)])
def test_generated_columns_that_double_each_other(columns, fits):
    names = [f"g{number}" for number in range(columns)]
    pairs = zip(names[1:], names, strict=False)
    text = "".join(f", {name} AS ({before} * {before})" for name, before in pairs)
    target = target_of(table("x", f"CREATE TABLE x(g0{text})", *names))

    assert ("x" in target.schema.tables) == fits


def test_columns_that_are_not_said():
    for columns in (("a", "a"), ("b", "a"), ("a",), ("a", "b", "c"), ()):
        target = target_of(table("x", "CREATE TABLE x(a, b)", *columns))
        assert set(target.schema.tables) == {"t", "f"}


def test_columns_that_are_too_many_are_left_out():
    sql = "CREATE TABLE t(" + ", ".join(f"x{n}" for n in range(1_999)) + ")"
    definitions = Definitions.of(GOOD.schema)
    wide = DefineTable("t", "t", sql, tuple((f"x{n}", f"x{n}") for n in range(1_999)))
    definitions.apply(wide, MALLORY, {})
    target = definitions.target()

    assert len(target.schema.tables["t"].columns) == 2_000
    ((kind, name, reason),) = target.left_out
    assert (kind, name) == ("column", "t.b")
    assert "too many columns" in reason


def test_statements_of_the_base_may_be_worded_in_any_way():
    definitions = Definitions()
    definitions.apply(table("x", "create table  x(a)", "a"), BASE, {})

    assert definitions.target().schema.tables["x"].sql == "CREATE TABLE x(a)"


def test_nothing_else_is_reached_from_the_scratch():
    scratch = open_scratch()
    with pytest.raises(apsw.SQLError, match="too many attached"):
        scratch.execute("ATTACH ':memory:' AS other")
    with pytest.raises(apsw.SQLError, match="not authorized"):
        scratch.execute("SELECT load_extension('x')")
    scratch.close()


# -- anything at all -------------------------------------------------------------------------------

SQL = [
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x', c AS (a + 1), CHECK (b <> ''))",
    "CREATE TABLE u(k TEXT PRIMARY KEY, t REFERENCES t(a)) WITHOUT ROWID, STRICT",
    "CREATE VIRTUAL TABLE f USING fts5(a, b, content='t')",
    "CREATE VIRTUAL TABLE r USING rtree(i, x, y, +z)",
    "CREATE UNIQUE INDEX i ON t(b COLLATE NOCASE, lower(b)) WHERE a > 0",
    "CREATE VIEW v AS SELECT * FROM t",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO f(rowid, a) VALUES (new.a, 'x'); END",
]
BITS = [
    *("(", ")", ",", "'", '"', "`", "[", "]", "--", "/*", "*/", ";", "\0", "é", " ", "rowid"),
    *("AS", "NOT NULL", "UNIQUE", "sqlite_schema", "meerkat_x", "main.", "TEMP ", "STRICT"),
    *("WITHOUT ROWID", "GENERATED ALWAYS AS (1) STORED", "COLLATE x", "AUTOINCREMENT"),
    *("REFERENCES meerkat_rows", "content=", "ATTACH 'x' AS y", "SELECT 1", "RAISE(ABORT, 'x')"),
]
COLUMNS = [("a", "b", "c"), ("k", "t"), ("a", "b"), ("i", "x", "y", "z"), ("a",), ("x", "x"), ("",)]


def mutated(rng: random.Random) -> str:
    sql = rng.choice(SQL)
    for _ in range(rng.randint(0, 3)):
        start = rng.randrange(len(sql) + 1)
        sql = sql[:start] + rng.choice(BITS) + sql[start + rng.choice([0, 0, 1, 5]) :]
    return sql


def any_statement(rng: random.Random) -> Statement:
    name = rng.choice(["t", "u", "f", "r", "i", "v", "g", "f_data", "sqlite_x"])
    columns = rng.choice(COLUMNS)
    match rng.randrange(5):
        case 0 | 1 | 2:
            return DefineTable(
                rng.choice("tuf"),
                name,
                mutated(rng),
                tuple((column, rng.choice([column, column, "q"])) for column in columns),
                rng.choice([(), ("a",), ("zz",)]),
                rng.choice([(), ("",), columns, ("", *columns)]),
            )
        case 3:
            kind = rng.choice(["index", "view", "trigger"])
            return DefineObject(kind, name, rng.choice(["t", "u", "v", "f_data"]), mutated(rng))
        case _:
            return DropTable("t") if rng.random() < 0.5 else DropObject("index", "i")


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_said_the_target_is_one_that_can_be(seed):
    rng = random.Random(seed)
    definitions = Definitions()
    for number in range(6):
        stamp = (rng.randint(1, 9), rng.choice([b"a", b"b"]), number + 1)
        definitions.apply(any_statement(rng), stamp, {b"a": rng.randint(0, 3)})
    target = definitions.target()

    made = apsw.Connection(":memory:")
    for sql in target.statements:
        made.execute(sql)
    assert read_schema(made).tables == target.schema.tables
    assert Definitions.load(definitions.dump()).target() == target
    assert set(target.table_ids) == set(target.schema.tables)
    for table_id, found in target.tables.items():
        declared = target.schema.tables[found.name].declared
        assert [column.name for column in declared] == [name for _, name in found.columns]
        assert len({column_id for column_id, _ in found.columns}) == len(declared)
        assert len(definitions.columns(table_id)) <= len(declared)
