"""The document: whatever several people do to it, in whatever order it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.edits import Edit, apply_edits
from meerkat.tui.anchors import DocumentAnchors
from meerkat.tui.document import DocumentDamaged, LiveDocument, writable
from meerkat.tui.lines import Lines
from meerkat.tui.spans import Span, moved

HARD = "a \n\r\té日😀\u0301\u200d\x1b"
TEXTS = st.text(st.sampled_from(HARD), max_size=6)
MINE, THEIRS = "AB😀", "xy日\n"


@dataclass
class Writer:
    """A document, what it sent and has not delivered, and a copy made from what it told."""

    client: int
    out: list[bytes] = field(default_factory=list)
    copy: str = ""

    def __post_init__(self) -> None:
        self.document = LiveDocument(self.client, self.note, self.out.append)

    def note(self, edits: Sequence[Edit], is_own: bool) -> None:
        self.copy = apply_edits(self.copy, edits)

    def send(self, to: Writer) -> None:
        for update in self.out:
            to.document.apply(update)
        self.out.clear()


def edit_of(length: int, at: int, deleted: int, text: str) -> Edit:
    start = at % (length + 1)
    return Edit(start, min(deleted, length - start), text)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["edit", "edit", "edit", "undo", "redo", "send", "group"]),
        st.booleans(),
        st.integers(0, 200),
        st.integers(0, 5),
        TEXTS,
    ),
    max_size=40,
)


@given(STEPS)
@settings(deadline=None)
def test_documents_converge_and_tell_every_change(steps: list) -> None:
    one, other = Writer(1), Writer(2**32 - 1)
    for what, first, at, deleted, text in steps:
        writer, reader = (one, other) if first else (other, one)
        document = writer.document
        match what:
            case "edit":
                document.edit([edit_of(document.lines.length, at, deleted, text)])
            case "undo":
                document.undo()
            case "redo":
                document.redo()
            case "group":
                document.end_undo_group()
            case "send":
                writer.send(reader)
        assert document.text == writer.copy
    one.send(other)
    other.send(one)
    assert one.document.text == other.document.text == one.copy == other.copy


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 200), st.integers(0, 3), st.integers(1, 5)),
        max_size=30,
    )
)
@settings(deadline=None)
def test_undo_of_everything_leaves_what_others_wrote(steps: list) -> None:
    mine, theirs = Writer(1), Writer(2)
    for first, at, deleted, size in steps:
        writer, reader, letters = (mine, theirs, MINE) if first else (theirs, mine, THEIRS)
        text = (letters * 2)[:size]
        document = writer.document
        document.end_undo_group()
        length = document.lines.length
        start = at % (length + 1)
        # They delete nothing of mine, so that what is left at the end is known.
        is_free = first or not set(document.text[start : start + deleted]) & set(MINE)
        document.edit([edit_of(length, at, deleted if is_free else 0, text)])
        writer.send(reader)
    written = [one for one in mine.document.text if one in THEIRS]
    while mine.document.undo():
        pass
    mine.send(theirs)
    left = theirs.document.text
    assert not set(left) & set(MINE)
    # All that they wrote is there, also what I had deleted.
    assert len(left) >= len(written)
    while mine.document.redo():
        pass
    assert [one for one in mine.document.text if one in THEIRS] == written


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 4), TEXTS), max_size=8), st.data())
@settings(deadline=None)
def test_anchors_find_their_characters_again(edits: list, data: st.DataObject) -> None:
    one, other = Writer(1), Writer(2)
    one.document.edit([Edit(0, 0, "a😀b\né日c")])
    one.send(other)
    anchors, others = DocumentAnchors(one.document), DocumentAnchors(other.document)
    at = data.draw(st.integers(0, one.document.lines.length))
    item = anchors.item_at(at)
    assert others.offset_of(item) == at
    place = at
    for position, deleted, text in edits:
        edit = edit_of(other.document.lines.length, position, deleted, text)
        other.document.edit([edit])
        place = moved(place, [edit])
    other.send(one)
    assert others.offset_of(item) == anchors.offset_of(item)
    if not any(deleted for _, deleted, _ in edits):
        assert anchors.offset_of(item) == place
    assert anchors.offset_of((12345, 0)) is None


def test_an_edit_that_does_not_fit_is_refused_before_the_engine_sees_it() -> None:
    writer = Writer(1)
    writer.document.edit([Edit(0, 0, "text")])
    with pytest.raises(ValueError, match="ends at 9"):
        writer.document.edit([Edit(2, 7, "")])
    assert writer.document.text == "text"


def test_what_a_text_cannot_hold_is_dropped() -> None:
    writer = Writer(1)
    writer.document.edit([Edit(0, 0, "a\0b\ud800c")])
    assert writer.document.text == writable("a\0b\ud800c") == "abc"


@pytest.mark.parametrize("update", [b"", b"\xff", b"\x01\x02\x03", bytes(50)])
def test_a_hostile_update_is_an_error_of_ours(update: bytes) -> None:
    writer = Writer(1)
    writer.document.edit([Edit(0, 0, "text")])
    with suppress(DocumentDamaged):
        writer.document.apply(update)
    assert writer.copy == "text"


def test_many_replacements_are_few_for_the_engine_and_one_for_undo() -> None:
    one, other = Writer(1), Writer(2)
    text = "word 日 " * 30_000
    one.document.edit([Edit(0, 0, text)])
    one.document.end_undo_group()
    one.document.edit([Edit(at * 7, 4, "words") for at in range(30_000)])
    assert one.document.text == text.replace("word", "words")
    one.send(other)
    assert other.document.text == one.document.text
    assert one.document.undo()
    one.send(other)
    assert other.document.text == one.document.text == text


@given(st.text(st.sampled_from(HARD), max_size=60), st.data())
def test_lines_agree_with_the_text(text: str, data: st.DataObject) -> None:
    lines = Lines(text)
    for _ in range(data.draw(st.integers(0, 4))):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=4, max_size=4)))
        edits = [Edit(cuts[0], cuts[1] - cuts[0], data.draw(TEXTS))]
        if cuts[2] > cuts[1]:
            edits.append(Edit(cuts[2], cuts[3] - cuts[2], data.draw(TEXTS)))
        text = apply_edits(text, edits)
        lines.apply(edits)
    assert lines.text == text
    assert list(lines.between(0, 10**6)) == text.split("\n")
    assert (len(lines), lines.length, lines.size) == (
        text.count("\n") + 1,
        len(text),
        len(text.encode()),
    )
    for at in range(len(text) + 1):
        line, column = lines.position(at)
        assert lines.offset(line, column) == at
        assert lines.byte_at(at) == len(text[:at].encode())
        assert lines.char_at(lines.byte_at(at)) == at
        assert lines[line][:column] == text[:at].rpartition("\n")[2]


def test_lines_of_a_large_text_change_in_blocks() -> None:
    text = "".join(f"line {number} é\n" for number in range(3_000))
    lines = Lines(text)
    for start, deleted, inserted in [
        (0, 0, "x\n" * 900),
        (500, 9_000, ""),
        (100, 20_000, "é\n" * 700),
    ]:
        edit = Edit(start, deleted, inserted)
        text = apply_edits(text, [edit])
        lines.apply([edit])
        assert lines.text == text
        middle = len(text) // 2
        assert lines.offset(*lines.position(middle)) == middle
        assert lines.slice(5, middle) == text[5:middle]


def test_a_selection_keeps_what_was_selected() -> None:
    assert Span(5, 8).after([Edit(5, 0, "ab")]) == Span(7, 10)
    assert Span(5, 8).after([Edit(8, 0, "ab")]) == Span(5, 8)
    assert Span(8, 5).after([Edit(6, 0, "ab")]) == Span(10, 5)
    assert Span(5, 8).after([Edit(0, 20, "x")]) == Span(1, 1)
    assert Span(5, 5).after([Edit(5, 0, "ab")]) == Span(7, 7)
