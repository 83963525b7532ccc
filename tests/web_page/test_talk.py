"""Chat, people, the map, and who gets in."""

from __future__ import annotations

import pytest

from tests.web_page.conftest import MakePeers, OpenPage
from tests.web_page.pages import Peer

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script> \u202eabc\u202c \x1b[2J javascript:alert(1)"


@pytest.fixture(scope="module")
def peers(make_peers: MakePeers) -> list[Peer]:
    return make_peers("alice", "bob", "carla smith", files={"a.txt": b"a\n"})


def test_what_is_said_to_all_reaches_all(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers[:2])

    alice.say("hello everyone 👋")

    bob.page.locator(".line", has_text="hello everyone 👋").wait_for()
    assert bob.page.locator(".line-head", has_text="alice").count() >= 1
    later = open_page(peers[2])
    later.page.locator(".line-text", has_text="hello everyone 👋").wait_for()


def test_what_is_said_to_one_reaches_that_one_alone(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob, carla = (open_page(peer) for peer in peers)

    alice.say("@carla smith a secret")
    carla.page.locator(".line.private", has_text="a secret").wait_for()
    assert "to you alone" in carla.page.locator(".line.private").last.inner_text()
    alice.page.locator(".line-fate", has_text="arrived").last.wait_for()
    alice.say("for all again")

    bob.page.locator(".line", has_text="for all again").wait_for()
    assert bob.page.get_by_text("a secret").count() == 0


def test_a_name_that_nobody_has_is_not_said_to_all(peers: list[Peer], open_page: OpenPage) -> None:
    alice = open_page(peers[0])

    alice.say("@nobody psst")

    alice.page.locator(".toast.bad", has_text="Nobody here has that name").wait_for()
    assert alice.page.locator(".writing textarea").input_value() == "@nobody psst"


def test_what_others_say_is_only_text(peers: list[Peer], open_page: OpenPage) -> None:
    alice, bob = (open_page(peer) for peer in peers[:2])

    alice.say(HOSTILE)

    line = bob.page.locator(".line-text", has_text="javascript:alert(1)")
    line.wait_for()
    text = line.inner_text()
    assert text == "<script>alert(1)</script> \ufffdabc\ufffd \ufffd[2J javascript:alert(1)"
    assert line.locator("*").count() == 0


def test_the_map_shows_who_is_linked_and_who_leaves(peers: list[Peer], open_page: OpenPage) -> None:
    alice = open_page(peers[0])
    alice.page.locator(".side .peer", has_text="bob").wait_for()
    alice.page.locator(".section-words", has_text="3 peers here, 3 links").wait_for()

    peers[1].stop()

    alice.page.locator(".section-words", has_text="2 peers here, 1 link").wait_for()
    alice.page.locator(".person.away", has_text="bob").wait_for()
    peers[1].start("up")
    peers[1].serve_web()
    alice.page.locator(".section-words", has_text="3 peers here").wait_for()


def test_without_its_link_the_page_asks_for_it(peers: list[Peer], open_page: OpenPage) -> None:
    screen = open_page(peers[0])
    address = peers[0].url.partition("#")[0]
    assert "token" not in screen.page.url

    second = screen.new_page()  # the same browser: knows the token
    second.goto(address)
    second.locator(".light:not(.off)").wait_for()

    stranger = open_page(peers[0])
    stranger.page.evaluate("localStorage.clear()")
    other = stranger.new_page()
    other.goto(address)
    other.get_by_text("This page needs its link").wait_for()
    wrong = stranger.new_page()
    wrong.goto(address + "#token=wrong")
    wrong.get_by_text("This page needs its link").wait_for()
    wrong.goto(peers[0].url)  # only the fragment changes: the page is not loaded anew
    wrong.locator(".light:not(.off)").wait_for()


def test_a_page_that_is_loaded_again_shows_the_same_file(
    peers: list[Peer], open_page: OpenPage
) -> None:
    screen = open_page(peers[0])
    screen.open_text("a.txt")
    assert screen.page.url.endswith("#/a.txt")

    screen.page.reload()

    screen.page.locator(".tab.front", has_text="a.txt").wait_for()
    screen.has_text("a\n")
