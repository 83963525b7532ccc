"""Simulated peers with live databases: a folder in memory whose databases are real files.

SQLite needs files, so databases, their bases and the rows process's states lie in a directory of
each peer; everything else stays in memory. What the rows process is (``RowsWorker``), the tests
say: the real engine, or a small one in plain Python.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from meerkat.core.effects import Effect, TellRows, TreatAsPlain
from meerkat.core.events import FilesObserved, RowsReported, RowsRestarted
from meerkat.core.files import (
    DatabaseContent,
    Export,
    Job,
    JobResult,
    KeepBase,
    KeepResult,
    Kind,
    Location,
    MoveFile,
    Observed,
    Outcome,
    RemoveFile,
    Signature,
    WriteFile,
)
from meerkat.core.ids import ContentHash
from meerkat.core.peer import PeerConfig
from meerkat.core.rows import RowsReport, RowsRequest
from meerkat.core.view import ancestors
from meerkat.testing.faults import Faults
from meerkat.testing.memory_folder import FOLDER_DIGEST, MemoryFolder, Node
from meerkat.testing.simulator import LOCAL_DELAY, NEXT, SimulatedPeer, Simulator

__all__ = ["MAGIC", "DatabaseFolder", "RowsSimulator", "RowsWorker"]

MAGIC = b"SQLite format 3\x00"
COMPANIONS = ("-wal", "-shm", "-journal")
TRIES = 200  # of a busy rows process, before a step gives up; each takes LOCAL_DELAY


class RowsWorker(Protocol):
    """A rows process. Reports leave through the callback it was made with."""

    def tell(self, request: RowsRequest) -> None:
        """Take a request."""

    def look(self) -> bool:
        """Capture what programs did; True if it was busy, so that it has to be called again."""

    def close(self) -> None:
        """The process ends, as it is."""


MakeWorker = Callable[[Path, Callable[[RowsReport], None]], RowsWorker]
"""Makes the rows process of a folder."""


class DatabaseFolder(MemoryFolder):
    """A ``MemoryFolder`` whose databases lie below ``root``."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.plain: set[str] = set()
        self.replaced: list[Path] = []  # databases that jobs removed
        (root / ".meerkat" / "bases").mkdir(parents=True)
        (root / ".meerkat" / "rows").mkdir()

    # -- what people do --------------------------------------------------------------------

    def place(self, path: str, make: Callable[[Path], None]) -> None:
        """A program makes a database, or puts another one in the place of what stands there."""
        new = self.root / ".meerkat" / "being made"
        make(new)
        if path in self.plain:
            data = new.read_bytes()
            new.unlink()
            super().write(path, data)
            return
        self.delete(path)
        for folder in ancestors(path):
            self.make_folder(folder)
        self._put(path, new, executable=False)

    def _put(self, path: str, source: Path, *, executable: bool) -> Node:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        node = Node(Kind.DATABASE, b"", executable, self._tick(), self._clock)
        self.nodes[path] = node
        return node

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """See MemoryFolder."""
        self._remove_files(path)
        super().write(path, data, executable=executable)

    def delete(self, path: str) -> None:
        """See MemoryFolder."""
        for one in [one for one in self.nodes if one == path or one.startswith(path + "/")]:
            self._remove_files(one)
        super().delete(path)

    def move(self, old: str, new: str) -> None:
        """See MemoryFolder."""
        inodes = {
            node.inode: path for path, node in self.nodes.items() if node.kind is Kind.DATABASE
        }
        replaced = self.nodes.get(new)
        super().move(old, new)
        is_over = replaced is not None and self.nodes.get(new) is not replaced
        if is_over and replaced is not None and replaced.kind is Kind.DATABASE:
            self._unlink(new)
        for path, node in self.nodes.items():
            if node.kind is Kind.DATABASE and inodes.get(node.inode, path) != path:
                self._rename_files(inodes[node.inode], path)

    def _remove_files(self, path: str) -> None:
        node = self.nodes.get(path)
        if node is not None and node.kind is Kind.DATABASE:
            self._unlink(path)

    def _unlink(self, path: str) -> None:
        for suffix in ("", *COMPANIONS):
            (self.root / (path + suffix)).unlink(missing_ok=True)

    def _set_aside(self, path: str) -> None:
        """As the real one: what a job removes is kept for a while."""
        aside = self.root / ".meerkat" / "replaced" / str(len(self.replaced))
        aside.parent.mkdir(exist_ok=True)
        for suffix in ("", *COMPANIONS):
            source = self.root / (path + suffix)
            if source.exists():
                os.replace(source, aside.with_name(aside.name + suffix))
        self.replaced.append(aside)

    def _rename_files(self, old: str, new: str) -> None:
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *COMPANIONS):
            source = self.root / (old + suffix)
            if source.exists():
                os.replace(source, self.root / (new + suffix))

    def databases(self) -> dict[str, Path]:
        """Where each database lies."""
        return {
            path: self.root / path
            for path, node in sorted(self.nodes.items())
            if node.kind is Kind.DATABASE
        }

    def treat(self, effect: TreatAsPlain) -> None:
        """What ``TreatAsPlain`` asks for."""
        path, node = effect.path, self.nodes.get(effect.path)
        (self.plain.add if effect.plain else self.plain.discard)(path)
        if node is None or (effect.plain and node.kind is Kind.FILE):
            return  # nothing is new about it
        self.known.pop(path, None)
        if effect.plain and node.kind is Kind.DATABASE:
            data = (self.root / path).read_bytes()
            self._remove_files(path)
            self.nodes[path] = replace(node, kind=Kind.FILE, data=data, time=self._tick())
        elif not effect.plain and node.kind is Kind.FILE and node.data.startswith(MAGIC):
            source = self.root / ".meerkat" / "being made"
            source.write_bytes(node.data)
            self._put(path, source, executable=node.executable)

    # -- what the scanner finds ------------------------------------------------------------

    def scan(self) -> FilesObserved:
        """See MemoryFolder."""
        found = super().scan()
        seen = tuple(
            replace(one, content=DatabaseContent()) if one.observed.kind is Kind.DATABASE else one
            for one in found.seen
        )
        return replace(found, seen=seen)

    def _observe(self, node: Node) -> Observed:
        if node.kind is not Kind.DATABASE:
            return super()._observe(node)
        signature = Signature(0, 0, 0, node.inode, 1)
        return Observed(node.kind, FOLDER_DIGEST, node.executable, signature)

    def restart(self, known: dict[str, Observed]) -> None:
        """See MemoryFolder."""
        super().restart(known)
        self.plain.clear()

    # -- jobs ------------------------------------------------------------------------------

    def _do(self, job: Job) -> JobResult:
        if isinstance(job, WriteFile) and isinstance(job.data, Export):
            return self._place_export(job, job.data)
        path = getattr(job, "path", "")
        was_database = path in self.databases()
        result = super()._do(job)
        if isinstance(job, MoveFile) and result.outcome is Outcome.DONE:
            (self.plain.add if path in self.plain else self.plain.discard)(job.target)
        if was_database and result.outcome is Outcome.DONE:
            if isinstance(job, RemoveFile | WriteFile):
                self._set_aside(path)
            elif isinstance(job, MoveFile):
                self._rename_files(path, job.target)
        return result

    def _place_export(self, job: WriteFile, data: Export) -> JobResult:
        source = self.root / ".meerkat" / "rows" / data.version.hex() / "export.db"
        if not self._holds(job.path, job.expected) or self._blocked(job.path):
            return JobResult(job.ticket, Outcome.CHANGED)
        if self._ignores(job.path):
            return JobResult(job.ticket, Outcome.IGNORED, ignored=job.path)
        if not source.exists():
            return JobResult(job.ticket, Outcome.BUSY, detail="no copy is there")
        for folder in ancestors(job.path):
            self.make_folder(folder)
        if job.path in self.databases():
            self._set_aside(job.path)
        node = self._put(job.path, source, executable=job.executable)
        self.plain.discard(job.path)
        return self._publish(job.ticket, job.path, node)

    def _keep(self, job: KeepBase) -> KeepResult:
        data = job.data
        if data is None:
            part = self._incoming.get(job.blob)
            if part is None or len(part.parts) != len(part.chunks):
                return KeepResult(job.ticket, job.blob, Outcome.CORRUPT)
            data = b"".join(part.parts[index] for index in range(len(part.chunks)))
        if ContentHash.of(data) != job.blob:
            self._incoming.pop(job.blob, None)
            return KeepResult(job.ticket, job.blob, Outcome.CORRUPT)
        self._base(job.blob).write_bytes(data)
        self._incoming.pop(job.blob, None)
        return KeepResult(job.ticket, job.blob, Outcome.DONE)

    def _base(self, digest: ContentHash) -> Path:
        return self.root / ".meerkat" / "bases" / digest.hex()

    def read(self, location: Location, expected: ContentHash) -> bytes | None:
        """See MemoryFolder."""
        data = super().read(location, expected)
        if data is None and location.blob is not None:
            base = self._base(location.blob)
            if base.exists():
                piece = base.read_bytes()[location.offset : location.offset + location.length]
                return piece if ContentHash.of(piece) == expected else None
        return data


