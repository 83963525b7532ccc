"""A live database that a rule ignores: not told, not touched, and merged again without the rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat.core.rows import AttachDatabase, ExportDatabase, ImportDatabase
from meerkat.testing.simulator import SimulatedPeer
from tests.core.plain_rows import Rows, write_rows
from tests.core.test_databases import LIMIT, Pool, broken, two
from tests.simulation.invariants import check_quiet

BEGUN = {"a": "1", "b": "2"}


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    pool = Pool(tmp_path)
    yield pool
    pool.simulator.close()


def rule(pool: Pool, one: SimulatedPeer, *paths: str) -> None:
    """From now on these are ignored there, and nothing else."""
    one.folder.ignored = frozenset(paths)
    pool.simulator.look(one)
    if not paths:  # the folder tells that its rules are others
        one.folder.write(".meerkatignore", b"# nothing\n")


def settled(pool: Pool) -> dict[str, dict[str, Rows]]:
    """Peace; the databases of each by name."""
    assert pool.simulator.settle(LIMIT) < LIMIT
    check_quiet(pool.simulator)
    for one in pool.simulator.peers:
        assert one.peer is not None
        assert one.peer.status().problems == ()
        assert one.peer.status().pending_files == 0
    return {one.name: pool.rows(one) for one in pool.simulator.peers}


def ignoring(pool: Pool) -> SimulatedPeer:
    """Bob, who ignores x.db; alice does not."""
    bob = two(pool, **BEGUN)
    rule(pool, bob, "x.db")
    settled(pool)
    return bob


def test_nobody_hears_of_it_and_nobody_writes_to_it(pool: Pool):
    bob = ignoring(pool)
    pool.change(bob, "x.db", a="bob")
    pool.change(pool.alice, "x.db", b="alice")

    assert settled(pool) == {
        "alice": {"x.db": {"a": "1", "b": "alice"}},
        "bob": {"x.db": {"a": "bob", "b": "2"}},
    }
    assert [entry.state for entry in pool.entries(bob)] == ["ignored"]
    assert bob.peer is not None
    assert bob.peer.in_sync


def test_without_the_rule_both_sides_merge(pool: Pool):
    bob = ignoring(pool)
    pool.change(bob, "x.db", a="bob", c="3")
    pool.change(pool.alice, "x.db", b=None, d="4")
    settled(pool)
    rule(pool, bob)

    assert pool.settle() == {"x.db": {"a": "bob", "c": "3", "d": "4"}}
    assert [entry.state for entry in pool.entries(bob)] == ["live"]
    assert len(pool.asked(bob, ExportDatabase)) == 1
    pool.change(bob, "x.db", e="5")
    assert pool.settle() == {"x.db": {"a": "bob", "c": "3", "d": "4", "e": "5"}}


def test_a_program_that_has_it_open_does_not_hold_the_rule_up(pool: Pool):
    bob = two(pool, **BEGUN)
    pool.worker(bob).busy.add("x.db")
    rule(pool, bob, "x.db")
    pool.simulator.run(pool.simulator.now + 1)
    pool.change(bob, "x.db", a="bob")
    pool.change(pool.alice, "x.db", b="alice")

    found = settled(pool)
    assert found["alice"] == {"x.db": {"a": "1", "b": "alice"}}
    assert found["bob"] == {"x.db": {"a": "bob", "b": "2"}}


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_rule_that_came_while_nothing_ran(pool: Pool, restarts: int):
    bob = two(pool, **BEGUN)
    pool.simulator.crash(bob)
    bob.folder.ignored = frozenset({"x.db"})
    write_rows(pool.simulator.folder(bob).databases()["x.db"], {"a": "bob", "b": "2"})
    pool.simulator.restart(bob)
    pool.change(pool.alice, "x.db", b="alice")
    for _ in range(restarts - 1):
        settled(pool)
        pool.simulator.crash(bob)
        pool.simulator.restart(bob)

    found = settled(pool)
    assert found["alice"] == {"x.db": {"a": "1", "b": "alice"}}
    assert found["bob"] == {"x.db": {"a": "bob", "b": "2"}}
    attached = len(pool.asked(bob, AttachDatabase))
    rule(pool, bob)
    assert pool.settle() == {"x.db": {"a": "bob", "b": "alice"}}
    assert attached == 1


def test_a_rule_that_went_while_nothing_ran(pool: Pool):
    bob = ignoring(pool)
    pool.simulator.crash(bob)
    bob.folder.ignored = frozenset()
    pool.change(pool.alice, "x.db", b="alice")
    pool.simulator.run(pool.simulator.now + 1)
    write_rows(pool.simulator.folder(bob).databases()["x.db"], {"a": "bob", "b": "2"})
    pool.simulator.restart(bob)

    assert pool.settle() == {"x.db": {"a": "bob", "b": "alice"}}
    assert len(pool.asked(bob, ImportDatabase)) == 0


@pytest.mark.parametrize("down", [False, True])
def test_what_was_removed_while_it_was_ignored_comes_back(pool: Pool, down: bool):
    bob = ignoring(pool)
    pool.simulator.folder(bob).delete("x.db")
    pool.change(pool.alice, "x.db", b="alice")
    assert settled(pool)["bob"] == {}
    if down:
        pool.simulator.crash(bob)
        bob.folder.ignored = frozenset()
        pool.simulator.restart(bob)
    else:
        rule(pool, bob)

    assert pool.settle() == {"x.db": {"a": "1", "b": "alice"}}


def test_another_file_that_was_put_there_is_a_change_of_rows(pool: Pool):
    bob = ignoring(pool)
    pool.put(bob, "x.db", {"b": "bob"})
    assert settled(pool)["alice"] == {"x.db": BEGUN}
    rule(pool, bob)

    assert pool.settle() == {"x.db": {"b": "bob"}}


def test_what_others_removed_stays_here_and_is_a_file_of_its_own(pool: Pool):
    bob = ignoring(pool)
    pool.change(bob, "x.db", a="bob")
    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)
    found = settled(pool)
    assert found == {"alice": {}, "bob": {"x.db": {"a": "bob", "b": "2"}}}
    rule(pool, bob)

    assert pool.settle() == {"x.db": {"a": "bob", "b": "2"}}


def test_what_others_renamed_arrives_under_its_new_name(pool: Pool):
    bob = ignoring(pool)
    pool.change(bob, "x.db", a="bob")
    pool.simulator.folder(pool.alice).move("x.db", "y.db")
    pool.simulator.look(pool.alice)
    pool.change(pool.alice, "y.db", b="alice")
    found = settled(pool)
    assert found["alice"] == {"y.db": {"a": "1", "b": "alice"}}
    assert found["bob"] == {"x.db": {"a": "bob", "b": "2"}, **found["alice"]}
    rule(pool, bob)

    assert pool.settle() == found["bob"]


def test_what_others_put_in_its_place_arrives_beside_it_without_the_rule(pool: Pool):
    bob = ignoring(pool)
    pool.change(bob, "x.db", a="bob")
    pool.simulator.folder(pool.alice).write("x.db", b"a text\n")
    pool.simulator.look(pool.alice)
    assert settled(pool)["bob"] == {"x.db": {"a": "bob", "b": "2"}}
    rule(pool, bob)

    (rows,) = pool.settle().values()
    assert rows == {"a": "bob", "b": "2"}
    assert b"a text\n" in pool.simulator.folder(bob).files().values()


def test_turning_it_off_is_refused_with_the_reason(pool: Pool):
    bob = ignoring(pool)
    pool.request(bob, "x.db", live=False)

    assert settled(pool)["alice"] == {"x.db": BEGUN}
    assert [answer.problem for answer in pool.answers] == [
        "x.db is ignored here: a rule in .meerkatignore or config.toml names it."
    ]


def test_turning_it_off_elsewhere_does_not_touch_it(pool: Pool):
    bob = ignoring(pool)
    pool.change(bob, "x.db", a="bob")
    pool.request(pool.alice, "x.db", live=False)
    settled(pool)
    theirs, own = (pool.simulator.folder(one).files() for one in (pool.alice, bob))
    assert list(theirs) == list(own) == ["x.db"]
    assert b'"bob"' in own["x.db"]
    rule(pool, bob)

    # What bob had is a file of its own now, and nobody turned that off.
    assert pool.settle() == {"x (conflict from bob).db": {"a": "bob", "b": "2"}}
    found = pool.simulator.folder(pool.alice).files().values()
    assert sorted(found) == sorted([*theirs.values(), b"# nothing\n"])


def test_an_old_copy_that_is_ignored_is_nobodys_deletion(pool: Pool):
    pool.put(pool.alice, "x.db", BEGUN)
    pool.settle()
    bob = pool.join("bob", {"x.db": BEGUN})
    pool.settle()
    pool.change(pool.alice, "x.db", c="3")
    pool.settle()
    pool.simulator.crash(bob)
    pool.simulator.folder(bob).delete("x.db")
    pool.simulator.restart(bob)
    pool.put(bob, "x.db", BEGUN)
    rule(pool, bob, "x.db")
    settled(pool)
    rule(pool, bob)

    for rows in pool.settle().values():
        assert rows.items() >= BEGUN.items()


def test_a_damaged_one_is_no_problem_any_more(pool: Pool):
    bob = two(pool, **BEGUN)
    broken(pool, bob, "x.db")
    assert bob.peer is not None
    assert bob.peer.status().problems
    rule(pool, bob, "x.db")
    settled(pool)
    assert [(one.state, one.problem) for one in pool.entries(bob)] == [("ignored", "")]
    pool.worker(bob).broken.clear()
    rule(pool, bob)

    assert pool.settle() == {"x.db": BEGUN}


def test_one_that_is_ignored_from_the_start_is_listed_so(pool: Pool):
    pool.put(pool.alice, "x.db", BEGUN)
    pool.settle()
    bob = pool.join("bob")
    bob.folder.ignored = frozenset({"x.db"})

    assert settled(pool)["bob"] == {}
    assert [entry.state for entry in pool.entries(bob)] == ["ignored"]


def test_a_rule_and_its_end_while_it_is_imported(pool: Pool):
    pool.put(pool.alice, "x.db", BEGUN)
    pool.simulator.run(pool.simulator.now + 0.002)
    rule(pool, pool.alice, "x.db")
    bob = pool.join("bob")
    settled(pool)
    rule(pool, pool.alice)

    assert pool.settle() == {"x.db": BEGUN}
    assert bob.peer is not None
