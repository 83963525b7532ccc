"""Real Yjs clients and one bridge: whatever they do, all end with the bridge's text.

The line between them is the test: it delays, cuts, and starts the node's part anew.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

import pytest

from meerkat.core.bridge import Bridge, Outgoing
from meerkat.core.editing import SessionId
from meerkat.core.edits import Edit, apply_edits
from meerkat.core.ports import Table
from meerkat.testing.memory_store import MemoryStore
from tests.interop.yjs_clients import YjsClients

VERSION = b"v" * 16
CONTENT = "# Notes\r\nwith é and 😀, and no newline at the end"
PIECES = ("x", "über ", "\r\n", "😀😀", "e\u0301", "漢")


@pytest.fixture
def yjs(npm_packages: None) -> Iterator[YjsClients]:
    with YjsClients() as clients:
        yield clients


class World:
    """A bridge, its clients, and the frames on their way."""

    def __init__(self, yjs: YjsClients, content: str, seed: int = 0) -> None:
        self.yjs = yjs
        self.random = random.Random(seed)
        self.store = MemoryStore()
        self.mirror = content  # what the pool's text would be: changed by what we are told alone
        self.sessions: dict[int, SessionId] = {}
        self.last = 0
        self.to_client: dict[int, deque[bytes]] = {}
        self.to_bridge: dict[int, deque[bytes]] = {}
        self.cursors: dict[int, tuple[tuple[int, int], ...]] = {}
        self.refused: dict[int, tuple[str, str]] = {}
        self.bridge = self.open_bridge()

    def open_bridge(self) -> Bridge:
        with self.store.transaction():
            return Bridge(self.store, VERSION, self.mirror, self.random.randbytes)

    def make(self, client: int, **what: object) -> None:
        self.yjs(client, "make", **what)

    def connect(self, client: int) -> None:
        self.last += 1
        self.sessions[client] = SessionId(self.last)
        self.to_client[client], self.to_bridge[client] = deque(), deque()
        self.send(self.bridge.join(self.sessions[client]))
        self.yjs(client, "connect")

    def disconnect(self, client: int) -> None:
        """What is on its way is lost."""
        self.yjs(client, "disconnect")
        self.yjs.take(client)
        session = self.sessions.pop(client)
        del self.to_client[client], self.to_bridge[client]
        self.cursors.pop(client, None)
        self.send(self.bridge.leave(session))

    def send(self, out: list[Outgoing]) -> None:
        clients = {session: client for client, session in self.sessions.items()}
        for session, frame in out:
            self.to_client[clients[session]].append(frame)

    def deliver_to_bridge(self, client: int, count: int = 1000) -> None:
        """Frames that the client sent reach the bridge."""
        self.to_bridge[client] += self.yjs.take(client)
        waiting = self.to_bridge[client]
        frames = [waiting.popleft() for _ in range(min(count, len(waiting)))]
        with self.store.transaction():
            received = self.bridge.receive(self.sessions[client], frames)
        for edits in received.edits:
            self.mirror = apply_edits(self.mirror, edits)
        assert self.mirror == self.bridge.text
        if received.cursors is not None:
            self.cursors[client] = received.cursors
        self.send(received.out)
        if received.refused is not None:
            self.refused[client] = received.refused
            self.disconnect(client)

    def deliver_to_client(self, client: int, count: int = 1000) -> None:
        waiting = self.to_client[client]
        frames = [waiting.popleft() for _ in range(min(count, len(waiting)))]
        self.yjs.hear(client, frames)

    def edit(self, edits: list[Edit]) -> None:
        """Another member types."""
        self.mirror = apply_edits(self.mirror, edits)
        with self.store.transaction():
            self.send(self.bridge.edit(edits))
        assert self.mirror == self.bridge.text

    def restart(self, *, kill: bool) -> None:
        """The node stops and starts; the clients notice later, when they connect again."""
        for client in list(self.sessions):
            self.disconnect(client)
        if not kill:
            with self.store.transaction():
                self.bridge.close()
        self.bridge = self.open_bridge()

    def settle(self) -> None:
        for _ in range(100):
            for client in list(self.sessions):
                self.deliver_to_client(client)
                self.deliver_to_bridge(client)
            if not any(self.to_client[c] or self.yjs.frames[c] for c in self.sessions):
                break
        else:
            raise AssertionError("the clients and the bridge never come to rest")

    def check(self) -> None:
        """All connected clients, and whoever comes anew, have the bridge's text."""
        self.settle()
        for client in self.sessions:
            assert self.yjs(client, "text") == self.bridge.text
        with self.store.transaction():
            self.bridge.close()
        again = self.open_bridge()
        assert again.text == self.bridge.text
        assert not list(self.store.scan(Table.BRIDGE, b"r")), "a reload changed something"
        self.check_newcomer()
        here, there = (self.bridge, self.sessions), (again, dict[int, SessionId]())
        self.bridge, self.sessions = there
        self.check_newcomer()
        self.bridge, self.sessions = here

    def check_newcomer(self) -> None:
        self.make(99)
        self.connect(99)
        self.settle()
        assert self.yjs(99, "text") == self.bridge.text
        self.disconnect(99)
        self.yjs(99, "destroy")


