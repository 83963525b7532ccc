"""Saves of files that an editor of ours has open: its own (an echo), or another program's?

An editor that speaks to us has told us of its typing before it saves, but the disk may be heard
first. So a save that it cannot have made *yet* waits a moment for that typing, and only then counts
as another program's: both would be the same change twice (design, section 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .disk import Disk
from .effects import Effect, StartTimer
from .events import FilesObserved
from .files import Seen, TextContent
from .local import LocalChanges
from .text_file import decode_file
from .timing import ROUNDING

__all__ = ["Holders", "Saves"]

WAIT = 0.5  # s for an editor's typing to arrive after its save did; a guess: pipes take 1 ms


class Holders(Protocol):
    """Which texts an editor holds (``sessions``)."""

    released: set[bytes]

    def holds(self, version: bytes) -> bool:
        """Whether an editor that saves for itself has this text open."""
        ...

    def may_have_saved(self, version: bytes, text: str) -> bool:
        """Whether one of those editors may have shown, so saved, exactly this."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    seen: Seen
    version: bytes
    text: str
    until: float


class Saves:
    """Sorts saves; keeps the doubtful ones for a moment."""

    def __init__(self, local: LocalChanges, disk: Disk, holders: Holders) -> None:
        self._local, self._disk, self._holders = local, disk, holders
        self._waiting: dict[str, _Waiting] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def released(self) -> list[bytes]:
        """Versions that no editor holds any more, since the last call."""
        released = sorted(self._holders.released)
        self._holders.released.clear()
        return released

    def sift(self, event: FilesObserved, now: float, wall: float) -> FilesObserved:
        """The observation without echoes, and without what waits."""
        if self._waiting:
            for path in [*(seen.path for seen in event.seen), *event.gone]:
                self._foreign(path, wall)  # nobody's save is passed over by the next one
            for pair in event.moved:
                for path in pair:
                    self._foreign(path, wall)
        kept = []
        for seen in event.seen:
            waiting = self._doubtful(seen, now)
            if waiting is None:
                kept.append(seen)
            elif self._holders.may_have_saved(waiting.version, waiting.text):
                self._local.saved(seen, wall)
            else:
                self._waiting[seen.path] = waiting
        if len(kept) == len(event.seen):
            return event
        return FilesObserved(
            tuple(kept), event.gone, event.moved, event.touched, event.scan_complete
        )

    def _doubtful(self, seen: Seen, now: float) -> _Waiting | None:
        entry = self._disk.get(seen.path)
        if entry is None or not entry.version or not isinstance(seen.content, TextContent):
            return None
        if entry.digest == seen.observed.digest or not self._holders.holds(entry.version):
            return None
        decoded = decode_file(seen.content.data)
        if decoded is None:
            return None
        return _Waiting(seen, entry.version, decoded.text, now + WAIT)

    def settle(self, now: float, wall: float) -> list[Effect]:
        """Take in what is known by now; ask to be called again for the rest."""
        for path, one in list(self._waiting.items()):
            if self._holders.may_have_saved(one.version, one.text):
                del self._waiting[path]
                self._local.saved(one.seen, wall)
            elif one.until <= now + ROUNDING or not self._holders.holds(one.version):
                self._foreign(path, wall)
        soonest = min((one.until for one in self._waiting.values()), default=None)
        return [] if soonest is None else [StartTimer("saves", max(soonest - now, ROUNDING))]

    def _foreign(self, path: str, wall: float) -> None:
        waiting = self._waiting.pop(path, None)
        if waiting is not None:
            self._local.observe(FilesObserved(seen=(waiting.seen,)), wall)
