"""Places that stay with their character, in texts of all kinds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.anchors import Anchors
from meerkat.core.edits import Edit
from meerkat.core.surrogates import TextUpdateError
from meerkat.core.text import TAIL_UPDATES, Text, ask_engine
from meerkat.core.text_update import shadow_update
from tests.core.text_updates import string, update

ALPHABET = "ab\r\n\u0301é€😀👩\u200d\ufeff\x01\uffff"


def width(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_a_place_is_the_character_after_it() -> None:
    text = Text(5)
    anchors = Anchors(text)
    assert anchors.item_at(0) is None
    assert anchors.offset_of(None) == 0
    text.edit([Edit(0, 0, "a😀é\r\n")])
    assert [anchors.item_at(at) for at in range(6)] == [
        (5, 0),
        (5, 1),
        (5, 3),
        (5, 4),
        (5, 5),
        None,
    ]
    assert [anchors.offset_of((5, clock)) for clock in range(6)] == [0, 1, 1, 2, 3, 4]
    assert [anchors.offset_of((5, clock), after=True) for clock in range(6)] == [1, 1, 2, 3, 4, 5]
    assert anchors.offset_of(None) == 5


@pytest.mark.parametrize("content", ["plain", "é😀"])
@pytest.mark.parametrize("anchor", [(5, 99), (6, 0), (2**53, 0), (5, -1), (-1, 0), (5, 2**60)])
def test_an_unknown_character_is_nowhere(content: str, anchor: tuple[int, int]) -> None:
    text = Text(5)
    text.edit([Edit(0, 0, content)])
    assert Anchors(text).offset_of(anchor) is None


@pytest.mark.parametrize("content", ["plain", "é😀e"])
def test_offsets_outside_are_clamped(content: str) -> None:
    text = Text(5)
    text.edit([Edit(0, 0, content)])
    anchors = Anchors(text)
    assert anchors.item_at(-3) == (5, 0)
    assert anchors.item_at(10**9) is None


class Oracle:
    """One writer's text with its deleted characters, each with its clock."""

    def __init__(self) -> None:
        self.items: list[tuple[int, str, bool]] = []  # clock, character, is alive
        self.clock = 0

    def alive(self) -> list[int]:
        return [index for index, (_, _, alive) in enumerate(self.items) if alive]

    def edit(self, position: int, deleted: int, inserted: str) -> None:
        alive = self.alive()
        for index in alive[position : position + deleted]:
            clock, character, _ = self.items[index]
            self.items[index] = (clock, character, False)
        at = alive[position - 1] + 1 if position else 0
        for character in inserted:
            self.items.insert(at, (self.clock, character, True))
            self.clock += width(character)
            at += 1


STEP = st.tuples(st.integers(0, 60), st.integers(0, 5), st.text(ALPHABET, max_size=4))


@given(st.lists(STEP), st.booleans())
def test_every_character_is_found_wherever_it_went(
    steps: list[tuple[int, int, str]], ascii_only: bool
) -> None:
    text, oracle = Text(5), Oracle()
    anchors = Anchors(text)  # asked now and then, so that it must follow
    for number, (place, count, inserted) in enumerate(steps):
        if ascii_only:
            inserted = inserted.encode("ascii", "ignore").decode()
        place = min(place, len(text.text))
        count = min(count, len(text.text) - place)
        text.edit([Edit(place, count, "")])
        oracle.edit(place, count, "")
        text.edit([Edit(place, 0, inserted)])
        oracle.edit(place, 0, inserted)
        if number % 3 == 0:
            anchors.item_at(place)
    for same in (anchors, Anchors(text), Anchors(Text.load(text.state(), 6))):
        alive = [oracle.items[index] for index in oracle.alive()]
        assert [same.item_at(at) for at in range(len(alive))] == [(5, item[0]) for item in alive]
        for offset, (clock, character, _) in enumerate(alive):
            assert same.offset_of((5, clock)) == offset
            last = clock + width(character) - 1
            assert same.offset_of((5, last), after=True) == offset + 1
        for clock, _, _ in oracle.items:  # where a deleted one was: see tests/interop
            found = same.offset_of((5, clock))
            assert found is not None
            assert 0 <= found <= len(alive)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_replicas_agree_on_every_place(seed: int) -> None:
    rng = random.Random(seed)
    texts = [Text(5), Text(2**40)]
    anchors = [Anchors(text) for text in texts]
    for _ in range(40):
        one = rng.randrange(2)
        size = len(texts[one].text)
        place = rng.randint(0, size)
        edit = Edit(
            place, min(rng.randint(0, 3), size - place), "".join(rng.choices(ALPHABET, k=2))
        )
        for data in texts[one].edit([edit]):
            texts[1 - one].apply(data, {texts[one].client})
        offset = rng.randint(0, len(texts[0].text))
        anchor = anchors[one].item_at(offset)
        assert anchors[1 - one].item_at(offset) == anchor
        assert anchors[1 - one].offset_of(anchor) == offset


def test_a_shadow_that_fell_behind_is_made_anew() -> None:
    text = Text(5)
    anchors = Anchors(text)
    text.edit([Edit(0, 0, "é😀")])
    assert anchors.item_at(1) == (5, 1)
    for _ in range(2 * TAIL_UPDATES + 10):
        text.edit([Edit(0, 0, "x")])
    assert text.recent_updates(1) is None
    assert anchors.offset_of((5, 1)) == len(text.text) - 1


def test_marks_follow_a_long_text() -> None:
    rng = random.Random(1)
    text = Text(5)
    text.edit([Edit(0, 0, "😀bé" * 10_000)])
    anchors = Anchors(text)
    for _ in range(200):
        if rng.random() < 0.5:
            size = len(text.text)
            text.edit([Edit(rng.randint(0, size), 0, rng.choice(["x", "😀😀", "é"]))])
        else:
            place = rng.randrange(len(text.text) - 9)
            text.edit([Edit(place, 9, "😀"), Edit(place + 9, 0, "y")])
        offset = rng.randrange(len(text.text))
        anchor = anchors.item_at(offset)
        assert anchor == Anchors(text).item_at(offset)
        assert anchors.offset_of(anchor) == offset


def test_a_shadow_has_an_x_for_every_unit() -> None:
    honest = update(
        (7, 0, [string("a😀é"), string("plain", (7, 3))]),
        (9, 4, [string("😀", (7, 0), (7, 1))]),
        deletes=[(7, 1, 2)],
    )
    assert shadow_update(honest) == update(
        (7, 0, [string("xxxx"), string("plain", (7, 3))]),
        (9, 4, [string("xx", (7, 0), (7, 1))]),
        deletes=[(7, 1, 2)],
    )
    with pytest.raises(TextUpdateError):
        shadow_update(b"\x01\x01\x07")


def test_a_panic_of_the_engine_is_no_answer() -> None:
    class Panic(BaseException):
        """As pyo3's, no Exception."""

    def fail(kind: type[BaseException]) -> int:
        raise kind

    assert ask_engine(lambda: 5) == 5
    assert ask_engine(lambda: fail(Panic)) is None
    assert ask_engine(lambda: fail(ValueError)) is None
    with pytest.raises(KeyboardInterrupt):
        ask_engine(lambda: fail(KeyboardInterrupt))
