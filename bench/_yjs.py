"""A Yjs client over a websocket, as thin as it can be, so that what is measured is the server.

One kind of client for every server: a pycrdt document and a hand-made websocket on an asyncio
protocol. It takes none of the protocol's options, and shows no cursors.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self
from urllib.parse import urlsplit

import pycrdt

SYNC, AUTH, CLOSE, PING, PONG = 0, 2, 8, 9, 10
STEP_2, UPDATE = 1, 2
LENGTH_16, LENGTH_64, MASKED, FINAL, BINARY, TEXT = 126, 127, 0x80, 0x80, 2, 1


class Websocket(asyncio.Protocol):
    """The client's end: whole messages out and in. No compression, no fragments of ours."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parts = bytearray()
        self._open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    async def connect(cls, url: str, make: Callable[[], Self] | None = None) -> Self:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        loop = asyncio.get_running_loop()
        _, one = await loop.create_connection(make or cls, parts.hostname, parts.port)
        query = f"?{parts.query}" if parts.query else ""
        one._transport.write(
            f"GET {parts.path or '/'}{query} HTTP/1.1\r\nHost: {parts.hostname}:{parts.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
        )
        await one.opened
        return one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.opened.set_exception(ConnectionError(head.decode("latin-1")))
                return
            self._open, self._buffer = True, rest
            self.opened.set_result(None)
        while self._frame():
            pass

    def _frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        kind, size, start = buffer[0], buffer[1], 2
        if size == LENGTH_16:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == LENGTH_64:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return False
        content = bytes(buffer[start : start + size])
        del buffer[: start + size]
        opcode = kind & 0x0F
        if opcode == PING:
            self._write(FINAL | PONG, content)
        elif opcode == CLOSE:
            self._end(f"{int.from_bytes(content[:2], 'big')} {content[2:].decode()}")
        elif opcode <= BINARY:
            self._parts += content
            if kind & FINAL:
                content, self._parts = bytes(self._parts), bytearray()
                self.message(content)
        return True

    def message(self, content: bytes) -> None:
        """A whole message came."""

    def send(self, content: bytes, opcode: int = BINARY) -> None:
        """One message; the mask is zero, which the standard cannot forbid and costs nothing."""
        self._write(FINAL | opcode, content)

    async def send_all(self, messages: list[bytes], opcode: int = BINARY) -> None:
        """Each as a message of its own, as fast as the other side reads."""
        for content in messages:
            if not self._writable.is_set():
                await self._writable.wait()
            self._write(FINAL | opcode, content)
        await asyncio.sleep(0)

    def _write(self, first: int, content: bytes) -> None:
        size = len(content)
        if size < LENGTH_16:
            head = bytes((first, MASKED | size))
        elif size < 1 << 16:
            head = bytes((first, MASKED | LENGTH_16)) + size.to_bytes(2, "big")
        else:
            head = bytes((first, MASKED | LENGTH_64)) + size.to_bytes(8, "big")
        self._transport.write(head + b"\0\0\0\0" + content)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("lost")

    def _end(self, why: str) -> None:
        self._writable.set()
        if not self.closed.done():
            self.closed.set_result(why)

    def close(self) -> None:
        self._transport.close()


class YjsClient(Websocket):
    """One document, kept equal to the server's. ``room``: as hocuspocus wants it, in each message.

    ``changed`` is called after each update that came, when the document has it.
    """

    def __init__(self, room: str = "", root: str = "text") -> None:
        super().__init__()
        self._head = _string(room) if room else b""
        self._room = room
        # As Yjs chooses its ids; pycrdt's own are longer, and servers may tell by that.
        number = random.getrandbits(32)
        self.doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=number)
        self.text = self.doc.get(root, type=pycrdt.Text)
        self.changed: Callable[[], None] = lambda: None
        self.synced = asyncio.Event()
        self.arrived = 0.0  # of ``time.perf_counter``: when the server's state was here
        self._applying = False
        self._held: list[bytes] | None = None
        self._own_edits = self.doc.observe(self._own)

    @classmethod
    async def join(cls, url: str, room: str = "", root: str = "text") -> YjsClient:
        """Connect, and be in sync."""
        one = await cls.connect(url, lambda: cls(room, root))
        if room:
            one.send(one._head + bytes((AUTH, 0)) + _string("token"))
        one.send(one._head + pycrdt.create_sync_message(one.doc))
        async with asyncio.timeout(30):
            await one.synced.wait()
        return one

    def _own(self, event: pycrdt.TransactionEvent) -> None:
        if self._applying:
            return
        message = self._head + pycrdt.create_update_message(event.update)
        if self._held is None:
            self.send(message)
        else:
            self._held.append(message)

    @contextmanager
    def holding(self) -> Iterator[list[bytes]]:
        """What is typed inside is not sent but collected, for ``send_all``."""
        self._held = []
        try:
            yield self._held
        finally:
            self._held = None

    def message(self, content: bytes) -> None:
        if self._head:
            if not content.startswith(self._head):
                raise ConnectionError(f"not of {self._room}")
            content = content[len(self._head) :]
        if content[0] != SYNC:
            return
        if content[1] == STEP_2 and not self.arrived:
            self.arrived = time.perf_counter()
        self._applying = True
        try:
            reply = pycrdt.handle_sync_message(content[1:], self.doc)
        finally:
            self._applying = False
        if reply is not None:
            self.send(self._head + reply)
        if content[1] == STEP_2:
            self.synced.set()
        self.changed()

    async def wait_until(self, condition: Callable[[], bool], within: float = 300.0) -> None:
        """Return after the update that makes it true.

        Raises:
            TimeoutError: after so many seconds.
            ConnectionError: if the server hangs up before.
        """
        done = asyncio.get_running_loop().create_future()

        def look() -> None:
            if not done.done() and condition():
                done.set_result(None)

        before, self.changed = self.changed, look
        try:
            look()
            async with asyncio.timeout(within):
                await asyncio.wait((done, self.closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.changed = before
        if not done.done():
            raise ConnectionError(self.closed.result())


def _string(value: str) -> bytes:
    data = value.encode()
    assert len(data) < 128
    return bytes((len(data),)) + data
