"""The table of what must work, in both journal modes: each item of the issue's second point.

Alice's program runs a case's SQL, bob's a counter-change that does not meet it; afterwards both
files are equal by type and bytes, and in order. Where a case says so, the result is looked at too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.rows.pool import Pool

MakePool = Callable[..., Pool]


@dataclass(frozen=True)
class Case:
    """``before``: the base; ``alice``, ``bob``: what their programs run apart; then
    ``query`` gives ``result`` on both."""

    name: str
    before: str
    alice: tuple[str, ...]
    bob: tuple[str, ...] = ()
    query: str = ""
    result: list[Any] | None = None
    after: tuple[str, ...] = field(default=())  # alice's, once they are equal


PLAIN = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
    INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
"""
UNIQUE = """
    CREATE TABLE u(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER);
    INSERT INTO u VALUES (1, 'ann', 1), (2, 'ben', 2), (3, 'cat', 3);
"""
WITHOUT = """
    CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    INSERT INTO w VALUES ('a', 1), ('b', 2), ('c', 3);
"""
FAMILY = """
    CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE child(id INTEGER PRIMARY KEY, parent_id INTEGER
        REFERENCES parent(id) ON DELETE CASCADE ON UPDATE CASCADE, name TEXT);
    INSERT INTO parent VALUES (1, 'p1'), (2, 'p2'), (3, 'p3');
    INSERT INTO child VALUES (10, 1, 'c1'), (11, 1, 'c2'), (12, 2, 'c3');
"""
ON = "PRAGMA foreign_keys = ON"

