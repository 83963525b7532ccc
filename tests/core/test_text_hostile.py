"""Hostile updates: refused with nothing changed, or harmless to honest replicas afterwards."""

from __future__ import annotations

import random

import pytest

from meerkat.core.edits import Edit
from meerkat.core.text import Text, TextUpdateError
from meerkat.core.text_rebuild import is_stable, rebuild
from tests.core.text_updates import Reference, string, update

AUTHORS = {1, 2, 3}


def history() -> tuple[list[tuple[bytes, set[int]]], bytes, list[bytes]]:
    """A document's updates and state, and updates by client 3 that come next."""
    log = []
    random_ = random.Random(5)
    texts = [Text(1), Text(2), Text(3)]
    for step in range(60):
        text = texts[step % 3]
        at = random_.randint(0, len(text.text))
        inserted = "".join(random_.choices("ab é😀\n", k=random_.randint(0, 4)))
        gone = random_.randint(0, min(3, len(text.text) - at))
        for data in text.edit([Edit(at, gone, inserted)]):
            log.append((data, {text.client}))
            for other in texts:
                if other is not text:
                    other.apply(data, {text.client})
    state = texts[0].state()
    coming = []
    for _ in range(12):
        length = len(texts[2].text)
        places = sorted(random_.sample(range(length), 3))
        coming += texts[2].edit(
            [Edit(place, random_.randint(0, 1), random_.choice("x😀ab")) for place in places]
        )
    return log, state, coming


def mutate(random_: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(len(out)) if out else 0
        match random_.randrange(5):
            case 0 if out:
                out[at] ^= 1 << random_.randrange(8)
            case 1 if out:
                out[at] = random_.randrange(256)
            case 2 if out:
                del out[at : at + random_.randint(1, 4)]
            case 3:
                out[at:at] = random_.randbytes(random_.randint(1, 4))
            case _ if out:
                out[at] = (out[at] + random_.choice((-1, 1))) % 256
    return bytes(out)


LOG, STATE, COMING = history()


@pytest.mark.parametrize("seed", range(4))
def test_mutated_updates_are_refused_or_harmless(seed: int) -> None:
    random_ = random.Random(seed)
    accepted = 0
    for _ in range(500):
        index = random_.randrange(len(COMING))
        hostile = mutate(random_, COMING[index])
        one, two = Text.load(STATE, 11), Text.load(STATE, 12)
        for data in COMING[:index]:
            one.apply(data, {3})
            two.apply(data, {3})
        before, before_state = one.text, one.update()
        try:
            one.apply(hostile, {3})
        except TextUpdateError:
            assert one.text == before
            assert one.update() == before_state
            continue
        accepted += 1
        two.apply(hostile, {3})
        if not is_stable(one):  # 4 of 2,000: neighbors that never were such
            log = [*LOG, *((data, {3}) for data in [*COMING[:index], hostile])]
            rebuilt, left_out = rebuild(log, 11)
            assert left_out == [len(log) - 1]
            assert is_stable(rebuilt)
            continue
        assert_they_agree(random_, one, two)
    assert accepted  # or the mutations say nothing


def assert_they_agree(random_: random.Random, one: Text, two: Text) -> None:
    """Two replicas that got the same go on, apart and together, and across a restart."""
    assert one.text == two.text == str(one._engine)
    assert one.text == Text.load(one.state(), 99).text
    for round_ in range(2):
        updates = {}
        for text in (one, two):
            length = len(text.text)
            place = random_.randint(0, length)
            gone = random_.randint(0, min(3, length - place))
            updates[text.client] = text.edit([Edit(place, gone, f"é{text.client}")])
        for data in updates[two.client]:
            one.apply(data, {two.client})
        for data in updates[one.client]:
            two.apply(data, {one.client})
        assert one.text == two.text == Text.load(two.state(), 99).text
        if round_ == 0:
            one = Text.load(one.state(), one.client)
    fresh = Text(99)
    fresh.apply(one.update(), {*AUTHORS, one.client, two.client})
    assert fresh.text == one.text


def forge(random_: random.Random, client: int, clocks: dict[int, int]) -> bytes:
    """Structs between any two known ones, which no honest editor would call neighbors."""
    structs = []
    first = clock = clocks.get(client, 0)
    for _ in range(random_.randint(1, 2)):
        known = [(c, k) for c, end in clocks.items() for k in range(end)]
        known += [(client, k) for k in range(first, clock)]
        references: list[Reference] = random_.choices([*known, None], k=2)
        content = random_.choice("ABCDE") * random_.randint(1, 2)
        structs.append(string(content, *references))
        clock += len(content)
    return update((client, first, structs))


@pytest.mark.parametrize("seed", range(60))
def test_forged_neighbors_are_left_out_alike(seed: int) -> None:
    random_ = random.Random(seed)
    texts = [Text(90 + i) for i in range(3)]
    base = update((50, 0, [string("abcdef")]))
    log: list[tuple[bytes, set[int]]] = [(base, {50})]
    for text in texts:
        text.apply(base, {50})
    for _ in range(2):
        clocks = dict(texts[0].clocks)
        forged = [(forge(random_, client, clocks), {client}) for client in (1, 2, 3)]
        log += forged
        for text in texts:
            for data, clients in random_.sample(forged, len(forged)):
                text.apply(data, clients)
    one, left_out = rebuild(log, 90)
    two, left_out_there = rebuild(log, 91)
    assert one.text == two.text
    assert left_out == left_out_there
    assert is_stable(one)
    for data in one.edit([Edit(3, 1, "honest")]):
        two.apply(data, {90})
    assert one.text == two.text


def test_a_rebuild_of_honest_changes_is_the_text() -> None:
    log = [*LOG, *((data, {3}) for data in COMING)] * 4  # more than a block, with duplicates
    text, left_out = rebuild(log, 9)
    assert left_out == []
    expected = Text.load(STATE, 9)
    for data in COMING:
        expected.apply(data, {3})
    assert text.text == expected.text
