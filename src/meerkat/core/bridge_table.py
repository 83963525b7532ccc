"""The store's table of bridges: each text's Yjs document, as a snapshot and what came since.

Keys of ``Table.BRIDGE`` by their first byte, each followed by the VersionId:

    s  the snapshot: own client id, the number of the first row behind it, the document
    r  + number (8 bytes): an update since
    u  when it was last opened, by a count of all openings

Decides how many texts are kept, and when updates are worth folding into a snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from .packing import pack
from .ports import Store, Table

__all__ = ["BridgeTable", "Saved"]

KEPT_TEXTS = 256  # bridges kept, the last opened ones (contract of decision 0017; guess)
MAX_ROWS = 1_000  # updates behind a snapshot; reading them back takes about 10 µs each
MIN_FOLD_BYTES = 64 * 1024  # or the size of the snapshot, if that is more
MAX_SAVED_BYTES = 32 * 1024 * 1024  # a document with more history than that begins anew
_NUMBER_BYTES = 8


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    client: int
    first: int
    state: bytes


_snapshot: msgspec.msgpack.Decoder[_Snapshot] = msgspec.msgpack.Decoder(_Snapshot)


@dataclass(frozen=True, slots=True)
class Saved:
    """What was found: ``Text.load(state, client, updates)``."""

    client: int
    state: bytes = field(repr=False)
    updates: list[bytes] = field(repr=False)


class BridgeTable:
    """One text's rows."""

    def __init__(self, store: Store, version: bytes) -> None:
        """Note that the text is opened, and drop the one that was not for longest."""
        self._store = store
        self._version = version
        self._next = 0  # number of the next row
        self._rows = 0
        self._bytes = 0
        self._snapshot_bytes = 0
        uses = {
            key[1:]: int.from_bytes(value, "big") for key, value in store.scan(Table.BRIDGE, b"u")
        }
        count = max(uses.values(), default=0) + 1
        store.put(Table.BRIDGE, b"u" + version, count.to_bytes(_NUMBER_BYTES, "big"))
        uses[version] = count
        for old in sorted(uses, key=lambda each: uses[each])[:-KEPT_TEXTS]:
            self._drop(old)

    def load(self) -> Saved | None:
        """What the text's rows hold; None if there are none, too many bytes, or damaged ones."""
        data = self._store.get(Table.BRIDGE, b"s" + self._version)
        if data is None:
            return None
        try:
            snapshot = _snapshot.decode(data)
        except msgspec.DecodeError:
            return None
        if len(snapshot.state) > MAX_SAVED_BYTES:
            return None
        first = self._row(snapshot.first)
        rows = self._store.scan(Table.BRIDGE, b"r" + self._version)
        updates = [value for key, value in rows if key >= first]
        self._next = snapshot.first + len(updates)
        self._rows = len(updates)
        self._bytes = sum(map(len, updates))
        self._snapshot_bytes = len(snapshot.state)
        return Saved(snapshot.client, snapshot.state, updates)

    def append(self, update: bytes) -> None:
        """Keep an update."""
        self._store.put(Table.BRIDGE, self._row(self._next), update)
        self._next += 1
        self._rows += 1
        self._bytes += len(update)

    @property
    def is_long(self) -> bool:
        """Whether the updates are to be folded into a new snapshot."""
        return self._rows > MAX_ROWS or self._bytes > max(MIN_FOLD_BYTES, self._snapshot_bytes)

    @property
    def is_folded(self) -> bool:
        """Whether the snapshot has it all."""
        return not self._rows

    def save(self, client: int, state: bytes) -> None:
        """Put a snapshot in place of all there is."""
        snapshot = pack(_Snapshot(client, self._next, state))
        self._store.put(Table.BRIDGE, b"s" + self._version, snapshot)
        self._drop_rows(self._version)
        self._rows = self._bytes = 0
        self._snapshot_bytes = len(state)

    def drop(self) -> None:
        """Forget the text."""
        self._drop(self._version)

    def _drop(self, version: bytes) -> None:
        for kind in (b"s", b"u"):
            self._store.delete(Table.BRIDGE, kind + version)
        self._drop_rows(version)

    def _drop_rows(self, version: bytes) -> None:
        for key, _ in list(self._store.scan(Table.BRIDGE, b"r" + version)):
            self._store.delete(Table.BRIDGE, key)

    def _row(self, number: int) -> bytes:
        return b"r" + self._version + number.to_bytes(_NUMBER_BYTES, "big")
