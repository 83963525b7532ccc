"""A folder in memory that speaks to editors as the real one does: with the core's own bridges."""

from __future__ import annotations

import asyncio
import itertools
import random
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from meerkat.core.bridge import Bridge
from meerkat.core.editing import SessionId
from meerkat.core.edits import Edit
from meerkat.errors import MeerkatError, NotRunning
from meerkat.testing.memory_store import MemoryStore

Hear = Callable[[Mapping[str, Any]], None]


class MemoryFolder:
    """What is shared: texts by path, and who has them open."""

    def __init__(self, files: dict[str, str], seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._store = MemoryStore()
        self._numbers = itertools.count(1)
        self.bridges: dict[str, Bridge] = {}
        self.hearers: dict[SessionId, tuple[str, int, Hear]] = {}
        self.desks: list[Desk] = []
        self.is_synced = True
        self.others: list[dict[str, Any]] = []  # people who are not editors of this folder
        for path, text in files.items():
            self.make(path, text)

    def make(self, path: str, text: str) -> None:
        version = path.encode().ljust(16, b"\0")[:16]
        with self._store.transaction():
            self.bridges[path] = Bridge(self._store, version, text, self._chance.randbytes)
        self.tell_all("files")

    def text(self, path: str) -> str:
        return self.bridges[path].text

    def type(self, path: str, edits: list[Edit]) -> None:
        """Somebody elsewhere typed."""
        with self._store.transaction():
            self._deliver(self.bridges[path].edit(edits))

    def show(self, path: str, name: str, color: str, *cursors: tuple[int, int]) -> None:
        """Somebody elsewhere has a cursor in a text, or none any more."""
        self._deliver(self.bridges[path].show(f"user-{name}", name, color, cursors))

    def be_in(self, name: str, color: str, path: str) -> None:
        """Somebody elsewhere is in a text now."""
        person = {"user": name, "name": name, "member": "00", "color": color, "path": path}
        self.others = [one for one in self.others if one["name"] != name]
        self.others.append({**person, "own": False})
        self.tell_all("people")

    def end(self, path: str, reason: str, text: str) -> None:
        """All sessions of a text are over."""
        for session in list(self.bridges[path].sessions):
            _, number, hear = self.hearers.pop(session)
            self.bridges[path].leave(session)
            hear({"session": number, "what": "closed", "reason": reason, "text": text})
        if reason in ("deleted", "binary", "replaced"):
            del self.bridges[path]

    def move(self, path: str, to: str) -> None:
        bridge = self.bridges[to] = self.bridges.pop(path)
        for session in bridge.sessions:
            _, number, hear = self.hearers[session]
            self.hearers[session] = (to, number, hear)
            hear({"session": number, "what": "moved", "path": to})

    def open(self, path: str, number: int, hear: Hear) -> SessionId:
        if path not in self.bridges:
            raise MeerkatError(f"{path} is no file that this folder shares; save it there first.")
        session = SessionId(next(self._numbers))
        self.hearers[session] = (path, number, hear)
        self._deliver(self.bridges[path].join(session))
        return session

    def receive(self, session: SessionId, data: bytes) -> None:
        path, number, hear = self.hearers[session]
        with self._store.transaction():
            received = self.bridges[path].receive(session, [data])
        self._deliver(received.out)
        if received.refused:
            self.leave(session)
            reason, text = received.refused
            hear({"session": number, "what": "closed", "reason": reason, "text": text})

    def leave(self, session: SessionId) -> None:
        path, _, _ = self.hearers.pop(session)
        if path in self.bridges:
            self._deliver(self.bridges[path].leave(session))

    def _deliver(self, out: list[tuple[SessionId, bytes]]) -> None:
        for session, frame in out:
            if session in self.hearers:
                _, number, hear = self.hearers[session]
                data = b64encode(frame).decode()
                hear({"session": number, "what": "frame", "data": data})

    def tell_all(self, event: str) -> None:
        for desk in self.desks:
            if desk.is_up:
                desk.on_event({"event": event})


class Desk:
    """One editor's connection; give it to ``EditorApp`` as what connects."""

    def __init__(self, shared: MemoryFolder, *, on_up: Any, on_down: Any, on_event: Any) -> None:
        self._shared = shared
        self._on_up, self._on_down, self.on_event = on_up, on_down, on_event
        self._numbers = itertools.count(1)
        self._sessions: dict[int, SessionId] = {}
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._lost = asyncio.Event()
        self.is_up = False
        shared.desks.append(self)

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._lost.clear()
            self.is_up = True
            self._on_up()
            await self._lost.wait()

    def go_away(self) -> None:
        """The process ends."""
        self._wanted.clear()
        self.is_up = False
        for session in self._sessions.values():
            if session in self._shared.hearers:
                self._shared.leave(session)
        self._sessions.clear()
        self._lost.set()
        self._on_down()

    def come_back(self) -> None:
        self._wanted.set()

    async def open_text(self, path: str, hear: Hear) -> tuple[int, str]:
        self._check()
        number = next(self._numbers)
        self._sessions[number] = self._shared.open(path, number, hear)
        return number, path

    def send_frame(self, session: int, data: bytes) -> None:
        if self.is_up and self._sessions.get(session) in self._shared.hearers:
            self._shared.receive(self._sessions[session], data)

    def close_text(self, session: int) -> None:
        found = self._sessions.pop(session, None)
        if found in self._shared.hearers and found is not None:
            self._shared.leave(found)

    async def files(self) -> list[dict[str, Any]]:
        self._check()
        return [{"path": path, "kind": "text"} for path in sorted(self._shared.bridges)]

    async def people(self) -> list[dict[str, Any]]:
        self._check()
        own = [
            {
                "user": str(n),
                "name": "me",
                "member": "11",
                "color": "#1971c2",
                "path": path,
                "own": True,
            }
            for n, (path, _, _) in self._shared.hearers.items()
        ]
        return [*self._shared.others, *own]

    async def status(self) -> dict[str, Any]:
        self._check()
        own = {"member": "11", "name": "me", "color": "#1971c2"}
        peers = [{"in_sync": True}, {"in_sync": self._shared.is_synced}]
        return {"name": "me", "member": "11", "members": [own], "peers": peers}

    def _check(self) -> None:
        if not self.is_up:
            raise NotRunning("No meerkat process serves this folder.")
