"""The overlay of a hundred peers through joins, deaths, partitions and liars: what always holds.

The scenarios that `meerkat simulate` plays, small. Figures are the bench's business
(``bench/overlay.py``); here stand the invariants.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from meerkat.core.neighbors import Kind
from meerkat.testing.overlay_measures import components
from meerkat.testing.overlay_peer import OverlayPeer
from meerkat.testing.overlay_world import Node, WorldConfig
from meerkat.testing.play import Figures, Play
from meerkat.testing.play_scenario import play_all, play_step, run
from meerkat.testing.scenario import (
    Broadcast,
    Churn,
    Direct,
    Join,
    Kill,
    Loss,
    Meet,
    Partition,
    Rest,
    Save,
    Scenario,
    Step,
    load,
    shipped,
)

ROOT = Path(__file__).resolve().parents[2]
PEERS = 40
QUICK = Join(rate=50.0, settle=30.0)


def played(*steps: Step, peers: int = PEERS, seed: int = 1) -> Play:
    play = Play.of(Scenario("test", steps, peers=peers, seed=seed))
    run(play)
    return play


def found(play: Play, table: str) -> Figures:
    return next(one.figures for one in play.findings if one.table == table)


def overlay_peer(node: Node) -> OverlayPeer:
    assert isinstance(node.peer, OverlayPeer)
    return node.peer


def check(play: Play, *, least: int = 5) -> None:
    """What must hold whenever a network has had time to settle."""
    alive = play.pool.alive
    graph = play.pool.graph()
    assert len(components(graph)) == 1, "one component"
    for node in alive:
        if node.hostile:
            continue
        overlay = overlay_peer(node).network.overlay
        kinds = Counter(link.kind for link in overlay.linked)
        assert overlay.degree <= 16, node
        assert kinds[Kind.CLIENT] <= 48, node
        assert node.author not in [link.author for link in overlay.linked], "no link to itself"
        assert len(graph[node.index]) >= min(least, len(alive) - 1), node
        known = {one.author for one in overlay.linked}
        assert len(known) == len(overlay.linked), "one link for each author"
    lines = Counter(
        (line.a.index, line.b.index)
        for node in alive
        for line in node.lines.values()
        if line.a is node and not line.broken
    )
    pairs = Counter(frozenset(pair) for pair in lines.elements())
    assert max(pairs.values()) == 1, "one connection for each pair"
    for index, others in graph.items():
        views = {play.pool.world.by_author[one] for one in _neighbors(play, index)}
        assert {one.index for one in views if one.peer is not None} == set(others), "mutual"


def _neighbors(play: Play, index: int) -> list:
    peer = play.pool.world.nodes[index].peer
    return peer.neighbors() if peer is not None else []


@pytest.mark.parametrize("seed", range(4))
def test_everyone_who_joins_is_linked_and_reached(seed):
    play = played(QUICK, Broadcast(count=5, warm_up=10, gap=0.2), seed=seed)

    check(play)
    assert found(play, "broadcast")["reached"] == 100.0


@pytest.mark.parametrize("peers", [2, 3, 5, 6, 7, 12])
def test_in_a_small_pool_everyone_has_as_many_links_as_there_can_be(peers):
    play = played(QUICK, Broadcast(count=3, warm_up=0, gap=0.2), peers=peers)

    check(play)
    assert found(play, "broadcast")["reached"] == 100.0


def test_a_storm_of_joins_ends_in_one_network():
    play = played(Join(rate=1000.0, settle=30.0), peers=120)

    check(play)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(2))
def test_who_survives_finds_together_again(share, seed):
    play = played(QUICK, Kill(share, watch=30.0, warm_up=5), seed=seed)

    check(play)
    assert found(play, "kill")["to_one"] != "never"
    assert found(play, "tree after kill")["reached_after"] == 100.0


def test_when_all_but_three_die_the_three_are_a_network():
    play = played(QUICK, Kill(0.95, watch=60.0, warm_up=0), peers=60)

    check(play)
    assert len(play.pool.alive) == 3


@pytest.mark.parametrize("seconds", [10.0, 30.0, 120.0, 600.0])
def test_every_partition_heals(seconds):
    play = played(QUICK, Partition(seconds, watch=60.0), peers=30)

    check(play)
    assert found(play, "partition")["in_parts"] == 100.0
    assert found(play, "partition")["to_one"] != "never"


def test_a_partition_into_three_parts_heals():
    play = played(QUICK, Partition(200.0, (0.5, 0.3, 0.2), watch=60.0), peers=30)

    check(play)


def test_two_pools_that_meet_become_one():
    play = played(Join(rate=50.0, pools=2, settle=60.0), Meet(watch=60.0, die=0.0))

    check(play)
    assert float(found(play, "pools")["cross_10"]) >= 1


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_those_who_only_dial_out_are_full_members(share):
    play = played(Join(rate=20.0, nat=share, settle=60.0), Broadcast(count=3, warm_up=10, gap=0.2))

    check(play, least=1)
    assert found(play, "nat")["nat_in_main"] == 100.0
    assert found(play, "broadcast")["reached"] == 100.0


def test_a_few_greedy_members_eclipse_nobody():
    play = played(Join(rate=20.0, hostile=0.05, settle=30.0), peers=80)

    greedy = found(play, "greedy")
    assert greedy["eclipsed"] == 0.0
    assert greedy["honest_largest"] == 100.0


def test_liars_do_not_eclipse_anybody_either():
    play = played(Join(rate=20.0, hostile=0.05, liars=True, settle=30.0), peers=80)

    assert found(play, "greedy")["eclipsed"] == 0.0


def test_churn_leaves_one_network():
    play = played(QUICK, Churn(120.0, 60.0, seconds=180.0, entry_leaves=60.0), Rest(60.0))

    check(play)
    assert float(found(play, "churn")["reached_mean"]) > 95.0


def test_a_network_that_loses_dials_and_links_stays_together():
    play = played(Loss(dials=0.1, breaks=0.002), QUICK, Rest(60.0), Loss(), Rest(30.0))

    check(play)


def test_direct_messages_arrive():
    play = played(QUICK, Direct(20), Direct(20, dead=0.2))

    calm, deadly = [one.figures for one in play.findings if one.table == "direct"]
    assert calm["delivered"] == 100.0
    assert deadly["delivered_in_the_end"] == 100.0


def needs_files(name: str) -> bool:
    return any(isinstance(step, Save) for step in load(name).steps)


@pytest.mark.parametrize("name", [one for one in sorted(shipped()) if not needs_files(one)])
def test_every_shipped_scenario_can_be_played(name):
    scenario = load(name)
    assert scenario.about
    assert scenario.peers >= 1000

    steps = (scenario.steps[0], *map(_shorter, scenario.steps[1:]))
    play = Play.of(Scenario(name, steps, peers=20, seed=scenario.seed))

    assert list(play_all(play))
    assert play.findings


def _shorter(step: Step) -> Step:
    match step:
        case Churn():
            return Churn(step.up, step.down, seconds=60.0, entry_leaves=20.0)
        case Broadcast():
            return Broadcast(2, step.senders, warm_up=2, gap=0.1)
    return step


# -- the same seed, the same run -------------------------------------------------------------

STORY = (
    Join(rate=50.0, nat=0.2, settle=10.0),
    Broadcast(3, "random", warm_up=3, gap=0.2),
    Kill(0.3, watch=5.0, warm_up=0),
    Partition(20.0, watch=10.0),
)


def trace(seed: int, config: WorldConfig | None = None) -> str:
    play = Play.of(Scenario("story", STORY, peers=20, seed=seed), config)
    for step in STORY:
        for _ in play_step(play, step):
            pass
    return play.pool.world.trace


def test_one_seed_gives_one_trace_and_two_give_two():
    assert trace(5) == trace(5)
    assert trace(5) != trace(6)


def test_messages_that_pass_the_wire_change_nothing():
    assert trace(7) == trace(7, WorldConfig(through_wire=True))


def test_the_hash_seed_of_python_changes_nothing():
    program = "from tests.simulation.test_scenarios import trace; print(trace(8))"
    traces = set()
    for hash_seed in ("1", "4711"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        }
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        traces.add(done.stdout.strip())
    assert len(traces) == 1
