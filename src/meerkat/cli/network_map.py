"""A picture of the network for a terminal: drawn while it is small, a matrix or a list after."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .network_graph import Graph, graph_of
from .network_layout import Point, positions
from .peers_table import span

__all__ = ["drawing", "listing", "matrix", "picture", "picture_as_text"]

Facts = Mapping[str, Any]

MOST_DRAWN = 24  # peers
MOST_LINES = 40  # links; more make a ball of wool
MOST_MATRIX = 60  # peers; more do not fit beside each other
ROW_PER_PEER = 2  # lines of a drawing for each peer
HIGHEST = 26  # lines of a drawing
LONGEST_LABEL = 18  # cells
DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # braille: [row][column]
BRAILLE = 0x2800
DASH = 3  # dots of a dashed line, and of the gaps in it
NARROW = 40


def picture(network: Facts, width: int) -> RenderableType:
    """What `meerkat map` prints, ``width`` cells wide."""
    graph = graph_of(network)
    count = len(graph.vertices)
    if count <= 1:
        return Text("You are the only one here.")
    parts: list[RenderableType] = []
    if count <= MOST_DRAWN and len(graph.edges) <= MOST_LINES and width >= NARROW:
        parts += [drawing(graph, width), Text()]
    elif count <= MOST_MATRIX and count + LONGEST_LABEL + 6 <= width:
        parts += [matrix(graph), Text()]
    parts += [listing(graph), Text(), _legend(graph)]
    return Group(*parts)


def picture_as_text(network: Facts, *, color: bool, width: int = 78) -> str:
    """The same as characters, for who prints in another way."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(picture(network, width))
    return out.getvalue().rstrip("\n")


# --- Drawn ---


