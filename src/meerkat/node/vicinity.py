"""The network around a running node: members that are near, and whatever changes there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from meerkat.core.events import Event, Listening, NetworkChanged
from meerkat.core.status import Status

from .bulletin import Bulletin
from .discovery import Discovery
from .home import Home
from .listening import Reach, moved
from .options import NodeOptions
from .spawn import Spawn
from .surroundings import Surroundings

__all__ = ["Vicinity"]

LOG = logging.getLogger(__name__)
NEWS = ("member_joined", "renamed")  # that change whom we know or what we announce


class Vicinity:
    """Runs ``Discovery`` and ``Surroundings`` until ``stop``.

    Args:
        home: the pool and the store.
        options: as the command line and the folder's settings say.
        reach: where we listen.
        status: who we are now.
        post: takes events for the peer.
        moved: told where we can be reached instead.
    """

    def __init__(
        self,
        home: Home,
        options: NodeOptions,
        reach: Reach,
        *,
        status: Callable[[], Status],
        post: Callable[[Iterable[Event]], None],
        moved: Callable[[Reach], None],
        bulletin: Bulletin,
    ) -> None:
        self._options, self._reach = options, reach
        self._post, self._moved, self._bulletin = post, moved, bulletin
        self._surroundings = Surroundings(self._on_change)
        self._discovery: Discovery | None = None
        if options.discover is not False:
            self._discovery = Discovery(
                home.pool,
                home.store,
                reach=lambda: self._reach,
                status=status,
                post=lambda event: post([event]),
            )
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self, spawn: Spawn) -> None:
        """Begin. Nothing here delays or ends the node."""
        self._tasks.append(spawn(self._surroundings.watch))
        if self._discovery is not None:
            self._tasks.append(spawn(self._discovery.run))
            self._unsubscribe = self._bulletin.subscribe(self._on_news)

    def stop(self) -> None:
        """Say goodbye; the tasks end by themselves."""
        self._unsubscribe()
        for task in self._tasks:
            task.cancel()

    def invited(self) -> None:
        """An invitation was made."""
        if self._discovery is not None:
            self._discovery.invited()

    def _on_news(self, event: Mapping[str, Any]) -> None:
        if event["event"] in NEWS and self._discovery is not None:
            self._discovery.refresh()

    async def _on_change(self) -> None:
        before = self._reach
        self._reach = await asyncio.to_thread(moved, before, self._options)
        LOG.info("the network changed; reachable at %s", ", ".join(self._reach.links) or "nothing")
        events: list[Event] = [NetworkChanged()]
        if self._reach != before:
            self._moved(self._reach)
            events.insert(0, Listening(self._reach.links))
        self._post(events)
        if self._discovery is not None:
            self._discovery.network_changed(elsewhere=self._reach != before)
