"""Reading one path so that what is reported was really there, all at once.

lstat, open without following links, fstat, read, fstat, lstat: if any of them differ, somebody was
writing, and the answer is ``CHANGED``. Of a live database just the header is read, to recognise it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from meerkat.core.chunks import chunk_stream
from meerkat.core.files import (
    BlobContent,
    Content,
    DatabaseContent,
    Folder,
    Kind,
    Observed,
    Signature,
    Symlink,
    TextContent,
)
from meerkat.core.ids import ContentHash
from meerkat.core.text_file import decode_file

from .paths import FOLDER_FLAGS, Root, link_stays_inside, missing, split
from .signature import is_executable, kind_of, signature_of, unchanged
from .sqlite_files import HEADER_BYTES, SMALLEST_BYTES, is_cut_off, is_database

__all__ = [
    "NO_DIGEST",
    "Found",
    "Reading",
    "Refused",
    "Unread",
    "database_found",
    "hash_large",
    "read_path",
    "read_start",
    "refusal",
    "start_of",
]

NO_DIGEST = ContentHash(bytes(32))
START_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PROGRESS_BYTES = 32 * 1024 * 1024
COPYING_SECONDS = 2.0  # a database that is too short and older than this is damaged; guess


class _Resized(Exception):
    """The file grew or shrank: no use in reading on."""


class Unread(Enum):
    """Why there is nothing to report."""

    MISSING = "missing"
    CHANGED = "changed while it was read"
    LARGE = "large: for the second thread"


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path."""

    observed: Observed
    content: Content
    links: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Something stands there that cannot be synced; ``text`` is for people."""

    text: str


Reading = Found | Unread | Refused


def folder_found(stat: os.stat_result) -> Found:
    """A directory: its times change with its entries, so only what it is counts."""
    signature = Signature(0, 0, 0, stat.st_ino, stat.st_dev)
    return Found(Observed(Kind.FOLDER, NO_DIGEST, False, signature), Folder(), 1)


def database_found(stat: os.stat_result) -> Found:
    """A live database: what is in it is not our business, only which file it is."""
    signature = Signature(0, 0, 0, stat.st_ino, stat.st_dev)
    observed = Observed(Kind.DATABASE, NO_DIGEST, is_executable(stat), signature)
    return Found(observed, DatabaseContent(), stat.st_nlink)


def read_path(root: Root, path: str, large_bytes: int, *, live: bool = False) -> Reading:
    """Read what stands at ``path``, if it is small; otherwise say so.

    Args:
        root: the folder.
        path: in it.
        large_bytes: what is larger is not read here.
        live: a SQLite database is to be told by its header, and not read.
    """
    try:
        parent, name = split(path)
        directory = root.open(parent, FOLDER_FLAGS if parent else os.O_RDONLY | os.O_DIRECTORY)
        try:
            return read_entry(directory, name, path, large_bytes, live=live)
        finally:
            os.close(directory)
    except OSError as error:
        if missing(error):
            return Unread.MISSING
        return refusal(error)


def read_entry(
    directory: int, name: str, path: str, large_bytes: int, *, live: bool = False
) -> Reading:
    """As ``read_path``, from a directory that is already open."""
    try:
        stat = os.stat(name, dir_fd=directory, follow_symlinks=False)
        kind = kind_of(stat)
        if kind is Kind.FOLDER:
            return folder_found(stat)
        if kind is Kind.SYMLINK:
            return _read_link(directory, name, path, stat)
        if kind is None:
            return Refused("not a file, folder or link (a socket, pipe or device): not synced")
        live = live and stat.st_size >= SMALLEST_BYTES
        if stat.st_size > large_bytes and not live:
            return Unread.LARGE
        return _read_file(directory, name, stat, large_bytes, live=live)
    except FileNotFoundError:
        return Unread.MISSING
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Unread.CHANGED  # became a link between lstat and open
        return refusal(error)


def _read_link(directory: int, name: str, path: str, stat: os.stat_result) -> Reading:
    target = os.readlink(name, dir_fd=directory)
    after = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not unchanged(after, signature_of(stat)):
        return Unread.CHANGED
    try:
        digest = ContentHash.of(target.encode("utf-8"))
    except UnicodeEncodeError:
        return Refused("a link whose target is not valid UTF-8: make it anew to sync it")
    if not link_stays_inside(path, target):
        return Refused("a link that points outside the folder: not synced; use a relative target")
    observed = Observed(Kind.SYMLINK, digest, False, signature_of(stat))
    return Found(observed, Symlink(target), stat.st_nlink)


def _read_file(
    directory: int, name: str, stat: os.stat_result, limit: int, *, live: bool
) -> Reading:
    # O_NONBLOCK: a pipe put there since must not hold the thread.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    signature = signature_of(stat)
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        if live and (database := _recognise(descriptor, directory, name)) is not None:
            return database
        if stat.st_size > limit:
            return Unread.LARGE
        if not unchanged(os.fstat(descriptor), signature):
            return Unread.CHANGED
        wanted = min(stat.st_size, limit) + 1  # one more shows that it grew
        data = os.read(descriptor, wanted)
        if 0 < len(data) < stat.st_size:
            data += _read_rest(descriptor, wanted - len(data))
        if len(data) != stat.st_size or not unchanged(os.fstat(descriptor), signature):
            return Unread.CHANGED
    finally:
        os.close(descriptor)
    if not unchanged(os.stat(name, dir_fd=directory, follow_symlinks=False), signature):
        return Unread.CHANGED
    observed = Observed(Kind.FILE, ContentHash.of(data), is_executable(stat), signature)
    return Found(observed, content_of(data), stat.st_nlink)


def _recognise(descriptor: int, directory: int, name: str) -> Reading | None:
    """A database, though programs may be writing to it right now; None for any other file."""
    header = os.pread(descriptor, HEADER_BYTES, 0)
    if not is_database(header):
        return None
    stat = os.fstat(descriptor)
    quiet = time.time_ns() - stat.st_mtime_ns >= COPYING_SECONDS * 1e9
    if is_cut_off(header, stat.st_size) and not quiet:
        return Unread.CHANGED
    if not os.path.samestat(stat, os.stat(name, dir_fd=directory, follow_symlinks=False)):
        return Unread.CHANGED
    return database_found(stat)


def read_start(root: Root, path: str) -> bytes:
    """The first bytes of a file; none if it cannot be read."""
    return _start(lambda: root.open(path, os.O_RDONLY | os.O_NONBLOCK))


def start_of(directory: int, name: str) -> bytes:
    """The same of a file in an open folder."""
    return _start(lambda: os.open(name, START_FLAGS, dir_fd=directory))


def _start(opened: Callable[[], int]) -> bytes:
    try:
        descriptor = opened()
    except OSError:
        return b""
    try:
        return os.pread(descriptor, HEADER_BYTES, 0)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _read_rest(descriptor: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.read(descriptor, length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def content_of(data: bytes) -> Content:
    """A text if it is one, else its chunks."""
    if decode_file(data) is not None:
        return TextContent(data)
    view, position = memoryview(data), 0

    def read(length: int) -> bytes:
        nonlocal position
        part = bytes(view[position : position + length])
        position += len(part)
        return part

    return BlobContent(chunk_stream(read).chunks)


def refusal(error: OSError) -> Refused:
    """Why something there cannot be read, and what to do about it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refused("may not be read: allow reading it, or add it to .meerkatignore")
    return Refused(f"cannot be read ({error.strerror}): it is tried again at the next scan")


