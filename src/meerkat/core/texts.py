"""Which live texts are loaded, and how one is built from the log.

A text is its first content plus the edits that the log holds for it. Snapshots in the store spare
most of that work; loaded texts leave memory when idle.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from .actions import EditText
from .bodies import Bodies
from .edits import Edit
from .ids import AuthorId, VersionId
from .log import Log
from .messages import HeadEntry
from .operation import Operation
from .packing import pack
from .ports import Store, Table
from .text import Text, client_id, import_client_id, import_update
from .text_file import Eol, encode_file
from .text_update import TextUpdateError
from .tree import Version
from .version_log import VersionLog

__all__ = ["Texts", "TextsConfig", "file_bytes"]

OnChange = Callable[[bytes, Sequence[Edit], object], None]
"""Told of a version, what changed in its text, and who did it (as ``edit`` was told)."""


@dataclass(frozen=True, slots=True)
class TextsConfig:
    """How many texts stay loaded."""

    loaded_count: int = 64
    """Texts kept in memory (2.7 MB for the 260,000-edit paper, 7 KB for 2 KB; measured)."""
    snapshot_edits: int = 500
    """Updates after which a new snapshot is worth writing (guess)."""
    closing_edits: int = 20
    """... when nobody has the text open any more: in one of 1 MiB each takes 1 ms to replay, and
    one may hold the typing of minutes (100,000 keys in 394: 0.34 s to open; measured)."""


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    touches: tuple[HeadEntry, ...]
    state: bytes


@dataclass(slots=True)
class _Loaded:
    text: Text
    edits: int = 0  # since the last snapshot


def file_bytes(text: str, eol: str) -> bytes:
    """The bytes on disk of a live text."""
    return encode_file(text, Eol.CRLF if eol == "crlf" else Eol.LF)


class Texts:
    """Live texts by version, loaded on demand."""

    def __init__(self, store: Store, log: Log, bodies: Bodies, config: TextsConfig) -> None:
        self._store = store
        self._log, self._bodies = log, bodies
        self._edits = VersionLog(store, Table.TEXT_LOG)
        self._config = config
        self._loaded: OrderedDict[bytes, _Loaded] = OrderedDict()
        self._open: dict[bytes, Version] = {}
        self._closed: list[Version] = []
        self.on_change: OnChange = lambda version, edits, source: None

    def content(self, version: Version) -> str:
        """The text of a version, without loading it if it was never edited."""
        if not version.edited and version.id not in self._loaded:
            try:
                return self._bodies.body(version).decode()
            except (KeyError, UnicodeDecodeError):
                pass
        return self.load(version).text

    def load(self, version: Version) -> Text:
        """The text of a version, as all applied operations make it."""
        found = self._loaded.get(version.id)
        if found is None:
            found = self._build(version)
            self._loaded[version.id] = found
            self._shrink()
        self._loaded.move_to_end(version.id)
        return found.text

    def forget(self) -> None:
        """Unload everything: our author has changed, so the client ids of our edits do."""
        self._loaded.clear()
        for version in self._open.values():
            self.load(version)

    def open(self, version: Version) -> Text:
        """Load a text and keep it: ``on_change`` is told of everything from now on."""
        self._open[version.id] = version
        return self.load(version)

    def close(self, version: bytes) -> None:
        """It need not stay loaded any more."""
        closed = self._open.pop(version, None)
        if closed is not None:
            self._closed.append(closed)

    def edit(self, version: Version, edits: Sequence[Edit], source: object = None) -> list[bytes]:
        """Type into a text as our own author; returns the updates to sign.

        Raises:
            ValueError: if the edits do not fit.
        """
        updates = self.load(version).edit(edits)
        self._loaded[version.id].edits += len(updates)
        self.on_change(version.id, edits, source)
        return updates

    def apply(self, version: Version, action: EditText, operation: Operation) -> list[Edit]:
        """An admitted edit of somebody else; a no-op if the text is not loaded."""
        found = self._loaded.get(version.id)
        if found is None:
            return []
        found.edits += 1
        edits = _apply(found.text, version.id, action, operation.author)
        if edits:
            self.on_change(version.id, edits, None)
        return edits

    def record(self, version: bytes, operation: Operation) -> None:
        """Note that an operation edits this text."""
        self._edits.note(version, operation)

    def text_at(self, version: Version, at: bytes) -> str:
        """The text as it was when ``version.state()`` was ``at``, replayed from the log."""
        limit = {
            bytes(author): sequence
            for author, sequence in msgspec.msgpack.decode(at, type=list[HeadEntry])
        }
        text = self._first(version)
        for author, sequence in self._edits.of(version.id):
            if sequence <= limit.get(bytes(author), 0):
                self._replay(text, version.id, author, sequence)
        return text.text

    def snapshot(self, version: Version) -> None:
        """Save a snapshot if enough was typed since the last one; call when all is applied."""
        self._snapshot(version, self._config.snapshot_edits)

    def flush(self) -> None:
        """Save what was closed; call when all is applied."""
        for version in self._closed:
            self._snapshot(version, self._config.closing_edits)
        self._closed.clear()

    def _snapshot(self, version: Version, edits: int) -> None:
        found = self._loaded.get(version.id)
        if found is not None and found.edits >= edits:
            self._save(version, found)

    def _save(self, version: Version, found: _Loaded) -> None:
        touches = version.touches
        self._store.put(Table.TEXT, version.id, pack(_Snapshot(touches, found.text.state())))
        found.edits = 0

    def _shrink(self) -> None:
        spare = len(self._loaded) - max(self._config.loaded_count, len(self._open) + 1)
        for version in [one for one in self._loaded if one not in self._open][: max(spare, 0)]:
            del self._loaded[version]

    def _first(self, version: Version) -> Text:
        text = Text(client_id(self._log.author, VersionId(version.id)))
        try:
            content = self._bodies.body(version).decode()
            if content:
                text.apply(import_update(content), (import_client_id(content),))
        except (KeyError, UnicodeDecodeError, ValueError):
            pass  # a body that is no text shows as an empty one, alike everywhere
        return text

    def _build(self, version: Version) -> _Loaded:
        data = self._store.get(Table.TEXT, version.id)
        known: dict[bytes, int] = {}
        text: Text | None = None
        if data is not None:
            snapshot = msgspec.msgpack.decode(data, type=_Snapshot)
            try:
                client = client_id(self._log.author, VersionId(version.id))
                text = Text.load(snapshot.state, client)
                known = {bytes(author): sequence for author, sequence in snapshot.touches}
            except TextUpdateError:
                text = None  # a damaged snapshot: the log has it all
        text = text or self._first(version)
        count = 0
        for author, sequence in self._edits.of(version.id):
            if sequence > known.get(bytes(author), 0):
                self._replay(text, version.id, author, sequence)
                count += 1
        return _Loaded(text, count)

    def _replay(self, text: Text, version: bytes, author: AuthorId, sequence: int) -> None:
        for action in self._bodies.edits(version, author, sequence):
            _apply(text, version, action, author)


def _apply(text: Text, version: bytes, action: EditText, author: AuthorId) -> list[Edit]:
    """An update that its author had no right to make has no effect, on every peer alike."""
    try:
        return text.apply(action.update, (client_id(author, VersionId(version)),))
    except TextUpdateError:
        return []
