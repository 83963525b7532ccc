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
MAX_EVENT_BYTES = 16 * 1024 * 1024  # the same, for large ones; guess
MAX_OPEN = 64  # requests of one client under way at once; more wait in its socket. guess
GOODBYE = 0.5  # seconds for clients to read what waits for them when we end


class Asking(Protocol):
    """What needs the peer's answer: ``node.requests``, seen from here."""

    async def say(self, text: str, to: str = "") -> dict[str, Any]:
        """Say something to all, or to one member."""

    async def rename(self, name: str) -> dict[str, Any]:
        """Be called this from now on."""

    async def publish(self, data: bytes) -> dict[str, Any]:
        """Bytes for the programs of every other peer."""

    async def echo(self, peer: str, *, size: int, near: bool) -> dict[str, Any]:
        """How far away a member is."""

    def find(self, peer: str) -> dict[str, Any]:
        """Who is meant by a name."""

    def chat_history(self, limit: int) -> list[dict[str, Any]]:
        """The last lines that were said."""

    def network(self) -> dict[str, Any]:
        """The picture of the network."""


class Desk(Protocol):
    """Who answers: the node, seen from here."""

    @property
    def requests(self) -> Asking:
        """For what needs the peer's answer."""

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
    """One connection: what waits to be written to it, answers first."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._replies: deque[bytes] = deque()
        self._events: deque[bytes] = deque()
        self._event_bytes = 0
        self._missed = 0  # events dropped before the first that waits
        self._wanted: frozenset[str] = frozenset()
        self._wake = asyncio.Event()
        self._done = False
        self.gone = asyncio.Event()
        self.slots = asyncio.Semaphore(MAX_OPEN)
        self.answers: set[asyncio.Task[None]] = set()  # under way
        self.unsubscribe: Callable[[], None] = lambda: None

    def put(self, reply: schema.Reply) -> None:
        self._replies.append(schema.encode_line(reply))
        self._wake.set()

    def want(self, names: tuple[str, ...]) -> None:
        """Only events with these names from now on; none: all."""
        self._wanted = frozenset(names)

    def put_event(self, event: Mapping[str, Any]) -> None:
        if self._wanted and event["event"] not in self._wanted:
            return
        line = schema.encode_line(event)
        self._event_bytes += len(line)
        if len(self._events) >= MAX_EVENTS or self._event_bytes > MAX_EVENT_BYTES:
            self._missed += len(self._events)
            self._events.clear()
            self._event_bytes = len(line)
        self._events.append(line)
        self._wake.set()

    def finish(self) -> None:
        """Write what waits, then end."""
        self._done = True
        self._wake.set()

    def abort(self) -> None:
        for task in self.answers:
            task.cancel()
        self._writer.transport.abort()

    async def write(self) -> None:
        while True:
            while line := self._next():
                self._writer.write(line)
                await self._writer.drain()
            if self._done:
                return
            self._wake.clear()
            await self._wake.wait()

    def _next(self) -> bytes:
        if self._replies:
            return self._replies.popleft()
        if self._missed:
            missed, self._missed = self._missed, 0
            return schema.encode_line({"event": "resync", "missed": missed})
        if self._events:
            line = self._events.popleft()
            self._event_bytes -= len(line)
            return line
        return b""


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
        await self._wait_gone()
        for client in tuple(self._clients):
            client.abort()
        await self._wait_gone()
        await self._server.wait_closed()

    async def _wait_gone(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                for client in tuple(self._clients):
                    await client.gone.wait()

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
        """Begin answers in the order of the requests; a slow one holds up none that follow."""
        try:
            async with asyncio.TaskGroup() as group:
                while line := await reader.readline():
                    await client.slots.acquire()
                    task = group.create_task(self._answer(line, client))
                    client.answers.add(task)
                    task.add_done_callback(client.answers.discard)
        finally:
            client.finish()

    async def _answer(self, line: bytes, client: _Client) -> None:
        try:
            client.put(await self._reply(line, client))
        finally:
            client.slots.release()

    async def _reply(self, line: bytes, client: _Client) -> schema.Reply:
        try:
            request = schema.decode_request(line)
        except schema.RequestError as error:
            return schema.Reply(id=0, error=str(error), exit_code=2)
        try:
            result = await self._result(request, client)
        except MeerkatError as error:
            return schema.Reply(id=request.id, error=str(error), exit_code=error.exit_code)
        except Exception:
            LOG.exception("a control request failed: %s", type(request).__name__)
            return schema.Reply(id=request.id, error="This failed; see the log.", exit_code=1)
        return schema.Reply(id=request.id, result=result)

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
            case schema.Subscribe(events=events):
                client.unsubscribe()
                client.want(events)
                client.unsubscribe = self._desk.subscribe(client.put_event)
                return {}
            case schema.Cut(members=members):
                self._desk.cut(frozenset(bytes.fromhex(member) for member in members))
                return {}
            case schema.Heal():
                self._desk.cut(frozenset())
                return {}
            case _:
                return await self._asked(request)

    async def _asked(self, request: schema.PeerRequest) -> dict[str, Any]:
        requests = self._desk.requests
        match request:
            case schema.Say(text=text, to=to):
                return await requests.say(text, to)
            case schema.Rename(name=name):
                return await requests.rename(name)
            case schema.Publish(data=data):
                return await requests.publish(data)
            case schema.Echo(peer=peer, size=size, near=near):
                return await requests.echo(peer, size=size, near=near)
            case schema.Find(peer=peer):
                return requests.find(peer)
            case schema.ChatHistory(limit=limit):
                return {"lines": requests.chat_history(limit)}
            case schema.Network():
                return requests.network()
            case _:
                assert_never(request)
