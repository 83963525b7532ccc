"""SQLite databases as programs leave them, and as they have them open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["count", "make", "opened"]


def make(path: Path, rows: int = 3, *, mode: str = "delete") -> None:
    """A database that its program has closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        connection.executemany("INSERT INTO t (v) VALUES (?)", [("x" * 50,)] * rows)
        connection.commit()


def count(path: Path) -> int:
    """Its rows, if it is whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


def opened(path: Path) -> sqlite3.Connection:
    """A program that has the database open, with a row that lies in the write-ahead log only."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("INSERT INTO t (v) VALUES ('in the log')")
    connection.commit()
    return connection
