"""Does one of each job in a folder, to be killed at any system call: ``folder_jobs.py DIR SOURCE``.

``prepare`` and ``check`` are for the test, ``main`` runs in the process that is killed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

OLD = {"over": b"old over", "remove": b"old remove", "move": b"old move", "mode": b"old mode"}
BLOB = bytes(range(256)) * 2000
SMALL = 6  # new files in one group: enough for one flush of the file system


def prepare(root: Path) -> None:
    root.mkdir()
    for name, data in OLD.items():
        (root / name).write_bytes(data)
    (root / "large").write_bytes(b"old large")


def check(root: Path) -> list[str]:
    """What is wrong with what a crash left."""
    wrong = []

    def holds(name: str, *allowed: bytes | None) -> bytes | None:
        file = root / name
        data = file.read_bytes() if file.exists() else None
        if data not in allowed:
            wrong.append(f"{name} holds {data!r:.60}")
        return data

    holds("over", OLD["over"], b"new over")
    holds("large", b"old large", BLOB)
    holds("mode", OLD["mode"])
    removed = holds("remove", OLD["remove"], None)
    source, target = holds("move", OLD["move"], None), holds("d/moved", OLD["move"], None)
    if (source is None) == (target is None):
        wrong.append(f"moved file: {source!r} and {target!r}")
    for number in range(SMALL):
        holds(f"d/{number}", b"new %d" % number, None)
    if removed is None and source is not None:
        wrong.append("removed, but what came before did not happen")
    return wrong


class Told:
    """Waits for results; ``told`` prints what the node would have believed."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.results: dict[int, Any] = {}
        self.scans = self.stored = 0

    def observed(self, batch: Any) -> None:
        with self.condition:
            self.scans += batch.scan_complete
            self.condition.notify_all()

    def jobs_done(self, results: list[Any]) -> None:
        with self.condition:
            for result in results:
                self.results[result.ticket] = result
            self.condition.notify_all()

    def chunks_stored(self, blob: Any, indexes: list[int], failed: list[int]) -> None:
        with self.condition:
            self.stored += len(indexes) + len(failed)
            self.condition.notify_all()

    def database_touched(self, path: str) -> None:
        pass

    def problems_changed(self, problems: Any) -> None:
        pass

    def progress(self, path: str, done_bytes: int, total_bytes: int) -> None:
        pass

    def wait(self, condition: Any) -> None:
        with self.condition:
            if not self.condition.wait_for(condition, 20):
                raise SystemExit("nothing came")


def main(root: Path) -> None:
    from meerkat.core.chunks import Chunk
    from meerkat.core.files import Kind, MoveFile, PrepareBlob, RemoveFile, SetExecutable, WriteFile
    from meerkat.core.ids import ContentHash
    from meerkat.folder import FolderAdapter, FolderConfig

    of = ContentHash.of
    told = Told()
    config = FolderConfig(watch=False, replaced_grace=60)
    adapter = FolderAdapter(root, root / ".meerkat", {}, told, config=config)
    adapter.start()
    told.wait(lambda: told.scans)

    def write(ticket: int, path: str, data: bytes, expected: bytes | None) -> WriteFile:
        wanted = None if expected is None else of(expected)
        return WriteFile(ticket, path, Kind.FILE, data, of(data), False, wanted)

    chunks = (Chunk(of(BLOB[:300_000]), 300_000), Chunk(of(BLOB[300_000:]), len(BLOB) - 300_000))
    adapter.perform(
        [
            write(1, "over", b"new over", OLD["over"]),
            *(write(10 + n, f"d/{n}", b"new %d" % n, None) for n in range(SMALL)),
            MoveFile(2, "move", "d/moved", of(OLD["move"])),
            RemoveFile(3, "remove", of(OLD["remove"])),
            SetExecutable(4, "mode", True, of(OLD["mode"])),
            PrepareBlob(5, of(b"blob"), chunks, {}),
        ]
    )
    told.wait(lambda: 5 in told.results and 4 in told.results)
    adapter.store_chunk(of(b"blob"), 0, BLOB[:300_000])
    adapter.store_chunk(of(b"blob"), 1, BLOB[300_000:])
    told.wait(lambda: told.stored == 2)
    blob = WriteFile(6, "large", Kind.FILE, of(b"blob"), of(BLOB), False, of(b"old large"))
    adapter.perform([blob])
    told.wait(lambda: 6 in told.results)
    outcomes = [(ticket, told.results[ticket].outcome.value) for ticket in sorted(told.results)]
    adapter.stop()
    print(outcomes)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    main(Path(sys.argv[1]))
