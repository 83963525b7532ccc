"""Live databases: SQLite files that merge by rows, as one peer sees them.

Decides what the rows process is asked, and when the folder may touch a database's file. How rows
merge is the rows process's business (``meerkat.rows``); what stands at which path is the view's,
as of any file.

A version of kind "rows" is its base (a blob: the file as it was imported) and every change since.
Nothing here costs anything while there is no such version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import msgspec

from .blobs import Blobs
from .captures import Captures
from .chunks import Chunk, unpack_chunks
from .disk import STALE, Disk, DiskEntry
from .effects import Answered, Effect, Perform, StartTimer, TellRows
from .events import DatabaseRequested
from .files import Export, KeepBase, KeepResult, Kind, Outcome, Seen
from .ids import ContentHash, VersionId
from .ignored import Ignored
from .imports import Imports
from .live_database import Copy, LiveDatabase, Situation, Stand
from .operation import Operation
from .packing import pack
from .ports import Store, Table
from .replica import Replica
from .row_feed import RowFeed
from .rows import (
    DatabaseAttached,
    DatabaseDetached,
    DatabaseExported,
    DatabaseImported,
    DatabaseLoaded,
    DatabaseRefused,
    DatabaseState,
    LoadDatabase,
    RowsApplied,
    RowsCaptured,
    RowsReport,
)
from .status import Problem
from .timing import ROUNDING
from .tree import File, Version
from .vectors import Vector, raised

__all__ = ["Databases"]

KEEP_RETRY = 2.0  # s until a base that could not be kept is tried again (guess)


class _Record(msgspec.Struct, array_like=True):
    """What we know of a database's state when the rows process is not there to ask.

    ``base``: the digest of its base, if that is kept. ``begun``: its state is, or was, more than
    that. ``have``: of each author the last operation that the file had.
    """

    base: bytes = b""
    begun: bool = False
    have: Vector = ()


class Databases:
    """All live databases that stand in the folder or should."""

    def __init__(self, store: Store, replica: Replica, disk: Disk, blobs: Blobs) -> None:
        self._store, self._replica, self._disk, self._blobs = store, replica, disk, blobs
        self.imports = Imports(replica, disk)
        self.ignored = Ignored(disk, self.imports)
        self._captures = Captures(store, replica)
        self._author = bytes(replica.log.author)
        self._lives: dict[bytes, LiveDatabase] = {}
        self._wanted: dict[str, bytes] = {}  # path -> version that should stand there
        self._leaving: dict[str, bytes] = {}  # path -> version that should not
        self._keeping: dict[int, bytes] = {}  # ticket of a KeepBase -> version
        self._keep_at: dict[bytes, float] = {}  # version -> when to try that again
        self._ticket = 0
        self._now = 0.0
        self._due = 0.0
        self._out: list[Effect] = []
        self.dirty: set[str] = set()
        """Paths for the planner to look at: a copy is ready, or a file was let go of."""
        self.take_imported: Callable[[Seen, float], None] = lambda seen, wall: None
        """Told of a database that was imported, and the wall time (s since the epoch)."""
        replica.on_rows = self._on_rows
        for key, value in store.scan(Table.ROWS):
            if len(key) == VersionId.SIZE:
                base = msgspec.msgpack.decode(value, type=_Record).base
                if base:
                    blobs.bases[key] = ContentHash(base)

    # -- for the planner -------------------------------------------------------------------

    @property
    def waiting(self) -> set[str]:
        """Paths at which the planner waits for us."""
        return self._wanted.keys() | self._leaving.keys()

    @property
    def settled(self) -> bool:
        """Whether every database in the folder has all that the log has."""
        if not (self._disk.databases or self.imports or self._wanted or self._leaving):
            return True
        lives = (
            self._lives.get(version)
            for path, version in self._disk.databases.items()
            if path not in self.ignored
        )
        return not (self.waiting or self.imports) and all(
            live is not None and live.is_settled for live in lives
        )

    def release(self, path: str) -> None:
        """The planner decides anew on this path."""
        self._wanted.pop(path, None)
        self._leaving.pop(path, None)

    def export(
        self, path: str, file: File, version: Version, chunks: tuple[Chunk, ...]
    ) -> Export | None:
        """A copy to write, if it is ready; otherwise ``dirty`` names the path once it is."""
        live = self._live(file.id, version)
        self._wanted[path] = version.id
        if not live.based:
            self._obtain_base(path, live, chunks)
        elif live.copy is Copy.READY and live.stand is Stand.LOOSE:
            live.target = path
            return Export(VersionId(version.id))
        return None

    def placing(self, path: str) -> None:
        """The copy is being written."""
        self._wanted.pop(path, None)

    def let_go(self, path: str, entry: DiskEntry) -> bool:
        """Whether the file there may be touched; otherwise ``dirty`` names it once it may."""
        live = self._lives.get(entry.version)
        if entry.kind != Kind.DATABASE.value or entry.at == STALE:
            return True
        if live is not None and (live.is_hopeless or live.released):
            self._leaving.pop(path, None)
            return True
        self._leaving[path] = entry.version
        return False

    def _obtain_base(self, path: str, live: LiveDatabase, chunks: tuple[Chunk, ...]) -> None:
        data = self._blobs.obtain(live.base, chunks, path)
        if data is None or live.version in self._keeping.values():
            return
        if self._now < self._keep_at.get(live.version, 0.0):
            return
        self._ticket += 1
        self._keeping[self._ticket] = live.version
        whole = data if not isinstance(data, ContentHash) else None
        self._out.append(Perform((KeepBase(self._ticket, live.base, whole),)))

    def on_kept(self, result: KeepResult, now: float) -> None:
        """The base of a database is there, or could not be kept."""
        version = self._keeping.pop(result.ticket, b"")
        live = self._lives.get(version)
        if live is None:
            return
        if result.outcome is Outcome.DONE:
            self._keep_at.pop(version, None)
            self._blobs.written(result.blob)
            self.based(version)
        elif result.outcome is Outcome.CORRUPT:
            self._blobs.spoiled(result.blob)
        else:
            live.problem = f"Its first copy cannot be kept here: {result.detail or 'no reason'}."
            self._keep_at[version] = now + KEEP_RETRY

    # -- for local changes -----------------------------------------------------------------

    def seen(self, version: Version) -> Vector:
        """What whoever changed the folder had seen of a database: all but what its file lacks."""
        live, own = self._lives.get(version.id), bytes(self._replica.log.author)
        is_loaded = live is not None and live.loaded
        stored = () if is_loaded else self._stored(version.id).have
        known = live.have if live is not None and is_loaded else dict(stored)
        seen = dict(version.touches)
        for author, sequence in self._replica.row_log.of(version.id):
            if bytes(author) != own and sequence > known.get(bytes(author), 0):
                seen[bytes(author)] = min(seen.get(bytes(author), 0), sequence - 1)
        return tuple(sorted((author, last) for author, last in seen.items() if last > 0))

    def has_begun(self, version: Version) -> bool:
        """Whether the rows process's state of it may be more than its base."""
        live = self._lives.get(version.id)
        return self._stored(version.id).begun or (live is not None and live.loaded)

    def replaced(self, path: str) -> None:
        """Another file has taken a database's place."""
        live = self._lives.get(self._disk.databases.get(path, b""))
        if live is not None:
            live.replaced, live.retry_at = True, 0.0

    def looked(self, path: str) -> None:
        """The folder has news of this path: no need to wait."""
        live = self._lives.get(self._disk.databases.get(path, b""))
        if live is not None:
            live.retry_at = 0.0

    # -- what happens ----------------------------------------------------------------------

    def started(self) -> Iterator[Effect]:
        """Before the folder is looked at."""
        yield from self.imports.evaluate()

    def restarted(self) -> None:
        """There is a new rows process, which knows nothing."""
        for live in self._lives.values():
            live.restarted()
        self._out += self.imports.begin_again()

    def request(self, event: DatabaseRequested) -> None:
        """A person wants a database to be merged by rows, or not."""
        shown = self._replica.view.files.get(event.path)
        live = self._lives.get(shown.version) if shown is not None and event.live else None
        if live is not None:
            live.try_again()
        self._out += self.imports.switch(event)

    def begin_import(self, seen: Seen) -> None:
        """A database stands where none of the pool does."""
        self._out.append(self.imports.begin(seen))

    def turn(self) -> Iterator[tuple[bytes, bool]]:
        """(file, live) of what people asked for and is done but for the writing."""
        for file, live, ticket in self.imports.turned():
            self._out.append(Answered(ticket))
            yield file, live

    def _on_rows(self, version: Version, operation: Operation) -> None:
        live = self._lives.get(version.id)
        if live is not None and live.loaded:
            live.feed.arrived(operation)

    def on_reports(self, reports: Iterable[RowsReport], now: float, wall: float) -> None:
        """What the rows process says. May write operations."""
        self._now = now
        self._follow_author()
        for report in reports:
            match report:
                case DatabaseImported():
                    self._on_imported(report, wall)
                case DatabaseRefused():
                    self._out += self.imports.refuse(report)
                case RowsCaptured():
                    self._on_captured(report, wall)
                case _:
                    live = self._lives.get(report.version)
                    if live is not None:
                        self._on_report(live, report, now)

    def _on_imported(self, report: DatabaseImported, wall: float) -> None:
        seen = self.imports.imported(report)
        if seen is None:
            return
        self.take_imported(seen, wall)
        entry = self._disk.get(report.path)
        if entry is not None and entry.version:
            file, version = self._replica.tree.find(entry.file, entry.version)
            if file is not None and version is not None and version.kind == "rows":
                self._live(file.id, version)
                self.based(version.id)

    def _on_captured(self, report: RowsCaptured, wall: float) -> None:
        live = self._lives.get(report.version)
        if live is None:
            return  # repeated once it is loaded
        _, version = self._replica.tree.find(live.file, live.version)
        if version is None:
            return
        is_here = bool(self._disk.places_of(version.id)) or version.live
        signed = self._captures.sign(live.file, report, wall)
        if signed is None:
            live.complaint = "A change is too large to be told; the others lack it."
            return
        self._out.append(TellRows(signed))
        self._has(live, tuple((signed.author, sequence) for _, sequence in signed.marks))
        if not is_here:  # it was written before the file was removed here
            self._captures.drop(live.file, version, self.seen(version), wall)

    def _on_report(self, live: LiveDatabase, report: RowsReport, now: float) -> None:
        match report:
            case DatabaseLoaded():
                self._on_loaded(live, report)
            case RowsApplied():
                live.feed.done(report.count)
                self._has(live, report.have)
            case DatabaseExported():
                live.exported(report.reason, now)
                self.dirty.update(p for p, v in self._wanted.items() if v == live.version)
            case DatabaseAttached():
                live.attached(report.path)
            case DatabaseDetached():
                self._has(live, report.have)
                live.detached(report.reason, now)
                self._on_detached(live, report.reason)
            case DatabaseState():
                live.complaint, live.aside = report.problem, report.aside
            case _:
                pass

    def _on_loaded(self, live: LiveDatabase, report: DatabaseLoaded) -> None:
        if live.loaded or not live.loading:
            return  # only our name is new
        live.loading, live.loaded, live.retry_at = False, True, 0.0
        self._has(live, report.have)
        have = {bytes(author): sequence for author, sequence in report.have}
        known, again = self._captures.resume(live.version, report.number, have)
        self._out += [TellRows(one) for one in again]
        lost = {
            author: last
            for author, last in live.have.items()
            if last > have.get(author, 0) and live.begun and (author, last) not in known
        }
        live.behind = bool(lost) and not report.number
        live.feed.start(have, known, live.have if live.behind else None)

    def _on_detached(self, live: LiveDatabase, reason: str) -> None:
        for path in self._disk.places_of(live.version):
            if reason == "busy":
                self._out += self.imports.busy(path)
            else:
                self.imports.released(path)
                self.dirty.add(path)
        self.dirty.update(p for p, v in self._leaving.items() if v == live.version)
        self.dirty.update(p for p, v in self._wanted.items() if v == live.version)

    def _has(self, live: LiveDatabase, have: Vector) -> None:
        live.have = dict(raised(tuple(live.have.items()), have))
        record = self._stored(live.version)
        known = tuple(sorted(live.have.items()))
        if record.have != known:
            record.have = known
            self._keep(live.version, record)

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float, *, engaged: Callable[[str], bool], looked: bool) -> list[Effect]:
        """What to ask the rows process for.

        Args:
            now: monotonic, s.
            engaged: whether the planner works, or is about to, on a path.
            looked: whether the folder has been looked at once.
        """
        self._now = now
        for path, version in self._disk.databases.items():
            if version not in self._lives:
                file, found = self._replica.tree.find(self._disk.entries[path].file, version)
                if file is not None and found is not None:
                    self._live(file.id, found)
        if self._lives:
            self._follow_author()
            for live in self._lives.values():
                self._step(live, engaged, looked=looked)
        out, self._out = self._out, []
        out += self.ignored.take()
        out += self.imports.lost()
        out += self.imports.evaluate()
        out += self._wake()
        return out

    def _step(self, live: LiveDatabase, engaged: Callable[[str], bool], *, looked: bool) -> None:
        places = [
            path
            for path in self._disk.places_of(live.version)
            if self._disk.entries[path].at != STALE
        ]
        place = min(places, key=self.ignored.__contains__, default=None)
        hidden = place is not None and place in self.ignored
        if place is not None and live.is_hopeless:
            self.imports.released(place)
        wanted = live.version in self._wanted.values()
        at = place or live.target
        is_needed = not hidden if place is not None else wanted and not self._is_importing(live)
        situation = Situation(
            place,
            place in self._leaving or (place is not None and self.imports.is_leaving(place)),
            wanted,
            bool(at) and engaged(at),
            is_needed and (looked or (place is not None and self.ignored.known)),
            self._author,
            self._now,
            hidden,
        )
        for request in live.step(situation):
            if live.loaded and not live.begun:
                live.begun = True
                record = self._stored(live.version)
                record.begun = True
                self._keep(live.version, record)
            self._out.append(TellRows(request))

    def _is_importing(self, live: LiveDatabase) -> bool:
        paths = [path for path, version in self._wanted.items() if version == live.version]
        return any(self.imports.is_pending(path) for path in paths)

    def _follow_author(self) -> None:
        """We may go on as a new author; whoever captures must know."""
        author = bytes(self._replica.log.author)
        if author != self._author:
            self._author = author
            for live in self._lives.values():
                if live.loading or live.loaded:
                    self._out.append(TellRows(LoadDatabase(live.version, live.base, author)))

    def _wake(self) -> Iterator[Effect]:
        """Look again at what failed."""
        dues = [live.retry_at for live in self._lives.values() if live.retry_at > self._now]
        for version, at in list(self._keep_at.items()):
            if at <= self._now:
                self.dirty.update(p for p, v in self._wanted.items() if v == version)
                del self._keep_at[version]
                dues.append(self._now + ROUNDING)
            else:
                dues.append(at)
        due = min(dues, default=0.0)
        if due and due != self._due:
            yield StartTimer("rows", max(due - self._now, ROUNDING))
        self._due = due

    # -- records ---------------------------------------------------------------------------

    def based(self, version: bytes) -> None:
        """The base of a database is kept: we can go on, and give it to others."""
        live = self._lives[version]
        live.based, live.problem = True, ""
        record = self._stored(version)
        if not record.base:
            record.base = bytes(live.base)
            self._keep(version, record)
        self._blobs.bases[version] = live.base
        _, found = self._replica.tree.find(live.file, version)
        if found is not None:
            with suppress(KeyError, ValueError):
                chunks = unpack_chunks(self._replica.bodies.body(found))
                self._blobs.index([(version, chunks)])
        self.dirty.update(path for path, one in self._wanted.items() if one == version)

    def _live(self, file: bytes, version: Version) -> LiveDatabase:
        live = self._lives.get(version.id)
        if live is None:
            replica = self._replica
            feed = RowFeed(replica.row_log, replica.log, replica.bodies, version.id)
            live = LiveDatabase(file, version.id, ContentHash(version.digest), feed)
            record = self._stored(version.id)
            live.based, live.begun = bool(record.base), record.begun
            live.have, live.bound = dict(record.have), live.begun
            self._lives[version.id] = live
        return live

    def _stored(self, version: bytes) -> _Record:
        data = self._store.get(Table.ROWS, version)
        return msgspec.msgpack.decode(data, type=_Record) if data else _Record()

    def _keep(self, version: bytes, record: _Record) -> None:
        self._store.put(Table.ROWS, version, pack(record))

    # -- for people ------------------------------------------------------------------------

    def aside(self, version: bytes) -> int:
        """How many rows a constraint keeps out of a database's file."""
        live = self._lives.get(version)
        return live.aside if live is not None else 0

    def problem(self, version: bytes) -> str:
        """What is wrong with a database: a sentence, or nothing."""
        live = self._lives.get(version)
        return (live.problem or live.complaint) if live is not None else ""

    @property
    def problems(self) -> list[Problem]:
        """What people should know, by path."""
        found = [Problem(path, reason) for path, reason in self.imports.refused.items()]
        places = {**{version: path for path, version in self._wanted.items()}}
        databases = self._disk.databases.items()
        places.update((version, path) for path, version in databases if path not in self.ignored)
        for version, path in places.items():
            text = self.problem(version)
            if text:
                found.append(Problem(path, text))
        return sorted(found, key=lambda one: one.path)

    def state(self, path: str, version: Version) -> str:
        """How one is that the pool shows at a path, as in ``DatabaseEntry``."""
        live = self._lives.get(version.id)
        if path in self.ignored:
            return "ignored"
        if live is not None and live.stand is Stand.ATTACHED and live.path == path:
            return "live" if live.feed.is_idle else "merging"
        return "waiting"
