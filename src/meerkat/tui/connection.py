"""The editor's connection to the process that serves the folder, made again when it is lost.

Decides when to connect and in which order things are said. What is said about a text is
``session.py``'s.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from meerkat.control import schema
from meerkat.control.async_client import AsyncControlClient, EventStream
from meerkat.errors import MeerkatError, NotRunning

__all__ = ["Connection", "Folder", "Hear"]

RETRY = 0.3  # s between two attempts to reach a process that is away
IN_FLIGHT = 64  # frames sent and not answered yet; beyond that the sender waits
EVENTS = ("files", "people", "peer_linked", "peer_lost", "renamed", "member_joined", "synced")

Facts = Mapping[str, Any]
Hear = Callable[[Facts], None]


class Folder(Protocol):
    """What the editor asks of the folder, whoever serves it."""

    @property
    def is_up(self) -> bool:
        """Whether it can be asked now."""

    async def run(self) -> None:
        """Be connected, and again whenever the connection is lost; until cancelled."""

    async def open_text(self, path: str, hear: Hear) -> tuple[int, str]:
        """Open a text as a Yjs editor; the session's number and the path.

        ``hear`` is called for what happens to it, maybe before this returns.

        Raises:
            MeerkatError: why not.
        """

    def send_frame(self, session: int, data: bytes) -> None:
        """A frame of the y-websocket protocol, in order."""

    def close_text(self, session: int) -> None:
        """Done with it."""

    async def files(self) -> list[dict[str, Any]]:
        """What is in the folder."""

    async def people(self) -> list[dict[str, Any]]:
        """Who is in which text."""

    async def status(self) -> dict[str, Any]:
        """Everything a person can be told."""


class Connection:
    """A ``Folder`` over the control socket. ``run`` it as long as the editor lives.

    ``on_up`` is called when the process can be asked, also after it was away; ``on_down`` when it
    cannot any more; ``on_event`` with every event of ``EVENTS``.
    """

    def __init__(
        self,
        socket: Path,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_event: Hear,
    ) -> None:
        self._socket = socket
        self._on_up, self._on_down, self._on_event = on_up, on_down, on_event
        self._client: AsyncControlClient | None = None
        self._numbers = itertools.count(1)
        self._hearers: dict[int, Hear] = {}
        self._lost = asyncio.Event()
        self._requests: asyncio.Queue[schema.Request] = asyncio.Queue()

    @property
    def is_up(self) -> bool:
        """Whether the process can be asked now."""
        return self._client is not None

    async def run(self) -> None:
        """See ``Folder``."""
        while True:
            with suppress(MeerkatError, schema.RequestError, OSError, TimeoutError):
                await self._connected()
            await asyncio.sleep(RETRY)

    async def _connected(self) -> None:
        self._lost = asyncio.Event()
        self._requests = asyncio.Queue()
        events = EventStream(self._socket, *EVENTS)
        try:
            await events.wait_listening()
            async with AsyncControlClient(self._socket, self._on_text) as client:
                self._client = client
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._listen(events)),
                        group.create_task(self._send(client)),
                    ]
                    self._on_up()
                    await self._lost.wait()
                    # The stream is ending by itself, and must not be cancelled while it does: that
                    # would cancel whoever waits for its end, and so ourselves.
                    await asyncio.wait(tasks[:1], timeout=RETRY)
                    for task in tasks:
                        task.cancel()
        finally:
            was_up, self._client = self._client is not None, None
            self._hearers.clear()
            if was_up:
                self._on_down()
            await _close(events)

    def _on_text(self, event: dict[str, Any]) -> None:
        if event.get("what") == "lost":
            self._lost.set()
            return
        hear = self._hearers.get(event.get("session", 0))
        if hear is not None:
            hear(event)

    async def _listen(self, events: EventStream) -> None:
        with suppress(MeerkatError, schema.RequestError):
            async for event in events:
                self._on_event(event)
        self._lost.set()

    async def _send(self, client: AsyncControlClient) -> None:
        """Each request is written before the next; answers are not waited for one by one."""
        room = asyncio.Semaphore(IN_FLIGHT)

        async def ask(request: schema.Request) -> None:
            # A session that is over says so by an event of its own.
            with suppress(MeerkatError, TimeoutError):
                await client.ask(request)
            room.release()

        async with asyncio.TaskGroup() as group:
            while True:
                request = await self._requests.get()
                await room.acquire()
                group.create_task(ask(request))

    # --- Folder ---

    async def _ask(self, request: schema.Request) -> dict[str, Any]:
        if self._client is None:
            raise NotRunning(NotRunning.__doc__)
        try:
            return await self._client.ask(request)
        except TimeoutError as error:
            raise MeerkatError("The folder's process did not answer in time.") from error

    async def open_text(self, path: str, hear: Hear) -> tuple[int, str]:
        """See ``Folder``."""
        session = next(self._numbers)
        self._hearers[session] = hear
        try:
            answer = await self._ask(schema.OpenText(session=session, path=path, speech="yjs"))
        except BaseException:
            self._hearers.pop(session, None)
            raise
        return session, str(answer["path"])

    def send_frame(self, session: int, data: bytes) -> None:
        """See ``Folder``. What is sent while the process is away is lost; a sync repeats it."""
        if self._client is not None and session in self._hearers:
            self._requests.put_nowait(schema.TextFrame(session=session, data=data))

    def close_text(self, session: int) -> None:
        """See ``Folder``."""
        if self._hearers.pop(session, None) is not None and self._client is not None:
            self._requests.put_nowait(schema.CloseText(session=session))

    async def files(self) -> list[dict[str, Any]]:
        """See ``Folder``."""
        found: list[dict[str, Any]] = (await self._ask(schema.ListFiles()))["files"]
        return found

    async def people(self) -> list[dict[str, Any]]:
        """See ``Folder``."""
        found: list[dict[str, Any]] = (await self._ask(schema.People()))["people"]
        return found

    async def status(self) -> dict[str, Any]:
        """See ``Folder``."""
        return await self._ask(schema.GetStatus())


async def _close(events: EventStream) -> None:
    try:
        await events.aclose()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
