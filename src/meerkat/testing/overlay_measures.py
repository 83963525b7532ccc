"""What the figures of an overlay are: degrees, components, paths, and how far a flood comes.

Pure functions over a graph (index -> sorted neighbors). A flood is computed, not played: with a
fixed latency per pair the shortest path in seconds is the way the first copy takes.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

__all__ = [
    "Flood",
    "Graph",
    "components",
    "cross_links",
    "flood",
    "largest_share",
    "link_count",
    "mean",
    "paths",
    "percentile",
    "reached_share",
    "without",
]

Graph = dict[int, list[int]]
EXACT_UP_TO = 1_000  # nodes; of larger graphs the paths are measured from a sample
SAMPLE = 64  # sources, then


@dataclass(frozen=True, slots=True)
class Flood:
    """A message that everyone passes on to all neighbors but the one it came from."""

    reached: int
    copies: int
    last_hop: int
    median_ms: float
    last_ms: float


def mean(values: Iterable[float]) -> float:
    """0 of nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """``share`` from 0 to 1; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def components(graph: Graph) -> list[list[int]]:
    """Connected parts, the largest first."""
    left = set(graph)
    found: list[list[int]] = []
    for start in graph:
        if start not in left:
            continue
        left.discard(start)
        part = [start]
        for index in part:
            for other in graph[index]:
                if other in left:
                    left.discard(other)
                    part.append(other)
        found.append(part)
    found.sort(key=len, reverse=True)
    return found


def largest_share(graph: Graph) -> float:
    """% of all nodes that the largest component holds."""
    return 100.0 * len(components(graph)[0]) / len(graph) if graph else 0.0


def reached_share(graph: Graph) -> float:
    """% of the others that a flood from a random node reaches, on average over all nodes."""
    count = len(graph)
    if count < 2:
        return 100.0
    pairs = sum(len(part) * (len(part) - 1) for part in components(graph))
    return 100.0 * pairs / (count * (count - 1))


def paths(graph: Graph, rng: Random) -> tuple[float, int]:
    """Mean hops between two nodes that reach each other, and the most hops; breadth first."""
    sources = list(graph)
    if len(sources) > EXACT_UP_TO:
        sources = rng.sample(sources, SAMPLE)
    total = pairs = longest = 0
    for source in sources:
        hops = _hops(graph, source)
        total += sum(hops.values())
        pairs += len(hops) - 1
        longest = max(longest, *hops.values())
    return (total / pairs if pairs else 0.0), longest


def _hops(graph: Graph, source: int) -> dict[int, int]:
    hops = {source: 0}
    waiting = deque((source,))
    while waiting:
        index = waiting.popleft()
        next_hop = hops[index] + 1
        for other in graph[index]:
            if other not in hops:
                hops[other] = next_hop
                waiting.append(other)
    return hops


def flood(graph: Graph, source: int, latency: Callable[[int, int], float]) -> Flood:
    """From ``source`` to whoever it reaches; latencies in seconds."""
    arrived: dict[int, tuple[float, int]] = {}
    heap = [(0.0, 0, source)]
    while heap:
        when, hops, index = heapq.heappop(heap)
        if index in arrived:
            continue
        arrived[index] = (when, hops)
        for other in graph[index]:
            if other not in arrived:
                heapq.heappush(heap, (when + latency(index, other), hops + 1, other))
    copies = sum(len(graph[index]) for index in arrived) - (len(arrived) - 1)
    times = [when for when, _ in arrived.values()]
    return Flood(
        reached=len(arrived),
        copies=copies,
        last_hop=max(hops for _, hops in arrived.values()),
        median_ms=1000 * percentile(times, 0.5),
        last_ms=1000 * max(times),
    )


def link_count(graph: Graph) -> int:
    """Links in all."""
    return sum(map(len, graph.values())) // 2


def cross_links(graph: Graph, group: dict[int, int]) -> int:
    """Links between nodes of two groups."""
    return (
        sum(group[index] != group[other] for index, others in graph.items() for other in others)
        // 2
    )


def without(graph: Graph, gone: set[int]) -> Graph:
    """What is left of a graph."""
    return {
        index: [other for other in others if other not in gone]
        for index, others in graph.items()
        if index not in gone
    }
