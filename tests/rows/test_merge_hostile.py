"""Whatever is signed: nothing is raised, every constraint holds, and all members end alike."""

from __future__ import annotations

import random
from typing import Any

import pytest

from meerkat.core.rows import RowsEntry
from meerkat.rows.changes import (
    Batch,
    DefineObject,
    DefineTable,
    DropObject,
    DropTable,
    Gone,
    Put,
    SetNumber,
    Statement,
    cut,
    encode_batch,
)
from meerkat.rows.values import RawText, Ref, base_id

from .replicas import Replica

SCRIPT = """
CREATE TABLE strict_one(id INTEGER PRIMARY KEY, n INT NOT NULL, t TEXT, CHECK(n > 0)) STRICT;
CREATE TABLE made(a INTEGER, b AS (a * 2) STORED UNIQUE, c TEXT COLLATE NOCASE UNIQUE);
CREATE TABLE part(id INTEGER PRIMARY KEY, a, b);
CREATE UNIQUE INDEX part_a ON part(a) WHERE b IS NOT NULL;
CREATE UNIQUE INDEX part_low ON part(lower(b));
CREATE TABLE tree(id INTEGER PRIMARY KEY, up INTEGER REFERENCES tree(id), v REAL);
CREATE TABLE pair(x TEXT, y INTEGER, z INTEGER REFERENCES tree(id), PRIMARY KEY(x, y))
    WITHOUT ROWID;
CREATE TABLE always(id INTEGER PRIMARY KEY, u UNIQUE ON CONFLICT REPLACE,
    n NOT NULL ON CONFLICT IGNORE);
CREATE VIRTUAL TABLE words USING fts5(title, body);
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
CREATE TRIGGER loud AFTER INSERT ON part BEGIN DELETE FROM tree; END;
CREATE VIEW both AS SELECT * FROM part;
INSERT INTO strict_one VALUES(1, 1, 'x'), (2, 2, NULL);
INSERT INTO made(a, c) VALUES(1, 'A'), (2, 'b');
INSERT INTO part VALUES(1, 1, 'p'), (2, 1, NULL);
INSERT INTO tree VALUES(1, NULL, 1), (2, 1, 2), (3, 2, 3);
INSERT INTO pair VALUES('a', 1, NULL);
INSERT INTO words(rowid, title, body) VALUES(1, 'one', 'first word');
INSERT INTO boxes VALUES(1, 0, 1);
"""
TABLES = ("strict_one", "made", "part", "tree", "pair", "always", "words", "boxes")
IDS = tuple(
    [base_id((n,)) for n in (1, 2, 3, -5, 2**63 - 1)]
    + [base_id(("a", 1)), base_id((None,)), base_id(()), base_id(("x" * 90,))]
    + [b"k=", b"k=\xff\xff", b"k#", b"z", b"a1", b"a2", b"a3", b"a4", b"a" * 64, b"\x00"]
)
VALUES: tuple[Any, ...] = (
    None, 0, 1, 2, 3, -1, 2**63 - 1, -(2**63), 1.5, float("nan"), float("inf"), "", "a", "A", "1",
    "x\x00y", b"", b"\xff", RawText(b"\xff\xfe"), Ref(b"a1", 1), Ref(b"a2", 7), Ref(b"z", 2**62),
)  # fmt: skip
COLUMNS = ("id", "n", "t", "a", "b", "c", "up", "v", "x", "y", "z", "u", "title", "body", "x0",
           "x1", "", "rowid", "no such", 'quo"te', "meerkat_rows", "words", "rank")  # fmt: skip
OWN: dict[str, tuple[str, ...]] = {
    "strict_one": ("id", "n", "t"), "made": ("a", "c"), "part": ("id", "a", "b"),
    "tree": ("id", "up", "v"), "pair": ("x", "y", "z"), "always": ("id", "u", "n"),
    "words": ("title", "body"), "boxes": ("id", "x0", "x1"),
}  # fmt: skip


