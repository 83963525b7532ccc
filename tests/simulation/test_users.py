"""Random users under random faults: everyone ends up with the same, and nothing is lost."""

from __future__ import annotations

from random import Random

import pytest

from meerkat.testing.faults import Faults
from meerkat.testing.simulator import Simulator
from tests.simulation.invariants import check_all
from tests.simulation.users import Users

# Seeds that once failed; what they found is in the commit that fixed it.
# (57 to 1216 while the core was new; 3449 and later need rare coincidences.)
REGRESSIONS = (
    569,
    780,
    861,
    870,
    1105,
    1186,
    1216,
    3449,
    4485,
    5504,
    5530,
    5774,
    6041,
    6804,
    8242,
    10387,
    12090,
    12718,
)

ROUNDS = 12  # runs for each --seeds

NAMES = ("alice", "bob", "carol", "dave", "erin")


def play(seed: int) -> Simulator:
    """One pool, its people and its bad days; returns it healed and checked."""
    rng = Random(f"users {seed}")
    worst = rng.choice((0.0, 0.05, 0.3))
    faults = Faults(
        delay=rng.choice((0.001, 0.02, 0.3)),
        breaks=rng.choice((0.0, 0.0, 0.02)),
        loss=rng.random() * worst,
        duplicate=rng.random() * worst,
        reorder=rng.random() * worst,
    )
    simulator = Simulator(seed, faults=faults)
    users = Users(simulator, rng)
    first = simulator.found(NAMES[0])
    for _ in range(rng.randint(0, 4)):
        users.act(first)
    simulator.run(0.5)
    for name in NAMES[1 : rng.randint(2, 5)]:
        simulator.join(name, rng.choice([one for one in simulator.peers if one.peer is not None]))
        simulator.run(simulator.now + rng.choice((0.0, 0.3, 2.0)))
    for _ in range(rng.randint(10, 60)):
        _one_step(simulator, users, rng)
    check_all(simulator, users)
    return simulator


def _one_step(simulator: Simulator, users: Users, rng: Random) -> None:
    one = rng.choice(simulator.peers)
    chance = rng.random()
    if chance < 0.03:
        users.note(one, "CRASH")
        simulator.crash(one)
    elif chance < 0.08:
        users.note(one, "RESTART")
        simulator.restart(one)
    elif chance < 0.11:
        users.note(one, "PARTITION")
        side = [peer for peer in simulator.peers if rng.random() < 0.5]
        simulator.partition(side, [peer for peer in simulator.peers if peer not in side])
    elif chance < 0.14:
        users.note(one, "HEAL")
        simulator.mend()
    elif chance < 0.17:
        one.folder.full = not one.folder.full
        users.note(one, f"FULL {one.folder.full}")
    else:
        users.act(one)
    simulator.run(simulator.now + rng.choice((0.0, 0.001, 0.01, 0.05, 0.3, 1.5)))


def play_noting(seed: int) -> None:
    try:
        play(seed)
    except BaseException as error:
        error.add_note(f"python -c 'from tests.simulation.test_users import play; play({seed})'")
        raise


def test_everyone_ends_up_with_the_same_and_nothing_is_lost(simulation_seed):
    for seed in range(simulation_seed * ROUNDS, (simulation_seed + 1) * ROUNDS):
        play_noting(seed)


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_what_once_failed(seed):
    play_noting(seed)
