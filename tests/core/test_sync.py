"""Operations over trees, heads beside them: all get all, whatever is lost, and then silence."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from meerkat.core.actions import PutFolder
from meerkat.core.effects import Effect, Send
from meerkat.core.events import LinkId
from meerkat.core.heads import Heads
from meerkat.core.messages import (
    MAX_HEADS,
    Graft,
    HaveHeads,
    Operations,
    Prune,
    WantOperations,
)
from meerkat.core.operation import OperationKind
from meerkat.core.sync import Sync, SyncConfig
from meerkat.core.trees import Trees
from tests.core.replicas import Party, make_pool
from tests.core.sync_swarm import SyncSwarm, make_parties, ring

CONFIG = SyncConfig()
HASHES_ONLY = SyncConfig(hello_heads=0)
ONE, TWO, THREE = LinkId(1), LinkId(2), LinkId(3)


class Desk:
    """Alice's Sync with three links, on which the other parties' heads are what they were."""

    def __init__(self, config: SyncConfig = CONFIG) -> None:
        self.alice, self.bob, self.carol = make_pool(3)
        self.log = self.alice.replica.log
        self.trees = Trees()
        self.sync = Sync(self.log, config, self.trees)
        self.now = 0.0
        for link in (ONE, TWO, THREE):
            self.up(link)
        self.pass_time(1.0)

    def up(self, link: LinkId) -> None:
        heads = self.sync.greet(link)
        self.sync.link_up(link, heads, self.sync.heads_hash(), self.now)

    def pass_time(self, seconds: float) -> list[Send]:
        """What is sent meanwhile."""
        found: list[Effect] = []
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 0.005, until)
            found += self.sync.evaluate(self.now)
        return sends(found)

    def write(self) -> list[Send]:
        written = self.alice.write(PutFolder(str(self.now)))
        return sends(self.sync.relay(written, None, self.now))

    def take(self, link: LinkId, data: list[bytes], *, answer: bool = False) -> list[Send]:
        result = self.alice.take(data)
        effects = self.sync.on_operations(link, result, self.now, answer=answer)
        effects += self.sync.relay(result.admitted, link, self.now)
        return sends([*effects, *self.sync.evaluate(self.now)])

    def say(self, link: LinkId, *heads: tuple[bytes, int], lazy: bool = False) -> list[Send]:
        self.sync.on_heads(link, HaveHeads(heads, lazy), self.now)
        return sends(self.sync.evaluate(self.now))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def sends(effects: Iterable[Effect]) -> list[Send]:
    return [one for one in effects if isinstance(one, Send)]


def head_of(party: Party) -> tuple[bytes, int]:
    return bytes(party.author), party.replica.log.heads[party.author]


# -- one peer ------------------------------------------------------------------------------------


def test_ours_is_pushed_on_every_link_at_once(desk):
    desk.trees.on_prune(TWO, Prune(b""))

    assert [one.link for one in desk.write()] == [ONE, TWO, THREE]


def test_what_is_large_goes_along_the_tree_only(desk):
    desk.trees.on_prune(TWO, Prune(b""))
    name = "x" * (CONFIG.large_bytes + 1)
    with desk.alice.store.transaction():
        data = name.encode()
        one = desk.log.write(OperationKind.CHANGES, data, 0.0)
    effects = sends(desk.sync.relay([one], None, desk.now))

    assert [send.link for send in effects] == [ONE, THREE]
    told = desk.pass_time(CONFIG.announce_after + 0.005)
    assert told == [Send(TWO, HaveHeads((head_of(desk.alice),), True))]


def test_news_is_pushed_on_eager_links_and_announced_on_lazy_ones(desk):
    desk.trees.on_prune(TWO, Prune(b""))
    written = [one.data for one in desk.bob.write(PutFolder("new"))]

    assert desk.take(ONE, written) == [Send(THREE, Operations(tuple(written)))]
    assert desk.pass_time(0.05) == [Send(TWO, HaveHeads((head_of(desk.bob),), True))]
    assert desk.pass_time(0.1) == [Send(ONE, HaveHeads((head_of(desk.bob),), True))]


def test_who_has_it_gets_no_push(desk):
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.say(THREE, head_of(desk.bob), lazy=True)

    assert desk.take(ONE, written) == [Send(TWO, Operations(tuple(written)))]


def test_a_push_of_nothing_new_is_pruned(desk):
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.take(ONE, written)

    assert desk.take(TWO, written) == [Send(TWO, Prune(bytes(desk.bob.author)))]
    assert desk.trees.lazy(desk.bob.author) == [TWO]


def test_an_answer_is_announced_onward_and_not_pushed(desk):
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.say(ONE, head_of(desk.bob))

    assert desk.take(ONE, written, answer=True) == []
    heads = HaveHeads((head_of(desk.bob),))
    assert desk.pass_time(0.05) == [Send(TWO, heads), Send(THREE, heads)]


def test_heads_are_asked_for_at_once_and_of_one_link(desk):
    desk.bob.write(PutFolder("new"))
    author, last = head_of(desk.bob)
    wanted = WantOperations(((author, last, last),), CONFIG.slice_bytes)

    assert desk.say(TWO, (author, last)) == [Send(TWO, wanted)]
    assert desk.say(ONE, (author, last)) == []
    later = desk.pass_time(CONFIG.request_timeout + 0.1)
    assert Send(ONE, wanted) in later, "it did not answer"


def test_what_was_announced_and_does_not_come_is_grafted(desk):
    desk.bob.write(PutFolder("new"))
    author, last = head_of(desk.bob)
    wait = desk.trees.graft_after
    desk.trees.on_prune(TWO, Prune(author))

    assert desk.say(TWO, (author, last), lazy=True) == []
    assert desk.pass_time(wait - 0.02) == []
    wanted = WantOperations(((author, last, last),), CONFIG.slice_bytes)
    assert desk.pass_time(0.05) == [Send(TWO, Graft(author)), Send(TWO, wanted)]
    assert TWO in desk.trees.eager(author)
    desk.say(THREE, (author, last), lazy=True)
    assert Send(THREE, wanted) in desk.pass_time(wait + 0.05), "the second try is elsewhere"


def test_what_comes_in_time_is_not_asked_for(desk):
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.say(TWO, head_of(desk.bob), lazy=True)
    desk.pass_time(0.05)
    desk.take(ONE, written)

    assert not any(isinstance(one.message, WantOperations) for one in desk.pass_time(5.0))


def test_what_came_beside_the_tree_waits_for_the_tree(desk):
    desk.trees.on_prune(TWO, Prune(b""))
    written = [one.data for one in desk.bob.write(PutFolder("new"))]

    assert desk.take(TWO, written) == []
    assert desk.take(ONE, written) == [Send(THREE, Operations(tuple(written)))]


def test_what_the_tree_does_not_bring_goes_on_by_itself(desk):
    desk.trees.on_prune(TWO, Prune(b""))
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.take(TWO, written)
    sent = desk.pass_time(desk.trees.graft_after + 0.05)

    assert Send(ONE, Operations(tuple(written))) in sent
    assert Send(THREE, Operations(tuple(written))) in sent
    assert Send(TWO, Graft(bytes(desk.bob.author))) in sent


def test_both_know_when_both_have_the_same(desk):
    assert all(desk.sync.has_all(link) for link in (ONE, TWO, THREE))
    desk.write()
    assert not desk.sync.has_all(ONE)
    desk.say(ONE, head_of(desk.alice), lazy=True)
    assert desk.sync.has_all(ONE)
    desk.sync.on_beat(TWO, desk.sync.heads_hash(), desk.now)
    assert desk.sync.has_all(TWO)
    assert not desk.sync.has_all(THREE)
    assert not desk.sync.has_all(LinkId(99))


def test_nothing_is_kept_of_a_link_that_has_the_same(desk):
    desk.write()
    desk.pass_time(1.0)
    for link in (ONE, TWO, THREE):
        desk.say(link, head_of(desk.alice), lazy=True)

    for state in desk.sync._links.values():
        assert not (state.theirs)
        assert not (state.ahead)
        assert not (state.behind)
        assert not (state.say)
        assert not (state.asked)


def test_a_beat_repeats_what_was_not_confirmed(desk):
    desk.write()
    desk.say(ONE, head_of(desk.alice), lazy=True)
    desk.pass_time(1.0)
    desk.sync.beat(desk.now)
    heads = HaveHeads((head_of(desk.alice),))

    assert desk.pass_time(0.05) == [Send(TWO, heads), Send(THREE, heads)]


def test_who_repeats_is_told_that_we_have_it(desk):
    """Its first confirmation was lost. What is lazy is not answered: it would never end."""
    assert desk.say(ONE, head_of(desk.bob), lazy=True) == []
    assert desk.pass_time(1.0) == []
    desk.say(ONE, head_of(desk.bob))
    assert desk.pass_time(1.0) == [Send(ONE, HaveHeads((head_of(desk.bob),), True))]


def test_unequal_hashes_bring_all_heads_in_the_end(desk):
    said = []
    for _ in range(CONFIG.full_every):
        desk.sync.on_beat(ONE, bytes(32), desk.now)
        said = desk.pass_time(10.0)

    assert said == [Send(ONE, HaveHeads(tuple((bytes(a), n) for a, n in desk.log.heads.items())))]


def test_a_hello_says_all_heads_only_when_they_are_few(desk):
    assert len(desk.sync.greet(LinkId(9))) == len(desk.log.heads)
    other = Sync(desk.log, HASHES_ONLY)

    assert other.greet(LinkId(9)) == ()
    assert other.hello_heads() == (desk.sync.heads_hash(), ())


def test_equal_hashes_are_all_that_a_new_link_needs():
    desk = Desk(HASHES_ONLY)

    assert desk.sync.has_all(ONE)
    desk.up(LinkId(9))
    assert desk.pass_time(5.0) == []


def test_unequal_hashes_bring_one_exchange_of_heads():
    desk = Desk(HASHES_ONLY)
    desk.sync.greet(LinkId(9))
    desk.sync.link_up(LinkId(9), (), bytes(32), desk.now)
    heads = tuple((bytes(author), last) for author, last in desk.log.heads.items())

    assert sends(desk.sync.evaluate(desk.now)) == [Send(LinkId(9), HaveHeads(heads))]
    assert not desk.sync.has_all(LinkId(9))
    desk.say(LinkId(9), *heads)
    assert desk.sync.has_all(LinkId(9))


def test_what_grew_between_hello_and_hello_is_told():
    desk = Desk(HASHES_ONLY)
    link, hashed = LinkId(9), desk.sync.heads_hash()
    desk.sync.greet(link)
    desk.write()
    desk.sync.link_up(link, (), hashed, desk.now)

    assert not desk.sync.has_all(link)
    assert Send(link, HaveHeads((head_of(desk.alice),))) in sends(desk.sync.evaluate(desk.now))


def test_nobody_vouches_for_us_before_it_said_what_it_has():
    desk = Desk(HASHES_ONLY)
    link, author = LinkId(9), desk.alice.author
    desk.sync.greet(link)
    desk.sync.link_up(link, (), bytes(32), desk.now)
    assert not desk.sync.vouches(link, author)
    assert desk.sync.vouches(ONE, author)

    name, last = head_of(desk.alice)
    desk.say(link, (name, last + 1))
    assert not desk.sync.vouches(link, author), "it knows more of us than we do"
    assert not desk.sync.vouches(LinkId(77), author)


def test_heads_are_said_in_slices():
    desk = Desk(SyncConfig(hello_heads=0, heads_slice=2))
    desk.sync.greet(LinkId(9))
    desk.sync.link_up(LinkId(9), (), bytes(32), desk.now)
    said = sends(desk.sync.evaluate(desk.now))

    messages = [one.message for one in said if isinstance(one.message, HaveHeads)]
    assert [len(one.heads) for one in messages] == [2, 1]


def test_heads_of_nobody_cannot_fill_memory(desk):
    rng = Random(0)
    for lazy in (False, True):
        for _ in range(10):
            heads = tuple((rng.randbytes(32), 1) for _ in range(5_000))
            desk.say(ONE, *heads, lazy=lazy)

    state = desk.sync._links[ONE]
    assert len(state.theirs) <= MAX_HEADS
    assert len(desk.sync._asking._expected) <= MAX_HEADS
    desk.sync.link_down(ONE)
    desk.sync.beat(desk.now)
    assert not desk.sync._asking._expected


def test_who_answers_with_nothing_does_not_keep_us_from_the_others(desk):
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.say(ONE, head_of(desk.bob))
    later = desk.say(TWO, head_of(desk.bob))
    assert later == []
    asked = desk.take(ONE, [], answer=True)

    assert [one.link for one in asked] == [TWO]
    desk.take(TWO, written, answer=True)
    assert desk.log.heads[desk.bob.author] == head_of(desk.bob)[1]


def test_messages_of_links_that_are_gone_are_ignored(desk):
    gone = LinkId(77)
    written = [one.data for one in desk.bob.write(PutFolder("new"))]
    desk.sync.on_beat(gone, bytes(32), 0.0)

    assert desk.say(gone, head_of(desk.bob)) == []
    assert desk.sync.on_want(gone, WantOperations((((bytes(32)), 1, 1),), 1)) == []
    desk.take(gone, written)
    assert desk.log.heads[desk.bob.author] == head_of(desk.bob)[1]


# -- many peers ----------------------------------------------------------------------------------


def copies(swarm: SyncSwarm) -> float:
    return swarm.sent["Operations"] + swarm.sent["Operations answer"]


def test_an_operation_reaches_all_once_and_all_know_it():
    swarm = SyncSwarm(make_parties(10), sorted(ring(10, 15)))
    assert swarm.settled()
    for index in (0, 4, 7):
        swarm.write(index)
        swarm.run(1.0)
    for index in (1, 3, 5, 8):
        links = sum(index in one for one in swarm.latency)
        swarm.sent.clear()
        swarm.write(index)
        assert swarm.settle(5.0) < 0.4
        swarm.run(1.0)
        assert copies(swarm) <= 9 + links + 3, "one each, and ours on all links"
        assert swarm.sent["HaveHeads"] <= 2 * len(swarm.latency)


def test_there_is_silence_when_all_have_the_same():
    swarm = SyncSwarm(make_parties(5), sorted(ring(5, 3)))
    for index in range(5):
        swarm.write(index)
    swarm.settle()
    swarm.run(1.0)
    swarm.sent.clear()
    swarm.run(60.0)

    assert not swarm.sent


@pytest.mark.parametrize("beats", [True, False])
@pytest.mark.parametrize("config", [CONFIG, HASHES_ONLY])
@pytest.mark.parametrize("seed", range(4))
def test_lost_doubled_and_late_messages_are_healed(seed, beats, config):
    swarm = SyncSwarm(
        make_parties(6), sorted(ring(6, 4, seed)), seed=seed, beats=beats, config=config
    )
    rng = Random(seed)
    swarm.loss, swarm.double, swarm.reorder = rng.choice(
        [(0.3, 0.0, 0.0), (0.1, 0.3, 0.3), (0.5, 0.1, 0.1)]
    )
    for step in range(40):
        swarm.write(rng.randrange(6))
        swarm.run(rng.choice((0.0, 0.05, 0.3)))
        if step == 20:
            a, b = sorted(swarm.latency)[0]
            swarm.cut(a, b)
            swarm.run(0.1)
            swarm.link(a, b)
    swarm.run(5.0)
    swarm.loss = swarm.double = swarm.reorder = 0.0

    assert swarm.settle(40.0) < 2.5 * CONFIG.beat
    swarm.run(12.0)
    swarm.sent.clear()
    swarm.run(30.0)
    assert not swarm.sent, "state heals, then nothing is left to say"


@pytest.mark.parametrize("config", [CONFIG, HASHES_ONLY])
def test_two_parts_that_meet_become_one(config):
    """What comes over the one bridge is announced onward, from link to link."""
    parties = make_parties(10)
    left = [(n, n + 1) for n in range(4)]
    right = [(n, n + 1) for n in range(5, 9)]
    swarm = SyncSwarm(parties, left + right, config=config)
    for index in range(10):
        swarm.write(index)
        swarm.write(index)
    swarm.run(15.0)
    assert not swarm.equal()
    swarm.sent.clear()
    swarm.link(2, 7)

    assert swarm.settle() < 2.0
    assert swarm.sent["Operations"] == 0, "answers are not pushed"


def test_nobody_gets_an_operation_over_and_over():
    """Twenty who type at once: after each tree's first flood hardly a copy too many."""
    swarm = SyncSwarm(make_parties(8), sorted(ring(8, 8)))
    for _ in range(10):
        for index in range(8):
            swarm.write(index)
            swarm.run(0.02)
    swarm.settle()
    swarm.operations.clear()
    for _ in range(20):
        for index in range(8):
            swarm.write(index)
            swarm.run(0.02)
    swarm.settle()

    assert sum(swarm.operations.values()) / (20 * 8 * 7) < 1.3


def test_a_newcomer_catches_up_while_others_write():
    parties = make_parties(5)
    for index in range(4):
        for n in range(40):
            parties[index].write(PutFolder(f"{index} {n}"))
    for one in parties[1:4]:
        parties[0].take(one.operations())
    for one in parties[1:4]:
        one.take(parties[0].operations())
    swarm = SyncSwarm(
        parties, [(0, 1), (1, 2), (2, 3), (0, 3)], config=SyncConfig(slice_bytes=4_000)
    )
    assert parties[4].replica.log.heads != Heads()
    swarm.link(4, 0)
    swarm.link(4, 2)
    for _ in range(20):
        swarm.write(1)
        swarm.run(0.02)

    assert swarm.settle(20.0) < 5.0
    assert swarm.operations[4] < 1.3 * (160 + 20)