CASES = [
    Case(
        "rowid table",
        PLAIN,
        ("INSERT INTO t VALUES (4, 'four', 4)", "UPDATE t SET a='x' WHERE id=1"),
        ("UPDATE t SET b=99 WHERE id=1", "DELETE FROM t WHERE id=3"),
        "SELECT * FROM t ORDER BY id",
        [(1, "x", 99), (2, "two", 2), (4, "four", 4)],
    ),
    Case(
        "without rowid",
        WITHOUT,
        ("INSERT INTO w VALUES ('d', 4)", "UPDATE w SET v=v+10 WHERE k='a'"),
        ("DELETE FROM w WHERE k='c'", "UPDATE w SET v='b' WHERE k='b'"),
        "SELECT * FROM w",
        [("a", 11), ("b", "b"), ("d", 4)],
    ),
    Case(
        "composite key",
        "CREATE TABLE c(x INTEGER, y TEXT, v, PRIMARY KEY(x, y));"
        "INSERT INTO c VALUES (1, 'a', 'v1'), (1, 'b', 'v2'), (2, 'a', 'v3')",
        ("UPDATE c SET v='A' WHERE x=1 AND y='a'", "INSERT INTO c VALUES (3, 'c', 'new')"),
        ("DELETE FROM c WHERE x=2", "INSERT INTO c VALUES (3, 'd', 'bob')"),
        "SELECT * FROM c ORDER BY x, y",
        [(1, "a", "A"), (1, "b", "v2"), (3, "c", "new"), (3, "d", "bob")],
    ),
    Case(
        "composite key without rowid",
        "CREATE TABLE c(x INTEGER, y TEXT, v, PRIMARY KEY(y, x)) WITHOUT ROWID;"
        "INSERT INTO c VALUES (1, 'a', 'v1'), (1, 'b', 'v2'), (2, 'a', 'v3')",
        ("UPDATE c SET v='A' WHERE x=1 AND y='a'", "INSERT INTO c VALUES (3, 'c', 'new')"),
        ("DELETE FROM c WHERE x=2",),
        "SELECT x, y, v FROM c ORDER BY x, y",
        [(1, "a", "A"), (1, "b", "v2"), (3, "c", "new")],
    ),
    Case(
        "text key",
        "CREATE TABLE k(name TEXT PRIMARY KEY, v); INSERT INTO k VALUES ('a', 1), ('b', 2)",
        ("INSERT INTO k VALUES ('z', 26)", "UPDATE k SET v=0 WHERE name='a'"),
        ("INSERT INTO k VALUES ('y', 25)", "DELETE FROM k WHERE name='b'"),
        "SELECT * FROM k ORDER BY name",
        [("a", 0), ("y", 25), ("z", 26)],
    ),
    Case(
        "one text key inserted apart is one row",
        "CREATE TABLE k(name TEXT PRIMARY KEY, v, w DEFAULT 'd')",
        ("INSERT INTO k(name, v) VALUES ('same', 1)",),
        ("INSERT INTO k(name, v) VALUES ('same', 2)",),
        "SELECT count(*), name FROM k",
        [(1, "same")],
    ),
    Case(
        "no key",
        "CREATE TABLE n(a, b); INSERT INTO n VALUES (1, 1), (1, 1), (2, 2)",
        ("INSERT INTO n VALUES (1, 1)", "UPDATE n SET b='x' WHERE a=2"),
        ("INSERT INTO n VALUES (3, 3)", "DELETE FROM n WHERE rowid=1"),
        "SELECT a, b FROM n ORDER BY a, b",
        [(1, 1), (1, 1), (2, "x"), (3, 3)],
    ),
    Case(
        "no key, equal rows",
        "CREATE TABLE n(a); INSERT INTO n VALUES ('x'), ('x'), ('x')",
        ("DELETE FROM n WHERE rowid=2",),
        ("DELETE FROM n WHERE rowid=3",),
        "SELECT a FROM n",
        [("x",)],
    ),
    Case(
        "NULL in keys",
        "CREATE TABLE k(a, b, v, PRIMARY KEY(a, b));"
        "INSERT INTO k VALUES (NULL, 1, 'x'), (NULL, 1, 'y'), (1, NULL, 'z')",
        ("INSERT INTO k VALUES (NULL, NULL, 'n')", "UPDATE k SET v='Y' WHERE v='y'"),
        ("DELETE FROM k WHERE v='x'", "INSERT INTO k VALUES (NULL, 1, 'b')"),
        "SELECT * FROM k ORDER BY v",
        [(None, 1, "Y"), (None, 1, "b"), (None, None, "n"), (1, None, "z")],
    ),
    Case(
        "NULL in a unique column",
        "CREATE TABLE k(id INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO k VALUES (1, NULL)",
        ("INSERT INTO k VALUES (2, NULL), (3, 3)",),
        ("UPDATE k SET a=1 WHERE id=1",),
        "SELECT * FROM k ORDER BY id",
        [(1, 1), (2, None), (3, 3)],
    ),
    Case(
        "update of an integer key",
        PLAIN,
        ("UPDATE t SET id=10 WHERE id=1",),
        ("UPDATE t SET b='bob' WHERE id=1",),
        "SELECT * FROM t ORDER BY id",
        [(2, "two", 2), (3, "three", 3), (10, "one", "bob")],
    ),
    Case(
        "keys swapped",
        PLAIN,
        (
            "BEGIN; UPDATE t SET id=-1 WHERE id=1; UPDATE t SET id=1 WHERE id=2;"
            "UPDATE t SET id=2 WHERE id=-1; COMMIT",
        ),
        ("UPDATE t SET b='bob' WHERE id=3",),
        "SELECT * FROM t ORDER BY id",
        [(1, "two", 2), (2, "one", 1), (3, "three", "bob")],
    ),
    Case(
        "update of a text key",
        WITHOUT,
        ("UPDATE w SET k='z' WHERE k='a'",),
        ("UPDATE w SET v='bob' WHERE k='b'",),
        "SELECT * FROM w",
        [("b", "bob"), ("c", 3), ("z", 1)],
    ),
    Case(
        "update of all keys",
        PLAIN,
        ("UPDATE t SET id=id+100",),
        ("INSERT INTO t VALUES (50, 'bob', 50)",),
        "SELECT id FROM t ORDER BY id",
        [(50,), (101,), (102,), (103,)],
    ),
    Case(
        "REPLACE by the key",
        UNIQUE,
        ("REPLACE INTO u VALUES (1, 'new', 100)",),
        ("UPDATE u SET n=33 WHERE id=3",),
        "SELECT * FROM u ORDER BY id",
        [(1, "new", 100), (2, "ben", 2), (3, "cat", 33)],
    ),
    Case(
        "REPLACE that removes another row by UNIQUE",
        UNIQUE,
        ("REPLACE INTO u VALUES (9, 'ann', 100)",),
        ("UPDATE u SET n=33 WHERE id=3",),
        "SELECT * FROM u ORDER BY id",
        [(2, "ben", 2), (3, "cat", 33), (9, "ann", 100)],
    ),
    Case(
        "UPDATE OR REPLACE that removes another row",
        UNIQUE,
        ("UPDATE OR REPLACE u SET name='ann' WHERE id=2",),
        ("UPDATE u SET n=33 WHERE id=3",),
        "SELECT * FROM u ORDER BY id",
        [(2, "ann", 2), (3, "cat", 33)],
    ),
    Case(
        "UPSERT",
        UNIQUE,
        (
            "INSERT INTO u(name, n) VALUES ('ann', 7) ON CONFLICT(name) DO UPDATE SET n=n+7",
            "INSERT INTO u(name, n) VALUES ('dan', 7) ON CONFLICT(name) DO NOTHING",
        ),
        ("UPDATE u SET n=33 WHERE id=3",),
        "SELECT * FROM u ORDER BY id",
        [(1, "ann", 8), (2, "ben", 2), (3, "cat", 33), (4, "dan", 7)],
    ),
    Case(
        "unique values rotated",
        UNIQUE,
        (
            "BEGIN; UPDATE u SET name='-' WHERE id=1; UPDATE u SET name='ann' WHERE id=2;"
            "UPDATE u SET name='ben' WHERE id=3; UPDATE u SET name='cat' WHERE id=1; COMMIT",
        ),
        ("UPDATE u SET n=n*10",),
        "SELECT * FROM u ORDER BY id",
        [(1, "cat", 10), (2, "ann", 20), (3, "ben", 30)],
    ),
    Case(
        "foreign keys: delete cascades",
        FAMILY,
        (ON, "DELETE FROM parent WHERE id=1"),
        ("UPDATE child SET name='bob' WHERE id=12",),
        "SELECT * FROM child",
        [(12, 2, "bob")],
    ),
    Case(
        "foreign keys: update cascades",
        FAMILY,
        (ON, "UPDATE parent SET id=100 WHERE id=1"),
        ("UPDATE child SET name='bob' WHERE id=11",),
        "SELECT * FROM child ORDER BY id",
        [(10, 100, "c1"), (11, 100, "bob"), (12, 2, "c3")],
    ),
    Case(
        "foreign keys: new parent and child",
        FAMILY,
        (ON, "INSERT INTO parent VALUES (NULL, 'pa')", "INSERT INTO child VALUES (NULL, 4, 'ca')"),
        (ON, "INSERT INTO parent VALUES (NULL, 'pb')", "INSERT INTO child VALUES (NULL, 4, 'cb')"),
        "SELECT p.name, c.name FROM child c JOIN parent p ON p.id=c.parent_id"
        " WHERE c.name IN ('ca', 'cb') ORDER BY 1",
        [("pa", "ca"), ("pb", "cb")],
    ),
    Case(
        "set null and self reference",
        "CREATE TABLE node(id INTEGER PRIMARY KEY, up INTEGER REFERENCES node(id)"
        " ON DELETE SET NULL, v); INSERT INTO node VALUES (1, NULL, 'r'), (2, 1, 'a'), (3, 2, 'b')",
        (ON, "DELETE FROM node WHERE id=2"),
        ("INSERT INTO node VALUES (4, 1, 'bob')",),
        "SELECT * FROM node ORDER BY id",
        [(1, None, "r"), (3, None, "b"), (4, 1, "bob")],
    ),
    Case(
        "CHECK",
        "CREATE TABLE k(id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0), m INTEGER NOT NULL);"
        "INSERT INTO k VALUES (1, 1, 1)",
        ("UPDATE k SET n=5", "INSERT INTO k VALUES (2, 2, 2)"),
        ("UPDATE k SET m=7",),
        "SELECT * FROM k ORDER BY id",
        [(1, 5, 7), (2, 2, 2)],
    ),
    Case(
        "generated columns",
        "CREATE TABLE g(id INTEGER PRIMARY KEY, a, b AS (a * 2), c AS (a || '!') STORED);"
        "CREATE INDEX gb ON g(b); INSERT INTO g(id, a) VALUES (1, 1), (2, 2)",
        ("INSERT INTO g(id, a) VALUES (3, 3)", "UPDATE g SET a=10 WHERE id=1"),
        ("DELETE FROM g WHERE id=2",),
        "SELECT * FROM g ORDER BY id",
        [(1, 10, 20, "10!"), (3, 3, 6, "3!")],
    ),
    Case(
        "user triggers",
        """CREATE TABLE t(id INTEGER PRIMARY KEY, a);
        CREATE TABLE log(id INTEGER PRIMARY KEY, what);
        CREATE TRIGGER ai AFTER INSERT ON t BEGIN INSERT INTO log(what) VALUES ('+' || new.a); END;
        CREATE TRIGGER ad AFTER DELETE ON t BEGIN INSERT INTO log(what) VALUES ('-' || old.a); END;
        INSERT INTO t VALUES (1, 'one')""",
        ("INSERT INTO t VALUES (2, 'two')",),
        ("DELETE FROM t WHERE id=1",),
        "SELECT what FROM log ORDER BY what",
        [("+one",), ("+two",), ("-one",)],
    ),
    Case(
        "views with triggers",
        PLAIN
        + "CREATE VIEW v AS SELECT id, a FROM t;"
        + "CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN"
        + " INSERT INTO t(id, a) VALUES (new.id, 'v' || new.a); END",
        ("INSERT INTO v VALUES (7, 'x')",),
        ("UPDATE t SET a='bob' WHERE id=2",),
        "SELECT id, a FROM v ORDER BY id",
        [(1, "one"), (2, "bob"), (3, "three"), (7, "vx")],
    ),
    Case(
        "FTS5",
        "CREATE VIRTUAL TABLE f USING fts5(title, body);"
        "INSERT INTO f VALUES ('one', 'apples and pears'), ('two', 'bananas')",
        ("INSERT INTO f VALUES ('three', 'cherries')",),
        ("UPDATE f SET body='blueberries' WHERE title='two'",),
        "SELECT title FROM f WHERE f MATCH 'cherries OR blueberries' ORDER BY title",
        [("three",), ("two",)],
    ),
    Case(
        "FTS5 over a table",
        """CREATE TABLE d(id INTEGER PRIMARY KEY, body);
        CREATE VIRTUAL TABLE f USING fts5(body, content='d', content_rowid='id');
        CREATE TRIGGER di AFTER INSERT ON d BEGIN
            INSERT INTO f(rowid, body) VALUES (new.id, new.body); END;
        CREATE TRIGGER dd AFTER DELETE ON d BEGIN
            INSERT INTO f(f, rowid, body) VALUES ('delete', old.id, old.body); END;
        CREATE TRIGGER du AFTER UPDATE ON d BEGIN
            INSERT INTO f(f, rowid, body) VALUES ('delete', old.id, old.body);
            INSERT INTO f(rowid, body) VALUES (new.id, new.body); END;
        INSERT INTO d VALUES (1, 'apples'), (2, 'bananas'), (3, 'grapes')""",
        ("INSERT INTO d VALUES (4, 'cherries')", "DELETE FROM d WHERE id=3"),
        ("UPDATE d SET body='blueberries' WHERE id=2",),
        "SELECT rowid FROM f WHERE f MATCH 'cherries OR blueberries OR bananas OR grapes'"
        " ORDER BY rowid",
        [(2,), (4,)],
    ),
    Case(
        "FTS4 over a table",
        """CREATE TABLE d(id INTEGER PRIMARY KEY, body);
        CREATE VIRTUAL TABLE f USING fts4(body, content='d');
        CREATE TRIGGER du BEFORE UPDATE ON d BEGIN DELETE FROM f WHERE docid=old.id; END;
        CREATE TRIGGER dd BEFORE DELETE ON d BEGIN DELETE FROM f WHERE docid=old.id; END;
        CREATE TRIGGER au AFTER UPDATE ON d BEGIN
            INSERT INTO f(docid, body) VALUES (new.id, new.body); END;
        CREATE TRIGGER ai AFTER INSERT ON d BEGIN
            INSERT INTO f(docid, body) VALUES (new.id, new.body); END;
        INSERT INTO d VALUES (1, 'apples'), (2, 'bananas'), (3, 'grapes')""",
        ("INSERT INTO d VALUES (4, 'cherries')", "DELETE FROM d WHERE id=3"),
        ("UPDATE d SET body='blueberries' WHERE id=2",),
        "SELECT docid FROM f WHERE f MATCH 'cherries OR blueberries OR bananas OR grapes'"
        " ORDER BY docid",
        [(2,), (4,)],
    ),
    Case(
        "FTS5 over a generated column",
        """CREATE TABLE d(id INTEGER PRIMARY KEY, body, low AS (lower(body)));
        CREATE VIRTUAL TABLE f USING fts5(low, content='d', content_rowid='id');
        CREATE TRIGGER di AFTER INSERT ON d BEGIN
            INSERT INTO f(rowid, low) VALUES (new.id, new.low); END;
        INSERT INTO d(id, body) VALUES (1, 'Apples')""",
        ("INSERT INTO d(id, body) VALUES (4, 'Cherries')",),
        (),
        "SELECT rowid FROM f WHERE f MATCH 'cherries OR apples' ORDER BY rowid",
        [(1,), (4,)],
    ),
    Case(
        "FTS5 without content is each member's own",
        PLAIN + "CREATE VIRTUAL TABLE f USING fts5(x, content='');"
        "CREATE TABLE tags(id INTEGER PRIMARY KEY, x)",
        ("INSERT INTO tags VALUES (1, 'apples')",),
        ("UPDATE t SET a='bob' WHERE id=2",),
        "SELECT x FROM tags",
        [("apples",)],
    ),
    Case(
        "R*Tree",
        "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 0, 1), (2, 2, 3)",
        ("INSERT INTO r VALUES (3, 4, 5)",),
        ("UPDATE r SET x1=9 WHERE id=2",),
        "SELECT id, x0, x1 FROM r ORDER BY id",
        [(1, 0.0, 1.0), (2, 2.0, 9.0), (3, 4.0, 5.0)],
    ),
    Case(
        "blobs and overflow pages",
        "CREATE TABLE b(id INTEGER PRIMARY KEY, x BLOB, y TEXT);"
        "INSERT INTO b VALUES (1, zeroblob(50000), 'a'), (2, x'00ff', 'b')",
        (
            "INSERT INTO b VALUES (3, randomblob(30000), hex(zeroblob(9000)))",
            "UPDATE b SET x=randomblob(60000) WHERE id=1",
        ),
        ("UPDATE b SET y='bob' WHERE id=1", "UPDATE b SET x=zeroblob(20000) WHERE id=2"),
        "SELECT id, length(x), substr(y, 1, 3) FROM b ORDER BY id",
        [(1, 60000, "bob"), (2, 20000, "b"), (3, 30000, "000")],
    ),
    Case(
        "one byte deep in an overflow page",
        "CREATE TABLE b(id INTEGER PRIMARY KEY, x BLOB);"
        "INSERT INTO b VALUES (1, zeroblob(100000)), (2, x'01')",
        (
            "UPDATE b SET x=CAST(substr(x, 1, 70000) || x'01' || substr(x, 70002) AS BLOB)"
            " WHERE id=1",
        ),
        ("UPDATE b SET x=x'02' WHERE id=2",),
        "SELECT id, length(x), hex(substr(x, 70000, 3)) FROM b ORDER BY id",
        [(1, 100000, "000100"), (2, 1, "")],
    ),
    Case(
        "type-only changes",
        "CREATE TABLE y(id INTEGER PRIMARY KEY, v);"
        "INSERT INTO y VALUES (1, 1), (2, 1), (3, '1'), (4, x'31'), (5, 0.0)",
        (
            "UPDATE y SET v=1.0 WHERE id=1",
            "UPDATE y SET v='1' WHERE id=2",
            "UPDATE y SET v=x'31' WHERE id=3",
            "UPDATE y SET v='1' WHERE id=4",
        ),
        ("INSERT INTO y VALUES (6, NULL)",),
        "SELECT id, typeof(v) FROM y ORDER BY id",
        [(1, "real"), (2, "text"), (3, "blob"), (4, "text"), (5, "real"), (6, "null")],
    ),
    Case(
        "collations",
        "CREATE TABLE n(name TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;"
        "CREATE TABLE m(id INTEGER PRIMARY KEY, s TEXT UNIQUE COLLATE RTRIM);"
        "INSERT INTO n VALUES ('Ann', 1), ('Ben', 2); INSERT INTO m VALUES (1, 'x'), (2, 'y')",
        ("UPDATE n SET name='ANN' WHERE name='ann'", "UPDATE m SET s='x  ' WHERE id=1"),
        ("UPDATE n SET v=22 WHERE name='ben'",),
        "SELECT name, v FROM n",
        [("ANN", 1), ("Ben", 22)],
    ),
    Case(
        "strict tables",
        "CREATE TABLE s(id INTEGER PRIMARY KEY, i INT, t TEXT, a ANY) STRICT;"
        "INSERT INTO s VALUES (1, 1, 'x', '1')",
        ("UPDATE s SET a=1", "INSERT INTO s VALUES (2, NULL, NULL, x'00')"),
        ("UPDATE s SET t='bob'",),
        "SELECT id, i, t, a FROM s ORDER BY id",
        [(1, 1, "bob", 1), (2, None, None, b"\x00")],
    ),
    Case(
        "text that is not UTF-8",
        "CREATE TABLE x(id INTEGER PRIMARY KEY, v);INSERT INTO x VALUES (1, CAST(x'ff41' AS TEXT))",
        ("INSERT INTO x VALUES (2, CAST(x'fe' AS TEXT))",),
        ("UPDATE x SET v=CAST(x'c3' AS TEXT) WHERE id=1",),
        "SELECT id, typeof(v), hex(v) FROM x ORDER BY id",
        [(1, "text", "C3"), (2, "text", "FE")],
    ),
    Case(
        "text with NUL",
        "CREATE TABLE x(id INTEGER PRIMARY KEY, v); INSERT INTO x VALUES (1, 'a')",
        ("UPDATE x SET v='a' || char(0) || 'b'",),
        (),
        "SELECT length(CAST(v AS BLOB)) FROM x",
        [(3,)],
    ),
    Case(
        "extreme numbers",
        "CREATE TABLE x(id INTEGER PRIMARY KEY, v)",
        (
            "INSERT INTO x VALUES (1, 9223372036854775807), (2, -9223372036854775808),"
            " (3, 1e308 * 10), (4, -1e308 * 10), (5, 5e-324), (6, 0.1), (-5, 'neg'),"
            " (9223372036854775807, 'max')",
        ),
        (),
        "SELECT count(*) FROM x",
        [(8,)],
    ),
    Case(
        "auto-vacuum",
        "PRAGMA auto_vacuum = FULL;" + PLAIN + "CREATE TABLE big(x);"
        "INSERT INTO big SELECT zeroblob(3000) FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12]')",
        ("DELETE FROM big WHERE rowid < 7", "UPDATE t SET a='x' WHERE id=1"),
        ("UPDATE t SET b='bob' WHERE id=2",),
        "SELECT count(*), (SELECT count(*) FROM big) FROM t",
        [(3, 6)],
    ),
    Case(
        "VACUUM",
        PLAIN
        + "CREATE TABLE n(a); INSERT INTO n VALUES (1), (2), (3), (4); DELETE FROM n WHERE a=2",
        ("VACUUM", "UPDATE t SET a='x' WHERE id=1"),
        ("UPDATE t SET b='bob' WHERE id=2", "UPDATE n SET a=44 WHERE a=4"),
        "SELECT a FROM n ORDER BY a",
        [(1,), (3,), (44,)],
    ),
    Case(
        "page size",
        PLAIN,
        (
            "PRAGMA journal_mode = DELETE",
            "PRAGMA page_size = 1024",
            "VACUUM",
            "UPDATE t SET a='x' WHERE id=1",
        ),
        ("UPDATE t SET b='bob' WHERE id=2",),
        "SELECT * FROM t ORDER BY id",
        [(1, "x", 1), (2, "two", "bob"), (3, "three", 3)],
    ),
    Case(
        "user_version and application_id",
        PLAIN,
        ("PRAGMA user_version = 7",),
        ("PRAGMA application_id = 1234", "UPDATE t SET b='bob' WHERE id=2"),
        "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id",
        [(7, 1234)],
    ),
    Case(
        "journal mode changed",
        PLAIN,
        ("PRAGMA journal_mode = TRUNCATE", "UPDATE t SET a='x' WHERE id=1"),
        ("PRAGMA journal_mode = WAL", "UPDATE t SET b='bob' WHERE id=2"),
        "SELECT * FROM t ORDER BY id",
        [(1, "x", 1), (2, "two", "bob"), (3, "three", 3)],
    ),
    Case(
        "autoincrement",
        "CREATE TABLE i(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO i(v) VALUES ('a')",
        ("INSERT INTO i(v) VALUES ('alice')",),
        ("INSERT INTO i(v) VALUES ('bob')",),
        "SELECT count(*), count(DISTINCT v), max(id) FROM i",
        [(3, 3, 3)],
    ),
    Case(
        "ids given apart",
        PLAIN,
        ("INSERT INTO t(a) VALUES ('alice')",),
        ("INSERT INTO t(a) VALUES ('bob')",),
        "SELECT count(*), count(DISTINCT a) FROM t",
        [(5, 5)],
    ),
    Case(
        "many rows",
        "CREATE TABLE m(id INTEGER PRIMARY KEY, v TEXT, n REAL); CREATE INDEX mv ON m(v)",
        (
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<3000)"
            " INSERT INTO m SELECT i, 'row ' || i, i / 3.0 FROM c",
            "DELETE FROM m WHERE id % 7 = 0",
        ),
        ("INSERT INTO m VALUES (100000, 'bob', 1)",),
        "SELECT count(*) FROM m",
        [(2573,)],
    ),
    Case(
        "names that need quotes",
        'CREATE TABLE "a ""b"" [c]"("select" INTEGER PRIMARY KEY, "x y", "é\'");'
        'INSERT INTO "a ""b"" [c]" VALUES (1, 2, 3)',
        ('UPDATE "a ""b"" [c]" SET "x y"=22', 'INSERT INTO "a ""b"" [c]" VALUES (2, 3, 4)'),
        ('UPDATE "a ""b"" [c]" SET "é\'"=33',),
        'SELECT * FROM "a ""b"" [c]"',
        [(1, 22, 33), (2, 3, 4)],
    ),
    Case(
        "a column called rowid",
        "CREATE TABLE r(rowid TEXT, v); INSERT INTO r VALUES ('x', 1), ('y', 2)",
        ("UPDATE r SET v=11 WHERE rowid='x'", "INSERT INTO r VALUES ('z', 3)"),
        ("DELETE FROM r WHERE rowid='y'",),
        "SELECT * FROM r ORDER BY v",
        [("z", 3), ("x", 11)],
    ),
    Case(
        "an index on an expression, partly",
        "CREATE TABLE e(id INTEGER PRIMARY KEY, s TEXT, live INT);"
        "CREATE UNIQUE INDEX es ON e(lower(s)) WHERE live; INSERT INTO e VALUES (1, 'A', 1)",
        ("INSERT INTO e VALUES (2, 'a', 0)", "UPDATE e SET s='B' WHERE id=1"),
        ("INSERT INTO e VALUES (3, 'c', 1)",),
        "SELECT * FROM e ORDER BY id",
        [(1, "B", 1), (2, "a", 0), (3, "c", 1)],
    ),
]

