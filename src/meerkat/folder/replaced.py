"""Files we took the place of, kept until nobody can still be writing to them (F4).

A program that had the file open writes into the displaced inode, and would lose its work. So each
is kept for a grace time and looked at again; what changed is handed back as a local save.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from meerkat.core.files import Kind, Observed, Signature
from meerkat.core.ids import ContentHash

from .config import FolderConfig
from .moving import move_new
from .parts import Part, move_parts, parts_at
from .paths import Root, split
from .reading import Found, Reading, Unread, read_entry
from .signature import same_file
from .sqlite_files import database_of

__all__ = ["Replaced"]


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    path: str
    signature: Signature
    digest: ContentHash
    check_at: float
    database: bool
    parts: list[Part]


class Replaced:
    """The ``replaced`` folder. For the first thread only."""

    def __init__(
        self, folder: Path, config: FolderConfig, on_saved: Callable[[str, str, Reading], None]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._config = config
        self._on_saved = on_saved
        self._kept: list[_Kept] = []
        self._start = 0

    def close(self) -> None:
        """Forget; what is kept stays on the disk for ``left_behind`` of the next start."""
        os.close(self.descriptor)

    @staticmethod
    def new_name(signature: Signature) -> str:
        """A name that tells, even after a crash, whether somebody wrote to the file since."""
        return f"{secrets.token_hex(8)}-{signature.size_bytes}-{signature.mtime_ns}"

    def put_beside(self, root: Root, path: str, name: str) -> None:
        """What was saved into a replaced file ``name`` stands beside ``path`` from now on."""
        parent, base = split(path)
        stem, dot, suffix = base.rpartition(".")
        beside = f"{stem or base} (saved meanwhile {name[:4]}){dot}{suffix if stem else ''}"
        with contextlib.suppress(OSError):
            directory = root.open_folder(parent)
            try:
                parts = parts_at(self.descriptor, name)
                move_new(self.descriptor, name, directory, beside)
                move_parts(parts, self.descriptor, name, directory, beside)
            finally:
                os.close(directory)

    def keep(self, name: str, path: str, observed: Observed, parts: Iterable[Part] = ()) -> None:
        """Watch over a file that was renamed to ``name`` in this folder from ``path``.

        Of a database the ``parts`` came with it; ``observed`` has its real size and times.
        """
        check_at = time.monotonic() + self._config.replaced_grace
        beside = list(parts)
        database = observed.kind is Kind.DATABASE or bool(beside)
        signature, digest = observed.signature, observed.digest
        self._kept.append(_Kept(name, path, signature, digest, check_at, database, beside))

    def next_due(self) -> float | None:
        """When to call ``purge``."""
        return self._kept[self._start].check_at if self._start < len(self._kept) else None

    def purge(self, now: float) -> None:
        """Remove what is past its grace; report what was written to."""
        while (due := self.next_due()) is not None and due <= now:
            kept = self._kept[self._start]
            self._start += 1
            self._check(kept)
        if self._start > 1000 or self._start == len(self._kept):
            del self._kept[: self._start]
            self._start = 0

    def _check(self, kept: _Kept) -> None:
        with contextlib.suppress(FileNotFoundError):
            stat = os.stat(kept.name, dir_fd=self.descriptor, follow_symlinks=False)
            if kept.database:
                if self._written_to(kept, stat):
                    self._on_saved(kept.path, kept.name, Unread.LARGE)  # nobody reads it here
                    return
            elif not same_file(stat, kept.signature):
                if time.time_ns() - stat.st_mtime_ns < self._config.replaced_grace * 1e9:
                    self._again(kept)  # still being written
                    return
                reading = read_entry(
                    self.descriptor, kept.name, kept.path, self._config.large_bytes
                )
                if reading is Unread.CHANGED:
                    self._again(kept)
                    return
                if not isinstance(reading, Found) or reading.observed.digest != kept.digest:
                    self._on_saved(kept.path, kept.name, reading)
            for part in kept.parts:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(kept.name + part.suffix, dir_fd=self.descriptor)
            os.unlink(kept.name, dir_fd=self.descriptor)

    def _written_to(self, kept: _Kept, stat: os.stat_result) -> bool:
        """Whether a program that had the database open went on writing."""
        now = {part.suffix: part.signature for part in parts_at(self.descriptor, kept.name)}
        before = {part.suffix: part.signature for part in kept.parts}
        return not same_file(stat, kept.signature) or now != before

    def _again(self, kept: _Kept) -> None:
        check_at = time.monotonic() + self._config.replaced_grace
        self._kept.append(replace(kept, check_at=check_at))

    def left_behind(self) -> list[str]:
        """After a crash: remove what nobody wrote to since; name the others."""
        names = os.listdir(self.descriptor)
        parts = {name for name in names if database_of(name) in names}
        written = []
        for name in names:
            if name in parts:
                continue
            stat = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            beside = parts_at(self.descriptor, name)
            same = name.endswith(f"-{stat.st_size}-{stat.st_mtime_ns}")
            if same and not any(_written_since(part) for part in beside):
                for part in beside:
                    os.unlink(name + part.suffix, dir_fd=self.descriptor)
                os.unlink(name, dir_fd=self.descriptor)
            else:
                written.append(name)
        return written


def _written_since(part: Part) -> bool:
    """Whether a part was written to after it was renamed, which sets the later of its times."""
    return part.signature.mtime_ns >= part.signature.ctime_ns
