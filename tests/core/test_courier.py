"""Letters find their way: along pointers, around the dead, by flood, or back as unreachable."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.courier import CourierConfig
from meerkat.core.effects import Send, StartTimer
from meerkat.core.events import LinkId
from meerkat.core.letters import LetterError, LetterKind
from meerkat.core.messages import Direct, DirectAck, DirectFailed
from tests.core.town import SILENT, WALL, House, Town, author_of, member_of, random_graph

RING = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]
CHAIN = [(0, 1), (1, 2), (2, 3), (3, 4)]


# How long after a death the neighbors' links are down, s.
NOTICED: dict[str, Callable[[Random], Callable[[], float]]] = {
    "at once": lambda rng: lambda: 0.0,
    "as gRPC does": lambda rng: lambda: rng.uniform(2.0, 2.5),
    "never": lambda rng: lambda: SILENT,
}


def big_town(seed: int, count: int) -> tuple[Town, Random]:
    rng = Random(seed)
    places = rng.sample(range(count), count)  # neighbors on the ring are no neighbors in number
    edges = [(places[one], places[other]) for one, other in random_graph(count, 8, seed)]
    return Town(edges, seed), rng


# ------------------------------------------------------------------------------ the usual way


def test_a_letter_to_a_neighbor_takes_its_link():
    town = Town(RING)
    letter = town.send(0, 1)
    town.run()

    (got,) = town.houses[1].got()
    (delivered,) = town.houses[0].delivered()
    assert (got.letter.content, got.letter.member, got.hops) == (b"hello", member_of(0), 1)
    assert (delivered.id, delivered.hops, delivered.back) == (letter, 1, 1)
    assert delivered.via == author_of(1)
    assert delivered.seconds == pytest.approx(2 * town.latency[0, 1])
    assert dict(town.sent) == {"Direct": 1, "DirectAck": 1}


def test_a_letter_follows_the_pointers():
    town = Town(CHAIN)
    town.teach(4)
    town.send(0, 4)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert (delivered.hops, delivered.back, delivered.via) == (4, 4, author_of(1))
    assert dict(town.sent) == {"Direct": 4, "DirectAck": 4}


def test_an_echo_is_acknowledged_and_nothing_else():
    town = Town(CHAIN)
    town.teach(2)
    town.send(0, 2, b"x" * 1000, LetterKind.ECHO)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert (delivered.kind, delivered.hops) == (LetterKind.ECHO, 2)
    assert town.houses[2].news == []


def test_where_no_way_is_known_a_letter_is_flooded_at_once():
    town = Town(RING)
    town.send(0, 3)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert delivered.hops == 3
    assert delivered.seconds < 1
    assert len(town.houses[3].got()) == 1
    assert town.sent["Direct"] <= 2 * len(RING)


@pytest.mark.parametrize("count", [50, 120, 200])
def test_all_arrive_by_short_ways_with_few_messages(count: int):
    town, rng = big_town(count, count)
    pairs = [tuple(rng.sample(range(count), 2)) for _ in range(40)]
    town.teach(*sorted({to for _, to in pairs}))
    hops, shortest = [], []
    for one, to in pairs:
        town.send(one, to)
        town.run()
        hops.append(town.houses[one].delivered()[-1].hops)
        shortest.append(town.distance(one, to))

    assert mean(hops) <= 1.35 * mean(s for s in shortest if s)
    assert town.sent["Direct"] == sum(hops)  # a flood would take a message a link: count * 8
    assert town.sent["DirectFailed"] == 0


@pytest.mark.parametrize(("share", "least"), [(0.1, 0.99), (0.3, 0.96)])
@pytest.mark.parametrize("noticed", NOTICED)
def test_nearly_all_arrive_when_many_died(share: float, least: float, noticed: str):
    tried = arrived = 0
    for seed in range(3):
        town, rng = big_town(seed, 120)
        dead = rng.sample(range(120), int(120 * share))
        alive = [index for index in range(120) if index not in dead]
        pairs = [tuple(rng.sample(alive, 2)) for _ in range(40)]
        town.teach(*sorted({to for _, to in pairs}))
        town.kill(dead, NOTICED[noticed](rng))
        for one, to in pairs:
            town.send(one, to)
        town.run()
        for one, to in set(pairs):
            reachable = town.distance(one, to) is not None
            times = sum(1 for pair in pairs if pair == (one, to))
            tried += times
            got = sum(1 for x in town.houses[one].delivered() if x.to == member_of(to))
            arrived += got if reachable else times
            lost = sum(1 for x in town.houses[one].unreachable() if x.to == member_of(to))
            assert got + lost == times, "every letter has an end"
            assert (
                sum(1 for x in town.houses[to].got() if x.letter.member == member_of(one)) <= times
            ), "nothing arrives twice"

    assert arrived >= least * tried


def test_a_dead_hop_is_side_stepped():
    """0-1-2-5 is the way; 1 dies and is noticed; 3 leads there too."""
    town = Town([(0, 1), (1, 2), (0, 3), (3, 4), (4, 2), (2, 5)], latency=(0.01, 0.01))
    town.teach(5)
    town.kill([1], lambda: 0.0)
    town.send(0, 5)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert delivered.hops == 4
    assert delivered.seconds < 1
    assert town.sent["Direct"] == 4


def test_what_a_dead_neighbor_carried_goes_another_way_once_it_is_noticed():
    town = Town([(0, 1), (1, 2), (0, 3), (3, 4), (4, 2), (2, 5)], latency=(0.01, 0.01))
    town.teach(5)
    town.kill([1], lambda: 2.2)
    town.send(0, 5)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert 2.2 < delivered.seconds < 2.5
    assert town.sent["Direct"] == 5


def test_a_silent_death_costs_three_seconds_and_a_flood():
    town = Town([(0, 1), (1, 2), (0, 3), (3, 4), (4, 2), (2, 5)], latency=(0.01, 0.01))
    town.teach(5)
    town.kill([1], lambda: SILENT)
    town.send(0, 5)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert 3.0 <= delivered.seconds < 3.2
    assert len(town.houses[5].got()) == 1


def test_a_blind_alley_gives_the_letter_back():
    """1 was on the way to 4, and is a blind alley now; the other way is twice as long."""
    town = Town([(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)], latency=(0.01, 0.01))
    town.teach(4)
    town.unlink(1, 4)
    town.unlink(4, 1)
    town.send(0, 4)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert delivered.seconds < 1
    assert town.sent["DirectFailed"] >= 1


def test_pointers_in_a_circle_end():
    """1, 2 and 3 each believe that 9's member lies behind the next of them."""
    town = Town([(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)], latency=(0.01, 0.01))
    town.homes[author_of(9)] = member_of(9)
    for near, far in ((0, 1), (1, 2), (2, 3), (3, 1), (4, 3)):
        house = town.houses[near]
        house.courier.learn(author_of(9), house.link_to(far), 0.0)
    town.send(0, 9)
    town.run()

    (lost,) = town.houses[0].unreachable()
    assert lost.to == member_of(9)
    assert town.sent["Direct"] < 40


