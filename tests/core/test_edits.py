"""Edits: applying, rebasing, and counting in code points and bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.edits import Edit, Positions, apply_edits, transform

TEXT = st.text(st.sampled_from("abc\né\u0301😀"), max_size=30)


@st.composite
def edit_lists(draw: st.DrawFn, length: int, alphabet: str) -> list[Edit]:
    """Ordered, non-overlapping edits of a text of ``length``."""
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=8)))
    edits = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        edits.append(Edit(start, end - start, draw(st.text(alphabet, max_size=3))))
    return edits


def test_an_edit_counts_from_zero() -> None:
    with pytest.raises(ValueError, match="counts from 0"):
        Edit(-1, 0, "x")
    with pytest.raises(ValueError, match="counts from 0"):
        Edit(0, -1, "x")


@pytest.mark.parametrize(
    "edits", [[Edit(4, 0, "x")], [Edit(0, 4, "")], [Edit(1, 1, ""), Edit(0, 1, "")],
              [Edit(0, 2, ""), Edit(1, 0, "x")]]
)  # fmt: skip
def test_edits_that_do_not_fit_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="edit"):
        apply_edits("abc", edits)


def test_positions_refer_to_the_starting_text() -> None:
    assert apply_edits("abcdef", [Edit(1, 1, "XYZ"), Edit(4, 1, ""), Edit(6, 0, "!")]) == "aXYZcdf!"


@pytest.mark.parametrize(
    ("edits", "over", "expected"),
    [
        # the same place: `over` first
        ([Edit(2, 0, "e")], [Edit(2, 0, "over")], [Edit(6, 0, "e")]),
        # an insertion survives inside a deleted range
        ([Edit(2, 0, "e")], [Edit(1, 3, "")], [Edit(1, 0, "e")]),
        ([Edit(2, 0, "e")], [Edit(1, 3, "zz")], [Edit(3, 0, "e")]),
        # what `over` inserts in a range we delete is kept
        ([Edit(1, 4, "")], [Edit(3, 0, "zz")], [Edit(1, 2, ""), Edit(5, 2, "")]),
        # deleted by both: nothing is left to delete
        ([Edit(1, 2, "")], [Edit(0, 5, "")], []),
        ([Edit(1, 3, "")], [Edit(2, 1, "")], [Edit(1, 1, ""), Edit(2, 1, "")]),
        ([Edit(0, 2, "A"), Edit(2, 2, "B")], [Edit(1, 2, "x")],
         [Edit(0, 1, "A"), Edit(2, 1, "B")]),
    ],
)  # fmt: skip
def test_transform(edits: list[Edit], over: list[Edit], expected: list[Edit]) -> None:
    assert transform(edits, over) == expected


@given(st.data())
def test_transform_keeps_insertions_and_deletions_of_both(data: st.DataObject) -> None:
    # Every character of the text is unique, and so is who inserted what.
    size = data.draw(st.integers(0, 20))
    text = "".join(chr(0x4E00 + i) for i in range(size))
    edits = data.draw(edit_lists(size, "abc"))
    over = data.draw(edit_lists(size, "XYZ"))

    moved = transform(edits, over)
    result = apply_edits(apply_edits(text, over), moved)

    gone = {c for e in edits + over for c in text[e.position : e.end]}
    kept = "".join(c for c in result if c in text)
    assert kept == "".join(c for c in text if c not in gone)
    assert "".join(c for c in result if c in "abc") == "".join(e.inserted for e in edits)
    assert "".join(c for c in result if c in "XYZ") == "".join(e.inserted for e in over)


@given(st.data())
def test_transform_over_nothing_changes_nothing(data: st.DataObject) -> None:
    text = data.draw(TEXT)
    edits = data.draw(edit_lists(len(text), "xyz"))
    assert apply_edits(text, transform(edits, [])) == apply_edits(text, edits)


def test_transform_is_linear() -> None:
    edits = [Edit(2 * i, 1, "x") for i in range(50_000)]
    over = [Edit(2 * i + 1, 1, "y") for i in range(50_000)]
    assert len(transform(edits, over)) == 50_000


@given(st.data())
def test_positions_agree_with_encoding(data: st.DataObject) -> None:
    positions = Positions(data.draw(TEXT))
    for _ in range(data.draw(st.integers(1, 6))):
        text = positions.text
        char = data.draw(st.integers(0, len(text)))
        byte = len(text[:char].encode())
        if data.draw(st.booleans()):
            assert positions.byte_at(char) == byte
        else:
            assert positions.char_at(byte) == char
        if data.draw(st.booleans()):
            edits = data.draw(edit_lists(len(text), "ab😀"))
            positions.apply(edits)
            assert positions.text == apply_edits(text, edits)


@pytest.mark.parametrize("text", ["a😀b", "ab😀", "éé", "é" * 20])
def test_a_byte_inside_a_character_is_no_position(text: str) -> None:
    starts = {len(text[:i].encode()) for i in range(len(text) + 1)}
    for byte in range(len(text.encode()) + 1):
        for first in range(len(text) + 1):
            positions = Positions(text)
            positions.byte_at(first)
            if byte in starts:
                assert len(text[: positions.char_at(byte)].encode()) == byte
            else:
                with pytest.raises(ValueError, match="utf-8"):
                    positions.char_at(byte)
