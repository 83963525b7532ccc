"""Files whose lines end in LF, CRLF, or both, and come to end otherwise while they are open."""

from __future__ import annotations

from random import Random

import pytest

from meerkat.testing.faults import Faults
from meerkat.testing.simulator import Simulator
from tests.simulation.people_editing import Desks, ModelEditor

PATH = "notes.md"
LONG_ENOUGH = 1.5  # s until a save is known as nobody's of ours


def _pool(seed: int, data: bytes, *names: str, delay: float = 0.005) -> Simulator:
    simulator = Simulator(seed, faults=Faults(delay=delay))
    founder = simulator.found("alice")
    founder.folder.write(PATH, data)
    simulator.look(founder)
    simulator.run(1.0)
    for name in names:
        simulator.join(name, founder)
    simulator.settle()
    return simulator


def _disks(simulator: Simulator) -> set[bytes]:
    return {one.folder.nodes[PATH].data for one in simulator.peers}


def _everything(simulator: Simulator, editors: list[ModelEditor]) -> set[bytes]:
    """What the editors would save; and, once they are closed, what the disks have."""
    simulator.settle()
    shown = {editor.written() for editor in editors}
    for editor in editors:
        editor.close()
    simulator.settle()
    return shown | _disks(simulator)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\r\nb\r\n", b"a\r\nx\nb\r\n"),  # CRLF, and an LF among them
        (b"a\r\nb\r\n", b"a\nb\nx\n"),
        (b"a\nb\n", b"a\r\nx\r\nb\r\n"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"a\r\nb\n", b"a\r\nb\r\nx\r\n"),  # both, and then only CRLF
        (b"a\r\nb\n", b"a\nb\nx\n"),
        (b"a\r\nb\n", b"a\r\n"),
        (b"0\r\r\n", b"0\r\r\nby hand\n"),
        (b"0\r\r\n", b"0\r\n"),
        (b"a\rb\r\nc\r\n", b"a\rb\r\nx\r\nc\r\n"),
        (b"a", b"a\r\nx\r\n"),
    ],
)
def test_another_program_writes_other_line_ends(before: bytes, after: bytes):
    simulator = _pool(1, before, "bob")
    desks = Desks(simulator)
    alice, bob = simulator.peers
    editors = [desks.open(one, PATH, line_ends=True) for one in (alice, alice, bob)]
    simulator.run(simulator.now + 0.1)
    assert {editor.written() for editor in editors} == {before}

    bob.folder.write(PATH, after)
    simulator.look(bob)
    simulator.run(simulator.now + LONG_ENOUGH)
    for editor in editors:
        editor.save()
    heads = [one.peer.status().heads for one in simulator.peers if one.peer]
    simulator.settle()

    assert {editor.written() for editor in editors} == {after}
    assert _disks(simulator) == {after}
    # The editors' saves are echoes, and no program answers another.
    assert [one.peer.status().heads for one in simulator.peers if one.peer] == heads
    assert _everything(simulator, editors) == {after}


