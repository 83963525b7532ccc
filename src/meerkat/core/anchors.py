"""Places in a text that stay with their character while others type: by the character's id.

A place is named by the character after it, as Yjs' relative positions are (``assoc`` >= 0), so that
every editor agrees on it. Decides how offsets become such ids and back. The engine's own way
counts bytes where it should count UTF-16 units, and panics on ids it does not know; so ids are
checked first, and a text that is not ASCII is asked through its *shadow*: the same document with an
"x" for each UTF-16 unit, in which bytes and units are one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pycrdt

from .text import Text, ask_engine
from .text_update import shadow_update

__all__ = ["Anchor", "Anchors"]

Anchor = tuple[int, int]
"""A character: the client who wrote it, and that client's clock (in UTF-16 units)."""

_T = TypeVar("_T")
_STEP = 4_096  # code points between two marks: about 5 µs to count
_UTF_16 = "utf-16-le"


@dataclass(slots=True)
class _Shadow:
    """``seen``: how many of the text's updates are in it."""

    doc: pycrdt.Doc[Any]
    engine: pycrdt.Text
    seen: int


class _Units:
    """Where code points are in UTF-16, counted from marks set on the way."""

    __slots__ = ("_marks", "_seen")

    def __init__(self) -> None:
        self._marks = [0]  # units before every _STEP-th code point
        self._seen = 0

    def at(self, text: Text, char: int) -> int:
        """The UTF-16 offset of a code point's."""
        self._extend(text, char // _STEP, None)
        first = char // _STEP
        return self._marks[first] + _count_units(text.text[first * _STEP : char])

    def char_at(self, text: Text, unit: int) -> int:
        """The code point that a UTF-16 offset is at, or within."""
        self._extend(text, len(text.text) // _STEP, unit)
        first = bisect_right(self._marks, unit) - 1
        piece = text.text[first * _STEP : (first + 1) * _STEP].encode(_UTF_16)
        inside = piece[: 2 * (unit - self._marks[first])]
        return first * _STEP + len(inside.decode(_UTF_16, "ignore"))  # half a pair is dropped

    def _extend(self, text: Text, last: int, unit: int | None) -> None:
        """Set marks up to number ``last`` or behind ``unit``, and none where the text changed."""
        marks = self._marks
        del marks[text.unchanged_since(self._seen) // _STEP + 1 :]
        self._seen = text.update_count
        while len(marks) <= last and (unit is None or marks[-1] <= unit):
            start = (len(marks) - 1) * _STEP
            marks.append(marks[-1] + _count_units(text.text[start : start + _STEP]))


def _count_units(text: str) -> int:
    return len(text.encode(_UTF_16)) // 2


class Anchors:
    """Finds the characters of one text by offset (in code points), and the other way."""

    __slots__ = ("_shadow", "_text", "_units")

    def __init__(self, text: Text) -> None:
        self._text = text
        self._shadow: _Shadow | None = None
        self._units = _Units()

    def item_at(self, offset: int) -> Anchor | None:
        """The character at an offset, which is clamped; None at the text's end."""
        if offset >= len(self._text.text):
            return None
        return self._ask(lambda: self._item_at(max(0, offset)))

    def _item_at(self, at: int) -> Anchor:
        engine = self._engine()
        if self._is_wide(engine):
            at = self._units.at(self._text, at)
        item = engine.sticky_index(at, pycrdt.Assoc.AFTER).to_json()["item"]
        return int(item["client"]), int(item["clock"])

    def offset_of(self, anchor: Anchor | None, *, after: bool = False) -> int | None:
        """Where a character is, or was if it is deleted: None if it is not known here.

        Args:
            anchor: the character; None is the end of the text.
            after: the place behind the character rather than before it (``assoc`` < 0).
        """
        if anchor is None:
            return len(self._text.text)
        client, clock = anchor
        if not 0 <= clock < self._text.clocks.get(client, 0):
            return None  # the engine would panic
        return self._ask(lambda: self._offset_of(client, clock, after))

    def _offset_of(self, client: int, clock: int, after: bool) -> int:
        engine = self._engine()
        place = {"item": {"client": client, "clock": clock}, "assoc": -1 if after else 0}
        at = int(pycrdt.StickyIndex.from_json(place, engine).get_index())
        if self._is_wide(engine):
            at = self._units.char_at(self._text, at)
        return min(at, len(self._text.text))

    def _ask(self, question: Callable[[], _T]) -> _T | None:
        answer = ask_engine(question)
        if answer is None:
            self._shadow = None  # whatever is wrong with it
        return answer

    def _is_wide(self, engine: pycrdt.Text) -> bool:
        """Whether some characters take two units."""
        return len(engine) != len(self._text.text)

    def _engine(self) -> pycrdt.Text:
        """The text, or its shadow, in which bytes are UTF-16 units."""
        shadow = self._shadow
        if shadow is None and self._text.text.isascii():
            return self._text.engine
        news = self._text.recent_updates(shadow.seen) if shadow is not None else None
        if shadow is None or news is None:
            doc: pycrdt.Doc[Any] = pycrdt.Doc()
            shadow = _Shadow(doc, doc.get("text", type=pycrdt.Text), 0)
            news = [self._text.update()]
        for update in news:
            shadow.doc.apply_update(shadow_update(update))
        shadow.seen = self._text.update_count
        self._shadow = shadow
        return shadow.engine
