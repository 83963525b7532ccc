"""The web server of one folder: listens on this machine alone, checks who comes, and shares out.

Runs in the node's event loop. Everything that comes in is bounded: connections, the time and size
of a request's head, bodies (streamed), messages; the disk is read and written in other threads.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from aiohttp import WSCloseCode, hdrs, web
from aiohttp.abc import AbstractAccessLogger

from meerkat.control.conversation import Desk
from meerkat.node.owner_files import OwnerFiles

from .answers import Denied, answer, path_of
from .changes import Changes
from .disk import Disk
from .gate import LOOPBACK, Gate
from .raw import Raw
from .site import Site
from .sockets import BAD_TOKEN, Socket
from .talk import MAX_REQUEST, serve_control
from .yjs import MAX_FRAME, serve_yjs

__all__ = ["WebConfig", "WebServer"]

LOG = logging.getLogger(__name__)
HTTP_LOG = logging.getLogger(f"{__name__}.http")  # aiohttp's own words
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Every number of the server's own. Times in seconds, sizes in bytes."""

    connections: int = 256  # at once; six pages take a few dozen. guess
    head_within: float = 20.0  # for the head of a request, and idle between two of them. guess
    head_line: int = 16 * 1024  # one line of it: a path of 4,096 bytes, each encoded as three
    head_lines: int = 64  # browsers send about 20
    json_bytes: int = 64 * 1024  # a body that is not a file
    open_within: float = 30.0  # how long the address for the browser works; guess
    goodbye: float = 1.0  # for handlers to end when the server does
    purge_every: float = 1.0  # replaced files are kept for two


DEFAULTS = WebConfig()


