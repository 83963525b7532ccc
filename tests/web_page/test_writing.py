"""People write one text on pages of different machines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from meerkat.cli.demo_peer import wait_for
from tests.web_page.conftest import MakePeers, OpenPage
from tests.web_page.pages import WITHIN, Peer

pytestmark = pytest.mark.slow

FILES = {
    "notes.md": b"# Notes\n\none\ntwo\n",
    "mixed.txt": b"unix\nwindows\r\nold mac\rend",
    "undo.txt": b"start\n",
    "cursors.txt": b"first line\nsecond line\n",
    "away.txt": b"before\n",
    "renamed.txt": b"here\n",
    "gone.txt": b"not for long\n",
    "stale.txt": b"as it was\n",
    "marks.txt": "bell\x07 esc\x1b[31m turn\u202earound\r\n".encode(),
    "old.txt": b"old\n",
}


@pytest.fixture(scope="module")
def peers(make_peers: MakePeers) -> list[Peer]:
    return make_peers("alice", "bob", files=FILES)


def test_two_pages_on_two_machines_are_one_text(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    for screen in (alice, bob):
        screen.open_text("notes.md")

    alice.page.locator(".cm-line", has_text="one").click()
    alice.page.keyboard.press("End")
    alice.page.keyboard.type(" 🦊 👨‍👩‍👧 é")
    bob.type_at_end("three\n🦦\n")

    both = "# Notes\n\none 🦊 👨‍👩‍👧 é\ntwo\nthree\n🦦\n"
    alice.has_text(both)
    bob.has_text(both)
    for peer in peers:
        peer.holds("notes.md", both.encode())


def test_line_ends_of_every_kind_survive(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    for screen in (alice, bob):
        screen.open_text("mixed.txt")
        screen.has_text("unix\nwindows\r\nold mac\rend")

    alice.type_at_end("!\nmore 😀")
    bob.has_text("unix\nwindows\r\nold mac\rend!\nmore 😀")
    bob.page.locator(".cm-line", has_text="windows").click()
    bob.page.keyboard.press("Home")
    bob.page.keyboard.type("x")

    wanted = "unix\nxwindows\r\nold mac\rend!\nmore 😀"
    for screen, peer in ((alice, peers[0]), (bob, peers[1])):
        screen.has_text(wanted)
        peer.holds("mixed.txt", wanted.encode())


def test_what_cannot_be_seen_has_a_mark(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    screen.open_text("marks.txt")

    marks = screen.page.locator(".cm-mark")

    marks.nth(2).wait_for()
    assert marks.all_inner_texts()[:3] == ["BEL", "ESC", "RLO"]


def test_undo_takes_back_only_ones_own(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    for screen in (alice, bob):
        screen.open_text("undo.txt")
    alice.type_at_end("alice's\n")
    bob.has_text("start\nalice's\n")
    bob.type_at_end("bob's\n")
    alice.has_text("start\nalice's\nbob's\n")

    alice.page.keyboard.press("Control+z")
    bob.has_text("start\nbob's\n")
    alice.page.keyboard.press("Control+z")  # nothing more of hers
    alice.page.keyboard.press("Control+Shift+Z")

    bob.has_text("start\nalice's\nbob's\n")
    alice.has_text("start\nalice's\nbob's\n")


def test_everyone_sees_who_is_where(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    for screen in (alice, bob):
        screen.open_text("cursors.txt")
    bob.page.locator(".cm-line", has_text="second").click()
    bob.page.keyboard.press("Home")
    bob.page.keyboard.press("Shift+End")

    alice.page.locator(".cm-caret-name", has_text="bob").wait_for(state="attached")
    alice.page.locator(".cm-others-selection").first.wait_for(state="attached")
    alice.row("cursors.txt").locator(".dot").wait_for()
    alice.page.locator(".person", has_text="bob").get_by_text("cursors.txt").wait_for()
    caret = alice.page.locator(".cm-caret").bounding_box()
    line = alice.page.locator(".cm-line", has_text="second").bounding_box()
    assert line["y"] - 4 <= caret["y"] <= line["y"] + line["height"]

    bob.close()
    alice.page.locator(".cm-caret").wait_for(state="detached")


def test_one_follows_another_from_file_to_file(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    bob.open_text("cursors.txt")
    alice.page.locator(".person", has_text="bob").get_by_text("cursors.txt").wait_for()

    alice.page.locator(".person-main", has_text="bob").click()

    alice.page.locator(".tab.front", has_text="cursors.txt").wait_for()
    alice.page.locator(".banner.follow", has_text="Following bob").wait_for()
    alice.page.locator(".cm-content").press("ArrowDown")
    alice.page.locator(".banner.follow").wait_for(state="detached")


def test_what_is_typed_while_the_process_is_away_arrives(
    peers: list[Peer], open_page: OpenPage
) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    alice.open_text("away.txt")
    bob.open_text("away.txt")
    peers[1].kill()
    bob.page.locator(".banner", has_text="Not connected").wait_for()

    bob.type_at_end("typed alone\n")
    bob.page.locator(".saved", has_text="Kept in this tab").wait_for()
    alice.type_at_end("meanwhile\n")
    peers[1].start("up")
    peers[1].serve_web()

    bob.page.locator(".saved", has_text="Saved").wait_for()
    wait_for(lambda: alice.text() == bob.text(), "one text", within=WITHIN)
    assert sorted(alice.text().splitlines()) == ["before", "meanwhile", "typed alone"]
    bob.page.locator(".banner").wait_for(state="detached")


def test_a_text_that_is_renamed_elsewhere_goes_on(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers)
    alice.open_text("renamed.txt")
    bob.open_text("renamed.txt")

    (peers[1].folder / "renamed.txt").rename(peers[1].folder / "other.txt")

    alice.page.locator(".tab.front", has_text="other.txt").wait_for()
    bob.page.locator(".tab.front", has_text="other.txt").wait_for()
    alice.type_at_end("and now\n")
    bob.has_text("here\nand now\n")
    peers[1].holds("other.txt", b"here\nand now\n")


def test_a_text_that_is_deleted_can_be_put_back(peers: list[Peer], open_page: OpenPage) -> None:
    alice = open_page(peers[0])
    alice.open_text("gone.txt")

    (peers[1].folder / "gone.txt").unlink()
    banner = alice.page.locator(".banner.bad")
    banner.wait_for()
    assert alice.text() == "not for long\n"
    peers[0].lacks("gone.txt")
    banner.get_by_text("Put it back from here").click()

    banner.wait_for(state="detached")
    alice.page.locator(".saved", has_text="Saved").wait_for()
    peers[1].holds("gone.txt", b"not for long\n")
    alice.type_at_end("after all\n")
    peers[1].holds("gone.txt", b"not for long\nafter all\n")


class Interrupted:
    """The page's connections to a text; the newest can be silenced and ended by a test."""

    def __init__(self) -> None:
        self.newest: Any = None
        self.silent: Any = None

    def connect(self, route: Any) -> None:
        server = route.connect_to_server()
        self.newest = route

        def pass_on(message: str | bytes) -> None:
            if self.silent is not route:
                server.send(message)

        route.on_message(pass_on)

    def silence(self) -> None:
        """What the page says from now on is not heard."""
        self.silent = self.newest

    def end(self) -> None:
        """As the folder's process does if a document is of another time."""
        self.newest.close(code=4409, reason="This document is of another time.")