SCHEMA_CASES = [
    Case(
        "create table",
        PLAIN,
        ("CREATE TABLE new(id INTEGER PRIMARY KEY, v)", "INSERT INTO new VALUES (1, 'x')"),
        ("CREATE TABLE other(k TEXT PRIMARY KEY)", "INSERT INTO other VALUES ('y')"),
        "SELECT new.v, other.k FROM new, other",
        [("x", "y")],
        ("UPDATE new SET v='again'",),
    ),
    Case(
        "drop table",
        PLAIN + UNIQUE,
        ("DROP TABLE t",),
        ("UPDATE u SET n=9",),
        "SELECT name FROM sqlite_schema WHERE type='table'",
        [("u",)],
    ),
    Case(
        "rename table",
        PLAIN,
        ("ALTER TABLE t RENAME TO tt",),
        ("UPDATE t SET b='bob' WHERE id=1", "INSERT INTO t VALUES (4, 'four', 4)"),
        "SELECT * FROM tt ORDER BY id",
        [(1, "one", "bob"), (2, "two", 2), (3, "three", 3), (4, "four", 4)],
        ("UPDATE tt SET a='again' WHERE id=2",),
    ),
    Case(
        "add column",
        PLAIN,
        ("ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'd'", "UPDATE t SET c='x' WHERE id=1"),
        ("UPDATE t SET b='bob' WHERE id=1", "INSERT INTO t VALUES (4, 'four', 4)"),
        "SELECT * FROM t ORDER BY id",
        [(1, "one", "bob", "x"), (2, "two", 2, "d"), (3, "three", 3, "d"), (4, "four", 4, "d")],
        ("UPDATE t SET c='again' WHERE id=2",),
    ),
    Case(
        "columns added apart",
        PLAIN,
        ("ALTER TABLE t ADD COLUMN c", "UPDATE t SET c='alice'"),
        ("ALTER TABLE t ADD COLUMN d", "UPDATE t SET d='bob'"),
        "SELECT DISTINCT c, d FROM t",
        [("alice", "bob")],
    ),
    Case(
        "rename column",
        PLAIN + "CREATE INDEX ta ON t(a)",
        ("ALTER TABLE t RENAME COLUMN a TO aa",),
        ("UPDATE t SET a='bob' WHERE id=1",),
        "SELECT aa FROM t ORDER BY id",
        [("bob",), ("two",), ("three",)],
    ),
    Case(
        "drop column",
        PLAIN,
        ("ALTER TABLE t DROP COLUMN a",),
        ("UPDATE t SET b='bob' WHERE id=1",),
        "SELECT * FROM t ORDER BY id",
        [(1, "bob"), (2, 2), (3, 3)],
    ),
    Case(
        "index, view, trigger",
        PLAIN,
        (
            "CREATE INDEX ta ON t(a)",
            "CREATE VIEW v AS SELECT a FROM t",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET b='g' WHERE id=new.id; END",
        ),
        ("CREATE UNIQUE INDEX tb ON t(b)", "UPDATE t SET b='bob' WHERE id=1"),
        "SELECT count(*) FROM sqlite_schema",
        [(5,)],
        ("DROP INDEX ta", "DROP VIEW v", "DROP TRIGGER g"),
    ),
    Case(
        "a rebuild as Django does it",
        PLAIN + "CREATE INDEX ta ON t(a)",
        (
            'BEGIN; CREATE TABLE "new__t" ("id" integer NOT NULL PRIMARY KEY, "a" text NULL,'
            ' "b" integer NOT NULL DEFAULT 0, "c" text NULL);'
            ' INSERT INTO "new__t" ("id", "a", "b") SELECT "id", "a", "b" FROM "t";'
            ' DROP TABLE "t"; ALTER TABLE "new__t" RENAME TO "t";'
            ' CREATE INDEX "ta" ON "t" ("a"); COMMIT',
        ),
        ("UPDATE t SET a='bob' WHERE id=1", "INSERT INTO t VALUES (4, 'four', 4)"),
        "SELECT id, a, b, c FROM t ORDER BY id",
        [(1, "bob", 1, None), (2, "two", 2, None), (3, "three", 3, None), (4, "four", 4, None)],
        ("UPDATE t SET c='again' WHERE id=2",),
    ),
    Case(
        "create, fill and drop in one look",
        PLAIN,
        ("CREATE TABLE x(a); INSERT INTO x VALUES (1); DROP TABLE x", "UPDATE t SET a='x'"),
        (),
        "SELECT DISTINCT a FROM t",
        [("x",)],
    ),
    Case(
        "full-text table created",
        PLAIN,
        ("CREATE VIRTUAL TABLE f USING fts5(x)", "INSERT INTO f VALUES ('apples')"),
        ("UPDATE t SET b='bob' WHERE id=1",),
        "SELECT x FROM f WHERE f MATCH 'apples'",
        [("apples",)],
    ),
]


