"""Live databases as the peer sees them: who is asked what, and what becomes of files.

The rows process is a small one in plain Python (``plain_rows``): keys and values.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat.core.effects import Answered, Effect
from meerkat.core.events import DatabaseRequested, RowsReported
from meerkat.core.rows import (
    AttachDatabase,
    DetachDatabase,
    ExportDatabase,
    RowsCaptured,
    RowsSigned,
)
from meerkat.core.status import DatabaseEntry
from meerkat.testing.memory_rows import RowsSimulator
from meerkat.testing.simulator import SimulatedPeer
from tests.core.plain_rows import PlainRows, Rows, read_rows, write_rows
from tests.simulation.invariants import check_equal, check_quiet, check_restart

LIMIT = 30.0  # virtual s until peace


class Pool:
    """Peers with databases, and what people do to them."""

    def __init__(self, root: Path, worker: type[PlainRows] = PlainRows) -> None:
        self.simulator = RowsSimulator(7, root, worker)
        self.answers: list[Answered] = []
        self.simulator.on_other = self._on_other
        self.alice = self.simulator.found("alice")

    def _on_other(self, one: SimulatedPeer, effect: Effect) -> None:
        if isinstance(effect, Answered):
            self.answers.append(effect)

    def join(self, name: str, files: dict[str, Rows] | None = None) -> SimulatedPeer:
        one = self.simulator.join(name, self.alice)
        for path, rows in (files or {}).items():
            self.put(one, path, rows)
        return one

    def put(self, one: SimulatedPeer, path: str, rows: Rows) -> None:
        """Another file takes the path."""
        self.simulator.folder(one).place(path, lambda at: write_rows(at, rows))
        self.simulator.look(one)

    def change(self, one: SimulatedPeer, path: str, **changes: str | None) -> None:
        """A program changes rows in place; None deletes."""
        at = self.simulator.folder(one).databases()[path]
        rows: dict[str, str | None] = {**read_rows(at), **changes}
        write_rows(at, {key: value for key, value in rows.items() if value is not None})
        self.simulator.touch(one)

    def rows(self, one: SimulatedPeer) -> dict[str, Rows]:
        return {path: read_rows(at) for path, at in self.simulator.folder(one).databases().items()}

    def request(self, one: SimulatedPeer, path: str, *, live: bool) -> None:
        self.simulator.handle(one, DatabaseRequested(len(self.answers) + 1, path, live))

    def worker(self, one: SimulatedPeer) -> PlainRows:
        found = self.simulator.worker(one)
        assert isinstance(found, PlainRows)
        return found

    def settle(self) -> dict[str, Rows]:
        """Peace; what everybody's databases hold."""
        simulator = self.simulator
        assert simulator.settle(LIMIT) < LIMIT, [
            (
                one.name,
                one.peer and (one.peer.in_sync, one.peer.databases(), one.peer.status().problems),
            )
            for one in simulator.peers
        ]
        check_equal(simulator)
        found = self.rows(self.alice)
        for one in simulator.peers:
            assert self.rows(one) == found
        return found

    def entries(self, one: SimulatedPeer) -> list[DatabaseEntry]:
        assert one.peer is not None
        return one.peer.databases()

    def asked(self, one: SimulatedPeer, *kinds: type) -> list[object]:
        return [
            request
            for index, request in self.simulator.asked
            if index == one.index and isinstance(request, kinds)
        ]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    pool = Pool(tmp_path)
    yield pool
    pool.simulator.close()


def two(pool: Pool, **rows: str) -> SimulatedPeer:
    """Alice's database x.db, and bob, who has it, too."""
    pool.put(pool.alice, "x.db", rows or {"a": "1"})
    bob = pool.join("bob")
    assert pool.settle() == {"x.db": rows or {"a": "1"}}
    return bob


def test_a_newcomer_gets_the_database_as_it_began_and_what_came_since(pool: Pool):
    pool.put(pool.alice, "x.db", {"a": "1"})
    pool.settle()
    pool.change(pool.alice, "x.db", a="2", b="3")
    pool.settle()
    bob = pool.join("bob")

    assert pool.settle() == {"x.db": {"a": "2", "b": "3"}}
    assert [entry.state for entry in pool.entries(bob)] == ["live"]
    check_quiet(pool.simulator)
    check_restart(pool.simulator)


def test_changes_go_both_ways(pool: Pool):
    bob = two(pool)
    pool.change(pool.alice, "x.db", a="2")
    pool.change(bob, "x.db", b="3")
    assert pool.settle() == {"x.db": {"a": "2", "b": "3"}}

    pool.change(bob, "x.db", a=None)
    assert pool.settle() == {"x.db": {"b": "3"}}


