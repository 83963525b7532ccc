"""Real peers, and a real browser that looks at their pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web_page.pages import Peer, Screen

CHROMIUM = "/usr/bin/chromium"
# As root, without a network, and asking nobody for updates.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SOURCE = Path(__file__).resolve().parents[2] / "src"
BUILT = SOURCE / "meerkat" / "web" / "page" / "index.html"

OpenPage = Callable[..., Screen]
MakePeers = Callable[..., list[Peer]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; the tests that need it are skipped where it is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")
    if not os.path.exists(CHROMIUM):
        pytest.skip("needs chromium: install it with the system's packages to include it")
    assert BUILT.exists(), "the page was not built: make page"
    # Stopped with the module: its loop must not run while other tests run theirs.
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Open a peer's page. In the end: nothing failed in it, and it asked nobody else."""
    screens: list[Screen] = []

    def make(peer: Peer, *, path: str = "", **options: Any) -> Screen:
        screens.append(Screen(browser, peer, path, options))
        return screens[-1]

    yield make
    for screen in screens:
        screen.close()
    for screen in screens:
        assert not screen.faults, screen.faults
        assert not screen.strangers, screen.strangers


@pytest.fixture(scope="module")
def make_peers(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakePeers]:
    """Real processes that share a folder: the first shares what is in ``files``."""
    made: list[Peer] = []

    def make(*names: str, files: dict[str, bytes]) -> list[Peer]:
        place = tmp_path_factory.mktemp("peers")
        peers = [Peer(name, place) for name in names]
        made.extend(peers)
        for path, content in files.items():
            target = peers[0].folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        invitation = peers[0].start("share")["invitation"]
        for peer in peers[1:]:
            peer.start("join", invitation)
        for peer in peers:
            peer.serve_web()
        return peers

    with pytest.MonkeyPatch.context() as patch:
        paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.delenv("MEERKAT_INVITATION", raising=False)
        yield make
        for peer in made:
            peer.stop()
            shutil.rmtree(peer.folder, ignore_errors=True)
