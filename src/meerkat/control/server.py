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
from typing import Any, Self

from meerkat.errors import FolderError

from . import schema
from .conversation import Conversation, Desk, WebSwitch

__all__ = ["ControlServer", "Desk"]

LOG = logging.getLogger(__name__)
MAX_REQUEST = 32 * 1024 * 1024  # bytes of one request line: a text of 4 MiB, escaped
MAX_CLIENTS = 64  # at once; local programs of one person. guess
MAX_EVENTS = 10_000  # waiting for one listener; more, and it is told to look again ("resync")
MAX_EVENT_BYTES = 16 * 1024 * 1024  # the same, for large ones; guess
MAX_WAITING_TEXT = 64 * 1024 * 1024  # bytes of open texts for one client that does not read; guess
MAX_OPEN = 64  # requests of one client under way at once; more wait in its socket. guess
GOODBYE = 0.5  # seconds for clients to read what waits for them when we end


class _Client:
    """One connection: what waits to be written to it, answers first."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._replies: deque[bytes] = deque()
        self._events: deque[bytes] = deque()
        self._event_bytes = 0
        self._missed = 0  # events dropped before the first that waits
        self._texts: deque[bytes] = deque()
        self._text_bytes = 0
        self._wake = asyncio.Event()
        self._done = False
        self.gone = asyncio.Event()
        self.slots = asyncio.Semaphore(MAX_OPEN)
        self.answers: set[asyncio.Task[None]] = set()  # under way
        self.on_deaf: Callable[[], None] = lambda: None

    def put(self, reply: schema.Reply) -> None:
        self._replies.append(schema.encode_line(reply))
        self._wake.set()

    def put_event(self, event: Mapping[str, Any]) -> None:
        line = schema.encode_line(event)
        self._event_bytes += len(line)
        if len(self._events) >= MAX_EVENTS or self._event_bytes > MAX_EVENT_BYTES:
            self._missed += len(self._events)
            self._events.clear()
            self._event_bytes = len(line)
        self._events.append(line)
        self._wake.set()

    def put_text(self, event: Mapping[str, Any]) -> None:
        """What must not be dropped; who does not read it loses its texts instead."""
        line = schema.encode_line(event)
        if self._text_bytes + len(line) > MAX_WAITING_TEXT and event.get("what") != "closed":
            self._texts.clear()
            self._text_bytes = 0
            self.on_deaf()
            return
        self._texts.append(line)
        self._text_bytes += len(line)
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
        if self._texts:
            line = self._texts.popleft()
            self._text_bytes -= len(line)
            return line
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

    def __init__(self, path: Path, desk: Desk, web: WebSwitch | None = None) -> None:
        self._path = path
        self._desk, self._web = desk, web
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
        talk = Conversation(self._desk, client.put_event, client.put_text, web=self._web)
        client.on_deaf = lambda: talk.texts.give_up("This editor did not read for too long.")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.write())
                await self._read(reader, client, talk)
        except* (OSError, ValueError):
            pass  # it went away, or wrote a line without an end
        finally:
            self._clients.discard(client)
            client.gone.set()
            talk.end()
            writer.close()

    async def _read(
        self, reader: asyncio.StreamReader, client: _Client, talk: Conversation
    ) -> None:
        """Begin answers in the order of the requests; a slow one holds up none that follow."""
        try:
            async with asyncio.TaskGroup() as group:
                while line := await reader.readline():
                    await client.slots.acquire()
                    task = group.create_task(self._answer(line, client, talk))
                    client.answers.add(task)
                    task.add_done_callback(client.answers.discard)
        finally:
            client.finish()

    async def _answer(self, line: bytes, client: _Client, talk: Conversation) -> None:
        try:
            client.put(await talk.reply(line))
        finally:
            client.slots.release()