@settings(max_examples=30)
@given(
    chords=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12),
    dead=st.sets(st.integers(0, 11), max_size=6),
    noticed=st.sampled_from([0.0, 2.2, SILENT]),
    taught=st.booleans(),
)
def test_every_letter_has_one_end(chords, dead, noticed, taught):
    ring = [(index, (index + 1) % 12) for index in range(12)]
    town = Town([*ring, *((a, b) for a, b in chords if a != b)])
    if taught:
        town.teach(*range(12))
    town.kill(dead, lambda: noticed)
    alive = [index for index in range(12) if index not in dead]
    for one in alive:
        for to in range(12):
            if one != to:
                town.send(one, to)
    town.run()

    for one in alive:
        house = town.houses[one]
        ends = [x.to for x in house.delivered()] + [x.to for x in house.unreachable()]
        assert sorted(ends) == sorted(member_of(to) for to in range(12) if to != one)
        for x in house.delivered():
            assert x.seconds < 8.5
        letters = [x.letter.id for x in house.got()]
        assert len(letters) == len(set(letters))
        assert house.timer is None or house.timer <= town.now
        for to in alive:  # nobody is given up who can be reached
            if to != one and town.distance(one, to) is not None:
                assert member_of(to) in {x.to for x in house.delivered()}


# ------------------------------------------------------------------------------- unreachable


def test_without_links_a_member_is_unreachable_at_once():
    town = Town(CHAIN)
    town.unlink(0, 1)
    letter = town.send(0, 4)

    (lost,) = town.houses[0].unreachable()
    assert (lost.id, lost.to, lost.kind) == (letter, member_of(4), LetterKind.TEXT)


