"""The network as a graph: who is linked to whom, and whether both say so."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .visible import visible

__all__ = ["SHORT", "Graph", "Vertex", "dot", "graph_of"]

Facts = Mapping[str, Any]
SHORT = 8  # hexadecimal digits of an id that people get to see


@dataclass(frozen=True, slots=True)
class Vertex:
    """A peer. ``distance``: links between it and us; None: no way is known."""

    author: str
    label: str
    here: bool
    dialable: bool
    degree: int
    age: float
    distance: int | None


@dataclass(slots=True)
class Graph:
    """``vertices``: ourselves first, then by distance and name. ``edges``: a pair of places in
    it (the smaller first) -> whether both ends say that they are linked.
    """

    vertices: list[Vertex]
    edges: dict[tuple[int, int], bool]
    around: list[list[int]] = field(default_factory=list)  # neighbors of each, in order

    def mutual(self, one: int, other: int) -> bool:
        """Whether both say so."""
        return self.edges[min(one, other), max(one, other)]


def graph_of(network: Facts) -> Graph:
    """The graph of a picture of the network, as ``network`` answers it."""
    nodes = {str(node["author"]): node for node in network["nodes"]}
    said = {author: set(node["neighbors"]) & nodes.keys() for author, node in nodes.items()}
    me = str(network["author"])
    distances = _distances(me, said)
    labels = _labels(nodes, me)

    def order(author: str) -> tuple[int, str, str]:
        return distances.get(author, len(nodes)), labels[author].casefold(), author

    ordered = sorted(nodes, key=order)
    place = {author: number for number, author in enumerate(ordered)}
    edges: dict[tuple[int, int], bool] = {}
    for author in ordered:
        for other in said[author] - {author}:
            ends = sorted((place[author], place[other]))
            edges[ends[0], ends[1]] = author in said[other]
    graph = Graph([_vertex(nodes[one], labels[one], distances.get(one)) for one in ordered], edges)
    graph.around = [[] for _ in ordered]
    for one, other in sorted(edges):
        graph.around[one].append(other)
        graph.around[other].append(one)
    return graph


def _vertex(node: Facts, label: str, distance: int | None) -> Vertex:
    return Vertex(
        author=str(node["author"]),
        label=label,
        here=bool(node["here"]),
        dialable=bool(node["dialable"]),
        degree=int(node["degree"]),
        age=float(node["age"]),
        distance=distance,
    )


def _distances(me: str, said: Mapping[str, set[str]]) -> dict[str, int]:
    """A link counts in both directions, whoever says so."""
    around: dict[str, set[str]] = {author: set() for author in said}
    for author, neighbors in said.items():
        for other in neighbors:
            around[author].add(other)
            around[other].add(author)
    found = {me: 0} if me in around else {}
    waiting = deque(found)
    while waiting:
        author = waiting.popleft()
        for other in sorted(around[author] - found.keys()):
            found[other] = found[author] + 1
            waiting.append(other)
    return found


def _labels(nodes: Mapping[str, Facts], me: str) -> dict[str, str]:
    """Names; with the beginning of the id where two have the same."""
    names = {author: visible(str(node["name"])) or author[:SHORT] for author, node in nodes.items()}
    often = Counter(names.values())
    labels = {
        author: name if often[name] == 1 else f"{name} {author[:SHORT]}"
        for author, name in names.items()
    }
    if me in labels:
        labels[me] = f"{labels[me]} (you)"
    return labels


def dot(graph: Graph) -> str:
    """For Graphviz: `meerkat map --dot | neato -Tsvg -o map.svg`."""
    lines = ["graph pool {", "  overlap=false; splines=true;", "  node [shape=ellipse];"]
    for vertex in graph.vertices:
        style = " style=bold" if vertex.distance == 0 else ("" if vertex.here else " style=dotted")
        shape = "" if vertex.dialable else " shape=box"
        lines.append(f'  "{vertex.author[:16]}" [label="{_quoted(vertex.label)}"{style}{shape}];')
    for (one, other), mutual in sorted(graph.edges.items()):
        ends = [graph.vertices[end].author[:16] for end in (one, other)]
        lines.append(f'  "{ends[0]}" -- "{ends[1]}"{"" if mutual else " [style=dashed]"};')
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
