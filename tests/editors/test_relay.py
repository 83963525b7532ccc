"""One text between an editor and a folder's process that ends and comes back at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.diff import diff
from meerkat.core.editing import RangeEdit, RangesChanged
from meerkat.core.edits import Edit, apply_edits
from meerkat.core.lines import Lines
from meerkat.core.ot import EditorSide
from meerkat.core.ranges import EditorError, as_edits, as_ranges
from meerkat.editors import relay as relay_module
from meerkat.editors.relay import Relay


@dataclass
class ModelEditor:
    """An editor that follows the protocol to the letter."""

    text: str
    sent: int = 0
    applied: int = 0
    outbox: deque[tuple[int, tuple[RangeEdit, ...]]] = field(default_factory=deque)
    inbox: deque[RangesChanged] = field(default_factory=deque)

    def type(self, edits: Sequence[Edit]) -> None:
        self.outbox.append((self.applied, as_ranges(Lines(self.text), edits)))
        self.text = apply_edits(self.text, edits)
        self.sent += 1

    def receive(self) -> None:
        message = self.inbox.popleft()
        if message.revision == self.sent:
            self.text = apply_edits(self.text, as_edits(Lines(self.text), message.edits))
            self.applied += 1


class Process:
    """A folder's process: a text that stays, and sessions that do not."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.side: EditorSide | None = None
        self.down: deque[RangesChanged] = deque()  # to the relay
        self.up: deque[RangesChanged] = deque()  # from the relay
        self.confirmed = 0  # edits that are durable, but not confirmed to the relay yet
        self.taken = 0

    def open(self, content: str) -> None:
        self.side = EditorSide(content)
        self.down.clear()
        self.up.clear()
        self.taken = 0
        self.down.extend(self.side.from_us(diff(content, self.text)))

    def end(self) -> None:
        self.side = None

    def others(self, edits: Sequence[Edit]) -> None:
        self.text = apply_edits(self.text, edits)
        if self.side is not None:
            self.down.extend(self.side.from_us(edits))

    def take(self) -> None:
        assert self.side is not None
        message = self.up.popleft()
        heard = self.side.from_editor(message.revision, message.edits)
        self.text = apply_edits(self.text, heard.edits)
        self.down.extend(heard.resend)
        self.taken += 1
        assert self.side.text == self.text


class World:
    """An editor, the relay, and the process, with queues between them."""

    def __init__(self, text: str, shown: str | None = None, *, has_lf: bool = False) -> None:
        self.process = Process(text)
        self.editor = ModelEditor(text if shown is None else shown)
        self.relay = Relay(self.editor.text, has_lf=has_lf)

    def hear_editor(self) -> None:
        typed = self.relay.from_editor(*self.editor.outbox.popleft())
        if typed.resend is not None:
            self.editor.inbox.append(typed.resend)
        if typed.forward is not None:
            self.process.up.append(typed.forward)

    def hear_process(self) -> None:
        message = self.process.down.popleft()
        change = self.relay.from_process(message.revision, message.edits)
        if change is not None:
            self.editor.inbox.append(change)

    def confirm(self) -> None:
        self.relay.confirm(self.process.taken)

    def fail(self) -> None:
        """The process ends, and whatever was on the way is lost."""
        self.process.end()
        self.relay.disconnect()

    def connect(self, most: int = -1) -> None:
        """A new session, which may end before all that is kept was sent."""
        self.process.open(self.relay.base(self.process.text if self.relay.doubtful else None))
        self.relay.begin()
        while (change := self.relay.next_kept()) is not None:
            if most == 0:
                self.process.end()
                return
            self.process.up.append(change)
            self.process.take()
            self.relay.took_kept()
            most -= 1
        self.relay.connect()

    def settle(self) -> None:
        if not self.relay.connected:
            self.connect()
        while self.editor.outbox or self.process.up or self.process.down:
            while self.editor.outbox:
                self.hear_editor()
            while self.process.up:
                self.process.take()
            while self.process.down:
                self.hear_process()
        while self.editor.inbox:
            self.editor.receive()


@st.composite
def edit_lists(draw: st.DrawFn, length: int) -> list[tuple[int, int, int]]:
    """(position, deleted, how many to insert)."""
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=4)))
    return [
        (start, end - start, draw(st.integers(0, 2)))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]