def test_a_stale_document_is_replaced_and_ones_typing_kept(
    peers: list[Peer], open_page: OpenPage
) -> None:
    line = Interrupted()
    screen = open_page(peers[0])
    screen.page.route_web_socket(re.compile(r"/yjs/stale\.txt"), line.connect)
    screen.open_text("stale.txt")
    line.silence()
    screen.type_at_end("never sent\n")

    line.end()

    banner = screen.page.locator(".banner.bad", has_text="What you had typed meanwhile")
    banner.wait_for()
    screen.has_text("as it was\n")
    banner.get_by_text("Show my version").click()
    screen.page.locator(".compare .cm-content", has_text="never sent").wait_for()
    screen.page.get_by_text("Make the text like mine").click()
    banner.wait_for(state="detached")
    screen.has_text("as it was\nnever sent\n")
    peers[1].holds("stale.txt", b"as it was\nnever sent\n")


def test_a_stale_document_without_own_typing_is_replaced_in_silence(
    peers: list[Peer], open_page: OpenPage
) -> None:
    line = Interrupted()
    screen = open_page(peers[0])
    screen.page.route_web_socket(re.compile(r"/yjs/old\.txt"), line.connect)
    screen.open_text("old.txt")
    screen.type_at_end("new\n")
    screen.saved()
    first = line.newest

    line.end()

    while line.newest is first:
        screen.page.evaluate("1")  # lets the browser's news in
    screen.saved()
    screen.has_text("old\nnew\n")
    assert screen.page.locator(".banner").count() == 0
