"""Broadcasts: everyone hears each once, by one way, whatever breaks and whoever lies."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.allowance import Allowance
from meerkat.core.effects import CloseLink, Effect, Send, StartTimer
from meerkat.core.events import LinkId
from meerkat.core.gossip import Gossip, GossipConfig, _Heard, signed_part
from meerkat.core.messages import Announce, Broadcast, Graft, Prune, Push
from meerkat.core.trees import Trees
from tests.core.gossip_swarm import BOOT, POOL, WALL, OpenGate, Swarm, author_of, component

CONFIG = GossipConfig()
ONE, TWO, THREE = LinkId(1), LinkId(2), LinkId(3)
KNOWN = 100  # authors that the gate knows


class Alone:
    """One Gossip with three links, and what comes out of it."""

    def __init__(self) -> None:
        self.gate = OpenGate(0, KNOWN)
        self.trees = Trees()
        self.gossip = Gossip(self.gate, self.trees, CONFIG, BOOT)
        for link in (ONE, TWO, THREE):
            self.gossip.link_up(link, 0.0)

    def push(self, link: LinkId, one: Broadcast, now: float = 0.0, hops: int = 1):
        return self.gossip.on_push(link, Push(one, hops), now, WALL)

    def announce(self, link: LinkId, *entries: Any, now: float = 0.0) -> list[Effect]:
        return self.gossip.on_announce(link, Announce(entries), now, WALL)

    def ring(self, now: float) -> list[Effect]:
        return self.gossip.on_timer("gossip", now)


@pytest.fixture
def alone() -> Alone:
    return Alone()


def made(
    author: int = 7, sequence: int = 1, *, boot: int = BOOT, payload: bytes = b"news"
) -> Broadcast:
    name = author_of(author)
    return Broadcast(bytes(name), boot, sequence, 3, payload, bytes(name) + bytes(32))


def entry(one: Broadcast, hops: int = 2) -> tuple[bytes, int, int, int]:
    return one.author, one.boot, one.sequence, hops


def sends(effects: list[Effect]) -> list[Send]:
    return [one for one in effects if isinstance(one, Send)]


def timer(effects: list[Effect]) -> float:
    (found,) = [one for one in effects if isinstance(one, StartTimer)]
    assert found.name == "gossip"
    return found.delay


# -- one node ------------------------------------------------------------------------------------


def test_news_is_delivered_and_pushed_on(alone):
    arrived = alone.push(ONE, made())

    assert arrived.broadcast == made()
    assert arrived.hops == 2
    assert sends(arrived.effects) == [Send(TWO, Push(made(), 2)), Send(THREE, Push(made(), 2))]


def test_a_second_copy_is_not_delivered_and_prunes(alone):
    alone.push(ONE, made())
    again = alone.push(TWO, made(), 0.1)

    assert again.broadcast is None
    assert again.effects == [Send(TWO, Prune(made().author))]


def test_the_signature_is_checked_once(alone):
    for link in (ONE, TWO, THREE, ONE):
        alone.push(link, made())

    assert alone.gate.checked == 1


@pytest.mark.parametrize("field", ["boot", "sequence", "kind", "payload", "signature"])
def test_what_was_changed_costs_the_link_and_is_not_remembered(alone, field):
    changes = {
        "boot": BOOT + 1,
        "sequence": 2,
        "kind": 4,
        "payload": b"lies",
        "signature": bytes(64),
    }
    one = made()
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    key = alone.gate.verify
    alone.gate.verify = lambda author, signature, data: (
        key(author, signature, data)
        and data == signed_part(POOL, one.boot, one.sequence, one.kind, one.payload)
    )
    forged = Broadcast(**(fields | {field: changes[field]}))
    arrived = alone.push(ONE, forged)

    assert arrived.broadcast is None
    assert arrived.effects == [CloseLink(ONE, "forged")]
    assert alone.push(TWO, one).broadcast == one


def test_an_unknown_author_may_become_known(alone):
    stranger = made(KNOWN + 5)
    assert alone.push(ONE, stranger).effects == []
    assert alone.announce(TWO, entry(stranger)) == []
    alone.gate._size = KNOWN + 10

    assert alone.push(TWO, stranger).broadcast == stranger


def test_nobody_speaks_for_us(alone):
    assert alone.push(ONE, made(0, 99)).broadcast is None


def test_a_newer_boot_replaces_the_older(alone):
    assert alone.push(ONE, made(sequence=5)).broadcast
    assert alone.push(ONE, made(sequence=1, boot=BOOT + 1)).broadcast
    assert alone.push(TWO, made(sequence=6)).broadcast is None
    assert alone.push(TWO, made(sequence=2, boot=BOOT + 1)).broadcast


def test_a_boot_of_the_far_future_is_refused(alone):
    ahead = int((WALL + CONFIG.ahead) * 1000)

    assert alone.push(ONE, made(boot=ahead + 1)).broadcast is None
    assert alone.announce(ONE, entry(made(boot=ahead + 1))) == []
    assert alone.push(ONE, made(boot=ahead)).broadcast


def test_late_ones_of_an_author_are_news_once(alone):
    order = [40, 38, 39, 1, 41, 37]
    heard = [alone.push(ONE, made(sequence=n)).broadcast for n in order]

    assert all(heard)
    assert not any(alone.push(ONE, made(sequence=n)).broadcast for n in order)
    assert alone.push(ONE, made(sequence=2)).broadcast


def test_an_author_has_a_quota(alone):
    count = sum(alone.push(ONE, made(sequence=n)).broadcast is not None for n in range(1, 1_000))

    assert count <= CONFIG.author_burst + 1
    assert alone.push(ONE, made(sequence=2_000), 1.0).broadcast
    assert alone.push(ONE, made(8)).broadcast, "others have their own"


def test_an_announcement_goes_to_lazy_links_a_moment_later(alone):
    alone.push(ONE, made())
    alone.push(TWO, made())
    arrived = alone.push(ONE, made(sequence=2), 1.0)

    assert Send(THREE, Push(made(sequence=2), 2)) in arrived.effects
    assert timer(arrived.effects) == pytest.approx(CONFIG.announce_after)
    announced = sends(alone.ring(1.0 + CONFIG.announce_after))
    assert announced == [Send(TWO, Announce((entry(made(sequence=2)),)))]


def test_what_does_not_come_is_grafted_here_then_there(alone):
    first = alone.trees.graft_after
    assert timer(alone.announce(ONE, entry(made()))) == pytest.approx(first)
    alone.announce(TWO, entry(made()), now=0.01)

    one = sends(alone.ring(first))
    two = sends(alone.ring(first * 1.5))

    asked = (made().author, made().boot, 1, 0)
    assert one == [Send(ONE, Graft(made().author, (asked,)))]
    assert two == [Send(TWO, Graft(made().author, (asked,)))]


def test_what_came_is_not_grafted(alone):
    alone.announce(ONE, entry(made()))
    arrived = alone.push(TWO, made(), 0.05)

    assert sends(arrived.effects) == [Send(THREE, Push(made(), 2))], "one has it"
    assert sends(alone.ring(10.0)) == []


def test_a_graft_is_answered(alone):
    alone.push(ONE, made())
    alone.push(TWO, made())
    wanted = entry(made()), entry(made(sequence=99))
    effects = alone.gossip.on_graft(TWO, Graft(made().author, wanted), 0.2)

    assert effects == [Send(TWO, Push(made(), 2))]
    assert TWO in alone.trees.eager(made().author)


def test_who_leaves_while_asked_is_replaced_at_once(alone):
    alone.announce(ONE, entry(made()))
    alone.announce(TWO, entry(made()))
    alone.ring(alone.trees.graft_after)
    effects = alone.gossip.link_down(ONE, 0.35)

    assert [one.link for one in sends(effects)] == [TWO]


def test_who_announces_and_does_not_deliver_loses_trust(alone):
    for sequence in (1, 2):
        now = sequence * 10.0
        alone.announce(ONE, entry(made(sequence=sequence)), now=now)
        for step in range(40):
            alone.ring(now + step / 10)

    assert alone.trees.distrusted(ONE, 30.0)
    assert ONE not in alone.trees.eager(made().author)
    assert not alone.gossip._awaited


def test_a_new_neighbor_hears_what_was_said_just_now(alone):
    alone.push(ONE, made(sequence=1), 0.0)
    alone.push(ONE, made(sequence=2), CONFIG.recall)
    effects = alone.gossip.link_up(LinkId(9), CONFIG.recall + 1.0)

    assert effects == [Send(LinkId(9), Announce((entry(made(sequence=2)),)))]


def test_what_its_author_pushed_beside_the_tree_waits_for_the_tree(alone):
    alone.push(ONE, made(8))
    alone.push(TWO, made(8), 0.1)  # two is lazy now
    beside = alone.push(TWO, made(), 1.0, hops=0)

    assert beside.broadcast == made()
    assert sends(beside.effects) == []
    brought = alone.push(ONE, made(), 1.1, hops=3)
    assert sends(brought.effects) == [Send(THREE, Push(made(), 4))]


def test_what_the_tree_does_not_bring_goes_on_by_itself(alone):
    alone.push(ONE, made(8))
    alone.push(TWO, made(8), 0.1)
    alone.push(TWO, made(), 1.0, hops=0)
    effects = sends(alone.ring(1.0 + alone.trees.graft_after))

    assert Send(THREE, Push(made(), 1)) in effects
    assert Send(TWO, Graft(made().author)) in effects


def test_messages_of_links_that_are_gone_are_ignored(alone):
    gone = LinkId(77)

    assert alone.push(gone, made()).broadcast is None
    assert alone.announce(gone, entry(made())) == []
    assert alone.gossip.on_graft(gone, Graft(b"", (entry(made()),)), 0.0) == []
    assert alone.gossip.link_down(gone, 0.0) == []


# -- hostile -------------------------------------------------------------------------------------


def test_announcements_of_nothing_are_bounded(alone):
    rng, now = Random(1), 0.0
    for _ in range(300):
        now += 0.05
        entries = tuple(
            (bytes(author_of(rng.randrange(KNOWN))), BOOT, rng.randrange(2**53), 3)
            for _ in range(500)
        )
        alone.announce(ONE, *entries, now=now)
        assert alone.announce(TWO, entry(made(sequence=int(now * 100)))) is not None
        alone.ring(now)

    assert len(alone.gossip._awaited) <= CONFIG.waiting_count
    assert alone.gossip._links[ONE].waiting <= CONFIG.waiting_count // 4
    assert len(alone.gossip._due) <= 3 * CONFIG.waiting_count
    for step in range(100):
        alone.ring(now + step)
    assert not alone.gossip._awaited
    assert alone.gossip._links[ONE].waiting == 0


def test_payloads_kept_are_bounded(alone):
    for n in range(1, 200):
        alone.push(ONE, made(n % 90 + 1, n, payload=bytes(64 * 1024)), n * 0.01)
    assert alone.gossip._kept_bytes <= CONFIG.cache_bytes
    alone.push(ONE, made(50, 5_000), 1_000.0)

    assert len(alone.gossip._kept) == 1
    assert alone.gossip._kept_bytes == len(b"news")


def test_authors_remembered_are_bounded():
    gate = OpenGate(0, 10_000)
    gossip = Gossip(gate, Trees(), GossipConfig(authors_count=100), BOOT)
    gossip.link_up(ONE, 0.0)
    for n in range(1, 1_000):
        assert gossip.on_push(ONE, Push(made(n), 1), 0.0, WALL).broadcast

    assert len(gossip._heard) <= 100


def test_grafts_are_bounded(alone):
    alone.push(ONE, made(payload=bytes(1_000)))
    count = sum(
        len(alone.gossip.on_graft(TWO, Graft(b"", (entry(made()),) * 100), 0.0))
        for _ in range(1_000)
    )

    assert count <= CONFIG.graft_rate * CONFIG.burst


@given(order=st.lists(st.integers(1, 40), max_size=200), window=st.integers(1, 64))
def test_each_is_heard_once_and_within_the_window_never_missed(order, window):
    heard, seen = _Heard(BOOT, Allowance(1, 1)), set[int]()
    for sequence in order:
        top = max(seen, default=0)
        if heard.has(sequence):
            assert sequence in seen or sequence <= top - window
        else:
            assert sequence not in seen
            heard.add(sequence, window)
            seen.add(sequence)
            assert heard.has(sequence)
        assert heard.missing.bit_length() <= window


# -- many nodes ----------------------------------------------------------------------------------


def warm(swarm: Swarm, senders: list[int]) -> None:
    for index in senders:
        swarm.publish(index)
        swarm.run(2.0)
    swarm.run(5.0)


def redundancy(swarm: Swarm, senders: list[int]) -> float:
    """Payloads beyond one for each node (Plumtree's RMR)."""
    swarm.sent.clear()
    for index in senders:
        spread = swarm.publish(index)
        swarm.run(2.0)
        assert len(spread.reached) == len(swarm.alive)
    return swarm.sent["Push"] / (len(swarm.alive) - 1) / len(senders) - 1


@pytest.mark.parametrize(("count", "seed"), [(100, 0), (100, 1), (300, 2)])
def test_one_copy_each_once_the_tree_stands(count, seed):
    """Our own go on all links: that costs degree / N, and nothing else does."""
    swarm = Swarm(count, seed=seed)
    rng = Random(seed)
    warm(swarm, [rng.randrange(count) for _ in range(10)])
    measured = redundancy(swarm, [rng.randrange(count) for _ in range(10)])

    assert measured < 0.15
    assert measured < 10 / count + 0.02
    for spread in swarm.spreads.values():
        last, hops = max(spread.reached.values())
        assert last < 0.4
        assert hops <= 16


def test_a_busy_sender_is_as_fast_as_the_flood():
    swarm = Swarm(300, seed=3)
    flood = swarm.publish(0)
    swarm.run(2.0)
    warm(swarm, [5, 17, 44] + [0] * 6)
    measured = redundancy(swarm, [0] * 5)
    last = [one for one in swarm.spreads.values() if one.author == 0][-1]

    assert measured < 0.01
    slowest = max(when for when, _ in flood.reached.values())
    assert max(when for when, _ in last.reached.values()) < 1.2 * slowest


@pytest.mark.parametrize("seed", range(3))
def test_who_is_left_is_reached_though_nobody_noticed_yet(seed):
    """30 % die at once; whoever is still connected hears all the same, by grafts."""
    swarm = Swarm(200, seed=seed)
    rng = Random(seed)
    warm(swarm, [rng.randrange(200) for _ in range(8)])
    swarm.kill(rng.sample(range(200), 60), notice=2.0)
    sender = rng.choice(sorted(swarm.alive))
    reachable = component(sender, swarm.alive, swarm.latency)
    spread = swarm.publish(sender)
    swarm.run(1.9)

    assert set(spread.reached) >= reachable
    swarm.run(10.0)
    after = swarm.publish(sender)
    swarm.run(2.0)
    assert set(after.reached) >= reachable
    assert max(when for when, _ in after.reached.values()) < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_lost_messages_do_not_keep_news_from_anyone(seed):
    swarm = Swarm(60, degree=8, seed=seed)
    swarm.loss = 0.1
    spreads = []
    for n in range(30):
        spreads.append(swarm.publish(n % 7))
        swarm.run(0.3)
    swarm.run(10.0)

    assert all(len(one.reached) == 60 for one in spreads)


def test_two_halves_that_meet_tell_each_other_what_was_said_just_now():
    swarm = Swarm(40, degree=6, seed=1)
    left = set(range(20))
    for a, b in sorted(swarm.latency):
        if (a in left) != (b in left):
            swarm.cut(a, b)
    here, there = swarm.publish(0), swarm.publish(39)
    swarm.run(3.0)
    assert len(here.reached) < 40
    swarm.link(3, 30)
    swarm.run(3.0)

    parts = component(0, swarm.alive, swarm.latency)
    assert parts <= set(here.reached)
    assert parts <= set(there.reached)


def test_one_seed_is_one_run():
    def trace(seed: int) -> object:
        swarm = Swarm(50, degree=6, seed=seed)
        swarm.loss = 0.05
        for n in range(10):
            swarm.publish(n)
            swarm.run(0.2)
        return sorted(swarm.sent.items()), [one.reached for one in swarm.spreads.values()]

    assert trace(4) == trace(4)
    assert trace(4) != trace(5)
