"""A user's folder in memory: people change it, a scan observes it, jobs write it.

Keeps the promises of ``meerkat.folder`` that the core relies on: what is found is compared with
what was last known, a job whose expectation fails touches nothing, results and observations come
in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from meerkat.core.chunks import Chunk, chunk_stream
from meerkat.core.events import FilesObserved
from meerkat.core.files import (
    BlobContent,
    Content,
    Folder,
    Job,
    JobResult,
    KeepBase,
    KeepResult,
    Kind,
    Location,
    MakeFolder,
    MoveFile,
    Observed,
    Outcome,
    PrepareBlob,
    PrepareResult,
    RemoveFile,
    RemoveFolder,
    Seen,
    SetExecutable,
    Signature,
    Symlink,
    TextContent,
    WriteFile,
    expected_of,
)
from meerkat.core.ids import ContentHash
from meerkat.core.text_file import decode_file
from meerkat.core.view import ancestors

__all__ = ["MemoryFolder", "Node"]

FOLDER_DIGEST = ContentHash(bytes(32))


@dataclass(frozen=True, slots=True)
class Node:
    """What stands at a path: ``data`` is a file's bytes or a link's target."""

    kind: Kind
    data: bytes
    executable: bool
    inode: int
    time: int

    @property
    def digest(self) -> ContentHash:
        """As ``Observed.digest``."""
        unread = self.kind in (Kind.FOLDER, Kind.DATABASE)
        return FOLDER_DIGEST if unread else ContentHash.of(self.data)


@dataclass(slots=True)
class _Incoming:
    chunks: tuple[Chunk, ...]
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryFolder:
    """A folder, and what its scanner knew at the last look."""

    def __init__(self, known: dict[str, Observed] | None = None) -> None:
        self.nodes: dict[str, Node] = {}
        self.known: dict[str, Observed] = dict(known or {})
        self.full = False  # while set, every job that writes fails
        self.ignored: frozenset[str] = frozenset()  # these, and what is below them
        self._hidden: set[str] = set()  # databases among them that were known
        self._incoming: dict[ContentHash, _Incoming] = {}
        self._clock = 0

    # -- what people do --------------------------------------------------------------------

    def write(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Save a file; its folders are made."""
        old = self.nodes.get(path)
        if self._blocked(path) or (old is not None and old.kind is Kind.FOLDER):
            return
        for folder in ancestors(path):
            self.make_folder(folder)
        inode = old.inode if old is not None else self._tick()
        self.nodes[path] = Node(Kind.FILE, data, executable, inode, self._tick())

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        if self._blocked(path):
            return
        self.delete(path)
        self.nodes[path] = Node(Kind.SYMLINK, target.encode(), False, self._tick(), self._clock)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; a file in the way stays."""
        for one in [] if self._blocked(path) else [*ancestors(path), path]:
            if one not in self.nodes:
                self.nodes[one] = Node(Kind.FOLDER, b"", False, self._tick(), self._clock)

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        for one in [one for one in self.nodes if one == path or one.startswith(path + "/")]:
            del self.nodes[one]

    def move(self, old: str, new: str) -> None:
        """Rename a file or a folder, as rename(2) does."""
        node = self.nodes.get(old)
        target = self.nodes.get(new)
        if node is None or old == new or new.startswith(old + "/"):
            return
        if target is not None and Kind.FOLDER in (node.kind, target.kind):
            return
        if any(f in self.nodes and self.nodes[f].kind is not Kind.FOLDER for f in ancestors(new)):
            return
        for folder in ancestors(new):
            self.make_folder(folder)
        for path in [one for one in self.nodes if one == old or one.startswith(old + "/")]:
            moved = self.nodes.pop(path)
            self.nodes[new + path[len(old) :]] = replace(moved, time=self._tick())

    def files(self) -> dict[str, bytes]:
        """Every file's bytes."""
        return {p: n.data for p, n in sorted(self.nodes.items()) if n.kind is Kind.FILE}

    def listing(self) -> dict[str, tuple[str, bytes, bool]]:
        """All there is, to compare two folders."""
        return {
            path: (node.kind.value, node.data, node.executable)
            for path, node in sorted(self.nodes.items())
        }

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    # -- what the scanner finds ------------------------------------------------------------

    def scan(self) -> FilesObserved:
        """A full look: everything that differs from what is known."""
        seen: list[Seen] = []
        inodes = {
            observed.signature.inode: path
            for path, observed in self.known.items()
            if path not in self.nodes and observed.kind is not Kind.FOLDER
        }
        moved: list[tuple[str, str]] = []
        hidden: list[str] = []
        for path in [path for path in self.known if self._ignores(path)]:
            if self.known.pop(path).kind is Kind.DATABASE:
                hidden.append(path)
        self._hidden.update(hidden)
        back = {path for path in self._hidden if not self._ignores(path)}
        self._hidden -= back
        for path in sorted(self.nodes):
            node = self.nodes[path]
            if self._ignores(path):
                continue
            observed = self._observe(node)
            if self.known.get(path) == observed:
                continue
            seen.append(Seen(path, observed, _content(node)))
            old = inodes.pop(node.inode, None) if path not in self.known else None
            if old is not None and node.kind is not Kind.FOLDER:
                moved.append((old, path))
            self.known[path] = observed
        sources = {old for old, _ in moved}
        gone = [p for p in sorted({*self.known, *back}) if p not in self.nodes and p not in sources]
        for path in [*gone, *sources]:
            self.known.pop(path, None)
        return FilesObserved(
            tuple(seen), tuple(gone), tuple(moved), scan_complete=True, hidden=tuple(hidden)
        )

    def _observe(self, node: Node) -> Observed:
        signature = Signature(len(node.data), node.time, node.time, node.inode, 1)
        return Observed(node.kind, node.digest, node.executable, signature)

    # -- jobs ------------------------------------------------------------------------------

    def perform(self, jobs: Iterable[Job]) -> list[JobResult | PrepareResult | KeepResult]:
        """Do jobs in order."""
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> JobResult | PrepareResult | KeepResult:
        if isinstance(job, PrepareBlob):
            return self._prepare(job)
        return self._keep(job) if isinstance(job, KeepBase) else self._do(job)

    def _keep(self, job: KeepBase) -> KeepResult:
        raise AssertionError("databases need a DatabaseFolder")

    def _do(self, job: Job) -> JobResult:
        assert not isinstance(job, PrepareBlob | KeepBase)
        if self.full and isinstance(job, WriteFile | MakeFolder):
            return JobResult(job.ticket, Outcome.FULL, detail="No space left on device")
        for path in (job.path, job.target) if isinstance(job, MoveFile) else (job.path,):
            if self._ignores(path):
                return JobResult(job.ticket, Outcome.IGNORED, ignored=path)
        match job:
            case WriteFile():
                return self._write(job)
            case MoveFile():
                return self._move(job)
            case RemoveFile():
                if not self._holds(job.path, job.expected):
                    return JobResult(job.ticket, Outcome.CHANGED)
                del self.nodes[job.path]
                self.known.pop(job.path, None)
                return JobResult(job.ticket, Outcome.DONE)
            case SetExecutable():
                return self._set_executable(job)
            case MakeFolder():
                return self._make(job)
            case RemoveFolder():
                return self._remove_folder(job)
            case _:
                raise AssertionError(job)

    def _ignores(self, path: str) -> bool:
        return any(one in self.ignored for one in (path, *ancestors(path)))

    def _holds(self, path: str, expected: ContentHash | None) -> bool:
        node = self.nodes.get(path)
        if expected is None or node is None:
            return node is None and expected is None
        known = self.known.get(path)
        # As the real one: what was saved since the last look is not what is expected.
        now = self._observe(node)
        return known == now and expected_of(now) == expected

    def _publish(self, ticket: int, path: str, node: Node) -> JobResult:
        self.nodes[path] = node
        observed = self._observe(node)
        self.known[path] = observed
        return JobResult(ticket, Outcome.DONE, observed)

    def _write(self, job: WriteFile) -> JobResult:
        if not self._holds(job.path, job.expected) or self._blocked(job.path):
            return JobResult(job.ticket, Outcome.CHANGED)
        if isinstance(job.data, ContentHash):
            part = self._incoming.pop(job.data, None)
            if part is None or len(part.parts) != len(part.chunks):
                return JobResult(job.ticket, Outcome.CORRUPT)
            data = b"".join(part.parts[index] for index in range(len(part.chunks)))
        else:
            assert isinstance(job.data, bytes), "databases need a DatabaseFolder"
            data = job.data
        if ContentHash.of(data) != job.digest:
            return JobResult(job.ticket, Outcome.CORRUPT)
        for folder in ancestors(job.path):
            self.make_folder(folder)
        executable = job.executable and job.kind is Kind.FILE
        node = Node(job.kind, data, executable, self._tick(), self._clock)
        return self._publish(job.ticket, job.path, node)

    def _blocked(self, path: str) -> bool:
        return any(
            folder in self.nodes and self.nodes[folder].kind is not Kind.FOLDER
            for folder in ancestors(path)
        )

    def _move(self, job: MoveFile) -> JobResult:
        free = job.target not in self.nodes and not self._blocked(job.target)
        if not free or not self._holds(job.path, job.expected):
            return JobResult(job.ticket, Outcome.CHANGED)
        for folder in ancestors(job.target):
            self.make_folder(folder)
        node = self.nodes.pop(job.path)
        self.known.pop(job.path, None)
        return self._publish(job.ticket, job.target, replace(node, time=self._tick()))

    def _set_executable(self, job: SetExecutable) -> JobResult:
        if not self._holds(job.path, job.expected):
            return JobResult(job.ticket, Outcome.CHANGED)
        node = replace(self.nodes[job.path], executable=job.executable, time=self._tick())
        return self._publish(job.ticket, job.path, node)

    def _make(self, job: MakeFolder) -> JobResult:
        node = self.nodes.get(job.path)
        if (node is not None and node.kind is not Kind.FOLDER) or self._blocked(job.path):
            return JobResult(job.ticket, Outcome.CHANGED)
        for folder in ancestors(job.path):
            self.make_folder(folder)
        node = node or Node(Kind.FOLDER, b"", False, self._tick(), self._clock)
        return self._publish(job.ticket, job.path, node)

    def _remove_folder(self, job: RemoveFolder) -> JobResult:
        node = self.nodes.get(job.path)
        if node is None:
            return JobResult(job.ticket, Outcome.DONE)
        inside = any(path.startswith(job.path + "/") for path in self.nodes)
        if inside or node.kind is not Kind.FOLDER:
            return JobResult(job.ticket, Outcome.CHANGED)
        del self.nodes[job.path]
        self.known.pop(job.path, None)
        return JobResult(job.ticket, Outcome.DONE)

    # -- chunks ----------------------------------------------------------------------------

    def _prepare(self, job: PrepareBlob) -> PrepareResult:
        if self.full:
            return PrepareResult(job.ticket, job.blob, Outcome.FULL)
        part = self._incoming.setdefault(job.blob, _Incoming(job.chunks))
        missing = []
        for index, chunk in enumerate(job.chunks):
            location = job.sources.get(chunk.hash)
            data = self.read(location, chunk.hash) if location is not None else None
            if index not in part.parts and data is not None:
                part.parts[index] = data
            if index not in part.parts:
                missing.append(index)
        return PrepareResult(job.ticket, job.blob, Outcome.DONE, tuple(missing))

    def store(self, blob: ContentHash, index: int, data: bytes) -> bool:
        """A chunk for an incoming blob; False if it does not fit."""
        part = self._incoming.get(blob)
        if part is None or index >= len(part.chunks):
            return False
        if ContentHash.of(data) != part.chunks[index].hash:
            return False
        part.parts[index] = data
        return True

    def read(self, location: Location, expected: ContentHash) -> bytes | None:
        """A chunk from a file, if it is still there."""
        if location.blob is not None:
            part = self._incoming.get(location.blob)
            pieces = part.parts.values() if part is not None else ()
            return next((data for data in pieces if ContentHash.of(data) == expected), None)
        node = self.nodes.get(location.path)
        if node is None or node.kind is not Kind.FILE:
            return None
        data = node.data[location.offset : location.offset + location.length]
        return data if ContentHash.of(data) == expected else None

    def restart(self, known: dict[str, Observed]) -> None:
        """The process died: only the disk is left, and what the store knew."""
        self.known = dict(known)


def _content(node: Node) -> Content:
    if node.kind is Kind.FOLDER:
        return Folder()
    if node.kind is Kind.SYMLINK:
        return Symlink(node.data.decode())
    if decode_file(node.data) is not None:
        return TextContent(node.data)
    data = memoryview(node.data)
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        piece = bytes(data[at : at + size])
        at += len(piece)
        return piece

    return BlobContent(chunk_stream(read).chunks)