class WebServer:
    """Serves ``desk`` and ``files`` on ``listener``. ``async with`` it; it closes both."""

    def __init__(
        self,
        desk: Desk,
        files: OwnerFiles,
        site: Site,
        listener: socket.socket,
        gate: Gate,
        *,
        config: WebConfig = DEFAULTS,
    ) -> None:
        self._desk, self._site, self._config = desk, site, config
        self._listener = listener
        self.gate = gate
        self._disk = Disk(files)
        self._sockets: set[Socket] = set()
        self._silent: set[web.RequestHandler] = set()
        self._once: dict[str, float] = {}  # codes for the browser -> until when, by the loop's time
        self._group = asyncio.TaskGroup()

    @property
    def url(self) -> str:
        """For people: whoever has it may do what the owner may."""
        return f"http://{LOOPBACK}:{self.gate.port}/#token={self.gate.token}"

    def open_once(self) -> str:
        """An address that leads to ``url`` once and soon: other users see programs' arguments."""
        now = asyncio.get_running_loop().time()
        self._once = {code: until for code, until in self._once.items() if until > now}
        code = secrets.token_urlsafe(16)
        self._once[code] = now + self._config.open_within
        return f"http://{LOOPBACK}:{self.gate.port}/open/{code}"

    async def __aenter__(self) -> Self:
        config = self._config
        self._runner = web.AppRunner(
            self._application(),
            access_log_class=_AccessLog,
            access_log=LOG,
            logger=HTTP_LOG,
            keepalive_timeout=config.head_within,
            max_line_size=config.head_line,
            max_field_size=config.head_line,
            max_headers=config.head_lines,
            auto_decompress=False,
            shutdown_timeout=config.goodbye,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=self._listener)
        await self._group.__aenter__()
        self._purging = self._group.create_task(self._purge())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for one in tuple(self._sockets):
            one.end(WSCloseCode.SERVICE_RESTART, "Meerkat stops serving this page.")
        await self._runner.cleanup()
        self._purging.cancel()
        await self._group.__aexit__(None, None, None)
        await asyncio.to_thread(self._disk.close)

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._config.connections:
            return _Full()
        connection = server()
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(
            self._config.head_within, self._drop_silent, connection
        )
        return connection

    def _drop_silent(self, connection: web.RequestHandler) -> None:
        """Whoever has not asked for anything yet; between two requests, aiohttp watches."""
        if connection in self._silent:
            self._silent.discard(connection)
            connection.force_close()

    def _application(self) -> web.Application:
        raw, changes = Raw(self._disk), Changes(self._disk)
        app = web.Application(
            middlewares=[self._guard], client_max_size=self._config.json_bytes, logger=LOG
        )
        app.router.add_routes(
            [
                web.get("/ws", self._control),
                web.get("/yjs/{path:.*}", self._yjs),
                web.get("/raw/{path:.*}", self._private(raw.get)),
                web.put("/raw/{path:.*}", self._private(raw.put)),
                web.post("/api/folder", self._private(changes.make_folder)),
                web.post("/api/move", self._private(changes.move)),
                web.post("/api/delete", self._private(changes.delete)),
                web.get("/open/{code}", self._open),
                web.get("/{path:.*}", self._page),
            ]
        )
        app.on_response_prepare.append(self._head)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.discard(request.protocol)
        try:
            self.gate.check_sender(request)
            if request.method == hdrs.METH_OPTIONS:
                return web.Response(status=204)
            return await handler(request)
        except Denied as denied:
            return answer({"error": str(denied)}, denied.status)
        except web.HTTPException as error:
            return answer({"error": _sentence(error)}, error.status)
        except (ConnectionError, asyncio.CancelledError):
            raise  # the other side is gone, or we are
        except Exception:
            LOG.exception("a request failed: %s %r", request.method, request.path)
            return answer({"error": "This failed; see the log."}, 500)

    def _private(self, handler: Handler) -> Handler:
        """With the token only. Websockets ask for it themselves; the page needs none."""

        async def checked(request: web.Request) -> web.StreamResponse:
            self.gate.check_token(request)
            return await handler(request)

        return checked

    async def _head(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every answer says."""
        response.headers[hdrs.SERVER] = "meerkat"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        allowed = self.gate.cors(request)
        response.headers.update(allowed)
        response.headers["Cross-Origin-Resource-Policy"] = (
            "cross-origin" if allowed else "same-origin"
        )
        if "Content-Security-Policy" not in response.headers:
            response.headers["Content-Security-Policy"] = (
                "default-src 'none'; frame-ancestors 'none'"
            )

    async def _page(self, request: web.Request) -> web.Response:
        return self._site.get(request)

    async def _open(self, request: web.Request) -> web.Response:
        until = self._once.pop(request.match_info["code"], 0.0)
        if until < asyncio.get_running_loop().time():
            raise Denied(404, "This address has been used, or is too old. Ask `meerkat web` again.")
        headers = {hdrs.LOCATION: f"/#token={self.gate.token}", hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(status=303, headers=headers)

    async def _control(self, request: web.Request) -> web.StreamResponse:
        async def serve(accepted: Socket) -> None:
            await serve_control(accepted, self._desk)

        return await self._websocket(request, MAX_REQUEST, serve)

    async def _yjs(self, request: web.Request) -> web.StreamResponse:
        path = path_of(request, "/yjs/")

        async def serve(accepted: Socket) -> None:
            await serve_yjs(accepted, self._desk.editors, path)

        return await self._websocket(request, MAX_FRAME, serve)

    async def _websocket(
        self, request: web.Request, max_bytes: int, serve: Callable[[Socket], Awaitable[None]]
    ) -> web.StreamResponse:
        accepted = Socket(request, max_bytes=max_bytes)
        await accepted.accept()
        if not self.gate.has_token(request):
            accepted.end(BAD_TOKEN, "The token is wrong. Open the address of `meerkat web` again.")
            await accepted.close()
            return accepted.response
        self._sockets.add(accepted)
        try:
            await serve(accepted)
        except Exception:  # a fault of ours: this page's connection ends, nothing else
            LOG.exception("a websocket failed: %r", request.path)
            accepted.end(WSCloseCode.INTERNAL_ERROR, "This failed; see the log.")
            await accepted.close()
        finally:
            self._sockets.discard(accepted)
        return accepted.response

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(self._config.purge_every)
            if self._disk.files.next_due() is not None:
                with suppress(OSError):
                    await self._disk.run(self._disk.files.purge)


class _Full(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _only_that_it_happened(record: logging.LogRecord) -> bool:
    """What cannot be read is quoted by aiohttp, and the token may be in it."""
    record.exc_info = record.exc_text = None
    record.msg, record.args = "a request could not be read, or its answer not be written", ()
    return True


HTTP_LOG.addFilter(_only_that_it_happened)


class _AccessLog(AbstractAccessLogger):
    """Without queries: they may hold the token. Refusals for everyone, the rest for debugging."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        level = logging.INFO if response.status >= 400 else logging.DEBUG
        self.logger.log(
            level, "%s %r: %d, %.3f s", request.method, request.path, response.status, time
        )


def _sentence(error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return "This is too long. Send files to /raw/."
    if isinstance(error, web.HTTPBadRequest):
        return "This address is for WebSockets only."
    return f"{error.reason}."
