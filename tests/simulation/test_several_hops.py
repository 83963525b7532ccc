"""Content that has to cross several peers: soon, and not one whole file after the other."""

from __future__ import annotations

from random import Random

import pytest

from meerkat.testing.faults import Faults
from meerkat.testing.simulator import SimulatedPeer, Simulator

SMALL = b"\0" + Random(1).randbytes(5_000)
LARGE = b"\0" + Random(2).randbytes(6_000_000)  # 19 chunks
COUNT = 6
LIMIT = 120.0  # virtual s


def line(seed: int, count: int = COUNT, *, ring: bool = False) -> Simulator:
    """Peers of which only neighbors reach each other."""
    simulator = Simulator(seed)
    first = simulator.found("p0")
    for number in range(1, count):
        simulator.join(f"p{number}", first)
    assert simulator.settle() < 20
    for one in simulator.peers:
        for other in simulator.peers[one.index + 1 :]:
            apart = other.index - one.index
            if apart > 1 and not (ring and apart == count - 1):
                simulator.sever(one, other)
    simulator.run(simulator.now + 3)
    return simulator


def give(simulator: Simulator, path: str, data: bytes) -> None:
    simulator.peers[0].folder.write(path, data)
    simulator.look(simulator.peers[0])


def holds(one: SimulatedPeer, path: str, data: bytes) -> bool:
    return one.folder.files().get(path) == data


def spread(simulator: Simulator, path: str, data: bytes, but: int | None = None) -> float:
    """Virtual s until everyone (``but`` one) holds what the first peer gives."""
    start = simulator.now
    give(simulator, path, data)
    others = [one for one in simulator.peers if one.index != but]
    while not all(holds(one, path, data) for one in others):
        assert simulator.now - start < LIMIT, [
            one.name for one in others if not holds(one, path, data)
        ]
        simulator.run(simulator.now + 0.02)
    return simulator.now - start


@pytest.mark.parametrize("seed", range(5))
def test_a_small_file_runs_down_the_line(seed: int):
    assert spread(line(seed), "small", SMALL) < 0.6, "5 hops of 3 messages of 20 ms"


@pytest.mark.parametrize("seed", range(3))
def test_many_small_files_run_down_the_line(seed: int):
    simulator = line(seed)
    rng = Random(seed)
    for number in range(50):
        simulator.peers[0].folder.write(f"d/{number}", b"\0" + rng.randbytes(3_000))
    assert spread(simulator, "last", SMALL) < 2.0
    assert simulator.settle() < 5.0


@pytest.mark.parametrize("seed", range(3))
def test_a_large_file_is_passed_on_while_it_arrives(seed: int):
    simulator = line(seed)
    simulator.upload = 1_000_000.0  # six seconds for the whole file, thirty hop by hop
    assert spread(simulator, "large", LARGE) < 11.0
    assert simulator.settle() < 5.0


def test_a_ring_is_served_from_both_sides():
    simulator = line(1, 8, ring=True)
    simulator.upload = 1_000_000.0
    assert spread(simulator, "large", LARGE) < 16.0, "the first sends it twice"


def test_a_full_disk_passes_small_files_on():
    simulator = line(2)
    simulator.peers[2].folder.full = True

    assert spread(simulator, "small", SMALL, but=2) < 1.0


def test_a_full_disk_holds_up_nobody_who_has_another_way():
    simulator = line(3, ring=True)
    simulator.peers[2].folder.full = True
    assert spread(simulator, "large", LARGE, but=2) < 3.0
    simulator.peers[2].folder.full = False

    assert simulator.settle() < 30.0
    assert holds(simulator.peers[2], "large", LARGE)


def test_a_file_that_one_ignores_takes_another_way():
    simulator = line(4, ring=True)
    simulator.peers[3].folder.ignored = frozenset({"large"})
    assert spread(simulator, "large", LARGE, but=3) < 3.0
    give(simulator, "large", LARGE[::-1])

    assert spread(simulator, "small", SMALL) < 1.0


def test_a_break_in_the_middle_is_made_good():
    simulator = line(5)
    simulator.upload = 1_000_000.0
    give(simulator, "large", LARGE)
    simulator.run(simulator.now + 3)
    middle = simulator.peers[2]
    simulator.crash(middle)
    simulator.run(simulator.now + 2)
    simulator.restart(middle)

    assert simulator.settle() < 60.0
    assert all(holds(one, "large", LARGE) for one in simulator.peers)


def test_a_replaced_file_is_passed_on_too():
    """While it arrives it is changed: those behind ask for what is nowhere any more."""
    simulator = line(6)
    simulator.upload = 1_000_000.0
    give(simulator, "large", LARGE)
    simulator.run(simulator.now + 4)
    changed = LARGE[:2_000_000] + b"in between" + LARGE[2_000_000:]

    assert spread(simulator, "large", changed) < 14.0


@pytest.mark.parametrize("seed", range(3))
def test_words_lost_on_the_way_are_made_good(seed: int):
    """Worse than TCP: messages vanish, so that some are never told."""
    simulator = line(seed)
    simulator.faults = Faults(loss=0.2, reorder=0.2)
    give(simulator, "large", LARGE)
    give(simulator, "small", SMALL)
    simulator.run(simulator.now + 30)
    simulator.faults = Faults()

    assert simulator.settle(120.0) < 120.0, "a lost word costs up to 20 s at each of 5 hops"
    assert all(holds(one, "large", LARGE) for one in simulator.peers)


@pytest.mark.parametrize("seed", range(3))
def test_the_author_need_not_give_it_to_everyone(seed: int):
    simulator = Simulator(seed)
    first = simulator.found("p0")
    for number in range(1, 8):
        simulator.join(f"p{number}", first)
    assert simulator.settle() < 20
    simulator.upload = 1_000_000.0

    assert spread(simulator, "large", LARGE) < 25.0, "6 s each would be 42 s"
