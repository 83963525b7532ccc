"""A store in plain dictionaries: the same port, no disk. For tests and the simulator.

Deterministic. ``crash`` forgets what was not committed, ``snapshot`` and ``restore`` play a backup
that is put back, ``full`` plays a full disk. ``check_store`` holds it to what SQLite does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from meerkat.core.ids import AuthorId
from meerkat.core.ports import Head, Table
from meerkat.errors import StoreFull

__all__ = ["MemorySnapshot", "MemoryStore"]

COUNTER_LIMIT = 1 << 53

_Log = list[tuple[Head, bytes]]


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """All of a store at one moment, for ``MemoryStore.restore``."""

    logs: dict[AuthorId, _Log]
    tables: dict[Table, dict[bytes, bytes]]


class _SortedTable:
    """A dictionary and its keys in order."""

    def __init__(self, values: dict[bytes, bytes] | None = None) -> None:
        self.values = values if values is not None else {}
        self.keys = sorted(self.values)

    def set(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self.values.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.values:
            insort(self.keys, key)
        self.values[key] = value


class MemoryStore:
    """Implements ``meerkat.core.ports.Store`` and what ``SqliteStore`` has beside it."""

    def __init__(self) -> None:
        self.full = False  # every write raises StoreFull while set
        self.failed = False  # never set here; SqliteStore's callers ask for it
        self._logs: dict[AuthorId, _Log] = {}
        self._tables = {table: _SortedTable() for table in Table}
        self._undo: list[Callable[[], None]] | None = None  # a list while in a transaction
        self._spoiled: StoreFull | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, as ``SqliteStore.transaction``."""
        if self._undo is not None:
            raise RuntimeError("a transaction is open already; transactions do not nest")
        undo: list[Callable[[], None]] = []
        self._undo, self._spoiled = undo, None
        committed = False
        try:
            yield
            if self._undo is undo and self._spoiled is not None:
                raise self._spoiled
            committed = True
        finally:
            if self._undo is undo:  # else it crashed meanwhile
                if not committed:
                    self.crash()
                self._undo = None

    def crash(self) -> None:
        """Forget everything that is not committed, as a process does that is killed."""
        for undo in reversed(self._undo or ()):
            undo()
        self._undo = self._spoiled = None

    def snapshot(self) -> MemorySnapshot:
        """What is committed now: a backup of the state folder."""
        if self._undo is not None:
            raise RuntimeError("a transaction is open; take the snapshot before or after it")
        return MemorySnapshot(
            {author: list(log) for author, log in self._logs.items()},
            {
                table: {key: entries.values[key] for key in entries.keys}
                for table, entries in self._tables.items()
            },
        )

    def restore(self, snapshot: MemorySnapshot) -> None:
        """Put a backup back: everything later is gone, also the own log's end."""
        self.crash()
        self._logs = {author: list(log) for author, log in snapshot.logs.items()}
        self._tables = {
            table: _SortedTable(dict(values)) for table, values in snapshot.tables.items()
        }

    def heads(self) -> dict[AuthorId, Head]:
        """The last operation of every author, from the log."""
        return {author: log[-1][0] for author, log in self._logs.items() if log}

    def append(self, author: AuthorId, head: Head, data: bytes) -> None:
        """Append the operation that ``head`` describes; ``data`` is exactly what was signed.

        Raises:
            ValueError: if ``head.sequence`` is not one more than the author's last.
        """
        log = self._logs.setdefault(author, [])
        if head.sequence != len(log) + 1:
            raise ValueError(f"the author's next sequence is {len(log) + 1}, not {head.sequence}")
        if not 0 <= head.lamport < COUNTER_LIMIT:
            raise ValueError(f"a Lamport time fits 53 bits, {head.lamport} does not")
        self._will_undo(lambda: log.__delitem__(-1))
        log.append((head, data))

    def operation(self, author: AuthorId, sequence: int) -> bytes | None:
        """One operation's bytes, or None."""
        log = self._logs.get(author, [])
        return log[sequence - 1][1] if 1 <= sequence <= len(log) else None

    def operations(
        self, author: AuthorId, first: int, last: int, *, limit_bytes: int
    ) -> list[bytes]:
        """Operations ``first..last`` in order, at most ``limit_bytes`` but one at least."""
        found: list[bytes] = []
        size = 0
        for _, data in self._logs.get(author, [])[max(first, 1) - 1 : max(last, 0)]:
            size += len(data)
            if found and size > limit_bytes:
                break
            found.append(data)
        return found

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value under ``key``, or None."""
        return self._tables[table].values.get(key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Insert or replace."""
        self._set(table, key, value)

    def put_many(self, table: Table, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Insert or replace many."""
        for key, value in list(items):
            self._set(table, key, value)

    def delete(self, table: Table, key: bytes) -> None:
        """Remove if there."""
        self._set(table, key, None)

    def scan(self, table: Table, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All entries whose key begins with ``prefix``, in key order, as they are now."""
        entries = self._tables[table]
        found = []
        for place in range(bisect_left(entries.keys, prefix), len(entries.keys)):
            key = entries.keys[place]
            if not key.startswith(prefix):
                break
            found.append((key, entries.values[key]))
        return iter(found)

    def quick_check(self) -> None:
        """Nothing can be damaged here."""

    def verify(self) -> None:
        """Nothing can be damaged here."""

    def reopen(self) -> None:
        """Begin anew with what is committed."""
        if self._undo is not None:
            raise RuntimeError("a transaction is open; leave it before reopening the store")

    def close(self) -> None:
        """What is committed stays; the same object can be used again, as a file can be opened."""

    def _set(self, table: Table, key: bytes, value: bytes | None) -> None:
        entries = self._tables[table]
        key = bytes(key)
        before = entries.values.get(key)
        self._will_undo(lambda: entries.set(key, before))
        entries.set(key, value if value is None else bytes(value))

    def _will_undo(self, undo: Callable[[], None]) -> None:
        if self._undo is None:
            raise RuntimeError("the store is written inside a transaction only")
        if self._spoiled is None and self.full:
            self._spoiled = StoreFull("The disk is full; free some space and meerkat goes on.")
        if self._spoiled is not None:
            raise self._spoiled
        self._undo.append(undo)
