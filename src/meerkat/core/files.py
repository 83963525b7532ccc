"""What the folder and the peer say to each other about files on the disk.

The folder *observes* (``Seen``) and *does jobs* (``WriteFile``, ``RemoveFile``, ...), each of which
names what it expects to find, so that nothing a person wrote meanwhile is overwritten. These are
values only; the decisions are in ``planner``, the system calls in ``meerkat.folder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .chunks import Chunk
from .ids import ContentHash

__all__ = [
    "IGNORE_FILE",
    "BlobContent",
    "Content",
    "Folder",
    "Job",
    "JobResult",
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
]


IGNORE_FILE = ".meerkatignore"  # at the top of the folder: what is not synced


class Kind(Enum):
    """What stands at a path. Anything else (socket, fifo, device) is reported, never synced."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"


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


Content = TextContent | BlobContent | Symlink | Folder


@dataclass(frozen=True, slots=True)
class Observed:
    """What a path holds now.

    ``digest`` is the BLAKE3 of the file's bytes, of a link's target (UTF-8), or 32 zero bytes for
    a folder.
    """

    kind: Kind
    digest: ContentHash
    executable: bool
    signature: Signature


@dataclass(frozen=True, slots=True)
class Seen:
    """A path holds something the folder has not reported before."""

    path: str
    observed: Observed
    content: Content


# --- Jobs: what the peer asks the folder to do. ``ticket`` comes back in the result. ---


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put a file or link at ``path``, atomically.

    ``data`` is the whole content, or the ``ContentHash`` of a blob assembled in the incoming area
    (``PrepareBlob``). ``expected`` is the digest that must stand there now: ``None`` means nothing
    may stand there. If something else stands there, nothing is changed and the result says
    ``Outcome.CHANGED`` (the folder reports the finding as ``Seen``, too).
    """

    ticket: int
    path: str
    kind: Kind
    data: bytes | ContentHash
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

    With a ``blob`` that is not the folder's file at ``path``, but the blob's incoming file.
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


Job = WriteFile | SetExecutable | RemoveFile | MoveFile | MakeFolder | RemoveFolder | PrepareBlob


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
