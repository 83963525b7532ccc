"""Nothing waits for the slow beat: everyone knows soon that everyone has everything."""

from __future__ import annotations

import pytest

from meerkat.testing.faults import Faults
from meerkat.testing.simulator import Simulator

PROMPT = 4.0  # virtual s; anti-entropy's beat comes every 10 s


@pytest.mark.parametrize("seed", range(30))
def test_newcomers_who_come_together_are_in_sync_at_once(seed: int):
    simulator = Simulator(seed, faults=Faults(delay=0.005 + 0.01 * (seed % 5)))
    alice = simulator.found("alice")
    alice.folder.write("notes.txt", b"notes\n")
    alice.folder.write("picture.raw", bytes(range(256)) * 40)
    simulator.look(alice)
    simulator.run(1.0)

    for name in ("bob", "carol", "dave"):
        simulator.join(name, alice, files={f"from {name}.txt": name.encode()})
        simulator.run(simulator.now + simulator.rng.uniform(0, 0.1))

    assert simulator.settle(limit=30) < PROMPT
    assert len({tuple(one.folder.files().items()) for one in simulator.peers}) == 1


@pytest.mark.parametrize("seed", range(10))
def test_a_save_is_everywhere_before_the_beat(seed: int):
    simulator = Simulator(seed)
    alice = simulator.found("alice")
    others = [simulator.join(name, alice) for name in ("bob", "carol")]
    simulator.settle()

    for count in range(5):
        for one in [alice, *others]:
            one.folder.write("notes.txt", f"{count} by {one.name}\n".encode())
            simulator.look(one)
        assert simulator.settle(limit=30) < PROMPT
