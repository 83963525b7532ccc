"""What was saved while nobody watched meets what the pool did meanwhile."""

from __future__ import annotations

import pytest

from meerkat.testing.simulator import Simulator
from tests.simulation.invariants import check_equal


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (b"<carol126>\n", b"<bob151>\n"),  # alike enough for a comparison by characters
        (b"todo: milk and bread\n", b"todo: milk and butter\n"),
        (b"x\n", b"y\n"),
    ],
)
def test_lines_that_look_alike_are_two_lines(ours: bytes, theirs: bytes):
    """Found by tests/faces/test_chaos.py: they were merged into one broken line."""
    simulator = Simulator(1)
    alice = simulator.found("alice")
    alice.folder.write("a.txt", b"one\ntwo\n")
    simulator.look(alice)
    bob = simulator.join("bob", alice)
    assert simulator.settle() < 10
    simulator.crash(bob)
    bob.folder.write("a.txt", ours + b"one\ntwo\n")
    alice.folder.write("a.txt", theirs + b"one\ntwo\n")
    simulator.look(alice)
    simulator.run(simulator.now + 1)
    simulator.restart(bob)
    assert simulator.settle() < 10
    check_equal(simulator)

    lines = bob.folder.files()["a.txt"].splitlines(keepends=True)
    assert sorted(lines) == sorted([ours, theirs, b"one\n", b"two\n"])
