"""What the store costs beside plain sqlite3 doing the same work (the floor), in one run.

Run: ``python -m bench.store [FOLDER]``. Each pair alternates on the same disk, so that a busy
moment hits both; medians. FOLDER should lie on the disk that matters: a tmpfs has no fsync.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from meerkat.core.ids import AuthorId, OperationHash
from meerkat.core.ports import Head, Table
from meerkat.store import SqliteStore
from meerkat.testing.memory_store import MemoryStore

AUTHOR = AuthorId(b"a" * 32)
HASH = OperationHash(b"h" * 32)
DATA = os.urandom(200)  # a signed keystroke
COMMITS = 25  # one round: short, so that the subjects meet the same moments of the disk
COMMIT_ROUNDS = 80
BULK = 20_000
PER_TRANSACTION = 1000
ROUNDS = 7


class Floor:
    """The least that keeps the same rows: no checks, no heads, no translation of errors."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute(
            "CREATE TABLE operations (author INTEGER, sequence INTEGER, lamport INTEGER, hash BLOB,"
            " data BLOB, PRIMARY KEY (author, sequence)) WITHOUT ROWID"
        )
        self.database.execute(
            "CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )

    def commit(self, first: int, count: int) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        for sequence in range(first, first + count):
            self.database.execute(
                "INSERT INTO operations VALUES (1, ?, ?, ?, ?)", (sequence, sequence, HASH, DATA)
            )
        self.database.execute("COMMIT")

    def read(self) -> int:
        return len(self.database.execute("SELECT data FROM operations").fetchall())

    def put(self, items: list[tuple[bytes, bytes]]) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", items)
        self.database.execute("COMMIT")

    def get(self, keys: list[bytes]) -> None:
        for key in keys:
            self.database.execute("SELECT value FROM record WHERE key = ?", (key,)).fetchone()

    def scan(self) -> int:
        return len(self.database.execute("SELECT * FROM record ORDER BY key").fetchall())


class Ours:
    """The store, asked for the same."""

    def __init__(self, store: SqliteStore | MemoryStore) -> None:
        self.store = store

    def commit(self, first: int, count: int) -> None:
        with self.store.transaction():
            for sequence in range(first, first + count):
                self.store.append(AUTHOR, Head(sequence, HASH, sequence), DATA)

    def read(self) -> int:
        return len(self.store.operations(AUTHOR, 1, 1 << 40, limit_bytes=1 << 40))

    def put(self, items: list[tuple[bytes, bytes]]) -> None:
        with self.store.transaction():
            self.store.put_many(Table.RECORD, items)

    def get(self, keys: list[bytes]) -> None:
        for key in keys:
            self.store.get(Table.RECORD, key)

    def scan(self) -> int:
        return len(list(self.store.scan(Table.RECORD)))


Subject = Floor | Ours


def rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def one_by_one(subject: Subject, next_sequence: int) -> float:
    return rate(
        COMMITS,
        lambda: [
            subject.commit(sequence, 1)
            for sequence in range(next_sequence, next_sequence + COMMITS)
        ],
    )


def in_bulk(subject: Subject, next_sequence: int) -> float:
    starts = range(next_sequence, next_sequence + BULK, PER_TRANSACTION)
    return rate(BULK, lambda: [subject.commit(start, PER_TRANSACTION) for start in starts])


def compare(
    name: str, work: Callable[[Subject, int], float], subjects: list[Subject], rounds: int = ROUNDS
) -> None:
    """Alternate the subjects; print medians and the first's share of the floor (the second)."""
    rates: list[list[float]] = [[] for _ in subjects]
    for round_ in range(rounds):
        for subject, results in zip(subjects, rates, strict=True):
            results.append(work(subject, round_))
    ours, floor, memory = (statistics.median(results) for results in rates)
    print(f"{name:32} {ours:12,.0f}/s {floor:12,.0f}/s {ours / floor:6.2f} {memory:12,.0f}/s")


def main() -> None:
    """Print the table."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="meerkat-bench-", dir=where) as folder:
        store = SqliteStore(Path(folder) / "ours.db")
        subjects: list[Subject] = [
            Ours(store),
            Floor(Path(folder) / "floor.db"),
            Ours(MemoryStore()),
        ]
        items = [(os.urandom(16), os.urandom(200)) for _ in range(BULK)]
        keys = [key for key, _ in items]
        print(f"{'':32} {'store':>14} {'floor':>14} {'ratio':>6} {'in memory':>14}")
        compare(
            "commits of one operation",
            lambda subject, round_: one_by_one(subject, 1 + round_ * COMMITS),
            subjects,
            COMMIT_ROUNDS,
        )
        start = 1 + COMMIT_ROUNDS * COMMITS
        compare(
            f"appends, {PER_TRANSACTION} a transaction",
            lambda subject, round_: in_bulk(subject, start + round_ * BULK),
            subjects,
        )
        count = COMMIT_ROUNDS * COMMITS + ROUNDS * BULK
        compare("operations read", lambda s, _: rate(count, s.read), subjects)
        compare("entries put at once", lambda s, _: rate(BULK, lambda: s.put(items)), subjects)
        compare("entries got by key", lambda s, _: rate(BULK, lambda: s.get(keys)), subjects)
        compare("entries scanned", lambda s, _: rate(BULK, s.scan), subjects)
        store.close()


if __name__ == "__main__":
    main()
