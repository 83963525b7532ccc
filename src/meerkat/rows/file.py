"""The user's file of a live database: when it is opened, and whether it is still the same file.

Every descriptor of the file in this process belongs to SQLite: an own one that closes would drop
SQLite's locks on it. The file is looked at through its name before each use, since it may be
replaced by another (a rename), or overwritten in place (``cp``), under an open handle. What is read
and written is decided elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from .signature import Signature, signature_of
from .state import connect

__all__ = [
    "File",
    "FileBroken",
    "FileBusy",
    "FileGone",
    "FileStuck",
    "begin_reading",
    "begin_writing",
    "check",
    "translated",
]

WAIT_READ_ONLY = "The file is read-only: what others write waits until it can be written."
WAIT_FULL = "The disk is full: what others write waits until there is room."
WAIT_ERROR = "The disk reports an error ({}): what others write waits."
NO_LOCKS = (
    "Its file system has no working locks, so programs could damage the database together: "
    "move it to a local disk, or treat it as an ordinary file with `meerkat db off`."
)
TOO_LARGE = (
    "A row is larger than 64 MiB, which cannot be merged: what was written since waits. "
    "Make it smaller, or treat the file as an ordinary one with `meerkat db off`."
)
NOT_A_DATABASE = "It is not an SQLite database any more, or it is encrypted."
DAMAGED = (
    "The database is damaged ({}): repair it (`.recover` in sqlite3) or put a backup of your own "
    "there; or leave it, and join again in an empty folder."
)
REPLACED_OPEN = (
    "It was replaced while another program still had the old file open: "
    "close that program before the write-ahead log of the old file damages the new one."
)

_LOCK_ERRORS = frozenset(
    {
        apsw.SQLITE_IOERR_LOCK,
        apsw.SQLITE_IOERR_RDLOCK,
        apsw.SQLITE_IOERR_UNLOCK,
        apsw.SQLITE_IOERR_CHECKRESERVEDLOCK,
        apsw.SQLITE_IOERR_SHMLOCK,
        apsw.SQLITE_IOERR_SHMMAP,
        apsw.SQLITE_IOERR_SHMOPEN,
    }
)
_FLAGS = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
_OPEN_LOCK = 128  # a byte of the log's index: SQLite's walformat.html, 2.3.1
_CACHE_KIB = 8 * 1024  # of pages; guess


class FileBusy(Exception):
    """Another program reads or writes just now: later."""


class FileGone(Exception):
    """Nothing stands under the file's name."""


class FileStuck(Exception):
    """It cannot be written (or read) at the moment; the text is a sentence for people."""


class FileBroken(Exception):
    """It cannot be live any more as it is; the text is a sentence for people."""


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors about a file, as ours. Those about statements pass through."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise FileBusy from error
    except apsw.NotADBError as error:
        raise FileBroken(NOT_A_DATABASE) from error
    except apsw.CorruptError as error:
        raise FileBroken(DAMAGED.format(str(error)[:200])) from error
    except apsw.TooBigError as error:  # SQLITE_LIMIT_LENGTH, see ``state``
        raise FileStuck(TOO_LARGE) from error
    except apsw.ReadOnlyError as error:
        if _extended(error) == apsw.SQLITE_READONLY_DBMOVED:
            raise FileBusy from error
        raise FileStuck(WAIT_READ_ONLY) from error
    except apsw.FullError as error:
        raise FileStuck(WAIT_FULL) from error
    except apsw.ProtocolError as error:
        raise FileBroken(NO_LOCKS) from error
    except apsw.CantOpenError as error:
        raise FileStuck(WAIT_READ_ONLY) from error
    except apsw.IOError as error:
        if _extended(error) in _LOCK_ERRORS:
            raise FileBroken(NO_LOCKS) from error
        raise FileStuck(WAIT_ERROR.format(str(error)[:200])) from error


def begin_reading(connection: apsw.Connection) -> None:
    """Begin a transaction that sees one moment from here on."""
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def begin_writing(connection: apsw.Connection) -> None:
    """Begin a transaction that keeps other writers out."""
    connection.execute("BEGIN IMMEDIATE")


def check(connection: apsw.Connection) -> None:
    """See whether a database is in order, which takes as long as reading it.

    Raises:
        FileBroken: if it is not.
    """
    with translated():
        answer = str(connection.execute("PRAGMA quick_check(1)").get)
    if answer != "ok":
        raise FileBroken(DAMAGED.format(answer[:200]))


