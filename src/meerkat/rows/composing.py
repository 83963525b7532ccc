"""Statements about rows, gathered into batches of a size that fits operations."""

from __future__ import annotations

from collections.abc import Sequence

from meerkat.core.messages import HeadEntry

from .changes import Batch, Gone, Put, PutRow, Statement, cut, encode_batch
from .values import RawText, Value

__all__ = ["Composing"]

BATCH_BYTES = 192 * 1024  # of statements in a batch, about one operation (``changes.cut``)
BATCH_ROWS = 2_000  # ... and rows: so many take others a few tens of milliseconds


class Composing:
    """``seen``: of every author the last operation that was in the file."""

    def __init__(self, seen: tuple[HeadEntry, ...]) -> None:
        self._seen = seen
        self._batches: list[bytes] = []
        self._statements: list[Statement] = []
        self._put: tuple[str, tuple[str, ...]] = ("", ())
        self._rows: list[PutRow] = []
        self._bytes = self._count = 0

    def add(self, statement: Statement) -> None:
        """A statement of its own."""
        self._close_put()
        self._statements.append(statement)
        self._grow(256)

    def put(self, table: str, columns: tuple[str, ...], row: PutRow) -> None:
        """Cells of a row; rows with the same columns share a statement."""
        if (table, columns) != self._put:
            self._close_put()
            self._put = (table, columns)
            self._bytes += 64 + 16 * len(columns)
        self._rows.append(row)
        self._grow(24 + sum(map(_size, row[2])))

    def gone(self, table: str, rows: Sequence[bytes]) -> None:
        """Rows that were deleted."""
        for start in range(0, len(rows), BATCH_ROWS):
            some = tuple(rows[start : start + BATCH_ROWS])
            self._close_put()
            self._statements.append(Gone(table, some))
            self._count += len(some)
            self._grow(sum(map(len, some)))

    def pieces(self) -> list[bytes] | None:
        """Everything, cut to operations; None if nothing was said."""
        self._close()
        return cut(self._batches) if self._batches else None

    def _grow(self, size: int) -> None:
        self._bytes += size
        self._count += 1
        if self._bytes >= BATCH_BYTES or self._count >= BATCH_ROWS:
            self._close()

    def _close_put(self) -> None:
        if self._rows:
            self._statements.append(Put(*self._put, tuple(self._rows)))
            self._rows = []
        self._put = ("", ())

    def _close(self) -> None:
        self._close_put()
        if self._statements:
            self._batches.append(encode_batch(Batch(self._seen, tuple(self._statements))))
            self._statements = []
        self._bytes = self._count = 0


def _size(value: Value) -> int:
    if isinstance(value, (str, bytes)):
        return len(value) + 5
    return len(value.data) + 5 if isinstance(value, RawText) else 9
