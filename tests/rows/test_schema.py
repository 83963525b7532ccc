"""Reading a schema, and which are refused."""

from __future__ import annotations

import apsw
import pytest

from meerkat.rows.definitions import Definitions, refusal
from meerkat.rows.schema import ForeignKey, Schema, Table, read_schema
from meerkat.rows.sqltext import declarations, expansion, module_of, quote, tokens


def memory(sql: str) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute(sql)
    return connection


def schema_of(sql: str) -> Schema:
    return read_schema(memory(sql))


def table_of(sql: str) -> Table:
    (table,) = schema_of(sql).tables.values()
    return table


def names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


@pytest.mark.parametrize(
    ("sql", "rowid_column", "key", "locator"),
    [
        ("CREATE TABLE t(a, b)", None, (), ("rowid",)),
        ("CREATE TABLE t(rowid, Oid)", None, (), ("_rowid_",)),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY)", "a", (), ("a",)),
        ("CREATE TABLE t(a integer, PRIMARY KEY(a DESC))", "a", (), ("a",)),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY DESC)", None, ("a",), ("rowid",)),
        ("CREATE TABLE t(a INT PRIMARY KEY)", None, ("a",), ("rowid",)),
        ("CREATE TABLE t(a, b, PRIMARY KEY(b, a))", None, ("b", "a"), ("rowid",)),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY) WITHOUT ROWID", None, ("a",), ("a",)),
        ("CREATE TABLE t(a, b, PRIMARY KEY(b, a)) WITHOUT ROWID", None, ("b", "a"), ("b", "a")),
        ("CREATE VIRTUAL TABLE t USING fts5(a)", None, (), ("rowid",)),
        ("CREATE VIRTUAL TABLE t USING rtree(i, x, y)", "i", (), ("i",)),
    ],
)
def test_where_rows_stand(sql, rowid_column, key, locator):
    table = table_of(sql)

    assert (table.rowid_column, table.key, table.locator_columns) == (rowid_column, key, locator)
    assert table.replicated


def test_columns_and_kinds():
    table = table_of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL DEFAULT 'x',"
        ' v INT AS (id + 1), s INT GENERATED ALWAYS AS (2) STORED, "b c" ANY) STRICT'
    )

    assert names(table) == ["id", "a", "b c"]
    assert [column.name for column in table.declared] == ["id", "a", "v", "s", "b c"]
    assert (table.columns[1].not_null, table.columns[1].default) == (True, "'x'")
    assert (table.autoincrement, table.strict, table.without_rowid) == (True, True, False)


def test_unique_indexes_of_all_kinds():
    connection = memory(
        "CREATE TABLE t(a UNIQUE, b COLLATE NOCASE, c, PRIMARY KEY(a, b));"
        "CREATE UNIQUE INDEX whole ON t(c COLLATE RTRIM, lower(a));"
        "CREATE UNIQUE INDEX part ON t(b) WHERE c > 0;"
        "CREATE INDEX other ON t(c)"
    )
    schema = read_schema(connection)
    uniques = {unique.index: unique for unique in schema.tables["t"].uniques}

    assert uniques["sqlite_autoindex_t_1"].columns == ("a",)
    assert uniques["sqlite_autoindex_t_2"].collations == ("BINARY", "NOCASE")
    assert uniques["whole"].columns == ("c", None)
    assert uniques["whole"].collations == ("RTRIM", "BINARY")
    assert (uniques["part"].partial, uniques["whole"].partial) == (True, False)
    assert "other" not in uniques
    assert {name for _, name in schema.objects} == {"whole", "part", "other"}


def test_foreign_keys_have_the_names_of_the_tables():
    schema = schema_of(
        "CREATE TABLE Parent(Id INTEGER PRIMARY KEY); CREATE TABLE pair(A, B, PRIMARY KEY(A, B));"
        "CREATE TABLE t(x REFERENCES parent, y, z REFERENCES nowhere, w REFERENCES t(X),"
        " FOREIGN KEY(Y, z) REFERENCES PAIR)"
    )

    assert schema.tables["t"].foreign_keys == (
        ForeignKey(("x",), "Parent", ("Id",)),
        ForeignKey(("z",), "nowhere", ()),
        ForeignKey(("w",), "t", ("x",)),
        ForeignKey(("y", "z"), "pair", ("A", "B")),
    )


