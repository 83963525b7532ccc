"""A path of the pool that one member ignores: not written there, not deleted, no endless wish."""

from __future__ import annotations

import pytest

from meerkat.core.files import IGNORE_FILE
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.invariants import check_quiet

TEXT = b"one\n"
BLOB = b"\0" + bytes(range(256)) * 4000


class Pool:
    """Alice ignores nothing, bob what is in ``ignored``."""

    def __init__(self, *ignored: str, **files: bytes) -> None:
        self.simulator = Simulator(1)
        self.alice = self.simulator.found("alice")
        for name, data in files.items():
            self.alice.folder.write(name, data)
        self.simulator.look(self.alice)
        self.bob = self.simulator.join("bob", self.alice)
        self.bob.folder.ignored = frozenset(ignored)
        self.settle()

    def settle(self) -> None:
        """Everything is in sync, and stays quiet."""
        self.simulator.look(self.alice)
        self.simulator.look(self.bob)
        self.simulator.run(self.simulator.now + 5)
        check_quiet(self.simulator)
        for one in (self.alice, self.bob):
            assert one.peer is not None
            status = one.peer.status()
            assert status.in_sync
            assert status.problems == ()
            assert status.pending_files == 0

    def files(self, one: SimulatedPeer) -> dict[str, bytes]:
        return one.folder.files()


@pytest.mark.parametrize("data", [TEXT, BLOB])
def test_it_is_not_written_and_not_missed(data: bytes):
    pool = Pool("x", x=data, y=TEXT)

    assert pool.files(pool.bob) == {"y": TEXT}
    pool.alice.folder.write("x", data + b"more")
    pool.settle()
    assert pool.files(pool.bob) == {"y": TEXT}
    assert pool.files(pool.alice) == {"x": data + b"more", "y": TEXT}


def test_what_stands_there_is_left_alone_whatever_the_pool_does():
    pool = Pool("x", x=TEXT)
    pool.bob.folder.write("x", b"bob's own")
    pool.settle()
    pool.alice.folder.write("x", b"changed")
    pool.settle()
    pool.alice.folder.delete("x")
    pool.settle()

    assert pool.files(pool.bob) == {"x": b"bob's own"}
    assert pool.files(pool.alice) == {}


def test_a_file_ignored_later_stays_as_it_is_on_both_sides():
    pool = Pool(x=TEXT)
    assert pool.files(pool.bob) == {"x": TEXT}
    pool.bob.folder.ignored = frozenset({"x"})
    pool.bob.folder.write("x", b"bob's own")
    pool.alice.folder.write("x", b"changed")
    pool.settle()

    assert pool.files(pool.bob) == {"x": b"bob's own"}
    pool.bob.folder.delete("x")
    pool.settle()
    assert pool.files(pool.alice) == {"x": b"changed"}


@pytest.mark.parametrize("data", [TEXT, BLOB])
def test_a_rename_out_of_what_is_ignored_arrives_and_one_into_it_leaves(data: bytes):
    pool = Pool("x", "folder", x=data, y=TEXT)
    pool.bob.folder.write("x", b"bob's own")
    pool.alice.folder.move("x", "z")
    pool.settle()
    assert pool.files(pool.bob) == {"x": b"bob's own", "y": TEXT, "z": data}

    pool.alice.folder.move("z", "x")
    pool.alice.folder.move("y", "folder/y")
    pool.settle()
    assert pool.files(pool.bob) == {"x": b"bob's own"}
    assert pool.files(pool.alice) == {"x": data, "folder/y": TEXT}


def test_other_rules_bring_it_and_keep_what_stood_there():
    pool = Pool("x", "y", x=TEXT, y=TEXT)
    pool.bob.folder.write("x", b"bob's own")
    pool.settle()
    pool.bob.folder.ignored = frozenset()
    pool.bob.folder.write(IGNORE_FILE, b"# nothing\n")
    pool.settle()

    found = pool.files(pool.bob)
    assert found == pool.files(pool.alice)
    assert found["y"] == TEXT
    assert sorted(found.values()) == [b"# nothing\n", b"bob's own", TEXT, TEXT]


def test_a_restart_asks_once_and_is_in_sync():
    pool = Pool("x", x=TEXT, y=TEXT)
    pool.simulator.crash(pool.bob)
    pool.simulator.restart(pool.bob)
    pool.settle()

    assert pool.files(pool.bob) == {"y": TEXT}
