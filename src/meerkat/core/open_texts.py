"""Which texts are open, in which sessions, and what that says of their files.

Knows who may write a file that is open, and whose save a save may be. What editors are told,
``sessions`` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import msgspec

from .anchors import Anchors
from .bridge import Bridge
from .editing import SessionId
from .line_ends import readings
from .ot import EditorSide
from .packing import pack
from .ports import Store, Table
from .text import Text
from .text_file import Eol
from .tree import Version

__all__ = ["Offsets", "OpenText", "OpenTexts", "Session"]

LINGER = 3.0  # s in which an editor may still save with the line ends that it was told before;
# our plugin for Neovim puts a save off for 2 at most. guess

_HELD = b"held"  # in the store: what editors hold now

Offsets = tuple[tuple[int, int], ...]
"""Selections as (anchor, head), in code points of the text."""


@dataclass(slots=True)
class Session:
    """One text that one editor has open. ``side`` is None for a Yjs editor."""

    id: SessionId
    open: OpenText
    side: EditorSide | None
    saves: bool = False
    line_ends: bool = False  # it wants to be told of them
    cursors: Offsets = ()


@dataclass(slots=True)
class OpenText:
    """A text that is open in some session."""

    version: Version
    file: bytes
    path: str
    text: Text
    anchors: Anchors
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    bridge: Bridge | None = None
    eol: str = ""  # as the editors were told
    told_until: dict[str, float] = field(default_factory=dict)  # and, until then, before that
    settled: int = -1  # updates when it was last found to have no CR before an LF


class OpenTexts:
    """All open texts of this node, by version."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.texts: dict[bytes, OpenText] = {}
        self.released: set[bytes] = set()  # versions that no editor holds any more

    def holds(self, version: bytes) -> bool:
        """Whether an editor that saves for itself has this text open: then it writes the file."""
        found = self.texts.get(version)
        return found is not None and any(one.saves for one in found.sessions.values())

    def is_in_editor(self, version: bytes) -> bool:
        """Whether an editor that speaks in ranges has it open, which may save it, too."""
        found = self.texts.get(version)
        return found is not None and any(one.side for one in found.sessions.values())

    def were_held(self) -> frozenset[bytes]:
        """Which texts editors held when we ended, unless we ended in good order."""
        value = self._store.get(Table.META, _HELD)
        return frozenset(msgspec.msgpack.decode(value, type=list[bytes]) if value else ())

    def note_held(self) -> None:
        """Keep that, for the case that we end in no good order."""
        held = sorted(version for version in self.texts if self.is_in_editor(version))
        self._store.put(Table.META, _HELD, pack(held))

    def watches(self, version: bytes) -> bool:
        """Whether an editor has it open that leaves the file to us: it is on a screen, so the file
        can wait a bit.
        """
        found = self.texts.get(version)
        return found is not None and any(not one.saves for one in found.sessions.values())

    def may_have_saved(self, version: bytes, written: str) -> bool:
        """Whether one of those editors may have shown a text that it saves as exactly this."""
        found = self.texts.get(version)
        sides = [one.side for one in found.sessions.values() if one.side] if found else []
        return any(side.was(text) for text in readings(written) for side in sides)

    def saved_as_told(self, version: bytes, written: str, at: float) -> bool:
        """Whether such a save has line ends that we told its editor, now or a moment before."""
        found = self.texts.get(version)
        if found is None:
            return False
        sides = [one.side for one in found.sessions.values() if one.side and one.line_ends]
        for text in readings(written):
            eol = (Eol.LF if text == written else Eol.CRLF).value
            told = eol == found.eol or at <= found.told_until.get(eol, -inf)
            if told and any(side.was(text) for side in sides):
                return True
        return False

    def turn(self, found: OpenText, eol: str, now: float) -> None:
        """Other line ends are told from now on."""
        found.told_until[found.eol] = now + LINGER
        found.eol = eol
