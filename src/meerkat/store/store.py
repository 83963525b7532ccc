"""Meerkat's own memory over SQLite: the log of operations and the tables beside it.

Implements ``meerkat.core.ports.Store``. ``connection.py`` decides durability, ``log_table.py``
holds the log; here are transactions and the key-value tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

from meerkat.core.ids import AuthorId
from meerkat.core.ports import Head, Table
from meerkat.errors import StoreDamaged

from .connection import Connection
from .log_table import LogTable
from .row_check import crc_of_entry
from .scan import Scan, prefix_end

__all__ = ["SqliteStore"]


@dataclass(frozen=True, slots=True)
class _Statements:
    get: str
    put: str
    delete: str
    scan: str
    scan_below: str


def _statements(table: Table) -> _Statements:
    name = f"kv_{table.value}"
    columns = f"SELECT key, crc, value FROM {name} WHERE key >= ?"
    return _Statements(
        get=f"SELECT crc, value FROM {name} WHERE key = ?",
        put=f"INSERT OR REPLACE INTO {name} (key, crc, value) VALUES (?, ?, ?)",
        delete=f"DELETE FROM {name} WHERE key = ?",
        scan=f"{columns} ORDER BY key LIMIT ?",
        scan_below=f"{columns} AND key < ? ORDER BY key LIMIT ?",
    )


_SQL = {table: _statements(table) for table in Table}


class SqliteStore:
    """The store in one file.

    Reads are allowed at any time, writes inside ``transaction()`` only. Calls may come from any
    thread, one at a time. After a ``StoreError`` look at ``failed``: if it is set, the disk
    refused something and the store must be reopened before it is used again; if not (the disk is
    full), nothing but the transaction is lost and the next one may succeed.

    Raises:
        StoreDamaged: if the file is not what meerkat wrote. With ``must_exist`` also if it is
            missing or empty: a store that begins anew would use sequence numbers twice.
        StoreError: if it cannot be opened, or was made by a newer meerkat.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        self.path = path
        self._connection = Connection(path, must_exist=must_exist)
        self._scans: dict[Table, WeakSet[Scan]] = {table: WeakSet() for table in Table}
        self._written: set[Table] = set()  # in the transaction under way
        try:
            self._log = LogTable(self._connection)
        except BaseException:
            self._connection.close()
            raise

    @property
    def failed(self) -> bool:
        """Whether the disk refused something; nothing works until ``reopen`` succeeds."""
        return self._connection.failed

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: durable when the block has ended, forgotten if it raised anything.

        Raises:
            RuntimeError: if a transaction is open already.
            StoreError: if it cannot be made durable; it is forgotten then.
        """
        self._connection.begin()
        self._log.begin()
        self._written.clear()
        try:
            yield
        except BaseException:
            self._forget()
            raise
        try:
            self._connection.commit()
        except BaseException:
            self._forget()
            self._read_again()  # only the file knows how far the commit came
            raise

    def heads(self) -> dict[AuthorId, Head]:
        """The last operation of every author, from the log."""
        return self._log.heads()

    def append(self, author: AuthorId, head: Head, data: bytes) -> None:
        """Append the operation that ``head`` describes; ``data`` is exactly what was signed.

        Raises:
            ValueError: if ``head.sequence`` is not one more than the author's last.
        """
        self._log.append(author, head, data)

    def operation(self, author: AuthorId, sequence: int) -> bytes | None:
        """One operation's bytes, or None."""
        return self._log.operation(author, sequence)

    def operations(
        self, author: AuthorId, first: int, last: int, *, limit_bytes: int
    ) -> list[bytes]:
        """Operations ``first..last`` in order, at most ``limit_bytes`` but one at least.

        Ends early where the log ends.
        """
        return self._log.operations(author, first, last, limit_bytes=limit_bytes)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value under ``key``, or None."""
        for crc, value in self._connection.rows(_SQL[table].get, (key,)):
            return self._checked(table, key, crc, value)
        return None

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Insert or replace."""
        self._before_write(table)
        self._connection.write(_SQL[table].put, (key, crc_of_entry(key, value), value))

    def put_many(self, table: Table, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Insert or replace many."""
        rows: list[tuple[Any, ...]] = [
            (key, crc_of_entry(key, value), value) for key, value in items
        ]
        self._before_write(table)
        self._connection.write_many(_SQL[table].put, rows)

    def delete(self, table: Table, key: bytes) -> None:
        """Remove if there."""
        self._before_write(table)
        self._connection.write(_SQL[table].delete, (key,))

    def scan(self, table: Table, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All entries whose key begins with ``prefix``, in key order, as they are now.

        Later writes do not show in it, so deleting or changing entries on the way is safe.
        """
        sql, end = _SQL[table], prefix_end(prefix)

        def fetch(start: bytes, count: int) -> list[tuple[bytes, bytes]]:
            rows = (
                self._connection.rows(sql.scan, (start, count))
                if end is None
                else self._connection.rows(sql.scan_below, (start, end, count))
            )
            return [(key, self._checked(table, key, crc, value)) for key, crc, value in rows]

        scan = Scan(fetch, prefix)
        if not scan.complete:
            self._scans[table].add(scan)
        return scan

    def quick_check(self) -> None:
        """Check the file's structure: some milliseconds per megabyte.

        Raises:
            StoreDamaged: if it is not sound.
        """
        rows = self._connection.rows("PRAGMA quick_check(1)")
        if rows != [(b"ok",)]:
            raise self._damage("its structure is broken")

    def verify(self) -> None:
        """``quick_check``, and read every row there is.

        Raises:
            StoreDamaged: if a row is not as it was written.
        """
        self.quick_check()
        self._log.verify()
        for table in Table:
            for _ in self.scan(table):
                pass

    def reopen(self) -> None:
        """Begin anew with what is on the disk, after ``failed``.

        Raises:
            StoreError: if the disk still does not answer; may be tried again.
        """
        self._connection.reopen()
        self._read_again()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. What is committed stays."""
        self._connection.close()

    def _forget(self) -> None:
        self._connection.rollback()
        self._log.rollback()
        for table in self._written:  # scans begun before the last write have loaded their rest
            for scan in list(self._scans[table]):
                scan.abandon()

    def _read_again(self) -> None:
        """Make what is kept in memory equal to the file; the handle is useless until then."""
        if self._connection.failed:
            return
        try:
            self._log.load()
        except BaseException:
            self._connection.failed = True
            raise

    def _before_write(self, table: Table) -> None:
        self._written.add(table)
        for scan in list(self._scans[table]):
            scan.load_rest()
            self._scans[table].discard(scan)

    def _checked(self, table: Table, key: Any, crc: Any, value: Any) -> bytes:
        if (
            not isinstance(key, bytes)
            or not isinstance(value, bytes)
            or crc != crc_of_entry(key, value)
        ):
            raise self._damage(f"an entry of {table.value} is not as it was written")
        return value

    def _damage(self, what: str) -> StoreDamaged:
        return StoreDamaged(
            f"Meerkat's store {self.path} is damaged: {what}. "
            "Run `meerkat rebuild` to make it anew from the other members."
        )
