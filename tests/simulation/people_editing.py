"""Editors at the peers of a simulation: they follow the editor protocol exactly, and no more.

Like Neovim with our plugin: a buffer, two counters, a pipe with delays in both directions, and
saving when its person saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Protocol

from meerkat.core.editing import (
    Closed,
    CursorShown,
    EditorMessage,
    LineEnds,
    Moved,
    Position,
    RangeEdit,
    RangesChanged,
    SessionId,
    Speech,
)
from meerkat.core.effects import Answered, Effect, TellEditor
from meerkat.core.events import (
    CursorMoved,
    Event,
    LineEndsChosen,
    RangesEdited,
    TextClosed,
    TextOpened,
)
from meerkat.core.text_file import Eol, decode_file
from meerkat.testing.simulator import SimulatedPeer, Simulator

PIPE = 0.0005  # s, one way at most; a message takes a part of it at random
WORDS = ("a", "é", "😀", "\n", "two words ", "e\u0301", "\r\n", "\r", "日本", "\t")


def place(text: str, offset: int) -> Position:
    """(line, character) of a code point; lines end at LF alone."""
    before = text[:offset]
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)


def offset_of(text: str, position: Position) -> int:
    """The other way; past the end is clamped."""
    lines = text.split("\n")
    if position[0] >= len(lines):
        return len(text)
    start = sum(len(line) + 1 for line in lines[: position[0]])
    return start + min(position[1], len(lines[position[0]]))


def apply_ranges(text: str, edits: Sequence[RangeEdit]) -> str:
    """As an editor does it: last to first, so that none moves another."""
    placed = [(offset_of(text, e.start), offset_of(text, e.end), e.replacement) for e in edits]
    for start, end, replacement in sorted(placed, key=lambda one: one[:2], reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


class Editor(Protocol):
    """Whatever hears from a node."""

    one: SimulatedPeer
    tickets: set[int]

    def deliver(self, message: EditorMessage) -> None: ...
    def answered(self, answer: Answered) -> None: ...


class Desks:
    """All editors of a simulation."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.editors: dict[tuple[int, int], Editor] = {}
        self.pipe = PIPE
        self._numbers = count(1)
        simulator.on_other = self._on_effect

    def open(
        self, one: SimulatedPeer, path: str, *, saves: bool = True, line_ends: bool = False
    ) -> ModelEditor:
        """A new editor with a file of the peer's folder. ``line_ends``: it has LF, and is told."""
        number = SessionId(next(self._numbers))
        editor = ModelEditor(self, one, path, number, saves=saves, line_ends=line_ends)
        self.editors[one.index, editor.session] = editor
        return editor

    def number(self) -> int:
        return next(self._numbers)

    def _on_effect(self, one: SimulatedPeer, effect: Effect) -> None:
        if isinstance(effect, TellEditor):
            editor = self.editors.get((one.index, effect.session))
            if editor is not None:
                editor.deliver(effect.message)
        if not isinstance(effect, Answered):
            return
        for editor in list(self.editors.values()):
            if editor.one is one and effect.ticket in editor.tickets:
                editor.answered(effect)


class Piped:
    """Whatever talks to a peer over a pipe that keeps its order, and has delays."""

    def __init__(self, desks: Desks, one: SimulatedPeer) -> None:
        self._desks, self.one = desks, one
        self._simulator = desks.simulator
        self.rng: Random = desks.simulator.rng
        self.tickets: set[int] = set()
        self._free_at = {True: 0.0, False: 0.0}  # by direction: when its last message arrives

    def _ticket(self) -> int:
        number = self._desks.number()
        self.tickets.add(number)
        return number

    def _when(self, *, to_node: bool) -> float:
        when = self._simulator.now + self.rng.uniform(0, self._desks.pipe)
        when = self._free_at[to_node] = max(when, self._free_at[to_node] + 1e-9)
        return when

    def _send(self, event: Event) -> None:
        epoch = self.one.epoch

        def arrive() -> None:
            if self.one.epoch == epoch:
                self._simulator.handle(self.one, event)

        self._simulator.call_at(self._when(to_node=True), arrive)


class ModelEditor(Piped):
    """One buffer."""

    def __init__(
        self,
        desks: Desks,
        one: SimulatedPeer,
        path: str,
        session: SessionId,
        *,
        saves: bool,
        line_ends: bool,
    ) -> None:
        super().__init__(desks, one)
        self.path, self.session = path, session
        self.text = one.folder.nodes[path].data.decode()
        self.crlf = False
        if line_ends and (read := decode_file(self.text.encode())) is not None:
            self.text, self.crlf = read.text, read.eol is Eol.CRLF
        self.is_open = True
        self.closed: Closed | None = None
        self.problems: list[str] = []
        self.cursors: dict[str, CursorShown] = {}
        self.answers: list[Answered] = []
        self._sent = self._applied = 0
        ticket = self._ticket()
        self._send(TextOpened(ticket, session, path, Speech.RANGES, self.text, saves, line_ends))

    # -- the pipe --------------------------------------------------------------------------

    def deliver(self, message: EditorMessage) -> None:
        self._simulator.call_at(self._when(to_node=False), lambda: self._take(message))

    def answered(self, answer: Answered) -> None:
        self.tickets.discard(answer.ticket)
        self.answers.append(answer)
        if answer.problem:
            self.problems.append(answer.problem)

    def _take(self, message: EditorMessage) -> None:
        match message:
            case RangesChanged(revision=revision, edits=edits) if self.is_open:
                if revision == self._sent:
                    self.text = apply_ranges(self.text, edits)
                    self._applied += 1
            case CursorShown():
                self.cursors[message.user] = message
            case Moved(path=path):
                self.path = path
            case LineEnds(crlf=crlf):
                self.crlf = crlf
            case Closed():
                self.closed = message
                self.is_open = False

    # -- its person ------------------------------------------------------------------------

    def type(self, start: int, end: int, inserted: str) -> None:
        """Replace a range of the buffer."""
        edit = RangeEdit(place(self.text, start), place(self.text, end), inserted)
        self.text = self.text[:start] + inserted + self.text[end:]
        if self.is_open:
            ticket = self._ticket()
            self._send(RangesEdited(ticket, self.session, self._applied, (edit,)))
            self._sent += 1

    def type_something(self) -> None:
        """A key, a word, a removed range, somewhere."""
        start = self.rng.randint(0, len(self.text))
        end = min(len(self.text), start + self.rng.choice((0, 0, 0, 1, 2, 7)))
        inserted = "".join(self.rng.choices(WORDS, k=self.rng.choice((0, 1, 1, 2))))
        if inserted or end > start:
            self.type(start, end, inserted)

    def move_cursor(self, anchor: int, head: int) -> None:
        selections = ((place(self.text, anchor), place(self.text, head)),)
        self._send(CursorMoved(self.session, selections))

    def save(self) -> None:
        """Write the buffer, as it is now."""
        node = self.one.folder.nodes.get(self.path)
        executable = node.executable if node is not None else False
        self.one.folder.write(self.path, self.written(), executable=executable)
        self._simulator.look(self.one)

    def written(self) -> bytes:
        """The buffer, as it would be saved."""
        return (self.text.replace("\n", "\r\n") if self.crlf else self.text).encode()

    def choose_line_ends(self, *, crlf: bool) -> None:
        self.crlf = crlf
        self._send(LineEndsChosen(self.session, crlf))

    def close(self) -> None:
        self.is_open = False
        self._send(TextClosed(self.session))
