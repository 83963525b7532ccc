"""What the folder and the peer say to each other about files on the disk.

The folder *observes* (``Seen``) and *does jobs* (``WriteFile``, ``RemoveFile``, ...), each of which
names what it expects to find (``expected_of``), so that nothing a person wrote meanwhile is
overwritten. These are values only; the decisions are in ``planner``, the system calls in
``meerkat.folder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .chunks import Chunk
from .ids import ContentHash, VersionId

__all__ = [
    "IGNORE_FILE",
    "BlobContent",
    "Content",
    "DatabaseContent",
    "Export",
    "Folder",
    "Job",
    "JobResult",
    "KeepBase",
    "KeepResult",
    "Kind",
    "Location",
    "MakeFolder",
    "MoveFile",
    "Observed",
    "Outcome",
    "PrepareBlob",
    "PrepareResult",
    "RemoveFile",
    "RemoveFolder",
    "Seen",
    "SetExecutable",
    "Signature",
    "Symlink",
    "TextContent",
    "WriteFile",
    "expected_of",
]


IGNORE_FILE = ".meerkatignore"  # at the top of the folder: what is not synced


class Kind(Enum):
    """What stands at a path. Anything else (socket, fifo, device) is reported, never synced."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    DATABASE = "database"
    """A live database: the rows process has it open, so nobody else may read it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What ``lstat`` says of a file, to know without reading it that it did not change.

    ``size_bytes`` in bytes, times in nanoseconds since the epoch.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class TextContent:
    """The raw bytes of a file that is a text (UTF-8, no NUL, within the size limit)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BlobContent:
    """The content-defined chunks of any other file, in order."""

    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Symlink:
    """Where a symbolic link points: relative, inside the folder."""

    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory has no content of its own."""


@dataclass(frozen=True, slots=True)
class DatabaseContent:
    """The file begins as a SQLite database does; nothing else of it was read."""


Content = TextContent | BlobContent | Symlink | Folder | DatabaseContent


@dataclass(frozen=True, slots=True)
class Observed:
    """What a path holds now.

    ``digest`` is the BLAKE3 of the file's bytes, of a link's target (UTF-8), or 32 zero bytes for
    a folder or a database, of whose signature only inode and device count (the others are 0):
    another file in its place is news, what is written into it is not.
    """

    kind: Kind
    digest: ContentHash
    executable: bool
    signature: Signature


def expected_of(observed: Observed) -> ContentHash:
    """By what a job names what it expects to find: its content, or of a database which file it is.

    So a database that was replaced is safe from whoever has not heard of that yet.
    """
    if observed.kind is not Kind.DATABASE:
        return observed.digest
    signature = observed.signature
    return ContentHash.of(f"{signature.device} {signature.inode}".encode())


@dataclass(frozen=True, slots=True)
class Seen:
    """A path holds something the folder has not reported before."""

    path: str
    observed: Observed
    content: Content


# --- Jobs: what the peer asks the folder to do. ``ticket`` comes back in the result. ---


@dataclass(frozen=True, slots=True)
class Export:
    """The copy of a database that the rows process has laid ready."""

    version: VersionId


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put a file or link at ``path``, atomically.

    ``data`` is the whole content, the ``ContentHash`` of a blob assembled in the incoming area
    (``PrepareBlob``), or an ``Export`` (whose ``digest`` is 32 zero bytes). ``expected`` is the
    digest that must stand there now: ``None`` means nothing may stand there. If something else
    stands there, nothing is changed and the result says ``Outcome.CHANGED`` (the folder reports the
    finding as ``Seen``, too).
    """

    ticket: int
    path: str
    kind: Kind
    data: bytes | ContentHash | Export
    digest: ContentHash
    executable: bool
    expected: ContentHash | None


@dataclass(frozen=True, slots=True)
class SetExecutable:
    """Change only the executable bit, if ``path`` still holds ``expected``."""

    ticket: int
    path: str
    executable: bool
    expected: ContentHash


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove the file or link at ``path`` if it still holds ``expected``."""

    ticket: int
    path: str
    expected: ContentHash


@dataclass(frozen=True, slots=True)
class MoveFile:
    """Rename ``path`` to ``target`` if it holds ``expected`` and nothing stands at the target."""

    ticket: int
    path: str
    target: str
    expected: ContentHash


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make a directory, and its parents."""

    ticket: int
    path: str


@dataclass(frozen=True, slots=True)
class RemoveFolder:
    """Remove a directory if nothing but ignored junk of ours is in it."""

    ticket: int
    path: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where some chunk can be read: ``offset`` and ``length`` in bytes within a file.

    With a ``blob`` that is not the folder's file at ``path``, but the blob's incoming file, or the
    base of that name (``KeepBase``).
    """

    path: str
    offset: int
    length: int
    blob: ContentHash | None = None


@dataclass(frozen=True, slots=True)
class PrepareBlob:
    """Open (or resume) the incoming file of a blob and fill it with chunks this machine has.

    ``sources`` names where chunks may be found in the folder; they are verified before use.
    """

    ticket: int
    blob: ContentHash
    chunks: tuple[Chunk, ...]
    sources: dict[ContentHash, Location]


@dataclass(frozen=True, slots=True)
class KeepBase:
    """Keep a blob as the base of a database, where the rows process finds it.

    It is the one assembled in the incoming area, or has these bytes. Nothing to do if it is kept
    already.
    """

    ticket: int
    blob: ContentHash
    data: bytes | None = None


Job = (
    WriteFile
    | SetExecutable
    | RemoveFile
    | MoveFile
    | MakeFolder
    | RemoveFolder
    | PrepareBlob
    | KeepBase
)


class Outcome(Enum):
    """How a job ended."""

    DONE = "done"
    CHANGED = "changed"  # the path does not hold what was expected; nothing was touched
    NAME = "name"  # this file system cannot hold such a name
    DENIED = "denied"  # permission, read-only file system
    FULL = "full"  # no space, no inodes, quota: try again later
    BUSY = "busy"  # a passing fault (EIO, EMFILE, ...): try again later
    CORRUPT = "corrupt"  # the assembled blob does not hash to its name: fetch again
    IGNORED = "ignored"  # a path of the job is ignored here; nothing was touched


@dataclass(frozen=True, slots=True)
class JobResult:
    """``observed`` is what stands at the job's (target) path afterwards, ``None`` for nothing.

    ``detail`` is the operating system's reason, for people. ``ignored`` is the path that is, with
    ``Outcome.IGNORED``.
    """

    ticket: int
    outcome: Outcome
    observed: Observed | None = None
    detail: str = ""
    ignored: str = ""


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """``missing``: indexes into ``chunks`` of the ones that must come from other peers."""

    ticket: int
    blob: ContentHash
    outcome: Outcome
    missing: tuple[int, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeepResult:
    """What became of a ``KeepBase``. With ``Outcome.CORRUPT`` the incoming file is gone."""

    ticket: int
    blob: ContentHash
    outcome: Outcome
    detail: str = ""
