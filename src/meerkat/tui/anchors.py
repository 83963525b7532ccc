"""Places in a document as the characters they stand before, for cursors that travel.

The engine counts bytes where it should count UTF-16 units; so a document that is not ASCII is asked
through its *shadow*, the same one with an "x" for each unit (as in ``core/anchors.py``, which does
this for the documents of the core).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pycrdt

from meerkat.core.anchors import Anchor
from meerkat.core.text_update import TextUpdateError, shadow_update

from .document import ROOT, LiveDocument

__all__ = ["DocumentAnchors"]


@dataclass(slots=True)
class _Shadow:
    doc: pycrdt.Doc[Any]
    engine: pycrdt.Text


class DocumentAnchors:
    """Finds the characters of one document by offset, and the other way."""

    def __init__(self, document: LiveDocument) -> None:
        self._document = document
        self._shadow: _Shadow | None = None

    def item_at(self, offset: int) -> Anchor | None:
        """The character at an offset; None at the text's end."""
        if offset >= self._document.lines.length:
            return None
        engine = self._engine()
        if engine is None:
            return None
        at = max(0, offset)
        if self._is_wide(engine):
            at = len(self._document.text[:at].encode("utf-16-le")) // 2
        item = engine.sticky_index(at, pycrdt.Assoc.AFTER).to_json()["item"]
        return int(item["client"]), int(item["clock"])

    def offset_of(self, anchor: Anchor | None, *, after: bool = False) -> int | None:
        """Where a character is, or was if it is deleted; None if it is not known here (yet)."""
        length = self._document.lines.length
        if anchor is None:
            return length
        client, clock = anchor
        if not 0 <= clock < self._document.vector().get(client, 0):
            return None
        engine = self._engine()
        if engine is None:
            return None
        place = {"item": {"client": client, "clock": clock}, "assoc": -1 if after else 0}
        at = int(pycrdt.StickyIndex.from_json(place, engine).get_index())
        if self._is_wide(engine):
            units = self._document.text[:at].encode("utf-16-le")[: 2 * at]
            at = len(units.decode("utf-16-le", "ignore"))
        return min(at, length)

    def _is_wide(self, engine: pycrdt.Text) -> bool:
        """Whether some characters take two units."""
        return len(engine) != self._document.lines.length

    def _engine(self) -> pycrdt.Text | None:
        """What counts in UTF-16 units; None if there is more in the document than a text."""
        document = self._document
        if document.lines.size == document.lines.length:  # ASCII
            self._shadow = None
            document.keep_updates(False)
            return document.engine
        news = document.new_updates() if self._shadow is not None else None
        if self._shadow is None or news is None:
            doc: pycrdt.Doc[Any] = pycrdt.Doc()
            self._shadow = _Shadow(doc, doc.get(ROOT, type=pycrdt.Text))
            document.keep_updates(True)
            news = [document.update()]
        try:
            for update in news:
                self._shadow.doc.apply_update(shadow_update(update))
        except TextUpdateError:
            self._shadow = None
            return None
        return self._shadow.engine