@pytest.fixture
def world(yjs: YjsClients) -> World:
    return World(yjs, CONTENT)


@pytest.mark.parametrize("seed", range(8))
def test_all_converge(yjs: YjsClients, seed: int) -> None:
    world = World(yjs, CONTENT if seed % 3 else "", seed)
    random_ = world.random
    for client in range(4):
        world.make(client, gc=client != 3)
        if random_.random() < 0.3:  # typed before it ever met us: kept, as y-websocket keeps it
            yjs(client, "insert", index=0, text=f"early {client} ")
        world.connect(client)
    for step in range(250):
        client = random_.randrange(4)
        dice = random_.random()
        if client not in world.sessions:
            if dice < 0.3:
                world.connect(client)
            else:
                yjs(client, "scribble", seed=step * 1000 + seed, count=3)
        elif dice < 0.4:
            count = random_.choice((1, 1, 1, 5))
            seed_ = step * 1000 + seed
            yjs(client, "scribble", seed=seed_, count=count, transact=random_.random() < 0.3)
        elif dice < 0.6:
            world.deliver_to_bridge(client, random_.randint(1, 6))
        elif dice < 0.8:
            world.deliver_to_client(client, random_.randint(1, 6))
        elif dice < 0.93:
            world.edit(some_edits(random_, world.mirror))
        elif dice < 0.95:
            yjs(client, "whole")
        elif dice < 0.99:
            world.disconnect(client)
        else:
            world.restart(kill=random_.random() < 0.5)
    for client in range(4):
        if client not in world.sessions:
            world.connect(client)
    assert world.refused == {}
    world.check()
    for client in range(4):
        assert yjs(client, "text") == world.bridge.text


def some_edits(random_: random.Random, text: str) -> list[Edit]:
    cuts = sorted(random_.choices(range(len(text) + 1), k=2 * random_.randint(1, 3)))
    return [
        Edit(start, min(end - start, 5), random_.choice((*PIECES, "")))
        for start, end in zip(cuts[::2], cuts[1::2], strict=True)
    ]


def test_a_page_that_outlives_the_node_brings_what_it_typed(world: World, yjs: YjsClients) -> None:
    world.make(1)
    world.connect(1)
    world.settle()
    world.restart(kill=True)
    yjs(1, "insert", index=0, text="offline 😀 ")
    world.edit([Edit(0, 2, "## ")])
    world.connect(1)
    world.settle()
    assert world.bridge.text == yjs(1, "text")
    assert world.bridge.text.startswith(("offline 😀 ## ", "## offline 😀 "))
    assert world.bridge.text.count("Notes") == 1


def test_what_the_disk_gained_while_nobody_ran_reaches_the_page(
    world: World, yjs: YjsClients
) -> None:
    world.make(1)
    world.connect(1)
    world.settle()
    world.mirror = world.mirror.replace("Notes", "Noten 😀")
    world.restart(kill=False)
    world.connect(1)
    world.settle()
    assert yjs(1, "text") == world.mirror


@pytest.mark.parametrize("content", [CONTENT, ""])
def test_a_page_of_a_lost_document_is_stale(content: str, yjs: YjsClients) -> None:
    """Merged, its text would be there twice."""
    world = World(yjs, content)
    world.make(1)
    world.connect(1)
    yjs(1, "insert", index=0, text="typed ")
    world.settle()
    text = world.bridge.text
    world.store = MemoryStore()
    world.restart(kill=True)
    world.connect(1)
    world.settle()
    assert world.refused[1][0] == "stale"
    assert world.bridge.text == text


def test_a_page_that_knows_more_of_us_than_we_do_is_stale(world: World, yjs: YjsClients) -> None:
    """A backup was put back: our next clocks would be others' past ones."""
    backup = world.store.snapshot()
    world.make(1)
    world.connect(1)
    world.edit([Edit(0, 0, "later ")])
    world.settle()
    world.store.restore(backup)
    world.mirror = CONTENT
    world.restart(kill=True)
    world.connect(1)
    world.settle()
    assert world.refused[1][0] == "stale"
    assert world.bridge.text == CONTENT


