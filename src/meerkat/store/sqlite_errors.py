"""What SQLite's errors mean for a person: one place turns them into meerkat's own.

Decides the class and the sentence. Does not decide what becomes of the handle (``store.py``).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from meerkat.errors import StoreDamaged, StoreError, StoreFull

__all__ = ["io_failed", "translate"]

_PRIMARY = 0xFF  # the low byte of an extended result code: https://sqlite.org/rescode.html
# Every constraint follows from what we write, so only a damaged file can break one.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
_MAY_BE_FULL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """The meerkat error that says what ``error`` means for the store at ``path``."""
    code = _primary(error)
    if code == sqlite3.SQLITE_FULL or (code in _MAY_BE_FULL and _disk_is_full(path)):
        return StoreFull(
            f"The disk that holds {path} is full. Nothing is lost; "
            "free some space and meerkat goes on by itself."
        )
    if code in _DAMAGED:
        return StoreDamaged(
            f"Meerkat's store {path} is damaged ({error}). "
            "Run `meerkat rebuild` to make it anew from the other members."
        )
    return StoreError(f"Meerkat's store {path} cannot be used: {error}. {_advice(code)}")


def io_failed(error: sqlite3.Error) -> bool:
    """Whether the disk refused a read, write or sync: what the handle then believes is unknown."""
    return _primary(error) == sqlite3.SQLITE_IOERR


def _primary(error: sqlite3.Error) -> int:
    # The module's own errors (a closed handle, a wrong number of values) carry no code.
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & _PRIMARY


def _disk_is_full(path: Path) -> bool:
    """SQLite reports a full disk as an I/O error where it grows the -shm file or makes the -wal."""
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    if room.f_blocks == 0 or room.f_flag & os.ST_RDONLY:
        return False  # no disk at all, or one that cannot be written: they report no room either
    return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)


def _advice(code: int) -> str:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another program holds it; close that program and try again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return "Make the folder writable for you and try again."
    if code == sqlite3.SQLITE_CANTOPEN:
        return "Check that the folder is there and that you may read and write it."
    if code == sqlite3.SQLITE_IOERR:
        return "The disk reported an error; check the disk, then start meerkat again."
    return "Start meerkat again; if that does not help, run `meerkat doctor`."
