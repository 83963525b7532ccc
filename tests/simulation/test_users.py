"""Random users under random faults: everyone ends up with the same, and nothing is lost."""

from __future__ import annotations

from random import Random

import pytest

from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.bad_days import Mishaps, is_spared, random_faults, tear
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
    simulator = Simulator(seed, faults=random_faults(rng))
    users = Users(simulator, rng)
    first = simulator.found(NAMES[0])
    for _ in range(rng.randint(0, 4)):
        users.act(first)
    simulator.run(0.5)
    for name in NAMES[1 : rng.randint(2, 5)]:
        simulator.join(name, rng.choice([one for one in simulator.peers if one.peer is not None]))
        simulator.run(simulator.now + rng.choice((0.0, 0.3, 2.0)))
    mishaps: Mishaps = {
        "CRASH": (0.03, simulator.crash),
        "RESTART": (0.05, simulator.restart),
        "PARTITION": (0.03, lambda _: tear(simulator, rng)),
        "HEAL": (0.03, lambda _: simulator.mend()),
        "FULL, or not": (0.03, _fill),
    }
    for _ in range(rng.randint(10, 60)):
        one = rng.choice(simulator.peers)
        if is_spared(one, rng, mishaps, users.note):
            users.act(one)
        simulator.run(simulator.now + rng.choice((0.0, 0.001, 0.01, 0.05, 0.3, 1.5)))
    check_all(simulator, users)
    return simulator


def _fill(one: SimulatedPeer) -> None:
    one.folder.full = not one.folder.full


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
