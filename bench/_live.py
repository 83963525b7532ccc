"""Two or more real members with a live text, and editors of both kinds that are attached to them.

The members are processes on loopback, started and joined as a user would (``_pair``). An editor is
a Yjs client at the member's web server (as a page), or ranges on its control socket (as Neovim).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bench._pair import Member, wait_for
from bench._yjs import YjsClient
from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder


@contextmanager
def members(base: Path, count: int, files: dict[str, str]) -> Iterator[list[Member]]:
    """So many members of one pool, all in sync; the first had the files."""
    with ExitStack() as stack:
        first = base / "m0"
        first.mkdir(parents=True)
        for name, content in files.items():
            (first / name).write_text(content, encoding="utf-8", newline="")
        uses = ("--uses", str(count + 1))
        host = stack.enter_context(_running("share", str(first), *uses, folder=first))
        all_ = [host]
        for number in range(1, count):
            folder = base / f"m{number}"
            invitation = host.ready["invitation"]
            all_.append(
                stack.enter_context(_running("join", invitation, str(folder), folder=folder))
            )
        for one in all_:
            for name in files:
                wait_for((one.folder / name).exists, pause=0.01)
        yield all_


@contextmanager
def _running(*arguments: str, folder: Path) -> Iterator[Member]:
    member = Member(*arguments, folder=folder)
    try:
        yield member
    finally:
        member.stop()


def yjs_address(member: Member, path: str) -> str:
    """Where a Yjs client joins one text of a member; starts its web server."""
    with ControlClient(StateFolder(member.folder).control_socket()) as client:
        page = urlsplit(str(client.ask(schema.ServeWeb())["url"]))
    return f"ws://{page.netloc}/yjs/{quote(path)}?{page.fragment}"


async def join_text(member: Member, path: str) -> YjsClient:
    """A page of this member that shows the text."""
    return await YjsClient.join(yjs_address(member, path))


class RangesEditor:
    """An editor at the control socket. It types at one place, so its line is enough to know.

    ``changed`` is called after each change that came; ``inserted`` counts its characters.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._received = 0
        self.inserted = 0
        self.answered = 0
        self.changed: Callable[[], None] = lambda: None

    @classmethod
    @asynccontextmanager
    async def open(cls, member: Member, path: str) -> AsyncIterator[RangesEditor]:
        """Open the text."""
        socket = StateFolder(member.folder).control_socket()
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=schema.MAX_LINE)
        one = cls(reader, writer)
        one.send({"ask": "open_text", "session": 1, "path": path, "speech": "ranges"})
        while not one.answered:
            one._line(await reader.readline())
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(one._read())
            try:
                yield one
            finally:
                reading.cancel()
                writer.close()

    def send(self, request: dict[str, Any]) -> None:
        self._writer.write(json.dumps({**request, "id": 1}).encode() + b"\n")

    def type(self, line: int, character: int, text: str) -> None:
        """Insert it there."""
        place = [line, character]
        edit = {"start": place, "end": place, "replacement": text}
        self.send({"ask": "edit_text", "session": 1, "revision": self._received, "edits": [edit]})

    async def send_all(self, lines: list[bytes]) -> None:
        """Requests as they are."""
        for line in lines:
            self._writer.write(line)
            await self._writer.drain()

    async def wait_until(self, condition: Callable[[], bool], within: float = 300.0) -> None:
        """Return after the line that makes it true."""
        done = asyncio.Event()
        before, self.changed = self.changed, lambda: done.set() if condition() else None
        try:
            self.changed()
            async with asyncio.timeout(within):
                await done.wait()
        finally:
            self.changed = before

    async def _read(self) -> None:
        while line := await self._reader.readline():
            self._line(line)

    def _line(self, line: bytes) -> None:
        value = json.loads(line)
        if value.get("event") == "text":
            if value["what"] == "edit":
                self._received += 1
                self.inserted += sum(len(edit["replacement"]) for edit in value["edits"])
            elif value["what"] == "closed":
                raise ConnectionError(value["text"])
        elif value.get("error"):
            raise ConnectionError(value["error"])
        else:
            self.answered += 1
        self.changed()
