"""A one-row change: from the commit on one member until the other's ``SELECT`` shows it.

Two real members over loopback; beside it in the same run the floor: one durable commit on one
machine, read by a second connection. ``python -m bench.database_latency [--rows 10000]``
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import apsw

from bench._pair import pair, percentile, scratch, wait_for

TABLE = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, count INTEGER)"


def opened(path: Path, mode: str) -> apsw.Connection:
    """A connection as a program has it, with durable commits."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.execute(f"PRAGMA journal_mode = {mode}; PRAGMA synchronous = FULL").fetchall()
    return connection


def filled(path: Path, rows: int, mode: str) -> None:
    """A database with some rows."""
    connection = opened(path, mode)
    connection.execute(TABLE)
    with connection:
        connection.executemany(
            "INSERT INTO item VALUES (?, ?, 0)", ((n, f"item {n}") for n in range(1, rows + 1))
        )
    connection.close()


def change(
    writer: apsw.Connection, reader: apsw.Connection, count: int, rows: int, pause: float
) -> list[float]:
    """Seconds from each commit until it can be read."""
    taken = []
    for number in range(1, count + 1):
        row = 1 + number * 37 % rows
        writer.execute("UPDATE item SET count = ? WHERE id = ?", (number, row))
        started = time.perf_counter()

        def is_there(number: int = number, row: int = row) -> bool:
            found = reader.execute("SELECT count FROM item WHERE id = ?", (row,)).get
            return bool(found == number)

        taken.append(wait_for(is_there, pause=0.0002) - started)
        time.sleep(pause)
    return taken


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--mode", choices=("wal", "delete"), default="wal")
    options = parser.parse_args()
    rows, mode = options.rows, options.mode
    with scratch() as base:
        (base / "a").mkdir()
        filled(base / "a/x.db", rows, mode)
        filled(base / "floor.db", rows, mode)
        with pair(base) as (_alice, bob):
            wait_for((base / "b/x.db").exists)
            bob.wait("synced")
            writer, reader = opened(base / "a/x.db", mode), opened(base / "b/x.db", mode)
            change(writer, reader, 10, rows, 0.05)
            ours = change(writer, reader, options.rounds, rows, 0.05)
            writer.close()
            reader.close()
        writer, reader = opened(base / "floor.db", mode), opened(base / "floor.db", mode)
        floor = []
        for number in range(options.rounds):
            started = time.perf_counter()
            writer.execute("UPDATE item SET count = ? WHERE id = 1", (number,))
            reader.execute("SELECT count FROM item WHERE id = 1").fetchall()
            floor.append(time.perf_counter() - started)
    for name, values in (("commit to SELECT elsewhere", ours), ("floor: commit and read", floor)):
        p50, p99 = percentile(values, 0.5) * 1e3, percentile(values, 0.99) * 1e3
        print(f"{name:30} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms")
    print(f"ratio of the medians {percentile(ours, 0.5) / percentile(floor, 0.5):.1f}")
    print("to reach: p50 30 ms")


if __name__ == "__main__":
    main()
