"""Random programs of SQL at several members' copies of one database, under random faults."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from meerkat.testing.engine_rows import EngineRows
from meerkat.testing.faults import Faults
from meerkat.testing.memory_rows import RowsSimulator
from tests.simulation.databases import Programs, aside_marks, dump, faults_of, marks
from tests.simulation.invariants import check_equal

SETTLE_LIMIT = 90.0  # virtual s
NAMES = ("alice", "bob", "carol", "dave")
ROUNDS = 1  # runs for each --seeds


def play(seed: int, root: Path) -> None:
    rng = Random(f"databases {seed}")
    worst = rng.choice((0.0, 0.05, 0.3))
    faults = Faults(
        delay=rng.choice((0.001, 0.02, 0.3)),
        breaks=rng.choice((0.0, 0.0, 0.02)),
        loss=rng.random() * worst,
        duplicate=rng.random() * worst,
        reorder=rng.random() * worst,
    )
    simulator = RowsSimulator(seed, root, EngineRows, faults=faults)
    try:
        programs = Programs(simulator, rng)
        first = simulator.found(NAMES[0])
        programs.begin(first)
        simulator.run(0.5)
        for name in NAMES[1 : rng.randint(2, 4)]:
            simulator.join(name, rng.choice([one for one in simulator.peers if one.peer]))
            simulator.run(simulator.now + rng.choice((0.0, 0.3, 5.0)))
        for _ in range(rng.randint(10, 50)):
            _one_step(simulator, programs, rng)
        check_all(simulator, programs)
    finally:
        simulator.close()


def _one_step(simulator: RowsSimulator, programs: Programs, rng: Random) -> None:
    one = rng.choice(simulator.peers)
    chance = rng.random()
    if chance < 0.04:
        programs.note(one, "CRASH")
        simulator.crash(one)
    elif chance < 0.08:
        programs.note(one, "ROWS CRASH")
        simulator.crash_rows(one)
    elif chance < 0.14:
        programs.note(one, "RESTART")
        simulator.restart(one)
    elif chance < 0.18:
        programs.note(one, "PARTITION")
        side = [peer for peer in simulator.peers if rng.random() < 0.5]
        simulator.partition(side, [peer for peer in simulator.peers if peer not in side])
    elif chance < 0.24:
        programs.note(one, "MEND")
        simulator.mend()
    else:
        programs.act(one)
    simulator.run(simulator.now + rng.choice((0.0, 0.001, 0.01, 0.1, 1.0)))


def check_all(simulator: RowsSimulator, programs: Programs) -> None:
    """Heal, settle; then all files are equal, sound, and nothing is lost."""
    simulator.heal()
    for one in simulator.peers:
        simulator.look(one)
    took = simulator.settle(SETTLE_LIMIT)
    story = "\n".join(programs.diary)
    why = [
        (one.name, one.peer.in_sync, one.peer.databases(), one.peer.status().problems)
        for one in simulator.peers
        if one.peer is not None
    ]
    assert took < SETTLE_LIMIT, f"no peace: {why}\n{story}"
    check_equal(simulator, story)
    first = simulator.peers[0]
    kept = programs.marks_at(first) | aside_marks(simulator, first)
    for one in simulator.peers:
        for at in simulator.folder(one).replaced:  # written at the moment when it was removed
            kept |= marks(at)
        for path, at in simulator.folder(one).databases().items():
            assert faults_of(at) == [], f"{one.name}: {path}\n{story}"
            other = simulator.folder(first).databases()[path]
            assert dump(at) == dump(other), f"{one.name} and {first.name}: {path}\n{story}"
    lost = programs.written - programs.removed - kept
    assert not lost, f"lost {sorted(lost)}\n{story}"


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_programs(number: int, simulation_seed: int, tmp_path: Path):
    play(number + ROUNDS * simulation_seed, tmp_path)