def test_changes_made_apart_merge(pool: Pool):
    bob = two(pool)
    pool.simulator.partition([pool.alice], [bob])
    pool.change(pool.alice, "x.db", a="2", c="alice")
    pool.change(bob, "x.db", b="3", c="bob")
    pool.simulator.run(5)
    pool.simulator.mend()
    rows = pool.settle()["x.db"]

    assert {key: rows[key] for key in "ab"} == {"a": "2", "b": "3"}
    assert rows["c"] in ("alice", "bob")


def test_two_who_import_equal_files_have_one(pool: Pool):
    bob = pool.join("bob")
    pool.settle()
    pool.simulator.partition([pool.alice], [bob])
    pool.put(pool.alice, "x.db", {"a": "1"})
    pool.put(bob, "x.db", {"a": "1"})
    pool.simulator.run(pool.simulator.now + 5)
    pool.change(bob, "x.db", b="2")
    pool.simulator.run(pool.simulator.now + 5)
    pool.simulator.mend()

    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}
    assert pool.asked(bob, ExportDatabase) == []


def test_a_newcomer_who_brings_the_file_keeps_it(pool: Pool):
    pool.put(pool.alice, "x.db", {"a": "1"})
    pool.settle()
    pool.change(pool.alice, "x.db", b="2")
    pool.settle()
    bob = pool.join("bob", {"x.db": {"a": "1"}})

    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}
    assert pool.asked(bob, ExportDatabase) == []


def test_two_databases_at_one_path_are_both_kept(pool: Pool):
    bob = pool.join("bob")
    pool.settle()
    pool.simulator.partition([pool.alice], [bob])
    pool.put(pool.alice, "x.db", {"a": "1"})
    pool.put(bob, "x.db", {"b": "2"})
    pool.simulator.run(pool.simulator.now + 5)
    pool.simulator.mend()
    found = pool.settle()

    assert sorted(map(str, found.values())) == ["{'a': '1'}", "{'b': '2'}"]
    for path, rows in found.items():
        pool.change(bob, path, c=path)
        assert pool.settle()[path] == {**rows, "c": path}


def test_the_second_takes_the_place_of_the_first_when_that_is_removed(pool: Pool):
    bob = pool.join("bob")
    pool.settle()
    pool.simulator.partition([pool.alice], [bob])
    pool.put(pool.alice, "x.db", {"a": "1"})
    pool.put(bob, "x.db", {"b": "2"})
    pool.simulator.run(pool.simulator.now + 5)
    pool.simulator.mend()
    left = next(rows for path, rows in pool.settle().items() if path != "x.db")
    pool.simulator.folder(bob).delete("x.db")
    pool.simulator.look(bob)

    assert pool.settle() == {"x.db": left}
    assert len(pool.asked(pool.alice, ExportDatabase)) <= 1


def test_a_rename_takes_the_database_along(pool: Pool):
    bob = two(pool)
    pool.simulator.folder(pool.alice).move("x.db", "d/y.db")
    pool.simulator.look(pool.alice)
    pool.change(pool.alice, "d/y.db", b="2")
    assert pool.settle() == {"d/y.db": {"a": "1", "b": "2"}}

    pool.change(bob, "d/y.db", c="3")
    pool.change(pool.alice, "d/y.db", d="4")
    assert pool.settle() == {"d/y.db": {"a": "1", "b": "2", "c": "3", "d": "4"}}
    assert len(pool.asked(bob, ExportDatabase)) == 1
    check_restart(pool.simulator)


def test_what_programs_wrote_before_a_rename_arrives_is_captured(pool: Pool):
    bob = two(pool)
    pool.simulator.partition([pool.alice], [bob])
    pool.simulator.folder(pool.alice).move("x.db", "y.db")
    pool.simulator.look(pool.alice)
    at = pool.simulator.folder(bob).databases()["x.db"]
    pool.simulator.run(pool.simulator.now + 2)
    write_rows(at, {"a": "1", "b": "2"})  # nobody looked at it since
    pool.simulator.mend()

    assert pool.settle() == {"y.db": {"a": "1", "b": "2"}}


def test_a_removed_database_goes_everywhere(pool: Pool):
    two(pool)
    pool.change(pool.alice, "x.db", b="2")
    pool.settle()
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)

    assert pool.settle() == {}
    check_quiet(pool.simulator)


def test_what_was_written_just_before_a_removal_does_not_bring_it_back(pool: Pool):
    two(pool)
    pool.change(pool.alice, "x.db", b="2")
    pool.simulator.run(pool.simulator.now + 0.003)
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.handle(pool.alice, pool.simulator.folder(pool.alice).scan())

    assert pool.settle() == {}


