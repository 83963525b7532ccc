"""A scenario under way: its network, the time that passes, and what was seen so far.

The steps themselves are in ``play_calm`` (what users do) and ``play_storm`` (what befalls them).
Each is a generator: a ``Progress`` now and then, then a ``Finding`` whose figures have the names
that ``overlay_anchors`` uses for the same case.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random

from . import overlay_measures as measures
from .overlay_measures import Graph, components, largest_share, mean
from .overlay_pool import OverlayPool, Spread
from .overlay_world import ENOUGH_LINKS, Node, WorldConfig
from .scenario import Scenario

__all__ = [
    "LOOK_EVERY",
    "NEVER",
    "WHOLE",
    "Figures",
    "Finding",
    "Play",
    "Progress",
    "Run",
    "Sample",
    "percent",
]

NEVER = "never"
SLICES = 20  # of a step, to show that something happens
LOOK_EVERY = 0.5  # s between two looks while a network heals; the anchors' grid
FLOODS = 10  # computed floods whose mean stands for "a flood"
WHOLE = 99.0  # % that count as healed

Figures = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The network at one moment (virtual s)."""

    at: float
    alive: int
    links: float  # per peer
    largest: float  # %
    messages: float  # per peer and second since the last sample, beats apart


@dataclass(frozen=True, slots=True)
class Progress:
    """Time has passed; ``share`` of the step is done."""

    step: str
    share: float
    sample: Sample
    events: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step led to. ``table`` and ``case`` are those of ``overlay_anchors``."""

    table: str
    peers: int
    case: str
    figures: Figures


Run = Generator[Progress | Finding, None, None]
"""A step under way."""


@dataclass(slots=True)
class Play:
    """The network of a scenario, and all that was seen of it."""

    scenario: Scenario
    pool: OverlayPool
    samples: list[Sample] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    entries: list[Node] = field(default_factory=list)
    groups: dict[int, int] = field(default_factory=dict)
    """Node -> through which entry it came."""
    rng: Random = field(default_factory=lambda: Random(0))
    """For measuring; what it draws does not change what happens."""
    _seen: tuple[float, int] = (0.0, 0)

    @classmethod
    def of(cls, scenario: Scenario, config: WorldConfig | None = None) -> Play:
        """With the real core, in a new world."""
        return cls(scenario, OverlayPool(scenario.seed, config))

    # -- time ------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.pool.world.now

    def wait(self, seconds: float) -> None:
        """Let time pass without a look."""
        self.pool.world.run(self.now + seconds)

    def wait_and_look(self, step: str, seconds: float, begin: float = 0.0, end: float = 1.0) -> Run:
        """Let time pass; of the step, the share from ``begin`` to ``end``."""
        start = self.now
        for part in range(1, SLICES + 1):
            self.pool.world.run(start + seconds * part / SLICES)
            yield self.look(step, begin + (end - begin) * part / SLICES)

    def look(self, step: str, share: float, graph: Graph | None = None) -> Progress:
        """A sample of the network now."""
        graph = self.pool.graph() if graph is None else graph
        before, messages = self._seen
        arrived, count = self.pool.message_count(), max(len(graph), 1)
        passed = self.now - before
        sample = Sample(
            self.now,
            len(graph),
            2 * measures.link_count(graph) / count,
            largest_share(graph),
            (arrived - messages) / count / passed if passed > 0 else 0.0,
        )
        self._seen = (self.now, arrived)
        self.samples.append(sample)
        return Progress(step, share, sample, self.pool.world.event_count)

    def found(self, table: str, case: str, figures: Figures) -> Finding:
        """Write down what a step led to."""
        finding = Finding(table, self.scenario.peers, case, figures)
        self.findings.append(finding)
        return finding

    def heal(
        self, step: str, seconds: float, start: float
    ) -> Generator[Progress | Finding, None, tuple[float | str, float | str]]:
        """Look every half second for so long; s since ``start`` to 99 % and to one component."""
        to_99: float | str = NEVER
        to_one: float | str = NEVER
        begin = self.now
        while self.now - begin < seconds - 1e-9:
            passed = int((self.now - start) / LOOK_EVERY + 1e-9) * LOOK_EVERY + LOOK_EVERY
            self.pool.world.run(min(start + passed, begin + seconds))
            if to_one == NEVER or passed % 5.0 == 0.0:
                graph = self.pool.graph()
                yield self.look(step, (self.now - begin) / seconds, graph)
                if to_99 == NEVER and largest_share(graph) >= WHOLE:
                    to_99 = passed
                if to_one == NEVER and len(components(graph)) == 1:
                    to_one = passed
        return to_99, to_one

    # -- figures ---------------------------------------------------------------------------

    def shape(self, graph: Graph) -> Figures:
        """What is true of a network at any time."""
        degrees = [len(others) for others in graph.values()] or [0]
        path, diameter = measures.paths(graph, self.rng)
        sources = self.rng.sample(sorted(graph), min(FLOODS, len(graph)))
        floods = [measures.flood(graph, source, self.pool.latency) for source in sources]
        figures: Figures = {
            "degree_min": min(degrees),
            "degree_mean": mean(degrees),
            "degree_max": max(degrees),
            "largest": largest_share(graph),
            "under_5": sum(degree < ENOUGH_LINKS for degree in degrees),
            "path": path,
            "diameter": diameter,
            "copies": mean(one.copies / len(graph) for one in floods),
            "last_hop": mean(one.last_hop for one in floods),
            "last_ms": mean(one.last_ms for one in floods),
        }
        entries = [len(graph[one.index]) for one in self.entries if one.index in graph]
        return figures | ({"entry_degree": max(entries)} if entries else {})

    def spread(self, spreads: list[Spread], within: float = 60.0) -> Figures:
        """How far broadcasts came, each within so many seconds."""
        alive = max(len(self.pool.alive), 1)
        times = [[one for one in each.times.values() if one <= within] for each in spreads]
        return {
            "reached": 100.0 * mean(len(one) / alive for one in times),
            "copies": mean(each.copies / alive for each in spreads),
            "rmr": mean(each.rmr for each in spreads),
            "last_hop": mean(each.last_hop for each in spreads),
            "median_ms": mean(each.median_ms for each in spreads),
            "last_ms": mean(each.last_ms for each in spreads),
        }


def percent(share: float) -> str:
    """As the anchors' cases say it: "50 %"."""
    return f"{100 * share:g} %"
