"""Where the peers of a small network stand in its picture: ourselves in the middle, rings around.

A ring holds those who are equally far away. Where nobody is farther than one link, and not only we
have links, all stand in one circle: no link hides behind us. Within a ring the order is found by
swapping two, and the whole ring is turned, as long as that makes the links shorter: crossings
mostly go with it.
"""

from __future__ import annotations

import math

from .network_graph import Graph

__all__ = ["Point", "positions"]

Point = tuple[float, float]
ROUNDS = 8  # of improving; it settles in three or four for 20 peers
TURNS = 24  # ways to turn a ring: every 15 degrees
INNER = 0.55  # radius of the first ring where there is another outside of it
BETTER = 1e-9  # by so much at least, or rounding would never let it settle


def positions(graph: Graph) -> list[Point]:
    """A place for each vertex, in the unit circle."""
    layout = _Layout(graph)
    for _ in range(ROUNDS):
        if not sum(layout.improve(ring) for ring in range(len(layout.rings))):
            break
    return layout.places()


class _Layout:
    """Rings of vertices, from the inside, and by how much each is turned (in ``TURNS``)."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.rings = _rings(graph)
        self._turns = [number % 2 for number in range(len(self.rings))]

    def places(self) -> list[Point]:
        found: list[Point] = [(0.0, 0.0)] * len(self._graph.vertices)
        for number, ring in enumerate(self.rings):
            radius = self._radius(number)
            top = math.pi if len(found) == 2 else math.pi / 2  # two stand beside each other
            for step, vertex in enumerate(ring):
                angle = 2 * math.pi * (step / len(ring) + self._turns[number] / TURNS) - top
                found[vertex] = (radius * math.cos(angle), radius * math.sin(angle))
        return found

    def improve(self, number: int) -> bool:
        """Swap two of a ring wherever it helps, then turn it; whether anything did."""
        swapped = self._swap(number)
        return self._turn(number) or swapped

    def _radius(self, number: int) -> float:
        outer = len(self.rings) - 1
        if number == 0 and len(self.rings[0]) == 1:
            return 0.0
        if 0 < number < outer:
            return INNER + (1.0 - INNER) * (number - 1) / max(1, outer - 1)
        return 1.0

    def _swap(self, number: int) -> bool:
        ring, places = self.rings[number], self.places()
        better = False
        for first in range(1 if number == 0 else 0, len(ring)):  # we stay first
            for second in range(first + 1, len(ring)):
                one, other = ring[first], ring[second]
                before = self._length(places, one) + self._length(places, other)
                places[one], places[other] = places[other], places[one]
                after = self._length(places, one) + self._length(places, other)
                if after < before - BETTER:
                    ring[first], ring[second] = other, one
                    better = True
                else:
                    places[one], places[other] = places[other], places[one]
        return better

    def _turn(self, number: int) -> bool:
        if number == 0:
            return False
        turned = self._turns[number]
        best, length = turned, self._ring_length(number)
        for turn in range(TURNS):
            self._turns[number] = turn
            if (now := self._ring_length(number)) < length - BETTER:
                best, length = turn, now
        self._turns[number] = best
        return best != turned

    def _ring_length(self, number: int) -> float:
        places = self.places()
        return sum(self._length(places, vertex) for vertex in self.rings[number])

    def _length(self, places: list[Point], vertex: int) -> float:
        """Of its links. Squared: one long line disturbs more than two short ones."""
        x, y = places[vertex]
        return sum(
            (x - places[other][0]) ** 2 + (y - places[other][1]) ** 2
            for other in self._graph.around[vertex]
        )


def _rings(graph: Graph) -> list[list[int]]:
    """Vertices by distance; those without a known way are the outermost."""
    known = [vertex.distance for vertex in graph.vertices if vertex.distance is not None]
    beyond = max(known, default=0) + 1
    rings: list[list[int]] = [[] for _ in range(beyond + 1)]
    for number, vertex in enumerate(graph.vertices):
        rings[beyond if vertex.distance is None else vertex.distance].append(number)
    rings = [ring for ring in rings if ring]
    if len(rings) == 2 and (len(graph.vertices) == 2 or len(graph.edges) > len(rings[1])):
        return [[*rings[0], *rings[1]]]
    return rings
