"""One editor's side of a text: rewrites what crossed on the way between the editor and us.

The editor applies what its person types at once, and so do we with what comes from others; what
was under way meanwhile is transformed (operational transformation, two parties, ours first).
Both count what they received. The editor's edit says how many of ours it had applied; ours says
how many of its we had received, and the editor drops one whose number is not its own count. So:

- of those of ours that we sent, the editor has applied a beginning, and knows how many;
- when an edit of the editor arrives, it has dropped, or will drop, everything of ours behind that
  beginning; we transform the two over each other and send the rest again, as one, under the new
  number. It counts as one from then on.

The document of the text is not touched here, and nothing is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from .compose import compose, merged
from .editing import RangeEdit, RangesChanged, Selection
from .edits import Edit, apply_edits, transform
from .lines import Lines
from .ranges import EditorError, as_edits, as_ranges, undo_of

__all__ = ["EditorError", "EditorSide", "FromEditor"]

MAX_WAITING = 16_384  # ours that the editor has not said to have applied; older ones count as
# applied. An editor says nothing until its person types: seconds of a storm. guess
MAX_WAITING_CHARACTERS = 8 * 2**20  # inserted and deleted by those; twice the largest text
REMEMBERED = 1_024  # steps back that ``was`` looks; a save is noticed within a second or so. guess
REMEMBERED_CHARACTERS = 8 * 2**20  # that those deleted, and so are kept for it
MAX_COMPARED = 2**27  # code points that one call of ``was`` copies, about 50 ms; guess


@dataclass(frozen=True, slots=True)
class FromEditor:
    """What an editor's edit means for us.

    ``edits`` apply to our text (a parallel list); ``resend`` goes to the editor.
    """

    edits: list[Edit]
    resend: list[RangesChanged]


@dataclass(frozen=True, slots=True)
class _Step:
    """Edits, and those that take them back."""

    edits: Sequence[Edit]
    undo: Sequence[Edit]

    @property
    def weight(self) -> int:
        """Code points kept for it."""
        return sum(len(edit.inserted) for edit in chain(self.edits, self.undo))


class EditorSide:
    """A text as one editor has it, and as we do.

    ``content``: what the editor showed at open; both counters begin at 0.
    """

    def __init__(self, content: str) -> None:
        self._ours = Lines(content)
        self._shown = self._ours  # the same one while nothing waits
        self._received = 0  # edits of the editor
        self._applied = 0  # of ours, by the editor, before the first that waits
        self._waiting: deque[_Step] = deque()  # from what the editor shows to our text
        self._weight = 0  # of those that wait
        self._past: deque[Sequence[Edit]] = deque()  # what leads back from ``content``
        self._past_weight = 0
        self._resent = False  # the last thing that happened was an edit that crossed ours

    @property
    def text(self) -> str:
        """Our text: ``content`` and what waits. Put together when asked for: not for every key."""
        return self._ours.text

    @property
    def content(self) -> str:
        """What the editor certainly had when it last said so."""
        return self._shown.text

    def from_editor(self, revision: int, edits: Sequence[RangeEdit]) -> FromEditor:
        """The editor changed its text, having applied ``revision`` of ours.

        Positions past the end are clamped, a range whose end comes first is turned round.

        Raises:
            EditorError: if that cannot be; then nothing has changed.
        """
        seen = revision - self._applied
        if not 0 <= seen <= len(self._waiting):
            raise EditorError(
                f"the edit's revision is {revision}; between {self._applied} and "
                f"{self._applied + len(self._waiting)} was expected"
            )
        base = self._base(seen)
        typed = as_edits(base, edits)
        for _ in range(seen):
            step = self._waiting.popleft()
            self._weight -= step.weight
            self._remember(step.undo)
        self._applied = revision
        self._received += 1
        self._remember(undo_of(base, typed))
        unseen = compose(step.edits for step in self._waiting)
        base.apply(typed)
        self._shown = base
        self._waiting.clear()
        self._weight = 0
        self._resent = False
        ours = transform(typed, unseen)
        again = merged(transform(unseen, typed, edits_first=True))
        if not again:
            if base is not self._ours:
                self._ours = base
            return FromEditor(ours, [])
        self._ours.apply(ours)
        self._wait(again, base)
        self._resent = True
        return FromEditor(ours, [self._message(base, again)])

    def from_us(self, edits: Sequence[Edit]) -> list[RangesChanged]:
        """Our text changed; what to tell the editor."""
        changes = merged(edits)
        if not changes:
            return []
        message = self._message(self._ours, changes)
        if self._shown is self._ours:
            self._ours = self._shown.copy()
        self._wait(changes, self._ours)
        self._ours.apply(changes)
        if len(self._waiting) > MAX_WAITING or self._weight > MAX_WAITING_CHARACTERS:
            self._take_for_applied(len(self._waiting) // 2)
        self._resent = False
        return [message]

    def to_text(self, selections: Iterable[Selection]) -> list[tuple[int, int]]:
        """Where the editor's selections (anchor, head) are in our text, in code points.

        They come without a revision. Straight after an edit that crossed ours the editor cannot
        have seen ours; otherwise it most likely has.
        """
        lines = self._ours
        over: Sequence[Edit] = ()
        if self._resent:
            lines, over = self._shown, self._waiting[0].edits
            self._resent = False
        return [
            (_moved(lines.offset(anchor), over), _moved(lines.offset(head), over))
            for anchor, head in selections
        ]

    def to_editor(self, offsets: Iterable[tuple[int, int]]) -> tuple[Selection, ...]:
        """Offsets in our text as positions in what the editor is about to show; clamped."""
        end = len(self._ours)
        return tuple(
            (
                self._ours.position(max(0, min(anchor, end))),
                self._ours.position(max(0, min(head, end))),
            )
            for anchor, head in offsets
        )

    def was(self, text: str) -> bool:
        """Whether the editor may have shown, and so saved, exactly this, now or lately.

        It knows all steps from ``REMEMBERED`` before ``content`` to our text, and compares only
        the part in which they differ.
        """
        if text in (self.text, self.content):
            return True
        undos = [step.undo for step in reversed(self._waiting)]
        undos += reversed(self._past)
        if not undos:
            return False
        length = len(self._ours)
        before = after = length  # code points at both ends that no step touched
        for undo in undos:
            before = min(before, undo[0].position)
            after = min(after, length - undo[-1].end)
            length += sum(len(edit.inserted) - edit.deleted for edit in undo)
        end, end_here = len(text) - after, len(self.text) - after
        if end < before or text[end:] != self.text[end_here:]:
            return False
        if text[:before] != self.text[:before]:
            return False
        wanted, now = text[before:end], self.text[before:end_here]
        length = len(now)
        passed: list[Sequence[Edit]] = []  # steps back from `now`
        compared = 0
        for undo in undos:
            passed.append(undo)
            length += sum(len(edit.inserted) - edit.deleted for edit in undo)
            if length != len(wanted):
                continue
            back = compose(passed)
            passed.clear()
            now = apply_edits(now, [Edit(e.position - before, e.deleted, e.inserted) for e in back])
            if now == wanted:
                return True
            compared += length
            if compared > MAX_COMPARED:
                return False
        return False

    def _base(self, seen: int) -> Lines:
        """What the editor showed when it had applied ``seen`` of those that wait."""
        unseen = len(self._waiting) - seen
        if not unseen:
            return self._ours
        if seen < unseen:
            base = self._shown.copy()
            base.apply(compose(step.edits for step in islice(self._waiting, seen)))
        else:
            base = self._ours.copy()
            base.apply(compose(step.undo for step in islice(reversed(self._waiting), unseen)))
        return base

    def _wait(self, edits: Sequence[Edit], before: Lines) -> None:
        step = _Step(edits, undo_of(before, edits))
        self._waiting.append(step)
        self._weight += step.weight

    def _take_for_applied(self, count: int) -> None:
        """Forget how the oldest that wait could be taken back: an editor is not that far behind.

        Should it be, its next edit has a revision below what we expect, and it opens anew.
        """
        self._shown = self._base(count)
        for _ in range(count):
            step = self._waiting.popleft()
            self._weight -= step.weight
            self._remember(step.undo)
        self._applied += count

    def _remember(self, undo: Sequence[Edit]) -> None:
        if not undo:
            return
        self._past.append(undo)
        self._past_weight += sum(len(edit.inserted) for edit in undo)
        while len(self._past) > REMEMBERED or self._past_weight > REMEMBERED_CHARACTERS:
            self._past_weight -= sum(len(edit.inserted) for edit in self._past.popleft())

    def _message(self, lines: Lines, edits: Sequence[Edit]) -> RangesChanged:
        return RangesChanged(self._received, as_ranges(lines, edits))


def _moved(offset: int, edits: Sequence[Edit]) -> int:
    """Where a place is after ``edits``; what is inserted right there comes behind it."""
    shift = 0
    for edit in edits:
        if edit.position >= offset:
            break
        if edit.end >= offset:
            return edit.position + shift + len(edit.inserted)
        shift += len(edit.inserted) - edit.deleted
    return offset + shift
