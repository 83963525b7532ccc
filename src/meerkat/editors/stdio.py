"""An editor at our standard input and output. Nothing else is ever printed there."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from contextlib import suppress
from typing import BinaryIO

from .folder import Start
from .framing import FrameError
from .server import EditorServer

__all__ = ["serve"]

LOG = logging.getLogger(__name__)
GOODBYE = 2.0  # seconds to finish what was asked for when the editor closes its side; guess
AT_ONCE = 256 * 1024  # bytes read at once
MAX_UNREAD = 64 * 1024 * 1024  # bytes that an editor does not read before we give it up; guess


async def serve(source: BinaryIO, sink: BinaryIO, start: Start) -> None:
    """Serve the editor until it closes its side."""
    ended = asyncio.Event()
    output = await _output(sink, ended)
    async with EditorServer(output.write, start) as server:
        reading = await _input(source, server, ended)
        await ended.wait()
        reading.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await server.wait_idle()
    output.close()


class _Input(asyncio.Protocol):
    """What comes in goes to the server at once."""

    def __init__(self, server: EditorServer, ended: asyncio.Event) -> None:
        self._server = server
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        if self._ended.is_set():
            return
        try:
            self._server.receive(data)
        except FrameError as error:
            LOG.error("what the editor sends cannot be understood: %s", error)
            self._ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


class _Output(asyncio.BaseProtocol):
    """Never waits: what an editor does not read is kept, up to a limit."""

    transport: asyncio.WriteTransport

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def write(self, data: bytes) -> None:
        if self._ended.is_set():
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNREAD:
            LOG.error("the editor does not read what it is told")
            self._ended.set()

    def close(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


class _FileOutput:
    """A file, for which nobody needs to wait."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sink.flush()

    def close(self) -> None:
        """It belongs to the caller."""


class _FileInput:
    """All of it was read."""

    def close(self) -> None:
        """It belongs to the caller."""


def _can_wait(stream: BinaryIO) -> bool:
    """Whether an event loop can wait for it: not for a file on a disk, nor for /dev/null."""
    mode = os.fstat(stream.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()


async def _input(
    source: BinaryIO, server: EditorServer, ended: asyncio.Event
) -> asyncio.BaseTransport | _FileInput:
    loop = asyncio.get_running_loop()
    if _can_wait(source):
        transport, _ = await loop.connect_read_pipe(lambda: _Input(server, ended), source)
        return transport
    protocol = _Input(server, ended)
    while data := source.read(AT_ONCE):
        protocol.data_received(data)
    ended.set()
    return _FileInput()


async def _output(sink: BinaryIO, ended: asyncio.Event) -> _Output | _FileOutput:
    if not _can_wait(sink):
        return _FileOutput(sink)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(lambda: _Output(ended), sink)
    protocol.transport = transport
    return protocol
