"""Live databases among the folder's files: whose parts are never files of their own.

Decides which files go with a database, which databases are treated as ordinary files, and which
look must read a header once more. A database that was reported is otherwise never opened here:
the rows process has it open, and knows what is in it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Protocol

from meerkat.core.files import Kind, Observed

from .ignore import Ignore
from .known import Known
from .parts import move_parts, parts_at
from .paths import Root, missing, split
from .reading import read_start
from .report import Batch, Problems
from .settle import Settling
from .signature import kind_of, same_database, unchanged
from .sqlite_files import (
    JOURNAL_MAGIC,
    SMALLEST_BYTES,
    SUFFIXES,
    database_of,
    is_companion_content,
    is_database,
)

__all__ = ["Databases"]

PATIENCE = 6  # looks, 3 s in all, before a database beside its parts is taken for ordinary; guess
LONE = (
    "a part of a SQLite database that is not here ({}): not synced. Put the database back beside "
    "it before any program opens it, for it may hold the last changes; or remove it"
)
ORDINARY = (
    "a part of {}, which is synced as an ordinary file: not synced by itself. Close the programs "
    "that use the database, and it goes away"
)
TWIN = (
    "another name (hard link) of the database {}: not synced. Programs that open a database by "
    "two names damage it: remove one of the names, or make a copy"
)


class _Scanner(Protocol):
    root: Root
    known: Known
    ignore: Ignore
    problems: Problems
    settling: Settling
    batch: Batch

    def examine(self, path: str, *, settled: bool = False) -> None: ...


class Databases:
    """The part of the scanner that knows databases. For the first thread, except ``concerned``."""

    def __init__(self, scanner: _Scanner) -> None:
        self._scanner = scanner
        self._known = scanner.known
        self._plain: set[str] = set()
        self._doubted: set[str] = set()
        self._odd: dict[str, int] = {}  # databases of a size that no SQLite leaves, looked into
        self._twins: dict[str, set[str]] = {}  # database -> other names that were refused
        self._noticed: dict[str, tuple[int, int]] = {}  # database or part -> size and time
        self._hidden: set[str] = set()  # databases that a rule ignores
        self.on_touched: Callable[[str], None] = lambda path: None

    # --- which they are ---

    def is_live(self, path: str) -> bool:
        """Whether a live database is known to stand there."""
        known = self._known.get(path)
        return known is not None and known.kind is Kind.DATABASE

    def is_plain(self, path: str) -> bool:
        """Whether a database there is to be treated as an ordinary file."""
        return path in self._plain

    def set_plain(self, path: str, *, plain: bool) -> None:
        """Treat what stands there as an ordinary file, or as what it is."""
        if plain:
            self._plain.add(path)
        else:
            self._plain.discard(path)

    def concerned(self, path: str) -> str | None:
        """The live database that a change at ``path`` may concern. Any thread."""
        if self.is_live(path):
            return path
        owner = database_of(path)
        return owner if owner is not None and self.is_live(owner) else None

    def follow(self, path: str, observed: Observed) -> bool:
        """Whether this database was moved here from where it was treated as an ordinary file."""
        source = self._known.of_signature(observed.signature)
        if source is None or source == path or source not in self._plain or self._stands(source):
            return False
        self._plain.add(path)
        return True

    def twin_of(self, path: str, stat: os.stat_result) -> str | None:
        """A live database of which this is another name."""
        if stat.st_nlink < 2 or kind_of(stat) is not Kind.FILE:
            return None
        other = self._known.of_inode(stat.st_ino, stat.st_dev)
        if other is None or other == path or not self.is_live(other) or not self._stands(other):
            return None
        self._twins.setdefault(other, set()).add(path)
        return TWIN.format(other)

    # --- whether one must be looked into again ---

    def doubt(self, path: str) -> None:
        """It was away, or too short: what stands there next may be something else."""
        if self.is_live(path):
            self._doubted.add(path)

    def same(self, path: str, known: Observed, stat: os.stat_result) -> bool:
        """Whether it is the database that is known, as far as can be told without opening it."""
        size = stat.st_size
        whole = size >= SMALLEST_BYTES and size % SMALLEST_BYTES == 0
        return (
            path not in self._doubted
            and same_database(stat, known)
            and (whole or self._odd.get(path) == size)
        )

    def recognised(self, path: str) -> None:
        """The header was read, and it is a database."""
        self._doubted.discard(path)
        self._odd.pop(path, None)
        with contextlib.suppress(OSError):
            size = self._scanner.root.lstat(path).st_size
            if size % SMALLEST_BYTES:
                self._odd[path] = size

    def notice(self, path: str, stat: os.stat_result) -> None:
        """A scan met a database or a part: if it changed since the last, nobody may have heard."""
        now = (stat.st_size, stat.st_mtime_ns)
        before = self._noticed.get(path, now)
        self._noticed[path] = now
        if before != now and (database := self.concerned(path)) is not None:
            self.on_touched(database)

    def recorded(self, path: str, observed: Observed) -> None:
        """This is known to stand there now."""
        if observed.kind is Kind.DATABASE:
            for part in _names_of_parts(path):
                self._forget_part(part)

    def gone(self, path: str) -> None:
        """The database is not there any more; its parts and other names may be."""
        self._doubted.discard(path)
        self._odd.pop(path, None)
        left = [*_names_of_parts(path), *self._twins.pop(path, ())]
        for other in left:
            self._noticed.pop(other, None)
            self._scanner.settling.appeared(other, time.monotonic())
        self._noticed.pop(path, None)

    # --- what rules ignore ---

    def hide(self, path: str) -> None:
        """A rule ignores this live database from now on: whoever has it open shall let go of it."""
        self._hidden.add(path)
        self._scanner.settling.drop(path)
        self._scanner.batch.hidden(path)
        self.gone(path)

    def take_back(self) -> list[str]:
        """The rules are others: databases that none ignores any more, where nothing stands now.

        What stands at the others is new to the next scan.
        """
        back = [path for path in self._hidden if not self._scanner.ignore.ignores(path)]
        self._hidden.difference_update(back)
        return sorted(path for path in back if self._is_missing(path))

    # --- parts ---

    def bring_parts(self, old: str, new: str) -> None:
        """A program moved the database alone: its log would be lost, and harm what comes there.

        Only if nobody can have begun another log: none lies there, and the database was not
        written to since it was renamed, which sets the later of its times.
        """
        root = self._scanner.root
        (folder, name), (new_folder, new_name) = split(old), split(new)
        with contextlib.suppress(OSError), ExitStack() as stack:
            directory = root.open_folder(folder)
            stack.callback(os.close, directory)
            parts = parts_at(directory, name)
            if not parts:
                return
            new_directory = root.open_folder(new_folder)
            stack.callback(os.close, new_directory)
            stat = os.stat(new_name, dir_fd=new_directory, follow_symlinks=False)
            if stat.st_mtime_ns < stat.st_ctime_ns and not parts_at(new_directory, new_name):
                move_parts(parts, directory, name, new_directory, new_name)

    def is_known_part(self, path: str) -> bool:
        """Whether the path belongs to a database that is known, whatever stands there."""
        owner = database_of(path)
        if owner is None or not self._owns(owner):
            return False
        self._forget_part(path)
        return True

    def is_part(self, path: str, stat: os.stat_result) -> bool:
        """Whether this is a part of a database, or may prove to be one soon."""
        owner = database_of(path)
        if owner is None or kind_of(stat) is not Kind.FILE:
            return False
        if self._owns(owner):
            self._forget_part(path)
            return True
        known = self._known.get(path)
        if known is not None and unchanged(stat, known.signature):
            return False
        return self._is_part_of(owner, path)

    def is_being_made(self, path: str, stat: os.stat_result) -> bool:
        """Whether an empty file is a database whose first transaction is under way."""
        if stat.st_size or kind_of(stat) is not Kind.FILE or not self._may_wait(path):
            return False
        return any(self._stands(path + suffix) for suffix in ("-journal", "-wal"))

    def _owns(self, owner: str) -> bool:
        return self.is_live(owner) or (owner in self._plain and owner in self._known)

    def _is_part_of(self, owner: str, path: str) -> bool:
        scanner = self._scanner
        try:
            stat = scanner.root.lstat(owner)
        except OSError as error:
            return missing(error) and self._refuse(path, LONE.format(owner))
        if kind_of(stat) is not Kind.FILE:
            return self._refuse(path, LONE.format(owner))
        if scanner.ignore.ignores(owner):
            return self._refuse(path, "", even_blank=True)
        if owner in self._known:
            return self._refuse(path, ORDINARY.format(owner))
        if stat.st_size >= SMALLEST_BYTES and owner not in scanner.settling:
            scanner.examine(owner, settled=True)
            if self._owns(owner):
                return True
        if self._may_wait(path):  # the database is being made, copied or moved right now
            scanner.settling.retry(path, time.monotonic())
            return True
        # Programs write to it all the while, or something is wrong with it, which is shown there.
        return self._refuse(path, "", even_blank=is_database(read_start(scanner.root, owner)))

    def _refuse(self, path: str, text: str, *, even_blank: bool = False) -> bool:
        """Keep the part of a database to itself; False if it is no such thing.

        ``even_blank``: one that is empty, or whose beginning is not written yet, is such a thing.
        """
        start = read_start(self._scanner.root, path)
        blank = not start[: len(JOURNAL_MAGIC)].strip(b"\0")
        if not (is_companion_content(path, start) or (even_blank and blank)):
            return False
        self._scanner.settling.drop(path)
        if text:
            self._scanner.problems.add(path, text)
        return True

    def _may_wait(self, path: str) -> bool:
        waiting = self._scanner.settling.get(path)
        return waiting is None or waiting.attempts < PATIENCE

    def _forget_part(self, path: str) -> None:
        self._scanner.settling.drop(path)
        self._scanner.problems.clear(path)
        self._known.forget(path)  # a part is neither a change nor, one day, a deletion

    def _is_missing(self, path: str) -> bool:
        try:
            self._scanner.root.lstat(path)
        except OSError as error:
            return missing(error)
        return False

    def _stands(self, path: str) -> bool:
        try:
            self._scanner.root.lstat(path)
        except OSError:
            return False
        return True


def _names_of_parts(path: str) -> Iterable[str]:
    """The names of the files that may go with a database."""
    return [path + suffix for suffix in SUFFIXES]
