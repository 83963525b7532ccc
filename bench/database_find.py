"""The work of finding one changed row, from the moment the commit is noticed.

Beside it in the same run, on the same file: ``session.diff`` of SQLite's session extension against
a copy, and reading the whole table. Processor time of this process, medians; the capture also
writes the change durably to the state, which is shown apart (wall time). "find, at first" is the
first look of a process, which has nothing in memory.
``python -m bench.database_find [--rows 100000] [--mode wal]``
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import apsw

from bench._pair import scratch
from bench._rows import Engine, filled
from meerkat.rows.compare import compare
from meerkat.rows.schema import read_schema
from meerkat.rows.state import open_state
from meerkat.rows.tracker import Tracker


def cpu(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print medians in ms and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--mode", choices=("wal", "delete"), default="wal")
    options = parser.parse_args()
    rows = options.rows
    found: dict[str, list[float]] = {
        "find": [],
        "find, at first": [],
        "session.diff": [],
        "read all": [],
    }
    wall: list[float] = []
    with scratch() as folder:
        program = filled(folder / "x.db", rows, options.mode)
        engine = Engine(folder.resolve(), bytes(32))
        engine.begin()
        engine.capture()
        state = open_state(next((folder / ".meerkat" / "rows").glob("*/state.db")))
        copy = apsw.Connection(str(folder / "copy.db"))
        with copy.backup("main", program, "main") as backup:
            backup.step()
        reader = apsw.Connection(str(folder / "x.db"))
        reader.execute("ATTACH ? AS copy", (str(folder / "copy.db"),))
        tracker = engine.tracker
        for number in range(options.rounds):
            row = 1 + number * 7919 % rows
            program.execute("UPDATE item SET count = ? WHERE id = ?", (-number - 1, row))

            def find(tracker: Tracker) -> None:
                """As a capture does it: in one snapshot, the ranges, then their rows."""
                with reader:
                    schema = read_schema(reader)
                    look = tracker.look(reader, schema)
                    table = schema.tables["item"]
                    ranges = None if look.everything else look.ranges.get("item")
                    deltas = list(compare(reader, state, table, table, ranges))
                    if len(deltas) != 1:
                        raise RuntimeError(f"{len(deltas)} rows found instead of one")

            found["find"].append(cpu(lambda: find(tracker)))
            found["find, at first"].append(cpu(lambda: find(Tracker(state))))

            def session_diff() -> None:
                session = apsw.Session(reader, "main")
                session.diff("copy", "item")
                session.changeset()
                session.close()

            found["session.diff"].append(cpu(session_diff))
            found["read all"].append(cpu(lambda: reader.execute("SELECT * FROM item").fetchall()))
            started = time.perf_counter()
            engine.capture()
            wall.append(time.perf_counter() - started)
            copy.execute("UPDATE item SET count = ? WHERE id = ?", (-number - 1, row))
        for connection in (reader, copy, program, state):
            connection.close()
        engine.database.close()
    base = statistics.median(found["find"])
    for name, values in found.items():
        median = statistics.median(values)
        print(f"{name:14} {median * 1e3:9.2f} ms   {median / base:8.1f} x")
    print(f"whole capture, durable, wall time {statistics.median(wall) * 1e3:.2f} ms")
    print(f"{rows:,} rows, {options.mode}; to reach: 1 ms of 100,000 rows, 5 ms of 1,000,000 (WAL)")


if __name__ == "__main__":
    main()