def test_what_is_left_out():
    schema = schema_of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1); ANALYZE;"
        "CREATE VIRTUAL TABLE f USING fts5(a); CREATE VIRTUAL TABLE r USING rtree(i, x, y)"
    )

    assert set(schema.tables) == {"t", "f", "r"}
    assert not schema.objects
    assert schema.tables["f"].shadows
    assert not schema.refused


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        ("a, b", None),
        ("a, content='t'", "t"),
        ('a, cont = "t x"', "t x"),
        ("a, content=''", ""),
        ("a, content=", ""),
        ("a, tokenize='porter'", None),
    ],
)
def test_where_a_full_text_table_has_its_text(arguments, source):
    table = schema_of(f"CREATE TABLE o(z); CREATE VIRTUAL TABLE f USING fts5({arguments})").tables[
        "f"
    ]

    assert table.source == source
    assert table.replicated == (source is None)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE Meerkat_x(a)", "meerkat_"),
        ("CREATE TABLE t(rowid, _rowid_, oid)", "names of the rowid"),
        ("CREATE VIRTUAL TABLE t USING dbstat(main)", "module 'dbstat'"),
        ("CREATE VIRTUAL TABLE f USING fts5(a); CREATE INDEX i ON f_content(c0)", "behind another"),
    ],
)
def test_refused(sql, reason):
    schema = schema_of(sql)

    assert reason in schema.refused
    assert refusal(schema) == schema.refused


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a(x COLLATE own)",
        "CREATE TABLE a(x); CREATE INDEX i ON a(x COLLATE own)",
        "CREATE TABLE b(x CHECK (own(x)))",
        "CREATE TABLE c(x); CREATE INDEX i ON c(own(x))",
    ],
)
def test_what_only_a_program_adds_is_refused(tmp_path, sql):
    connection = apsw.Connection(str(tmp_path / "a.db"))
    connection.create_collation("own", lambda a, b: (a > b) - (a < b))
    connection.create_scalar_function("own", lambda *values: values[0], deterministic=True)
    connection.execute(sql)
    connection.close()
    stranger = apsw.Connection(str(tmp_path / "a.db"))

    assert "own" in read_schema(stranger).refused
    stranger.close()


def test_our_own_tables_in_our_own_state():
    connection = memory("CREATE TABLE meerkat_x(a); CREATE INDEX meerkat_i ON meerkat_x(a)")

    assert read_schema(connection, own=True) == Schema(
        {}, {}, {"application_id": 0, "user_version": 0}
    )


WEIRD = [
    'qu"ote',
    "sp ace",
    "ümläut",
    "select",
    "rowid",
    "[x]",
    "a'b",
    "`",
    "--",
    "/*",
    "1",
    "ß(",
    ",",
]


def test_weird_names_everywhere():
    columns = ", ".join(f"{quote(name)} TEXT" for name in WEIRD)
    schema = schema_of(
        "".join(
            f"CREATE TABLE {quote(name)}({columns});"
            f"CREATE INDEX {quote('i' + name)} ON {quote(name)}({quote(name)});"
            for name in WEIRD
        )
    )

    assert set(schema.tables) == set(WEIRD)
    for table in schema.tables.values():
        assert names(table) == WEIRD
        assert [one.name for one in declarations(table.sql)] == WEIRD
    assert refusal(schema) == ""
    assert Definitions.of(schema).target().schema == schema


def test_a_schema_read_again_is_what_there_is_now():
    connection = memory("CREATE TABLE a(x)")
    connection.execute("BEGIN; CREATE TABLE b(y)")
    assert set(read_schema(connection).tables) == {"a", "b"}
    connection.execute("ROLLBACK; CREATE TABLE c(z); PRAGMA user_version = 3")

    schema = read_schema(connection)
    assert set(schema.tables) == {"a", "c"}
    assert schema.numbers["user_version"] == 3
    assert read_schema(connection).tables is schema.tables


def test_a_schema_is_equal_wherever_its_pages_are():
    one = schema_of("CREATE TABLE a(x); CREATE TABLE b(y)")
    other = schema_of("CREATE TABLE b(y); CREATE TABLE a(x)")

    assert one == other
    assert one.tables["a"].root != other.tables["a"].root


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        ("CREATE TABLE t(a, b INT)", ["a", "b INT"]),
        ("CREATE TABLE t(a DEFAULT (1, 2), b CHECK (b IN (1, ')')))", None),
        ("CREATE TABLE t(a -- one, two\n, b /* ) */ TEXT, UNIQUE(a, b))", ["a", "b /* ) */ TEXT"]),
        ('CREATE TABLE "t(,"("unique" INT, [check] TEXT, `a``b`)', None),
        ("CREATE TABLE t(a, CONSTRAINT c CHECK (a), PRIMARY KEY (a))", ["a"]),
        ("CREATE TABLE t(a", []),
        ("CREATE TABLE t", []),
        ("", []),
    ],
)
def test_declarations(sql, texts):
    found = [one.text for one in declarations(sql)]

    if texts is not None:
        assert found == texts
    else:
        assert len(found) == len(table_of(sql.replace("(1, 2)", "(12)")).columns)


def test_tokens_of_any_text_in_linear_time():
    for text in ("[" * 60_000, "'" * 60_001, '"' * 60_001, "(" * 60_000):
        assert tokens(text, len(text))[-1].end == len(text)
        assert declarations("CREATE TABLE t(" + text) == []


def test_what_generated_columns_come_to():
    sql = (
        "CREATE TABLE t(a, b AS (a + a), c AS (b + b), d AS (c * c) STORED, e AS (f), f AS (e),"
        " g AS (g))"
    )

    terms = expansion(declarations(sql))

    assert {name: terms[name] for name in "bcd"} == {"b": 1, "c": 3, "d": 7}
    assert set(terms) == set("bcdefg")


def test_module_and_arguments():
    sql = 'CREATE VIRTUAL TABLE "a using b" USING "FTS5"(a, tokenize = \'x, y\')'

    assert module_of(sql) == ("fts5", ("a", "tokenize = 'x, y'"))
    assert module_of("CREATE TABLE t(a)") is None