def statement(rng: random.Random) -> Statement:
    what = rng.random()
    table = (
        rng.choice(TABLES) if rng.random() < 0.9 else rng.choice(("none", "meerkat_rows", "both"))
    )
    if what < 0.72:
        columns = rng.sample(OWN.get(table, COLUMNS), rng.randrange(1, 3))
        if rng.random() < 0.4:
            columns = list(OWN.get(table, ("a",)))
        elif rng.random() < 0.2:
            columns = rng.sample(COLUMNS, rng.randrange(0, 4))
        rows = tuple(
            (rng.choice(IDS), rng.randrange(8), tuple(rng.choice(VALUES) for _ in columns))
            for _ in range(rng.choice((0, 1, 1, 3, 20)))
        )
        return Put(table, tuple(columns), rows)
    if what < 0.9:
        return Gone(table, tuple(rng.sample(IDS, rng.randrange(0, 4))))
    return rng.choice(
        (
            DefineTable("new", "new", "CREATE TABLE new(a, b UNIQUE)", (("a", "a"), ("b", "b"))),
            DefineTable("part", "part", "CREATE TABLE part(id, a, b)", (("id", "id"),)),
            DefineTable("tree", "part", "CREATE TABLE x(y); DROP TABLE part", (("y", "y"),)),
            DefineTable("made", "meerkat_rows", "CREATE TABLE meerkat_rows(a)", (("a", "a"),)),
            DefineTable("pair", "pair", "not SQL", ()),
            DropTable("part"),
            DropTable("words"),
            DropTable("meerkat_rows"),
            DefineObject("index", "i", "tree", "CREATE UNIQUE INDEX i ON tree(v)"),
            DefineObject(
                "trigger", "t", "tree", "CREATE TRIGGER t AFTER INSERT ON tree BEGIN SELECT 1; END"
            ),
            DefineObject("view", "v", "v", "CREATE VIEW v AS SELECT * FROM meerkat_rows"),
            DropObject("index", "part_low"),
            SetNumber("user_version", 3),
        )
    )


def entries(rng: random.Random) -> list[list[RowsEntry]]:
    """Of three authors, who know nothing of each other: a log each."""
    logs = []
    for author in (b"a" * 32, b"b" * 32, b"c" * 32):
        log = []
        for sequence in range(1, rng.randrange(2, 8)):
            statements = tuple(statement(rng) for _ in range(rng.randrange(1, 4)))
            seen = ((b"a" * 32, 3), (b"d" * 32, 2**40)) if rng.random() < 0.3 else ()
            (data,) = cut([encode_batch(Batch(seen, statements))])
            if rng.random() < 0.1:
                data = data[: rng.randrange(len(data) + 1)]
            last = rng.random() < 0.8
            log.append(RowsEntry(author, sequence, rng.randrange(1, 9) + sequence, 0, last, data))
        logs.append(log)
    return logs


def deliver(logs: list[list[RowsEntry]], rng: random.Random) -> Replica:
    replica = Replica(SCRIPT)
    ahead = [list(log) for log in logs]
    while any(ahead):
        log = rng.choice([log for log in ahead if log])
        size = rng.choice((1, 1, 3))
        replica.apply(log[:size])
        del log[:size]
        check(replica)
        if rng.random() < 0.2:
            replica.restart()
    return replica


def check(replica: Replica) -> None:
    assert replica.query("PRAGMA integrity_check") == [("ok",)]
    excused = replica.query("SELECT count(*) FROM meerkat_rows WHERE flags & 4")[0][0]
    assert excused or not replica.query("PRAGMA foreign_key_check")


def whole(replica: Replica) -> Any:
    tables = replica.definitions.target().schema.tables
    rows = {}
    for name, table in tables.items():
        columns = ",".join(
            f'typeof("{one.name}"), CAST("{one.name}" AS BLOB)' for one in table.columns
        )
        rows[name] = sorted(replica.query(f'SELECT {columns} FROM "{name}"'), key=repr)
    return rows, replica.aside(), replica.ledger.have


@pytest.mark.parametrize("seed", range(20))
def test_hostile_batches(seed):
    rng = random.Random(seed)
    logs = entries(rng)
    assert whole(deliver(logs, rng)) == whole(deliver(logs, rng))
