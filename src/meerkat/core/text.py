"""A live text: the one place that knows the engine (pycrdt, that is Yjs in Rust).

Decides what reaches the engine: every update is parsed and checked first, every position is
converted from code points to UTF-8 bytes here. Does not decide who may write which client's
changes (the caller names them) nor keep history (the log does).

What the checks cannot see: a member who places a change between neighbors that never were such.
Replicas that got it in different orders, or loaded it, may then differ (919 of 1,500 histories
forged so, no honest one): see ``text_rebuild.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import pycrdt
from blake3 import blake3

from meerkat.core.edits import Edit, Positions, check_edits
from meerkat.core.ids import AuthorId, VersionId
from meerkat.core.surrogates import Surrogates, read_varint, write_varint
from meerkat.core.text_steps import Step, encode_text, group_steps, plan_steps
from meerkat.core.text_update import (
    ROOT,
    ParsedUpdate,
    TextUpdateError,
    TextUpdateGap,
    check_update,
    parse_update,
)

__all__ = [
    "Text",
    "TextTooLarge",
    "TextUpdateError",
    "TextUpdateGap",
    "ask_engine",
    "client_id",
    "import_client_id",
    "import_update",
    "merge_updates",
]

TAIL_UPDATES = 2_000  # updates kept to rebuild from before they are folded into one state
TAIL_BYTES = 64 * 1024  # the same in bytes, or the size of the state if that is more

RECENT_CHANGES = 64  # remembered by where they began, for ``unchanged_since``

_T = TypeVar("_T")
_EMPTY = b"\x00\x00"  # an update that says nothing
_FOOTER = 4  # bytes: how long the runs behind a state are


class TextTooLarge(TextUpdateError):
    """This change would make the text larger than it may be; it was not applied."""


def client_id(author: AuthorId, version: VersionId) -> int:
    """The 53-bit client of an author's edits on top of one version. Never 0.

    Derived, so no registry is needed; 53 bits because one reused by accident diverges silently.
    """
    return _id53("meerkat 2026-01 text client", bytes(author) + bytes(version))


def import_client_id(content: str) -> int:
    """The 53-bit client that writes ``content`` as a document's first text. Never 0."""
    return _id53("meerkat 2026-01 text import", content.encode())


def _id53(context: str, material: bytes) -> int:
    digest = blake3(material, derive_key_context=context).digest(length=8)
    return (int.from_bytes(digest, "big") >> 11) or 1


def import_update(content: str) -> bytes:
    """The update that creates a document with ``content``: equal content, equal bytes.

    Written by hand, not by the engine, so that its bytes cannot change with an engine's version.

    Raises:
        ValueError: if the content holds NUL or lone surrogates.
    """
    encoded = encode_text(content)
    if not encoded:
        return _EMPTY
    client = write_varint(import_client_id(content))
    root = bytes((1, len(ROOT))) + ROOT
    head = b"\x01\x01" + client + b"\x00\x04" + root  # one client, one string at clock 0
    return head + write_varint(len(encoded)) + encoded + b"\x00"


def merge_updates(updates: Sequence[bytes]) -> bytes | None:
    """Several parsed updates of one writer as one that says the same; None if that fails.

    A thousand take 5 ms, many more are quadratic (measured).
    """
    try:
        return pycrdt.merge_updates(*updates)
    except BaseException as problem:
        refusal = _refusal(problem, "not to be merged")
        if not isinstance(refusal, TextUpdateError):
            raise
        return None


class _Sink:
    """What the engine's observers leave here. They must not hold the text: it could never go."""

    __slots__ = ("deltas", "hears_deltas", "hears_updates", "is_local", "updates")

    def __init__(self) -> None:
        self.is_local = False
        self.hears_updates = False
        self.hears_deltas = False
        self.updates: list[bytes] = []
        self.deltas: list[dict[str, Any]] = []

    def on_transaction(self, event: Any) -> None:
        if self.is_local:
            self.updates.append(event.update)

    def on_text(self, event: Any) -> None:
        if not self.is_local:
            self.deltas.extend(event.delta)


