"""A text editor that follows the protocol to the letter, and a folder whose process it talks to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meerkat.control.server import ControlServer
from meerkat.core.editing import RangeEdit
from meerkat.core.edits import Edit, apply_edits
from meerkat.core.lines import Lines
from meerkat.core.ranges import as_edits, as_ranges
from meerkat.editors.framing import Frames, frame
from meerkat.editors.rpc import delta_of
from meerkat.editors.server import EditorServer
from meerkat.errors import MeerkatError
from meerkat.node.home import locked, open_home
from meerkat.node.node import Node
from tests.node.pool import Pool
from tests.node.waiting import until

__all__ = ["Buffer", "PlainEditor", "again", "edit_with", "open_editor", "serving", "until"]


@dataclass
class Buffer:
    """What the editor shows of one file."""

    text: str
    sent: int = 0
    applied: int = 0


class PlainEditor:
    """Its side of the protocol. It applies what it is told at once."""

    def __init__(self) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.heard: list[dict[str, Any]] = []
        self.stopped_reading = False
        self._held: list[dict[str, Any]] = []
        self._frames = Frames()
        self._numbers = 0
        self._answers: dict[int | str, asyncio.Future[dict[str, Any]]] = {}
        self.server = EditorServer(self._read, _cannot_start)

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        """A request; the whole reply."""
        self._numbers += 1
        number = self._numbers
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        async with asyncio.timeout(20):
            return await future

    def notify(self, method: str, **params: Any) -> None:
        """A notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, message: object) -> None:
        """Anything that can be written as JSON."""
        self.server.receive(frame(json.dumps(message).encode()))

    async def open(self, uri: str, text: str) -> dict[str, Any]:
        """Open a file that shows ``text``."""
        self.buffers[uri] = Buffer(text)
        return await self.request("open", uri=uri, content=text)

    def type(self, uri: str, edits: list[Edit]) -> asyncio.Task[dict[str, Any]]:
        """The person types; the reply comes later."""
        buffer = self.buffers[uri]
        ranges = as_ranges(Lines(buffer.text), edits)
        buffer.text = apply_edits(buffer.text, edits)
        reply = self.request(
            "edit", uri=uri, revision=buffer.applied, delta=delta_of(tuple(ranges))
        )
        buffer.sent += 1
        return asyncio.ensure_future(reply)

    def insert(self, uri: str, position: int, text: str) -> asyncio.Task[dict[str, Any]]:
        """Type something at an offset."""
        return self.type(uri, [Edit(position, 0, text)])

    def told(self, method: str) -> list[dict[str, Any]]:
        """The parameters of all notifications of that name so far."""
        return [one["params"] for one in self.heard if one.get("method") == method]

    def read_on(self) -> None:
        """Take in what was not read while ``stopped_reading``."""
        self.stopped_reading = False
        held, self._held = self._held, []
        for message in held:
            self._take(message)

    def _read(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            assert body is not None
            message = json.loads(body)
            self.heard.append(message)
            if self.stopped_reading and "method" in message:
                self._held.append(message)
            else:
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        future = self._answers.pop(message["id"], None) if message.get("id") else None
        if future is not None and not future.done():
            future.set_result(message)
        if message.get("method") != "edit":
            return
        params = message["params"]
        buffer = self.buffers[params["uri"]]
        if params["revision"] == buffer.sent:
            edits = [
                RangeEdit(
                    (one["range"]["start"]["line"], one["range"]["start"]["character"]),
                    (one["range"]["end"]["line"], one["range"]["end"]["character"]),
                    one["replacement"],
                )
                for one in params["delta"]
            ]
            buffer.text = apply_edits(buffer.text, as_edits(Lines(buffer.text), edits))
            buffer.applied += 1


def edit_with(line: int, character: int, text: str) -> list[dict[str, Any]]:
    """A delta that inserts."""
    return delta_of((RangeEdit((line, character), (line, character), text),))


@asynccontextmanager
async def open_editor() -> AsyncIterator[PlainEditor]:
    """An editor that runs."""
    editor = PlainEditor()
    async with editor.server:
        yield editor


@asynccontextmanager
async def serving(pool: Pool, name: str, **files: str) -> AsyncIterator[Node]:
    """A new shared folder whose process answers at its control socket."""
    async with pool.share(name, **files) as node, _control(node):
        await until(lambda: all(knows(node, f"{stem}.txt") for stem in files), "all is known")
        yield node


@asynccontextmanager
async def again(pool: Pool, folder: Path) -> AsyncIterator[Node]:
    """The process of a folder that was shared before."""
    with locked(folder) as state:
        home = open_home(state)
        try:
            async with pool.node(home) as node, _control(node):
                yield node
        finally:
            home.close()


def knows(node: Node, path: str) -> bool:
    """Whether the folder's process has a file as a text."""
    return any(one["path"] == path and one["kind"] == "text" for one in node.requests.files())


@asynccontextmanager
async def _control(node: Node) -> AsyncIterator[None]:
    state = node.home.state
    async with ControlServer(state.prepare_control_socket(), node):
        yield
    state.remove_control_socket()


def _cannot_start(folder: Path) -> None:
    raise MeerkatError(f"Nothing starts {folder.name} here.")
