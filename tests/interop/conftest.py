"""Other people's programs against ours: skipped, with the reason, where those are not installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meerkat.cli.demo_peer import DemoPeer
from tests.interop.tabs import HERE, Tabs

SOURCE = Path(__file__).resolve().parents[2] / "src"

MakePeer = Callable[[str], DemoPeer]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes find the package that is tested, installed or not."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.delenv("MEERKAT_INVITATION", raising=False)


@pytest.fixture
def npm_packages() -> None:
    """Skip unless node and what `package.json` beside this file names are here."""
    if shutil.which("node") is None:
        pytest.skip("needs node: install it with the system's packages to include it")
    if not (HERE / "node_modules" / "yjs").exists():
        pytest.skip("needs packages of npm: run `make npm` to include it")


@pytest.fixture
def tabs(npm_packages: None) -> Iterator[Tabs]:
    """Tabs in a process of node."""
    with Tabs() as made:
        yield made


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
