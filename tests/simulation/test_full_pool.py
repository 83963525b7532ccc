"""Whole peers under a scenario: those of a populated pool come back, save files, die and part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meerkat.core.signing import SigningKey, remember, verify
from meerkat.testing.full_pool import FullPool, check_overlay, full_play
from meerkat.testing.overlay_measures import components
from meerkat.testing.play import Figures, Play
from meerkat.testing.play_scenario import play_all, run
from meerkat.testing.scenario import (
    Broadcast,
    Join,
    Kill,
    Partition,
    Save,
    Scenario,
    ScenarioError,
    Step,
    load,
)
from meerkat.testing.simulator import Simulator

PEERS = 24
JOIN = Join(rate=50.0, settle=10.0)


@pytest.fixture(autouse=True)
def _check_every_signature_afterwards() -> Iterator[None]:
    yield
    remember(0)


def played(*steps: Step, peers: int = PEERS, seed: int = 1, residents: bool = True) -> Play:
    play = full_play(Scenario("test", steps, peers=peers, seed=seed), residents=residents)
    run(play)
    return play


def found(play: Play, table: str) -> Figures:
    return next(one.figures for one in play.findings if one.table == table)


def files_of(play: Play) -> FullPool:
    pool: object = play.pool
    assert isinstance(pool, FullPool)
    return pool


def test_members_come_back_through_one_entry_and_build_the_overlay():
    play = played(JOIN)

    graph = play.pool.graph()
    assert len(graph) == PEERS
    assert len(components(graph)) == 1
    assert all(len(others) >= 5 for others in graph.values())
    assert float(found(play, "rate")["entry_requests"]) > 0.0, "they found each other by JOIN_REQ"


def test_a_populated_pool_has_the_log_that_true_entries_leave():
    entered, populated = Simulator(seed=2), Simulator(seed=3)
    founder = entered.found("peer0")
    for number in range(1, 6):
        entered.join(f"peer{number}", founder)
    entered.settle()
    for one in populated.populate(6):
        populated.restart(one)
    populated.settle()

    for simulator in (entered, populated):
        heads = [one.store.heads() for one in simulator.peers]
        assert all(one == heads[0] for one in heads)
        assert sorted(head.sequence for head in heads[0].values()) == [1, 1, 1, 1, 1, 6]
        assert simulator.converged()


def test_text_and_binary_reach_every_folder():
    play = played(JOIN, Save(size=500), Save(size=700_000, kind="binary"))

    pool = files_of(play)
    assert {one.table for one in play.findings} == {"rate", "save"}
    for finding in play.findings[1:]:
        assert finding.figures["held"] == finding.figures["equal"] == 100.0
        assert finding.figures["in_sync"] == 100.0
        assert 0.0 < float(finding.figures["held_last"]) < 5.0
    sizes = [sorted(map(len, node.one.folder.files().values())) for node in pool.alive]
    assert sizes == [[500, 700_000]] * PEERS


def test_half_die_and_what_is_saved_afterwards_reaches_the_others():
    play = played(JOIN, Save(), Kill(share=0.5, watch=10.0, warm_up=3), Save())

    last = play.findings[-1]
    assert found(play, "kill")["largest_after"] == 100.0
    assert len(play.pool.alive) == PEERS // 2
    assert (last.table, last.figures["held"], last.figures["equal"]) == ("save", 100.0, 100.0)


def test_parts_that_saved_apart_have_equal_folders_again():
    play = played(JOIN, Save(size=300), Partition(seconds=30.0, watch=20.0, save=True))

    pool, figures = files_of(play), found(play, "partition")
    assert figures["in_parts"] == 100.0
    assert figures["equal"] == figures["in_sync"] == 100.0
    assert float(figures["equal_after"]) < 15.0
    files = pool.alive[0].one.folder.files()
    assert set(files) == {"save 0.txt", "part 0.txt", "part 1.txt"}
    for number in range(2):
        assert f"from part {number}\n".encode() in files["save 0.txt"], "no conflict, both edits"


def test_one_seed_gives_one_run():
    steps = (JOIN, Save(), Broadcast(count=2, warm_up=1))
    traces = [played(*steps, seed=seed).pool.world.trace for seed in (5, 5, 6)]

    assert traces[0] == traces[1] != traces[2]


def test_few_come_in_through_the_door():
    play = played(Join(rate=5.0, settle=10.0), Save(), peers=8, residents=False)

    assert found(play, "save")["held"] == 100.0
    assert len(components(play.pool.graph())) == 1


def test_files_take_whole_peers():
    for steps in ((JOIN, Save()), (JOIN, Partition(seconds=1.0, save=True))):
        with pytest.raises(ScenarioError, match="add the option --full"):
            check_overlay(Scenario("test", steps))
    with pytest.raises(ScenarioError, match="add the option --full"):
        list(play_all(Play.of(Scenario("test", (JOIN, Save()), peers=4))))
    assert load("whole_pool").saves


def test_only_good_signatures_are_remembered_and_only_so_many():
    key = SigningKey(bytes(32))
    good = [(b"%d" % number, key.sign(b"%d" % number)) for number in range(3)]
    remember(2)

    for _ in range(2):
        assert all(verify(key.public, signature, data) for data, signature in good)
        assert not verify(key.public, good[0][1], good[1][0])
        assert not verify(bytes(31), good[0][1], good[0][0])