@pytest.mark.parametrize(
    ("act", "reason", "words"),
    [
        (("format", {"index": 0, "length": 3}), "protocol", "plain text"),
        (("embed", {}), "protocol", "plain text"),
        (("other", {}), "protocol", "plain text"),
        (("insert", {"index": 0, "text": "a\0b"}), "stale", "NUL"),
        (("remove", {"index": CONTENT.index("😀"), "length": 1}), "stale", "splits a character"),
        (("insert", {"index": 0, "text": "é" * 2_100_000}), "stale", "4 MiB"),
        (("insert", {"index": 0, "text": "a" * 9_000_000}), "stale", "4 MiB"),
    ],
)
def test_what_is_no_text_ends_the_session_and_changes_nothing(
    world: World,
    yjs: YjsClients,
    act: tuple[str, dict[str, object]],
    reason: str,
    words: str,
) -> None:
    for client in (1, 2):
        world.make(client)
        world.connect(client)
    world.settle()
    action, arguments = act
    yjs(1, action, **arguments)
    world.settle()
    assert world.refused[1][0] == reason
    assert words in world.refused[1][1]
    assert world.bridge.text == yjs(2, "text") == CONTENT
    yjs(2, "insert", index=0, text="goes on ")
    world.check()


def test_large_updates_of_all_kinds(world: World, yjs: YjsClients) -> None:
    for client in (1, 2):
        world.make(client)
        world.connect(client)
    world.settle()
    world.disconnect(1)
    yjs(1, "scribble", seed=1, count=2_000)
    world.connect(1)
    world.check()
    yjs(2, "scribble", seed=2, count=2_000, transact=True)
    world.check()
    yjs(1, "insert", index=0, text="é\r\n x" * 200_000 + "😀" * 50_000)
    world.check()
    yjs(1, "remove", index=0, length=999_000)
    world.check()
    assert world.refused == {}


def test_undo_and_redo_of_one_page_leave_the_others_text(world: World, yjs: YjsClients) -> None:
    for client in (1, 2):
        world.make(client)
        world.connect(client)
    world.settle()
    yjs(1, "insert", index=0, text="mine 😀 ")
    yjs(1, "remove", index=0, length=2)
    world.settle()
    yjs(2, "insert", index=3, text="THEIRS")
    world.settle()
    yjs(1, "undo")
    world.settle()
    assert world.bridge.text == "mine THEIRS😀 " + CONTENT
    yjs(1, "undo")
    yjs(1, "redo")
    yjs(1, "undo")
    world.check()
    assert world.bridge.text == "THEIRS" + CONTENT


def test_cursors_are_seen_both_ways(world: World, yjs: YjsClients) -> None:
    for client in (1, 2):
        world.make(client)
        world.connect(client)
    world.settle()
    text = world.bridge.text
    yjs(1, "select", anchor=0, head=len(text.encode("utf-16-le")) // 2)
    world.settle()
    assert world.cursors[1] == ((0, len(text)),)
    place = text.index("😀") + 1
    yjs(1, "insert", index=place + 1, text="😁!")  # JavaScript counts the emoji as two
    yjs(1, "select", field="selection", anchor=place + 3, head=place + 4)
    world.settle()
    assert world.cursors[1] == ((0, len(text) + 2),), "the field `cursor` goes first"
    (seen,) = [state for state in yjs(2, "states").values() if "cursor" in state]
    assert seen["found"]["cursor"] == [0, len(world.bridge.text.encode("utf-16-le")) // 2]

    world.send(world.bridge.show("someone", "Ada 😀", "#aabbcc", ((place, place + 2),)))
    world.settle()
    for client in (1, 2):
        (seen,) = [each for each in yjs(client, "states").values() if "user" in each]
        assert seen["user"] == {"name": "Ada 😀", "color": "#aabbcc", "colorLight": "#aabbcc33"}
        assert seen["found"] == {
            "cursor": [place + 1, place + 4],
            "selection": [place + 1, place + 4],
        }
    world.edit([Edit(0, 0, "😀")])
    world.settle()
    (seen,) = [each for each in yjs(2, "states").values() if "user" in each]
    assert seen["found"]["cursor"] == [place + 3, place + 6], "they move with their text"
    world.send(world.bridge.show("someone", "Ada 😀", "#aabbcc", ()))
    world.settle()
    assert not [each for each in yjs(2, "states").values() if "user" in each]
    world.send(world.bridge.show("someone", "Ada 😀", "#aabbcc", ((10**9, 0),)))
    world.settle()
    (seen,) = [each for each in yjs(2, "states").values() if "user" in each]
    assert seen["found"]["cursor"] == [len(world.bridge.text.encode("utf-16-le")) // 2, 0]

    world.disconnect(1)
    world.settle()
    assert [each["user"]["name"] for each in yjs(2, "states").values()] == ["Ada 😀"]


def test_a_cursor_comes_back_with_its_page(world: World, yjs: YjsClients) -> None:
    """Clocks go on where they were, so what is told at leaving may not be ahead of them."""
    for client in (1, 2):
        world.make(client)
        world.connect(client)
    world.settle()
    yjs(1, "select", anchor=1, head=2)
    world.settle()
    world.disconnect(1)
    world.settle()
    assert yjs(2, "states") == {}
    world.connect(1)
    world.settle()
    yjs(1, "select", anchor=3, head=3)
    world.settle()
    (seen,) = yjs(2, "states").values()
    assert seen["found"]["cursor"] == [3, 3]
    assert world.cursors[1] == ((3, 3),)
