"""D2: killed at any system call of any job, every path holds its old or its new content.

Also: with any of these calls failing for want of space, jobs say FULL and nothing is lost.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import meerkat
from meerkat.core.ids import ContentHash
from tests.adapters.folder_case import FolderCase
from tests.faults import folder_jobs

CALLS = "renameat2,renameat,rename,unlinkat,fsync,syncfs,pwrite64,mkdirat,ftruncate,fchmod"
POINTS_AT_MOST = 60
SOURCE = str(Path(meerkat.__file__).parents[1])

pytestmark = pytest.mark.needs_tool("strace")


def run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, folder_jobs.__file__, str(root), SOURCE]
    trace = root.with_suffix(".trace")
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS}", *options, *script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def points(tmp_path: Path) -> list[tuple[str, int]]:
    """Each (call, how many-th) of a run without faults."""
    root = tmp_path / "clean"
    folder_jobs.prepare(root)
    finished = run(root)
    assert finished.returncode == 0, finished.stderr
    assert "full" not in finished.stdout
    assert "changed" not in finished.stdout, finished.stdout
    assert folder_jobs.check(root) == []
    assert (root / "over").read_bytes() == b"new over"
    assert (root / "large").read_bytes() == folder_jobs.BLOB
    text = root.with_suffix(".trace").read_text()
    counts = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", text, re.MULTILINE))
    found = [(call, number) for call in sorted(counts) for number in range(1, counts[call] + 1)]
    step = max(1, -(-len(found) // POINTS_AT_MOST))
    return found[::step]


def test_killed_at_every_point(tmp_path: Path) -> None:
    def kill(point: tuple[str, int]) -> Path:
        call, number = point
        root = tmp_path / f"{call}-{number}"
        folder_jobs.prepare(root)
        run(root, "-e", f"inject={call}:signal=SIGKILL:when={number}")
        return root

    found = points(tmp_path)
    assert len({call for call, _ in found}) >= 6, found
    with ThreadPoolExecutor(2) as pool:
        roots = list(pool.map(kill, found))
    bad = [f"{root.name}: {text}" for root in roots for text in what_is_wrong(root)]
    assert bad == []


def what_is_wrong(root: Path) -> list[str]:
    wrong = folder_jobs.check(root)
    with FolderCase(root) as case:  # the next start makes it tidy and tells the truth
        wrong += [f"litter {path}" for path in root.rglob(".meerkat-*")]
        for path in ("over", "large"):
            if case.told.tree[path].digest != ContentHash.of((root / path).read_bytes()):
                wrong.append(f"{path} is told wrongly")
    return wrong


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("fsync:error=ENOSPC", "full"), ("syncfs:error=EIO", "busy"), ("pwrite64:error=ENOSPC", "")],
)
def test_a_failing_call_is_told_and_loses_nothing(tmp_path: Path, fault: str, outcome: str) -> None:
    root = tmp_path / "faulty"
    folder_jobs.prepare(root)
    finished = run(root, "-e", f"inject={fault}")

    assert folder_jobs.check(root) in ([], ["removed, but what came before did not happen"])
    assert outcome in finished.stdout
    assert "Traceback" not in finished.stderr
