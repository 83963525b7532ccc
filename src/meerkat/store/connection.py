"""One SQLite handle: how it is opened, when it may be written, when it may no longer be trusted.

Decides durability and what an error does to the handle. Knows no table but SQLite's own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from meerkat.errors import StoreDamaged, StoreError

from .migrate import check, migrate
from .small_files import sync_folder
from .sqlite_errors import io_failed, translate

__all__ = ["Connection"]

BUSY_TIMEOUT = 5.0  # s; only a second process reading the store can hold it, and briefly. guess
CHECKPOINT_PAGES = 1000  # 4 MB of WAL, SQLite's default: a checkpoint then takes about 10 ms here
WAL_KEPT_BYTES = 16 << 20  # after a large transaction the WAL file shrinks to this. guess
CACHE_KIB = 8 << 10  # of pages; the whole store must stay far below 120 MB (design, section 11)
PRIVATE, OTHERS = 0o600, 0o077  # modes

Row = tuple[Any, ...]


class Connection:
    """A handle on the store's file.

    Every SQLite error leaves here as a ``StoreError``. One inside a transaction spoils it: the
    transaction can then only be rolled back. A disk error ends the handle: ``failed`` is set
    and only ``reopen`` helps, since after a failed sync the file may or may not hold the data.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        self.path = path
        self.failed = False
        self._in_transaction = False
        self._spoiled: StoreError | None = None
        self._database = self._open(must_exist)

    @property
    def in_transaction(self) -> bool:
        """Whether ``begin`` was called and neither ``commit`` nor ``rollback`` since."""
        return self._in_transaction

    def rows(self, sql: str, values: Iterable[Any] = ()) -> list[Row]:
        """Run a query and fetch all of it."""
        self._check_usable()
        try:
            return self._database.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def iterate(self, sql: str, values: Iterable[Any] = ()) -> Iterator[Row]:
        """Run a query and fetch as the caller goes; nothing may be written meanwhile."""
        self._check_usable()
        try:
            yield from self._database.execute(sql, tuple(values))
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def write(self, sql: str, values: Row) -> None:
        """Run a statement that changes something."""
        self._check_writable()
        try:
            self._database.execute(sql, values)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def write_many(self, sql: str, values: list[Row]) -> None:
        """Run a statement once for each of ``values``."""
        self._check_writable()
        try:
            self._database.executemany(sql, values)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def begin(self) -> None:
        """Begin a transaction; a transaction within a transaction is a bug."""
        if self._in_transaction:
            raise RuntimeError("a transaction is open already; transactions do not nest")
        self._check_usable()
        self._spoiled = None
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._fault(error) from error
        self._in_transaction = True

    def commit(self) -> None:
        """Make it durable; on return it is on the disk. After an error call ``rollback``."""
        if self._spoiled is not None:
            raise self._spoiled
        try:
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._fault(error) from error
        self._in_transaction = False

    def rollback(self) -> None:
        """Forget the transaction. Never raises: after a disk error SQLite has done it already."""
        self._in_transaction = False
        self._spoiled = None
        try:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.failed = self.failed or io_failed(error)

    def reopen(self) -> None:
        """Begin anew after ``failed``: what is read afterwards is on the disk.

        After a failed sync the system may hold pages as written that never reached the disk, so
        everything in the WAL is copied to the database file and synced there before it is used.
        """
        if self._in_transaction:
            raise RuntimeError("a transaction is open; leave it before reopening the store")
        self.close()
        self.failed = True
        self._database = self._open(must_exist=True)
        try:
            (busy, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        if busy:
            raise StoreError(f"Another program reads {self.path}; close it and try again.")
        self.failed = False

    def close(self) -> None:
        """Close the handle; the last one to close folds the WAL into the file and removes it.

        Never raises: whatever was committed is in the WAL already.
        """
        try:
            if not self.failed:
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass
        finally:
            self._database.close()

    def _open(self, must_exist: bool) -> sqlite3.Connection:
        if must_exist:
            self._check_exists()
        database: sqlite3.Connection | None = None
        try:
            self._create()
            # One caller at a time, not one thread for ever: the node may commit in a worker.
            database = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            database.text_factory = bytes  # a damaged row must not fail in a UTF-8 decoder
            check(database, self.path)
            self._make_private()
            _configure(database)
            migrate(database, self.path)
            self._sync_folder()
            return database
        except (sqlite3.Error, StoreError) as error:
            if database is not None:
                database.close()
            if isinstance(error, StoreError):
                raise
            raise translate(error, self.path) from error

    def _create(self) -> None:
        """A new file is ours alone from the start, and so is what SQLite makes beside it."""
        with suppress(OSError):  # it is there already; whatever else is wrong, SQLite says
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))

    def _make_private(self) -> None:
        # By name: closing a descriptor of ours would drop SQLite's locks on the file.
        with suppress(OSError):  # file systems without permissions
            if self.path.stat().st_mode & OTHERS:
                self.path.chmod(PRIVATE)

    def _sync_folder(self) -> None:
        # The -wal file is there by now. SQLite syncs its name with the first commit but ignores
        # a failure of that; without the name everything committed would be gone.
        try:
            sync_folder(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"The disk that holds {self.path} reported an error ({error.strerror}); "
                "check the disk, then start meerkat again."
            ) from error

    def _check_exists(self) -> None:
        # SQLite takes a missing or empty file for a new database. An author that begins at
        # sequence 1 again forks itself, so this must never pass for a store.
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        except OSError as error:
            raise StoreError(
                f"Meerkat's store {self.path} cannot be read ({error.strerror}). "
                "Check that the folder is there and that you may read it."
            ) from error
        if size == 0:
            raise StoreDamaged(
                f"Meerkat's store {self.path} is missing or empty. "
                "Run `meerkat rebuild` to make it anew from the other members."
            )

    def _check_usable(self) -> None:
        if self.failed:
            raise StoreError(
                f"The disk that holds {self.path} reported an error; "
                "check the disk, then start meerkat again."
            )

    def _check_writable(self) -> None:
        if not self._in_transaction:
            raise RuntimeError("the store is written inside a transaction only")
        if self._spoiled is not None:
            raise self._spoiled

    def _fault(self, error: sqlite3.Error) -> StoreError:
        fault = translate(error, self.path)
        self.failed = self.failed or io_failed(error)
        if self._in_transaction:
            self._spoiled = fault
        return fault


def _configure(database: sqlite3.Connection) -> None:
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    # Measured: NORMAL lost up to 872 acknowledged commits in a power cut, FULL none. Where the
    # file system has no shared memory SQLite stays in rollback mode, and only EXTRA syncs there
    # the folder too.
    database.execute(f"PRAGMA synchronous = {'FULL' if mode == b'wal' else 'EXTRA'}")
    database.execute("PRAGMA fullfsync = ON")  # macOS: through the drive's cache as well
    database.execute("PRAGMA checkpoint_fullfsync = ON")
    database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    database.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    database.execute("PRAGMA cell_size_check = ON")  # finds damage where it is read
    database.execute("PRAGMA mmap_size = 0")  # a disk error in mapped memory would be a SIGBUS
    database.execute("PRAGMA trusted_schema = OFF")