def test_a_person_chooses_other_line_ends():
    simulator = _pool(2, b"a\nb\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH, line_ends=True) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)

    ann.choose_line_ends(crlf=True)
    ann.save()
    simulator.run(simulator.now + 0.5)
    assert bob.crlf
    assert _everything(simulator, [ann, bob]) == {b"a\r\nb\r\n"}


def test_a_save_with_line_ends_of_a_moment_ago_does_not_bring_them_back():
    simulator = _pool(3, b"a\nb\n", "bob")
    desks = Desks(simulator)
    alice, bob = simulator.peers
    ann = desks.open(alice, PATH, line_ends=True)
    simulator.run(simulator.now + 0.1)

    bob.folder.write(PATH, b"a\r\nb\r\n")
    simulator.look(bob)
    simulator.run(simulator.now + 0.5)
    assert ann.crlf
    assert alice.folder.nodes[PATH].data == b"a\nb\n"
    ann.crlf = False  # as if it had not heard of that yet
    ann.save()
    simulator.settle()
    assert bob.folder.nodes[PATH].data == b"a\r\nb\r\n"
    # And a program that finds the file so, and adds a line, does not mean to turn it round.
    alice.folder.write(PATH, b"a\nx\nb\n")
    simulator.look(alice)
    simulator.run(simulator.now + LONG_ENOUGH)
    assert ann.text == "a\nx\nb\n"
    ann.crlf = True
    assert _everything(simulator, [ann]) == {b"a\r\nx\r\nb\r\n"}


def test_a_line_is_added_to_crlf_lines_while_they_became_lf_elsewhere():
    simulator = _pool(4, b"a\r\nb\r\n", "bob")
    desks = Desks(simulator)
    alice, bob = simulator.peers
    ann = desks.open(alice, PATH, line_ends=True)
    simulator.run(simulator.now + 0.1)

    bob.folder.write(PATH, b"a\r\nb\n")
    simulator.look(bob)
    simulator.settle()
    assert ann.text == "a\r\nb\n"
    alice.folder.write(PATH, b"a\r\nx\r\nb\r\n")
    simulator.look(alice)
    simulator.run(simulator.now + LONG_ENOUGH)
    assert _everything(simulator, [ann]) == {b"a\r\nx\r\nb\n"}


def test_what_is_typed_in_lines_with_returns_is_there_once():
    """An editor's save that reads as CRLF throughout is its own all the same."""
    simulator = _pool(5, b"a\r\nb\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH, line_ends=True) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)

    ann.type(3, 5, "typed\r\n")
    bob.type(0, 0, "zero\n")
    ann.save()  # she has not heard of that
    simulator.run(simulator.now + LONG_ENOUGH)
    assert ann.text == bob.text == "zero\na\r\ntyped\r\n"
    assert _everything(simulator, [ann, bob]) == {b"zero\na\r\ntyped\r\n"}


def test_a_return_typed_into_crlf_is_part_of_the_line_end():
    simulator = _pool(6, b"a\r\nb\r\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH, line_ends=True) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)

    ann.type(1, 1, "\r")
    ann.save()
    simulator.run(simulator.now + LONG_ENOUGH)
    assert ann.text == bob.text == "a\nb\n"
    assert _everything(simulator, [ann, bob]) == {b"a\r\nb\r\n"}


def _turned(rng: Random, data: bytes, line: bytes) -> bytes:
    """What some program makes of a file: it adds a line, perhaps with line ends of its own."""
    end = rng.choice((b"\n", b"\r\n"))
    if rng.random() < 0.5:
        data = data.replace(b"\r\n", b"\n").replace(b"\n", end)
    return data + line + end


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_line_ends_are_all_have_the_same_bytes(seed: int):
    start = (b"one\r\ntwo\r\n", b"one\r\ntwo\n", b"0\r\r\n", b"one\ntwo\r\r\n")[seed % 4]
    simulator = _pool(seed, start, "bob", "carol", delay=0.001 + 0.004 * (seed % 3))
    desks, rng = Desks(simulator), simulator.rng
    editors = [desks.open(one, PATH, line_ends=True) for one in simulator.peers]
    editors += [desks.open(rng.choice(simulator.peers), PATH, line_ends=True)]
    foreign = 0
    for _ in range(50):
        simulator.run(simulator.now + rng.choice((0.0, 0.0001, 0.001, 0.01, 0.3)))
        editor = rng.choice(editors)
        deed = rng.random()
        if deed < 0.75:
            editor.type_something()
        elif deed < 0.88:
            editor.save()
        elif deed < 0.92:
            editor.choose_line_ends(crlf=rng.random() < 0.5)
        else:
            one = rng.choice(simulator.peers)
            simulator.run(simulator.now + LONG_ENOUGH)  # an editor's save was seen, too
            foreign += 1
            data = _turned(rng, one.folder.nodes[PATH].data, b"foreign %d" % foreign)
            one.folder.write(PATH, data)
            simulator.look(one)
            simulator.run(simulator.now + LONG_ENOUGH)  # nobody saves over it before it was seen
    simulator.settle()

    assert not [editor.problems for editor in editors if editor.problems]
    (final,) = _everything(simulator, editors)
    assert all(final.count(b"foreign %d" % n) <= 1 for n in range(1, min(foreign, 9) + 1))
