"""The hands: one function, ``Node.step``; everything else brings events to it or effects from it.

A Peer decides, a Node does. What is decided is durable before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

from meerkat.core.editing import Closed, SessionId
from meerkat.core.effects import Effect
from meerkat.core.events import (
    Event,
    FilesObserved,
    Listening,
    RowsReported,
    RowsRestarted,
    Started,
    Stopping,
    TimerExpired,
)
from meerkat.core.ids import MemberId
from meerkat.core.rows import RowsReport
from meerkat.core.status import Problem, Status
from meerkat.errors import (
    MeerkatError,
    NodeBroken,
    NotRunning,
    StoreDamaged,
    StoreError,
    StoreFull,
)
from meerkat.transport.base import LinkListener, Transport
from meerkat.transport.grpc_transport import GrpcTransport
from meerkat.transport.identity import TlsIdentity

from .bulletin import Bulletin
from .describe import describe, with_databases, with_problems
from .dialing import Dialer
from .editors import Editors
from .folder_hand import FolderHand
from .hands import Hands
from .home import Home
from .inbox import Inbox
from .last_ports import keep_ports, last_ports
from .links import Links
from .listening import Reach, listen, with_settings
from .mind import MakeMind, Mind, make_peer
from .options import NodeConfig, NodeOptions
from .reception import Reception
from .recovery import wait_for_store
from .requests import Requests
from .rows_host import RowsHost
from .serving import Serving
from .spawn import spawner
from .timers import Timers
from .trace import trace
from .vicinity import Vicinity

__all__ = ["Node"]

LOG = logging.getLogger(__name__)
DEFAULT_OPTIONS = NodeOptions()
DEFAULT_CONFIG = NodeConfig()


MakeTransport = Callable[[TlsIdentity, LinkListener], Transport]


class Node:
    """Serves one opened folder. ``async with`` it: inside the block it runs."""

    def __init__(
        self,
        home: Home,
        options: NodeOptions = DEFAULT_OPTIONS,
        *,
        config: NodeConfig = DEFAULT_CONFIG,
        make_transport: MakeTransport = GrpcTransport,
        make_mind: MakeMind = make_peer,
    ) -> None:
        self.home = home
        self.bulletin = Bulletin()
        self.reach = Reach()
        member = home.identity.member
        self.requests = Requests(member, lambda event: self.post([event]), self._thinking, config)
        self.editors = Editors(self._put_editor_event, self._put_frame, self.requests, config)
        self.rows = RowsHost(
            home.state.folder,
            spawn=lambda work: self._spawn(work),
            reported=self._on_reports,
            restarted=lambda: self._post_if_thinking(RowsRestarted()),
        )
        self._options = options
        self._config = config
        self._make = (make_transport, make_mind)
        self._inbox = Inbox(self._on_broken_link)
        self._mind: Mind | None = None  # None: starting, paused, stopping or broken
        self._busy = False  # a turn runs, or the next one is on the loop's list
        self._paused: StoreError | None = None
        self._vicinity: Vicinity | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._last_status: Status | None = None
        self._stopped = asyncio.Event()
        self._failure: MeerkatError | None = None

    # --- Deciding ---

    def step(self, events: Iterable[Event]) -> None:
        """Let the peer decide on events, make its decisions durable, then carry them out."""
        assert self._mind is not None
        effects: list[Effect] = []
        with self.home.store.transaction():
            for event in events:
                trace("in", event)
                effects += self._mind.handle(event, now=time.monotonic(), wall=time.time())
        for effect in effects:
            trace("out", effect)
            self._hands.perform(effect)

    def post(self, events: Iterable[Event]) -> None:
        """Things of our own to decide on, at once if nothing else is being decided."""
        for event in events:
            self._inbox.put(event)
        self._wake()

    def _put_editor_event(self, event: Event) -> None:
        self._inbox.put(event)
        self._wake_soon()

    def _put_frame(self, session: SessionId, frame: bytes) -> None:
        self._inbox.put_editor_frame(session, frame)
        self._wake_soon()

    def _wake(self) -> None:
        if not self._busy:
            self._turn()

    def _wake_soon(self) -> None:
        """Not at once: what came in the same packet is decided, signed and kept together."""
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """A slice of what waits. Everyone else on the loop gets a turn before the next."""
        self._busy = True
        try:
            if self._mind is not None:
                self.step(self._slice())
        except StoreDamaged as error:
            self._fail(error)
        except StoreError as error:
            self._pause(error)
        except Exception as error:
            self._break(error)
        self._hands.hold_back(self._inbox.bulk_bytes, self._config.storing_bytes)
        self._busy = bool(self._inbox) and self._mind is not None
        if self._busy:
            self._loop.call_soon(self._turn)

    def _slice(self) -> Iterator[Event]:
        end = time.monotonic() + self._config.slice
        for event in self._inbox.take(lambda: time.monotonic() < end):
            yield event
            if isinstance(event, FilesObserved):
                self._hands.folder.decided(event)

    def _on_broken_link(self, link: Any, reason: str) -> None:
        LOG.warning("link %d broke the rules: %s", link, reason)
        self._hands.links.close(link, "protocol")

    # --- Running ---

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._spawn = spawner(self._group, self._break)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def wait_stopped(self) -> None:
        """Return when asked to stop.

        Raises:
            NodeBroken: if it met a bug.
            StoreDamaged: if the store is no more what it was.
        """
        await self._stopped.wait()
        if self._failure is not None:
            raise self._failure

    def request_stop(self) -> None:
        """Let ``wait_stopped`` return."""
        self._stopped.set()

    async def _start(self) -> None:
        make_transport, make_mind = self._make
        home, config = self.home, self._config
        links = Links(self._inbox, config, self._wake)
        transport = make_transport(home.tls, links)
        reception = Reception(home.pool, home.tls, config, lambda event: self.post([event]))
        mind = make_mind(home.store, home.identity)
        folder = self._make_folder(mind)
        self._hands = Hands(
            transport=transport,
            links=links,
            dialer=Dialer(self._spawn, transport, links, lambda event: self.post([event])),
            serving=Serving(
                self._spawn, links, self._read_chunk, config, lambda event: self.post([event])
            ),
            folder=folder,
            timers=Timers(self._loop, self._on_timers),
            reception=reception,
            requests=self.requests,
            editors=self.editors,
            rows=self.rows,
            bulletin=self.bulletin,
        )
        options = with_settings(self._options, home.config)
        last = last_ports(home.store)
        self.reach = await listen(transport, reception.door, options, config, last)
        keep_ports(home.store, self.reach.bound, self.reach.door_bound)
        self._begin(mind)
        why_not = self._failure or self._paused
        if why_not is not None:
            raise why_not
        self._vicinity = Vicinity(
            home,
            options,
            self.reach,
            status=self.status,
            post=self.post,
            moved=self._on_moved,
            bulletin=self.bulletin,
        )
        self._vicinity.start(self._spawn)

    def _on_moved(self, reach: Reach) -> None:
        self.reach = reach

    def _make_folder(self, mind: Mind) -> FolderHand:
        return FolderHand(
            self.home,
            mind.known_files(),
            config=self._config,
            bulletin=self.bulletin,
            post=self.post,
            touched=self.rows.look,
        )

    def _on_reports(self, reports: tuple[RowsReport, ...]) -> None:
        self._post_if_thinking(RowsReported(reports))

    def _post_if_thinking(self, event: Event) -> None:
        """Not while nobody decides: what comes then is for a peer that is gone."""
        if self._mind is not None:
            self.post([event])

    def _read_chunk(self, *arguments: Any) -> bytes | None:
        return self._hands.folder.read_chunk(*arguments)

    def _begin(self, mind: Mind) -> None:
        self._mind = mind
        self._hands.links.refuse("")
        self.post([Started(time.time()), Listening(self.reach.links)])

    def _on_timers(self, names: list[str]) -> None:
        self.post([TimerExpired(name) for name in names])

    async def _stop(self) -> None:
        """Say goodbye, let the disk finish, keep what it did."""
        hands: Hands | None = getattr(self, "_hands", None)
        if hands is not None:
            self.post([Stopping()])
            if self._vicinity is not None:
                self._vicinity.stop()
            hands.timers.clear()
            hands.dialer.cancel()
            if self._resuming is not None:
                self._resuming.cancel()
            await hands.reception.door.close()
            await hands.transport.close()
            await hands.folder.stop()
            await self.rows.capture()
            hands.serving.close()
            self._finish_inbox()
            await self.rows.stop()
            self._finish_inbox()
        self._mind = None
        self._inbox.clear()
        await self._group.__aexit__(None, None, None)
        self.bulletin.publish("stopped")

    def _finish_inbox(self) -> None:
        while self._inbox and self._mind is not None:
            self._turn()

    # --- When it does not go on ---

    def _break(self, error: Exception) -> None:
        LOG.critical("a bug: the node stops", exc_info=error)
        self._fail(NodeBroken(f"{NodeBroken.__doc__} ({error!r}; the log has more.)"))

    def _fail(self, error: MeerkatError) -> None:
        self._mind = None
        self._inbox.clear()
        self._failure = self._failure or error
        self._hands.reception.refuse(self._failure)
        self.requests.refuse(self._failure)
        self.editors.end(Closed("stopping", str(self._failure)))
        self._stopped.set()

    def _pause(self, error: StoreError) -> None:
        """Nothing was kept of this turn. Memory may know more than the store: begin anew from it.

        Whatever the folder told meanwhile is found again by the scan of the new beginning.
        """
        LOG.warning("paused: %s", error)
        assert self._mind is not None
        with suppress(StoreError):
            self._last_status = self._mind.status()
        self._mind = None
        self._paused = error
        self._inbox.clear()
        self._hands.timers.clear()
        self._hands.dialer.cancel()
        self._hands.links.refuse("full")
        self._hands.reception.refuse(StoreFull(StoreFull.__doc__))
        self.requests.refuse(error)
        self.editors.end(Closed("stopping", str(error)))
        self.bulletin.publish("problem", path="", text=str(error))
        self._resuming = self._spawn(self._resume_later)

    async def _resume_later(self) -> None:
        await self._hands.folder.abandon()
        await self.rows.abandon()
        try:
            await wait_for_store(self.home.store, self._config, self._still_paused)
            mind = self._make[1](self.home.store, self.home.identity)
        except StoreDamaged as error:
            self._fail(error)
            return
        self._hands.folder = self._make_folder(mind)
        self._paused = None
        self.bulletin.publish("resumed")
        self._begin(mind)

    def _still_paused(self, error: StoreError) -> None:
        self._paused = error

    # --- For faces ---

    def status(self) -> Status:
        """Everything a person can be told, with the problems of folder and store."""
        if self._failure is not None:
            raise self._failure
        mind, status = self._mind, self._last_status
        if mind is not None:
            folder = self.home.state.folder
            status = with_databases(mind.status(), folder, mind.database_paths())
        if status is None:
            raise NotRunning("Meerkat is starting or stopping; ask again.")
        self._last_status = status
        problems = self._hands.folder.problems
        if self._hands.folder.reading:
            status = replace(status, in_sync=False)
        if self.rows.problem:
            problems = (*problems, Problem("", self.rows.problem))
        if self._paused is not None:
            problems = (*problems, Problem("", str(self._paused)))
            status = replace(status, peers=(), in_sync=False)
        return with_problems(status, problems)

    def _thinking(self) -> Mind:
        """Who decides now."""
        if self._mind is not None:
            return self._mind
        raise self._failure or self._paused or NotRunning("Meerkat starts or stops; ask again.")

    def describe(self) -> dict[str, Any]:
        """The status and where we are, as JSON values."""
        return describe(
            self.status(),
            folder=self.home.state.folder,
            member=self.home.identity.member.hex(),
            running=True,
            reach=self.reach,
            reading=tuple(self._hands.folder.reading.values()),
            paused=self._paused is not None,
        )

    async def invite(self, *, uses: int, lifetime: float) -> str:
        """A new invitation's text."""
        invitation = await self._hands.reception.invite(
            addresses=self.reach.door,
            pool_name=self.status().pool_name,
            uses=uses,
            lifetime=lifetime,
        )
        if self._vicinity is not None:
            self._vicinity.invited()
        return invitation

    def cut(self, members: frozenset[bytes]) -> None:
        """Testing aid: no links with these members; the empty set heals."""
        self._hands.links.cut(frozenset(MemberId(member) for member in members))

    def subscribe(self, listener: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Hear all news."""
        return self.bulletin.subscribe(listener)
