"""Two real members on this machine, for the scripts beside this file.

Starts ``meerkat share`` and ``meerkat join`` as processes over loopback, as a user would, and
talks to them by their JSON lines and folders only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent / "src"
PATIENCE = 300.0  # s


class Member:
    """One ``meerkat`` process with ``--json``."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self.folder = folder
        environment = dict(os.environ, PYTHONPATH=str(SOURCE))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meerkat", *arguments, "--json", "--listen", "127.0.0.1"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.ready = self.wait("ready")
        self.ready_after = time.perf_counter() - self.started

    def wait(self, name: str) -> dict[str, Any]:
        """The next event of this name."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        raise RuntimeError(f"{self.folder}: ended before {name!r}")

    def status(self) -> dict[str, Any]:
        """``meerkat status --json``."""
        done = subprocess.run(
            [sys.executable, "-m", "meerkat", "status", str(self.folder), "--json"],
            env=dict(os.environ, PYTHONPATH=str(SOURCE)),
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def memory_mib(self, field: str = "VmHWM") -> float:
        """Peak (``VmHWM``) or present (``VmRSS``) memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(one for one in text.splitlines() if one.startswith(field))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """As Ctrl-C."""
        self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def scratch(where: str | None = None) -> Iterator[Path]:
    """A folder on the disk that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="meerkat-bench-", dir=where or os.environ.get("BENCH_DIR")))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def pair(base: Path, *, first_files: bool = True) -> Iterator[tuple[Member, Member]]:
    """Two linked members over ``base/a`` and ``base/b``."""
    (base / "a").mkdir(exist_ok=True)
    alice = Member("share", str(base / "a"), folder=base / "a")
    try:
        invitation = alice.ready["invitation"]
        bob = Member("join", invitation, str(base / "b"), folder=base / "b")
        try:
            yield alice, bob
        finally:
            bob.stop()
    finally:
        alice.stop()


def wait_for(condition: Any, patience: float = PATIENCE, pause: float = 0.0005) -> float:
    """Poll until true; the time it became so."""
    end = time.perf_counter() + patience
    while not condition():
        if time.perf_counter() > end:
            raise TimeoutError
        time.sleep(pause)
    return time.perf_counter()


def percentile(values: list[float], share: float) -> float:
    """Of a non-empty list; ``share`` from 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
