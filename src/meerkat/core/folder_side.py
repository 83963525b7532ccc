"""The folder's side of a peer: what the disk shows becomes operations, what the pool has becomes
jobs for the disk.
"""

from __future__ import annotations

from random import Random

from .actions import EditText, SetLive
from .blobs import Blobs
from .databases import Databases
from .disk import Disk
from .effects import Effect, Notify, Perform, ReportFile, StartTimer
from .events import (
    ChunksStored,
    DatabaseRequested,
    FilesObserved,
    JobsDone,
    RowsReported,
    TextEdited,
)
from .files import KeepResult, Observed, PrepareResult
from .holdings import index_placed
from .local import LocalChanges
from .peer_config import PeerConfig
from .planner import Planner
from .ports import Store
from .replica import Replica
from .saves import Holders, Saves
from .status import Problem
from .timing import NEVER, ROUNDING
from .tree import Version

__all__ = ["FolderSide"]

TELL_FILES = 0.25  # s between two news that the tree has changed (guess: a person's eye)
SOONEST = 0.01  # s, between two looks at what could not be written; a guess against spinning


class FolderSide:
    """Local changes, the plan for the disk, and the contents that go with it."""

    def __init__(
        self,
        store: Store,
        replica: Replica,
        config: PeerConfig,
        rng: Random,
        holders: Holders,
    ) -> None:
        self._replica = replica
        self.disk = Disk(store)
        self.blobs = Blobs(store, self.disk, config.blobs, rng)
        self.databases = Databases(store, replica, self.disk, self.blobs)
        bases: dict[bytes, str] = {}
        self._planner = Planner(
            replica, self.disk, self.blobs, self.databases, bases, config.planner
        )
        self._local = LocalChanges(replica, self.disk, bases, may_be_old=not config.trust_store)
        self._local.rows_seen = self.databases.seen
        self._local.rows_begun = self.databases.has_begun
        self.databases.take_imported = self._local.imported
        self._local.was_held = holders.were_held()
        self._planner.held = holders.holds
        self._planner.watched = holders.watches
        self._saves = Saves(self._local, self.disk, holders)
        self._told = (0, -NEVER)  # the tree's shape that faces heard of, and when
        self._scanned = False  # has the folder been looked at, once?

    # -- reading ---------------------------------------------------------------------------

    def known_files(self) -> dict[str, Observed]:
        """What the folder held when it was last seen."""
        return dict(self.disk.known())

    @property
    def settled(self) -> bool:
        """Whether the disk holds all that the pool has, as far as it is here."""
        settled = self._planner.settled and self.databases.settled
        return self._scanned and settled and not self._saves

    @property
    def pending_count(self) -> int:
        """Paths that the disk does not hold yet as the pool has them."""
        return self._planner.pending_count

    def database_state(self, path: str, version: Version) -> str:
        """How a database is that the pool shows at a path, as in ``DatabaseEntry``."""
        return "ignored" if path in self._planner.ignored else self.databases.state(path, version)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be written, and why."""
        found = [
            *self._planner.problems.values(),
            *self.databases.problems,
            *self.blobs.problems,
        ]
        return tuple(sorted(found, key=lambda one: one.path))

    # -- what happens ----------------------------------------------------------------------

    def started(self) -> list[Effect]:
        """Compare everything."""
        self._planner.look_at_all()
        return list(self.databases.started())

    def observe(self, event: FilesObserved, now: float, wall: float) -> list[Effect]:
        """The folder changed: our own operations follow from it."""
        heard = [*self.databases.ignored.hide(event.hidden), *self._forget_imports(event)]
        self._local.observe(self._saves.sift(event, now, wall), wall)
        self._take_databases(wall)
        paths = [seen.path for seen in event.seen] + list(event.gone)
        for path in paths + [one for pair in event.moved for one in pair]:
            self._planner.look_again(path)
        self._scanned = self._scanned or event.scan_complete
        unread: list[Effect] = [ReportFile(path) for path in sorted(self._local.unread)]
        self._local.unread.clear()
        return [*heard, *unread]

    def _forget_imports(self, event: FilesObserved) -> list[Effect]:
        """What is imported, or turned off, may not stand there any more."""
        imports = self.databases.imports
        for path in [*event.gone, *(old for old, _ in event.moved)]:
            imports.gone(path)
        for old, new in event.moved:
            imports.moved(old, new)
        heard: list[Effect] = []
        for seen in event.seen:
            imports.forget(seen.path)
            heard += imports.observed(seen)
        return heard

    def _take_databases(self, wall: float) -> None:
        """What local changes found out about databases."""
        for seen in self._local.databases.values():
            self.databases.begin_import(seen)
        for path in self._local.replaced:
            self.databases.replaced(path)
        self._local.databases.clear()
        self._local.replaced.clear()
        self._turn(wall)

    def _turn(self, wall: float) -> None:
        """Write down what people asked for, now that it is so."""
        for file, live in list(self.databases.turn()):
            if live == self._replica.tree.files[file].plain:
                self._replica.write([SetLive(file, live)], wall)

    def on_rows(self, event: RowsReported, now: float, wall: float) -> None:
        """The rows process has news; some of it are operations of ours."""
        self.databases.on_reports(event.reports, now, wall)
        self._turn(wall)

    def on_rows_restarted(self) -> None:
        """There is a new rows process."""
        self.databases.restarted()

    def switch(self, event: DatabaseRequested) -> None:
        """A person wants a database merged by rows, or not."""
        self.databases.request(event)

    def on_jobs(self, event: JobsDone, now: float) -> None:
        """The disk did what we asked, or could not."""
        for result in event.results:
            if isinstance(result, PrepareResult):
                self.blobs.on_prepared(result)
            elif isinstance(result, KeepResult):
                self.databases.on_kept(result, now)
            else:
                self._planner.done(result, now)

    def on_stored(self, event: ChunksStored) -> None:
        """Chunks reached the incoming area."""
        self.blobs.on_stored(event.blob, event.stored, event.failed)

    def type(self, event: TextEdited, wall: float) -> None:
        """Our own editors. Positions are checked; what does not fit is refused whole."""
        _, version = self._replica.tree.find(event.file, event.version)
        if version is not None and version.kind == "text" and version.live:
            self._replica.before_edit(version)
            updates = self._replica.texts.edit(version, event.edits)
            self._replica.write(
                [EditText(event.file, version.id, update) for update in updates], wall
            )

    @property
    def has_saves(self) -> bool:
        """Whether a save waits to be known as an editor's own."""
        return bool(self._saves)

    def settle_saves(self, now: float, wall: float) -> list[Effect]:
        """Take in those that waited long enough, or are known by now."""
        return self._saves.settle(now, wall)

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float) -> list[Effect]:
        """What the disk should do next."""
        databases = self.databases
        for source in (
            self._replica.view.changed,
            self._local.dirty,
            self.blobs.dirty,
            databases.dirty,
        ):
            self._planner.dirty |= source
            source.clear()
        for version in self._saves.released():
            self._planner.dirty.update(self.disk.places_of(version))
        effects: list[Effect] = []
        jobs = self._planner.plan(now)
        if jobs:
            effects.append(Perform(tuple(jobs)))
        due = self._planner.next_due()
        if due is not None:
            effects.append(StartTimer("retry", max(due - now, SOONEST)))
        asked = databases.evaluate(now, engaged=self._planner.is_engaged, looked=self._scanned)
        index_placed(self._replica, self.disk, self.blobs)
        return [*effects, *asked, *self._tell(now), *self.blobs.evaluate(now)]

    def _tell(self, now: float) -> list[Effect]:
        """That files came, went or moved, now and then."""
        shape, at = self._told
        if self._replica.view.shape == shape:
            return []
        if now < at + TELL_FILES - ROUNDING:
            return [StartTimer("files", at + TELL_FILES - now)]
        self._told = (self._replica.view.shape, now)
        return [Notify("files", {})]

    def flush(self) -> None:
        """Bring the store up to date; call before the transaction ends."""
        self.disk.flush()
