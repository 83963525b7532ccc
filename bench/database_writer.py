"""What a live database costs the programs that write to it: their own statements, in rows/s.

The same statements on the same file: plain; in a folder that meerkat serves, with a second member;
with triggers that note dirty keys (what a design with triggers needs at least); and with SQLite's
session extension attached. Ratios are to plain, of medians; the order changes from round to round.
``python -m bench.database_writer [--rows 20000] [--rounds 5]``
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from bench._pair import pair, scratch, wait_for

TABLE = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, count INTEGER, note TEXT)"
INSERT = "INSERT INTO item(name, price, count, note) VALUES (?, ?, ?, ?)"
TRIGGERS = """
CREATE TABLE dirty(id INTEGER PRIMARY KEY);
CREATE TRIGGER item_i AFTER INSERT ON item BEGIN INSERT OR IGNORE INTO dirty VALUES(new.id); END;
CREATE TRIGGER item_u AFTER UPDATE ON item BEGIN INSERT OR IGNORE INTO dirty VALUES(new.id); END;
CREATE TRIGGER item_d AFTER DELETE ON item BEGIN INSERT OR IGNORE INTO dirty VALUES(old.id); END;
"""
SINGLES = 500

Speeds = dict[str, list[float]]


def begin(path: Path) -> apsw.Connection:
    """A database in WAL mode, as a program opens it."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").fetchall()
    return connection


def measure(connection: apsw.Connection, rows: int, speeds: Speeds) -> None:
    """Bulk insert, bulk update, single-row transactions."""
    data = [(f"name {n}", n * 1.5, n, "a note of some length") for n in range(rows)]
    started = time.perf_counter()
    with connection:
        connection.executemany(INSERT, data)
    speeds.setdefault("bulk insert", []).append(rows / (time.perf_counter() - started))
    started = time.perf_counter()
    with connection:
        connection.execute("UPDATE item SET count = count + 1")
    speeds.setdefault("bulk update", []).append(rows / (time.perf_counter() - started))
    started = time.perf_counter()
    for number in range(SINGLES):
        connection.execute("UPDATE item SET price = ? WHERE id = ?", (number, 1 + number % rows))
    speeds.setdefault("single rows", []).append(SINGLES / (time.perf_counter() - started))
    with connection:
        connection.execute("DELETE FROM item")


def with_session(connection: apsw.Connection) -> apsw.Session:
    """Record everything, as a program that uses the session extension does."""
    session = apsw.Session(connection, "main")
    session.attach()
    return session


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found: dict[str, Speeds] = {"plain": {}, "meerkat": {}, "triggers": {}, "session": {}}
    with scratch() as base:
        (base / "a").mkdir()
        for folder in ("a", "plain", "triggers", "session"):
            (base / folder).mkdir(exist_ok=True)
            connection = begin(base / folder / "shop.db")
            connection.execute(TABLE)
            if folder == "triggers":
                connection.execute(TRIGGERS)
            connection.close()
        with pair(base) as (_alice, bob):
            wait_for((base / "b/shop.db").exists)
            bob.wait("synced")

            def quiet() -> bool:
                """What was written has reached the other member."""
                other = apsw.Connection(str(base / "b/shop.db"))
                try:
                    return other.execute("SELECT count(*) FROM item").get == 0
                finally:
                    other.close()

            def plain() -> None:
                connection = begin(base / "plain/shop.db")
                measure(connection, options.rows, found["plain"])
                connection.close()

            def live() -> None:
                connection = begin(base / "a/shop.db")
                measure(connection, options.rows, found["meerkat"])
                connection.close()
                time.sleep(2.0)  # its own work afterwards is not the next one's
                wait_for(quiet, pause=0.1)

            def triggers() -> None:
                connection = begin(base / "triggers/shop.db")
                measure(connection, options.rows, found["triggers"])
                connection.close()

            def session() -> None:
                connection = begin(base / "session/shop.db")
                recorder = with_session(connection)
                measure(connection, options.rows, found["session"])
                recorder.close()
                connection.close()

            ways: list[Callable[[], None]] = [plain, live, triggers, session]
            chance = random.Random(1)
            for _ in range(options.rounds):
                chance.shuffle(ways)
                for way in ways:
                    way()
    print(f"{'rows/s (median)':16}" + "".join(f"{name:>26}" for name in found))
    for what in found["plain"]:
        floor = statistics.median(found["plain"][what])
        line = f"{what:16}"
        for speeds in found.values():
            median = statistics.median(speeds[what])
            line += f"{median:>16,.0f} ({floor / median:5.2f} x)"
        print(line)
    print("to reach: meerkat as plain (1.0 x); cr-sqlite took 14 x, cloudsync 30 x in bulk inserts")


if __name__ == "__main__":
    main()
