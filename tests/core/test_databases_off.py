"""Databases that are ordinary files for everybody, or for one of us: they rest where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat.core.events import RowsReported
from meerkat.core.rows import DatabaseRefused, DatabaseState, ImportDatabase, RowsRequest
from meerkat.testing.simulator import SimulatedPeer
from tests.core.plain_rows import PlainRows
from tests.core.test_databases import Pool, two
from tests.simulation.invariants import check_restart

OPERATIONS = 20  # that a few switches may take; without an end there were ten a second


class Moody(PlainRows):
    """Refuses everything while ``refuses``, say for the want of memory."""

    refuses = False

    def tell(self, request: RowsRequest) -> None:
        if self.refuses and isinstance(request, ImportDatabase):
            self._report(DatabaseRefused(request.ticket, request.path, "Not today."))
        else:
            super().tell(request)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    pool = Pool(tmp_path, Moody)
    yield pool
    pool.simulator.close()


def files(pool: Pool, one: SimulatedPeer) -> list[str]:
    return list(pool.simulator.folder(one).files())


def operations(one: SimulatedPeer) -> int:
    assert one.peer is not None
    return sum(one.peer.status().heads.values())


def apart(pool: Pool) -> tuple[SimulatedPeer, str]:
    """Bob, and the name of the second of two databases at one path."""
    bob = pool.join("bob")
    pool.settle()
    pool.simulator.partition([pool.alice], [bob])
    pool.put(pool.alice, "x.db", {"a": "1"})
    pool.put(bob, "x.db", {"b": "2"})
    pool.simulator.run(pool.simulator.now + 5)
    pool.simulator.mend()
    (copy,) = [path for path in pool.settle() if path != "x.db"]
    return bob, copy


def test_off_holds_for_a_file_beside_the_path_where_it_belongs(pool: Pool):
    bob, copy = apart(pool)

    pool.request(bob, copy, live=False)

    assert list(pool.settle()) == ["x.db"]
    assert files(pool, bob) == [copy]
    check_restart(pool.simulator)
    pool.change(bob, "x.db", c="3")
    assert pool.settle()["x.db"]["c"] == "3"

    pool.request(pool.alice, copy, live=True)
    assert set(pool.settle()) == {"x.db", copy}


def test_a_file_that_is_off_takes_the_path_of_a_live_one_that_goes(pool: Pool):
    bob, copy = apart(pool)
    pool.request(bob, copy, live=False)
    pool.settle()

    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)

    assert pool.settle() == {}
    assert files(pool, bob) == ["x.db"]


def test_a_file_that_is_off_and_removed_does_not_come_back(pool: Pool):
    bob = two(pool)
    pool.request(bob, "x.db", live=False)
    pool.settle()

    pool.simulator.folder(pool.alice).delete("x.db")
    pool.simulator.look(pool.alice)

    assert pool.settle() == {}
    assert files(pool, bob) == []


def test_a_file_that_is_off_may_be_renamed(pool: Pool):
    bob = two(pool)
    pool.request(bob, "x.db", live=False)
    pool.settle()

    pool.simulator.folder(pool.alice).move("x.db", "y.db")
    pool.simulator.look(pool.alice)

    assert pool.settle() == {}
    assert files(pool, bob) == ["y.db"]
    pool.put(bob, "x.db", {"c": "3"})
    assert pool.settle() == {"x.db": {"c": "3"}}


def test_what_one_refuses_and_another_takes_in_is_live_for_both(pool: Pool):
    bob = pool.join("bob")
    pool.settle()
    worker = pool.worker(pool.alice)
    assert isinstance(worker, Moody)
    worker.refuses = True

    pool.put(pool.alice, "x.db", {"a": "1"})
    assert pool.settle() == {}
    pool.request(bob, "x.db", live=True)

    assert pool.settle() == {"x.db": {"a": "1"}}
    assert operations(bob) < OPERATIONS
    assert [entry.state for entry in pool.entries(pool.alice)] == ["live"]


def test_what_an_earlier_rows_process_complained_of_is_forgotten_with_it(pool: Pool):
    bob = two(pool)
    version = bytes.fromhex(pool.entries(bob)[0].version)
    pool.simulator.handle(bob, RowsReported((DatabaseState(version, "It is not there.", 0),)))
    assert bob.peer is not None
    assert [one.text for one in bob.peer.status().problems] == ["It is not there."]

    pool.simulator.crash_rows(bob)

    assert pool.settle() == {"x.db": {"a": "1"}}
    assert bob.peer.status().problems == ()
