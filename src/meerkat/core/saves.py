"""Saves of files that an editor of ours has open: its own (an echo), or another program's?

An editor that speaks to us has told us of its typing before it saves, but the disk may be heard
first. So a save that it cannot have made *yet* waits a moment for that typing, and only then counts
as another program's: both would be the same change twice (design, section 9).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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

WAIT = 1.0  # s for an editor's typing to arrive after its save; measured: 0.7 at a load of 11
MAX_WAITING = 64  # saves of one path; of more, the oldest are left out, as if they came at once


class Holders(Protocol):
    """Which texts an editor holds (``sessions``)."""

    released: set[bytes]

    def holds(self, version: bytes) -> bool:
        """Whether an editor that saves for itself has this text open."""
        ...

    def is_in_editor(self, version: bytes) -> bool:
        """Whether an editor that speaks in ranges has it open, which may save it, too."""
        ...

    def were_held(self) -> frozenset[bytes]:
        """Which texts editors held when we ended, unless we ended in good order."""
        ...

    def watches(self, version: bytes) -> bool:
        """Whether somebody sees this text typed in an editor that does not save it."""
        ...

    def may_have_saved(self, version: bytes, written: str) -> bool:
        """Whether one of those editors may have shown a text that it saves as exactly this."""
        ...

    def saved_as_told(self, version: bytes, written: str, at: float) -> bool:
        """Whether such a save has line ends that we told its editor, now or a moment before."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    seen: Seen
    version: bytes
    text: str  # as it was written, with its line ends
    until: float


class Saves:
    """Sorts saves; keeps the doubtful ones for a moment."""

    def __init__(self, local: LocalChanges, disk: Disk, holders: Holders) -> None:
        self._local, self._disk, self._holders = local, disk, holders
        # By path, in the order of the disk: an editor may save at every key.
        self._waiting: dict[str, deque[_Waiting]] = {}

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
            for path in [*event.gone, *(path for pair in event.moved for path in pair)]:
                self._foreign(path, wall)  # nobody's save is passed over
        kept = []
        for seen in event.seen:
            waiting = self._doubtful(seen, now)
            if waiting is None:
                self._foreign(seen.path, wall)
                kept.append(seen)
            else:
                self._waiting.setdefault(seen.path, deque()).append(waiting)
                self._settle(seen.path, now, wall)
        if len(kept) == len(event.seen):
            return event
        return FilesObserved(
            tuple(kept),
            event.gone,
            event.moved,
            event.touched,
            event.scan_complete,
            event.hidden,
        )

    def _doubtful(self, seen: Seen, now: float) -> _Waiting | None:
        entry = self._disk.get(seen.path)
        if entry is None or not entry.version or not isinstance(seen.content, TextContent):
            return None
        is_same = entry.digest == seen.observed.digest and seen.path not in self._waiting
        if is_same or not self._holders.is_in_editor(entry.version):
            return None
        if decode_file(seen.content.data) is None:
            return None
        return _Waiting(seen, entry.version, seen.content.data.decode(), now + WAIT)

    def settle(self, now: float, wall: float) -> list[Effect]:
        """Take in what is known by now; ask to be called again for the rest."""
        for path in list(self._waiting):
            self._settle(path, now, wall)
        soonest = min((queue[0].until for queue in self._waiting.values()), default=None)
        return [] if soonest is None else [StartTimer("saves", max(soonest - now, ROUNDING))]

    def _settle(self, path: str, now: float, wall: float) -> None:
        """One save after the other: each is compared with what the disk had before it."""
        queue = self._waiting[path]
        while queue:
            one = queue[0]
            if self._holders.may_have_saved(one.version, one.text):
                self._saved(one, wall)
            elif self._was_torn(queue):
                pass  # a program truncates a file before it writes it
            elif one.until <= now + ROUNDING or not self._holders.is_in_editor(one.version):
                self._local.observe(FilesObserved(seen=(one.seen,)), wall)
            elif len(queue) <= MAX_WAITING:
                return
            queue.popleft()
        del self._waiting[path]

    def _was_torn(self, queue: Sequence[_Waiting]) -> bool:
        """Whether the first save is how one of the next began, which is an editor's own."""
        first, *later = queue
        return any(
            one.text.startswith(first.text) and self._holders.may_have_saved(one.version, one.text)
            for one in later
        )

    def _foreign(self, path: str, wall: float) -> None:
        for one in self._waiting.pop(path, ()):
            if self._holders.may_have_saved(one.version, one.text):
                self._saved(one, wall)
            else:
                self._local.observe(FilesObserved(seen=(one.seen,)), wall)

    def _saved(self, one: _Waiting, wall: float) -> None:
        seen_at = one.until - WAIT
        as_told = self._holders.saved_as_told(one.version, one.text, seen_at)
        self._local.saved(one.seen, wall, as_told=as_told)
