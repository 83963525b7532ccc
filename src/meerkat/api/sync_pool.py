"""The same pool without an event loop: a thread has one, and everybody else waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

from meerkat.core.status import ChatLine, NetworkPicture
from meerkat.errors import MeerkatError
from meerkat.node.options import NodeOptions

from .database import LIMIT, Change, Conflict, Database, Rows, Values, Written
from .pool import DEFAULT_OPTIONS, WEEK, Pool
from .streams import Stream
from .values import Echo, Message

__all__ = ["SyncDatabase", "SyncPool"]

Value = TypeVar("Value")


class SyncPool:
    """``Pool`` for programs without asyncio; every method waits. ``with`` it.

    Its methods may be called from any thread.
    """

    def __init__(self, folder: str | Path = ".", *, options: NodeOptions = DEFAULT_OPTIONS) -> None:
        self._pool = Pool(folder, options=options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._entered: Future[None] = Future()
        self._failure: BaseException | None = None
        # A daemon: a program that forgets to leave ends all the same.
        self._thread = threading.Thread(target=self._run, name="meerkat", daemon=True)

    @property
    def folder(self) -> Path:
        """See Pool."""
        return self._pool.folder

    @property
    def serving(self) -> bool:
        """See Pool."""
        return self._pool.serving

    def __enter__(self) -> Self:
        self._thread.start()
        self._entered.result()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._leave is not None
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def publish(self, data: bytes) -> None:
        """See Pool."""
        self._wait(self._pool.publish(data))

    def messages(self, *, within: float | None = None) -> Iterator[Message]:
        """See Pool. Hears from this call on.

        Raises:
            TimeoutError: if none comes within so many seconds.
        """
        return self._each(self._pool.messages, within)

    def say(self, text: str, to: str = "") -> str:
        """See Pool."""
        return self._wait(self._pool.say(text, to))

    def chat(self, last: int = 50, *, within: float | None = None) -> Iterator[ChatLine]:
        """See Pool; and ``messages``."""
        return self._each(lambda: self._pool.chat(last), within)

    def chat_history(self, limit: int = 50) -> list[ChatLine]:
        """See Pool."""
        return self._wait(self._pool.chat_history(limit))

    def rename(self, name: str) -> None:
        """See Pool."""
        self._wait(self._pool.rename(name))

    def database(self, path: str | Path) -> SyncDatabase:
        """See Pool."""
        return SyncDatabase(self._pool.database(path), self._wait, self._each)

    def status(self) -> dict[str, Any]:
        """See Pool."""
        return self._wait(self._pool.status())

    def network(self) -> NetworkPicture:
        """See Pool."""
        return self._wait(self._pool.network())

    def echo(self, peer: str, *, size: int = 32, near: bool = False) -> Echo:
        """See Pool."""
        return self._wait(self._pool.echo(peer, size=size, near=near))

    def events(self, *names: str, within: float | None = None) -> Iterator[dict[str, Any]]:
        """See Pool; and ``messages``."""
        return self._each(lambda: self._pool.events(*names), within)

    def invite(self, *, uses: int = 1, lifetime: float = WEEK) -> str:
        """See Pool."""
        return self._wait(self._pool.invite(uses=uses, lifetime=lifetime))

    def _run(self) -> None:
        try:
            asyncio.run(self._stay())
        except (Exception, asyncio.CancelledError) as error:  # raised again in whoever waits
            if not self._entered.done():
                self._entered.set_exception(error)
            self._failure = error

    async def _stay(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        async with self._pool:
            self._entered.set_result(None)
            await self._leave.wait()

    def _wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        if self._loop is None or not self._thread.is_alive():
            work.close()
            raise MeerkatError("This pool is not open. Use it inside `with`.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _each(self, make: Callable[[], Stream[Value]], within: float | None) -> Iterator[Value]:
        stream = make()
        self._wait(stream.wait_listening())
        return _Steps(lambda: self._wait(_next(stream, within)))


class SyncDatabase:
    """``Database`` for programs without asyncio: ``SyncPool.database``."""

    def __init__(
        self,
        database: Database,
        wait: Callable[[Coroutine[Any, Any, Any]], Any],
        each: Callable[[Callable[[], Stream[Change]], float | None], Iterator[Change]],
    ) -> None:
        self._database = database
        self._wait = wait
        self._each = each

    @property
    def path(self) -> str:
        """See Database."""
        return self._database.path

    def execute(self, sql: str, values: Values = (), *, limit: int = LIMIT) -> Rows:
        """See Database."""
        rows: Rows = self._wait(self._database.execute(sql, values, limit=limit))
        return rows

    def watch(self, table: str, *, within: float | None = None) -> Iterator[Change]:
        """See Database; and ``SyncPool.messages``."""
        return self._each(lambda: self._database.watch(table), within)

    def changes(self, *, within: float | None = None) -> Iterator[Change]:
        """See Database; and ``SyncPool.messages``."""
        return self._each(self._database.changes, within)

    def status(self) -> dict[str, Any]:
        """See Database."""
        status: dict[str, Any] = self._wait(self._database.status())
        return status

    def conflicts(self) -> list[Conflict]:
        """See Database."""
        found: list[Conflict] = self._wait(self._database.conflicts())
        return found

    def history(self, table: str, *key: Any) -> list[Written]:
        """See Database."""
        cells: list[Written] = self._wait(self._database.history(table, *key))
        return cells


class _Steps(Iterator[Value]):
    """Goes on after a timeout, as a generator would not."""

    def __init__(self, step: Callable[[], Value]) -> None:
        self._step = step

    def __next__(self) -> Value:
        return self._step()


async def _next(stream: Stream[Value], within: float | None) -> Value:
    async with asyncio.timeout(within):
        return await anext(stream)
