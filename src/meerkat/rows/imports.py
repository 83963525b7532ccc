"""How a file in the folder begins as a live database: may it be one, and a copy of its bytes.

The copy is the base that every member begins with, named by its hash: two people who bring the same
quiet file must get equal bytes, so the pages are taken as they are in the file. Everything is read
through SQLite's own handle, since a descriptor of ours that closes would drop its locks.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import apsw

from meerkat.core.chunks import chunk_stream, pack_chunks

from .definitions import refusal
from .file import File, FileBroken, FileStuck, begin_reading, begin_writing, translated
from .schema import read_schema
from .state import configure, sync_folder

__all__ = ["Base", "RefusedError", "import_base", "refuse_reason"]

_READ_BYTES = 1024 * 1024  # at once; a multiple of every page size
_LEAST_BYTES = 512  # SQLite's smallest page
_MAX_BASE_BYTES = 64 * 1024**3  # guess: beyond, chunk lists and full compares take too long
ENCRYPTED = (
    "It is not an SQLite database that can be read: damaged or encrypted. "
    "It is shared as an ordinary file."
)
NOT_LIVE = "It cannot be merged row by row: {}. It is shared as an ordinary file."
DAMAGED = (
    "The database is damaged ({}): repair it (`.recover` in sqlite3), "
    "then `meerkat db on`. Until then it is shared as an ordinary file."
)


class RefusedError(ValueError):
    """This cannot be a live database; the text is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Base:
    """A kept copy: its BLAKE3, its length in bytes, its chunks as in a blob's body."""

    digest: bytes
    size: int
    chunks: bytes


def refuse_reason(path: Path) -> str:
    """Why the file cannot be a live database; empty if it can.

    Raises:
        FileBusy: if a program holds it at the moment.
        FileGone: if there is none.
    """
    file = File(path)
    try:
        with file.reading(begin_reading) as connection:
            _check_schema(connection)
    except (FileBroken, FileStuck, RefusedError) as error:
        return str(error)
    finally:
        file.close()
    return ""


def import_base(path: Path, bases: Path) -> Base:
    """Keep a copy of the database as it is at one moment, as ``bases/<hex of its digest>``.

    ``path``: with no symbolic link in it.

    Raises:
        RefusedError: if it cannot be live.
        FileBusy: if a program holds it at the moment.
        FileGone: if there is none.
        FileStuck: if the copy cannot be written.
    """
    bases.mkdir(parents=True, exist_ok=True)
    new = bases / f"new-{secrets.token_hex(8)}"
    file = File(path)
    try:
        with new.open("wb") as copy:
            try:
                base = _copy_pages(file, copy)
            except _Growing:
                copy.truncate(0)
                copy.seek(0)
                base = _copy_backup(file, new, copy)
            copy.flush()
            os.fsync(copy.fileno())
        _check_copy(new)
        os.replace(new, bases / base.digest.hex())
        sync_folder(bases)
    except FileBroken as error:
        raise RefusedError(ENCRYPTED) from error
    except OSError as error:
        raise FileStuck(f"The copy of the database cannot be kept ({error.strerror}).") from error
    finally:
        file.close()
        with suppress(OSError):
            new.unlink()
    return base


class _Growing(Exception):
    """The write-ahead log is never empty: the file alone is not the database."""


def _copy_pages(file: File, copy: BinaryIO) -> Base:
    with file.reading(begin_reading) as connection:
        _check_schema(connection)
        mode = str(connection.execute("PRAGMA journal_mode").get).lower()
        if mode != "wal":
            return _keep(_pages(connection, _size(connection)), copy)
    reader = File(file.path)
    try:
        with file.writing(begin_writing):  # so that the log does not grow between these two
            with reader.reading(begin_reading):
                pass  # a handle that has not read yet knows of no log
            with translated():
                log, done = reader.ready().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if log != done:
                raise _Growing
            # Who begins to read when the whole log is in the file reads the file alone, and keeps
            # checkpoints away from it.
            snapshot = reader.ready()
            begin_reading(snapshot)
        with translated():
            return _keep(_pages(snapshot, _size(snapshot)), copy)
    except FileStuck as error:  # it may not be written
        raise _Growing from error
    finally:
        reader.close()


def _size(connection: apsw.Connection) -> int:
    pages = int(connection.execute("PRAGMA page_count").get)
    size = pages * int(connection.execute("PRAGMA page_size").get)
    if not _LEAST_BYTES <= size <= _MAX_BASE_BYTES:
        raise RefusedError("The database is empty, or too large to be live.")
    return size


def _pages(connection: apsw.Connection, size: int) -> Callable[[int], bytes]:
    at = 0

    def read(amount: int) -> bytes:
        nonlocal at
        amount = min(amount, _READ_BYTES, size - at)
        if amount <= 0:
            return b""
        whole, piece = connection.read("main", 0, at, amount)
        if not whole:
            raise FileBroken("shorter than its pages")
        at += amount
        return piece

    return read


def _keep(read: Callable[[int], bytes], copy: BinaryIO) -> Base:
    def read_and_write(amount: int) -> bytes:
        piece = read(amount)
        copy.write(piece)
        return piece

    content = chunk_stream(read_and_write)
    return Base(bytes(content.hash), content.size, pack_chunks(content.chunks))


def _copy_backup(file: File, new: Path, copy: BinaryIO) -> Base:
    """For a database that is being written: SQLite's own copy of one moment."""
    connection = file.ready()
    with translated():
        target = apsw.Connection(str(new))
        try:
            with target.backup("main", connection, "main") as backup:
                backup.step(-1)
        finally:
            target.close()
    copy.seek(0, os.SEEK_END)
    with new.open("rb") as whole:
        content = chunk_stream(whole.read)
    return Base(bytes(content.hash), content.size, pack_chunks(content.chunks))


def _check_schema(connection: apsw.Connection) -> None:
    reason = refusal(read_schema(connection))
    if reason:
        raise RefusedError(NOT_LIVE.format(reason))


def _check_copy(new: Path) -> None:
    """Raises RefusedError if the copy is damaged."""
    try:
        uri = f"file:{_quoted(new)}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            configure(connection)
            answer = str(connection.execute("PRAGMA integrity_check(1)").get)
        finally:
            connection.close()
    except apsw.Error as error:
        raise RefusedError(ENCRYPTED) from error
    if answer != "ok":
        raise RefusedError(DAMAGED.format(answer[:200]))


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