class Interrupted(Exception):
    """Reading was given up because the folder is stopping."""


def hash_large(
    root: Root, path: str, progress: Callable[[int, int], None], stopping: Callable[[], bool]
) -> Reading:
    """Chunk and hash a large file; blocks for about a second per GiB.

    Raises:
        Interrupted: once ``stopping`` says so.
    """
    try:
        descriptor = root.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return Unread.MISSING if missing(error) else refusal(error)
    try:
        return _hash_open(descriptor, progress, stopping)
    except _Resized:
        return Unread.CHANGED
    except OSError as error:
        return refusal(error)
    finally:
        os.close(descriptor)


def _hash_open(
    descriptor: int, progress: Callable[[int, int], None], stopping: Callable[[], bool]
) -> Reading:
    stat = os.fstat(descriptor)
    if kind_of(stat) is not Kind.FILE:
        return Unread.CHANGED

    def read(length: int) -> bytes:
        if stopping():
            raise Interrupted
        return os.read(descriptor, length)

    shown = 0

    def show(done: int) -> None:
        nonlocal shown
        if done - shown >= PROGRESS_BYTES:
            shown = done
            progress(done, stat.st_size)
            if os.fstat(descriptor).st_size != stat.st_size:
                raise _Resized

    content = chunk_stream(read, progress=show)
    signature = signature_of(stat)
    if content.size != stat.st_size or not unchanged(os.fstat(descriptor), signature):
        return Unread.CHANGED
    progress(stat.st_size, stat.st_size)
    observed = Observed(Kind.FILE, content.hash, is_executable(stat), signature)
    return Found(observed, BlobContent(content.chunks), stat.st_nlink)