class File:
    """One user's file, opened when needed."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        """``path``: with no symbolic link in it. ``vfs``: of SQLite's, or its default."""
        self.path = path
        self.opened = 0  # how often, so that others know when a connection is a new one
        self._vfs = vfs
        self._connection: apsw.Connection | None = None
        self._identity = (0, 0)  # device and inode of what is open
        self._touched = (0, 0)  # its time of modification (ns) and size when we used it last
        self._wal_inode = 0
        self._resting_as: Signature | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode of the file that was opened last."""
        return self._identity

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def ready(self) -> apsw.Connection:
        """A connection to the file that now has the name, whose cache is not older than it.

        Raises:
            FileGone: if nothing has the name.
            FileBusy, FileStuck, FileBroken: if it cannot be opened.
        """
        try:
            stat = self.path.stat(follow_symlinks=False)
        except OSError as error:
            self._close_replaced()
            raise FileGone from error
        identity = (stat.st_dev, stat.st_ino)
        if self._connection is not None and identity != self._identity:
            self._close_replaced()
            if self._wal_inode and self._wal_inode == _inode(f"{self.path}-wal"):
                self._remove_old_log()
        elif self._connection is not None and (stat.st_mtime_ns, stat.st_size) != self._touched:
            # Written by another program, which may have been `cp`: SQLite would trust its cache
            # of the old content.
            self.close()
        self._resting_as = None
        if self._connection is None:
            self._connection = self._open()
            self._identity = identity
            self._touched = (stat.st_mtime_ns, stat.st_size)
            self.opened += 1
        return self._connection

    def _was_ours(self) -> None:
        with suppress(OSError):
            stat = self.path.stat(follow_symlinks=False)
            if (stat.st_dev, stat.st_ino) == self._identity:
                self._touched = (stat.st_mtime_ns, stat.st_size)
        self._wal_inode = _inode(f"{self.path}-wal")

    def close(self) -> None:
        """Let go of the file. The last one who has it open empties its write-ahead log."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(OSError):
            stat = self.path.stat(follow_symlinks=False)
            if (stat.st_mtime_ns, stat.st_size) != self._touched:
                # Perhaps by `cp`: pages of the old content must not be written into the new.
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close()

    def empty_log(self) -> None:
        """Bring the write-ahead log into the file, as far as nobody reads from it.

        Raises:
            FileBusy, FileStuck, FileBroken, FileGone
        """
        connection = self.ready()
        with translated():
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._was_ours()

    def sync_log(self) -> None:
        """Have what programs committed on the disk before anybody hears of it.

        A program may leave that for later (synchronous=NORMAL, as is usual with a write-ahead
        log); after a power cut it would look as if it had taken its changes back. The log alone
        carries no locks, so a descriptor of ours does no harm.
        """
        with suppress(OSError), open(f"{self.path}-wal", "rb") as log:
            os.fsync(log.fileno())

    def rest(self) -> None:
        """Close it with nothing left to do: until it changes there is no reason to open it."""
        self.close()
        self._resting_as = signature_of(self.path, time.time())

    @property
    def is_unchanged(self) -> bool:
        """Whether it rests, and is just as it was then."""
        if self._connection is not None or self._resting_as is None:
            return False
        return signature_of(self.path, time.time()) == self._resting_as

    def _close_replaced(self) -> None:
        """Let go of a file that lost its name; what now stands beside the name is not its own."""
        if self._connection is None:
            return
        if self._wal_inode and self._wal_inode != _inode(f"{self.path}-wal"):
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.close()

    def _remove_old_log(self) -> None:
        """The replaced file's log still lies beside the new file, where it would damage it.

        SQLite does not remove it, since its file has lost its name. If nobody else has it open it
        is ours alone; what it held of programs is gone with the file, as whoever replaced it wants.

        Raises:
            FileBroken: if another program has it open.
        """
        with suppress(FileNotFoundError), open(f"{self.path}-shm", "r+b") as index:
            try:
                # Whoever has the log open holds a shared lock on this byte.
                fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _OPEN_LOCK)
            except OSError as error:
                raise FileBroken(REPLACED_OPEN) from error
            for part in ("-wal", "-shm"):
                Path(f"{self.path}{part}").unlink(missing_ok=True)

    def _open(self) -> apsw.Connection:
        with translated():
            return connect(
                self.path,
                _FLAGS,
                self._vfs,
                busy_timeout=0,
                synchronous="FULL",
                cell_size_check="ON",
                cache_size=-_CACHE_KIB,
            )

    @contextmanager
    def reading(self, begin: Callable[[apsw.Connection], None]) -> Iterator[apsw.Connection]:
        """A short read transaction, begun by ``begin`` and ended in any case."""
        with _undone(self.ready(), begin) as connection:
            yield connection
        self._wal_inode = _inode(f"{self.path}-wal")

    @contextmanager
    def writing(self, begin: Callable[[apsw.Connection], None]) -> Iterator[apsw.Connection]:
        """A write transaction, begun by ``begin``; it is undone unless the body commits it."""
        connection = self.ready()
        try:
            with _undone(connection, begin):
                yield connection
        finally:
            self._was_ours()


@contextmanager
def _undone(
    connection: apsw.Connection, begin: Callable[[apsw.Connection], None]
) -> Iterator[apsw.Connection]:
    """A transaction that is taken back unless the body ends it."""
    with translated():
        try:
            begin(connection)
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _extended(error: apsw.Error) -> int:
    """SQLite's extended result code, which only errors from SQLite itself have."""
    return int(getattr(error, "extendedresult", 0))


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
