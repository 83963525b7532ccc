"""Edits as an editor has them (line and character) and as we do (code points from the beginning).

Decides what an editor's positions mean. Whose edit comes first is ``edits.transform``'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .compose import merged
from .diff import common_prefix
from .editing import RangeEdit
from .edits import Edit
from .lines import Lines

__all__ = ["EditorError", "as_edits", "as_ranges", "undo_of"]


class EditorError(ValueError):
    """What the editor sent makes no sense; its text must be opened again."""


def as_edits(lines: Lines, edits: Sequence[RangeEdit]) -> list[Edit]:
    """An editor's ranges as edits of the text they refer to, whatever their order.

    Positions past the end are clamped, a range whose end comes first is turned round.

    Raises:
        EditorError: if two overlap, or if an inserted text cannot be written as UTF-8.
    """
    found = []
    for edit in edits:
        start, end = sorted((edit.start, edit.end))
        if not edit.replacement.isascii():
            _check_text(edit.replacement)
        position = lines.offset(start)
        found.append(Edit(position, lines.offset(end) - position, edit.replacement))
    found.sort(key=lambda edit: (edit.position, edit.deleted))  # stable: insertions stay in order
    for one, other in pairwise(found):
        if other.position < one.end:
            raise EditorError("the edits of one delta overlap")
    return merged(found)


def as_ranges(lines: Lines, edits: Sequence[Edit]) -> tuple[RangeEdit, ...]:
    """Edits of the text ``lines`` as ranges, in the order of the text."""
    return tuple(
        RangeEdit(lines.position(edit.position), lines.position(edit.end), edit.inserted)
        for edit in (_trimmed(lines, edit) for edit in edits)
    )


def undo_of(before: Lines, edits: Sequence[Edit]) -> list[Edit]:
    """What takes ``edits`` of the text ``before`` back."""
    undo = []
    shift = 0
    for edit in edits:
        removed = before.part(edit.position, edit.end)
        undo.append(Edit(edit.position + shift, len(edit.inserted), removed))
        shift += len(edit.inserted) - edit.deleted
    return undo


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise EditorError("half a surrogate pair is no character") from error


def _trimmed(lines: Lines, edit: Edit) -> Edit:
    """The same change without what it replaces by the same: no final newline is touched idly."""
    if not edit.deleted or not edit.inserted:
        return edit
    removed, inserted = lines.part(edit.position, edit.end), edit.inserted
    tail = common_prefix(removed[::-1], inserted[::-1])
    removed, inserted = removed[: len(removed) - tail], inserted[: len(inserted) - tail]
    head = common_prefix(removed, inserted)
    return Edit(edit.position + head, len(removed) - head, inserted[head:])
