"""How SQLite's files look from outside: the database itself, and the files that go with it.

Decides by names and first bytes, as the file format defines them (sqlite.org/fileformat2.html,
sqlite.org/walformat.html). Opens nothing.
"""

from __future__ import annotations

import re

__all__ = [
    "HEADER_BYTES",
    "JOURNAL_MAGIC",
    "SMALLEST_BYTES",
    "SUFFIXES",
    "database_of",
    "is_companion_content",
    "is_cut_off",
    "is_database",
]

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
SMALLEST_BYTES = 512  # one page of the smallest size
LARGEST_PAGE = 65536  # written as 1

SUFFIXES = ("-wal", "-shm", "-journal")
SUPER_JOURNAL = re.compile(r"-mj[0-9A-F]{9}$")  # of a transaction over several databases
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
WAL_MAGICS = (bytes.fromhex("377f0682"), bytes.fromhex("377f0683"))
SHM_VERSION = 3_007_000  # in the machine's byte order


def is_database(header: bytes) -> bool:
    """Whether a file that begins so is a SQLite database (an encrypted one begins otherwise)."""
    return header.startswith(MAGIC)


def is_cut_off(header: bytes, size_bytes: int) -> bool:
    """Whether the file is shorter than its header says: most likely it is just being copied."""
    if len(header) < HEADER_BYTES or header[24:28] != header[92:96]:
        return False  # written by a SQLite that does not keep the count
    page = int.from_bytes(header[16:18])
    pages = int.from_bytes(header[28:32])
    return size_bytes < pages * (LARGEST_PAGE if page == 1 else page)


def database_of(path: str) -> str | None:
    """The database that a file of this name would belong to."""
    for suffix in SUFFIXES:
        if path.endswith(suffix):
            owner = path[: -len(suffix)]
            break
    else:
        found = SUPER_JOURNAL.search(path)
        if found is None:
            return None
        owner = path[: found.start()]
    return owner if owner and not owner.endswith("/") else None


def is_companion_content(path: str, start: bytes) -> bool:
    """Whether a file that is named like a companion begins like one, too."""
    if path.endswith("-wal"):
        return start[:4] in WAL_MAGICS
    if path.endswith("-shm"):
        number = start[:4]
        return SHM_VERSION in (int.from_bytes(number, "little"), int.from_bytes(number, "big"))
    return start.startswith(JOURNAL_MAGIC)
