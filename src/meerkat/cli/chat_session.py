"""A chat's connection to the folder's process: what is said, what is heard, what became of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from meerkat.control import schema
from meerkat.control.async_client import AsyncControlClient, EventStream
from meerkat.errors import MeerkatError

from .chat_lines import Said
from .network_log import NETWORK_EVENTS, NetworkLog

__all__ = ["CHAT_EVENTS", "ChatSession", "one_error"]

Facts = Mapping[str, Any]

CHAT_EVENTS = ("chat", "delivered", "waiting")
REMEMBERED = 1_000  # lines not to be shown twice, and receipts nobody waits for yet
ECHO_WITHIN = 25.0  # seconds; the node gives up before


class ChatSession:
    """``async with`` it: inside the block everything that is said is heard."""

    def __init__(self, path: Path, log: NetworkLog) -> None:
        self._client = AsyncControlClient(path)
        self._events = EventStream(path, *CHAT_EVENTS, *NETWORK_EVENTS)
        self._log = log
        self._told: deque[str] = deque(maxlen=REMEMBERED)
        self._receipts: deque[Facts] = deque(maxlen=REMEMBERED)
        self._waiting: dict[str, asyncio.Future[Facts]] = {}

    async def __aenter__(self) -> Self:
        await self._events.wait_listening()
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._events.aclose()
        await self._client.__aexit__(None, None, None)

    async def ask(self, request: schema.Request, *, within: float = ECHO_WITHIN) -> dict[str, Any]:
        """Any question to the folder's process."""
        return await self._client.ask(request, within=within)

    async def history(self, lines: int) -> list[Facts]:
        """The last lines before now; they will not be heard again."""
        answer = await self.ask(schema.ChatHistory(limit=lines))
        found: list[Facts] = answer["lines"]
        self._told.extend(line["id"] for line in found)
        return found

    async def names(self) -> list[str]:
        """Everybody else's name."""
        status = await self.ask(schema.GetStatus())
        return [one["name"] for one in status["members"] if one["member"] != status["member"]]

    async def find(self, name: str) -> str:
        """How the member is called that somebody means.

        Raises:
            UnknownMember: if nobody, or more than one, may be meant.
        """
        return str((await self.ask(schema.Find(peer=name)))["name"])

    async def say(self, said: Said) -> str:
        """Say it; its id, once it is kept.

        Raises:
            MeerkatError: if it was refused.
        """
        if len(said.text) > schema.MAX_TEXT:
            raise MeerkatError("This is too long to be said at once. Put it into a file.")
        return str((await self.ask(schema.Say(text=said.text, to=said.to))).get("id", ""))

    async def wait_receipt(self, line: str, within: float) -> Facts | None:
        """What became of a direct message: ``delivered`` or ``waiting``; None: nothing yet.

        Somebody must be reading ``heard`` meanwhile.
        """
        for event in self._receipts:
            if event["id"] == line:
                return event
        future: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        self._waiting[line] = future
        try:
            async with asyncio.timeout(within):
                return await future
        except TimeoutError:
            return None
        finally:
            del self._waiting[line]

    async def heard(self) -> AsyncGenerator[Facts]:
        """What is said and becomes of it, as it happens; the network's words go to the log.

        Raises:
            NotRunning: when the folder's process ends.
        """
        async for event in self._events:
            self._log.write(event)
            name = event["event"]
            if name == "chat":
                if event["id"] in self._told:
                    continue
                self._told.append(event["id"])
            elif name in ("delivered", "waiting"):
                self._receipts.append(event)
                future = self._waiting.get(str(event["id"]))
                if future is not None and not future.done():
                    future.set_result(event)
            yield event


@contextmanager
def one_error() -> Iterator[None]:
    """The first thing that went wrong in a group of tasks, as it was."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
