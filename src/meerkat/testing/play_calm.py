"""Steps of a scenario in which nothing bad happens: joining, resting, telling."""

from __future__ import annotations

from . import overlay_measures as measures
from .overlay_measures import Graph, components, largest_share, mean, percentile
from .overlay_pool import Spread, pick
from .overlay_world import ENOUGH_LINKS
from .play import SLICES, Figures, Play, Run, percent
from .scenario import Broadcast, Direct, Join, Measure, Rest

__all__ = ["broadcast", "direct", "join", "look", "rest"]

SPREAD_FOR = 5.0  # s until a broadcast counts as over
BEFORE_NOTICE = 0.95  # s in which nobody has noticed a death yet
NAT_LINKS = 3  # links that make a peer behind NAT well linked (the anchors' column)
JOIN_PART = 0.8  # of the step's progress; the rest is settling
ANCHORS_RATE = 20.0  # joins a second, of the anchors' table "after everyone joined"


def join(play: Play, step: Join) -> Run:
    """See ``Join``."""
    pool, count = play.pool, play.scenario.peers - step.pools
    pool.liars = step.liars
    play.entries = [pool.enter(None) for _ in range(step.pools)]
    play.groups = {node.index: number for number, node in enumerate(play.entries)}
    outward = set(pool.rng.sample(range(count), round(step.nat * count)))
    hostile = set(pool.rng.sample(range(count), round(step.hostile * count)))
    start, slice_ = play.now, max(count // SLICES, 1)
    for number in range(count):
        pool.world.run(start + number / step.rate)
        way = number % step.pools
        node = pool.enter(
            play.entries[way], dialable=number not in outward, hostile=number in hostile
        )
        play.groups[node.index] = way
        if number % slice_ == slice_ - 1:
            yield play.look("join", JOIN_PART * (number + 1) / count)
    play.wait(1.0)  # the last one's requests are still walking
    requests = _requests(play)
    yield from play.wait_and_look("settle", step.settle, JOIN_PART)
    graph = pool.graph()
    figures = play.shape(graph) | requests | _join_times(play)
    if step.rate == ANCHORS_RATE:
        yield play.found("joined", "", figures)
    else:
        yield play.found("rate", f"{step.rate:g}/s", figures)
    if outward:
        yield play.found("nat", percent(step.nat), _behind_nat(play, graph))
    if hostile:
        yield play.found("greedy", percent(step.hostile), _captured(play, graph))


def _requests(play: Play) -> Figures:
    nodes, joins = play.pool.world.nodes, play.scenario.peers - len(play.entries)
    return {
        "entry_requests": sum(entry.requests for entry in play.entries) / joins,
        "request_hops": sum(node.requests for node in nodes) / joins,
    }


def _join_times(play: Play) -> Figures:
    times = [
        1000 * (node.linked_at - node.started_at)
        for node in play.pool.world.nodes[2 * ENOUGH_LINKS * len(play.entries) :]
        if node.linked_at is not None and not node.hostile  # the first ones had nobody to link to
    ]
    return {"join_ms_p50": percentile(times, 0.5), "join_ms_p99": percentile(times, 0.99)}


def _behind_nat(play: Play, graph: Graph) -> Figures:
    nodes, main = play.pool.world.nodes, set(components(graph)[0])
    inner = [index for index in graph if not nodes[index].dialable]
    outer = [len(graph[index]) for index in graph if nodes[index].dialable]
    return {
        "nat_in_main": 100.0 * mean(index in main for index in inner),
        "nat_3_links": 100.0 * mean(len(graph[index]) >= NAT_LINKS for index in inner),
        "public_degree_mean": mean(outer),
        "public_degree_max": max(outer),
    }


def _captured(play: Play, graph: Graph) -> Figures:
    hostile = {index for index in graph if play.pool.world.nodes[index].hostile}
    honest = {index: others for index, others in graph.items() if index not in hostile}
    taken = {index: sum(one in hostile for one in others) for index, others in honest.items()}
    return {
        "captured": 100.0 * sum(taken.values()) / max(sum(map(len, honest.values())), 1),
        "eclipsed": 100.0 * mean(taken[index] == len(honest[index]) for index in honest),
        "honest_largest": largest_share(measures.without(graph, hostile)),
        "hostile_degree": mean(len(graph[index]) for index in hostile),
    }


def rest(play: Play, step: Rest) -> Run:
    """See ``Rest``."""
    yield from play.wait_and_look("rest", step.seconds)


def look(play: Play, _: Measure) -> Run:
    """See ``Measure``."""
    yield play.found("joined", "", play.shape(play.pool.graph()))


def broadcast(play: Play, step: Broadcast) -> Run:
    """See ``Broadcast``."""
    pool = play.pool
    sender = pool.rng.choice(pool.alive)
    total, control = step.warm_up + step.count, 0
    spreads: list[Spread] = []
    for number in range(total):
        if number == step.warm_up:
            play.wait(SPREAD_FOR)
            control = pool.control_count()
        if step.senders == "random":
            sender = pool.rng.choice(pool.alive)
        spreads.append(pool.publish(sender))
        play.wait(step.gap)
        if number % max(total // SLICES, 1) == 0:
            yield play.look("broadcast", number / total)
    play.wait(SPREAD_FOR)
    counted = spreads[step.warm_up :]
    play.spreads += counted
    each = (pool.control_count() - control) / len(pool.alive) / step.count
    yield play.found("broadcast", f"tree {step.senders}", play.spread(counted) | {"control": each})


def direct(play: Play, step: Direct) -> Run:
    """See ``Direct``. Whoever gets one has published before, so that the others know a way."""
    pool = play.pool
    alive = pool.alive
    targets = [pool.rng.choice(alive) for _ in range(step.count)]
    for number, target in enumerate(targets):
        pool.publish(target)
        play.wait(0.1)
        if number % max(step.count // SLICES, 1) == 0:
            yield play.look("direct", 0.5 * number / step.count)
    play.wait(SPREAD_FOR)
    spared = {target.index for target in targets}
    dying = pick(pool.rng, [node for node in alive if node.index not in spared], step.dead)
    pool.world.kill(dying)
    alive = pool.alive
    senders = [pool.rng.choice([one for one in alive if one is not target]) for target in targets]
    letters = [pool.write(node, target) for node, target in zip(senders, targets, strict=True)]
    yield from play.wait_and_look("direct", SPREAD_FOR * 2, 0.5)
    arrived = [one for one in letters if one.hops is not None]
    figures: Figures = {
        "intact": 100.0 * mean(one.hops == one.messages for one in letters),
        "delivered": 100.0 * mean(one.hops is not None and not one.flooded for one in letters),
        "hops": mean(one.hops or 0 for one in arrived),
        "messages_each": mean(one.messages for one in letters),
        "delivered_in_the_end": 100.0 * len(arrived) / len(letters),
    }
    yield play.found("direct", percent(step.dead), figures)
