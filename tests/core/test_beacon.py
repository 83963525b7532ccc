"""The beacon: one for each part of a pool, and two parts are told apart by it."""

from __future__ import annotations

from random import Random

from meerkat.core.beacon import Beacons, Merges
from meerkat.core.ids import AuthorId
from meerkat.core.messages import Beacon, MergeHint
from meerkat.core.overlay_config import OverlayConfig
from tests.core.overlay_harness import OpenGate, Pool, contact_of

WALL = 1_790_000_000.0
MS = 1000


class Party:
    """Some followers who know each other, by size of their ids."""

    def __init__(self, count: int) -> None:
        self.keys = Pool()
        self.authors = sorted(self.keys.enroll(index) for index in range(count))
        self.config = OverlayConfig()

    def beacons(self, number: int, now: float = 0.0) -> Beacons:
        one = Beacons(OpenGate(self.keys, self.authors[number]), self.config)
        one.become(now)
        return one

    def beacon(self, number: int, now: float, *, stable: bool = True) -> Beacon:
        return Beacon(bytes(self.authors[number]), int((WALL + now) * MS), stable)


def test_everybody_begins_as_its_own_beacon():
    one = Party(2).beacons(1)

    assert one.speak(0.0, WALL)
    assert not one.speak(9.9, WALL + 9.9)
    assert one.speak(10.0, WALL + 10)
    assert not one.stable(9.0)
    assert one.stable(10.0)


def test_the_smallest_is_followed_and_passed_on_once():
    party = Party(3)
    one = party.beacons(2)

    assert one.hear(party.beacon(1, 1.0), 1.0, WALL + 1)
    assert not one.hear(party.beacon(1, 1.0), 1.1, WALL + 1), "the same again"
    assert one.hear(party.beacon(0, 2.0), 2.0, WALL + 2)
    assert not one.hear(party.beacon(1, 3.0), 3.0, WALL + 3), "there is a smaller one"
    assert one.hear(party.beacon(0, 12.0), 12.0, WALL + 12)
    assert one.current(12.0).author == party.authors[0]
    assert not one.speak(12.0, WALL + 12), "only the beacon speaks"


def test_a_silent_beacon_is_replaced_and_no_echo_brings_it_back():
    party = Party(3)
    one = party.beacons(1)
    last = party.beacon(0, 0.0)
    one.hear(last, 0.0, WALL)
    assert not one.speak(29.0, WALL + 29)
    now = 30.0
    while not one.speak(now, WALL + now):
        assert now < 45
        assert not one.stable(now), "nobody knows which part this is"
        now += 0.25

    assert one.current(now).author == party.authors[1]
    assert not one.hear(last, now + 1, WALL + now + 1)
    assert one.hear(party.beacon(0, now + 2), now + 2, WALL + now + 2), "it lives"


def test_the_smaller_one_stands_up_first():
    party = Party(40)
    waits = []
    for number in (1, 38):
        one = party.beacons(number)
        one.hear(party.beacon(0, 0.0), 0.0, WALL)
        now = 30.0
        while not one.speak(now, WALL + now):
            now += 0.05
        waits.append(now)

    assert waits[0] < waits[1]


def test_two_parts_differ_only_when_both_are_settled():
    party = Party(4)
    one = party.beacons(2)
    one.hear(party.beacon(1, 0.0), 0.0, WALL)
    other = party.beacon(0, 20.0)

    assert not one.differs(other, 5.0)
    assert one.differs(other, 10.0)
    assert not one.differs(party.beacon(0, 20.0, stable=False), 20.0)
    assert not one.differs(party.beacon(1, 5.0), 20.0)
    assert not one.differs(None, 20.0)


def test_one_beacon_that_only_one_side_still_hears_is_a_part_of_its_own():
    party = Party(4)
    one = party.beacons(2)
    one.hear(party.beacon(1, 0.0), 0.0, WALL)

    assert not one.differs(party.beacon(1, 10.0), 20.0), "one that is on its way"
    assert one.differs(party.beacon(1, 20.0, stable=False), 25.0)


def test_a_beacon_nobody_knows_or_from_the_future_is_not_followed():
    party = Party(2)
    one = party.beacons(1)
    stranger = AuthorId(bytes(32))
    assert stranger < party.authors[1]

    assert not one.hear(Beacon(bytes(stranger), 1, True), 0.0, WALL)
    assert not one.hear(party.beacon(0, 90_000.0), 0.0, WALL)


def test_a_flood_of_beacons_is_not_passed_on():
    party = Party(2)
    one = party.beacons(1)
    passed = sum(
        one.hear(Beacon(bytes(party.authors[0]), number, True), 0.001 * number, WALL)
        for number in range(1, 2000)
    )

    assert passed < 30


def hint(party: Party, number: int, count: int) -> MergeHint:
    contacts = [contact_of(party.keys, one, "x:1") for one in party.authors[:count]]
    return MergeHint(bytes([number]) * 16, tuple(contacts))


def test_a_hint_counts_once_and_one_hint_in_ten_seconds():
    party = Party(10)
    gate = OpenGate(party.keys, party.authors[9])
    merges = Merges(gate, party.config, Random(1), Random(1).randbytes)

    assert merges.news(hint(party, 1, 8), 0.0)
    assert not merges.news(hint(party, 1, 8), 1.0)
    assert not merges.news(hint(party, 2, 8), 9.0)
    assert merges.news(hint(party, 2, 8), 10.0)
    assert not merges.news(hint(party, 1, 8), 30.0), "it comes round again"
    assert not merges.news(MergeHint(bytes([3]) * 16, ()), 50.0)


def test_in_a_small_pool_all_link_across_in_a_large_one_few():
    party = Party(10)
    gate = OpenGate(party.keys, party.authors[9])
    merges = Merges(gate, party.config, Random(1), Random(1).randbytes)
    assert all(merges.chosen(hint(party, 1, 1)) for _ in range(50))

    party.keys.limit = 1000
    many = sum(merges.chosen(hint(party, 1, 8)) for _ in range(4000))
    few = sum(merges.chosen(hint(party, 1, 1)) for _ in range(4000))
    assert 400 < many < 600
    assert few < 120, "a part of one would be trampled"
