"""What the pool moved, swapped or turned into something else reaches another disk, untouched."""

from __future__ import annotations

import pytest

from meerkat.core.contents import is_safe_link
from meerkat.core.effects import Effect, Perform
from meerkat.core.files import Job, MoveFile, WriteFile
from meerkat.testing.memory_folder import MemoryFolder
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.invariants import check_equal, check_quiet, check_restart


class Two:
    """Alice, who does things, and bob, whose jobs are noted."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.simulator = Simulator(1)
        self.alice = self.simulator.found("alice")
        for path, data in files.items():
            self.alice.folder.write(path, data)
        self.simulator.look(self.alice)
        self.bob = self.simulator.join("bob", self.alice)
        self.settle()
        self.jobs: list[Job] = []
        perform = self.simulator._perform

        def noting(one: SimulatedPeer, effect: Effect) -> None:
            if one is self.bob and isinstance(effect, Perform):
                self.jobs += effect.jobs
            perform(one, effect)

        self.simulator._perform = noting  # type: ignore[method-assign]

    def settle(self) -> None:
        assert self.simulator.settle() < 10
        check_equal(self.simulator)

    def do(self, *moves: tuple[str, str]) -> MemoryFolder:
        for old, new in moves:
            self.alice.folder.move(old, new)
        self.simulator.look(self.alice)
        self.settle()
        check_quiet(self.simulator)
        return self.bob.folder

    def written(self) -> list[str]:
        return [job.path for job in self.jobs if isinstance(job, WriteFile)]


BLOBS = {name: b"\0" + name.encode() * 50 for name in ("a", "b", "c")}


def test_two_files_swap_their_names():
    two = Two(BLOBS)
    folder = two.do(("a", "tmp"), ("b", "a"), ("tmp", "b"))

    assert folder.files() == {"a": BLOBS["b"], "b": BLOBS["a"], "c": BLOBS["c"]}
    assert [path for path in folder.nodes if "moving" in path] == []


def test_three_files_turn_round():
    two = Two(BLOBS)
    folder = two.do(("a", "tmp"), ("b", "a"), ("c", "b"), ("tmp", "c"))

    assert folder.files() == {"a": BLOBS["b"], "b": BLOBS["c"], "c": BLOBS["a"]}


def test_a_rename_moves_and_writes_nothing():
    two = Two(BLOBS)
    two.do(("a", "z"))

    assert two.written() == []
    assert [type(job) for job in two.jobs] == [MoveFile]


def test_a_renamed_folder_moves_its_files():
    two = Two({"d/a": b"\0one", "d/e/b": b"\0two"})
    folder = two.do(("d", "n"))

    assert sorted(folder.nodes) == ["n", "n/a", "n/e", "n/e/b"]
    assert two.written() == []


def test_a_file_moves_below_its_own_name():
    two = Two({"x": b"\0one"})
    folder = two.do(("x", "tmp"), ("tmp", "x/y"))

    assert folder.files() == {"x/y": b"\0one"}


def test_a_folder_becomes_a_file_and_back():
    two = Two({"x/y": b"\0one"})
    two.alice.folder.delete("x")
    two.alice.folder.write("x", b"now a file\n")
    assert two.do().files() == {"x": b"now a file\n"}
    two.alice.folder.delete("x")
    two.alice.folder.write("x/y/z", b"deep\n")

    assert two.do().files() == {"x/y/z": b"deep\n"}


def test_a_file_becomes_a_link_and_back():
    two = Two({"x": b"text\n"})
    two.alice.folder.link("x", "y")
    assert two.do().listing()["x"] == ("symlink", b"y", False)
    two.alice.folder.delete("x")
    two.alice.folder.write("x", b"again\n")

    assert two.do().files() == {"x": b"again\n"}


def test_a_save_in_between_is_not_overwritten():
    """Bob saves between the peer's decision to write and the write."""
    two = Two({"x": b"one\n"})
    two.alice.folder.write("x", b"one\ntwo\n")
    two.simulator.look(two.alice)
    while not two.written():
        two.simulator.run(two.simulator.now + 0.0005)
    two.bob.folder.write("x", b"zero\none\n")
    two.simulator.look(two.bob)
    two.settle()

    assert two.bob.folder.files() == {"x": b"zero\none\ntwo\n"}


