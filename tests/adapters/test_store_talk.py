"""A store made before people could talk gets its table when it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from meerkat.core.ports import Table
from meerkat.store import SqliteStore
from meerkat.store.migrate import migrate, migrations
from meerkat.store.row_check import crc_of_entry


def test_an_older_store_learns_to_talk(tmp_path: Path):
    path = tmp_path / "store.db"
    before = [step for step in migrations() if step.name != "talk"][:2]
    with sqlite3.connect(path, isolation_level=None) as database:
        migrate(database, path, before)
        row = (b"k", crc_of_entry(b"k", b"kept"), b"kept")
        database.execute("INSERT INTO kv_meta (key, crc, value) VALUES (?, ?, ?)", row)
    database.close()

    store = SqliteStore(path, must_exist=True)
    with store.transaction():
        store.put(Table.TALK, b"line", b"hello")
    store.close()
    store = SqliteStore(path, must_exist=True)

    assert store.get(Table.META, b"k") == b"kept"
    assert list(store.scan(Table.TALK)) == [(b"line", b"hello")]
    store.verify()
    store.close()
