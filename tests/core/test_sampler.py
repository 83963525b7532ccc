"""The sampler: everyone has the same chance, however loud some are."""

from __future__ import annotations

from random import Random

from meerkat.core.messages import Contact
from meerkat.core.sampler import Sampler


def contact(number: int, stamp: int = 1) -> Contact:
    return Contact(number.to_bytes(32, "big"), ("x:1",), True, stamp, bytes(64))


def number_of(one: Contact) -> int:
    return int.from_bytes(one.author, "big")


def test_shouting_does_not_help():
    """100 honest ones are heard once, five others a thousand times: they get their 5 of 105."""
    taken = 0
    for seed in range(40):
        sampler = Sampler(Random(seed).randbytes)
        for number in range(100):
            sampler.observe(contact(number))
        for _ in range(50):
            for number in range(100, 105):
                sampler.observe(contact(number))
        taken += sum(number_of(one) >= 100 for one in sampler.contacts)

    assert taken / (40 * 16) < 0.09


def test_everyone_has_the_same_chance():
    counts = [0] * 20
    for seed in range(100):
        sampler = Sampler(Random(seed).randbytes)
        for number in range(20):
            sampler.observe(contact(number))
        for one in sampler.contacts:
            counts[number_of(one)] += 1

    assert sum(counts) == 1600
    assert min(counts) > 40
    assert max(counts) < 130


def test_the_newest_contact_of_an_author_is_kept():
    sampler = Sampler(Random(1).randbytes)
    sampler.observe(contact(1))
    sampler.observe(contact(1, stamp=2))

    assert {one.stamp for one in sampler.contacts} == {2}
    assert len(sampler.contacts) == 16


def test_who_is_gone_leaves_room_for_another_choice():
    sampler = Sampler(Random(1).randbytes)
    sampler.observe(contact(1))
    assert not sampler.hungry
    sampler.renew(contact(1).author)
    assert sampler.hungry
    assert sampler.contacts == []
    sampler.observe(contact(2))
    assert {number_of(one) for one in sampler.contacts} == {2}