ENDS = st.sampled_from(["\r\n", "\r\n\r\n"])
STEPS = st.sampled_from(
    ["type"] * 4 + ["hear"] * 2 + ["receive"] * 2 + ["others", "up", "up", "down", "down"]
    + ["confirm", "fail", "connect", "connect"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nothing_is_lost_or_doubled_whenever_the_process_ends(data: st.DataObject) -> None:
    """Every character is another one, so its fate is known."""
    fresh = (chr(code) for code in count(0x4E00))

    def text(size: int) -> str:
        return "".join(next(fresh) for _ in range(size))

    start = text(data.draw(st.integers(0, 6)))
    world = World(start)
    typed = set(start)
    deleted: set[str] = set()

    def draw(text_now: str) -> list[Edit]:
        edits = [
            Edit(at, gone, text(size)) for at, gone, size in data.draw(edit_lists(len(text_now)))
        ]
        typed.update(c for e in edits for c in e.inserted)
        deleted.update(c for e in edits for c in text_now[e.position : e.end])
        return edits

    for _ in range(data.draw(st.integers(1, 30))):
        process = world.process
        match data.draw(STEPS):
            case "type":
                world.editor.type(draw(world.editor.text))
            case "hear" if world.editor.outbox:
                world.hear_editor()
            case "receive" if world.editor.inbox:
                world.editor.receive()
            case "others" if world.relay._kept:
                # Who deletes in the same moment what may be in doubt a moment later hides it.
                new = text(1)
                typed.add(new)
                process.others([Edit(data.draw(st.sampled_from([0, len(process.text)])), 0, new)])
            case "others":
                process.others(draw(process.text))
            case "up" if process.side is not None and process.up:
                process.take()
            case "down" if process.side is not None and process.down:
                world.hear_process()
            case "confirm" if world.relay.connected:
                world.confirm()
            case "fail" if world.relay.connected:
                world.fail()
            case "connect" if not world.relay.connected:
                world.connect(data.draw(st.integers(-1, 3)))
    world.settle()

    assert world.editor.text == world.process.text == world.relay.text
    assert len(set(world.process.text)) == len(world.process.text)
    assert set(world.process.text) >= typed - deleted
    # A correction is found by comparing texts, so it may replace more than was changed; what was
    # deleted meanwhile by somebody else comes back then.
    assert set(world.process.text) <= typed


@settings(max_examples=200, deadline=None)
@given(st.data(), st.booleans())
def test_an_editor_and_a_process_converge(data: st.DataObject, has_lf: bool) -> None:
    """Whatever their line ends are: an editor that has LF, too, may begin with CRLF throughout."""
    texts = st.text("ab\n\r😀e\u0301", max_size=8)
    lines = st.lists(st.text("ab", max_size=2), max_size=4).map(lambda all_of: "\r\n".join(all_of))
    world = World(data.draw(texts), data.draw(texts | lines), has_lf=has_lf)

    def draw(text: str) -> list[Edit]:
        return [
            Edit(at, gone, data.draw(ENDS | st.text("xy\n\r", max_size=2)) if size else "")
            for at, gone, size in data.draw(edit_lists(len(text)))
        ]

    for _ in range(data.draw(st.integers(1, 25))):
        process = world.process
        match data.draw(STEPS):
            case "type":
                world.editor.type(draw(world.editor.text))
            case "hear" if world.editor.outbox:
                world.hear_editor()
            case "receive" if world.editor.inbox:
                world.editor.receive()
            case "others":
                process.others(draw(process.text))
            case "up" if process.side is not None and process.up:
                process.take()
            case "down" if process.side is not None and process.down:
                world.hear_process()
            case "confirm" if world.relay.connected:
                world.confirm()
            case "fail" if world.relay.connected:
                world.fail()
            case "connect" if not world.relay.connected:
                world.connect(data.draw(st.integers(-1, 3)))
    world.settle()

    shown = world.process.text
    assert world.relay.text == shown
    if world.relay._crlf:
        assert not has_lf
        shown = shown.replace("\n", "\r\n")
    assert world.editor.text == shown


def test_an_editor_with_lf_that_begins_with_returns_is_not_taken_for_one_with_crlf() -> None:
    """A file "0" CR CR LF in Neovim: 'fileformat' dos, and a CR at the end of the line."""
    world = World("0\r\r\n", "0\r\n", has_lf=True)
    world.settle()
    assert world.editor.text == "0\r\r\n"
    world.editor.type([Edit(1, 1, "x\n")])
    world.process.others([Edit(0, 0, "\n")])
    world.settle()
    assert world.editor.text == world.process.text == "\n0x\n\r\n"


def test_a_wrong_guess_at_crlf_is_taken_back() -> None:
    """An editor that does not say what it has: its first LF without a CR does."""
    world = World("0\r\r\n", "0\r\n")
    world.settle()
    assert world.editor.text == "0\r\r\r\n"  # each LF of ours as CRLF
    world.editor.type([Edit(0, 0, "x\n")])
    world.process.others([Edit(0, 0, "\n")])
    world.settle()
    assert world.editor.text == world.process.text == "\nx\n0\r\r\n"


def insertion(line: int, character: int, text: str) -> RangeEdit:
    return RangeEdit((line, character), (line, character), text)


def connected(content: str, base: str | None = None) -> Relay:
    relay = Relay(content)
    assert relay.base() == (content if base is None else base)
    assert caught_up(relay) == []
    return relay


def caught_up(relay: Relay) -> list[tuple[RangeEdit, ...]]:
    """Begin a session; what is sent to it first."""
    relay.begin()
    sent = []
    while (change := relay.next_kept()) is not None:
        assert change.revision == 0
        sent.append(change.edits)
        relay.took_kept()
    relay.connect()
    return sent


def test_edits_pass_as_they_are_while_there_is_a_process() -> None:
    relay = connected("one\ntwo\n")
    delta = (insertion(1, 99, "b"), insertion(0, 0, "a"))

    typed = relay.from_editor(0, delta)

    assert typed.forward == RangesChanged(0, delta)
    assert typed.resend is None
    theirs = (insertion(0, 1, "z"),)
    assert relay.from_process(1, theirs) == RangesChanged(1, theirs)
    assert relay.from_editor(1, ()).forward == RangesChanged(1, ())
    assert relay.text == "azone\ntwob\n"


def test_what_crossed_an_edit_of_the_editor_is_left_to_the_process() -> None:
    relay = connected("word")
    relay.from_process(0, (insertion(0, 0, "<"),))

    typed = relay.from_editor(0, (insertion(0, 4, "s"),))

    assert typed.forward == RangesChanged(0, (insertion(0, 4, "s"),))
    assert typed.resend is None
    assert relay.from_process(0, (insertion(0, 1, "!"),)) is None
    again = (insertion(0, 0, "<!"),)
    assert relay.from_process(1, again) == RangesChanged(1, again)
    assert relay.text == "<!words"


def test_typing_without_a_process_is_kept_and_sent_key_by_key() -> None:
    relay = connected("")
    relay.disconnect()
    for i, key in enumerate("hello"):
        assert relay.from_editor(0, (insertion(0, i, key),)).forward is None

    assert relay.base("") == ""
    assert caught_up(relay) == [(insertion(0, i, key),) for i, key in enumerate("hello")]
    assert not relay.doubtful


def test_what_the_process_took_in_before_it_ended_is_not_sent_again() -> None:
    relay = connected("ab")
    relay.from_editor(0, (insertion(0, 2, "c"),))
    relay.from_editor(0, (insertion(0, 3, "d"),))
    relay.disconnect()

    assert relay.doubtful
    assert relay.base("zabc") == "abc"  # it had the first, and somebody else's change
    assert caught_up(relay) == [(insertion(0, 3, "d"),)]


@pytest.mark.parametrize(
    ("there", "base"),
    [
        ("one\n", "one\n"),
        ("onet\n", "onet\n"),  # saved after the first key
        ("onetoo\n", "onetoo\n"),
        ("# others\noneto\n", "oneto\n"),
        ("# others\none\n", "one\n"),
        ("", "one\n"),
    ],
)
def test_what_was_saved_without_a_process_is_not_sent_again(there: str, base: str) -> None:
    relay = connected("one\n")
    relay.disconnect()
    for i, key in enumerate("too"):
        relay.from_editor(0, (insertion(0, 3 + i, key),))

    assert relay.base(there) == base
    assert len(caught_up(relay)) == len("onetoo\n") - len(base)


def test_what_was_deleted_before_it_ended_is_known_to_be_gone() -> None:
    relay = connected("abc")
    relay.from_editor(0, (RangeEdit((0, 1), (0, 2), ""),))
    relay.from_editor(0, ())
    relay.from_editor(0, (RangeEdit((0, 0), (0, 1), ""),))
    relay.disconnect()

    assert relay.base("xac") == "ac"
    assert caught_up(relay) == [(), (RangeEdit((0, 0), (0, 1), ""),)]


def test_a_long_absence_with_saves_in_between() -> None:
    relay = connected("end\n")
    relay.disconnect()
    for i in range(500):
        relay.from_editor(0, (insertion(0, i, chr(0x4E00 + i)),))
    saved = "".join(chr(0x4E00 + i) for i in range(333)) + "end\n"

    assert relay.base("# others\n" + saved) == saved
    assert sum(len(edit.replacement) for edits in caught_up(relay) for edit in edits) == 167


def test_what_was_typed_and_deleted_again_leaves_no_trace() -> None:
    relay = connected("")
    relay.disconnect()
    relay.from_editor(0, (insertion(0, 0, "ab"),))
    relay.from_editor(0, (RangeEdit((0, 0), (0, 1), ""),))

    assert relay.base("") == ""
    assert len(caught_up(relay)) == 2


def test_what_it_confirmed_is_known_to_be_there() -> None:
    relay = connected("ab")
    relay.from_editor(0, (insertion(0, 2, "c"),))
    relay.confirm(1)
    relay.disconnect()

    assert not relay.doubtful
    assert relay.base() == "abc"
    assert caught_up(relay) == []


def test_what_the_process_told_last_may_cross_typing_after_its_end() -> None:
    relay = connected("word")
    relay.from_process(0, (insertion(0, 0, "<"),))
    relay.disconnect()

    typed = relay.from_editor(0, (insertion(0, 4, "s"),))  # the editor had not seen it

    assert typed.resend == RangesChanged(1, (insertion(0, 0, "<"),))
    assert relay.base("<word") == "<word"
    assert caught_up(relay) == [(insertion(0, 5, "s"),)]
    # The editor takes in ours, which the process does not count.
    assert relay.from_editor(1, (insertion(0, 6, "!"),)).forward == RangesChanged(
        0, (insertion(0, 6, "!"),)
    )


def test_an_editor_with_crlf_reads_and_writes_crlf() -> None:
    relay = connected("one\r\ntwo\r\n", "one\ntwo\n")

    typed = relay.from_editor(0, (insertion(0, 3, "\r\nx"),))
    told = relay.from_process(1, (insertion(0, 0, "\n"),))

    assert typed.forward == RangesChanged(0, (insertion(0, 3, "\nx"),))
    assert told == RangesChanged(1, (insertion(0, 0, "\r\n"),))


@pytest.mark.parametrize("content", ["a\r\nb\n", "a\rb", "\r", "\r\n\r", ""])
def test_mixed_line_ends_are_left_alone(content: str) -> None:
    assert Relay(content).base() == content


def test_an_impossible_revision_is_refused() -> None:
    relay = connected("a")
    with pytest.raises(EditorError, match="between 0 and 0"):
        relay.from_editor(1, ())


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MAX_KEPT", 10)
    monkeypatch.setattr(relay_module, "MAX_TOLD", 10)
    relay = connected("ab")
    for i in range(100):
        relay.from_process(0, (insertion(0, i, "x"),))
    assert len(relay._told) <= 10
    relay.from_editor(100, (insertion(0, 0, "y"),))
    relay.disconnect()
    for _ in range(100):
        relay.from_editor(100, (insertion(0, 0, "z"),))

    assert len(relay._kept) <= 12
    there = "x" * 100 + "ab"
    assert relay.base(there) == there
    assert "".join(edit.replacement for (edit,) in caught_up(relay)[::-1]) == "z" * 100 + "y"