def _id(case: Case) -> str:
    return case.name.replace(" ", "-")


def _play(make_pool: MakePool, case: Case, journal: str) -> None:
    pool = make_pool(case.before, journal=journal)
    alice, bob = pool.members
    for member in pool.members:
        member.database.close_idle(member.clock + 10)  # they would keep the journal mode as it is
    alice.run(*case.alice)
    if case.bob:
        bob.run(*case.bob)
    found = pool.assert_equal()
    if case.result is not None:
        for member in pool.members:
            assert member.rows(case.query) == case.result, (member.name, found)
    if case.name.startswith("FTS5 over"):
        for member in pool.members:  # raises if the index is not that of the text
            member.write("INSERT INTO f(f, rank) VALUES ('integrity-check', 1)")
    if case.after:
        alice.run(*case.after)
        pool.assert_equal()
    # Nobody has anything more to say: what was applied is not captured again.
    counts = [len(member.sent) for member in pool.members]
    pool.sync()
    assert [len(member.sent) for member in pool.members] == counts
    # And with everything read again from the disk.
    for member in pool.members:
        member.restart()
    pool.assert_equal()
    assert [len(member.sent) for member in pool.members] == counts


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("case", CASES, ids=_id)
def test_rows_arrive(make_pool: MakePool, case: Case, journal: str) -> None:
    _play(make_pool, case, journal)


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("case", SCHEMA_CASES, ids=_id)
def test_schema_changes_arrive(make_pool: MakePool, case: Case, journal: str) -> None:
    _play(make_pool, case, journal)


