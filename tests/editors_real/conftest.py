"""A Neovim whose server the test plays, and a folder for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors_real.neovim import Neovim
from tests.editors_real.opening import Start
from tests.editors_real.played_server import PlayedServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    (place / ".meerkat").mkdir(parents=True)
    return place


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PlayedServer]:
    one = PlayedServer(tmp_path / "socket")
    yield one
    one.close()


@pytest.fixture
def start(tmp_path: Path, folder: Path, server: PlayedServer) -> Iterator[Start]:
    started: list[Neovim] = []

    def make(**options: Any) -> Neovim:
        first = options.pop("first", "")
        options.setdefault("write_delay", 20)
        started.append(
            Neovim(tmp_path / "home", server.command, options=options, folder=folder, first=first)
        )
        return started[-1]

    yield make
    for neovim in started:
        neovim.close()
