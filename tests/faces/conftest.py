"""Real processes, as a person or a program would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meerkat.cli.demo_peer import DemoPeer

SOURCE = Path(__file__).resolve().parents[2] / "src"
ENDS_WITHIN = 60.0

MakePeer = Callable[[str], DemoPeer]
Meerkat = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes find the package that is tested, installed or not."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.delenv("MEERKAT_INVITATION", raising=False)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[MakePeer]:
    """Make peers by name; they are stopped in the end."""
    made: list[DemoPeer] = []

    def make(name: str) -> DemoPeer:
        made.append(DemoPeer(name, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def meerkat() -> Meerkat:
    """Run a command to its end."""

    def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "meerkat", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN,
            check=False,
        )

    return run
