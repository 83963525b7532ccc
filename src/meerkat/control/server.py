"""The control socket: local processes of the folder's owner ask, the node answers.

Whatever comes in, the node goes on: a bad line costs an error line, a deaf listener its events.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self, assert_never

from meerkat.errors import FolderError, MeerkatError

from . import schema

__all__ = ["ControlServer", "Desk"]

LOG = logging.getLogger(__name__)
MAX_REQUEST = 1024 * 1024  # bytes of one request line; guess
MAX_CLIENTS = 64  # at once; local programs of one person. guess
MAX_EVENTS = 10_000  # waiting for one listener; more, and it is told to look again ("resync")
GOODBYE = 0.5  # seconds for clients to read what waits for them when we end


class Desk(Protocol):
    """Who answers: the node, seen from here."""

    def describe(self) -> dict[str, Any]:
        """Everything a person can be told, as JSON values."""

    async def invite(self, *, uses: int, lifetime: float) -> str:
        """A new invitation's text."""

    def request_stop(self) -> None:
        """Begin to leave."""

    def cut(self, members: frozenset[bytes]) -> None:
        """Testing aid: no links with these members; the empty set heals."""

    def subscribe(self, listener: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Call ``listener`` with every event; returns how to stop that."""


class _Client:
    """One connection: what waits to be written to it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._lines: deque[bytes] = deque()
        self._events = 0
        self._wake = asyncio.Event()
        self._done = False
        self.gone = asyncio.Event()
        self.unsubscribe: Callable[[], None] = lambda: None

    def put(self, line: bytes) -> None:
        self._lines.append(line)
        self._wake.set()

    def put_event(self, event: Mapping[str, Any]) -> None:
        self._events += 1
        if self._events > MAX_EVENTS:
            self._lines.clear()
            self._events = 1
            event = {"event": "resync"}
        self.put(schema.encode_line(event))

    def finish(self) -> None:
        """Write what waits, then end."""
        self._done = True
        self._wake.set()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def write(self) -> None:
        while True:
            while self._lines:
                self._writer.write(self._lines.popleft())
                await self._writer.drain()
            self._events = 0
            if self._done:
                return
            self._wake.clear()
            await self._wake.wait()


class ControlServer:
    """Serves one ``Desk`` at one free path. ``async with`` it."""

    def __init__(self, path: Path, desk: Desk) -> None:
        self._path = path
        self._desk = desk
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)  # nobody may connect before chmod would come
        try:
            listener.bind(str(self._path))
        except OSError as error:
            listener.close()
            raise FolderError(
                f"{self._path} cannot be made ({error.strerror}). Check that you may write there."
            ) from error
        finally:
            os.umask(mask)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=MAX_REQUEST
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for client in tuple(self._clients):
            client.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                for client in tuple(self._clients):
                    await client.gone.wait()
        for client in tuple(self._clients):
            client.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        if len(self._clients) >= MAX_CLIENTS:
            writer.close()
            return
        self._clients.add(client)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.write())
                await self._read(reader, client)
        except* (OSError, ValueError):
            pass  # it went away, or wrote a line without an end
        finally:
            self._clients.discard(client)
            client.gone.set()
            client.unsubscribe()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, client: _Client) -> None:
        try:
            while line := await reader.readline():
                await self._answer(line, client)
        finally:
            client.finish()

    async def _answer(self, line: bytes, client: _Client) -> None:
        try:
            request = schema.decode_request(line)
        except schema.RequestError as error:
            client.put(schema.encode_line(schema.Reply(id=0, error=str(error), exit_code=2)))
            return
        try:
            result = await self._result(request, client)
        except MeerkatError as error:
            reply = schema.Reply(id=request.id, error=str(error), exit_code=error.exit_code)
        except Exception:
            LOG.exception("the control request %r failed", request)
            reply = schema.Reply(id=request.id, error="This failed; see the log.", exit_code=1)
        else:
            reply = schema.Reply(id=request.id, result=result)
        client.put(schema.encode_line(reply))

    async def _result(self, request: schema.Request, client: _Client) -> dict[str, Any]:
        match request:
            case schema.Ping():
                return {"pid": os.getpid()}
            case schema.GetStatus():
                return self._desk.describe()
            case schema.Invite(uses=uses, lifetime=lifetime):
                return {"invitation": await self._desk.invite(uses=uses, lifetime=lifetime)}
            case schema.Stop():
                self._desk.request_stop()
                return {"pid": os.getpid()}
            case schema.Subscribe():
                client.unsubscribe()
                client.unsubscribe = self._desk.subscribe(client.put_event)
                return {}
            case schema.Cut(members=members):
                self._desk.cut(frozenset(bytes.fromhex(member) for member in members))
                return {}
            case schema.Heal():
                self._desk.cut(frozenset())
                return {}
            case _:
                assert_never(request)
