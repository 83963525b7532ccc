"""Reading a table in key order: a snapshot of the moment of the call, fetched page by page.

A scan never sees a later write: before a table is written, its open scans load their rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["Scan", "prefix_end"]

PAGE_ROWS = 64  # a page of 4 MiB texts stays below 256 MiB; 64 small rows cost one 30 us query

Entry = tuple[bytes, bytes]
Fetch = Callable[[bytes, int], list[Entry]]  # (first key, row count) -> entries


class Scan(Iterator[Entry]):
    """Entries from ``start`` on. ``fetch`` may raise; the scan then raises it where it stands."""

    def __init__(self, fetch: Fetch, start: bytes) -> None:
        self._fetch = fetch
        self._next_key: bytes | None = start
        self._entries: deque[Entry] = deque()
        self._abandoned = False
        self._load(PAGE_ROWS)

    @property
    def complete(self) -> bool:
        """Whether nothing more has to be fetched."""
        return self._next_key is None

    def load_rest(self) -> None:
        """Fetch all that is left, because the table is about to change."""
        while self._next_key is not None:
            self._load(PAGE_ROWS)

    def abandon(self) -> None:
        """The rest is gone: it was written in a transaction that was rolled back."""
        self._abandoned = self._next_key is not None

    def __next__(self) -> Entry:
        if not self._entries:
            self._load(PAGE_ROWS)
        if not self._entries:
            raise StopIteration
        return self._entries.popleft()

    def _load(self, count: int) -> None:
        if self._next_key is None:
            return
        if self._abandoned:
            raise RuntimeError("the transaction that this scan read was rolled back")
        page = self._fetch(self._next_key, count)
        self._entries.extend(page)
        # The smallest key after k is k + b"\0".
        self._next_key = page[-1][0] + b"\0" if len(page) == count else None


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest key greater than every key with ``prefix``; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