def test_a_concurrent_change_beats_a_removal(pool: Pool):
    bob = two(pool)
    pool.simulator.partition([pool.alice], [bob])
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)
    pool.change(bob, "x.db", b="2")
    pool.simulator.run(pool.simulator.now + 5)
    pool.simulator.mend()

    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}
    pool.change(pool.alice, "x.db", c="3")
    assert pool.settle() == {"x.db": {"a": "1", "b": "2", "c": "3"}}


def test_a_change_that_nobody_captured_yet_beats_a_removal(pool: Pool):
    bob = two(pool)
    pool.simulator.partition([pool.alice], [bob])
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)
    write_rows(pool.simulator.folder(bob).databases()["x.db"], {"a": "1", "b": "2"})
    pool.simulator.run(pool.simulator.now + 2)
    pool.simulator.mend()

    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}


def test_a_removal_while_the_node_was_down_covers_what_the_file_had(pool: Pool):
    bob = two(pool)
    pool.change(bob, "x.db", b="2")
    pool.settle()
    pool.simulator.crash(pool.alice)
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.restart(pool.alice)

    assert pool.settle() == {}


def test_a_file_put_in_its_place_is_a_change_of_rows(pool: Pool):
    bob = two(pool, a="1", b="2")
    pool.put(bob, "x.db", {"b": "3", "c": "4"})
    assert pool.settle() == {"x.db": {"b": "3", "c": "4"}}

    pool.change(pool.alice, "x.db", d="5")
    assert pool.settle() == {"x.db": {"b": "3", "c": "4", "d": "5"}}


def test_a_text_put_in_its_place_replaces_it(pool: Pool):
    bob = two(pool)
    pool.simulator.folder(pool.alice).write("x.db", b"no database any more\n")
    pool.simulator.look(pool.alice)

    assert pool.settle() == {}
    assert pool.simulator.folder(bob).files() == {"x.db": b"no database any more\n"}


def test_a_database_put_in_the_place_of_a_text_replaces_it(pool: Pool):
    bob = pool.join("bob")
    pool.simulator.folder(pool.alice).write("x.db", b"a text\n")
    pool.simulator.look(pool.alice)
    pool.settle()
    pool.put(bob, "x.db", {"a": "1"})

    assert pool.settle() == {"x.db": {"a": "1"}}
    assert pool.simulator.folder(pool.alice).files() == {}


def test_what_cannot_be_live_stays_a_file_and_says_why(pool: Pool):
    bob = pool.join("bob")
    pool.put(pool.alice, "x.db", {"a": "refuse"})

    assert pool.settle() == {}
    assert list(pool.simulator.folder(bob).files()) == ["x.db"]
    assert pool.alice.peer is not None
    assert [problem.text for problem in pool.alice.peer.status().problems] == ["It cannot be live."]
    assert [(one.state, one.problem) for one in pool.entries(pool.alice)] == [
        ("refused", "It cannot be live.")
    ]


def test_off_makes_it_an_ordinary_file_and_on_a_database_again(pool: Pool):
    bob = two(pool)
    pool.request(bob, "x.db", live=False)
    assert pool.settle() == {}
    files = pool.simulator.folder(pool.alice).files()
    assert files == pool.simulator.folder(bob).files()
    assert list(files) == ["x.db"]
    assert [entry.state for entry in pool.entries(pool.alice)] == ["off"]
    check_restart(pool.simulator)

    pool.request(pool.alice, "x.db", live=True)
    assert pool.settle() == {"x.db": {"a": "1"}}
    pool.change(bob, "x.db", b="2")
    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}
    assert [answer.problem for answer in pool.answers] == ["", ""]


def test_off_and_a_concurrent_change_keep_both(pool: Pool):
    bob = two(pool)
    pool.simulator.partition([pool.alice], [bob])
    pool.request(pool.alice, "x.db", live=False)
    pool.change(bob, "x.db", b="2")
    pool.simulator.run(pool.simulator.now + 5)
    pool.simulator.mend()

    assert list(pool.settle().values()) == [{"a": "1", "b": "2"}]
    assert len(pool.simulator.folder(bob).files()) == 1


@pytest.mark.parametrize(
    ("path", "live", "problem"),
    [
        ("y.db", False, "No file of this folder is y.db."),
        ("t.txt", False, "t.txt is no live database."),
        ("t.txt", True, "t.txt is no SQLite database."),
        ("x.db", True, ""),
    ],
)
def test_requests_that_change_nothing(pool: Pool, path: str, live: bool, problem: str):
    pool.simulator.folder(pool.alice).write("t.txt", b"text\n")
    two(pool)
    pool.request(pool.alice, path, live=live)
    pool.settle()

    assert [answer.problem for answer in pool.answers] == [problem]


def test_a_file_that_a_program_has_open_is_not_turned_off(pool: Pool):
    two(pool)
    pool.worker(pool.alice).busy.add("x.db")
    pool.request(pool.alice, "x.db", live=False)

    assert pool.settle() == {"x.db": {"a": "1"}}
    assert [answer.problem for answer in pool.answers] == [
        "A program has x.db open; close it and try again."
    ]


