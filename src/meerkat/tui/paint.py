"""How things look: colors on a dark and on a light background, and rows cut into styled pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from .cells import Cluster, Row

__all__ = ["DARK", "LIGHT", "Layer", "Look", "kind_layer", "paint", "readable", "style", "tinted"]

TINT = 0.35  # how much of a person's color a selection has. guess


@dataclass(frozen=True, slots=True)
class Look:
    """The colors of one theme, "#rrggbb"."""

    text: str
    ground: str
    dim: str
    own_line: str  # the ground of the caret's line
    selection: str
    found: str
    found_now: str
    sign: str
    bracket: str
    kinds: dict[str, str]

    def __hash__(self) -> int:
        return id(self)


DARK = Look(
    text="#d4d4d4",
    ground="#1a1b1e",
    dim="#6a7078",
    own_line="#232529",
    selection="#264f78",
    found="#5a4a12",
    found_now="#9a7b1a",
    sign="#e06c75",
    bracket="#4b5261",
    kinds={
        "comment": "#7f8c7a",
        "keyword": "#c792ea",
        "constant": "#f78c6c",
        "type": "#ffcb6b",
        "function": "#82aaff",
        "builtin": "#89ddff",
        "decorator": "#e5a0ff",
        "variable": "#f07178",
        "escape": "#89ddff",
        "string": "#a5d67f",
        "number": "#f78c6c",
        "heading": "#82aaff",
        "emphasis": "#c3e88d",
        "strong": "#ffcb6b",
        "deleted": "#f07178",
        "inserted": "#a5d67f",
    },
)
LIGHT = Look(
    text="#24292e",
    ground="#fcfcfa",
    dim="#8c959f",
    own_line="#f2f4f6",
    selection="#b6d7ff",
    found="#fff1a8",
    found_now="#ffd33d",
    sign="#c92a2a",
    bracket="#d0d7de",
    kinds={
        "comment": "#6a737d",
        "keyword": "#8250df",
        "constant": "#b35900",
        "type": "#8a5a00",
        "function": "#0550ae",
        "builtin": "#0a7a8a",
        "decorator": "#a626a4",
        "variable": "#b3261e",
        "escape": "#0a7a8a",
        "string": "#1a7f37",
        "number": "#b35900",
        "heading": "#0550ae",
        "emphasis": "#1a7f37",
        "strong": "#8a5a00",
        "deleted": "#b3261e",
        "inserted": "#1a7f37",
    },
)
_ATTRIBUTES = {"heading": "bold", "strong": "bold", "emphasis": "italic", "comment": "italic"}


@dataclass(frozen=True, slots=True)
class Layer:
    """Something laid over the columns ``start`` to ``end`` of a line; empty: as it is below."""

    start: int
    end: int
    color: str = ""
    ground: str = ""
    attributes: str = ""


def kind_layer(look: Look, start: int, end: int, kind: str) -> Layer:
    """A word of a program."""
    return Layer(start, end, look.kinds.get(kind, look.text), "", _ATTRIBUTES.get(kind, ""))


@lru_cache(4096)
def style(color: str, ground: str, attributes: str = "") -> Style:
    """A rich style; they are made slowly and used often."""
    words = attributes.split()
    return Style(
        color=color or None,
        bgcolor=ground or None,
        bold="bold" in words or None,
        italic="italic" in words or None,
        underline="underline" in words or None,
    )


@lru_cache(1024)
def tinted(color: str, ground: str) -> str:
    """The ground with a little of a color, for a selection of somebody's."""
    one, other = _channels(color), _channels(ground)
    mixed = (round(o + (c - o) * TINT) for c, o in zip(one, other, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


@lru_cache(1024)
def readable(color: str) -> str:
    """Black or white, whichever is easier to read on a color (WCAG's luma, roughly)."""
    red, green, blue = _channels(color)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def _channels(color: str) -> tuple[int, int, int]:
    triplet = Color.parse(color).get_truecolor()
    return triplet.red, triplet.green, triplet.blue


def paint(
    row: Row, layers: Sequence[Layer], look: Look, ground: str, window: tuple[int, int]
) -> list[Segment]:
    """The pieces of a row between two of its cells; later layers lie above earlier ones."""
    cuts = {row.start, row.end}
    for layer in layers:
        cuts.add(min(max(layer.start, row.start), row.end))
        cuts.add(min(max(layer.end, row.start), row.end))
    borders = sorted(cuts)
    clusters = None if row.cells.clusters is None else list(row.clusters())
    pieces: list[Segment] = []
    at = 0
    for begin, end in pairwise(borders):
        color, below, attributes = look.text, ground, ""
        for layer in layers:
            if layer.start <= begin and end <= layer.end:
                color, below = layer.color or color, layer.ground or below
                attributes = layer.attributes or attributes
        made = style(color, below, attributes)
        if clusters is None:
            text = row.cells.text[begin - row.base : end - row.base]
            pieces.append(Segment(text, made))
        else:
            while at < len(clusters) and clusters[at].start < end:
                one = clusters[at]
                shown = style(look.sign, below, attributes) if one.is_sign else made
                pieces.append(Segment(one.text, shown))
                at += 1
    return _cut(list(Segment.simplify(pieces)), row, clusters, window)


def _cut(
    pieces: list[Segment], row: Row, clusters: Sequence[Cluster] | None, window: tuple[int, int]
) -> list[Segment]:
    """What of the pieces lies in a window of cells; a wide character on its edge becomes blanks."""
    left, right = window
    width = row.end - row.start if clusters is None else sum(one.width for one in clusters)
    if left <= 0 and width <= right:
        return pieces
    return list(Strip(pieces).crop(left, right))
