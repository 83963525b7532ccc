"""Steps of a scenario in which something breaks: deaths, churn, partitions, loss, first contact."""

from __future__ import annotations

from dataclasses import replace

from meerkat.core.events import Discovered

from . import overlay_measures as measures
from . import play_save
from .overlay_measures import components, largest_share, mean, reached_share
from .overlay_pool import pick
from .overlay_world import Node
from .play import LOOK_EVERY, NEVER, WHOLE, Figures, Play, Progress, Run, percent
from .play_calm import BEFORE_NOTICE, SPREAD_FOR
from .scenario import Churn, Kill, Loss, Meet, Partition

__all__ = ["churn", "kill", "lose", "meet", "partition"]

WARM_GAP = 0.5  # s between the broadcasts before a kill
AFTERWARDS = 10  # broadcasts that tell whether the trees healed, too
CHURN_LOOKS = 180  # of one churn
LATE = 2 / 3  # of a churn's time is over: the last column of the anchors


def kill(play: Play, step: Kill) -> Run:
    """See ``Kill``. One broadcast goes out in the same instant."""
    pool, entry = play.pool, play.entries[0]
    for _ in range(step.warm_up):
        pool.publish(pool.rng.choice(pool.alive))
        play.wait(WARM_GAP)
    play.wait(SPREAD_FOR if step.warm_up else 0.0)
    yield play.look("kill", 0.0)
    start, alive = play.now, pool.alive
    dying = pick(pool.rng, alive, step.share)[: len(alive) - 1]  # somebody is left to look at
    if step.entry and dying and entry.peer is not None and entry not in dying:
        dying[0] = entry
    pool.world.kill(dying)
    before, messages = pool.graph(), pool.message_count()
    yield play.look("kill", 0.0, before)
    spread = pool.publish(pool.rng.choice(pool.alive))
    play.wait(BEFORE_NOTICE)
    at_once = play.spread([spread])
    to_99, to_one = yield from play.heal("kill", step.watch - BEFORE_NOTICE, start)
    # What never fell apart is one at the first look, as the anchors count.
    to_99 = LOOK_EVERY if largest_share(before) >= WHOLE else to_99
    to_one = LOOK_EVERY if len(components(before)) == 1 else to_one
    after = pool.graph()
    degrees = [len(others) for others in after.values()] or [0]
    figures: Figures = {
        "largest_before": largest_share(before),
        "reached_before": reached_share(before),
        "largest_after": largest_share(after),
        "reached_after": reached_share(after),
        "to_99": to_99,
        "to_one": to_one,
        "messages": (pool.message_count() - messages) / max(len(after), 1),
        "degree_mean": mean(degrees),
        "degree_max": max(degrees),
    }
    yield play.found("kill", percent(step.share), figures)
    again = _broadcasts(play)
    figures = {
        "reached_before": at_once["reached"],
        "rmr_before": at_once["rmr"],
        "last_ms_before": at_once["last_ms"],
        "reached_after": again["reached"],
        "rmr_after": again["rmr"],
        "last_hop_after": again["last_hop"],
        "last_ms_after": again["last_ms"],
    }
    yield play.found("tree after kill", percent(step.share), figures)


def _broadcasts(play: Play) -> Figures:
    spreads = []
    for _ in range(AFTERWARDS):
        spreads.append(play.pool.publish(play.pool.rng.choice(play.pool.alive)))
        play.wait(1.0)
    play.wait(SPREAD_FOR)
    return play.spread(spreads)


