"""Every number the folder runs by. Seconds are floats; sizes are in bytes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FolderConfig"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FolderConfig:
    """How long to wait, how much at once.

    The settle times are guesses between two measured ends: an event reaches us in 0.2 ms, and
    editors finish a save (temp file, backup, rename) in under 20 ms.
    """

    settle_new: float = 0.03  # a new path: temp files of atomic saves must not become files
    settle_quiet: float = 0.05  # after a write without a close; also a file just truncated
    settle_longest: float = 0.5  # a file written to without pause is read this often
    settle_database: float = 1.0  # a live database just emptied: another is copied over it; guess
    settle_gone: float = 0.08  # between the two looks that prove a deletion
    retry_longest: float = (
        2.0  # a file that changes while it is read is tried again, later and later
    )

    large_bytes: int = 4 * MIB  # what no text exceeds is hashed on the second thread
    batch_entries: int = 500  # the most observations in one batch
    batch_bytes: int = 8 * MIB  # the most text in one batch
    batch_age: float = 0.05  # a scan hands over what it has at least this often

    rescan_shortest: float = 10.0  # F1: a lost event is found within this, or ...
    rescan_factor: float = 200.0  # ... this many times a scan's duration: 0.5 % of one core
    rehash_every: float = 3600.0  # F3: a change that keeps size and times is found by content
    coarse_clock: float = 2.0  # exFAT and old servers count whole seconds, FAT two
    fine_clock: float = 0.02  # kernels before 6.13 stamp by the tick: 1-10 ms
    root_retry: float = 0.5  # how often to look for a folder that went away

    group_jobs: int = 256  # jobs that share one flush to the disk
    group_bytes: int = 32 * MIB
    sync_each_limit: int = 4  # up to here fsync each file, beyond flush the file system once
    replaced_grace: float = (
        2.0  # a replaced file is kept this long: a program may still write to it
    )
    read_bytes: int = 1 * MIB  # per read of a large file
    watch: bool = True  # off: changes are found by scans alone
