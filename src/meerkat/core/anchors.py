"""Places in a text that stay with their character while others type: by the character's id.

A place is named by the character after it, as Yjs' relative positions are (``assoc`` >= 0), so that
every editor agrees on it. Decides how offsets become such ids and back. The engine's own way
counts bytes where it should count UTF-16 units, and panics on ids it does not know; so ids are
checked first, and a text that is not ASCII is asked through its *shadow*: the same document with an
"x" for each UTF-16 unit, in which bytes and units are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pycrdt

from .text import Text
from .text_update import shadow_update

__all__ = ["Anchor", "Anchors"]

Anchor = tuple[int, int]
"""A character: the client who wrote it, and that client's clock (in UTF-16 units)."""


@dataclass(slots=True)
class _Shadow:
    """``seen``: how many of the text's updates are in it."""

    doc: pycrdt.Doc[Any]
    engine: pycrdt.Text
    seen: int


class Anchors:
    """Finds the characters of one text by offset (in code points), and the other way."""

    __slots__ = ("_shadow", "_text")

    def __init__(self, text: Text) -> None:
        self._text = text
        self._shadow: _Shadow | None = None

    def item_at(self, offset: int) -> Anchor | None:
        """The character at an offset, which is clamped; None at the text's end."""
        text = self._text.text
        if offset >= len(text):
            return None
        engine = self._engine()
        at = max(0, offset)
        if self._is_wide(engine):
            at = len(text[:at].encode("utf-16-le")) // 2
        item = engine.sticky_index(at, pycrdt.Assoc.AFTER).to_json()["item"]
        return int(item["client"]), int(item["clock"])

    def offset_of(self, anchor: Anchor | None, *, after: bool = False) -> int | None:
        """Where a character is, or was if it is deleted: None if it is not known here.

        Args:
            anchor: the character; None is the end of the text.
            after: the place behind the character rather than before it (``assoc`` < 0).
        """
        text = self._text.text
        if anchor is None:
            return len(text)
        client, clock = anchor
        if not 0 <= clock < self._text.clocks.get(client, 0):
            return None
        engine = self._engine()
        place = {"item": {"client": client, "clock": clock}, "assoc": -1 if after else 0}
        at = int(pycrdt.StickyIndex.from_json(place, engine).get_index())
        if self._is_wide(engine):
            units = text[:at].encode("utf-16-le")[: 2 * at]
            at = len(units.decode("utf-16-le", "ignore"))  # half a pair does not count
        return min(at, len(text))

    def _is_wide(self, engine: pycrdt.Text) -> bool:
        """Whether some characters take two units."""
        return len(engine) != len(self._text.text)

    def _engine(self) -> pycrdt.Text:
        """The text, or its shadow, in which bytes are UTF-16 units."""
        if self._text.text.isascii():
            self._shadow = None
            return self._text.engine
        shadow = self._shadow
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