def churn(play: Play, step: Churn) -> Run:
    """See ``Churn``."""
    pool, world, rng = play.pool, play.pool.world, play.pool.rng
    start, entry = play.now, play.entries[0]
    over = start + step.seconds

    def live(node: Node) -> None:
        world.call_at(world.now + rng.expovariate(1 / step.up), lambda: die(node))

    def die(node: Node) -> None:
        if world.now < over and node.peer is not None:
            world.kill([node])
            world.call_at(world.now + rng.expovariate(1 / step.down), lambda: rise(node))

    def rise(node: Node) -> None:
        if world.now < over and node.peer is None:
            pool.come_back(node)
            live(node)

    for node in pool.alive:
        if node is not entry:
            live(node)
    if step.entry_leaves is not None:
        world.call_at(start + step.entry_leaves, lambda: world.kill([entry]))
    messages = pool.message_count()
    reached: list[float] = []
    seen: list[Progress] = []
    for look in range(1, CHURN_LOOKS + 1):
        world.run(start + step.seconds * look / CHURN_LOOKS)
        graph = pool.graph()
        reached.append(reached_share(graph))
        seen.append(play.look("churn", look / CHURN_LOOKS, graph))
        yield seen[-1]
    alive = mean(one.sample.alive for one in seen)
    figures: Figures = {
        "alive": alive,
        "reached_mean": mean(reached),
        "reached_worst": min(reached),
        "reached_after_20": mean(reached[int(LATE * CHURN_LOOKS) :]),
        "links": mean(one.sample.links for one in seen),
        "messages_per_s": (pool.message_count() - messages) / max(alive * step.seconds, 1.0),
        "degree_max": max(map(len, pool.graph().values()), default=0),
    }
    yield play.found("churn", f"{step.up:g}/{step.down:g} s", figures)


def partition(play: Play, step: Partition) -> Run:
    """See ``Partition``."""
    pool, world = play.pool, play.pool.world
    parts = _parts(play, step)
    group = {node.index: number for number, part in enumerate(parts) for node in part}
    world.partition(parts)
    if step.save:
        play_save.save_apart(play, parts)
    yield from play.wait_and_look("partition", step.seconds)
    graph = pool.graph()
    whole = 0
    for number in range(len(parts)):
        outside = {index for index in graph if group[index] != number}
        whole += len(components(measures.without(graph, outside))[0])
    figures: Figures = {"in_parts": 100.0 * whole / len(graph)}
    world.heal()
    start, first = play.now, min(10.0, step.watch)
    figures["to_99"], figures["to_one"] = yield from play.heal("heal", first, start)
    figures["cross_10"] = _cross_percent(play, group)
    if step.watch > first:
        later = yield from play.heal("heal", step.watch - first, start)
        if figures["to_one"] == NEVER:
            figures["to_99"], figures["to_one"] = later
        figures["cross_60"] = _cross_percent(play, group)
    degrees = [len(others) for others in pool.graph().values()]
    figures |= {"degree_mean": mean(degrees), "degree_max": max(degrees)}
    figures |= play_save.merged(play, start) if step.save else {}
    yield play.found("partition", f"{step.seconds:g} s", figures)


def _parts(play: Play, step: Partition) -> list[list[Node]]:
    nodes = play.pool.alive
    play.pool.rng.shuffle(nodes)
    parts: list[list[Node]] = []
    begin, total, taken = 0, sum(step.shares) or 1.0, 0.0
    for share in step.shares:
        taken += share
        end = round(taken / total * len(nodes))
        parts.append(nodes[begin:end])
        begin = end
    return [part for part in parts if part]


def _cross_percent(play: Play, group: dict[int, int]) -> float:
    graph = play.pool.graph()
    return 100.0 * measures.cross_links(graph, group) / max(measures.link_count(graph), 1)


def meet(play: Play, step: Meet) -> Run:
    """See ``Meet``."""
    pool, world, group = play.pool, play.pool.world, play.groups
    one = pool.rng.choice([node for node in pool.alive if group[node.index] == 0])
    other = pool.rng.choice([node for node in pool.alive if group[node.index] != 0])
    figures: Figures = {}
    start = play.now
    world.tell(one, Discovered(other.author, (other.address,)))
    for after in (10.0, 60.0, 300.0):
        if after <= step.watch:
            yield from play.wait_and_look("meet", start + after - play.now)
            figures[f"cross_{after:g}"] = measures.cross_links(pool.graph(), group)
    figures["links"] = measures.link_count(pool.graph())
    if step.die:
        world.kill(pick(pool.rng, pool.alive, step.die))
        figures[f"largest_{100 * step.die:g}"] = largest_share(pool.graph())
    yield play.found("pools", "", figures)


def lose(play: Play, step: Loss) -> Run:
    """See ``Loss``."""
    world = play.pool.world
    world.config = replace(world.config, dial_loss=step.dials, breaks=step.breaks)
    yield play.look("loss", 1.0)