def test_the_dead_are_unreachable_within_nine_seconds():
    town = Town(CHAIN)
    town.teach(4)
    town.kill([4], lambda: SILENT)
    town.send(0, 4)
    town.run(7.9)
    assert town.houses[0].unreachable() == []
    town.run(8.1)
    assert len(town.houses[0].unreachable()) == 1
    town.run()
    assert len(town.houses[0].news) == 1


def test_who_did_not_answer_is_not_searched_again_before_it_is_heard_of():
    town = Town(CHAIN)
    town.teach(4)
    town.kill([4], lambda: 2.2)
    town.send(0, 4)
    town.run()
    assert len(town.houses[0].unreachable()) == 1
    before = town.sent["Direct"]
    town.send(0, 4)
    assert len(town.houses[0].unreachable()) == 2
    assert town.sent["Direct"] == before

    town.houses[4].dead = False
    town.link(3, 4)
    town.teach(4)
    town.send(0, 4)
    town.run()
    assert len(town.houses[0].delivered()) == 1


def test_a_search_is_made_again_after_a_minute():
    town = Town(CHAIN)
    town.kill([4], lambda: 0.0)
    for _ in range(2):
        before = town.sent["Direct"]
        town.send(0, 4)
        town.run(town.now + 70)
        assert town.sent["Direct"] > before


def test_letters_that_wait_for_a_late_answer_make_room():
    town = Town(CHAIN, config=CourierConfig(own_count=3))
    town.kill([4], lambda: 0.0)
    for _ in range(9):
        town.send(0, 4)
        town.run(town.now + 6)
    assert len(town.houses[0].unreachable()) == 9


def test_a_late_answer_is_still_an_answer():
    town = Town(CHAIN, latency=(1.5, 1.5))
    town.teach(4)
    town.send(0, 4)
    town.run()

    kinds = [type(one).__name__ for one in town.houses[0].news]
    assert kinds == ["Unreachable", "Delivered"]
    assert len(town.houses[4].got()) == 1


def test_nobody_writes_to_itself():
    town = Town(CHAIN)
    with pytest.raises(LetterError, match="That is you"):
        town.send(0, 0)


def test_own_letters_on_their_way_are_bounded():
    town = Town(CHAIN, config=CourierConfig(own_count=3))
    town.kill([1], lambda: SILENT)
    for _ in range(3):
        town.send(0, 4)
    with pytest.raises(LetterError, match="Wait a moment"):
        town.send(0, 4)


# ------------------------------------------------------------------------ several installations


def test_any_installation_of_a_member_will_do():
    """2 and 4 are the same person; who wrote last is preferred, wherever the letter is."""
    town = Town([(0, 1), (1, 2), (1, 3), (3, 4)], members={2: 2, 4: 2}, latency=(0.01, 0.01))
    town.teach(2)
    town.now = 1.0
    town.teach(4)
    town.send(0, 2)
    town.run()

    (delivered,) = town.houses[0].delivered()
    assert delivered.to == member_of(2)
    # House 1 has a link to that member itself, and takes it.
    assert (len(town.houses[2].got()), len(town.houses[4].got())) == (1, 0)


def test_the_second_installation_takes_over_from_the_first():
    town = Town([(0, 1), (1, 2), (1, 3), (3, 4)], members={2: 2, 4: 2}, latency=(0.01, 0.01))
    town.teach(4)
    town.now = 1.0
    town.teach(2)
    town.kill([2], lambda: 0.0)
    town.send(0, 2)
    town.run()

    assert len(town.houses[4].got()) == 1
    assert town.houses[0].delivered()[0].seconds < 1


# -------------------------------------------------------------------------------- hostile hops


def hop(town: Town) -> tuple[House, LinkId, LinkId]:
    """House 1 of a chain, its link to 0 and its link to 2."""
    house = town.houses[1]
    return house, house.link_to(0), house.link_to(2)


def taken(town: Town, near: int, to: int) -> Direct:
    """The letter that a house would send, kept back."""
    house = town.houses[near]
    _, effects = house.courier.send(member_of(to), LetterKind.TEXT, b"hello", town.now, WALL)
    (message,) = [one.message for one in effects if isinstance(one, Send)]
    assert isinstance(message, Direct)
    return message


def test_a_forged_acknowledgement_is_none():
    town = Town(CHAIN)
    town.teach(4)
    message = taken(town, 0, 4)
    house, near, far = hop(town)
    assert [type(one) for one in house.courier.on_direct(near, message, 0.0, WALL)] == [Send]
    gate = town.houses[2].gate
    forged = DirectAck(message.id, author_of(2), 1, 0, gate.sign(b"anything"))
    borrowed = DirectAck(message.id, author_of(4), 1, 0, gate.sign(b"anything"))

    assert house.courier.on_ack(far, forged, 0.0) == []
    assert house.courier.on_ack(far, borrowed, 0.0) == []
    first = town.houses[0]
    assert first.courier.on_ack(first.link_to(1), forged, 0.0) == []
    assert first.courier.take_news() == []


