"""A peer whose page is served, and the page on a screen, in words of what a person does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from meerkat.cli.demo_peer import DemoPeer, wait_for
from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder

WITHIN = 20.0  # seconds; a busy machine is not a bug
# What Chromium reports of a connection that is refused while a process is down, on purpose.
EXPECTED = re.compile(r"WebSocket connection to .* failed|Failed to load resource|ERR_CONNECTION")


# What is the browser's own: its PDF viewer.
OWN = ("blob:", "chrome:", "chrome-extension:")


class Peer(DemoPeer):
    """A real process and its page."""

    def __init__(self, name: str, place: Path) -> None:
        super().__init__(name, place)
        self.url = ""

    def serve_web(self) -> None:
        """Serve the page; its address is in ``url``."""
        client = ControlClient(StateFolder(self.folder).control_socket())
        try:
            self.url = str(client.ask(schema.ServeWeb())["url"])
        finally:
            client.close()

    def holds(self, path: str, content: bytes) -> None:
        """Wait until a file is exactly this."""
        target = self.folder / path
        wait_for(
            lambda: target.is_file() and target.read_bytes() == content,
            f"{self.name} has {path} as {content!r}",
            within=WITHIN,
        )

    def lacks(self, path: str) -> None:
        """Wait until there is no such file."""
        target = self.folder / path
        wait_for(lambda: not target.exists(), f"{self.name} lacks {path}", within=WITHIN)


class Screen:
    """A page in a browser of its own: no cookies, no storage of the others."""

    def __init__(self, browser: Any, peer: Peer, path: str, options: dict[str, Any]) -> None:
        self.peer = peer
        self.faults: list[str] = []
        self.strangers: list[str] = []
        self._origin = peer.url.partition("/#")[0]
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, **options}
        )
        self.context.set_default_timeout(WITHIN * 1000)
        self.page = self.new_page()
        self.page.goto(peer.url + (f"&/{path}" if path else ""))
        self.page.locator(".light:not(.off)").wait_for()

    def new_page(self) -> Any:
        """Another tab of the same browser, watched like the first."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._on_console)
        page.on("request", self._on_request)
        return page

    def _on_console(self, message: Any) -> None:
        if message.type == "error" and not EXPECTED.search(message.text):
            self.faults.append(message.text)

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self._origin, *OWN)):
            self.strangers.append(request.url)

    def close(self) -> None:
        self.context.close()

    # -- what a person sees ----------------------------------------------------------------

    def row(self, path: str) -> Any:
        """The row of the tree for a path."""
        return self.page.locator(f'.row[id="row-{_component(path)}"]')

    @property
    def lines(self) -> Any:
        """The lines of the text in front."""
        return self.page.locator(".cm-content .cm-line")

    def text(self) -> str:
        """The text in front, as the editor has it: what a mark shows is a character of it."""
        return str(self.page.evaluate(f"({TEXT})()"))

    def has_text(self, text: str) -> None:
        """Wait until the text in front is exactly this."""
        self.page.wait_for_function(f"text => ({TEXT})() === text", arg=text)
        assert self.text() == text

    def saved(self) -> None:
        """Wait until the folder's process has what was typed."""
        self.page.locator(".saved.saved", has_text="Saved").wait_for()

    # -- what a person does ----------------------------------------------------------------

    def open(self, path: str) -> None:
        """Open a file by the palette and wait for its text."""
        self.page.keyboard.press("Control+p")
        self.page.keyboard.type(path)
        self.page.keyboard.press("Enter")
        self.page.locator(".palette").wait_for(state="detached")
        self.page.locator(".tab.front", has_text=path.rpartition("/")[2]).wait_for()

    def open_text(self, path: str) -> None:
        self.open(path)
        self.page.locator(".cm-content").wait_for()
        self.page.locator(".saved").wait_for()

    def type_at_end(self, text: str) -> None:
        """Type after everything else in the text in front."""
        self.page.locator(".cm-content").focus()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text)

    def say(self, text: str) -> None:
        """In the chat."""
        self.page.locator(".writing textarea").fill(text)
        self.page.keyboard.press("Enter")


# As CodeMirror's own EditorView.findFromDOM looks for it: rows of a long text are not all drawn.
TEXT = (
    """() => document.querySelector('.cm-content')?.cmTile?.root?.view?.state.sliceDoc() ?? null"""
)


def _component(path: str) -> str:
    """As JavaScript's encodeURIComponent."""
    return quote(path, safe="-_.!~*'()")
