"""Random programs of SQL at several members' copies of one database, under random faults."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from meerkat.testing.engine_rows import EngineRows
from meerkat.testing.memory_rows import RowsSimulator
from tests.simulation.bad_days import NAMES, random_faults, settle, share_databases
from tests.simulation.databases import Programs, aside_marks, dump, faults_of, marks

ROUNDS = 1  # runs for each --seeds


def play(seed: int, root: Path) -> None:
    rng = Random(f"databases {seed}")
    simulator = RowsSimulator(seed, root, EngineRows, faults=random_faults(rng))
    try:
        programs = Programs(simulator, rng)
        programs.begin(simulator.found(NAMES[0]))
        simulator.run(0.5)
        share_databases(simulator, rng, programs.note, programs.act)
        check_all(simulator, programs)
    finally:
        simulator.close()


def check_all(simulator: RowsSimulator, programs: Programs) -> None:
    """Heal, settle; then all files are equal, sound, and nothing is lost."""
    settle(simulator, programs.story)
    first = simulator.peers[0]
    kept = programs.marks_at(first) | aside_marks(simulator, first)
    for one in simulator.peers:
        for at in simulator.folder(one).replaced:  # written at the moment when it was removed
            kept |= marks(at)
        for path, at in simulator.folder(one).databases().items():
            whose = f"{one.name}: {path}\n{programs.story}"
            assert faults_of(at) == [], whose
            assert dump(at) == dump(simulator.folder(first).databases()[path]), whose
    programs.check_kept(kept)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_programs(number: int, simulation_seed: int, tmp_path: Path):
    play(number + ROUNDS * simulation_seed, tmp_path)
