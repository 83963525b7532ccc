"""Taking along what goes with a database: its write-ahead log and its journal.

A database without them may lack its last changes, and they beside another database destroy it. So
they follow in every rename of ours, each only if it is still the file that was there before.
"""

from __future__ import annotations

import contextlib
import os
import stat as stat_module
from dataclasses import dataclass

from meerkat.core.files import Signature

from .moving import move_new
from .reading import start_of
from .signature import signature_of
from .sqlite_files import SUFFIXES, database_of, is_companion_content, is_database

__all__ = ["Part", "is_database_at", "is_part", "move_parts", "parts_at", "parts_in_use"]


@dataclass(frozen=True, slots=True)
class Part:
    """A file beside a database, whose name continues the database's with ``suffix``."""

    suffix: str
    signature: Signature


def parts_at(directory: int, name: str) -> list[Part]:
    """The files that go with a database of this name, whether that stands there or not."""
    parts = []
    for suffix in SUFFIXES:
        with contextlib.suppress(OSError):
            stat = os.stat(name + suffix, dir_fd=directory, follow_symlinks=False)
            if stat_module.S_ISREG(stat.st_mode):
                parts.append(Part(suffix, signature_of(stat)))
    return parts


def move_parts(
    parts: list[Part], directory: int, name: str, new_directory: int, new_name: str
) -> list[Part]:
    """Rename parts after their database, which has gone ahead.

    Returns:
        Those that went, as they are now. One that another program has made since stays.
    """
    moved = []
    for part in parts:
        old, new = name + part.suffix, new_name + part.suffix
        with contextlib.suppress(OSError):
            move_new(directory, old, new_directory, new)
            stat = os.stat(new, dir_fd=new_directory, follow_symlinks=False)
            if stat.st_ino == part.signature.inode:
                moved.append(Part(part.suffix, signature_of(stat)))
            else:
                move_new(new_directory, new, directory, old)
    return moved


def parts_in_use(directory: int, name: str) -> list[Part]:
    """Parts without which the database is not whole; not what an ended transaction leaves."""
    return [
        part
        for part in parts_at(directory, name)
        if is_companion_content(part.suffix, start_of(directory, name + part.suffix))
    ]


def is_database_at(directory: int, name: str) -> bool:
    """Whether a database stands there, by its first bytes."""
    return is_database(start_of(directory, name))


def is_part(directory: int, name: str) -> bool:
    """Whether a file belongs to a database that stands in the same folder."""
    owner = database_of(name)
    return owner is not None and is_database_at(directory, owner)