def test_a_hop_cannot_have_its_own_letter_acknowledged_for_the_one_it_swallowed():
    town = Town(CHAIN)
    town.teach(4)
    swallowed = taken(town, 0, 4)
    thief = town.houses[3]
    _, effects = thief.courier.send(
        member_of(4), LetterKind.TEXT, b"other", 0.0, WALL, letter_id=swallowed.id
    )
    (own,) = [one.message for one in effects if isinstance(one, Send)]
    assert isinstance(own, Direct)
    last = town.houses[4]
    (answer,) = last.courier.on_direct(last.link_to(3), own, 0.0, WALL)
    assert isinstance(answer, Send)
    ack = answer.message
    assert isinstance(ack, DirectAck)
    first = town.houses[0]

    assert first.courier.on_ack(first.link_to(1), ack, 0.0) == []
    assert first.courier.take_news() == []


def test_a_box_that_does_not_open_is_not_acknowledged():
    town = Town(CHAIN)
    town.teach(4)
    message = taken(town, 0, 4)
    last = town.houses[4]
    link = last.link_to(3)
    bad = Direct(message.id, message.to, message.source, message.box + b"x", 3)
    renamed = Direct(b"another id 16 by", message.to, message.source, message.box, 3)
    other = Direct(message.id, message.to, bytes(author_of(2)), message.box, 3)
    for one in (bad, renamed, other):
        assert last.courier.on_direct(link, one, 0.0, WALL) == []

    # ... and it does not stand in the way of the true one.
    good = Direct(message.id, message.to, message.source, message.box, 3)
    assert len(last.courier.on_direct(link, good, 0.0, WALL)) == 1


def test_a_letter_is_forwarded_once():
    town = Town(CHAIN)
    town.teach(4)
    message = taken(town, 0, 4)
    house, near, far = hop(town)

    assert len(house.courier.on_direct(near, message, 0.0, WALL)) == 1
    assert house.courier.on_direct(near, message, 0.0, WALL) == []
    assert house.courier.on_direct(far, message, 0.0, WALL) == [Send(far, DirectFailed(message.id))]


def test_only_who_has_the_letter_can_give_it_back():
    town = Town(CHAIN)
    town.teach(4)
    message = taken(town, 0, 4)
    house, near, far = hop(town)
    house.courier.on_direct(near, message, 0.0, WALL)

    assert house.courier.on_failed(near, DirectFailed(message.id), 0.0) == []
    back = [Send(near, DirectFailed(message.id))]
    assert house.courier.on_failed(far, DirectFailed(message.id), 0.0) == back
    assert house.courier.on_failed(far, DirectFailed(message.id), 0.0) == []


TTL = CourierConfig().ttl


def test_the_ttl_ends_a_walk():
    town = Town(CHAIN)
    town.teach(4)
    message = taken(town, 0, 4)
    house, near, _ = hop(town)
    far_travelled = Direct(message.id, message.to, message.source, message.box, TTL - 1)

    assert house.courier.on_direct(near, far_travelled, 0.0, WALL) == [
        Send(near, DirectFailed(message.id))
    ]
    flood = Direct(message.id, message.to, message.source, message.box, 254, flood=True)
    assert house.courier.on_direct(near, flood, 0.0, WALL) == []


def test_a_link_may_have_so_much_carried_and_no_more():
    config = CourierConfig(forward_rate=1, forward_burst=5, flood_rate=1, flood_burst=5)
    town = Town(CHAIN, config=config)
    town.teach(4)
    message = taken(town, 0, 4)
    house, near, _ = hop(town)

    def send(number: int, now: float, *, flood: bool) -> list:
        letter = number.to_bytes(16, "big")
        one = Direct(letter, message.to, message.source, message.box, 0, flood)
        effects = house.courier.on_direct(near, one, now, WALL)
        return [x for x in effects if isinstance(x, Send) and isinstance(x.message, Direct)]

    assert sum(len(send(number, 0.0, flood=False)) for number in range(9)) == 5
    assert sum(len(send(number, 0.0, flood=True)) for number in range(20, 29)) == 5
    assert len(send(30, 1.0, flood=False)) == 1


