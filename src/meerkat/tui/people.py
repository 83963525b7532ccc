"""Who else is in the text, and where: their awareness states, kept in step with the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meerkat.core.edits import Edit
from meerkat.core.shown_text import one_line
from meerkat.core.y_awareness import RelativePosition, read_cursor
from meerkat.core.y_protocol import AwarenessState, YProtocolError, decode_state

from .anchors import DocumentAnchors
from .document import LiveDocument
from .spans import Span

__all__ = ["Cursor", "OwnState", "People"]

MAX_SHOWN = 64  # cursors in one text. guess
MAX_NAME = 64  # characters
PLAIN_COLOR = "#888888"  # of somebody who has none, or one that is none
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Somebody's selection here. ``line``: where its head is."""

    client: int
    name: str
    color: str
    span: Span
    line: int


@dataclass(slots=True)
class _Other:
    clock: int
    name: str
    color: str
    anchor: RelativePosition
    head: RelativePosition
    span: Span | None = None  # None: at what is not here yet


class People:
    """The others in one document. ``cursors`` is what to draw."""

    def __init__(self, document: LiveDocument) -> None:
        self._document = document
        self._anchors = DocumentAnchors(document)
        self._others: dict[int, _Other] = {}
        self._gone: dict[int, int] = {}
        self.cursors: Sequence[Cursor] = ()

    def hear(self, states: Iterable[AwarenessState]) -> None:
        """States from the folder's process; what makes no sense is not shown."""
        for state in states:
            if state.client != self._document.client:
                self._hear(state)
        self._draw()

    def forget_all(self) -> None:
        """The connection is lost: nobody knows who is where."""
        self._others.clear()
        self._gone.clear()
        self._draw()

    def text_changed(self, edits: Sequence[Edit]) -> None:
        """Everyone moves along."""
        for other in self._others.values():
            if other.span is not None:
                other.span = other.span.after(edits)
            else:
                self._place(other)
        self._draw()

    def own_selection(self, span: Span) -> dict[str, Any]:
        """Our selection as other Yjs editors read it."""
        anchor, head = (
            RelativePosition(self._anchors.item_at(at)).to_json() for at in (span.anchor, span.head)
        )
        return {"anchor": anchor, "head": head}

    def _hear(self, state: AwarenessState) -> None:
        known = self._others.get(state.client)
        before = known.clock if known is not None else self._gone.get(state.client, -1)
        if state.clock < before or (state.clock == before and not state.is_gone):
            return
        try:
            value = decode_state(state)
        except YProtocolError:
            return
        place = read_cursor(value) if value is not None else None
        if value is None or place is None:
            self._others.pop(state.client, None)
            self._gone[state.client] = state.clock
            return
        if known is None and len(self._others) >= MAX_SHOWN:
            return
        user = value.get("user")
        user = user if isinstance(user, dict) else {}
        name = one_line(str(user.get("name", "")))[:MAX_NAME] or "somebody"
        color = str(user.get("color", ""))
        color = color if _COLOR.fullmatch(color) else PLAIN_COLOR
        other = _Other(state.clock, name, color, *place)
        self._others[state.client] = other
        if known is not None and (known.anchor, known.head) == place and known.span is not None:
            other.span = known.span
        else:
            self._place(other)

    def _place(self, other: _Other) -> None:
        anchor, head = (
            0
            if place.item is None and place.assoc < 0
            else self._anchors.offset_of(place.item, after=place.assoc < 0)
            for place in (other.anchor, other.head)
        )
        other.span = Span(anchor, head) if anchor is not None and head is not None else None

    def _draw(self) -> None:
        self.cursors = [
            Cursor(
                client,
                other.name,
                other.color,
                other.span,
                self._document.lines.position(other.span.head)[0],
            )
            for client, other in sorted(self._others.items())
            if other.span is not None
        ]


@dataclass(frozen=True, slots=True)
class OwnState:
    """What we show of ourselves; ``clock`` grows with everything that is told."""

    client: int
    name: str
    color: str
    clock: int = 0

    def told(self, selection: dict[str, Any] | None) -> tuple[OwnState, AwarenessState]:
        """The next state to tell; None: we are not in this text any more."""
        after = replace(self, clock=self.clock + 1)
        value = None
        if selection is not None:
            user = {"name": self.name, "color": self.color, "colorLight": self.color + "33"}
            value = {"user": user, "cursor": selection}
        return after, AwarenessState(self.client, after.clock, json.dumps(value))
