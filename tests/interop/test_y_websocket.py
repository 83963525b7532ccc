"""Any Yjs program can join a text: the unmodified `y-websocket` provider of npm, at two members."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from meerkat.cli.demo_peer import DemoPeer, wait_for
from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder
from tests.interop.conftest import MakePeer
from tests.interop.tabs import Tabs

pytestmark = pytest.mark.slow

SOON = 30.0  # s
NOTES = "notes/ä 😀.md"
CONTENT = "# Notes\nwith é\r\nand 😀, and no newline at the end"  # mixed: each CR is a character
ROUNDS = 6
SCRIBBLES = 40  # edits of each tab in each round


@dataclass
class Two:
    """Two members with one text."""

    ada: DemoPeer
    ben: DemoPeer

    def on_disk(self) -> set[bytes]:
        return {(one.folder / NOTES).read_bytes() for one in (self.ada, self.ben)}


@pytest.fixture
def two(tabs: Tabs, peer: MakePeer) -> Two:
    # `tabs` first: without npm's packages nothing is started
    ada, ben = peer("ada"), peer("ben")
    (ada.folder / NOTES).parent.mkdir()
    (ada.folder / NOTES).write_bytes(CONTENT.encode())
    invitation = ada.start("share")["invitation"]
    ben.start("join", invitation)
    wait_for((ben.folder / NOTES).exists, "ben has the file", within=SOON)
    return Two(ada, ben)


def page(one: DemoPeer) -> str:
    """The address of its page."""
    with ControlClient(StateFolder(one.folder).control_socket()) as client:
        return str(client.ask(schema.ServeWeb())["url"])


def all_show(tabs: Tabs, two: Two, text: str, *names: str) -> None:
    for name in names:
        tabs.do("shows", tab=name, text=text)
    wait_for(lambda: two.on_disk() == {text.encode()}, "both files have it", within=SOON)


def test_two_members_tabs_write_into_one_text(tabs: Tabs, two: Two):
    tabs.open("a", page(two.ada), NOTES)
    tabs.open("b", page(two.ben), NOTES)
    for name in "ab":
        tabs.do("shows", tab=name, text=CONTENT)

    tabs.do("insert", tab="a", index=0, text="👩‍👩‍👧 before 漢\n")
    text = tabs.do("contains", tab="b", text="漢\n# Notes")["text"]
    tabs.do("remove", tab="b", index=0, length=len("👩‍👩‍👧".encode("utf-16-le")) // 2)

    assert text == "👩‍👩‍👧 before 漢\n" + CONTENT
    all_show(tabs, two, text.removeprefix("👩‍👩‍👧"), "a", "b")


def test_tabs_that_write_at_once_become_equal_with_both_files(tabs: Tabs, two: Two):
    pages = {"a": page(two.ada), "b": page(two.ben), "c": page(two.ben)}
    for name, address in pages.items():
        tabs.open(name, address, NOTES)
        tabs.do("synced", tab=name)
    seeds = itertools.count(1)

    for number in range(ROUNDS):
        for name in pages:
            tabs.do("scribble", tab=name, seed=next(seeds), count=SCRIBBLES)
        if number == ROUNDS // 2:  # one types on without a connection
            tabs.do("disconnect", tab="c")
            tabs.do("scribble", tab="c", seed=next(seeds), count=SCRIBBLES)
            tabs.do("connect", tab="c")
    for name in pages:
        tabs.do("insert", tab=name, index=0, text=f"<the last of {name}>")
    for one, other in itertools.permutations(pages, 2):
        tabs.do("contains", tab=one, text=f"<the last of {other}>")
    text = tabs.do("alike", some=list(pages))["text"]

    all_show(tabs, two, text, *pages)


def test_cursors_are_at_the_right_character_on_the_other_side(tabs: Tabs, two: Two):
    tabs.open("a", page(two.ada), NOTES)
    tabs.open("b", page(two.ben), NOTES)
    for name in "ab":
        tabs.do("synced", tab=name)
    place = CONTENT.index(", and") + 1  # after the emoji, in UTF-16: one more than code points

    tabs.do("cursor", tab="a", name="Ada", color="#aa0000", anchor=place, head=place + 4)
    (seen,) = tabs.do("others", tab="b", count=1)["others"]
    assert (seen["anchor"], seen["head"]) == (place, place + 4)

    tabs.do("leave", tab="a")
    assert tabs.do("others", tab="b", count=0)["others"] == []


def test_a_tab_outlives_a_restart_of_its_node_and_keeps_what_was_typed(tabs: Tabs, two: Two):
    tabs.open("a", page(two.ada), NOTES)
    tabs.do("insert", tab="a", index=0, text="online, ")
    tabs.do("synced", tab="a")
    wait_for(lambda: two.ben.has(NOTES, "online, #"), "ben has it", within=SOON)
    two.ada.stop()
    tabs.do("insert", tab="a", index=0, text="offline 😀, ")

    two.ada.start("up")
    page(two.ada)  # whoever opens the page again starts its server

    all_show(tabs, two, "offline 😀, online, " + CONTENT, "a")


@pytest.mark.parametrize(
    ("room", "token", "code"),
    [(NOTES, "wrong", 4401), (NOTES, "", 4401), ("missing.md", None, 4404)],
)
def test_a_refused_tab_is_told_why(tabs: Tabs, two: Two, room: str, token: str | None, code: int):
    tabs.open("a", page(two.ada), room, token=token)

    refusal = tabs.do("refused", tab="a")

    assert refusal["code"] == code
    assert refusal["reason"]


def test_a_file_that_is_deleted_closes_its_tabs_and_not_the_others(
    tabs: Tabs, two: Two, tmp_path: Path
):
    (two.ada.folder / "other.md").write_text("other\n")
    wait_for(lambda: two.ben.has("other.md", "other"), "ben has it", within=SOON)
    tabs.open("a", page(two.ada), NOTES)
    tabs.open("other", page(two.ada), "other.md")
    for name in ("a", "other"):
        tabs.do("synced", tab=name)

    (two.ben.folder / NOTES).unlink()

    assert tabs.do("refused", tab="a")["code"] in (4410, 4404)
    tabs.do("insert", tab="other", index=0, text="still ")
    wait_for(lambda: two.ben.has("other.md", "still other"), "ben has it", within=SOON)
