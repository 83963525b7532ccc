"""SQL of people: it reads or writes one file, within bounds, and reaches nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from meerkat.rows.queries import QueryError, QueryLimits, describe_tables, run_query
from meerkat.rows.values import RawText
from meerkat.rows.wire import Query, Rows

LIMITS = QueryLimits()
COUNT_FOREVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute(
            "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL);"
            "CREATE TABLE kind(code TEXT PRIMARY KEY) WITHOUT ROWID;"
            "CREATE TABLE part(item REFERENCES item(id), no INTEGER);"
            "CREATE VIEW dear AS SELECT name FROM item WHERE price > 1;"
            "CREATE TABLE log(text);"
            "CREATE TRIGGER noted AFTER INSERT ON item"
            " BEGIN INSERT INTO log VALUES (new.name); END;"
            "INSERT INTO item VALUES (1, 'pear', 0.5), (2, 'fig', 2.5), (3, 'quince', NULL);"
        )
    connection.close()
    return path


def query(
    file: Path,
    sql: str,
    params: tuple[object, ...] | dict[str, object] = (),
    *,
    limit: int = 100,
    seconds: float = 20.0,
    write: bool = False,
    limits: QueryLimits = LIMITS,
) -> Rows:
    asked = Query(1, str(file), sql, params, limit, seconds, write)
    return run_query(file, asked, lambda: False, limits)


def test_rows_come_with_columns_and_with_values_as_they_are(file: Path):
    answer = query(
        file, "SELECT id, name, price, x'00ff' AS raw, ?1 AS big FROM item", (2**63 - 1,)
    )

    assert answer.columns == ("id", "name", "price", "raw", "big")
    assert answer.rows[0] == (1, "pear", 0.5, b"\x00\xff", 2**63 - 1)
    assert answer.rows[2][2] is None
    assert not answer.more


def test_columns_are_named_even_if_there_is_no_row(file: Path):
    answer = query(file, "SELECT id, name FROM item WHERE id > :least", {"least": 10})

    assert (answer.columns, answer.rows) == (("id", "name"), ())


@pytest.mark.parametrize("sql", ["", "-- nothing", ";"])
def test_nothing_asked_is_nothing_answered(file: Path, sql: str):
    assert query(file, sql) == Rows((), ())


def test_the_last_statement_with_columns_answers(file: Path):
    assert query(file, "SELECT 1 AS one; SELECT 2 AS two").rows == ((2,),)


def test_an_answer_is_bounded_in_rows_and_bytes(file: Path):
    few = query(file, "SELECT id FROM item ORDER BY id", limit=2)
    small = query(file, "SELECT zeroblob(1000) FROM item", limits=QueryLimits(answer_bytes=1500))

    assert (few.rows, few.more) == (((1,), (2,)), True)
    assert (len(small.rows), small.more) == (2, True)
    assert not query(file, "SELECT id FROM item", limit=3).more


def test_text_that_is_not_utf_8_stays_what_it_is(file: Path):
    answer = query(
        file,
        "SELECT name, CAST(x'ff41' AS TEXT) AS odd, x'ff' AS raw, ?1 AS given, name AS name "
        "FROM item WHERE id = 1; ",
        (7,),
    )

    assert answer.columns == ("name", "odd", "raw", "given", "name")
    assert answer.rows == (("pear", RawText(b"\xffA"), b"\xff", 7, "pear"),)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO item(name) VALUES ('kiwi')",
        "UPDATE item SET name = 'x'",
        "DELETE FROM item",
        "WITH x AS (SELECT 1) DELETE FROM item",
        "CREATE TABLE t(a)",
        "CREATE TEMP TABLE t(a)",
        "DROP TABLE item",
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "REINDEX",
        "ANALYZE",
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = WAL",
        "PRAGMA wal_checkpoint",
        "PRAGMA incremental_vacuum",
    ],
)
def test_a_reader_changes_nothing(file: Path, sql: str):
    before = file.read_bytes()

    with pytest.raises(QueryError):
        query(file, sql)

    assert file.read_bytes() == before


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{other}' AS other",
        "VACUUM INTO '{other}'",
        "VACUUM",
        "SELECT load_extension('{other}')",
        "SELECT writefile('{other}', 'x')",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA soft_heap_limit = 1",
        "PRAGMA writable_schema = ON",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA wal_autocheckpoint = 1",
        "COMMIT",
        "DELETE FROM sqlite_schema",
    ],
)
def test_nobody_reaches_beyond_the_file(tmp_path: Path, file: Path, sql: str, write: bool):
    with pytest.raises(QueryError):
        query(file, sql.format(other=tmp_path / "other"), write=write)

    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA table_info(item)",
        "PRAGMA foreign_key_list(part)",
        "PRAGMA user_version",
        "PRAGMA integrity_check",
        "SELECT * FROM pragma_table_list",
        "SELECT sql FROM sqlite_schema",
        "EXPLAIN QUERY PLAN SELECT * FROM item ORDER BY name",
        "SELECT json_group_array(name), count(*) OVER () FROM item",
    ],
)
def test_a_reader_may_ask_what_there_is(file: Path, sql: str):
    assert query(file, sql).rows


def test_statements_that_write_are_one_transaction(file: Path):
    answer = query(
        file,
        "INSERT INTO item(name) VALUES (:name) RETURNING id; UPDATE item SET price = 1",
        {"name": "kiwi"},
        write=True,
    )

    assert (answer.columns, answer.rows) == (("id",), ((4,),))
    assert answer.changed == 1 + 1 + 4  # the row, what the trigger noted, every price
    assert query(file, "SELECT count(*) FROM log").rows == ((4,),)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE item SET price = 9; INSERT INTO item(name) VALUES (NULL)", "NOT NULL"),
        ("UPDATE item SET price = 9; INSERT INTO part VALUES (77, 1)", "FOREIGN KEY"),
        ("UPDATE item SET price = 9; no such thing", "syntax"),
        ("UPDATE item SET price = 9; CREATE TABLE meerkat_x(a)", "not authorized"),
    ],
)
def test_a_write_that_fails_leaves_nothing_behind(file: Path, sql: str, why: str):
    with pytest.raises(QueryError, match=why):
        query(file, sql, write=True)

    assert query(file, "SELECT price FROM item WHERE id = 1").rows == ((0.5,),)


def test_the_schema_may_be_written(file: Path):
    query(
        file,
        "ALTER TABLE item ADD COLUMN stock INTEGER; CREATE INDEX by_name ON item(name);"
        "PRAGMA user_version = 3; CREATE VIRTUAL TABLE words USING fts5(text)",
        write=True,
    )

    assert query(file, "PRAGMA user_version").rows == ((3,),)
    assert query(file, "SELECT stock FROM item INDEXED BY by_name WHERE name = 'fig'").rows


@pytest.mark.parametrize("params", [(object(),), (2**63,), (RawText(b"\xff"),), ([1],)])
def test_parameters_are_what_sqlite_holds(file: Path, params: tuple[object, ...]):
    with pytest.raises(QueryError):
        query(file, "SELECT ?", params)


@pytest.mark.parametrize("params", [(), (1, 2), {"other": 1}])
def test_parameters_have_to_fit(file: Path, params: tuple[object, ...] | dict[str, object]):
    with pytest.raises(QueryError):
        query(file, "SELECT :one", params)


@pytest.mark.parametrize("write", [False, True])
def test_what_takes_too_long_is_given_up(file: Path, write: bool):
    with pytest.raises(QueryError, match="longer"):
        query(file, COUNT_FOREVER + "SELECT count(*) FROM n", seconds=0.05, write=write)
    with pytest.raises(QueryError, match="longer"):
        query(file, COUNT_FOREVER + "SELECT x FROM n WHERE x < 0", seconds=0.05, write=write)


def test_a_value_that_is_too_large_is_refused(file: Path):
    with pytest.raises(QueryError, match="too big"):
        query(file, "SELECT zeroblob(1000000000)")


def test_a_query_that_nobody_waits_for_ends(file: Path):
    cancelled = threading.Event()
    asked = Query(1, str(file), COUNT_FOREVER + "SELECT count(*) FROM n", (), 1, 60.0)
    failed: list[QueryError] = []

    def work() -> None:
        try:
            run_query(file, asked, cancelled.is_set, LIMITS)
        except QueryError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    cancelled.set()
    thread.join()

    assert "Nobody waits" in str(failed[0])


def test_a_locked_file_is_waited_for_and_then_given_up(file: Path):
    holder = apsw.Connection(str(file))
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(QueryError, match="Another program"):
            query(file, "SELECT 1 FROM item", seconds=0.05)
        with pytest.raises(QueryError, match="Another program"):
            query(file, "DELETE FROM item", seconds=0.05, write=True)
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_what_is_no_database_says_so(tmp_path: Path):
    with pytest.raises(QueryError):
        query(tmp_path / "missing.db", "SELECT 1")
    (tmp_path / "text.db").write_text("hello " * 500)
    with pytest.raises(QueryError, match="not a database"):
        query(tmp_path / "text.db", "SELECT * FROM sqlite_schema")


def test_tables_and_views_are_described(file: Path):
    tables, mode = describe_tables(file, LIMITS)

    found = {one.name: one for one in tables}
    assert {name: (one.key, one.rows) for name, one in found.items()} == {
        "item": (("id",), 3),
        "kind": (("code",), 0),
        "part": (("rowid",), 0),
        "log": (("rowid",), 3),
        "dear": ((), None),
    }
    assert mode == "delete"
    assert [one.name for one in found["item"].columns] == ["id", "name", "price"]
    assert found["item"].columns[1].not_null
    assert found["dear"].kind == "view"
    assert [one.name for one in found["dear"].columns] == ["name"]


def test_counting_takes_only_so_long(file: Path):
    query(file, "INSERT INTO kind " + COUNT_FOREVER + "SELECT x FROM n LIMIT 20000", write=True)

    tables, _ = describe_tables(file, QueryLimits(counting=0.0))

    assert {one.name: one.rows for one in tables}["kind"] is None
