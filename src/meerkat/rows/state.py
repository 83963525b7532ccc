"""The state database of a live database: opened, and begun from a base.

One SQLite file of ours holds the visible rows in the user's own tables, and what we keep beside
them in tables whose names begin with ``meerkat_``. Its schema comes from other members, so nothing
in it may run: no triggers, no functions that reach outside, no cascades. What is in our tables is
decided in ``ledger``.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw
from blake3 import blake3

__all__ = [
    "BaseError",
    "begin_state",
    "configure",
    "connect",
    "discard_state",
    "is_sound",
    "open_state",
    "place_state",
    "sync_file",
    "sync_folder",
]

MAX_ROW_BYTES = 64 * 1024 * 1024
"""A row or value that is larger is not merged: several of it are in memory at once, here and at all
others; and a schema of somebody else's cannot make SQLite take more for an expression (guess)."""
_CACHE_KIB = 16 * 1024  # of pages; guess: the inner pages of a million rows, and more
_READ_BYTES = 1024 * 1024  # of a base at once
_PARTS = ("", "-wal", "-shm", "-journal")


class BaseError(ValueError):
    """A base is missing, or is not what its name says."""


def configure(connection: apsw.Connection) -> None:
    """Let nothing in the schema run or reach outside, neither triggers nor cascades."""
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
    connection.pragma("foreign_keys", "OFF")
    connection.pragma("recursive_triggers", "OFF")
    # Quoted names that are no columns are strings in old schemas: they must go on working.
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 1)


def connect(
    path: Path, flags: int, vfs: str | None = None, **pragmas: str | int
) -> apsw.Connection:
    """Open a database in which nothing runs (``configure``), with these pragmas set.

    Raises:
        apsw.Error: if it cannot be opened, or is not a database.
    """
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
    try:
        configure(connection)
        for name, value in pragmas.items():
            connection.pragma(name, value)
    except apsw.Error:
        connection.close()
        raise
    return connection


def open_state(path: Path) -> apsw.Connection:
    """Open a state database that exists.

    Raises:
        apsw.Error: if it cannot be opened, or is not a database.
    """
    return connect(
        path,
        apsw.SQLITE_OPEN_READWRITE,
        journal_mode="WAL",
        synchronous="FULL",
        cache_size=-_CACHE_KIB,
    )


def begin_state(base: Path, digest: bytes, path: Path) -> apsw.Connection:
    """Make a state database of a base, whose pages it begins with, and open it.

    The base comes from another member: it is hashed while it is copied, and checked. A state that
    stood there is replaced. Until the caller's first transaction it holds nothing of ours; the
    caller places it with ``os.replace`` when that is done, so ``path`` is a name for the time
    being.

    Raises:
        BaseError: if the base is not what ``digest`` (BLAKE3) says, or is damaged.
        OSError: if it cannot be read or the copy not be written.
    """
    discard_state(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = blake3()
    with base.open("rb") as source, path.open("wb") as copy:
        while piece := source.read(_READ_BYTES):
            whole.update(piece)
            copy.write(piece)
    if whole.digest() != digest:
        path.unlink()
        raise BaseError("the copy that this database began with is not what it should be")
    try:
        connection = open_state(path)
    except apsw.Error as error:
        raise BaseError("the copy that this database began with is not a database") from error
    if not is_sound(connection):
        connection.close()
        raise BaseError("the copy that this database began with is damaged")
    return connection


def place_state(connection: apsw.Connection, new: Path, path: Path) -> apsw.Connection:
    """Close a state that was begun under the name ``new``, give it its own, and open it there."""
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    sync_file(new)
    for part in _PARTS[1:]:
        Path(f"{path}{part}").unlink(missing_ok=True)
    os.replace(new, path)
    sync_folder(path.parent)
    return open_state(path)


def is_sound(connection: apsw.Connection) -> bool:
    """Whether a database is not damaged; takes as long as reading it."""
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").get == "ok")
    except apsw.Error:
        return False


def discard_state(path: Path) -> None:
    """Remove a closed database of ours."""
    for part in _PARTS:
        Path(f"{path}{part}").unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Make what a file holds durable."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