def broken(pool: Pool, one: SimulatedPeer, path: str) -> None:
    pool.simulator.crash_rows(one)
    pool.worker(one).broken.add(path)
    pool.simulator.run(pool.simulator.now + 5)


def test_a_damaged_database_says_so_and_is_tried_again(pool: Pool):
    bob = two(pool)
    broken(pool, bob, "x.db")
    pool.change(pool.alice, "x.db", b="2")
    pool.simulator.run(pool.simulator.now + 5)
    assert bob.peer is not None
    assert [one.text for one in bob.peer.status().problems] == ["It is damaged."]
    assert [(one.kind, one.problem) for one in bob.peer.files()] == [("database", "It is damaged.")]
    assert not bob.peer.in_sync

    pool.worker(bob).broken.clear()
    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}
    assert bob.peer.status().problems == ()


def test_a_damaged_database_can_be_turned_off(pool: Pool):
    bob = two(pool)
    broken(pool, bob, "x.db")
    pool.request(bob, "x.db", live=False)

    assert pool.settle() == {}
    assert [answer.problem for answer in pool.answers] == [""]


def test_a_damaged_database_can_be_removed_by_others(pool: Pool):
    bob = two(pool)
    broken(pool, bob, "x.db")
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)

    assert pool.settle() == {}


def test_a_database_that_was_given_up_comes_back_when_a_person_says_so(pool: Pool):
    bob = two(pool)
    pool.simulator.crash_rows(bob)
    pool.worker(bob).given_up.add(bytes.fromhex(pool.entries(bob)[0].version))
    pool.change(pool.alice, "x.db", b="2")
    pool.simulator.run(pool.simulator.now + 5)
    assert bob.peer is not None
    assert [one.text for one in bob.peer.status().problems] == ["It crashed too often."]
    pool.simulator.crash_rows(bob)
    pool.worker(bob).given_up.add(bytes.fromhex(pool.entries(bob)[0].version))
    pool.simulator.run(pool.simulator.now + 5)
    pool.request(bob, "x.db", live=True)

    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}
    assert [answer.problem for answer in pool.answers] == [""]
    assert bob.peer.status().problems == ()


def test_a_removal_waits_for_programs_that_have_it_open(pool: Pool):
    bob = two(pool)
    pool.worker(bob).busy.add("x.db")
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)
    pool.simulator.run(pool.simulator.now + 10)
    assert pool.rows(bob) == {"x.db": {"a": "1"}}

    pool.worker(bob).busy.clear()
    assert pool.settle() == {}


def test_a_new_rows_process_goes_on(pool: Pool):
    bob = two(pool)
    pool.simulator.crash_rows(bob)
    pool.change(pool.alice, "x.db", b="2")
    assert pool.settle() == {"x.db": {"a": "1", "b": "2"}}

    pool.simulator.crash_rows(pool.alice)
    pool.change(pool.alice, "x.db", c="3")
    assert pool.settle() == {"x.db": {"a": "1", "b": "2", "c": "3"}}


def test_lost_states_are_made_anew_from_the_log(pool: Pool):
    bob = two(pool)
    pool.change(bob, "x.db", b="2")
    pool.change(pool.alice, "x.db", c="3")
    pool.settle()
    pool.simulator.crash(bob)
    pool.simulator.forget_states(bob)
    assert pool.alice.peer is not None
    heads = pool.alice.peer.status().heads
    pool.simulator.restart(bob)

    assert pool.settle() == {"x.db": {"a": "1", "b": "2", "c": "3"}}
    assert pool.alice.peer.status().heads == heads


def test_a_capture_told_twice_is_written_once(pool: Pool):
    two(pool)
    version = bytes.fromhex(pool.entries(pool.alice)[0].version)
    told = RowsReported((RowsCaptured(version, 99, (b'{"b": "2"}',)),))
    pool.simulator.handle(pool.alice, told)
    assert pool.alice.peer is not None
    heads = pool.alice.peer.status().heads
    pool.simulator.handle(pool.alice, told)

    assert pool.alice.peer.status().heads == heads
    one, other = pool.asked(pool.alice, RowsSigned)[-2:]
    assert one == other


def test_a_pool_without_databases_asks_for_nothing(pool: Pool):
    pool.simulator.folder(pool.alice).write("a.txt", b"text\n")
    pool.join("bob")
    pool.settle()

    assert pool.simulator.asked == []


def test_a_file_is_attached_once(pool: Pool):
    bob = two(pool)
    pool.change(bob, "x.db", b="2")
    pool.settle()

    assert len(pool.asked(bob, AttachDatabase)) == 1
    assert pool.asked(bob, DetachDatabase) == []
