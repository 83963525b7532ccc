"""A pool, as a program sees it: publish bytes, hear others', talk, look around.

The network below is invisible. Everything goes over the control socket of the process that
serves the folder, also when that is this very process: there is one way, and it is tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from weakref import WeakSet

from meerkat.control import schema
from meerkat.control.async_client import AsyncControlClient
from meerkat.control.client import ANSWER_WITHIN
from meerkat.core.status import ChatLine, NetworkPicture
from meerkat.errors import AlreadyRunning, MeerkatError, NotRunning
from meerkat.node.home import StateFolder
from meerkat.node.options import NodeOptions

from . import values
from .database import Change, ChangeStream, Database, path_in
from .hosting import Hosting
from .streams import Stream
from .values import Echo, Message

__all__ = ["Pool"]

Value = TypeVar("Value")

STARTS_WITHIN = 10.0  # seconds for another process that begins to serve to answer
LOOK = 0.05  # seconds between looks at it
ECHO_WITHIN = 25.0  # seconds; the node gives up before
DEFAULT_OPTIONS = NodeOptions()
WEEK = 7 * 86_400.0


class Pool:
    """The pool of ``folder``, which was shared or joined before. ``async with`` it.

    Attaches to the process that serves the folder (`meerkat up`), or, if none does, serves it
    inside this one, with ``options``; then the folder's files are synced too.

    Raises:
        NotAPool: if the folder was not shared or joined yet (``meerkat.share``, ``meerkat.join``).
        MeerkatError: why it cannot be served.
    """

    def __init__(self, folder: str | Path = ".", *, options: NodeOptions = DEFAULT_OPTIONS) -> None:
        self.folder = Path(folder)
        self._options = options
        self._state = StateFolder(self.folder)
        self._hosting: Hosting | None = None
        self._client: AsyncControlClient | None = None
        self._streams: WeakSet[Stream[Any]] = WeakSet()

    @property
    def serving(self) -> bool:
        """Whether this program serves the folder itself."""
        return self._hosting is not None

    async def __aenter__(self) -> Self:
        self._state.require()
        deadline = asyncio.get_running_loop().time() + STARTS_WITHIN
        while not await self._attach():
            try:
                await self._serve()
            except AlreadyRunning:  # another process was quicker, and will answer soon
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(LOOK)
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        hosting, self._hosting = self._hosting, None
        try:
            for stream in list(self._streams):
                await stream.aclose()
            if client is not None:
                await client.__aexit__(None, None, None)
        finally:
            if hosting is not None:
                await hosting.stop()

    # --- Programs ---

    async def publish(self, data: bytes) -> None:
        """Send ``data`` (at most 64 KiB) to the programs of all other peers that are here now.

        Nothing is kept for those who are away. What one program publishes arrives in order, once.
        It does not come back to this folder: neither to this program nor to others attached to it.
        Who publishes faster than peers pass on (some tens a second) waits here.
        """
        await self._ask(schema.Publish(data=data), within=None)

    def messages(self) -> Stream[Message]:
        """What other peers publish from now on: ``async for message in pool.messages()``."""
        return self._hear(("message",), values.message)

    # --- People ---

    async def say(self, text: str, to: str = "") -> str:
        """Say something to all, or to one member (a name, or how an id begins).

        It is kept before this returns, and arrives though others are away now. Returns its id.

        Raises:
            UnknownMember: if nobody, or more than one, goes by that name.
        """
        return str((await self._ask(schema.Say(text=text, to=to))).get("id", ""))

    def chat(self, last: int = 50) -> Stream[ChatLine]:
        """The ``last`` lines that were said, then every one that is, our own included."""
        told: set[str] = set()

        async def history() -> list[ChatLine]:
            lines = await self.chat_history(last)
            told.update(line.id for line in lines)
            return lines

        def read(event: dict[str, Any], _: int) -> ChatLine | None:
            line = values.chat_line(event)
            if line.id in told:  # it was said while the history was asked for
                told.discard(line.id)
                return None
            return line

        return self._hear(("chat",), read, history if last else None)

    async def chat_history(self, limit: int = 50) -> list[ChatLine]:
        """The last lines that were said to us or to all, the oldest first."""
        answer = await self._ask(schema.ChatHistory(limit=limit))
        return [values.chat_line(line) for line in answer["lines"]]

    async def rename(self, name: str) -> None:
        """Be called ``name`` from now on."""
        await self._ask(schema.Rename(name=name))

    # --- Databases ---

    def database(self, path: str | Path) -> Database:
        """The live database at ``path`` in the folder (`meerkat db list` shows them)."""
        return Database(path_in(self.folder, path), self._ask, self._hear_changes)

    # --- Looking around ---

    async def status(self) -> dict[str, Any]:
        """Everything at this moment, as `meerkat status --json` prints it."""
        return await self._ask(schema.GetStatus())

    async def network(self) -> NetworkPicture:
        """Who is here, and who is linked to whom."""
        return values.network_picture(await self._ask(schema.Network()))

    async def echo(self, peer: str, *, size: int = 32, near: bool = False) -> Echo:
        """How far away a member is; ``size`` bytes go there and back.

        ``near``: over a link of our own, if there is one.

        Raises:
            UnknownMember: as ``say``.
            MeerkatError: if no answer came.
        """
        request = schema.Echo(peer=peer, size=size, near=near)
        return values.echo(await self._ask(request, within=ECHO_WITHIN))

    def events(self, *names: str) -> Stream[dict[str, Any]]:
        """Everything that happens (or what has these names), as `meerkat up --json` prints it."""
        return self._hear(names, lambda event, _: event)

    async def invite(self, *, uses: int = 1, lifetime: float = WEEK) -> str:
        """An invitation for so many newcomers, good for ``lifetime`` seconds."""
        answer = await self._ask(schema.Invite(uses=uses, lifetime=lifetime))
        return str(answer["invitation"])

    async def _ask(
        self, request: schema.Request, *, within: float | None = ANSWER_WITHIN
    ) -> dict[str, Any]:
        if self._client is None:
            raise MeerkatError("This pool is not open. Use it inside `async with`.")
        return await self._client.ask(request, within=within)

    def _hear_changes(self, request: schema.DbWatch) -> Stream[Change]:
        stream = ChangeStream(self._state.control_socket(), request)
        self._streams.add(stream)
        return stream

    def _hear(
        self,
        names: tuple[str, ...],
        read: Callable[[dict[str, Any], int], Value | None],
        first: Callable[[], Awaitable[list[Value]]] | None = None,
    ) -> Stream[Value]:
        stream = Stream(self._state.control_socket(), names, read, first)
        self._streams.add(stream)
        return stream

    async def _attach(self) -> bool:
        client = AsyncControlClient(self._state.control_socket())
        try:
            self._client = await client.__aenter__()
        except NotRunning:
            return False
        return True

    async def _serve(self) -> None:
        hosting = Hosting(self.folder, self._options)
        await hosting.start()
        self._hosting = hosting