@pytest.mark.parametrize("journal", ["truncate", "persist"])
@pytest.mark.parametrize("case", CASES[:4], ids=_id)
def test_other_rollback_modes(make_pool: MakePool, case: Case, journal: str) -> None:
    _play(make_pool, case, journal)


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_a_newcomer_gets_the_same(make_pool: MakePool, case: Case) -> None:
    """The base, and everything since, merged before there is a file."""
    pool = make_pool(case.before, count=3)
    alice, bob, charlie = pool.members
    charlie.offline = True
    alice.database.close_idle(alice.clock + 10)
    bob.database.close_idle(bob.clock + 10)
    alice.run(*case.alice)
    if case.bob:
        bob.run(*case.bob)
    pool.sync()
    charlie.database.detach(True)
    for part in ("", "-wal", "-shm"):
        (charlie.path.parent / f"{charlie.path.name}{part}").unlink(missing_ok=True)
    charlie.offline = False
    pool.sync()
    charlie.place_export()
    charlie.attach()
    pool.assert_equal()
    charlie.database.detach(True)  # then it is compared wholly
    charlie.attach()
    pool.assert_equal()
    assert not charlie.sent


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_writer_that_holds_the_lock_long(make_pool: MakePool, journal: str) -> None:
    pool = make_pool(PLAIN, journal=journal)
    alice, bob = pool.members
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    with alice.program() as program:
        program.execute("BEGIN IMMEDIATE")
        program.execute("UPDATE t SET b='alice' WHERE id=1")
        alice.database.apply(bob.sent[0].entries)
        alice.handed[bob.author] = 1
        assert alice.database.look()
        alice.clock += 6
        assert alice.database.look()
        assert "another program" in alice.database.problem
        program.execute("COMMIT")
    pool.assert_equal()
    assert alice.database.problem == ""
    assert bob.rows("SELECT * FROM t WHERE id=1") == [(1, "bob", "alice")]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_reader_that_takes_long(make_pool: MakePool, journal: str) -> None:
    """In rollback mode it keeps us from writing; what was merged is not half done then."""
    pool = make_pool(PLAIN, journal=journal)
    alice, bob = pool.members
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    with alice.program() as program:
        program.execute("BEGIN")
        program.execute("SELECT * FROM t").fetchall()
        alice.database.apply(bob.sent[0].entries)
        alice.handed[bob.author] = 1
        busy = alice.database.look()
        assert busy == (journal == "delete")
        assert program.execute("SELECT a FROM t WHERE id=1").get == "one"
        program.execute("COMMIT")
    pool.assert_equal()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_program_that_stops_in_mid_transaction(make_pool: MakePool, journal: str) -> None:
    pool = make_pool(PLAIN, journal=journal)
    alice, bob = pool.members
    with alice.program() as program:
        program.execute("BEGIN IMMEDIATE")
        program.execute("UPDATE t SET b='never'")
        bob.run("UPDATE t SET a='bob' WHERE id=1")
        alice.database.apply(bob.sent[0].entries)
        alice.handed[bob.author] = 1
    pool.assert_equal()
    assert alice.rows("SELECT a, b FROM t WHERE id=1") == [("bob", 1)]