class RowsSimulator(Simulator):
    """A ``Simulator`` in which every peer has a rows process."""

    def __init__(
        self,
        seed: int,
        root: Path,
        make: MakeWorker,
        *,
        faults: Faults | None = None,
        config: PeerConfig | None = None,
    ) -> None:
        super().__init__(seed, faults=faults, config=config)
        self._root, self._make = root, make
        self._workers: dict[int, RowsWorker] = {}
        self._asked: dict[int, list[RowsRequest]] = {}  # under way, oldest first
        self._reports: dict[int, list[RowsReport]] = {}
        self._until: dict[int, float] = {}  # when what is under way there has happened
        self._lives: dict[int, int] = {}  # which life of the rows process it is
        self.asked: list[tuple[int, RowsRequest]] = []
        """(peer, request) of everything that rows processes were told."""

    def worker(self, one: SimulatedPeer) -> RowsWorker:
        """A peer's rows process."""
        return self._workers[one.index]

    def close(self) -> None:
        """End all rows processes."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def folder(self, one: SimulatedPeer) -> DatabaseFolder:
        """A peer's folder, as what it is."""
        assert isinstance(one.folder, DatabaseFolder)
        return one.folder

    def _new(self, name: str) -> SimulatedPeer:
        one = super()._new(name)
        one.folder = DatabaseFolder(self._root / str(one.index))
        return one

    def _start(self, one: SimulatedPeer) -> None:
        self._begin_rows(one)
        super()._start(one)

    def crash(self, one: SimulatedPeer) -> None:
        """See Simulator. The rows process dies with the node, a part of its work done."""
        if one.peer is not None:
            self._end_rows(one)
        super().crash(one)

    def crash_rows(self, one: SimulatedPeer) -> None:
        """Only the rows process dies, and the node starts another."""
        if one.peer is not None:
            self._end_rows(one)
            self._begin_rows(one)
            tell = self._in_life(one, lambda: self.handle(one, RowsRestarted()))
            self._at(self._in_turn(one), tell)

    def _begin_rows(self, one: SimulatedPeer) -> None:
        index = one.index
        self._lives[index] = self._lives.get(index, 0) + 1
        self._asked[index], self._reports[index] = [], []
        self._workers[index] = self._make(self.folder(one).root, self._reports[index].append)

    def _end_rows(self, one: SimulatedPeer) -> None:
        worker, asked = self._workers.pop(one.index), self._asked[one.index]
        for request in asked[: self.rng.randint(0, len(asked))]:
            worker.tell(request)  # and nobody hears what it said
        self._lives[one.index] += 1
        worker.close()

    def _perform(self, one: SimulatedPeer, effect: Effect) -> None:
        match effect:
            case TellRows():
                self.asked.append((one.index, effect.request))
                self._asked[one.index].append(effect.request)
                self._at(self._in_turn(one), self._in_life(one, lambda: self._work(one)))
            case TreatAsPlain():
                self.folder(one).treat(effect)
                self.look(one)
            case _:
                super()._perform(one, effect)

    def touch(self, one: SimulatedPeer) -> None:
        """Programs changed databases: the rows process looks a moment later."""
        self._at(self._in_turn(one), self._in_life(one, lambda: self._look(one, TRIES)))

    def _in_turn(self, one: SimulatedPeer) -> float:
        """The rows process does, and the node hears, one thing after the other."""
        before = max(self._until.get(one.index, 0.0) + NEXT, self.now)
        self._until[one.index] = max(before, self.now + self.rng.uniform(0.5, 1.5) * LOCAL_DELAY)
        return self._until[one.index]

    def _in_life(self, one: SimulatedPeer, happen: Callable[[], None]) -> Callable[[], None]:
        life = self._lives[one.index]

        def happen_then() -> None:
            if self._lives[one.index] == life and one.peer is not None:
                happen()

        return happen_then

    def _work(self, one: SimulatedPeer) -> None:
        self._workers[one.index].tell(self._asked[one.index].pop(0))
        self._deliver(one)

    def _look(self, one: SimulatedPeer, tries: int) -> None:
        busy = self._workers[one.index].look()
        self._deliver(one)
        if busy and tries:
            later = self._in_life(one, lambda: self._look(one, tries - 1))
            self._at(self.now + LOCAL_DELAY, later)

    def _deliver(self, one: SimulatedPeer) -> None:
        """What it said so far arrives together, after what it said before."""
        reports = self._reports[one.index]
        if reports:
            said = tuple(reports)
            reports.clear()
            event = RowsReported(said)
            self._at(self._in_turn(one), self._in_life(one, lambda: self.handle(one, event)))

    def settle(self, limit: float = 60.0) -> float:
        """See Simulator; what programs did last is looked at first."""
        for one in self.peers:
            if one.peer is not None:
                self.touch(one)
        return super().settle(limit)

    def forget_states(self, one: SimulatedPeer) -> None:
        """The rows process's states are lost (while it does not run)."""
        shutil.rmtree(self.folder(one).root / ".meerkat" / "rows")
        (self.folder(one).root / ".meerkat" / "rows").mkdir()
