"""Asking the process that serves a folder, for programs with an event loop of their own."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from meerkat.errors import MeerkatError, NotRunning

from . import schema
from .client import ANSWER_WITHIN, error_of

__all__ = ["AsyncControlClient", "EventStream"]

LOG = logging.getLogger(__name__)
EVENT_LINE = 1024 * 1024  # bytes of one event; the stream holds twice that before it stops reading
ENDED = "The folder's process ended before it answered."


class AsyncControlClient:
    """One connection for requests, any number at once. ``async with`` it."""

    def __init__(
        self, path: Path, on_text: Callable[[dict[str, Any]], None] = lambda event: None
    ) -> None:
        """``on_text`` is called with what happens to texts that this connection opens, and once
        with ``what`` = "lost" when the connection ends.
        """
        self._path = path
        self._on_text = on_text
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._ended = False

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await _connect(self._path, schema.MAX_LINE)
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._reading = self._group.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await self._group.__aexit__(None, None, None)
        await _hang_up(self._writer)

    async def ask(
        self, request: schema.Request, *, within: float | None = ANSWER_WITHIN
    ) -> dict[str, Any]:
        """The result of a request. Requests take effect in the order in which they are asked.

        ``within``: seconds to wait for it; None: for as long as the process lives.

        Raises:
            MeerkatError: the sentence the other process answered, as the error it was there.
            NotRunning: if it ends meanwhile.
            TimeoutError: if no answer comes within so many seconds.
        """
        if self._ended:
            raise NotRunning(ENDED)
        number = next(self._numbers)
        future = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(schema.encode_request(schema.numbered(request, number)))
            async with asyncio.timeout(within):
                with suppress(OSError):  # then the reading side notices, and says so
                    await self._writer.drain()
                value = await future
        except TimeoutError as error:
            raise TimeoutError("The folder's process did not answer in time.") from error
        finally:
            del self._open[number]
        if value.get("error"):
            raise error_of(int(value.get("exit_code", 1)), str(value["error"]))
        return dict(value.get("result") or {})

    async def _read(self) -> None:
        try:
            while (value := await _read_line(self._reader)) is not None:
                if value.get("event") == "text":
                    self._on_text(value)
                    continue
                future = self._open.get(value.get("id", 0))
                if future is not None and not future.done():
                    future.set_result(value)
        except (MeerkatError, schema.RequestError) as error:
            LOG.warning("the control connection is given up: %s", error)
        finally:
            self._ended = True
            self._on_text({"event": "text", "what": "lost"})
            for future in self._open.values():
                if not future.done():
                    future.set_exception(NotRunning(ENDED))


class EventStream:
    """Events with these names (none: all) as they come, over a connection of their own.

    Or those that follow on another ``request`` than ``subscribe``.

    Who reads slowly holds up only the other process's bounded memory of what it was not told yet;
    what goes beyond that is one event ``resync`` with how many were ``missed``. A step that is
    cancelled loses nothing.
    """

    def __init__(self, path: Path, *names: str, request: schema.Request | None = None) -> None:
        self._path = path
        self._request = request or schema.Subscribe(events=names)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._early: deque[dict[str, Any]] = deque()  # came before the answer to our request
        self._listening = False
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        """The next one.

        Raises:
            NotRunning: if nobody serves, or when the process ends.
        """
        await self.wait_listening()
        if self._early:
            return self._early.popleft()
        return await self._line()

    async def wait_listening(self) -> None:
        """Return when everything that happens from now on will be heard.

        Raises:
            NotRunning: as above.
        """
        while not self._listening and not self._closed:
            value = await self._line()
            if value.get("error"):
                raise error_of(int(value.get("exit_code", 1)), str(value["error"]))
            if "event" in value:
                self._early.append(value)
            else:
                self._listening = True

    async def aclose(self) -> None:
        """Hear no more."""
        self._closed = True
        if self._streams is not None:
            await _hang_up(self._streams[1])

    def __del__(self) -> None:
        """A program that left its loop over events early need not say that it is done."""
        if self._streams is not None and not self._closed:
            writer = self._streams[1]
            with suppress(RuntimeError):  # the loop is gone, and the connection with it
                self._loop.call_soon_threadsafe(writer.close)

    async def _line(self) -> dict[str, Any]:
        if self._closed:
            raise StopAsyncIteration
        if self._streams is None:
            self._loop = asyncio.get_running_loop()
            self._streams = await _connect(self._path, EVENT_LINE)
            self._streams[1].write(schema.encode_request(schema.numbered(self._request, 1)))
        value = await _read_line(self._streams[0])
        if value is None:
            await self.aclose()
            raise NotRunning("The folder's process ended.")
        return value


async def _read_line(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """None: the other side ended."""
    try:
        line = await reader.readline()
    except OSError:
        return None
    except ValueError as error:
        raise MeerkatError("The folder's process answered without end.") from error
    return schema.decode_line(line) if line.endswith(b"\n") else None


async def _connect(path: Path, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(str(path), limit=limit)
    except OSError as error:
        raise NotRunning(NotRunning.__doc__) from error


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