def test_a_full_disk_says_so_and_goes_on_by_itself():
    two = Two({})
    two.bob.folder.full = True
    two.alice.folder.write("x", b"one\n")
    two.simulator.look(two.alice)
    two.simulator.run(two.simulator.now + 2)
    assert two.bob.peer is not None
    assert not two.bob.peer.in_sync
    assert "No space left" in two.bob.peer.status().problems[0].text
    two.bob.folder.full = False
    two.settle()

    assert not two.bob.peer.status().problems


def test_a_link_outside_is_not_made():
    two = Two({"x": b"one\n"})
    two.alice.folder.link("evil", "../outside")
    two.simulator.look(two.alice)
    two.simulator.run(two.simulator.now + 3)

    assert "evil" not in two.bob.folder.nodes
    assert two.bob.peer is not None
    assert [one.path for one in two.bob.peer.status().problems] == ["evil"]


@pytest.mark.parametrize(
    ("path", "target", "safe"),
    [
        ("a", "b", True),
        ("d/a", "../b", True),
        ("d/a", "../../b", False),
        ("a", "..", False),
        ("a", "/etc/passwd", False),
        ("a", "", False),
        ("a", "b\0", False),
        ("a", "d/../../b", False),
        ("a", ".meerkat/key", False),
        ("a", "./.meerkat/key", False),
        ("d/a", "../.meerkat/key", False),
        ("a", "d/../.meerkat/key", False),
        ("a", "d/.meerkat", True),
    ],
)
def test_which_links_are_safe(path, target, safe):
    assert is_safe_link(path, target) is safe


@pytest.mark.parametrize("data", [b"same\n", b"\0same", b""])
def test_three_newcomers_with_the_same_files_at_once(data):
    simulator = Simulator(5)
    first = simulator.found("alice")
    first.folder.write("d/a", data)
    simulator.look(first)
    for name in ("bob", "carol", "dave"):
        simulator.join(name, first, files={"d/a": data, "b": data})
    assert simulator.settle() < 30
    check_equal(simulator)
    check_restart(simulator)

    assert first.folder.files() == {"b": data, "d/a": data}


def test_newcomers_with_different_files_keep_them_all():
    simulator = Simulator(6)
    first = simulator.found("alice")
    first.folder.write("a", b"alice\n")
    simulator.look(first)
    for name in ("bob", "carol"):
        simulator.join(name, first, files={"a": f"{name}\n".encode()})
    assert simulator.settle() < 30
    check_equal(simulator)

    assert set(first.folder.files().values()) == {b"alice\n", b"bob\n", b"carol\n"}
    assert first.folder.files()["a"] == b"alice\n"


def test_a_conflict_copy_can_be_edited_renamed_and_deleted():
    simulator = Simulator(6)
    first = simulator.found("alice")
    first.folder.write("a.txt", b"alice\n")
    simulator.look(first)
    bob = simulator.join("bob", first, files={"a.txt": b"bob\n"})
    assert simulator.settle() < 30
    copy = next(path for path in first.folder.nodes if "conflict" in path)
    for step in ("edit", "rename", "delete"):
        if step == "edit":
            first.folder.write(copy, first.folder.nodes[copy].data + b"more\n")
        elif step == "rename":
            first.folder.move(copy, "mine.txt")
        else:
            first.folder.delete("mine.txt")
        simulator.look(first)
        assert simulator.settle() < 10
        check_equal(simulator)

    assert len(bob.folder.files()) == 1
