"""Everything that can happen to a Peer. Frozen values; ``Peer.handle`` matches on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

from .editing import RangeEdit, Selection, SessionId, Speech
from .edits import Edit
from .files import JobResult, KeepResult, Location, Observed, PrepareResult, Seen
from .ids import AuthorId, ContentHash, FileId, MemberId, VersionId
from .messages import Message
from .rows import RowsReport

__all__ = [
    "BulkReceived",
    "ChunksStored",
    "ChunksUnread",
    "CursorMoved",
    "DatabaseRequested",
    "DialFailed",
    "Discovered",
    "EchoRequested",
    "Event",
    "FilesObserved",
    "FramesReceived",
    "InviteRequested",
    "JobsDone",
    "Knocked",
    "LineEndsChosen",
    "LinkDown",
    "LinkId",
    "LinkUp",
    "Listening",
    "MessageReceived",
    "NetworkChanged",
    "PublishRequested",
    "RangesEdited",
    "RenameRequested",
    "RowsReported",
    "RowsRestarted",
    "SayRequested",
    "Started",
    "Stopping",
    "TextClosed",
    "TextEdited",
    "TextOpened",
    "TimerExpired",
]

LinkId = NewType("LinkId", int)
"""The node's number for one connection; never reused while the node runs."""


@dataclass(frozen=True, slots=True)
class Started:
    """The node runs: load, link, scan. ``wall`` is the time of day (s since the epoch)."""

    wall: float


@dataclass(frozen=True, slots=True)
class Stopping:
    """The node is about to stop; say goodbye."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where we can be reached; empty if nobody can dial us."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A connection stands; TLS has proven that ``member`` is at the other end."""

    link: LinkId
    member: MemberId
    address: str
    outbound: bool


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A connection ended. ``reason``: the far end's goodbye, or what was noticed."""

    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class DialFailed:
    """Nobody (or the wrong one) answered at ``address``."""

    author: AuthorId
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A well-formed message; whether it makes sense is for the peer to say."""

    link: LinkId
    message: Message


@dataclass(frozen=True, slots=True)
class BulkReceived:
    """Chunks of one bulk frame; each hashes to its name (checked by the node)."""

    link: LinkId
    chunks: tuple[tuple[ContentHash, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """A timer set by ``StartTimer`` ran out. ``name`` says whose it is."""

    name: str


@dataclass(frozen=True, slots=True)
class FilesObserved:
    """The folder found changes. ``moved`` pairs (old path, new path).

    ``touched``: the same content as known, under a new signature. ``hidden``: live databases that
    a rule ignores from now on, before all the rest; one that is not any more is seen, or gone. The
    first observation after a start names all that are.
    """

    seen: tuple[Seen, ...] = ()
    gone: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    touched: tuple[tuple[str, Observed], ...] = ()
    scan_complete: bool = False
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobsDone:
    """Jobs that the folder finished, in the order in which they happened on the disk."""

    results: tuple[JobResult | PrepareResult | KeepResult, ...]


@dataclass(frozen=True, slots=True)
class ChunksStored:
    """Chunks that reached the incoming file of a blob, or could not."""

    blob: ContentHash
    stored: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunksUnread:
    """Chunks that were to be served (``ServeChunks``) and could not be read there any more."""

    link: LinkId
    chunks: tuple[tuple[ContentHash, Location | bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RowsReported:
    """What the rows process has to say, in order."""

    reports: tuple[RowsReport, ...]


@dataclass(frozen=True, slots=True)
class RowsRestarted:
    """There is a new rows process, which knows of no database yet (``Started`` implies it)."""


@dataclass(frozen=True, slots=True)
class DatabaseRequested:
    """A person wants the database at ``path`` merged by rows (``live``), or as an ordinary file.

    Answered by ``Answered(ticket)``.
    """

    ticket: int
    path: str
    live: bool


@dataclass(frozen=True, slots=True)
class TextEdited:
    """A person typed in one of our editors. Positions are code points of the current text."""

    file: FileId
    version: VersionId
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class TextOpened:
    """An editor wants to have the text at ``path`` open; answered by ``Answered(ticket)``.

    The facts of the answer: ``path``, ``file`` and ``version`` (hexadecimal), and ``text``, which
    a session that speaks in ranges starts from (if ``content``, what its editor shows, is another,
    a correction follows). ``saves``: an editor that speaks in ranges writes the file itself.
    ``line_ends``: it does so with the line ends that it is told (``LineEnds``).
    """

    ticket: int
    session: SessionId
    path: str
    speech: Speech
    content: str | None = field(repr=False, default=None)
    saves: bool = True
    line_ends: bool = False


@dataclass(frozen=True, slots=True)
class RangesEdited:
    """A person typed. ``revision``: how many of our changes the editor had taken in.

    Answered by ``Answered(ticket)``; with a problem the session is over: open it again.
    """

    ticket: int
    session: SessionId
    revision: int
    edits: tuple[RangeEdit, ...]


@dataclass(frozen=True, slots=True)
class FramesReceived:
    """Frames of the y-websocket protocol, in order."""

    session: SessionId
    frames: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CursorMoved:
    """Where a person's cursors are, in the text as their editor shows it."""

    session: SessionId
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class LineEndsChosen:
    """A person wants the lines of the file to end in CRLF from now on, or in LF."""

    session: SessionId
    crlf: bool


@dataclass(frozen=True, slots=True)
class TextClosed:
    """The editor is done with it, or gone."""

    session: SessionId


@dataclass(frozen=True, slots=True)
class InviteRequested:
    """Make an invitation. ``ticket`` comes back in ``InvitationMade``; ``lifetime`` in seconds."""

    ticket: int
    uses: int
    lifetime: float


@dataclass(frozen=True, slots=True)
class Knocked:
    """Someone holds an invitation and asks to be let in. ``certificate`` is ours, as DER."""

    ticket: int
    request: bytes
    address: str
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """An interface changed or the machine woke up: try lost neighbors again at once."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """Somebody who says to be this author of our pool listens here (mDNS). Not to be believed
    before TLS says so.
    """

    author: AuthorId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SayRequested:
    """A person says something: to all, or to one member. Answered by ``Answered(ticket)``."""

    ticket: int
    text: str
    to: MemberId | None = None


@dataclass(frozen=True, slots=True)
class RenameRequested:
    """A person wants to be called ``name`` from now on. Answered by ``Answered(ticket)``."""

    ticket: int
    name: str


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """A program has bytes for everyone who is here now. Answered by ``Answered(ticket)``."""

    ticket: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EchoRequested:
    """How far away is a member? Answered by ``Answered(ticket)`` with ``seconds``, ``hops``...

    ``size`` bytes go there and back. ``near``: over a link of our own, dialled if need be.
    """

    ticket: int
    to: MemberId
    size: int = 32
    near: bool = False


Event = (
    Started
    | Stopping
    | Listening
    | LinkUp
    | LinkDown
    | DialFailed
    | MessageReceived
    | BulkReceived
    | TimerExpired
    | FilesObserved
    | JobsDone
    | ChunksStored
    | ChunksUnread
    | TextEdited
    | TextOpened
    | RangesEdited
    | FramesReceived
    | CursorMoved
    | LineEndsChosen
    | TextClosed
    | InviteRequested
    | Knocked
    | NetworkChanged
    | Discovered
    | SayRequested
    | RenameRequested
    | PublishRequested
    | EchoRequested
    | RowsReported
    | RowsRestarted
    | DatabaseRequested
)
