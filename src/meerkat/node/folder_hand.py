"""The node's hand in the folder: one life of the folder adapter, and what it has under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from meerkat.core.effects import StoreChunk
from meerkat.core.events import Event, FilesObserved
from meerkat.core.files import Job, Location, Observed
from meerkat.core.ids import ContentHash
from meerkat.core.status import Problem
from meerkat.folder.adapter import FolderAdapter
from meerkat.folder.ignore import DEFAULT_RULES

from .bulletin import Bulletin
from .folder_bridge import DatabaseTouched, FolderBridge, FolderProblems, FolderProgress, Told
from .home import Home
from .options import NodeConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FolderHand"]


class FolderHand:
    """Begins with what the peer knows of the disk; ends with ``stop`` and is not used again."""

    def __init__(
        self,
        home: Home,
        known: Mapping[str, Observed],
        *,
        config: NodeConfig,
        bulletin: Bulletin,
        post: Callable[[list[Event]], None],
        touched: Callable[[str], None] = lambda path: None,
    ) -> None:
        self._bridge = FolderBridge(asyncio.get_running_loop(), config, self._told)
        self._adapter = make_adapter(home, dict(known), self._bridge)
        self._bulletin = bulletin
        self._post = post
        self._touched = touched  # a live database, perhaps; called on the loop
        self._started = False
        self._stopped = False
        self.problems: tuple[Problem, ...] = ()
        self.reading: dict[str, FolderProgress] = {}

    async def stop(self) -> None:
        """Finish the job in hand; what the folder still has to say comes before this returns."""
        if not self._stopped:
            self._stopped = True
            await asyncio.to_thread(self._adapter.stop)
            self._bridge.flush()
            self._bridge.close()

    async def abandon(self) -> None:
        """Stop without listening: the peer it told is gone."""
        if not self._stopped:
            self._stopped = True
            self._bridge.close()
            await asyncio.to_thread(self._adapter.stop)

    @property
    def queued_bytes(self) -> int:
        """What waits to be written."""
        return self._adapter.queued_bytes

    def scan(self) -> None:
        """Look at everything. The first time the folder's threads begin: newcomers sync first."""
        if self._started:
            self._adapter.request_scan()
        else:
            self._started = True
            self._adapter.start()

    def report(self, path: str) -> None:
        """Have a path read again and reported in full."""
        self._adapter.request_report(path)

    def treat_as_plain(self, path: str, *, plain: bool) -> None:
        """Have a database treated as an ordinary file, or again as one, and reported."""
        self._adapter.treat_as_plain(path, plain=plain)

    def perform(self, jobs: tuple[Job, ...]) -> None:
        """Queue jobs."""
        self._adapter.perform(list(jobs))

    def store(self, effect: StoreChunk) -> None:
        """Queue a received chunk for the disk."""
        self._adapter.store_chunk(effect.blob, effect.index, effect.data)

    def read_chunk(self, location: Location, expected: ContentHash) -> bytes | None:
        """In a worker thread: a chunk off the disk, checked."""
        return self._adapter.read_chunk(location, expected)

    def decided(self, event: FilesObserved) -> None:
        """The peer has dealt with this."""
        self._bridge.decided(event)

    def _told(self, told: list[Told]) -> None:
        events: list[Event] = []
        for one in told:
            if isinstance(one, FolderProblems):
                self._set_problems(one.problems)
            elif isinstance(one, FolderProgress):
                self._set_progress(one)
            elif isinstance(one, DatabaseTouched):
                self._touched(one.path)
            else:
                events.append(one)
        if events:
            self._post(events)

    def _set_problems(self, problems: tuple[Problem, ...]) -> None:
        before = set(self.problems)
        self.problems = problems
        for problem in problems:
            if problem not in before:
                self._bulletin.publish("problem", path=problem.path, text=problem.text)

    def _set_progress(self, progress: FolderProgress) -> None:
        if progress.done_bytes >= progress.total_bytes:
            self.reading.pop(progress.path, None)
        else:
            self.reading[progress.path] = progress
        self._bulletin.publish(
            "reading",
            path=progress.path,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes,
        )


def make_adapter(home: Home, known: dict[str, Observed], bridge: FolderBridge) -> FolderAdapter:
    """The adapter as the folder's config wants it."""
    rules = (*DEFAULT_RULES, *home.config.ignore)
    return FolderAdapter(home.state.folder, home.state.path, known, bridge, ignore=rules)
