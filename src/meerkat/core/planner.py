"""What the disk should hold: compares the view with what stands there and asks for jobs.

The three trees are the pool's (``view``), the folder's (observations) and the one both last agreed
on (``disk``). Local changes have been signed before the planner looks, so a difference between
view and disk is the pool's news. One job per path at a time; every job names what it expects to
find, so a save that came in between is never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import msgspec

from .blobs import Blobs
from .contents import ContentError, Contents, kind_of
from .databases import Databases
from .disk import STALE, Disk, DiskEntry, Intent, entry_of
from .files import (
    IGNORE_FILE,
    Export,
    Job,
    JobResult,
    Kind,
    MakeFolder,
    MoveFile,
    Outcome,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    WriteFile,
)
from .ids import ContentHash
from .replica import Replica
from .status import Problem
from .tree import File, Version
from .view import Shown, ancestors

__all__ = ["Planner", "PlannerConfig"]

DATABASE_DIGEST = ContentHash(bytes(ContentHash.SIZE))  # as observed: nobody reads one
FORGET = 10.0  # s after which it does not matter when a watched path was written


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """Pace of the planner, in seconds."""

    retry: float = 1.0
    """After a full disk or a passing fault."""
    retry_name: float = 30.0
    """After a name or permission that this machine refuses."""
    watched: float = 0.25
    """Between two writes of a text that somebody sees typed in a page (guess: a build tool that
    watches the folder hears soon enough). The first is written at once."""
    jobs_count: int = 2_048
    """Jobs the folder may have at once: it commits a few hundred together."""
    jobs_bytes: int = 32 * 1024 * 1024
    """... and the content they carry."""


@dataclass(slots=True)
class _Task:
    """A job under way. ``paths`` are busy until its result comes."""

    job: Job
    paths: tuple[str, ...]
    file: bytes = b""
    version: bytes = b""
    at: bytes = b""


class Planner:
    """Dirty paths in, jobs out."""

    def __init__(
        self,
        replica: Replica,
        disk: Disk,
        blobs: Blobs,
        databases: Databases,
        bases: dict[bytes, str],
        config: PlannerConfig,
    ) -> None:
        self._replica, self._disk, self._blobs = replica, disk, blobs
        self._databases = databases
        self._contents = Contents(replica, blobs, databases)
        self._bases = bases
        self._config = config
        self.dirty: set[str] = set()
        self.problems: dict[str, Problem] = {}
        self._busy: dict[str, int] = {}
        self._tasks: dict[int, _Task] = {}
        self._later: dict[str, float] = {}  # path -> when to try again
        self._written: dict[str, float] = {}  # watched path -> when it was last written
        self._paced: dict[str, float] = {}  # watched path -> when it may be written again
        self._now = 0.0
        self._blocked: set[str] = set()  # wait for any other path to become free
        self._left: set[str] = set()  # folders that stay because of what is in them
        self.ignored: set[str] = set()  # what stands there is this machine's own business
        self._ticket = 0
        self._job_bytes = 0
        self.held: Callable[[bytes], bool] = lambda version: False
        self.watched: Callable[[bytes], bool] = lambda version: False
        replica.before_edit = self._keep_base

    # -- what may have changed -------------------------------------------------------------

    def _keep_base(self, version: Version) -> None:
        """A remote edit is about to change a text: remember what the disk holds of it."""
        if version.id in self._bases:
            return
        for path in self._disk.places_of(version.id):
            entry = self._disk.get(path)
            if entry is not None and entry.base is None and entry.at == version.state():
                self._bases[version.id] = self._replica.texts.content(version)

    def look_at_all(self) -> None:
        """After a restart: anything may differ."""
        view = self._replica.view
        self.dirty.update(view.files, view.folders, self._disk.entries)

    @property
    def settled(self) -> bool:
        """Whether the disk holds everything as the pool has it."""
        held_up = self.dirty or self._blocked or self._busy or self._later or self._paced
        return not (held_up or self._blobs.waiting or self._databases.waiting)

    @property
    def pending_count(self) -> int:
        """Paths that the disk does not hold yet as the pool has them."""
        held_up = self._blocked | self._busy.keys() | self._later.keys() | self._paced.keys()
        return len(self.dirty | held_up | self._blobs.waiting | self._databases.waiting)

    def is_engaged(self, path: str) -> bool:
        """Whether a job is under way there, or may be begun at any moment."""
        return path in self._busy or path in self.dirty

    def plan(self, now: float) -> list[Job]:
        """Decide on every dirty path that can be decided now."""
        self._now = now
        for waiting in (self._later, self._paced):
            for path in [path for path, due in waiting.items() if due <= now]:
                del waiting[path]
                self.dirty.add(path)
        jobs: list[Job] = []
        if self._is_full():
            return jobs
        for path in sorted(self.dirty):
            if self._is_full():
                break
            self.dirty.discard(path)
            if path not in self._busy and path not in self._later:
                jobs += self._decide(path)
        return jobs

    def _is_full(self) -> bool:
        config = self._config
        return len(self._tasks) >= config.jobs_count or self._job_bytes >= config.jobs_bytes

    def next_due(self) -> float | None:
        """When ``plan`` should be called even if nothing happens."""
        return min((*self._later.values(), *self._paced.values()), default=None)

    # -- one path --------------------------------------------------------------------------

    def _decide(self, path: str) -> list[Job]:
        view = self._replica.view
        self.problems.pop(path, None)
        self._paced.pop(path, None)
        self._databases.release(path)
        shown = view.files.get(path)
        if path in self.ignored:
            self._blobs.release(path)
            return []
        self._blobs.release(path, but=self._blob_of(shown))
        if self._databases.ignored.is_left_alone(path, shown):
            return []
        entry = self._disk.get(path)
        if shown is not None:
            return self._want_file(path, shown, entry)
        if view.is_folder(path):
            return self._want_folder(path, entry)
        return self._want_nothing(path, entry) if entry is not None else []

    def _blob_of(self, shown: Shown | None) -> bytes | None:
        if shown is None:
            return None
        _, version = self._replica.tree.find(shown.file, shown.version)
        is_blob = version is not None and version.kind in ("blob", "rows")
        return version.digest if version is not None and is_blob else None

    def _want_folder(self, path: str, entry: DiskEntry | None) -> list[Job]:
        self._left.discard(path)
        if entry is not None and entry.kind == Kind.FOLDER.value:
            return []
        if entry is not None:
            return self._make_way(path, entry)
        if self._disk.blocked_by(path):
            return self._wait(path)
        return self._start(MakeFolder(self._next(), path), path)

    def _want_nothing(self, path: str, entry: DiskEntry) -> list[Job]:
        if entry.kind == Kind.FOLDER.value:
            if path in self._left:
                return []
            if not self._is_empty(path):
                return self._wait(path)
            return self._start(RemoveFolder(self._next(), path), path)
        return self._make_way(path, entry)

    def _is_empty(self, folder: str) -> bool:
        """Whether nothing stands in a folder, nor is about to."""
        inside = folder + "/"
        return self._disk.is_empty(folder) and not any(p.startswith(inside) for p in self._busy)

    def _make_way(self, path: str, entry: DiskEntry) -> list[Job]:
        """What stands here is not wanted here: move it where it is wanted, or remove it."""
        target = self._wanted_elsewhere(path, entry)
        if target is None:
            if not self._databases.let_go(path, entry):
                return []
            return self._start(RemoveFile(self._next(), path, entry.expected()), path)
        if self._disk.get(target) is None and not self._disk.blocked_by(target):
            return self._move(path, target, entry)
        view = self._replica.view
        if target in self._busy or not (path in view.files or view.is_folder(path)):
            return self._wait(path)
        # Something else belongs here, and our target is taken, too: perhaps by just that.
        aside = f"{path}.{entry.version[:4].hex()}.moving"
        if aside in self.ignored and not self._databases.let_go(path, entry):
            return []
        if aside in self.ignored:  # the pool has it: it is written again when its place is free
            return self._start(RemoveFile(self._next(), path, entry.expected()), path)
        return self._move(path, aside, entry)

    def _wanted_elsewhere(self, path: str, entry: DiskEntry) -> str | None:
        place = self._replica.view.place_of(entry.version)
        if place is None or place == path or place in self.ignored:
            return None
        other = self._disk.get(place)
        return None if other is not None and other.version == entry.version else place

    def _move(self, path: str, target: str, entry: DiskEntry) -> list[Job]:
        if target in self._busy:
            return self._wait(path)
        if not self._databases.let_go(path, entry):
            return []
        job = MoveFile(self._next(), path, target, entry.expected())
        self._disk.intend(target, Intent(entry.digest, entry.file, entry.version, entry.at))
        return self._start(job, path, target)

    def _want_file(self, path: str, shown: Shown, entry: DiskEntry | None) -> list[Job]:
        file = self._replica.tree.files[shown.file]
        version = file.version(shown.version)
        if version is None:
            return []
        if entry is not None and entry.kind == Kind.FOLDER.value:
            if not self._is_empty(path):
                return self._wait(path)
            return self._start(RemoveFolder(self._next(), path), path)
        if self._disk.blocked_by(path):
            return self._wait(path)
        if entry is not None and entry.version == version.id and self._is_current(entry, version):
            self._blobs.release(path)
            return self._want_mode(path, entry, file, version)
        if entry is not None and entry.version == version.id and self.held(version.id):
            return self._want_mode(path, entry, file, version)  # the editor that has it saves it
        if entry is not None and entry.version == version.id and self._is_too_soon(path, version):
            return self._want_mode(path, entry, file, version)
        if entry is None:
            for source in self._disk.places_of(version.id):
                if source in self._busy:
                    return self._wait(path)
                if self._replica.view.place_of(version.id) != source:
                    held = self._disk.entries[source]
                    return self._move(source, path, held)
        elif entry.version != version.id and (
            self._wanted_elsewhere(path, entry) is not None or self._stands_elsewhere(version)
        ):
            return self._make_way(path, entry)
        return self._write(path, entry, file, version)

    def _stands_elsewhere(self, version: Version) -> bool:
        """A database is moved, never copied."""
        return version.kind == "rows" and bool(self._disk.places_of(version.id))

    def _is_too_soon(self, path: str, version: Version) -> bool:
        """Whether a text that is typed in a page was written just now; then it waits."""
        if not self.watched(version.id):
            self._written.pop(path, None)
            return False
        soonest = self._written.get(path, -inf) + self._config.watched
        if self._now < soonest:
            self._paced[path] = soonest
            return True
        self._written = {one: at for one, at in self._written.items() if at > self._now - FORGET}
        self._written[path] = self._now
        return False

    def _is_current(self, entry: DiskEntry, version: Version) -> bool:
        if version.kind == "rows":
            return entry.at != STALE
        if version.kind != "text":
            return True
        return entry.base is None and entry.at == version.state()

    def _want_mode(self, path: str, entry: DiskEntry, file: File, version: Version) -> list[Job]:
        if version.kind == "link" or entry.executable == file.executable:
            return []
        digest = entry.expected()
        return self._start(SetExecutable(self._next(), path, file.executable, digest), path)

    def _write(self, path: str, entry: DiskEntry | None, file: File, version: Version) -> list[Job]:
        try:
            data = self._contents.find(path, file, version)
        except ContentError as error:
            self.problems[path] = Problem(path, str(error))
            return []
        if data is None or (entry is not None and not self._databases.let_go(path, entry)):
            return []
        if isinstance(data, Export):
            self._databases.placing(path)
            digest = DATABASE_DIGEST
        elif isinstance(data, ContentHash):
            digest = data
        else:
            digest = ContentHash.of(data) if version.kind == "text" else ContentHash(version.digest)
        at = version.state()
        kind, is_copy = kind_of(version), isinstance(data, Export)
        if (
            entry is not None
            and entry.digest == digest
            and entry.kind == kind.value
            and not is_copy
        ):
            # The same bytes by another way: nothing to write, but note what they are.
            fresh = msgspec.structs.replace(
                entry, file=file.id, version=version.id, at=at, base=None
            )
            self._disk.put(path, fresh)
            self._bases.pop(version.id, None)
            self._blobs.release(path)
            return self._want_mode(path, fresh, file, version)
        expected = entry.expected() if entry is not None else None
        job = WriteFile(self._next(), path, kind, data, digest, file.executable, expected)
        self._disk.intend(path, Intent(digest, file.id, version.id, at))
        return self._start(job, path, file=file.id, version=version.id, at=at)

    # -- jobs ------------------------------------------------------------------------------

    def _next(self) -> int:
        self._ticket += 2  # even; the blobs use odd ones
        return self._ticket

    def _wait(self, path: str) -> list[Job]:
        self._blocked.add(path)
        return []

    def _start(
        self, job: Job, *paths: str, file: bytes = b"", version: bytes = b"", at: bytes = b""
    ) -> list[Job]:
        self._tasks[job.ticket] = _Task(job, paths, file, version, at)
        self._job_bytes += _carried_bytes(job)
        for path in paths:
            self._busy[path] = job.ticket
        return [job]

    def done(self, result: JobResult, now: float) -> None:
        """A job ended."""
        task = self._tasks.pop(result.ticket, None)
        if task is None:
            return
        self._job_bytes -= _carried_bytes(task.job)
        for path in task.paths:
            self._busy.pop(path, None)
            self.dirty.add(path)
            self._disk.settle(path)
        self.dirty |= self._blocked
        self._blocked.clear()
        if result.outcome is Outcome.DONE:
            self._succeeded(task, result)
        else:
            self._failed(task, result, now)

    def _succeeded(self, task: _Task, result: JobResult) -> None:
        job, observed = task.job, result.observed
        match job:
            case WriteFile() if observed is not None:
                self._disk.put(job.path, entry_of(observed, task.file, task.version, task.at))
                self._bases.pop(task.version, None)
                self._blobs.written(job.digest)
                if job.kind is Kind.DATABASE:
                    self._databases.imports.placed(job.path)
                self._new_rules(job.path)
            case MoveFile() if observed is not None:
                entry = self._disk.get(job.path)
                self._disk.remove(job.path)
                if entry is not None:
                    moved = entry_of(observed, entry.file, entry.version, entry.at, entry.base)
                    self._disk.put(job.target, moved)
                    self._databases.imports.moved(job.path, job.target)
            case SetExecutable() | MakeFolder() if observed is not None:
                entry = self._disk.get(job.path)
                kept = (entry.file, entry.version, entry.at, entry.base) if entry else ()
                self._disk.put(job.path, entry_of(observed, *kept))
            case RemoveFile() | RemoveFolder():
                self._disk.remove(job.path)
                self.dirty.update(ancestors(job.path)[-1:])
                self._new_rules(job.path)
                self._retry_folders(job.path)
            case _:
                pass

    def _failed(self, task: _Task, result: JobResult, now: float) -> None:
        path = task.paths[-1]
        if result.outcome is Outcome.IGNORED:
            self.ignored.add(result.ignored)
            self._disk.remove(result.ignored)
            return
        is_blob = isinstance(task.job, WriteFile) and isinstance(task.job.data, ContentHash)
        if result.outcome is Outcome.CORRUPT and is_blob and isinstance(task.job, WriteFile):
            self._blobs.spoiled(task.job.digest)
            return
        if isinstance(task.job, RemoveFolder) and result.outcome is Outcome.CHANGED:
            self._leave_folder(path)
            return
        if result.outcome in (Outcome.NAME, Outcome.DENIED):
            standing = self._disk.get(path)
            live = standing is not None and standing.kind == Kind.DATABASE.value
            delay = self._config.retry if live else self._config.retry_name  # programs end soon
            text = _REASONS[result.outcome].format(detail=result.detail)
            self.problems[path] = Problem(path, text)
        else:
            delay = self._config.retry
            if result.outcome is not Outcome.CHANGED:
                text = _REASONS[result.outcome].format(detail=result.detail)
                self.problems[path] = Problem(path, text)
        for one in task.paths:
            self.dirty.discard(one)
            self._later[one] = now + delay

    def _leave_folder(self, path: str) -> None:
        """Ignored or unknown files are in it: it stays, until the next start looks again."""
        for folder in [path, *ancestors(path)]:
            if not self._replica.view.is_folder(folder):
                self._left.add(folder)
                self.dirty.discard(folder)

    def look_again(self, path: str) -> None:
        """The folder has news of this path: no need to wait."""
        self._later.pop(path, None)
        self.dirty |= self._blocked
        self._blocked.clear()
        self.dirty.add(path)
        self.ignored.discard(path)
        self._new_rules(path)
        self._retry_folders(path)

    def _new_rules(self, path: str) -> None:
        """What was ignored may not be any more."""
        if path == IGNORE_FILE:
            self.dirty |= self.ignored
            self.ignored.clear()

    def _retry_folders(self, path: str) -> None:
        """Something in folders that had to stay is different now; perhaps they can go."""
        stayed = self._left.intersection(ancestors(path))
        self._left -= stayed
        self.dirty |= stayed


def _carried_bytes(job: Job) -> int:
    """What a job holds in memory; an assembled blob is on the disk already."""
    if (
        isinstance(job, WriteFile)
        and isinstance(job.data, bytes)
        and not isinstance(job.data, ContentHash)
    ):
        return len(job.data)
    return 0


_REASONS = {
    Outcome.NAME: "Not written here: {detail}.",
    Outcome.DENIED: "Not written here: {detail}.",
    Outcome.FULL: "Not written yet: {detail}.",
    Outcome.BUSY: "Not written yet: {detail}.",
}
