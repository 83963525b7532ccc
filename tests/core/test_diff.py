"""The diff of a save: right always, short when it can be, bounded in work."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meerkat.core.diff import diff
from meerkat.core.edits import Edit, apply_edits

LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "some words here\n", "é😀 x", "\r\n"]))
TEXT = st.one_of(LINES.map("".join), st.text(max_size=60), st.text("ab \n", max_size=60))


@given(TEXT, TEXT, st.sampled_from([0, 50, 5_000, 10**9]))
@example("ab\n" * 5, "ab\n" * 4, 10**9)
def test_a_diff_turns_old_into_new(old: str, new: str, budget: int) -> None:
    edits = diff(old, new, budget=budget)
    assert apply_edits(old, edits) == new
    assert all(edit.deleted or edit.inserted for edit in edits)
    assert diff(old, new, budget=budget) == edits


@given(TEXT)
def test_nothing_changed(text: str) -> None:
    assert diff(text, text) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "new", [Edit(0, 0, "new")]),
        ("old", "", [Edit(0, 3, "")]),
        ("hello world", "hello, world", [Edit(5, 0, ",")]),
        ("the colour red\n", "the color red\n", [Edit(8, 1, "")]),
        ("one\ntwo\nthree\n", "one\n2\nthree\n", [Edit(4, 3, "2")]),
        ("a\nb\nc\n", "a\nx\nb\nc\n", [Edit(2, 0, "x\n")]),
        ("😀 a\n", "😀 b\n", [Edit(2, 1, "b")]),
        ("def f(a):\n    return a\n", "def f(a, b):\n    return a + b\n",
         [Edit(7, 0, ", b"), Edit(22, 0, " + b")]),
    ],
)  # fmt: skip
def test_small_changes_are_small(old: str, new: str, expected: list[Edit]) -> None:
    assert diff(old, new) == expected


def test_a_moved_block_keeps_the_rest() -> None:
    lines = [f"line {i}\n" for i in range(1_000)]
    moved = lines[:100] + lines[200:] + lines[100:200]
    edits = diff("".join(lines), "".join(moved))
    assert len(edits) == 2
    assert sum(edit.deleted for edit in edits) == len("".join(lines[100:200]))


def test_a_rewritten_sentence_is_one_edit() -> None:
    old = "the quick brown fox jumps over the lazy dog"
    new = "many hands make light work, as they used to say"
    assert len(diff(f"x\n{old}\ny\n", f"x\n{new}\ny\n")) <= 2


def test_repeated_lines_do_not_cost_their_square() -> None:
    lines = ["the same\n"] * 20_000
    changed = lines.copy()
    for place in (100, 9_000, 19_000):
        changed[place] = "another\n"
    started = time.process_time()
    edits = diff("".join(lines), "".join(changed))
    assert time.process_time() - started < 2  # s of CPU; 0.02 alone
    assert sum(edit.deleted + len(edit.inserted) for edit in edits) <= 3 * 17


def test_a_total_rewrite_is_bounded() -> None:
    old = "".join(f"{i * 7919 % 104729} old text\n" for i in range(100_000))
    new = "".join(f"new {i * 6271 % 104723} words\n" for i in range(100_000))
    started = time.process_time()
    assert apply_edits(old, diff(old, new)) == new
    assert time.process_time() - started < 7  # s of CPU; 0.7 alone
