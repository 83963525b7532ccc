"""From a save on one member to the other's file: 2 KiB text, one line changed each time.

Beside it in the same run: the floor of a watcher and an atomic, durable write on one machine.
``python -m bench.save_latency [--rounds 100]``
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from bench._pair import pair, percentile, scratch, wait_for


def floor(folder: Path) -> float:
    """Read, write beside, fsync, rename, fsync the folder: what the receiver must do at least."""
    data = b"x" * 2048
    started = time.perf_counter()
    temp = folder / "temp"
    with temp.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    temp.rename(folder / "file")
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    ours, floors = [], []
    with scratch() as base:
        (base / "a").mkdir()
        (base / "floor").mkdir()
        lines = [
            f"line {number} of a text that two people write together\n" for number in range(38)
        ]
        (base / "a/notes.md").write_text("".join(lines))
        with pair(base) as (_alice, bob):
            target = base / "b/notes.md"
            wait_for(target.exists)
            bob.wait("synced")
            for number in range(rounds):
                lines[number % 38] = f"line {number} was changed just now by the person here\n"
                data = "".join(lines)
                started = time.perf_counter()
                (base / "a/notes.md").write_text(data)
                ours.append(wait_for(lambda data=data: target.read_text() == data) - started)
                floors.append(floor(base / "floor"))
                time.sleep(0.02)
    for name, values in (("save to save", ours), ("floor: one durable write", floors)):
        p50, p99 = percentile(values, 0.5) * 1e3, percentile(values, 0.99) * 1e3
        print(f"{name:30} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms")
    print(f"ratio of the medians {percentile(ours, 0.5) / percentile(floors, 0.5):.1f}")
    print("to reach: p50 60 ms, p99 200 ms")


if __name__ == "__main__":
    main()