class _Canvas:
    """Characters with a style each, and dots between them (2 x 4 in a braille character)."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._dots = [[0] * width for _ in range(height)]
        self._styles = [["" for _ in range(width)] for _ in range(height)]
        self._words: list[tuple[int, int, str, str]] = []
        self._taken = [[False] * width for _ in range(height)]

    def line(self, start: Point, end: Point, style: str, *, dashed: bool) -> None:
        """From a cell to a cell."""
        (x1, y1), (x2, y2) = start, end
        steps = max(1, round(max(abs(x2 - x1) * 2, abs(y2 - y1) * 4)))
        for step in range(steps + 1):
            if dashed and step // DASH % 2:
                continue
            x = round((x1 + (x2 - x1) * step / steps) * 2)
            y = round((y1 + (y2 - y1) * step / steps) * 4)
            column, row = min(self.width - 1, x // 2), min(self.height - 1, y // 4)
            self._dots[row][column] |= DOT_BITS[y % 4][x % 2]
            self._styles[row][column] = self._styles[row][column] or style

    def word(self, x: float, y: float, text: str, style: str) -> None:
        """Centered at a cell, over everything else; moved a line if another word is there."""
        length = cell_len(text)
        column = min(max(0, round(x - length / 2)), max(0, self.width - length))
        row = min(max(0, round(y)), self.height - 1)
        for moved in (row, row + 1, row - 1, row + 2, row - 2):
            if 0 <= moved < self.height and not any(self._taken[moved][column : column + length]):
                row = moved
                break
        for cell in range(max(0, column - 1), min(self.width, column + length + 1)):
            self._taken[row][cell] = True
        self._words.append((row, column, text, style))

    def text(self) -> Text:
        lines = [self._row(row) for row in range(self.height)]
        while lines and not lines[-1].plain:
            lines.pop()
        while lines and not lines[0].plain:
            lines.pop(0)
        return Text("\n", no_wrap=True).join(lines)

    def _row(self, row: int) -> Text:
        line = Text()
        at = 0
        for _, column, text, style in sorted(word for word in self._words if word[0] == row):
            self._lines_between(line, row, at, column)
            line.append(text, style)
            at = column + cell_len(text)
        self._lines_between(line, row, at, self.width)
        line.rstrip()
        return line

    def _lines_between(self, line: Text, row: int, start: int, end: int) -> None:
        for column in range(start, end):
            dots = 0 if self._taken[row][column] else self._dots[row][column]
            line.append(chr(BRAILLE + dots) if dots else " ", self._styles[row][column] or None)


def drawing(graph: Graph, width: int) -> Text:
    """Ourselves in the middle, links as lines; dashed if only one side says so."""
    count = len(graph.vertices)
    height = 1 if count == 2 else min(HIGHEST, 3 + ROW_PER_PEER * count)
    width = min(width, max(NARROW, height * 4))
    canvas = _Canvas(width, height)
    margin = LONGEST_LABEL / 2
    cells = [
        ((width - 1) / 2 + x * ((width - 1) / 2 - margin), (height - 1) / 2 * (1 + y))
        for x, y in positions(graph)
    ]
    for own in (True, False):  # ours first: their color stays where lines cross
        for (one, other), mutual in sorted(graph.edges.items()):
            if (one == 0) == own:
                style = "cyan" if own else "bright_black"
                canvas.line(cells[one], cells[other], style, dashed=not mutual)
    for number, vertex in enumerate(graph.vertices):
        x, y = cells[number]
        canvas.word(x, y, _label(vertex.label), _style(graph, number))
    return canvas.text()


def _style(graph: Graph, number: int) -> str:
    vertex = graph.vertices[number]
    if vertex.distance == 0:
        return "bold cyan"
    return "bold" if vertex.here else "dim"


def _label(label: str) -> str:
    return (
        label if cell_len(label) <= LONGEST_LABEL else f"{set_cell_size(label, LONGEST_LABEL - 1)}…"
    )


# --- As a matrix, as a list ---


def matrix(graph: Graph) -> Text:
    """A row and a column for each peer."""
    count = len(graph.vertices)
    widest = max(cell_len(_label(vertex.label)) for vertex in graph.vertices)
    shown = Text(no_wrap=True)
    left = " " * (widest + 4)
    for digit in (10, 1):
        numbers = (str(n // digit % 10) if digit == 1 or n >= digit else " " for n in range(count))
        shown.append(f"{left}{''.join(numbers)}\n", "dim")
    for row, vertex in enumerate(graph.vertices):
        shown.append(set_cell_size(_label(vertex.label), widest), _style(graph, row))
        shown.append(f" {row:>2} ", "dim")
        linked = set(graph.around[row])
        for column in range(count):
            shown.append(*_mark(graph, row, column, column in linked))
        if row < count - 1:
            shown.append("\n")
    return shown


def _mark(graph: Graph, row: int, column: int, linked: bool) -> tuple[str, str]:
    if row == column:
        return "\\", "dim"
    if not linked:
        return "·", "dim"
    return ("●", "cyan" if 0 in (row, column) else "") if graph.mutual(row, column) else ("○", "")


def listing(graph: Graph) -> Table:
    """Each peer with its neighbors, nearest first."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    shown.add_column("peer", no_wrap=True)
    shown.add_column("away", justify="right", no_wrap=True)
    shown.add_column("links", justify="right", no_wrap=True)
    shown.add_column("heard", justify="right", no_wrap=True)
    shown.add_column("linked with")
    for number, vertex in enumerate(graph.vertices):
        away = "?" if vertex.distance is None else str(vertex.distance)
        heard = "" if vertex.distance == 0 else f"{span(vertex.age)} ago"
        with_whom = Text(", ").join(_neighbors(graph, number))
        name = Text(_label(vertex.label), _style(graph, number))
        shown.add_row(name, away, str(vertex.degree), heard, with_whom)
    return shown


def _neighbors(graph: Graph, number: int) -> Iterator[Text]:
    for other in graph.around[number]:
        mark = "" if graph.mutual(number, other) else "?"
        yield Text(graph.vertices[other].label + mark, "cyan" if other == 0 else "")


def _legend(graph: Graph) -> Text:
    count = len(graph.vertices)
    one_sided = sum(not mutual for mutual in graph.edges.values())
    words = [f"{count} peers, {len(graph.edges)} links"]
    if one_sided:
        words.append(f"{one_sided} that only one side says it has (dashed, ○, ?)")
    unknown = sum(vertex.distance is None for vertex in graph.vertices)
    if unknown:
        words.append(f"{unknown} to whom no way is known")
    return Text("; ".join(words), "dim")
