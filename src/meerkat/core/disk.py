"""What the disk is known to hold: the merge base between the folder and the pool.

An entry says which version of which file a path held when folder and replica last agreed. A local
change is a difference from it; so is a remote one. Written in the transaction that decides, so a
crash between a decision and the system call is recognised afterwards (``Intent``).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .files import Kind, Observed, Signature, expected_of
from .ids import ContentHash
from .packing import pack
from .ports import Store, Table
from .vectors import Shares
from .view import ancestors

__all__ = ["IGNORED", "STALE", "Disk", "DiskEntry", "Intent"]

# ``DiskEntry.at`` of a database:
STALE = b"stale"  # an old copy stands there, to be replaced
IGNORED = b"ignored"  # a rule hides it: neither told nor touched until the rule goes


class DiskEntry(msgspec.Struct, frozen=True, array_like=True):
    """What stands at a path.

    ``at`` names the state of a live text that these bytes are; if they are no state of it (a save
    was merged with edits that the program had not seen), ``base`` has the text itself.
    """

    kind: str
    digest: bytes
    executable: bool
    signature: tuple[int, int, int, int, int]
    file: bytes = b""
    version: bytes = b""
    at: bytes = b""
    base: str | None = None

    def observed(self) -> Observed:
        """The same in the folder's words."""
        return Observed(
            Kind(self.kind), ContentHash(self.digest), self.executable, Signature(*self.signature)
        )

    def expected(self) -> ContentHash:
        """By what a job names it."""
        return expected_of(self.observed())


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """What a job is about to put at a path: if found there, it was ours."""

    digest: bytes
    file: bytes
    version: bytes
    at: bytes


def signature_tuple(signature: Signature) -> tuple[int, int, int, int, int]:
    """A signature as plain numbers, for the store."""
    return (
        signature.size_bytes,
        signature.mtime_ns,
        signature.ctime_ns,
        signature.inode,
        signature.device,
    )


def entry_of(
    observed: Observed,
    file: bytes = b"",
    version: bytes = b"",
    at: bytes = b"",
    base: str | None = None,
) -> DiskEntry:
    """An entry for what was observed."""
    return DiskEntry(
        observed.kind.value,
        bytes(observed.digest),
        observed.executable,
        signature_tuple(observed.signature),
        bytes(file),
        bytes(version),
        at,
        base,
    )


class _Row(msgspec.Struct, frozen=True, array_like=True):
    entry: DiskEntry | None
    intent: Intent | None


class Disk:
    """All entries by path, in memory and, once changed, in the store (``flush``)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.entries: dict[str, DiskEntry] = {}
        self.intents: dict[str, Intent] = {}
        self.doubts: dict[str, Intent] = {}  # intents of an earlier life: carried out or not
        self.content_bytes = 0
        self.placed: set[tuple[bytes, bytes]] = set()  # (file, version) that newly stand here
        self._changed: set[str] = set()
        self._paths: dict[bytes, set[str]] = {}  # version -> where it stands
        self.databases: dict[str, bytes] = {}  # path -> version, of live databases
        self._children: dict[str, int] = {}  # folder -> entries directly in it
        share = Shares()
        for key, value in store.scan(Table.DISK):
            row = msgspec.msgpack.decode(value, type=_Row)
            if row.entry is not None:
                entry = msgspec.structs.replace(row.entry, at=share(row.entry.at))
                self._note(key.decode(), entry)
            if row.intent is not None:
                self.doubts[key.decode()] = row.intent
        self.placed.clear()

    def flush(self) -> None:
        """Write what changed to the store; call before the transaction ends."""
        puts: list[tuple[bytes, bytes]] = []
        gone: list[bytes] = []
        for path in sorted(self._changed):
            intent = self.intents.get(path) or self.doubts.get(path)
            row = _Row(self.entries.get(path), intent)
            if row.entry is None and row.intent is None:
                gone.append(path.encode())
            else:
                puts.append((path.encode(), pack(row)))
        self._changed.clear()
        if puts:
            self._store.put_many(Table.DISK, puts)
        for key in gone:
            self._store.delete(Table.DISK, key)

    def get(self, path: str) -> DiskEntry | None:
        """What stands at a path, or None."""
        return self.entries.get(path)

    def put(self, path: str, entry: DiskEntry) -> None:
        """The disk holds this now."""
        self._drop(path)
        self._note(path, entry)
        self._changed.add(path)

    def remove(self, path: str) -> None:
        """Nothing stands there any more."""
        if path in self.entries:
            self._drop(path)
            self._changed.add(path)

    def intend(self, path: str, intent: Intent) -> None:
        """A job is about to put this at the path."""
        self.intents[path] = intent
        self._changed.add(path)

    def settle(self, path: str) -> None:
        """The job ended, one way or the other."""
        if self.intents.pop(path, None) is not None:
            self._changed.add(path)

    def resolve(self) -> None:
        """The whole folder was seen: what an earlier life intended matters no more."""
        self._changed.update(self.doubts)
        self.doubts.clear()

    def places_of(self, version: bytes) -> list[str]:
        """Where a version stands, sorted."""
        return sorted(self._paths.get(version, ()))

    def is_empty(self, folder: str) -> bool:
        """Whether nothing we know of stands in a folder."""
        return folder not in self._children

    def blocked_by(self, path: str) -> str | None:
        """A file that stands where one of the path's folders must be."""
        for folder in ancestors(path):
            entry = self.entries.get(folder)
            if entry is not None and entry.kind != Kind.FOLDER.value:
                return folder
        return None

    def known(self) -> Iterator[tuple[str, Observed]]:
        """Everything in the folder's words."""
        for path, entry in self.entries.items():
            yield path, entry.observed()

    def _note(self, path: str, entry: DiskEntry) -> None:
        self.entries[path] = entry
        self.content_bytes += entry.signature[0] if entry.kind == Kind.FILE.value else 0
        if entry.version:
            places = self._paths.setdefault(entry.version, set())
            if not places:
                self.placed.add((entry.file, entry.version))
            places.add(path)
        if entry.kind == Kind.DATABASE.value:
            self.databases[path] = entry.version
        parent = path.rpartition("/")[0]
        if parent:
            self._children[parent] = self._children.get(parent, 0) + 1

    def _drop(self, path: str) -> None:
        entry = self.entries.pop(path, None)
        if entry is None:
            return
        self.content_bytes -= entry.signature[0] if entry.kind == Kind.FILE.value else 0
        if entry.version:
            places = self._paths[entry.version]
            places.discard(path)
            if not places:
                del self._paths[entry.version]
        self.databases.pop(path, None)
        parent = path.rpartition("/")[0]
        if parent:
            self._children[parent] -= 1
            if not self._children[parent]:
                del self._children[parent]
