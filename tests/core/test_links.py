"""Links: one to each member on both sides alike, found again after anything."""

from __future__ import annotations

from random import Random

from meerkat.core.effects import CloseLink, Send, StartTimer
from meerkat.core.events import LinkId, LinkUp, TimerExpired
from meerkat.testing.faults import Faults
from meerkat.testing.simulator import WALL, SimulatedPeer, Simulator


def link_ends(simulator: Simulator) -> list[tuple[int, int]]:
    """(peer, other peer) for every link that a peer counts, by the wire it runs over."""
    found = []
    for one in simulator.peers:
        assert one.peer is not None
        for link in one.peer._network.linked:
            ends = {index for index, _ in one.wires[link.id].ends}
            found.append((one.index, (ends - {one.index}).pop()))
    return sorted(found)


def everyone(count: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(count) for b in range(count) if a != b]


def pool(seed: int, count: int, delay: float = 0.02) -> Simulator:
    simulator = Simulator(seed, faults=Faults(delay=delay))
    first = simulator.found("p0")
    for number in range(1, count):
        simulator.join(f"p{number}", first)
    return simulator


def test_everyone_links_to_everyone_once(simulation_seed):
    """Both sides dial at once, again and again: one connection survives, the same on both."""
    simulator = pool(simulation_seed, 4, delay=Random(simulation_seed).choice((0.001, 0.02, 0.5)))
    simulator.run(20)

    assert link_ends(simulator) == everyone(4)
    assert sum(len(one.wires) for one in simulator.peers) == len(everyone(4)), "no spare wires"


def test_links_come_back_after_a_partition():
    simulator = pool(1, 3)
    simulator.run(5)
    simulator.partition(simulator.peers[:1], simulator.peers[1:])
    simulator.run(65)
    assert link_ends(simulator) == [(1, 2), (2, 1)]
    simulator.mend()
    simulator.run(67)

    assert link_ends(simulator) == everyone(3)


def test_a_lost_hello_is_no_lost_neighbor(simulation_seed):
    simulator = pool(simulation_seed, 2)
    simulator.faults = Faults(loss=1.0)
    simulator.run(10)
    simulator.faults = Faults()
    simulator.run(50)

    assert link_ends(simulator) == everyone(2)


def test_a_member_that_nobody_can_dial_is_linked_all_the_same():
    simulator = pool(2, 2)
    hidden = simulator.join("hidden", simulator.peers[0], dialable=False)
    simulator.run(10)

    assert link_ends(simulator) == everyone(3)
    assert hidden.peer is not None


def test_someone_known_only_by_introduction_is_linked_before_any_operation_came():
    simulator = Simulator(3)
    alice = simulator.found("alice")
    bob = simulator.join("bob", alice)
    assert bob.peer is not None
    assert not bob.peer._roster.members, "bob has no operation of the pool yet"
    simulator.run(1)

    assert link_ends(simulator) == everyone(2)


def test_a_new_author_of_someone_known_only_by_introduction_is_let_in():
    """Alice goes on under a new key before bob has got a single operation."""
    simulator = Simulator(3)
    alice = simulator.found("alice")
    bob = simulator.join("bob", alice)
    simulator.partition([alice], [bob])
    assert alice.peer is not None
    with alice.store.transaction():
        alice.peer._renew(simulator.now, WALL)
    simulator.mend()
    simulator.run(15)

    assert link_ends(simulator) == everyone(2)


def test_who_does_not_say_hello_is_shown_out():
    """Also when floating point makes the timer ring a hair early."""
    for since in (0.1, 1.1, 4.1, 2.3000000000000003):
        simulator = pool(1, 1)
        one = simulator.peers[0]
        link = LinkId(77)
        assert one.peer is not None
        event = LinkUp(link, one.identity.member, "sim:9", outbound=False)
        with one.store.transaction():
            effects = one.peer.handle(event, now=since, wall=WALL)
        assert not any(isinstance(effect, Send) for effect in effects), "who dials speaks first"
        (timer,) = [e for e in effects if isinstance(e, StartTimer) and e.name == "overlay"]

        assert _rings(one, timer.name, since + 1) == []
        assert _rings(one, timer.name, since + 5.0 - 1e-9) == [link]


def _rings(one: SimulatedPeer, name: str, now: float) -> list[LinkId]:
    assert one.peer is not None
    with one.store.transaction():
        effects = one.peer.handle(TimerExpired(name), now=now, wall=WALL)
    return [effect.link for effect in effects if isinstance(effect, CloseLink)]
