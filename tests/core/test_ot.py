"""An editor's side of a text: transformation, revisions, positions, what may have been saved."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core import ot
from meerkat.core.compose import compose, merged
from meerkat.core.editing import RangeEdit, RangesChanged
from meerkat.core.edits import Edit, apply_edits, transform
from meerkat.core.lines import Lines
from meerkat.core.ot import EditorError, EditorSide

ALPHABET = "ab\n\r😀e\u0301\u2028"
TEXTS = st.text(ALPHABET, max_size=30)


def position(text: str, offset: int) -> tuple[int, int]:
    """The plain way, to compare with."""
    before = text[:offset].split("\n")
    return len(before) - 1, len(before[-1])


def offset(text: str, at: tuple[int, int]) -> int:
    lines = text.split("\n")
    if at[0] >= len(lines):
        return len(text)
    return sum(len(line) + 1 for line in lines[: at[0]]) + min(at[1], len(lines[at[0]]))


@st.composite
def edit_lists(draw: st.DrawFn, length: int, alphabet: str = ALPHABET) -> list[Edit]:
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=8)))
    return [
        Edit(start, end - start, draw(st.text(alphabet, max_size=3)))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]


# --- The parts ---


@given(st.data())
def test_both_ways_of_transforming_meet(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    ours = data.draw(edit_lists(len(text), "xyz"))
    theirs = data.draw(edit_lists(len(text), "XYZ"))

    theirs_last = apply_edits(apply_edits(text, ours), transform(theirs, ours))
    ours_last = apply_edits(apply_edits(text, theirs), transform(ours, theirs, edits_first=True))

    assert theirs_last == ours_last


@given(st.data())
def test_composed_edits_do_the_same(data: st.DataObject) -> None:
    text = start = data.draw(TEXTS)
    steps = []
    for _ in range(data.draw(st.integers(0, 6))):
        steps.append(data.draw(edit_lists(len(text))))
        text = apply_edits(text, steps[-1])

    once = compose(steps)

    assert apply_edits(start, once) == text
    assert merged(once) == list(once) or len(steps) < 2


def test_many_keys_compose_to_one_edit() -> None:
    assert compose([Edit(i, 0, "k")] for i in range(100)) == [Edit(0, 0, "k" * 100)]


def test_merging_leaves_out_what_does_nothing() -> None:
    assert merged([Edit(1, 0, ""), Edit(2, 1, "a"), Edit(3, 1, "b")]) == [Edit(2, 2, "ab")]


@settings(max_examples=200)
@given(st.data())
def test_lines_are_found_in_a_text_that_changes(data: st.DataObject) -> None:
    lines = Lines(data.draw(TEXTS))
    for _ in range(5):
        edits = data.draw(edit_lists(len(lines.text)))
        text = apply_edits(lines.text, edits)
        lines.apply(edits)
        assert lines.text == text
        for place in range(len(text) + 1):
            assert lines.position(place) == position(text, place)
        for at in [(i, j) for i in range(text.count("\n") + 3) for j in range(5)]:
            assert lines.offset(at) == offset(text, at)


@pytest.mark.parametrize("line", ["", "x", "word é😀 " * 40, "y" * 5000])
def test_lines_of_a_text_of_many_blocks(line: str) -> None:
    text = "\n".join(f"{line}{i}" if line else "" for i in range(3000))
    lines = Lines(text)
    edits = [
        [Edit(len(text) // 2, 0, "\nnew\n")],
        [Edit(10, 20_000, "")],
        [Edit(4096, 0, "a"), Edit(4097, 4095, "b\n")],
        [Edit(100, 0, "block\n" * 5000)],
        [Edit(0, 1, "z"), Edit(2900, 10, "\n\n\n")],
    ]
    for step in edits:
        if step[-1].end > len(text):
            continue
        text = apply_edits(text, step)
        lines.apply(step)
        for place in [0, 1, 4095, 4096, 4097, len(text) // 3, len(text) - 1, len(text)]:
            assert lines.position(min(place, len(text))) == position(text, min(place, len(text)))
        for number in [0, 1, 7, 99, 100, 2999, 3000, 9999]:
            assert lines.offset((number, 3)) == offset(text, (number, 3))


def test_lines_stay_few_when_a_text_shrinks_key_by_key() -> None:
    lines = Lines("x" * 1_000_000)
    for _ in range(200):
        lines.apply([Edit(0, min(5000, len(lines.text)), "")])

    assert lines.text == ""
    assert len(lines._blocks) == 1
    assert lines.position(0) == (0, 0)


def test_edits_that_do_not_fit_change_no_line() -> None:
    lines = Lines("a\nb")

    with pytest.raises(ValueError, match="ends at 9"):
        lines.apply([Edit(0, 1, "\n\n"), Edit(2, 7, "")])

    assert lines.offset((1, 1)) == 3


# --- One editor, step by step ---


def insertion(line: int, character: int, text: str) -> RangeEdit:
    return RangeEdit((line, character), (line, character), text)


def test_a_key_of_the_editor_is_an_edit_of_ours() -> None:
    side = EditorSide("one\ntwo\n")

    heard = side.from_editor(0, [insertion(1, 3, "!")])

    assert heard.edits == [Edit(7, 0, "!")]
    assert heard.resend == []
    assert side.text == side.content == "one\ntwo!\n"


def test_our_change_says_how_many_of_the_editors_we_had() -> None:
    side = EditorSide("one\n")
    side.from_editor(0, [insertion(0, 0, "a")])
    side.from_editor(0, [insertion(0, 0, "b")])

    assert side.from_us([Edit(2, 0, "x")]) == [RangesChanged(2, (insertion(0, 2, "x"),))]
    assert side.content == "baone\n"
    assert side.text == "baxone\n"


def test_at_one_place_ours_comes_first_and_is_sent_again() -> None:
    side = EditorSide("")
    side.from_us([Edit(0, 0, "ours")])

    heard = side.from_editor(0, [insertion(0, 0, "theirs")])

    assert heard.edits == [Edit(4, 0, "theirs")]
    assert heard.resend == [RangesChanged(1, (insertion(0, 0, "ours"),))]
    assert side.content == "theirs"
    assert side.text == "ourstheirs"


def test_what_waits_is_sent_again_as_one() -> None:
    side = EditorSide("....")
    for place in (0, 1, 2):
        side.from_us([Edit(place, 0, "x")])

    heard = side.from_editor(1, [insertion(0, 5, "!")])  # it had the first "x"

    assert heard.resend == [RangesChanged(1, (insertion(0, 1, "xx"),))]
    assert side.text == "xxx....!"
    # That one counts as one.
    assert side.from_editor(2, []).resend == []
    assert side.content == side.text
    with pytest.raises(EditorError, match="revision is 3"):
        side.from_editor(3, [])


def test_what_both_deleted_is_not_sent_again() -> None:
    side = EditorSide("abc")
    side.from_us([Edit(1, 1, "")])

    heard = side.from_editor(0, [RangeEdit((0, 1), (0, 2), "")])

    assert (heard.edits, heard.resend) == ([], [])
    assert side.text == side.content == "ac"


@pytest.mark.parametrize("revision", [-1, 2, 2**70])
def test_a_revision_that_cannot_be_is_refused_and_changes_nothing(revision: int) -> None:
    side = EditorSide("abc")
    side.from_us([Edit(0, 0, "x")])

    with pytest.raises(EditorError, match="between 0 and 1"):
        side.from_editor(revision, [insertion(0, 0, "y")])

    assert (side.content, side.text) == ("abc", "xabc")


def test_a_revision_below_an_earlier_one_is_refused() -> None:
    side = EditorSide("abc")
    side.from_us([Edit(0, 0, "x")])
    side.from_editor(1, [])

    with pytest.raises(EditorError, match="between 1 and 1"):
        side.from_editor(0, [])


@pytest.mark.parametrize(
    "edits",
    [
        [RangeEdit((0, 0), (0, 2), ""), RangeEdit((0, 1), (0, 3), "")],
        [RangeEdit((0, 1), (0, 3), ""), RangeEdit((0, 2), (0, 2), "x")],
        [insertion(0, 0, "\ud83d")],
    ],
)
def test_edits_that_make_no_sense_are_refused_and_change_nothing(edits: list[RangeEdit]) -> None:
    side = EditorSide("abc\n")

    with pytest.raises(EditorError):
        side.from_editor(0, edits)

    assert side.from_editor(0, []).edits == []
    assert side.text == "abc\n"


@pytest.mark.parametrize(
    ("edit", "result"),
    [
        (insertion(0, 99, "!"), "ab!\ncd\n"),
        (insertion(2, 5, "!"), "ab\ncd\n!"),
        (insertion(99, 0, "!"), "ab\ncd\n!"),
        (RangeEdit((1, 0), (99, 99), ""), "ab\n"),
        (RangeEdit((1, 2), (0, 1), "-"), "a-\n"),
    ],
)
def test_positions_past_the_end_are_clamped_and_ranges_turned(edit: RangeEdit, result: str) -> None:
    side = EditorSide("ab\ncd\n")
    side.from_editor(0, [edit])
    assert side.text == result


def test_edits_of_a_delta_may_come_in_any_order() -> None:
    side = EditorSide("abc\ndef")
    delta = [insertion(1, 3, "!"), RangeEdit((0, 1), (0, 2), "B"), insertion(0, 0, "<")]

    assert side.from_editor(0, delta).edits == [Edit(0, 0, "<"), Edit(1, 1, "B"), Edit(7, 0, "!")]
    assert side.text == "<aBc\ndef!"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_replacement_leaves_the_final_newline_alone(line_end: str) -> None:
    side = EditorSide(f"one{line_end}two{line_end}")
    start = len(f"one{line_end}")

    (message,) = side.from_us([Edit(start, 3 + len(line_end), f"three{line_end}")])

    assert message.edits == (RangeEdit((1, 1), (1, 3), "hree"),)


def test_a_delta_without_edits_counts_as_received() -> None:
    side = EditorSide("a")
    side.from_editor(0, [])
    assert side.from_us([Edit(1, 0, "b")])[0].revision == 1


def test_nothing_is_sent_of_what_does_nothing() -> None:
    side = EditorSide("a")
    assert side.from_us([]) == []
    assert side.from_us([Edit(0, 0, "")]) == []
    side.from_us([Edit(0, 0, "x")])
    assert side.from_editor(1, []).edits == []  # it counts one


# --- Cursors ---


def test_cursors_go_both_ways() -> None:
    side = EditorSide("a😀\nbc\n")

    assert side.to_text([((0, 2), (1, 1)), ((9, 9), (0, 0))]) == [(2, 4), (6, 0)]
    assert side.to_editor([(2, 4), (99, -1)]) == (((0, 2), (1, 1)), ((2, 0), (0, 0)))


def test_a_cursor_straight_after_an_edit_that_crossed_ours_is_where_the_editor_had_it() -> None:
    side = EditorSide("word")
    side.from_us([Edit(0, 0, "first ")])
    side.from_editor(0, [insertion(0, 4, "s")])  # its person typed at the end of "word"

    assert side.to_text([((0, 5), (0, 5))]) == [(11, 11)]
    # Later ones count in what we sent again.
    assert side.to_text([((0, 11), (0, 11))]) == [(11, 11)]


# --- Bounds ---


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ot, "MAX_WAITING", 100)
    side = EditorSide("start")
    for i in range(1000):
        side.from_us([Edit(5 + i, 0, "x")])

    assert len(side._waiting) <= 100
    assert side.content.startswith("startxxx")
    heard = side.from_editor(1000, [insertion(0, 0, "!")])  # it was not far behind
    assert heard.edits == [Edit(0, 0, "!")]
    assert side.text == "!start" + "x" * 1000


def test_an_editor_too_far_behind_has_to_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ot, "MAX_WAITING_CHARACTERS", 1000)
    side = EditorSide("")
    for _ in range(10):
        side.from_us([Edit(0, 0, "x" * 400)])

    assert side._weight <= 1000
    with pytest.raises(EditorError, match="was expected"):
        side.from_editor(1, [insertion(0, 0, "!")])


def test_one_large_change_is_not_taken_for_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ot, "MAX_WAITING_CHARACTERS", 1000)
    side = EditorSide("")
    side.from_us([Edit(0, 0, "x" * 4000)])

    assert side.from_editor(0, [insertion(0, 0, "!")]).resend


# --- What may have been saved ---


def test_a_save_of_what_the_editor_may_show_is_known() -> None:
    side = EditorSide("one\ntwo\n")
    side.from_us([Edit(0, 0, "x")])
    side.from_us([Edit(8, 0, "y")])

    for shown in ("one\ntwo\n", "xone\ntwo\n", "xone\ntwoy\n"):
        assert side.was(shown)
    for other in ("one\ntwoy\n", "one\ntwo", "", "yone\ntwo\n", "xone\ntwoy\n\n"):
        assert not side.was(other)


def test_a_text_nothing_happened_to_is_known() -> None:
    assert EditorSide("a").was("a")
    assert not EditorSide("a").was("b")
    assert not EditorSide("aaa").was("aaaaaa")


def test_what_was_shown_lately_is_known_for_a_while() -> None:
    side = EditorSide("")
    for i in range(ot.REMEMBERED + 10):
        side.from_editor(0, [insertion(0, i, "x")])

    assert side.was("x" * 10)
    assert not side.was("x" * 9)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ot, "REMEMBERED_CHARACTERS", 10)
    side = EditorSide("x" * 30)
    for i in range(6):
        side.from_editor(0, [RangeEdit((0, 0), (0, 5), "")])
        assert side.was("x" * (30 - 5 * i))
    assert not side.was("x" * 30)


# --- Several editors that follow the protocol, whatever the delays ---


@dataclass
class ModelEditor:
    """An editor that follows the protocol to the letter, on a plain string."""

    text: str
    sent: int = 0
    applied: int = 0
    outbox: deque[tuple[int, list[RangeEdit]]] = field(default_factory=deque)
    inbox: deque[RangesChanged] = field(default_factory=deque)

    def type(self, edits: Sequence[Edit]) -> None:
        delta = [
            RangeEdit(position(self.text, e.position), position(self.text, e.end), e.inserted)
            for e in edits
        ]
        self.text = apply_edits(self.text, edits)
        self.outbox.append((self.applied, delta))
        self.sent += 1

    def receive(self) -> None:
        message = self.inbox.popleft()
        if message.revision != self.sent:
            return
        edits = []
        for edit in message.edits:
            start, end = offset(self.text, edit.start), offset(self.text, edit.end)
            assert position(self.text, start) == edit.start
            assert position(self.text, end) == edit.end
            edits.append(Edit(start, end - start, edit.replacement))
        self.text = apply_edits(self.text, edits)
        self.applied += 1


class Desk:
    """A text, the editors that have it open, and us between them."""

    def __init__(self, text: str, editors: int) -> None:
        self.text = text
        self.editors = [ModelEditor(text) for _ in range(editors)]
        self.sides = [EditorSide(text) for _ in range(editors)]

    def change(self, edits: Sequence[Edit], by: int | None = None) -> None:
        self.text = apply_edits(self.text, edits)
        for i, side in enumerate(self.sides):
            if i != by:
                self.editors[i].inbox.extend(side.from_us(edits))
            assert side.text == self.text

    def hear(self, i: int) -> None:
        revision, delta = self.editors[i].outbox.popleft()
        heard = self.sides[i].from_editor(revision, delta)
        self.editors[i].inbox.extend(heard.resend)
        self.change(heard.edits, by=i)
        assert len(heard.resend) <= 1

    def settle(self) -> None:
        for i, editor in enumerate(self.editors):
            while editor.outbox:
                self.hear(i)
        for editor in self.editors:
            while editor.inbox:
                editor.receive()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_editors_converge_whatever_the_delays(data: st.DataObject) -> None:
    desk = Desk(data.draw(TEXTS), data.draw(st.integers(1, 3)))
    for _ in range(data.draw(st.integers(1, 25))):
        i = data.draw(st.integers(0, len(desk.editors) - 1))
        editor = desk.editors[i]
        match data.draw(st.sampled_from(["type", "type", "hear", "receive", "remote"])):
            case "type":
                editor.type(data.draw(edit_lists(len(editor.text))))
            case "hear" if editor.outbox:
                desk.hear(i)
            case "receive" if editor.inbox:
                editor.receive()
            case "remote":
                desk.change(data.draw(edit_lists(len(desk.text))))
            case _:
                continue
        for editor, side in zip(desk.editors, desk.sides, strict=True):
            if not editor.outbox:  # we know all it did, so a save of it is an echo
                assert side.was(editor.text)
    desk.settle()

    for editor, side in zip(desk.editors, desk.sides, strict=True):
        assert editor.text == desk.text
        assert side.was(desk.text)
        assert not editor.inbox


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nothing_is_lost_and_nothing_comes_back(data: st.DataObject) -> None:
    """Every character is another one: who typed it and who deleted it is known."""
    fresh = (chr(code) for code in count(0x4E00))
    text = "".join(next(fresh) for _ in range(data.draw(st.integers(0, 10))))
    desk = Desk(text, 2)
    typed = set(text)
    deleted: set[str] = set()

    def draw(text: str) -> list[Edit]:
        edits = [
            Edit(e.position, e.deleted, "".join(next(fresh) for _ in e.inserted))
            for e in data.draw(edit_lists(len(text)))
        ]
        typed.update(c for e in edits for c in e.inserted)
        deleted.update(c for e in edits for c in text[e.position : e.end])
        return edits

    for _ in range(data.draw(st.integers(1, 20))):
        i = data.draw(st.integers(0, 1))
        editor = desk.editors[i]
        match data.draw(st.sampled_from(["type", "type", "hear", "receive", "remote"])):
            case "type":
                editor.type(draw(editor.text))
            case "hear" if editor.outbox:
                desk.hear(i)
            case "receive" if editor.inbox:
                editor.receive()
            case "remote":
                desk.change(draw(desk.text))
            case _:
                continue
    desk.settle()

    assert sorted(desk.text) == sorted(typed - deleted)
    assert [editor.text for editor in desk.editors] == [desk.text] * 2
