"""The page by keyboard alone, on a phone, and for who cannot see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meerkat.cli.demo_peer import wait_for
from tests.web_page.conftest import MakePeers, OpenPage
from tests.web_page.pages import WITHIN, Peer, Screen

pytestmark = pytest.mark.slow

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
}
FILES = {
    "readme.md": b"# Hello\n\nA *text* with `code`.\n",
    "src/main.py": b"def main() -> None:\n    print('hello')\n",
}


@pytest.fixture(scope="module")
def peers(make_peers: MakePeers) -> list[Peer]:
    return make_peers("alice", "bob", files=FILES)


def focused(screen: Screen) -> str:
    return str(
        screen.page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.className"
        )
    )


def test_everything_by_keyboard_alone(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    keyboard = screen.page.keyboard
    screen.row("src").wait_for()

    keyboard.press("Alt+f")
    wait_for(lambda: focused(screen) == "Files", "the tree has the focus", within=WITHIN)
    keyboard.press("Home")
    keyboard.press("ArrowRight")
    screen.row("src/main.py").wait_for()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    screen.page.locator(".tab.front", has_text="main.py").wait_for()
    wait_for(lambda: "main.py" in focused(screen), "the text has the focus", within=WITHIN)
    keyboard.press("Control+End")
    keyboard.type("# by keyboard")
    peers[1].holds("src/main.py", FILES["src/main.py"] + b"# by keyboard")

    keyboard.press("Escape")
    keyboard.press("Tab")
    assert "main.py" not in focused(screen)

    keyboard.press("Alt+n")
    screen.page.get_by_label("Name of the file").wait_for()
    keyboard.type("keys.txt")
    keyboard.press("Enter")
    screen.page.locator(".tab.front", has_text="keys.txt").wait_for()
    peers[1].holds("src/keys.txt", b"")
    screen.row("src/keys.txt").wait_for()
    keyboard.press("Alt+f")
    keyboard.press("F2")
    screen.page.get_by_label("New name of keys.txt").wait_for()
    keyboard.press("Control+a")
    keyboard.type("renamed.txt")
    keyboard.press("Enter")
    peers[1].holds("src/renamed.txt", b"")
    screen.row("src/renamed.txt").wait_for()

    keyboard.press("Alt+f")
    wait_for(lambda: focused(screen) == "Files", "the tree has the focus", within=WITHIN)
    keyboard.press("End")
    keyboard.press("Home")
    keyboard.type("rena")
    keyboard.press("Delete")
    dialog = screen.page.locator("dialog.ask")
    dialog.wait_for()
    keyboard.press("Tab")
    keyboard.press("Enter")
    peers[1].lacks("src/renamed.txt")

    keyboard.press("Alt+c")
    keyboard.type("said by keyboard")
    keyboard.press("Enter")
    screen.page.locator(".line", has_text="said by keyboard").wait_for()
    keyboard.press("Escape")
    keyboard.press("?")
    screen.page.get_by_role("heading", name="Keyboard shortcuts").wait_for()
    keyboard.press("Escape")
    screen.page.locator("dialog").wait_for(state="detached")


def test_on_a_phone_panels_are_sheets(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0], **PHONE)
    page = screen.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.get_by_role("button", name="Files", exact=True).click()
    screen.row("readme.md").click()
    page.locator(".cm-content").wait_for()
    page.locator(".sheet").wait_for(state="detached")
    width = page.locator(".cm-editor").bounding_box()["width"]
    assert width >= 380
    screen.type_at_end("from a phone\n")
    peers[1].holds("readme.md", FILES["readme.md"] + b"from a phone\n")

    page.get_by_role("button", name="Chat").click()
    screen.say("with one hand")
    page.locator(".sheet .line", has_text="with one hand").wait_for()
    page.get_by_role("button", name="Map").click()
    page.locator(".sheet .peer", has_text="bob").wait_for()
    page.get_by_role("button", name="Text").click()
    page.locator(".sheet").wait_for(state="detached")


def faults_of(screen: Screen, *, without: tuple[str, ...] = ()) -> list[Any]:
    """What axe finds, at the levels A and AA of WCAG 2.2."""
    screen.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = screen.page.evaluate(
        """async () => (await axe.run(document, {
          runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
        })).violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 200))])"""
    )
    return [one for one in found if one[0] not in without]


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make npm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(peers: list[Peer], open_page: OpenPage, scheme: str) -> None:
    screen = open_page(peers[0], color_scheme=scheme, reduced_motion="reduce")
    other = open_page(peers[1])
    other.open_text("src/main.py")
    other.type_at_end(" ")
    screen.open_text("src/main.py")
    screen.say("something to read")
    screen.page.locator(".line", has_text="something to read").first.wait_for()
    screen.page.locator(".tok-keyword").first.wait_for()
    assert faults_of(screen) == []

    for key in ("Control+k", "Alt+m", "Alt+i"):
        screen.page.keyboard.press(key)
        screen.page.locator("dialog").wait_for()
        assert faults_of(screen) == []
        screen.page.keyboard.press("Escape")
        screen.page.locator("dialog").wait_for(state="detached")
    screen.page.locator(".cm-content").focus()
    screen.page.keyboard.press("Control+f")
    screen.page.locator(".cm-search").wait_for()
    assert faults_of(screen) == []


def test_without_motion_nothing_moves(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0], reduced_motion="reduce")
    screen.page.locator(".side .peer", has_text="bob").wait_for()
    running = screen.page.evaluate(
        "document.getAnimations().filter(one => one.playState === 'running'"
        " && one.effect.getTiming().duration > 1).length"
    )

    assert running == 0