def test_words_of_unknown_authors_do_not_crowd_out_a_proven_one():
    """A hop passes on a few acknowledgements that it cannot check, and always the one it can."""
    town = Town(CHAIN)
    town.teach(4)
    message = taken(town, 0, 4)
    house, near, far = hop(town)
    house.courier.on_direct(near, message, 0.0, WALL)
    passed = 0
    for number in range(100):
        unknown = DirectAck(message.id, author_of(1000 + number), 4, 2, bytes(64))
        passed += len(house.courier.on_ack(far, unknown, 0.0))
    assert passed == CourierConfig().acks_count
    last = town.houses[4]
    arrived = Direct(message.id, message.to, message.source, message.box, 3)
    (answer,) = last.courier.on_direct(last.link_to(3), arrived, 0.0, WALL)
    assert isinstance(answer, Send)
    assert isinstance(answer.message, DirectAck)
    assert len(house.courier.on_ack(far, answer.message, 0.0)) == 1


NUMBERS = st.integers(0, 5)
FUZZ_IDS = st.sampled_from([number.to_bytes(16, "big") for number in range(4)])
FUZZ = st.one_of(
    st.builds(
        Direct,
        id=FUZZ_IDS,
        to=NUMBERS.map(member_of).map(bytes),
        source=NUMBERS.map(author_of).map(bytes),
        box=st.binary(max_size=80),
        hops=st.integers(0, 255),
        flood=st.booleans(),
    ),
    st.builds(
        DirectAck,
        id=FUZZ_IDS,
        by=NUMBERS.map(author_of).map(bytes),
        there=st.integers(0, 255),
        hops=st.integers(0, 255),
        proof=st.binary(min_size=64, max_size=64),
    ),
    st.builds(DirectFailed, id=FUZZ_IDS),
)


@settings(max_examples=100)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, FUZZ), max_size=20), st.booleans())
def test_nothing_that_is_sent_raises_or_goes_on_for_ever(messages, taught: bool):
    town = Town(RING)
    if taught:
        town.teach(*range(6))
    for near, to, message in messages:
        town.post(near, (near + 1) % 6, message)
        if near != to:
            town.send(near, to)
    town.run()

    sent = sum(1 for near, to, _ in messages if near != to)
    ends = [len(one.delivered()) + len(one.unreachable()) for one in town.houses]
    assert sum(ends) == sent
    assert sum(town.sent.values()) < 200 * (len(messages) + 1)


def test_what_is_remembered_is_bounded():
    config = CourierConfig(
        passages_count=50, carried_bytes=10_000, authors_count=10, forward_burst=1e9
    )
    town = Town(CHAIN, config=config)
    town.teach(4)
    house, near, far = hop(town)
    for number in range(500):
        letter = number.to_bytes(16, "big")
        one = Direct(letter, bytes(member_of(4)), bytes(author_of(0)), bytes(1000), 0)
        house.courier.on_direct(near, one, number * 0.001, WALL)
        town.homes[author_of(1000 + number)] = member_of(1000 + number)
        house.courier.learn(author_of(1000 + number), far, number * 0.001)

    courier = house.courier
    assert len(courier._passages) == 50
    assert courier._carried_bytes <= 10_000
    assert courier._carried_bytes == sum(courier._carried.values())
    assert len(courier._pointers._pointers) == len(courier._pointers._authors) == 10
    house.courier.link_down(far)  # what is still at hand goes back; the rest waits for the flood


def test_messages_of_unknown_links_are_nothing():
    town = Town(CHAIN)
    message = taken(town, 0, 4)
    courier = town.houses[1].courier
    nowhere = LinkId(10_000)
    ack = DirectAck(message.id, author_of(4), 1, 0, bytes(64))

    assert courier.on_direct(nowhere, message, 0.0, WALL) == []
    assert courier.on_ack(nowhere, ack, 0.0) == []
    assert courier.on_failed(nowhere, DirectFailed(message.id), 0.0) == []
    assert courier.link_down(nowhere) == []
    assert courier.on_timer("courier", 0.0) == []


def test_the_timer_rings_for_the_first_letter_due():
    town = Town(CHAIN)
    house = town.houses[0]
    _, effects = house.courier.send(member_of(1), LetterKind.TEXT, b"", 0.0, WALL)
    assert StartTimer("courier", 3.0) in effects
    _, effects = house.courier.send(member_of(1), LetterKind.TEXT, b"", 1.0, WALL)
    assert StartTimer("courier", 2.0) in effects
