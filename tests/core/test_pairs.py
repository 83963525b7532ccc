"""Two people do one thing each at once (A4): all pairs, on all places, through whole peers.

Every pair must end equal on both sides, lose nothing that its remover had not seen, and make a
conflict copy only where there is a conflict. Triples are sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random

import pytest

from meerkat.core.files import Kind
from meerkat.testing.memory_folder import MemoryFolder
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.invariants import (
    check_equal,
    check_nothing_doubled,
    check_nothing_lost,
    check_restart,
)
from tests.simulation.tokens import Marks, binary_of, marks_in, text_of
from tests.simulation.users import Users

PLACES = ("f.txt", "d", "d/g.txt")
Deed = Callable[[MemoryFolder, str, Marks], None]


def _is_file(folder: MemoryFolder, path: str) -> bool:
    node = folder.nodes.get(path)
    return node is not None and node.kind is Kind.FILE


def create(folder: MemoryFolder, path: str, marks: Marks) -> None:
    """A new file: beside the place, or in it if it is a folder."""
    node = folder.nodes.get(path)
    inside = node is not None and node.kind is Kind.FOLDER
    folder.write(f"{path}/new.txt" if inside else path + ".new", text_of([marks.fresh()]))


def edit(folder: MemoryFolder, path: str, marks: Marks) -> None:
    if _is_file(folder, path):
        folder.write(path, folder.nodes[path].data + text_of([marks.fresh()]))


def overwrite(folder: MemoryFolder, path: str, marks: Marks) -> None:
    if _is_file(folder, path):
        folder.write(path, binary_of(marks.fresh(), b"noise"))


def delete(folder: MemoryFolder, path: str, marks: Marks) -> None:
    folder.delete(path)


def move(folder: MemoryFolder, path: str, marks: Marks) -> None:
    folder.move(path, "e/" + path.rpartition("/")[2])


def move_over(folder: MemoryFolder, path: str, marks: Marks) -> None:
    if _is_file(folder, path):
        folder.move(path, "other.txt")


def make_folder(folder: MemoryFolder, path: str, marks: Marks) -> None:
    folder.make_folder("e" if _is_file(folder, path) else path + "/in")


def chmod(folder: MemoryFolder, path: str, marks: Marks) -> None:
    if _is_file(folder, path):
        folder.write(path, folder.nodes[path].data, executable=True)


def become_other_type(folder: MemoryFolder, path: str, marks: Marks) -> None:
    """A file becomes a folder with a file in it; a folder becomes a link."""
    was_file = _is_file(folder, path)
    folder.delete(path)
    if was_file:
        folder.write(path + "/inside.txt", text_of([marks.fresh()]))
    else:
        folder.link(path, "to-" + marks.fresh())


DEEDS: tuple[Deed, ...] = (
    create,
    edit,
    overwrite,
    delete,
    move,
    move_over,
    make_folder,
    chmod,
    become_other_type,
)
CASES = [(deed, place) for deed in DEEDS for place in PLACES]


class Couple:
    """Alice and bob with the same folder, cut off from each other."""

    def __init__(self, seed: int = 0) -> None:
        self.simulator = Simulator(seed)
        self.users = Users(self.simulator, Random(seed))
        self.alice = self.simulator.found("alice")
        marks = self.users.marks
        for path in ("f.txt", "d/g.txt", "other.txt"):
            self.alice.folder.write(path, text_of([marks.fresh(), marks.fresh()]))
        self.simulator.look(self.alice)
        self.bob = self.simulator.join("bob", self.alice)
        assert self.simulator.settle() < 10
        self.simulator.partition([self.alice], [self.bob])

    def do(self, one: SimulatedPeer, deed: Deed, path: str) -> None:
        """The deed, seen by the oracle and the scanner."""
        self.users.watch(one, lambda: deed(one.folder, path, self.users.marks))
        self.users.note(one, f"{deed.__name__} {path}")
        self.simulator.look(one)
        self.simulator.run(self.simulator.now + 0.1)

    def meet(self) -> None:
        self.simulator.heal()
        assert self.simulator.settle() < 10, self.users.diary
        story = " / ".join(self.users.diary)
        check_equal(self.simulator, story)
        check_nothing_lost(self.simulator, self.users)
        check_nothing_doubled(self.simulator, story)

    @property
    def conflicts(self) -> list[str]:
        return [path for path in self.alice.folder.nodes if "conflict" in path]


@pytest.mark.parametrize("first", DEEDS, ids=lambda deed: deed.__name__)
def test_pairs(first):
    for place, (second, other) in product(PLACES, CASES):
        if first is second is move_over:
            continue  # two who put the same text into one: see test_two_equal_insertions
        couple = Couple()
        couple.do(couple.alice, first, place)
        couple.do(couple.bob, second, other)
        couple.meet()
        if first is second and place == other and first in (delete, move, move_over, chmod):
            assert not couple.conflicts, f"both did the same: {first.__name__} {place}"


@pytest.mark.parametrize(("first", "place"), CASES)
def test_one_after_the_other_makes_no_conflict(first, place):
    """Whoever has seen what the other did cannot be in conflict with it."""
    for second, other in CASES:
        couple = Couple()
        couple.simulator.mend()
        couple.do(couple.alice, first, place)
        assert couple.simulator.settle() < 10
        couple.do(couple.bob, second, other)
        couple.meet()
        assert not couple.conflicts, couple.users.diary


def test_some_triples(simulation_seed):
    rng = Random(f"triples {simulation_seed}")
    for _ in range(8):
        couple = Couple()
        people = [couple.alice, couple.alice, couple.bob]
        rng.shuffle(people)
        for one in people:
            couple.do(one, *rng.choice(CASES))
        couple.meet()
        check_restart(couple.simulator)


def test_an_edit_beats_a_delete():
    couple = Couple()
    couple.do(couple.alice, delete, "f.txt")
    couple.do(couple.bob, edit, "f.txt")
    couple.meet()

    assert len(couple.alice.folder.nodes["f.txt"].data.decode().split()) == 3


def test_a_deleted_folder_keeps_the_file_that_was_added():
    couple = Couple()
    couple.do(couple.alice, delete, "d")
    couple.do(couple.bob, create, "d")
    couple.meet()

    assert sorted(couple.alice.folder.nodes) == ["d", "d/new.txt", "f.txt", "other.txt"]


@pytest.mark.parametrize("data", [b"same\n", b"", b"\0same"])
def test_equal_contents_make_no_conflict(data):
    couple = Couple()
    for one in (couple.alice, couple.bob):
        couple.do(one, lambda folder, path, marks: folder.write(path, data), "same.txt")
        couple.do(one, lambda folder, path, marks: folder.write(path, data), "f.txt")
    couple.meet()

    assert not couple.conflicts
    assert couple.alice.folder.nodes["same.txt"].data == data


def test_both_move_one_file_to_different_places():
    """One place wins; the file is not doubled, and not lost."""
    couple = Couple()
    couple.do(couple.alice, lambda folder, path, marks: folder.move(path, "a.txt"), "f.txt")
    couple.do(couple.bob, lambda folder, path, marks: folder.move(path, "b.txt"), "f.txt")
    couple.meet()

    assert sum(path in couple.alice.folder.nodes for path in ("a.txt", "b.txt", "f.txt")) == 1


def test_two_equal_insertions_are_two():
    """Known: a text cannot tell two people's equal words from one's (as in every CRDT)."""
    couple = Couple()
    couple.do(couple.alice, move_over, "f.txt")
    couple.do(couple.bob, move_over, "f.txt")
    couple.simulator.heal()
    couple.simulator.settle()

    check_equal(couple.simulator)
    text = couple.alice.folder.nodes["other.txt"].data.decode()
    assert sum(marks_in(text).values()) == 4