def test_a_journal_that_a_crashed_program_left(make_pool: MakePool) -> None:
    """SQLite puts the file in order when it is opened; what never was is not captured."""
    pool = make_pool(PLAIN, journal="delete")
    alice, bob = pool.members
    alice.database.close_idle(alice.clock + 10)
    with alice.program() as program:
        program.pragma("cache_size", 1)
        program.execute("BEGIN IMMEDIATE")
        program.execute("UPDATE t SET b='never'")
        program.execute("CREATE TABLE never(x)")
        program.execute("INSERT INTO never VALUES (zeroblob(200000))")
        program.cache_flush()
        half, journal = alice.path.read_bytes(), Path(f"{alice.path}-journal").read_bytes()
        program.execute("ROLLBACK")
    assert half != alice.path.read_bytes()
    alice.path.write_bytes(half)
    Path(f"{alice.path}-journal").write_bytes(journal)
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    pool.assert_equal()
    assert alice.rows("SELECT a, b FROM t WHERE id=1") == [("bob", 1)]
    assert not alice.sent


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_exclusive_locking_mode(make_pool: MakePool, journal: str) -> None:
    pool = make_pool(PLAIN, journal=journal)
    alice, bob = pool.members
    alice.database.close_idle(alice.clock + 10)
    with alice.program() as program:
        program.pragma("locking_mode", "exclusive")
        program.execute("UPDATE t SET a='alice' WHERE id=1")
        assert alice.database.look()
        bob.run("UPDATE t SET b='bob' WHERE id=1")
        alice.database.apply(bob.sent[0].entries)
        alice.handed[bob.author] = 1
    pool.assert_equal()
    assert alice.rows("SELECT a, b FROM t WHERE id=1") == [("alice", "bob")]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_idle_handles_are_closed(make_pool: MakePool, journal: str) -> None:
    """They would keep a program from changing the journal mode."""
    alice = make_pool(PLAIN, journal=journal)[0]
    alice.run("UPDATE t SET a='x'")
    assert not alice.database.is_resting
    alice.database.close_idle(alice.clock + 1)
    assert not alice.database.is_resting
    alice.database.close_idle(alice.clock + 2)
    assert alice.database.is_resting
    other = "wal" if journal == "delete" else "delete"
    with alice.program() as program:
        assert program.pragma("journal_mode", other) == other


