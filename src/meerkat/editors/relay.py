"""One text between its editor and the folder's process, whose ``core.ot`` joins what crosses.

While the process runs, edits pass in both directions as they are. But it may end, be killed, or be
started anew, and the editor's person types on; most editors cannot be told. So this keeps what the
editor shows, and what the process has not confirmed, and takes up the thread with a new session:

- ``base``: what the process and the editor last had in common; the new session starts from it,
  and the process corrects what others changed meanwhile. A process that ended may have taken in
  more than it confirmed, and one that comes back has read what the editor saved meanwhile;
- what was typed since follows, key by key: the process must know every text that may be saved.

What the process had told the editor just before it ended may have crossed the person's typing. The
process knows nothing of that any more, so these edits are now our *own* to transform and send
again: the same rules as in ``core.ot``, with us in its place, until the editor has them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from meerkat.core.compose import compose, merged
from meerkat.core.diff import diff
from meerkat.core.editing import RangeEdit, RangesChanged
from meerkat.core.edits import Edit, apply_edits, transform
from meerkat.core.lines import Lines
from meerkat.core.ranges import EditorError, as_edits, as_ranges, undo_of

__all__ = ["Relay", "Typed"]

MAX_TOLD = 16_384  # edits told to the editor that it has not said to have applied; older ones
# count as applied. As many as the folder's process keeps (``core.ot``)
MAX_KEPT = 1_024  # edits typed while there is no process; of more, the oldest become one. guess
COMPARED = 64  # texts that a process may have come back with are compared first, then the ones
# around the best; each takes a millisecond if most of the text is the same
SENT_SINGLY = 64  # the last of those; a save of an earlier text is not expected (``ot.REMEMBERED``)


@dataclass(frozen=True, slots=True)
class Typed:
    """What an edit of the editor leads to: for the process, and for the editor."""

    forward: RangesChanged | None  # None: there is no process just now
    resend: RangesChanged | None


@dataclass(frozen=True, slots=True)
class _Step:
    edits: Sequence[Edit]
    undo: Sequence[Edit]

    @property
    def changes(self) -> bool:
        """Whether the text is another one afterwards."""
        return [edit.inserted for edit in self.edits] != [edit.inserted for edit in self.undo]


class Relay:
    r"""Texts in here have LF; an editor whose lines all end in CRLF has that for each of ours.

    Each "\n" here is "\r\n" there, whatever stands before it, so neither side can hold what the
    other cannot say. But whether it is such an editor is a guess by what it opened with: it may as
    well have LF, and a CR of the text before each. Its first edit that does not treat the two as
    one shows that, and corrects it to have what we have.
    """

    def __init__(self, content: str, *, has_lf: bool = False) -> None:
        """``has_lf``: the editor says that its lines end in LF; a CR is one of the text."""
        feeds = content.count("\n")
        is_crlf = 0 < feeds == content.count("\r") == content.count("\r\n")
        self._crlf = is_crlf and not has_lf
        self._shown = Lines(content.replace("\r\n", "\n") if self._crlf else content)
        self._ours = self._shown  # what it shows when it has applied all that it was told
        self._told: deque[Sequence[Edit]] = deque()  # what leads from `_shown` to `_ours`
        self._own = 0  # of those, the first so many the process knows nothing of
        self._revision = 0  # of ours, that the editor has applied
        self._typed = 0  # edits of the editor
        # The session with the process. From here on it is us who are the editor.
        self.connected = False
        self._applied = 0  # of the process's edits in this session, by the editor
        self._sent = 0  # edits in this session
        self._confirmed = 0  # of those
        self._kept: deque[_Step] = deque()  # unconfirmed, then unsent; the last ends at `_ours`
        self._known = False  # whether there ever was a session

    @property
    def doubtful(self) -> bool:
        """Whether ``base`` needs to see what the process has."""
        return self._known and bool(self._kept)

    @property
    def sent(self) -> int:
        """How many edits were sent to the process in this session."""
        return self._sent

    @property
    def text(self) -> str:
        """What the editor shows, or is about to show."""
        return self._ours.text

    # -- edits -----------------------------------------------------------------------------

    def from_editor(self, revision: int, delta: Sequence[RangeEdit]) -> Typed:
        """The editor's person typed.

        Raises:
            EditorError: if that cannot be; the editor has to open the text again.
        """
        seen = revision - self._revision
        if not 0 <= seen <= len(self._told):
            raise EditorError(
                f"The edit's revision is {revision}; between {self._revision} and "
                f"{self._revision + len(self._told)} was expected. Open the text again."
            )
        base = self._base(seen)
        shows: Lines | None = None  # the editor, if that is not what we have
        if self._crlf and _parts_crlf(base, delta):
            shows = Lines(base.text.replace("\n", "\r\n"))
            shows.apply(as_edits(shows, delta))
            delta = as_ranges(base, diff(base.text, shows.text.replace("\r\n", "\n")))
            self._crlf = False
        elif self._crlf:
            delta = [_with_line_ends(edit, "\r\n", "\n") for edit in delta]
        edits = as_edits(base, delta)
        missing = compose(islice(self._told, seen, max(seen, self._own)))
        before, ours = base, edits
        ranges = tuple(delta)
        again: Sequence[Edit] = ()
        if missing:
            before = base.copy()
            before.apply(missing)
            ours = transform(edits, missing)
            ranges = as_ranges(before, ours)
            again = merged(transform(missing, edits, edits_first=True))
        self._keep(_Step(ours, undo_of(before, ours)))
        base.apply(edits)
        if shows is not None:
            again = compose([_returns(shows.text), again])
            base = shows
        self._shown = self._ours = base
        self._applied += max(0, seen - self._own)
        self._revision = revision
        self._typed += 1
        self._told.clear()
        self._own = 0
        resend = None
        if again:
            resend = self._message(again)
            self._own = 1
        if not self.connected:
            return Typed(None, resend)
        self._sent += 1
        return Typed(RangesChanged(self._applied, ranges), resend)

    def from_process(self, revision: int, edits: Sequence[RangeEdit]) -> RangesChanged | None:
        """The process says what others changed; what to tell the editor."""
        self.confirm(revision)
        if revision != self._sent:
            return None  # it crossed an edit of ours: it comes again, transformed
        changes = as_edits(self._ours, edits)
        if len(self._told) >= MAX_TOLD:
            self._take_for_applied(MAX_TOLD // 2)
        return self._message(changes, tuple(edits))

    def confirm(self, count: int) -> None:
        """The process has taken in the first ``count`` edits of this session, for good."""
        for _ in range(self._confirmed, min(count, self._sent)):
            self._kept.popleft()
            self._confirmed += 1

    # -- sessions with the process -----------------------------------------------------------

    def disconnect(self) -> None:
        """The session is over, and not by the editor's wish."""
        if self.connected:
            self.connected = False
            self._own = len(self._told)

    def base(self, text: str | None = None) -> str:
        """What a new session is to start from. ``text``, needed if ``doubtful``: what it has.

        Of what is kept, some beginning may be in ``text``.
        """
        if text is not None:
            for _ in range(self._taken(text)):
                self._kept.popleft()
        return self._before(0)

    def begin(self) -> None:
        """There is a session that started from ``base``. What is kept is to be sent first."""
        self._known = True
        self._applied = self._sent = self._confirmed = 0

    def next_kept(self) -> RangesChanged | None:
        """What to send next, before ``connect``; None if nothing is left."""
        if not self._kept:
            return None
        self._compose_oldest(len(self._kept) - SENT_SINGLY + 1)
        return RangesChanged(0, as_ranges(Lines(self._before(0)), self._kept[0].edits))

    def took_kept(self) -> None:
        """The process has taken that in."""
        self._kept.popleft()
        self._sent += 1
        self._confirmed += 1

    def connect(self) -> None:
        """Nothing is kept any more: from now on edits pass."""
        self.connected = True

    # -- private -----------------------------------------------------------------------------

    def _before(self, index: int) -> str:
        """The text before the kept step ``index``."""
        if index == len(self._kept):
            return self._ours.text
        back = islice(reversed(self._kept), len(self._kept) - index)
        return apply_edits(self._ours.text, compose(step.undo for step in back))

    def _taken(self, text: str) -> int:
        """How many of the kept steps ``text`` has: others may have changed it, too.

        It is exactly what the editor showed at some time, or else is nearest to it.
        """
        length = len(self._ours)
        for index in range(len(self._kept), -1, -1):
            if length == len(text) and self._before(index) == text:
                return index
            if index:
                undo = self._kept[index - 1].undo
                length += sum(len(edit.inserted) - edit.deleted for edit in undo)
        telling = [0, *(i + 1 for i, step in enumerate(self._kept) if step.changes)]
        wide = -(-len(telling) // COMPARED)
        near = self._nearest(telling[::wide], text)
        if wide > 1:
            at = telling.index(near)
            near = self._nearest(telling[max(0, at - wide) : at + wide], text)
        return near

    def _nearest(self, indexes: Sequence[int], text: str) -> int:
        """In doubt the first, so that something is sent again: twice is better than never."""
        return min(indexes, key=lambda index: self._distance(index, text))

    def _distance(self, index: int, text: str) -> int:
        """How much was changed from the text before step ``index`` to ``text``.

        What the steps until then inserted counts thrice if it is not there: who else would have
        deleted it at once?
        """
        changes = diff(self._before(index), text)
        distance = sum(edit.deleted + len(edit.inserted) for edit in changes)
        shift = 0
        for edit in compose(step.edits for step in islice(self._kept, index)):
            start = edit.position + shift
            end = start + len(edit.inserted)
            shift += len(edit.inserted) - edit.deleted
            for one in changes:
                distance += 2 * max(0, min(end, one.end) - max(start, one.position))
        return distance

    def _message(
        self, changes: Sequence[Edit], ranges: tuple[RangeEdit, ...] | None = None
    ) -> RangesChanged:
        """Tell the editor of ``changes``."""
        if ranges is None:
            ranges = as_ranges(self._ours, changes)
        if self._crlf:
            ranges = tuple(_with_line_ends(edit, "\n", "\r\n") for edit in ranges)
        if self._ours is self._shown:
            self._ours = self._shown.copy()
        self._ours.apply(changes)
        self._told.append(changes)
        return RangesChanged(self._typed, ranges)

    def _base(self, seen: int) -> Lines:
        """What the editor showed when it had applied ``seen`` of what it was told."""
        if seen == len(self._told):
            return self._ours
        base = self._shown.copy()
        base.apply(compose(islice(self._told, seen)))
        return base

    def _take_for_applied(self, count: int) -> None:
        self._shown = self._base(count)
        for _ in range(count):
            self._told.popleft()
        self._revision += count
        self._applied += max(0, count - self._own)
        self._own = max(0, self._own - count)

    def _keep(self, step: _Step) -> None:
        self._kept.append(step)
        if not self.connected and len(self._kept) > MAX_KEPT:
            self._compose_oldest(MAX_KEPT // 2)

    def _compose_oldest(self, count: int) -> None:
        """Make one of the oldest ``count`` that are kept."""
        if count > 1:
            oldest = [self._kept.popleft() for _ in range(count)]
            edits = compose(step.edits for step in oldest)
            self._kept.appendleft(_Step(edits, compose(step.undo for step in reversed(oldest))))


def _with_line_ends(edit: RangeEdit, old: str, new: str) -> RangeEdit:
    if old not in edit.replacement:
        return edit
    return RangeEdit(edit.start, edit.end, edit.replacement.replace(old, new))


def _parts_crlf(lines: Lines, delta: Sequence[RangeEdit]) -> bool:
    """Whether an edit comes between the CR and the LF of a line's end, or brings one without."""
    for edit in delta:
        if edit.replacement.count("\n") > edit.replacement.count("\r\n"):
            return True
        for line, character in (edit.start, edit.end):
            # One past the end of a line; what is further is just any place that is too far.
            start, end = lines.offset((line, 0)), lines.offset((line + 1, 0))
            if end > start and character == end - start and lines.part(end - 1, end) == "\n":
                return True
    return False


def _returns(text: str) -> list[Edit]:
    """What leaves each line's end an LF."""
    return [Edit(found.start(), 1, "") for found in re.finditer("\r\n", text)]
