"""What random runs share: how bad the network is, the days when things go wrong, and a diary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Generic, TypeVar

from meerkat.testing.faults import Faults
from meerkat.testing.memory_rows import RowsSimulator
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.invariants import check_equal

__all__ = ["Diary", "Mishaps", "is_spared", "random_faults", "settle", "share_databases", "tear"]

NAMES = ("alice", "bob", "carol", "dave")
SETTLE_LIMIT = 90.0  # virtual s

Mishaps = Mapping[str, tuple[float, Callable[[SimulatedPeer], object]]]
"""By what the diary calls them: how likely each is, and what it does."""


World = TypeVar("World", bound=Simulator)


class Diary(Generic[World]):
    """What people did, and what must not get lost of it: marks, each written once."""

    def __init__(self, simulator: World, rng: Random) -> None:
        self.simulator, self.rng = simulator, rng
        self.written: set[str] = set()
        self.removed: set[str] = set()
        self.diary: list[str] = []
        self._count = 0

    def note(self, one: SimulatedPeer, words: str) -> None:
        self.diary.append(f"{self.simulator.now:9.3f} {one.name}: {words}")

    def mark(self) -> str:
        self._count += 1
        return f"mark{self._count}"

    def check_kept(self, kept: set[str]) -> None:
        """Nothing of what was written and not removed is missing."""
        lost = self.written - self.removed - kept
        assert not lost, f"lost {sorted(lost)}\n{self.story}"

    @property
    def story(self) -> str:
        return "\n".join(self.diary)


def random_faults(rng: Random) -> Faults:
    """A network: mostly a good one."""
    worst = rng.choice((0.0, 0.05, 0.3))
    return Faults(
        delay=rng.choice((0.001, 0.02, 0.3)),
        breaks=rng.choice((0.0, 0.0, 0.02)),
        loss=rng.random() * worst,
        duplicate=rng.random() * worst,
        reorder=rng.random() * worst,
    )


def tear(simulator: Simulator, rng: Random) -> None:
    """The network falls in two."""
    side = [peer for peer in simulator.peers if rng.random() < 0.5]
    simulator.partition(side, [peer for peer in simulator.peers if peer not in side])


def is_spared(
    one: SimulatedPeer, rng: Random, mishaps: Mishaps, note: Callable[[SimulatedPeer, str], None]
) -> bool:
    """Whether nothing goes wrong for this peer; otherwise it has gone wrong."""
    chance = rng.random()
    for words, (likely, happen) in mishaps.items():
        chance -= likely
        if chance < 0:
            note(one, words)
            happen(one)
            return False
    return True


def share_databases(
    simulator: RowsSimulator,
    rng: Random,
    note: Callable[[SimulatedPeer, str], None],
    act: Callable[[SimulatedPeer], None],
) -> None:
    """Two to four members of the pool of the first, who ``act`` while things go wrong."""
    for name in NAMES[1 : rng.randint(2, 4)]:
        simulator.join(name, rng.choice([one for one in simulator.peers if one.peer]))
        simulator.run(simulator.now + rng.choice((0.0, 0.3, 5.0)))
    mishaps: Mishaps = {
        "CRASH": (0.04, simulator.crash),
        "ROWS CRASH": (0.04, simulator.crash_rows),
        "RESTART": (0.06, simulator.restart),
        "PARTITION": (0.04, lambda _: tear(simulator, rng)),
        "MEND": (0.06, lambda _: simulator.mend()),
    }
    for _ in range(rng.randint(10, 50)):
        one = rng.choice(simulator.peers)
        if is_spared(one, rng, mishaps, note):
            act(one)
        simulator.run(simulator.now + rng.choice((0.0, 0.001, 0.01, 0.1, 1.0)))


def settle(simulator: RowsSimulator, story: str) -> None:
    """All is well again; soon everybody has the same files."""
    simulator.heal()
    for one in simulator.peers:
        simulator.look(one)
    took = simulator.settle(SETTLE_LIMIT)
    why = [
        (one.name, one.peer.in_sync, one.peer.databases(), one.peer.status().problems)
        for one in simulator.peers
        if one.peer is not None
    ]
    assert took < SETTLE_LIMIT, f"no peace: {why}\n{story}"
    check_equal(simulator, story)
