"""A node that a test looks into, and a pool folder whose control socket it answers."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meerkat.control.server import ControlServer
from meerkat.core.ids import MemberId
from meerkat.errors import InvitationError, MeerkatError, NotRunning, UnknownMember
from meerkat.node.editors import Editors
from meerkat.node.home import locked
from meerkat.node.mind import Mind
from meerkat.node.options import NodeConfig
from meerkat.node.requests import Requests
from meerkat.node.rows_host import RowsHost
from meerkat.node.share import share

ALICE, BOB, CAROL = "aa" * 32, "bb" * 32, "cc" * 32
NAMES = {ALICE: "alice", BOB: "bob", CAROL: "Carol Ann"}
NOON_MS = 1_795_262_400_000  # 2026-11-21, noon UTC


def chat_event(text: str, member: str = BOB, to: str = "", **more: Any) -> dict[str, Any]:
    """Somebody said something."""
    facts = {
        "id": f"{abs(hash((text, member, to))):x}",
        "from": member,
        "name": NAMES[member],
        "to": to,
        "to_name": NAMES.get(to, ""),
        "text": text,
        "wall_ms": NOON_MS,
        "own": member == ALICE,
        "old": False,
    }
    return {"event": "chat", **facts, **more}


def node(author: str, *neighbors: str, **more: Any) -> dict[str, Any]:
    """A peer in the picture of the network."""
    facts = {
        "author": author,
        "member": author,
        "name": NAMES.get(author, f"peer {author[:4]}"),
        "here": True,
        "linked": ALICE in neighbors,
        "degree": len(neighbors),
        "neighbors": list(neighbors),
        "dialable": True,
        "age": 3.0,
    }
    return {**facts, **more}


def _nobody() -> Mind:
    raise NotRunning("Nobody decides here.")


def _nothing_runs(work: object) -> asyncio.Task[None]:
    raise AssertionError("a fake node runs nothing")


NOBODY = (MemberId(bytes.fromhex(ALICE)), lambda event: None, _nobody, NodeConfig())


class FakeRequests:
    """What a peer would answer. Alice is us."""

    def __init__(self, publish: Callable[[dict[str, Any]], None]) -> None:
        self._publish = publish
        self.said: list[tuple[str, str]] = []
        self.published: list[bytes] = []
        self.names: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.nodes = [node(ALICE, BOB), node(BOB, ALICE, CAROL), node(CAROL, BOB)]
        self.gate = asyncio.Event()  # echoes wait for it
        self.gate.set()

    def _find(self, name: str) -> str:
        for member, known in NAMES.items():
            if known.lower() == name.lower():
                return member
        raise UnknownMember(f"Nobody is called {name!r} here. The members are: alice, bob.")

    async def say(self, text: str, to: str = "") -> dict[str, Any]:
        if text == "refuse":
            raise MeerkatError("This is refused.")
        member = self._find(to) if to else ""
        self.said.append((text, member))
        event = chat_event(text, ALICE, member)
        self._publish(event)
        if member == BOB:
            told = {"event": "delivered", "id": event["id"], "to_name": "bob"}
            self._publish({**told, "hops": 3, "seconds": 0.0412})
        elif member:
            self._publish({"event": "waiting", "id": event["id"], "to_name": NAMES[member]})
        return {"id": event["id"]}

    async def rename(self, name: str) -> dict[str, Any]:
        self.names.append(name)
        return {"name": name}

    async def publish(self, data: bytes) -> dict[str, Any]:
        self.published.append(data)
        return {}

    async def echo(self, peer: str, *, size: int, near: bool) -> dict[str, Any]:
        await self.gate.wait()
        if self._find(peer) == CAROL:
            raise MeerkatError("Carol Ann did not answer.")
        return {"seconds": 0.0123, "hops": 2, "back": 3, "via": "dave", "near": near, "size": size}

    async def set_live(self, path: str, *, live: bool) -> dict[str, Any]:
        raise MeerkatError(f"{path} is no database.")

    def databases(self) -> list[dict[str, Any]]:
        return []

    def author_name(self, author: bytes) -> str:
        return NAMES.get(author.hex(), author.hex())

    def find(self, peer: str) -> dict[str, Any]:
        member = self._find(peer)
        return {"member": member, "name": NAMES[member]}

    def chat_history(self, limit: int) -> list[dict[str, Any]]:
        return self.lines[-limit:] if limit else []

    def network(self) -> dict[str, Any]:
        return {"author": ALICE, "nodes": self.nodes}

    def files(self) -> list[dict[str, Any]]:
        return [{"path": "notes.txt", "kind": "text", "size": 3}]

    def people(self) -> list[dict[str, Any]]:
        return []


class FakeDesk:
    """Everything that the control server asks for."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self.requests = FakeRequests(self.publish)
        self.editors = Editors(
            lambda event: None, lambda session, frame: None, Requests(*NOBODY), NodeConfig()
        )
        self.rows = RowsHost(  # no database is live, so it never starts its process
            Path(), spawn=_nothing_runs, reported=lambda reports: None, restarted=lambda: None
        )
        self.stopped = False
        self.cuts: list[frozenset[bytes]] = []

    def publish(self, event: dict[str, Any]) -> None:
        for listener in list(self.listeners):
            listener(event)

    def message(self, data: bytes, member: str = BOB) -> None:
        event = {"event": "message", "author": member, "from": member, "name": NAMES[member]}
        self.publish({**event, "data": b64encode(data).decode()})

    def describe(self) -> dict[str, Any]:
        peer: dict[str, Any] = {
            "author": BOB,
            "member": BOB,
            "name": "bob",
            "address": "192.0.2.2:7337",
        }
        peer |= {"direction": "out", "in_sync": True, "kind": "own", "degree": 2, "since": 90.0}
        members = [
            {"member": member, "name": name, "role": "writer", "linked": member == BOB}
            for member, name in NAMES.items()
        ]
        about = {"files": 3, "pool_name": "ünïcode \u2028", "name": "alice", "running": True}
        return about | {"member": ALICE, "author": ALICE, "peers": [peer], "members": members}

    async def invite(self, *, uses: int, lifetime: float) -> str:
        if uses == 13:
            raise InvitationError("Not thirteen.")
        if uses == 14:
            raise ZeroDivisionError
        return f"{uses} {lifetime}"

    def request_stop(self) -> None:
        self.stopped = True

    def cut(self, members: frozenset[bytes]) -> None:
        self.cuts.append(members)

    def subscribe(self, listener: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener) if listener in self.listeners else None


class ServedFolder:
    """A folder that is shared, and a desk that answers for it in another thread."""

    def __init__(self, folder: Path, desk: FakeDesk, loop: asyncio.AbstractEventLoop) -> None:
        self.folder = folder
        self.desk = desk
        self._loop = loop

    def publish(self, event: dict[str, Any]) -> None:
        """Everyone who listens hears it."""
        self.call(self.desk.publish, event)

    def call(self, work: Callable[..., None], *arguments: Any) -> None:
        """In the desk's thread."""
        self._loop.call_soon_threadsafe(work, *arguments)


@contextmanager
def served_folder(place: Path) -> Iterator[ServedFolder]:
    """Until the block ends."""
    folder = place / "notes"
    folder.mkdir()
    ready, end = threading.Event(), asyncio.Event()
    found: list[ServedFolder] = []

    async def serve() -> None:
        with locked(folder) as state:
            share(state, name="alice").close()
            desk = FakeDesk()
            async with ControlServer(state.prepare_control_socket(), desk):
                found.append(ServedFolder(folder, desk, asyncio.get_running_loop()))
                ready.set()
                await end.wait()
            state.remove_control_socket()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        found[0]._loop.call_soon_threadsafe(end.set)
        thread.join()
