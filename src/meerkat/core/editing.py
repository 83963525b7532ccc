"""What open texts and their editors say to each other: values only.

An *editor session* is one text that one editor, page or program has open. It speaks one of two
ways: ``RANGES`` (line/character ranges with revision counters, as the Teamtype project's editor
protocol) or ``YJS`` (frames of the y-websocket protocol). ``sessions`` decides; ``ot`` and
``bridge`` know how.

Positions are (line, character), both from 0, in Unicode code points. Lines end at LF alone; a CR
is a character like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

from .ids import MemberId

__all__ = [
    "Closed",
    "CursorShown",
    "EditorMessage",
    "Frame",
    "LineEnds",
    "Moved",
    "Position",
    "RangeEdit",
    "RangesChanged",
    "Selection",
    "SessionId",
    "Speech",
]

SessionId = NewType("SessionId", int)
"""The node's number for one session; never reused while the node runs."""

Position = tuple[int, int]
"""(line, character), both from 0; characters are code points."""

Selection = tuple[Position, Position]
"""(anchor, head): where a selection began, and where its cursor is. Equal for a mere cursor."""


class Speech(Enum):
    """How a session speaks."""

    RANGES = "ranges"
    YJS = "yjs"


@dataclass(frozen=True, slots=True)
class RangeEdit:
    """Replace the text between two positions; ``start`` <= ``end``.

    All edits of one list refer to the same starting text, and do not overlap.
    """

    start: Position
    end: Position
    replacement: str


# --- What an editor is told (the effect ``TellEditor``) ---


@dataclass(frozen=True, slots=True)
class RangesChanged:
    """The text changed. ``revision``: how many of the editor's edits we had received."""

    revision: int
    edits: tuple[RangeEdit, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the y-websocket protocol."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CursorShown:
    """Somebody's cursors in this text are here now; no selections: they are gone.

    ``user`` tells one editor session from another, all over the pool; ``color`` is "#rrggbb".
    """

    user: str
    name: str
    member: MemberId
    color: str
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """The text has another path from now on."""

    path: str


@dataclass(frozen=True, slots=True)
class LineEnds:
    """How the lines of the text end in its file from now on; for an editor that writes it.

    ``crlf``: every LF is CRLF there. Else the file is the text, whatever its line ends are.
    """

    crlf: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over.

    ``reason``: "deleted" (the file is gone), "replaced" (its content was put there anew, as a
    whole; open it again), "binary" (it is no text any more), "protocol" (what came made no sense),
    "stale" (a Yjs document of another time), "stopping". ``text``: a sentence for people.
    """

    reason: str
    text: str


EditorMessage = RangesChanged | Frame | CursorShown | Moved | LineEnds | Closed
