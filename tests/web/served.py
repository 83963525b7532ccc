"""A web server over a folder of a test, a desk that a test looks into, and clients for both."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp

from meerkat.core.editing import EditorMessage, SessionId, Speech
from meerkat.errors import MeerkatError
from meerkat.node.editors import Opened
from meerkat.node.owner_files import OwnerFiles
from meerkat.web.gate import Gate
from meerkat.web.server import WebConfig, WebServer
from meerkat.web.site import load_site
from tests.faces.fake_desk import FakeDesk

TOKEN = "t" * 43
WITHIN = 20.0  # seconds; a busy machine is not a bug

Hear = Callable[[EditorMessage], None]


class FakeEditors:
    """The node's editors, as the web sees them: one text, which a test speaks for."""

    def __init__(self) -> None:
        self.hear: dict[SessionId, Hear] = {}
        self.frames: asyncio.Queue[tuple[SessionId, bytes]] = asyncio.Queue()
        self.opened: list[str] = []
        self.closed: asyncio.Queue[SessionId] = asyncio.Queue()
        self.at_open: list[EditorMessage] = []
        self.problem: MeerkatError | None = None

    async def open(
        self,
        path: str,
        speech: Speech,
        hear: Hear,
        content: str | None = None,
        *,
        saves: bool = True,
        line_ends: bool = False,
    ) -> Opened:
        if self.problem is not None:
            raise self.problem
        session = SessionId(len(self.opened) + 1)
        self.opened.append(path)
        self.hear[session] = hear
        for message in self.at_open:
            hear(message)
        return Opened(session, path, "f" * 32, "e" * 32, "hello\n")

    def frame(self, session: SessionId, data: bytes) -> None:
        self.frames.put_nowait((session, data))

    def close(self, session: SessionId) -> None:
        if self.hear.pop(session, None) is not None:
            self.closed.put_nowait(session)


class WebDesk(FakeDesk):
    """With editors."""

    def __init__(self) -> None:
        super().__init__()
        self.editors = FakeEditors()  # type: ignore[assignment]


@dataclass
class Served:
    """A running server and a client that has nothing of its own: no cookies, no token."""

    folder: Path
    desk: WebDesk
    server: WebServer
    client: aiohttp.ClientSession
    token: dict[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {TOKEN}"})

    @property
    def editors(self) -> FakeEditors:
        """The desk's, as what they are."""
        return cast(FakeEditors, self.desk.editors)

    @property
    def port(self) -> int:
        return self.server.gate.port

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, method: str, path: str, token: str = TOKEN, **more: Any) -> Any:
        """A request whose address is sent exactly as it is written."""
        from yarl import URL

        headers = {**more.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = URL(self.url(path), encoded=True)
        return self.client.request(method, url, headers=headers, allow_redirects=False, **more)

    async def status(self, method: str, path: str, **more: Any) -> int:
        async with self.ask(method, path, **more) as response:
            await response.read()
            return int(response.status)

    async def json(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        async with self.ask(method, path, **more) as response:
            return response.status, await response.json()

    def websocket(self, path: str, token: str = TOKEN, **more: Any) -> Any:
        return self.client.ws_connect(self.url(f"{path}?token={token}"), max_msg_size=0, **more)

    async def raw(self, data: bytes, *, end: bool = True) -> bytes:
        """Write bytes to a connection of their own; everything that comes back until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        if end:
            writer.write_eof()
        try:
            async with asyncio.timeout(WITHIN):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def served(
    place: Path, *, allowed: tuple[str, ...] = (), page: Path | None = None, **config: Any
) -> AsyncIterator[Served]:
    """Serve ``place/notes``."""
    folder = place / "notes"
    (folder / ".meerkat").mkdir(parents=True, exist_ok=True)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    site = load_site(port, page or place / "no page")
    desk = WebDesk()
    server = WebServer(
        desk,
        OwnerFiles(folder, folder / ".meerkat"),
        site,
        listener,
        Gate(port, TOKEN, frozenset(allowed)),
        config=WebConfig(**config),
    )
    async with server, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield Served(folder, desk, server, client)


def run(story: Any) -> None:
    asyncio.run(story)