class Text:
    """One live text: a Yjs document with a single root text.

    ``client`` writes the local edits; it must be one that only this document uses.
    """

    __slots__ = (
        "_base",
        "_changes",
        "_clocks",
        "_doc",
        "_engine",
        "_folded",
        "_pieces",
        "_positions",
        "_sink",
        "_size",
        "_surrogates",
        "_tail",
        "_tail_bytes",
        "_updates",
        "client",
    )

    def __init__(self, client: int) -> None:
        self.client = client
        self._base = _EMPTY  # a good state, and the updates since: what to rebuild from
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._folded: list[bytes] = []  # the updates before the tail, for who is a little behind
        self._updates = 0  # how many there ever were
        self._changes: deque[tuple[int, int]] = deque(maxlen=RECENT_CHANGES)
        self._clocks: dict[int, int] = {}  # client -> its next clock
        self._surrogates = Surrogates()
        self._pieces = 0  # an upper bound of how many ranges a deletion of everything has
        self._positions = Positions("")
        self._size = 0  # UTF-8 bytes
        self._open()

    def _open(self) -> None:
        """Start an engine document and feed it all we know to be good."""
        self._doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=self.client)
        self._engine: pycrdt.Text = self._doc.get("text", type=pycrdt.Text)
        self._sink = _Sink()
        if self._base != _EMPTY:
            self._doc.apply_update(self._base)
        for update in self._tail:
            self._doc.apply_update(update)

    @classmethod
    def load(cls, state: bytes, client: int, updates: Sequence[bytes] = ()) -> Text:
        """The document that ``state()`` saved, for further edits as ``client``.

        Args:
            state: it; its bytes are ours.
            client: who writes the local edits.
            updates: what was made or applied since then, in that order, and checked then.

        Raises:
            TextUpdateError: if the bytes are not such a state.
        """
        text = cls(client)
        text._base, text._surrogates = _split_state(state)
        try:
            text._open()
            text._clocks = _read_clocks(text._doc.get_state())
            for update in updates:
                text._replay(update)
            text._positions = Positions(str(text._engine))
            text._size = len(text._engine)
        except BaseException as problem:
            raise _refusal(problem, "a damaged state") from problem
        # What is not text is structs, of four bytes or more.
        structs = len(text._base) + sum(map(len, updates)) - text._size
        text._pieces = max(0, structs) // 4
        return text

    def _replay(self, update: bytes) -> None:
        """Take an update that was checked once before, and do not ask what it changes."""
        parsed = parse_update(update)
        self._doc.apply_update(update)
        self._note(parsed)
        self._remember([update])

    def state(self) -> bytes:
        """The whole document for ``load``: ``update()`` and what the engine forgets."""
        runs = self._surrogates.encode()
        return self.update() + runs + len(runs).to_bytes(_FOOTER, "little")

    def update(self) -> bytes:
        """The whole document as one Yjs update, for any Yjs editor or for ``apply``."""
        return self._doc.get_update()

    def update_since(self, vector: Mapping[int, int]) -> bytes:
        """What a document with ``vector`` (client -> next clock) lacks, and all deletions.

        Raises:
            TextUpdateError: if the vector ends within a character.
        """
        have = {c: min(k, self._clocks[c]) for c, k in vector.items() if c in self._clocks}
        out = bytearray(write_varint(len(have)))
        for client, clock in have.items():
            if self._surrogates.cuts(client, clock):
                raise TextUpdateError("a state vector splits a character")
            out += write_varint(client) + write_varint(clock)
        return self._doc.get_update(bytes(out))

    def recent_updates(self, seen: int) -> list[bytes] | None:
        """All updates but the first ``seen``; None if some of them are not kept any more."""
        kept = self._folded + self._tail
        missed = self._updates - seen
        return kept[len(kept) - missed :] if missed <= len(kept) else None

    def unchanged_since(self, seen: int) -> int:
        """How many code points at the start are as they were after the first ``seen`` updates."""
        changes = self._changes
        if self._updates == seen:
            return len(self.text)
        if not changes or (len(changes) == RECENT_CHANGES and changes[0][0] > seen):
            return 0
        return min((first for count, first in changes if count > seen), default=len(self.text))

    @property
    def update_count(self) -> int:
        """How many updates changed this document since it was made or loaded."""
        return self._updates

    @property
    def size(self) -> int:
        """The text in UTF-8 bytes."""
        return self._size

    @property
    def engine(self) -> pycrdt.Text:
        """The engine's own text, to look at (``anchors.py``); it counts UTF-8 bytes."""
        return self._engine

    def __str__(self) -> str:
        return self._positions.text

    @property
    def text(self) -> str:
        """The text itself; kept in step, so asking is free."""
        return self._positions.text

    @property
    def clocks(self) -> Mapping[int, int]:
        """Each client's next clock: what of its writing is here (deletions are not counted)."""
        return MappingProxyType(self._clocks)

    def edit(self, edits: Sequence[Edit]) -> list[bytes]:
        """Make local edits; returns the updates to send, in order (one, unless they are large).

        Raises:
            ValueError: if they do not fit the text, or insert NUL or lone surrogates; the text is
                then unchanged.
        """
        check_edits(edits, len(self.text))
        steps, grown = plan_steps(self._positions, edits, self._pieces)
        sink = self._sink
        if not sink.hears_updates:
            self._doc.observe(sink.on_transaction)
            sink.hears_updates = True
        sink.is_local = True
        try:
            for group in group_steps(steps):
                self._perform(group)
            if len(self._engine) != self._size + grown:
                raise TextUpdateError("the engine lost step")
        except BaseException as problem:
            self._open()
            raise _refusal(problem, "the engine failed") from problem
        updates, sink.updates, sink.is_local = sink.updates, [], False
        clock = self._clocks.get(self.client, 0)
        for _, _, inserted in steps:
            clock += self._surrogates.add_text(self.client, clock, inserted)
        if clock:
            self._clocks[self.client] = clock
        self._pieces += 2 * len(steps)
        self._size += grown
        self._positions.apply(edits)
        self._remember(updates)
        if edits:
            self._changes.append((self._updates, edits[0].position))
        return updates

    def _perform(self, steps: list[Step]) -> None:
        with self._doc.transaction():
            for at, deleted, inserted in steps:
                if deleted:
                    del self._engine[at : at + deleted]
                else:
                    self._engine.insert(at, inserted)

    def check(self, parsed: ParsedUpdate, clients: Collection[int]) -> None:
        """Whether ``apply`` would give this to the engine.

        Raises:
            TextUpdateError: as there.
        """
        check_update(parsed, self._clocks, self._surrogates, clients)

    def apply(
        self,
        update: bytes,
        clients: Collection[int],
        *,
        parsed: ParsedUpdate | None = None,
        limit: int | None = None,
    ) -> list[Edit]:
        """Take a remote update whose new text is by ``clients``; returns what changed.

        Args:
            update: it.
            clients: who may have written what is new in it.
            parsed: ``parse_update(update)``, from a caller that has it.
            limit: the most bytes that the text may have then.

        Raises:
            TextUpdateGap: if it builds on changes that are not here; nothing is changed.
            TextTooLarge: if the text would be larger than ``limit``; nothing is changed.
            TextUpdateError: if it is not an update we would make; nothing is changed.
        """
        parsed = parsed or parse_update(update)
        check_update(parsed, self._clocks, self._surrogates, clients)
        is_new = any(end > self._clocks.get(c, 0) for c, (_, end) in parsed.clients.items())
        if not is_new and not parsed.deletes:
            return []
        try:
            edits, grown = self._feed(update)
            if len(self._engine) != self._size + grown:
                raise TextUpdateError("the engine lost step")
            if grown > 0 and limit is not None and self._size + grown > limit:
                raise TextTooLarge(f"the text would have {self._size + grown} bytes")
        except BaseException as problem:
            self._open()
            raise _refusal(problem, "the engine refused the change") from problem
        if is_new or edits:
            self._take(parsed, edits, grown)
            self._remember([update])
        if edits:
            self._changes.append((self._updates, edits[0].position))
        return edits

    def _feed(self, update: bytes) -> tuple[list[Edit], int]:
        """Give a checked update to the engine; returns what changed, and the bytes gained."""
        sink = self._sink
        if not self._clocks:  # the first one: all there is is new, and observing costs 50 µs
            self._doc.apply_update(update)
            text = str(self._engine)
            return ([Edit(0, 0, text)] if text else []), len(text.encode())
        if not sink.hears_deltas:
            self._engine.observe(sink.on_text)
            sink.hears_deltas = True
        self._doc.apply_update(update)
        deltas, sink.deltas = sink.deltas, []
        return self._read_deltas(deltas)

    def _read_deltas(self, deltas: list[dict[str, Any]]) -> tuple[list[Edit], int]:
        """The engine's report, which counts in bytes, as edits; and the bytes gained."""
        edits: list[Edit] = []
        at = grown = deleted = 0  # `at` in bytes of the old text
        inserted = ""
        for delta in [*deltas, {"retain": 0}]:
            if "insert" in delta:
                inserted += delta["insert"]
            elif "delete" in delta:
                deleted += delta["delete"]
            else:
                if inserted or deleted:
                    start = self._positions.char_at(at)
                    end = self._positions.char_at(at + deleted)
                    edits.append(Edit(start, end - start, inserted))
                    grown += len(inserted.encode()) - deleted
                    at += deleted
                    inserted, deleted = "", 0
                at += delta["retain"]
        return edits, grown

    def _take(self, parsed: ParsedUpdate, edits: list[Edit], grown: int) -> None:
        self._note(parsed)
        self._pieces += 2 * parsed.struct_count + len(parsed.deletes)
        self._size += grown
        self._positions.apply(edits)

    def _note(self, parsed: ParsedUpdate) -> None:
        self._surrogates.update(parsed.surrogates, self._clocks)
        for client, (_, end) in parsed.clients.items():
            self._clocks[client] = max(end, self._clocks.get(client, 0))

    def _remember(self, updates: list[bytes]) -> None:
        """Keep what a rebuild needs, folded now and then so that it does not grow."""
        self._tail += updates
        self._updates += len(updates)
        self._tail_bytes += sum(map(len, updates))
        if len(self._tail) > TAIL_UPDATES or self._tail_bytes > max(TAIL_BYTES, len(self._base)):
            self._base = self._doc.get_update()
            self._folded, self._tail = self._tail, []
            self._tail_bytes = 0


def _split_state(state: bytes) -> tuple[bytes, Surrogates]:
    end = len(state) - _FOOTER
    start = end - int.from_bytes(state[end:], "little") if end >= 0 else -1
    if start < len(_EMPTY):
        raise TextUpdateError("the state is cut short")
    return state[:start], Surrogates.decode(state[start:end])


def _read_clocks(vector: bytes) -> dict[int, int]:
    count, at = read_varint(vector, 0)
    clocks = {}
    for _ in range(count):
        client, at = read_varint(vector, at)
        clocks[client], at = read_varint(vector, at)
    return clocks


def ask_engine(question: Callable[[], _T]) -> _T | None:
    """What a question to the engine gives; None if it panics."""
    try:
        return question()
    except BaseException as problem:
        if _refusal(problem, "") is problem:
            raise
        return None


def _refusal(problem: BaseException, message: str) -> BaseException:
    """What to raise: the engine's panics are ``BaseException``, but so is an interrupt."""
    if isinstance(problem, (KeyboardInterrupt, SystemExit, MemoryError, TextTooLarge)):
        return problem
    return TextUpdateError(message)
