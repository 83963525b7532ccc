"""Cells that no constraint is about are taken in many at once, just as they are one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meerkat.rows import rewriting
from meerkat.rows.pairing import changed_columns
from meerkat.rows.state import open_state
from meerkat.rows.values import RawText
from tests.rows.pool import Pool

MakePool = Callable[..., Pool]

BASE = """
PRAGMA encoding = '{encoding}';
CREATE TABLE shelf(id INTEGER PRIMARY KEY, place);
CREATE TABLE t(id INTEGER PRIMARY KEY, code UNIQUE, a, b REAL, c TEXT, d AS (a || c),
    shelf REFERENCES shelf(id));
CREATE TABLE loose(a, b);
CREATE UNIQUE INDEX few ON loose(a) WHERE b > 100;
CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO shelf VALUES (1, 'left'), (2, 'right');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
    INSERT INTO t(code, a, b, c, shelf) SELECT 'c' || i, i, 0.0, 'text', 1 + i % 2 FROM n;
INSERT INTO loose SELECT a, a FROM t;
INSERT INTO keyed SELECT code, a FROM t;
"""
WRITTEN = (
    "UPDATE t SET a = a + 1, b = -0.0",
    "INSERT INTO t(code, a, b, c, shelf) SELECT code || 'x', a, b, c, shelf FROM t WHERE id < 20",
    "UPDATE t SET a = CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN x'00ff' WHEN 2 THEN 1.0 ELSE 1 END",
    "UPDATE t SET c = CAST(x'ff00' AS TEXT) WHERE id IN (3, 50); UPDATE t SET b = 2.5",
    "UPDATE t SET c = 'é' || id, shelf = 7 WHERE id % 5 = 0",
    "UPDATE t SET a = 'new' WHERE id % 2; UPDATE t SET b = id WHERE id % 3",
    "UPDATE loose SET b = 3 WHERE a < 20; UPDATE keyed SET v = 3",
    "BEGIN; UPDATE t SET a = 0; UPDATE t SET id = 200 WHERE id = 2; DELETE FROM t WHERE id = 9;"
    " INSERT INTO t(id, code) VALUES (2, 'again'); UPDATE t SET code = 'c9' WHERE id = 4; COMMIT",
    "DELETE FROM shelf WHERE id = 1; UPDATE t SET b = b + 1",
)


def _lived(pool: Pool) -> tuple[Any, ...]:
    """What the programs of two members did: all operations, and the ledgers they led to."""
    for number, sql in enumerate(WRITTEN):
        pool[number % 2].run(sql)
        pool.sync()
    content = pool.assert_equal()
    folders = [member.folder / ".meerkat" / "rows" for member in pool.members]
    states = [_records(next(folder.glob("*/state.db"))) for folder in folders]
    return content, [[one.entries for one in member.sent] for member in pool.members], states


def _records(state: Path) -> list[Any]:
    connection = open_state(state)
    try:
        return connection.execute("SELECT * FROM meerkat_rows ORDER BY t, id").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_many_at_once_or_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    found = []
    for groups in (rewriting.MAX_GROUPS, 0):
        monkeypatch.setattr(rewriting, "MAX_GROUPS", groups)
        root = tmp_path / str(groups)
        root.mkdir()
        pool = Pool(root, BASE.format(encoding=encoding))
        try:
            found.append(_lived(pool))
        finally:
            pool.close()
    assert found[0] == found[1]


def test_more_combinations_of_columns_than_are_gathered(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "MAX_GROUPS", 2)
    pool = make_pool(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c); INSERT INTO t VALUES"
        " (1, 1, 1, 1), (2, 1, 1, 1), (3, 1, 1, 1), (4, 1, 1, 1)"
    )
    alice, bob = pool.members
    alice.run("UPDATE t SET a = iif(id & 1, 5, a), b = iif(id & 2, 6, b), c = iif(id & 4, 7, c)")
    pool.assert_equal()
    assert bob.rows("SELECT * FROM t") == [(1, 5, 1, 1), (2, 1, 6, 1), (3, 5, 6, 1), (4, 1, 1, 7)]


def test_what_changed_is_told_by_type_and_bytes() -> None:
    old = (1, 0, 0.0, "", b"", None, "a", 1.5, RawText(b"\xff"), "x", 7)
    new = (1.0, 0.0, -0.0, b"", "", 0, "a", 1.5, RawText(b"\xff"), RawText(b"x"), 7)
    assert changed_columns(old, new) == [0, 1, 2, 3, 4, 5, 9]
