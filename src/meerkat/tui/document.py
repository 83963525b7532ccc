"""The text that is being edited: a Yjs document of our own, and its lines.

The one place of the editor that knows the engine (pycrdt). Every change, whoever made it, comes
out of the engine as edits and goes into the lines and to whoever listens; undo and redo are the
engine's, so they take back our own changes only, wherever these have moved to. Does not decide
how updates travel (``session.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pycrdt

from meerkat.core.edits import Edit, check_edits

from .lines import Lines

__all__ = ["DocumentDamaged", "LiveDocument"]

ROOT = "text"
MAX_CLIENT = 2**32  # Yjs clients choose 32-bit ids; larger ones are those of nodes
FEW_EDITS = 32  # so many are simply made
MOST_EDITS = 1_000  # of one change: 40,000 in 4 MiB took 20 s, and then 12 ms for each key
MAX_KEPT = 2_000  # updates for who asks later
_GROUP = 1_000  # ms of the undo clock between two groups; it only moves when we say so
_OWN = "own"

Listener = Callable[[Sequence[Edit], bool], None]


class DocumentDamaged(Exception):
    """The engine failed; this document is not to be used any more."""


class _Sink:
    """What the engine's observers leave here; they must not do anything themselves."""

    __slots__ = ("deltas", "updates")

    def __init__(self) -> None:
        self.deltas: list[dict[str, Any]] = []
        self.updates: list[bytes] = []

    def on_text(self, event: Any) -> None:
        self.deltas.append({})  # between two events the positions begin anew
        self.deltas.extend(event.delta)

    def on_transaction(self, event: Any) -> None:
        self.updates.append(event.update)


class LiveDocument:
    """One document. ``client``: a random id, 0 < id < 2**32, that nobody else uses.

    ``listener`` is told each change, after it: a parallel list of edits, and whether it is ours.
    ``send`` is given each update of ours.
    """

    def __init__(self, client: int, listener: Listener, send: Callable[[bytes], None]) -> None:
        assert 0 < client < MAX_CLIENT
        self.client = client
        self.lines = Lines()
        self.revision = 0  # changes so far
        self._listener = listener
        self._send = send
        self._doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
        self._text: pycrdt.Text = self._doc.get(ROOT, type=pycrdt.Text)
        self._sink = _Sink()
        self._subscriptions = (
            self._text.observe(self._sink.on_text),
            self._doc.observe(self._sink.on_transaction),
        )
        self._kept: list[bytes] | None = None
        self._clock = 0
        self._undo = pycrdt.UndoManager(
            scopes=[self._text],
            capture_timeout_millis=_GROUP // 2,
            timestamp=lambda: self._clock,
        )
        self._undo.include_origin(_OWN)

    @property
    def text(self) -> str:
        """The text."""
        return self.lines.text

    # --- Our own changes ---

    def edit(self, edits: Sequence[Edit]) -> None:
        """Change the text, as part of the current undo group.

        Raises:
            ValueError: if the edits do not fit; NUL and lone surrogates are dropped.
            DocumentDamaged: see there.
        """
        check_edits(edits, self.lines.length)
        cleaned = [Edit(one.position, one.deleted, writable(one.inserted)) for one in edits]
        steps = [one for one in cleaned if one.deleted or one.inserted]
        for part in _parts(_joined(steps, self.lines)):
            self._change(lambda part=part: self._write(part))  # type: ignore[misc]

    def _write(self, edits: Sequence[Edit]) -> None:
        lines = self.lines
        spans = [
            (lines.byte_at(one.position), lines.byte_at(one.end), one.inserted) for one in edits
        ]
        with self._doc.transaction(origin=_OWN):
            for start, end, inserted in reversed(spans):
                if end > start:
                    del self._text[start:end]
                if inserted:
                    self._text.insert(start, inserted)

    def end_undo_group(self) -> None:
        """What comes now is undone apart from what was before."""
        self._clock += _GROUP

    def undo(self) -> bool:
        """Take back our last group of changes; False if there is none."""
        return self._take_back(self._undo.can_undo, self._undo.undo)

    def redo(self) -> bool:
        """Make what was undone last again; False if there is nothing."""
        return self._take_back(self._undo.can_redo, self._undo.redo)

    def _take_back(self, can: Callable[[], bool], work: Callable[[], bool]) -> bool:
        if not can():
            return False
        self.end_undo_group()
        before = self.revision
        while can() and self.revision == before:  # a group may be gone already: others deleted it
            self._change(work)
        return self.revision != before

    # --- Others' changes ---

    def apply(self, update: bytes) -> None:
        """Take in what came from the folder's process.

        Raises:
            DocumentDamaged: if it is no update that the engine can take.
        """
        self._change(lambda: self._doc.apply_update(update), is_own=False)

    def vector(self) -> dict[int, int]:
        """Client -> its next clock, for step 1 of a sync."""
        return read_vector(self._doc.get_state())

    def missing(self, vector: bytes) -> bytes:
        """The update with all that somebody with this encoded state vector lacks."""
        try:
            return self._doc.get_update(vector)
        except BaseException as problem:
            raise _refusal(problem) from problem

    # --- For anchors ---

    @property
    def engine(self) -> pycrdt.Text:
        """The engine's text, to be asked and not to be changed."""
        return self._text

    def update(self) -> bytes:
        """The whole document."""
        return self._doc.get_update()

    def keep_updates(self, wanted: bool) -> None:
        """Whether ``new_updates`` is to have those from now on."""
        self._kept = [] if wanted else None

    def new_updates(self) -> list[bytes] | None:
        """What changed since the last call; None: too much to have been kept."""
        kept = self._kept
        if kept is not None:
            self._kept = []
        return kept

    # --- The engine ---

    def _change(self, work: Callable[[], object], *, is_own: bool = True) -> None:
        sink = self._sink
        try:
            work()
            events = _events(sink.deltas)
            updates = sink.updates
        except BaseException as problem:
            raise _refusal(problem) from problem
        finally:
            sink.deltas, sink.updates = [], []
        if self._kept is not None:
            self._kept = [*self._kept, *updates] if len(self._kept) < MAX_KEPT else None
        for deltas in events:
            self._take(deltas, is_own)
        if is_own:
            for update in updates:
                self._send(update)

    def _take(self, deltas: list[dict[str, Any]], is_own: bool) -> None:
        edits = self._edits(deltas)
        if not edits:
            return
        self.lines.apply(edits)
        if self.lines.size != len(self._text):
            raise DocumentDamaged("The text and its document differ.")
        self.revision += 1
        self._listener(edits, is_own)

    def _edits(self, deltas: list[dict[str, Any]]) -> list[Edit]:
        """The engine's report, which counts in bytes of UTF-8, as edits."""
        edits: list[Edit] = []
        at = deleted = 0
        inserted = ""
        for delta in [*deltas, {"retain": 0}]:
            if "insert" in delta:
                inserted += str(delta["insert"])
            elif "delete" in delta:
                deleted += delta["delete"]
            else:
                if inserted or deleted:
                    start = self.lines.char_at(at)
                    end = self.lines.char_at(at + deleted) if deleted else start
                    edits.append(Edit(start, end - start, inserted))
                    at += deleted
                    inserted, deleted = "", 0
                at += delta["retain"]
        return edits


