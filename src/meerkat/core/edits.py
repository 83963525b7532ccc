"""Edits: what changed in a text, as data anyone can apply, send to an editor or rebase.

Positions count Unicode code points. An edit list is ordered, does not overlap, and *all* its
positions refer to the same starting text (they are not applied one after the other), so a list
can be read in one pass. Does not decide how edits become operations (``text.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Edit", "Positions", "apply_edits", "check_edits", "transform"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``deleted`` code points at ``position`` by ``inserted``.

    Raises:
        ValueError: if a number is negative.
    """

    position: int
    deleted: int
    inserted: str

    def __post_init__(self) -> None:
        if self.position < 0 or self.deleted < 0:
            raise ValueError(f"an edit counts from 0: {self.position}, {self.deleted}")

    @property
    def end(self) -> int:
        """Where the deleted range ends, in the starting text."""
        return self.position + self.deleted


def check_edits(edits: Iterable[Edit], length: int) -> None:
    """Refuse a list that is out of order, overlaps, or leaves a text of ``length`` code points.

    Raises:
        ValueError: at the first edit that does not fit.
    """
    end = 0
    for edit in edits:
        if edit.position < end:
            raise ValueError(f"edits overlap or are out of order at {edit.position}")
        end = edit.position + edit.deleted
    if end > length:
        raise ValueError(f"an edit ends at {end} in a text of {length} code points")


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text after ``edits``, in time linear in the text.

    Raises:
        ValueError: if the edits do not fit the text.
    """
    check_edits(edits, len(text))
    if len(edits) == 1:  # one key: no list, no join
        edit = edits[0]
        return text[: edit.position] + edit.inserted + text[edit.end :]
    parts = []
    kept = 0
    for edit in edits:
        parts.append(text[kept : edit.position])
        parts.append(edit.inserted)
        kept = edit.end
    parts.append(text[kept:])
    return "".join(parts)


def transform(
    edits: Sequence[Edit], over: Sequence[Edit], *, edits_first: bool = False
) -> list[Edit]:
    """Rewrite ``edits``, made on some text, so that they apply after ``over``, made on the same.

    A deletion deletes only what ``over`` left; an insertion is never lost, not even inside a range
    ``over`` deleted; at equal positions what ``over`` inserted comes first, or, if ``edits_first``,
    what ``edits`` inserted: who transforms both lists over each other says so for one of them, and
    both ways lead to one text. Linear in both lists.
    """
    result: list[Edit] = []
    index = 0  # the first edit of `over` that does not lie wholly before where we are
    shift = 0  # what the edits of `over` before it added to every position
    for edit in edits:
        while index < len(over) and over[index].end <= edit.position:
            if edits_first and over[index].position == edit.position:
                break
            shift += len(over[index].inserted) - over[index].deleted
            index += 1
        at, end, inserted = edit.position, edit.end, edit.inserted
        position = at + shift
        if index < len(over) and over[index].position < at + (not edits_first):
            # `over` replaced the ground here: what we insert follows what it inserted.
            step = over[index]
            position = step.position + shift + len(step.inserted)
            at = min(step.end, end)
            if step.end <= end:
                shift += len(step.inserted) - step.deleted
                index += 1
        while at < end and index < len(over) and over[index].position < end:
            step = over[index]
            if inserted or step.position > at:
                result.append(Edit(at + shift, step.position - at, inserted))
                inserted = ""
            at = min(step.end, end)
            if step.end <= end:
                shift += len(step.inserted) - step.deleted
                index += 1
        if inserted:
            result.append(Edit(position, end - at, inserted))
        elif at < end:
            result.append(Edit(at + shift, end - at, ""))
    return result


class Positions:
    """A text, and where its code points are in its UTF-8 bytes (the engine counts those).

    Remembers one place known in both units, near the last change: the next is seldom far away.
    """

    __slots__ = ("_byte", "_char", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._char = 0
        self._byte = 0

    def apply(self, edits: Sequence[Edit]) -> None:
        """Change the text.

        Raises:
            ValueError: if the edits do not fit it.
        """
        if edits:
            self._byte = self.byte_at(edits[0].position)  # what is before it stays in place
            self._char = edits[0].position
            self.text = apply_edits(self.text, edits)

    def byte_at(self, char: int) -> int:
        """The byte where code point ``char`` starts; 0 <= ``char`` <= length."""
        if self.text.isascii():
            return char
        if char < self._char // 2:
            byte = len(self.text[:char].encode())
        elif char < self._char:
            byte = self._byte - len(self.text[char : self._char].encode())
        else:
            byte = self._byte + len(self.text[self._char : char].encode())
        self._char, self._byte = char, byte
        return byte

    def char_at(self, byte: int) -> int:
        """The code point that starts at ``byte``, which must be the start of one.

        Raises:
            ValueError: if it is inside one.
        """
        if self.text.isascii():
            return byte
        if byte < self._byte // 2:
            char = self._chars(0, byte)
        elif byte < self._byte:  # backwards: a code point takes one byte or more
            back = self._byte - byte
            piece = self.text[max(0, self._char - back) : self._char].encode()
            char = self._char - len(piece[len(piece) - back :].decode())
        else:
            char = self._char + self._chars(self._char, byte - self._byte)
        self._char, self._byte = char, byte
        return char

    def _chars(self, start: int, size: int) -> int:
        return len(self.text[start : start + size].encode()[:size].decode())
