"""Everything a Peer can ask of its node. Performed after the transaction is committed."""

from __future__ import annotations

from dataclasses import dataclass, field

from .editing import EditorMessage, SessionId
from .events import LinkId
from .files import Job, Location
from .ids import AuthorId, ContentHash, MemberId
from .messages import Message
from .rows import RowsRequest

__all__ = [
    "AnswerKnock",
    "Answered",
    "CloseLink",
    "Dial",
    "Effect",
    "Heard",
    "InvitationMade",
    "Notify",
    "Perform",
    "ReportFile",
    "ScanFolder",
    "Send",
    "ServeChunks",
    "StartTimer",
    "StoreChunk",
    "TellEditor",
    "TellRows",
    "TreatAsPlain",
    "Trust",
]


@dataclass(frozen=True, slots=True)
class Send:
    """Put a message into a link's outbox."""

    link: LinkId
    message: Message


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Say goodbye with ``reason`` (a word or two for the other side) and close."""

    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to an author at an address; answered by ``LinkUp`` or ``DialFailed``.

    ``patience`` in seconds: how long an attempt may take.
    """

    author: AuthorId
    member: MemberId
    address: str
    patience: float
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trust:
    """The TLS certificates (DER) of everyone who may connect from now on."""

    certificates: dict[MemberId, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTimer:
    """After ``delay`` seconds send ``TimerExpired(name)``. Setting it again moves it."""

    name: str
    delay: float


@dataclass(frozen=True, slots=True)
class Perform:
    """Jobs for the folder, in order."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class ScanFolder:
    """Begin (or repeat) looking at the whole folder."""


@dataclass(frozen=True, slots=True)
class ReportFile:
    """Read a path and report it as seen, chunks and all, though it did not change."""

    path: str


@dataclass(frozen=True, slots=True)
class TreatAsPlain:
    """Treat the database at a path as an ordinary file (``plain``), or as a database again.

    The folder reads and reports the path as seen.
    """

    path: str
    plain: bool


@dataclass(frozen=True, slots=True)
class TellRows:
    """Something for the rows process, in order."""

    request: RowsRequest


@dataclass(frozen=True, slots=True)
class ServeChunks:
    """Read chunks off the disk, check them and send them on a link's bulk stream, in order.

    Some come as bytes, being nowhere on the disk yet. What cannot be read any more comes back as
    ``ChunksUnread``.
    """

    link: LinkId
    chunks: tuple[tuple[ContentHash, Location | bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoreChunk:
    """Write a received chunk into the incoming file of a blob; answered by ``ChunksStored``."""

    blob: ContentHash
    index: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class InvitationMade:
    """The secret of a new invitation. ``expires``: seconds since the epoch."""

    ticket: int
    invitation: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class AnswerKnock:
    """``reply`` opens the door; ``refusal`` (a sentence) keeps it shut."""

    ticket: int
    reply: bytes | None = field(repr=False, default=None)
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Notify:
    """Something people may want to know. ``name`` is stable; ``facts`` are plain values."""

    name: str
    facts: dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request with this ``ticket``. ``problem`` is a sentence, or empty."""

    ticket: int
    facts: dict[str, str | int | float | bool] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TellEditor:
    """Something for whoever has this session."""

    session: SessionId
    message: EditorMessage


@dataclass(frozen=True, slots=True)
class Heard:
    """A program of ``author`` published ``data`` (``PublishRequested`` there)."""

    author: AuthorId
    member: MemberId
    name: str
    data: bytes = field(repr=False)


Effect = (
    Send
    | CloseLink
    | Dial
    | Trust
    | StartTimer
    | Perform
    | ScanFolder
    | ReportFile
    | TreatAsPlain
    | TellRows
    | ServeChunks
    | StoreChunk
    | InvitationMade
    | AnswerKnock
    | Answered
    | Heard
    | TellEditor
    | Notify
)