def _joined(edits: list[Edit], lines: Lines) -> list[Edit]:
    """The same change in at most ``MOST_EDITS`` edits: the nearest ones become one.

    Every edit leaves pieces behind that the engine walks over at each later key.
    """
    if len(edits) <= MOST_EDITS:
        return edits
    gaps = sorted(after.position - one.end for one, after in pairwise(edits))
    limit = gaps[len(edits) - MOST_EDITS - 1]
    text = lines.text
    joined: list[Edit] = []
    pieces: list[str] = []
    start = end = -1
    for edit in edits:
        if end >= 0 and edit.position - end <= limit:
            pieces += (text[end : edit.position], edit.inserted)
        else:
            if end >= 0:
                joined.append(Edit(start, end - start, "".join(pieces)))
            start, pieces = edit.position, [edit.inserted]
        end = edit.end
    joined.append(Edit(start, end - start, "".join(pieces)))
    return joined


def _parts(edits: list[Edit]) -> Iterator[list[Edit]]:
    """The same changes as parallel lists to be made one after the other.

    Of many, a few far apart come first: cutting a piece off a run of text copies the run, so runs
    are made short before they are cut often.
    """
    if len(edits) > FEW_EDITS:
        stride = math.isqrt(len(edits))
        yield edits[::stride]
        shift = 0
        rest: list[Edit] = []
        for index, edit in enumerate(edits):
            if index % stride == 0:
                shift += len(edit.inserted) - edit.deleted
            else:
                rest.append(Edit(edit.position + shift, edit.deleted, edit.inserted))
        edits = rest
    if edits:
        yield edits


def writable(text: str) -> str:
    """Without what a text of the folder cannot hold: NUL and lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else text.encode(errors="ignore").decode()


def read_vector(data: bytes) -> dict[int, int]:
    """An encoded state vector."""
    numbers: list[int] = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    return dict(zip(numbers[1::2], numbers[2::2], strict=True))


def _events(deltas: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    events: list[list[dict[str, Any]]] = []
    for delta in deltas:
        if not delta:
            events.append([])
        else:
            events[-1].append(delta)
    return events


def _refusal(problem: BaseException) -> BaseException:
    """The engine's panics are ``BaseException``, but so is an interrupt."""
    if isinstance(problem, (KeyboardInterrupt, SystemExit, MemoryError)):
        return problem
    return DocumentDamaged(f"The document's engine failed: {problem}")
