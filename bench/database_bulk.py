"""Many rows at once: captured on one member, applied on another, and a newcomer's start.

Beside each in the same run the floor: a plain program that writes the same rows to one file.
``python -m bench.database_bulk [--rows 100000] [--base 1000000]``
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

from bench._pair import scratch
from bench._rows import Engine, filled, insert


def seconds(work: Callable[[], object]) -> float:
    """Of wall time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(name: str, rows: int, taken: float, floor: float) -> None:
    """One line."""
    rate, ratio = rows / taken, taken / floor
    print(f"{name:28} {rate:12,.0f} rows/s   {taken:7.2f} s   floor {floor:6.2f} s ({ratio:.1f} x)")


def main() -> None:
    """Print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--base", type=int, default=1_000_000)
    options = parser.parse_args()
    rows: int = options.rows
    with scratch() as base:
        folders = [(base / name).resolve() for name in ("a", "b", "c", "floor")]
        for folder in folders:
            folder.mkdir()
        one, two, three = (
            Engine(folder, bytes([number]) * 32) for number, folder in enumerate(folders[:3], 1)
        )
        program = filled(one.path, 1_000)
        image = one.begin()
        two.join(image)
        one.capture()
        plain = filled(folders[3] / "x.db", 1_000)

        floor = seconds(lambda: insert(plain, rows))
        insert(program, rows)
        report("capture of inserts", rows, seconds(one.capture), floor)
        entries = list(one.sent)
        report("apply of inserts", rows, seconds(lambda: two.apply(entries)), floor)

        update = "UPDATE item SET count = count + 1"
        floor = seconds(lambda: plain.execute(update).fetchall())
        program.execute(update).fetchall()
        before = len(one.sent)
        report("capture of one column", rows, seconds(one.capture), floor)
        entries = one.sent[before:]
        report("apply of one column", rows, seconds(lambda: two.apply(entries)), floor)

        floor = seconds(lambda: plain.execute("DELETE FROM item WHERE id % 2").fetchall())
        program.execute("DELETE FROM item WHERE id % 2").fetchall()
        before = len(one.sent)
        report("capture of deletes", rows // 2, seconds(one.capture), floor)
        entries = one.sent[before:]
        report("apply of deletes", rows // 2, seconds(lambda: two.apply(entries)), floor)
        program.close()
        plain.close()
        one.database.close()
        two.database.close()

        source = folders[3] / "large.db"
        filled(source, options.base, "delete").close()
        copied = folders[3] / "copy.db"

        def copy() -> None:
            copied.write_bytes(source.read_bytes())

        floor = seconds(copy)
        three.path.write_bytes(source.read_bytes())
        image_of: list[Path] = []
        report("import", options.base, seconds(lambda: image_of.append(three.begin())), floor)
        four = Engine((base / "d").resolve(), bytes([4]) * 32)
        four.folder.mkdir()
        report("join", options.base, seconds(lambda: four.join(image_of[0])), floor)
        three.database.close()
        four.database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all of it in one process {peak:.0f} MiB")
    print("to reach: capture 30,000, apply 50,000 rows/s; 1,000,000 rows join in 60 s; 200 MiB")


if __name__ == "__main__":
    main()
