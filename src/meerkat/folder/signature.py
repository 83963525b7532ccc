"""What ``lstat`` tells about a file, and how far it can be believed."""

from __future__ import annotations

import os
import stat as stat_module
import time

from meerkat.core.files import Kind, Observed, Signature

from .config import FolderConfig

__all__ = [
    "is_executable",
    "is_fresh",
    "kind_of",
    "same_content",
    "same_database",
    "same_file",
    "signature_of",
    "tick_seconds",
    "unchanged",
]


def signature_of(stat: os.stat_result) -> Signature:
    """The signature within a stat result."""
    return Signature(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)


def unchanged(stat: os.stat_result, signature: Signature) -> bool:
    """Whether the file is surely the one with this signature."""
    return (
        stat.st_mtime_ns == signature.mtime_ns
        and stat.st_size == signature.size_bytes
        and stat.st_ctime_ns == signature.ctime_ns
        and stat.st_ino == signature.inode
        and stat.st_dev == signature.device
    )


def same_file(stat: os.stat_result, signature: Signature) -> bool:
    """As ``unchanged``, after a rename, which touches the ctime on most file systems."""
    return (
        stat.st_mtime_ns == signature.mtime_ns
        and stat.st_size == signature.size_bytes
        and stat.st_ino == signature.inode
        and stat.st_dev == signature.device
    )


def same_database(stat: os.stat_result, database: Observed) -> bool:
    """Whether this is the very file that is known as a database, whatever is in it by now."""
    return (
        stat_module.S_ISREG(stat.st_mode)
        and stat.st_ino == database.signature.inode
        and stat.st_dev == database.signature.device
    )


def kind_of(stat: os.stat_result) -> Kind | None:
    """The kind, or None for what is never synced."""
    mode = stat.st_mode
    if stat_module.S_ISREG(mode):
        return Kind.FILE
    if stat_module.S_ISDIR(mode):
        return Kind.FOLDER
    if stat_module.S_ISLNK(mode):
        return Kind.SYMLINK
    return None


def is_executable(stat: os.stat_result) -> bool:
    """The one mode bit that is synced."""
    return bool(stat.st_mode & stat_module.S_IXUSR) and stat_module.S_ISREG(stat.st_mode)


def same_content(first: Observed, second: Observed) -> bool:
    """Whether only the signatures may differ; of databases, not even these: none is read."""
    return (
        first.digest == second.digest
        and first.kind is second.kind
        and first.executable == second.executable
        and (first.kind is not Kind.DATABASE or first.signature == second.signature)
    )


def tick_seconds(signature: Signature, config: FolderConfig) -> float:
    """How far apart two writes must be to be sure of different times."""
    coarse = signature.mtime_ns % 1_000_000 == 0  # a clock of milliseconds or worse
    return config.coarse_clock if coarse else config.fine_clock


def is_fresh(signature: Signature, config: FolderConfig) -> bool:
    """Whether it was written so lately that another write could have left the same times."""
    newest = max(signature.mtime_ns, signature.ctime_ns)
    return time.time_ns() - newest < tick_seconds(signature, config) * 1e9
