"""The example page with Monaco: binding and provider as npm has them, and nothing of ours."""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder
from tests.web_page.conftest import MakePeers, OpenPage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (Path(__file__).parents[2] / "examples" / "monaco" / "node_modules").exists(),
        reason="needs npm packages: npm install in examples/monaco",
    ),
]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "monaco"
BUILDS_WITHIN = 240  # seconds


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nobody reads it."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example, built and served on an origin of its own."""
    out = tmp_path_factory.mktemp("monaco")
    subprocess.run(
        ["npx", "vite", "build", "--outDir", str(out), "--emptyOutDir", "--logLevel", "error"],
        cwd=EXAMPLE,
        check=True,
        capture_output=True,
        timeout=BUILDS_WITHIN,
    )
    handler = functools.partial(_Quiet, directory=str(out))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_monaco_and_the_page_write_one_text(
    browser: Any, make_peers: MakePeers, open_page: OpenPage, example: str
) -> None:
    alice, bob = make_peers("alice", "bob", files={"a.md": b"# one\n"})
    with_origin = ControlClient(StateFolder(alice.folder).control_socket())
    with_origin.ask(schema.ServeWeb(origins=(example,)))
    with_origin.close()
    page = open_page(bob)
    page.open_text("a.md")

    context = browser.new_context()
    monaco = context.new_page()
    monaco.goto(example)
    monaco.fill("#address", alice.url)
    monaco.fill("#path", "a.md")
    monaco.click("button")
    monaco.locator("#state", has_text="a.md is live").wait_for()
    monaco.locator(".view-line", has_text="# one").click()
    monaco.keyboard.press("End")
    monaco.keyboard.type(" and Monaco")
    page.has_text("# one and Monaco\n")
    page.page.locator(".cm-caret-name", has_text="alice").wait_for(state="attached")
    page.type_at_end("from bob 🦊\n")

    monaco.locator(".view-line", has_text="from bob 🦊").wait_for()
    monaco.locator("[class*=yRemoteSelectionHead-]").first.wait_for(state="attached")
    alice.holds("a.md", "# one and Monaco\nfrom bob 🦊\n".encode())
    context.close()
