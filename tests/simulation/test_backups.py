"""Restored backups, copied stores, and crashes at every step (D6)."""

from __future__ import annotations

from random import Random

import pytest

from meerkat.core.events import Event
from meerkat.core.peer import PeerConfig
from meerkat.core.replica import Replica
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.invariants import check_all, check_equal
from tests.simulation.tokens import Marks, text_of
from tests.simulation.users import Users


def _pool(seed: int) -> tuple[Simulator, Users]:
    simulator = Simulator(seed)
    users = Users(simulator, Random(f"backups {seed}"))
    alice = simulator.found("alice")
    users.watch(alice, lambda: alice.folder.write("a.txt", text_of([users.marks.fresh()])))
    simulator.look(alice)
    for name in ("bob", "carol"):
        simulator.join(name, alice)
        assert simulator.settle() <= 15
    return simulator, users


def replica_of(one: SimulatedPeer) -> Replica:
    assert one.peer is not None
    return one.peer._replica


def forked(simulator: Simulator) -> list[str]:
    """Who holds the proof of a fork."""
    return [one.name for one in simulator.peers if replica_of(one).log.frozen]


def _busy(simulator: Simulator, users: Users, count: int, who: list[SimulatedPeer]) -> None:
    for _ in range(count):
        users.act(users.rng.choice(who))
        simulator.run(simulator.now + users.rng.choice((0.0, 0.05, 0.5)))


def test_a_restored_state_goes_on_under_a_new_author(simulation_seed):
    """The state folder is an older copy; the shared folder itself is not."""
    simulator, users = _pool(simulation_seed)
    bob = simulator.peers[1]
    _busy(simulator, users, 8, simulator.peers)
    simulator.settle()
    backup = bob.store.snapshot()
    _busy(simulator, users, 12, simulator.peers)
    simulator.settle()
    before = bob.peer.author if bob.peer is not None else None
    simulator.crash(bob)
    bob.store.restore(backup)
    simulator.restart(bob)
    _busy(simulator, users, 8, simulator.peers)
    # What is saved before bob has looked at his folder may mix with what he does not know yet.
    check_all(simulator, users, doubled=True)

    assert bob.peer is not None
    assert bob.peer.author in replica_of(simulator.peers[0]).log.heads
    assert not forked(simulator), before


def test_a_restored_state_doubles_nothing_by_itself(simulation_seed):
    """The folder is as the pool has it, only the state is older: nothing at all changes."""
    simulator, users = _pool(simulation_seed)
    bob = simulator.peers[1]
    backup = bob.store.snapshot()
    _busy(simulator, users, 15, simulator.peers)
    simulator.settle()
    before = bob.folder.listing()
    simulator.crash(bob)
    bob.store.restore(backup)
    simulator.restart(bob)

    check_all(simulator, users)
    assert bob.folder.listing() == before


def test_a_state_restored_while_alone_meets_the_others_later(simulation_seed):
    """Nobody can be asked at first: what is written meanwhile must not reuse a sequence."""
    simulator, users = _pool(simulation_seed)
    bob = simulator.peers[1]
    backup = bob.store.snapshot()
    _busy(simulator, users, 10, simulator.peers)
    simulator.settle()
    simulator.crash(bob)
    bob.store.restore(backup)
    simulator.partition([bob], [one for one in simulator.peers if one is not bob])
    simulator.restart(bob)
    _busy(simulator, users, 6, [bob])

    # Alone it cannot know whose words stand in its newer folder: some may stand there twice.
    check_all(simulator, users, doubled=True)
    assert not forked(simulator)


@pytest.mark.parametrize("stop", range(120))
def test_a_crash_after_any_event_doubles_and_loses_nothing(stop):
    """A short scenario; after its nth event bob crashes, and starts again."""
    simulator = Simulator(7)
    marks = Marks()
    alice = simulator.found("alice")
    alice.folder.write("a.txt", text_of([marks.fresh() for _ in range(3)]))
    alice.folder.write("d/b.bin", b"\0" * 1000)
    alice.folder.write("d/old.txt", text_of([marks.fresh()]))
    simulator.look(alice)
    bob = simulator.join("bob", alice)
    _crash_after(simulator, bob, stop)
    simulator.settle()
    for text in (b"x\n", b"y\n"):
        alice.folder.write("a.txt", text + alice.folder.nodes["a.txt"].data)
        alice.folder.move("d/old.txt", "new.txt")
        simulator.look(alice)
        simulator.run(simulator.now + 0.1)
        bob.folder.write("own.txt", text)
        simulator.look(bob)
        simulator.run(simulator.now + 0.1)
    simulator.heal()
    assert simulator.settle() < 60

    check_equal(simulator)
    expected = {"a.txt", "d", "d/b.bin", "new.txt", "own.txt"}
    assert set(alice.folder.nodes) == expected
    assert alice.folder.nodes["a.txt"].data.startswith(b"y\nx\n")
    assert alice.folder.nodes["own.txt"].data == b"y\n"


def _crash_after(simulator: Simulator, one: SimulatedPeer, stop: int) -> None:
    """Let one peer crash right after its nth event from now, and start again a moment later."""
    handle = simulator.handle
    left = stop

    def counting(peer: SimulatedPeer, event: Event) -> None:
        nonlocal left
        handle(peer, event)
        if peer is one:
            left -= 1
            if left == 0:
                simulator.crash(one)
                simulator.call_at(simulator.now + 0.01, lambda: simulator.restart(one))

    simulator.handle = counting  # type: ignore[assignment,method-assign]


def test_a_store_that_is_vouched_for_keeps_its_author_alone():
    simulator = Simulator(5, config=PeerConfig(trust_store=True))
    alice = simulator.found("alice")
    bob = simulator.join("bob", alice)
    simulator.settle()
    assert bob.peer is not None
    before = bob.peer.author
    simulator.partition([alice], [bob])
    simulator.crash(bob)
    bob.folder.write("notes.txt", b"written alone\n")
    simulator.restart(bob)
    simulator.run(simulator.now + 5)

    assert bob.peer.author == before
    simulator.heal()
    assert simulator.settle() < 30
    assert alice.folder.files()["notes.txt"] == b"written alone\n"