def _rewrite(target: str, statements: str) -> None:
    connection = apsw.Connection(target)
    connection.execute(statements).fetchall()
    connection.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("idle", [True, False], ids=["closed", "open"])
def test_replaced_by_rename(make_pool: MakePool, journal: str, idle: bool) -> None:
    pool = make_pool(PLAIN, journal=journal)
    alice, bob = pool.members
    alice.run("UPDATE t SET b='before' WHERE id=3")
    bob.run("UPDATE t SET b='bob' WHERE id=2")
    new = alice.folder / "new.db"
    with alice.program() as program:
        program.execute("VACUUM INTO ?", (str(new),))
    _rewrite(str(new), "UPDATE t SET a='new' WHERE id=1; INSERT INTO t VALUES (9, 'n', 9)")
    if idle:
        alice.database.close_idle(alice.clock + 10)
    new.rename(alice.path)
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t ORDER BY id") == [
        (1, "new", 1),
        (2, "two", "bob"),
        (3, "three", "before"),
        (9, "n", 9),
    ]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("idle", [True, False], ids=["closed", "open"])
def test_overwritten_in_place(make_pool: MakePool, journal: str, idle: bool) -> None:
    """As `cp` does it, with no lock held."""
    pool = make_pool(PLAIN, journal=journal)
    alice, bob = pool.members
    new = alice.folder / "new.db"
    with alice.program() as program:
        program.execute("VACUUM INTO ?", (str(new),))
    _rewrite(str(new), "UPDATE t SET a='new' WHERE id=1; INSERT INTO t VALUES (9, 'n', 9)")
    if idle:
        alice.database.close_idle(alice.clock + 10)
    alice.path.write_bytes(new.read_bytes())
    bob.run("UPDATE t SET b='bob' WHERE id=2")
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t ORDER BY id") == [
        (1, "new", 1),
        (2, "two", "bob"),
        (3, "three", 3),
        (9, "n", 9),
    ]
