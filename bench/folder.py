"""What the folder costs: scans, writes and the way from a save to its observation.

Each figure stands beside the floor: the same system calls in the plainest loop. Run as
``python -m bench.folder [--files 10000]`` on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from meerkat.core.files import Kind, Observed, WriteFile
from meerkat.core.ids import ContentHash
from meerkat.folder import FolderAdapter, FolderConfig, Observation

SIZE = 4096
PER_FOLDER = 100


class Counter:
    """A listener that counts and remembers."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.known: dict[str, Observed] = {}
        self.seen_at: dict[str, float] = {}
        self.scans = self.results = 0
        self.outcomes: set[str] = set()

    def observed(self, batch: Observation) -> None:
        now = time.perf_counter()
        with self.condition:
            for seen in batch.seen:
                self.known[seen.path] = seen.observed
                self.seen_at[seen.path] = now
            self.scans += batch.scan_complete
            self.condition.notify_all()

    def jobs_done(self, results: list[Any]) -> None:
        with self.condition:
            self.results += len(results)
            self.outcomes |= {result.outcome.value for result in results}
            self.condition.notify_all()

    def chunks_stored(self, blob: ContentHash, indexes: list[int], failed: list[int]) -> None:
        pass

    def database_touched(self, path: str) -> None:
        pass

    def problems_changed(self, problems: tuple[Any, ...]) -> None:
        pass

    def progress(self, path: str, done_bytes: int, total_bytes: int) -> None:
        pass

    def wait(self, condition: Any) -> None:
        with self.condition:
            assert self.condition.wait_for(condition, 120)


def content(number: int) -> bytes:
    return (b"line %d\n" % number * SIZE)[:SIZE]


def names(count: int) -> list[str]:
    return [f"d{i // PER_FOLDER}/f{i}.txt" for i in range(count)]


def floor_scan(root: Path) -> float:
    start = time.perf_counter()
    for folder, _, files in os.walk(root):
        for name in files:
            os.stat(os.path.join(folder, name), follow_symlinks=False)
    return time.perf_counter() - start


def floor_write(root: Path, count: int) -> float:
    start = time.perf_counter()
    for number, name in enumerate(names(count)):
        path = root / name
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary = f"{path}.tmp"
        with open(temporary, "wb", buffering=0) as stream:
            stream.write(content(number))
        os.rename(temporary, path)
    os.sync()
    return time.perf_counter() - start


def started(root: Path, counter: Counter, known: dict[str, Observed]) -> FolderAdapter:
    config = FolderConfig(rescan_shortest=600)
    return FolderAdapter(root, root / ".meerkat", known, counter, config=config)


def scans(base: Path, count: int) -> None:
    root = base / "scan"
    print(f"floor: write {count} x {SIZE} and sync    {floor_write(root, count):7.3f} s")
    time.sleep(0.1)
    print(f"floor: os.walk + stat               {floor_scan(root):7.3f} s")
    counter = Counter()
    adapter = started(root, counter, {})
    start = time.perf_counter()
    adapter.start()
    counter.wait(lambda: counter.scans == 1)
    print(f"first scan, all new                 {time.perf_counter() - start:7.3f} s")
    adapter.stop()
    assert len(counter.known) >= count, len(counter.known)
    again = Counter()
    adapter = started(root, again, counter.known)
    adapter.start()
    again.wait(lambda: again.scans == 1)
    for _ in range(2):
        before, cpu = again.scans, time.process_time()
        start = time.perf_counter()
        adapter.request_scan()
        again.wait(lambda: again.scans > before)  # noqa: B023
        print(
            f"scan, all known                     {time.perf_counter() - start:7.3f} s"
            f"   cpu {time.process_time() - cpu:.3f} s"
        )
    adapter.stop()


def writes(base: Path, count: int) -> None:
    for round_ in range(3):
        root = base / f"write{round_}"
        root.mkdir()
        floor = floor_write(base / f"floor{round_}", count)
        counter = Counter()
        adapter = started(root, counter, {})
        adapter.start()
        counter.wait(lambda: counter.scans == 1)  # noqa: B023
        jobs = []
        for number, name in enumerate(names(count)):
            data = content(number)
            jobs.append(WriteFile(0, name, Kind.FILE, data, ContentHash.of(data), False, None))
        start, cpu = time.perf_counter(), time.process_time()
        for position in range(0, count, 500):
            adapter.perform(jobs[position : position + 500])
        counter.wait(lambda: counter.results == count)  # noqa: B023
        took = time.perf_counter() - start
        print(
            f"write {count} new files durably     {took:7.3f} s   cpu "
            f"{time.process_time() - cpu:.2f} s   floor {floor:.3f} s   {counter.outcomes}"
        )
        adapter.stop()


def latency(base: Path, count: int) -> None:
    root = base / "latency"
    root.mkdir()
    (root / "note.txt").write_text("first")
    counter = Counter()
    adapter = started(root, counter, {})
    adapter.start()
    counter.wait(lambda: "note.txt" in counter.known)
    for label in ("in place", "temp + rename"):
        times = []
        for number in range(count):
            counter.seen_at.pop("note.txt", None)
            data = f"{label} {number}\n"
            target = root / ("note.txt" if label == "in place" else f".t{number}")
            target.write_text(data)
            if label != "in place":
                target.rename(root / "note.txt")
            saved = time.perf_counter()
            counter.wait(lambda: "note.txt" in counter.seen_at)
            times.append((counter.seen_at["note.txt"] - saved) * 1000)
            time.sleep(0.01)
        times.sort()
        print(
            f"save -> observed, {label:14}    p50 {statistics.median(times):6.2f} ms   "
            f"p99 {times[int(len(times) * 0.99)]:6.2f} ms"
        )
    adapter.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--saves", type=int, default=200)
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="meerkat-bench-"))
    try:
        latency(base, options.saves)
        scans(base, options.files)
        writes(base, options.files)
    finally:
        shutil.rmtree(base)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
