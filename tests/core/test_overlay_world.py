"""The engine of the overlay simulation, with a protocol so small that every second is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from meerkat.core.effects import CloseLink, Dial, Effect, Send, StartTimer
from meerkat.core.events import (
    DialFailed,
    Discovered,
    Event,
    LinkDown,
    LinkId,
    LinkUp,
    MessageReceived,
    TimerExpired,
)
from meerkat.core.ids import AuthorId, MemberId
from meerkat.core.messages import Ping, Pong
from meerkat.testing.overlay_measures import (
    components,
    cross_links,
    flood,
    largest_share,
    paths,
    reached_share,
    without,
)
from meerkat.testing.overlay_world import Node, World, WorldConfig

Kind = TypeVar("Kind")


@dataclass
class Parrot:
    """Dials whom it hears of, answers every Ping, and remembers everything."""

    seen: list[tuple[float, Event]] = field(default_factory=list)
    links: dict[LinkId, AuthorId] = field(default_factory=dict)

    def neighbors(self) -> list[AuthorId]:
        return list(self.links.values())

    def of(self, kind: type[Kind]) -> list[tuple[float, Kind]]:
        return [(at, event) for at, event in self.seen if isinstance(event, kind)]

    def handle(self, event: Event, now: float, wall: float) -> list[Effect]:
        self.seen.append((now, event))
        match event:
            case Discovered(author=author, addresses=addresses):
                return [Dial(author, MemberId(author), addresses[0], 5.0, b"")]
            case LinkUp(link=link, member=member):
                self.links[link] = AuthorId(member)
            case LinkDown(link=link):
                del self.links[link]
            case MessageReceived(link=link, message=Ping(token=token)):
                return [Send(link, Pong(token))]
        return []


def make(count: int, *, seed: int = 1, config: WorldConfig | None = None) -> World:
    world = World(seed, config)
    for index in range(count):
        world.start(world.add(AuthorId(bytes([index + 1]) * 32)), Parrot())
    return world


def parrot(node: Node) -> Parrot:
    assert isinstance(node.peer, Parrot)
    return node.peer


def link(world: World, one: int, other: int) -> LinkId:
    """Let one dial the other; the number of their connection."""
    a, b = world.nodes[one], world.nodes[other]
    world.tell(a, Discovered(b.author, (b.address,)))
    world.run(world.now + 1.0)
    return next(number for number, author in parrot(a).links.items() if author == b.author)


def test_latencies_are_between_10_and_50_ms_and_fixed_per_pair():
    world = make(40)
    nodes = world.nodes

    found = [world.latency(a, b) for a in nodes for b in nodes if a is not b]

    assert all(0.010 <= one <= 0.050 for one in found)
    assert max(found) - min(found) > 0.035
    assert world.latency(nodes[3], nodes[9]) == world.latency(nodes[9], nodes[3])
    assert world.latency(nodes[3], nodes[9]) != make(40, seed=2).latency(nodes[3], nodes[9])


def test_a_dial_costs_a_round_trip_and_a_message_half_of_one():
    world = make(2)
    a, b = world.nodes
    delay = world.latency(a, b)

    number = link(world, 0, 1)
    world.perform(a, [Send(number, Ping(7))])
    sent = world.now
    world.run(sent + 1.0)

    assert parrot(a).of(LinkUp)[0][0] == pytest.approx(2 * delay)
    assert parrot(b).of(MessageReceived)[0][0] == pytest.approx(sent + delay)
    assert parrot(a).of(MessageReceived)[0][0] == pytest.approx(sent + 2 * delay)
    assert world.graph() == {0: [1], 1: [0]}


def test_messages_on_a_link_stay_in_order():
    world = make(2)
    number = link(world, 0, 1)

    world.perform(world.nodes[0], [Send(number, Ping(token)) for token in range(50)])
    world.run(world.now + 1.0)

    heard = [event.message for _, event in parrot(world.nodes[1]).of(MessageReceived)]
    assert heard == [Ping(token) for token in range(50)]


@pytest.mark.parametrize("why", ["dead", "cannot be dialled", "apart", "another"])
def test_a_dial_to_nobody_fails_after_half_a_second(why: str):
    world = make(3)
    a, b, c = world.nodes
    if why == "dead":
        world.kill([b])
    elif why == "cannot be dialled":
        b.dialable = False
    elif why == "apart":
        world.partition([[a], [b, c]])

    world.tell(a, Discovered(b.author, (c.address if why == "another" else b.address,)))
    world.run(2.0)

    ((at, _),) = parrot(a).of(DialFailed)
    assert at == pytest.approx(0.5)
    assert world.graph()[0] == []


def test_a_death_is_noticed_one_to_three_seconds_later():
    world = make(30)
    for index in range(1, 30):
        link(world, index, 0)
    world.kill([world.nodes[0]])
    died = world.now

    world.run(died + 5.0)

    noticed = [parrot(node).of(LinkDown)[0][0] - died for node in world.nodes[1:]]
    assert all(1.0 <= one <= 3.0 for one in noticed)
    assert max(noticed) - min(noticed) > 1.0
    assert all(links == [] for links in world.graph().values())


def test_what_the_dead_have_sent_still_arrives_and_what_is_sent_to_them_does_not():
    world = make(2)
    a, b = world.nodes
    number = link(world, 0, 1)
    world.perform(a, [Send(number, Ping(1))])

    world.kill([a])
    dead = world.now
    world.run(dead + 5.0)

    assert [type(event).__name__ for at, event in parrot(b).seen if at > dead] == [
        "MessageReceived",
        "LinkDown",
    ]


def test_a_goodbye_comes_after_what_was_said_before_it():
    world = make(2)
    a, b = world.nodes
    number = link(world, 0, 1)

    world.perform(a, [Send(number, Ping(1)), CloseLink(number, "enough"), Send(number, Ping(2))])
    world.run(world.now + 1.0)

    assert [event for _, event in parrot(b).seen[-2:]] == [
        MessageReceived(number, Ping(1)),
        LinkDown(number, "enough"),
    ]
    assert parrot(a).seen[-1][1] == LinkDown(number, "enough")


def test_a_timer_set_again_moves():
    world = make(1)
    (node,) = world.nodes
    for delay in (1.0, 3.0, 2.0):
        world.perform(node, [StartTimer("x", delay)])
    world.run(10.0)
    world.perform(node, [StartTimer("x", 5.0), StartTimer("x", 0.5), StartTimer("y", 1.0)])
    world.run(20.0)

    rung = [(at, event) for at, event in parrot(node).of(TimerExpired)]
    assert rung == [
        (2.0, TimerExpired("x")),
        (10.5, TimerExpired("x")),
        (11.0, TimerExpired("y")),
    ]


def test_whoever_comes_back_hears_nothing_meant_for_its_earlier_life():
    world = make(2)
    a, b = world.nodes
    number = link(world, 0, 1)
    world.perform(a, [StartTimer("x", 1.0)])
    world.perform(b, [Send(number, Ping(1))])
    world.tell(a, Discovered(b.author, (b.address,)))  # a dial under way
    world.kill([a])

    world.start(a, Parrot())
    world.run(world.now + 5.0)

    assert [type(event).__name__ for _, event in parrot(a).seen] == ["Listening", "Started"]


def test_a_partition_breaks_the_links_across_and_no_others():
    world = make(4)
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 0)):
        link(world, one, other)
    group = {0: 0, 1: 0, 2: 1, 3: 1}

    world.partition([world.nodes[:2], world.nodes[2:]])
    world.run(world.now + 5.0)

    assert world.graph() == {0: [1], 1: [0], 2: [3], 3: [2]}
    assert cross_links(world.graph(), group) == 0
    world.heal()
    link(world, 0, 2)
    assert cross_links(world.graph(), group) == 1


def test_a_network_that_loses_everything_lets_nobody_talk():
    world = make(2, config=WorldConfig(breaks=1.0))
    a, b = world.nodes
    number = link(world, 0, 1)

    world.perform(a, [Send(number, Ping(1))])
    world.run(world.now + 5.0)

    assert not parrot(b).of(MessageReceived)
    assert [event for _, event in parrot(a).of(LinkDown)] == [LinkDown(number, "lost")]
    assert len(parrot(b).of(LinkDown)) == 1


@pytest.mark.parametrize("through_wire", [False, True])
def test_one_seed_gives_one_run(through_wire: bool):
    def play(seed: int) -> str:
        world = make(12, seed=seed, config=WorldConfig(breaks=0.1, through_wire=through_wire))
        for index in range(1, 12):
            number = link(world, index, world.rng.randrange(index))
            world.perform(world.nodes[index], [Send(number, Ping(index))])
        world.kill(world.nodes[:4])
        world.run(world.now + 10.0)
        return world.trace

    assert play(1) == play(1)
    assert play(1) != play(2)


# -- measures -------------------------------------------------------------------------------

LINE = {0: [1], 1: [0, 2], 2: [1, 3], 3: [2], 4: []}


def test_components_and_their_shares():
    assert components(LINE) == [[0, 1, 2, 3], [4]]
    assert largest_share(LINE) == 80.0
    assert reached_share(LINE) == pytest.approx(100 * 12 / 20)
    assert largest_share(without(LINE, {1})) == 50.0


def test_paths_are_counted_among_those_who_reach_each_other():
    world = make(1)

    mean_path, diameter = paths(LINE, world.rng)

    assert mean_path == pytest.approx((3 * 1 + 2 * 2 + 1 * 3) * 2 / 12)
    assert diameter == 3


def test_a_flood_goes_the_quickest_way_and_every_link_twice_but_once_on_the_tree():
    square = {0: [1, 3], 1: [0, 2], 2: [1, 3], 3: [0, 2]}
    slow = {(0, 3): 0.5, (3, 0): 0.5}

    found = flood(square, 0, lambda a, b: slow.get((a, b), 0.1))

    assert found.reached == 4
    assert found.copies == 8 - 3
    assert found.last_hop == 3  # round by 1 and 2 it is quicker
    assert found.last_ms == pytest.approx(300)
