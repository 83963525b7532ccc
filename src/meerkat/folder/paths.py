"""Which paths are allowed, and how to reach one without ever leaving the folder.

A path is relative and separated by ``/``. Whatever the core asks, it is checked here again, and
every component is opened without following symbolic links: a link swapped in while we work makes
the call fail instead of leading outside (S1).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import syscalls

__all__ = ["Root", "UnsafePath", "check_path", "is_own_name", "link_stays_inside", "split"]

LONGEST_PATH = 4096  # bytes; Linux PATH_MAX, and generous anywhere
LONGEST_NAME = 255
STATE_NAME = ".meerkat"
OWN_PREFIX = ".meerkat-"  # our temporary files; never synced
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


class UnsafePath(ValueError):
    """A path that must not be touched; the message says why."""


def check_path(path: str) -> None:
    """Refuse whatever could lead outside the folder or into our own state.

    Raises:
        UnsafePath: with the reason in words.
    """
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafePath("the name is not valid UTF-8") from None
    if not path:
        raise UnsafePath("the path is empty")
    if "\0" in path:
        raise UnsafePath("the path contains a NUL")
    if len(encoded) > LONGEST_PATH:
        raise UnsafePath(f"the path is longer than {LONGEST_PATH} bytes")
    for name in path.split("/"):
        if name in ("", ".", ".."):
            raise UnsafePath("the path is absolute or not in its simplest form")
        if len(name) > LONGEST_NAME // 4 and len(name.encode()) > LONGEST_NAME:
            raise UnsafePath(f"a name in the path is longer than {LONGEST_NAME} bytes")
        if is_own_name(name):
            raise UnsafePath(f"{name} is meerkat's own")
        if os.sep != "/" and (os.sep in name or ":" in name):
            raise UnsafePath("the name would be read as a path on this system")


def is_own_name(name: str) -> bool:
    """``.meerkat`` and our temporary files, also as a case-insensitive file system sees them."""
    if not name.startswith("."):
        return False
    lowered = name.casefold()
    return lowered == STATE_NAME or lowered.startswith(OWN_PREFIX)


def split(path: str) -> tuple[str, str]:
    """The folder's path ("" for the top) and the name."""
    parent, _, name = path.rpartition("/")
    return parent, name


def link_stays_inside(path: str, target: str) -> bool:
    """Whether a link at ``path`` points, read as text, to a place inside the folder."""
    if not target or target.startswith("/") or "\0" in target:
        return False
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return False
        elif part not in ("", "."):
            if depth == 0 and is_own_name(part):
                return False
            depth += 1
    return True


class Root:
    """The folder itself, held open; all access goes through descriptors below it.

    Thread-safe, except ``keeping``, which belongs to one thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        stat = os.fstat(self.descriptor)
        self.identity = (stat.st_dev, stat.st_ino)
        self._kept: dict[str, int] | None = None

    def close(self) -> None:
        """Close the folder."""
        os.close(self.descriptor)

    def standing(self) -> bool:
        """Whether the folder is still where it was, on the same mount."""
        try:
            stat = os.stat(self.path)
        except OSError:
            return False
        return (stat.st_dev, stat.st_ino) == self.identity

    def same_inode(self) -> bool:
        """Whether the folder has its inode number again, on whatever device."""
        try:
            return os.stat(self.path).st_ino == self.identity[1]
        except OSError:
            return False

    def lstat_outside(self, name: str) -> os.stat_result:
        """What stands under ``name`` in the folder that is at the path now."""
        return os.lstat(os.path.join(self.path, name))

    def reopen(self) -> None:
        """Hold the folder that stands at the path now (after a mount came back)."""
        fresh = os.open(self.path, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        os.dup2(fresh, self.descriptor, inheritable=False)
        os.close(fresh)
        stat = os.fstat(self.descriptor)
        self.identity = (stat.st_dev, stat.st_ino)

    def open(self, path: str, flags: int) -> int:
        """Open what stands at ``path`` ("" for the top). Never creates.

        Raises:
            OSError: ELOOP or ENOTDIR where a component is a link.
        """
        if not path:
            return os.open(".", flags | os.O_CLOEXEC, dir_fd=self.descriptor)
        flags |= os.O_NOFOLLOW
        encoded = os.fsencode(path)
        if syscalls.supports("openat2") and len(encoded) < LONGEST_PATH:
            return syscalls.open_beneath(self.descriptor, encoded, flags)
        return self._open_step_by_step(path, flags)

    def _open_step_by_step(self, path: str, flags: int) -> int:
        *folders, name = path.split("/")
        directory = os.dup(self.descriptor)
        try:
            for folder in folders:
                below = os.open(folder, FOLDER_FLAGS, dir_fd=directory)
                os.close(directory)
                directory = below
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)

    def open_folder(self, path: str) -> int:
        """Open a directory for listing or as the base of other calls."""
        return self.open(path, FOLDER_FLAGS if path else FOLDER_FLAGS & ~os.O_NOFOLLOW)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Within this block (one thread's), directories stay open for the next use."""
        self._kept = {}
        try:
            yield
        finally:
            for descriptor in self._kept.values():
                os.close(descriptor)
            self._kept = None

    def kept_folder(self, path: str) -> int:
        """A directory's descriptor that stays valid until ``keeping`` ends."""
        assert self._kept is not None
        descriptor = self._kept.get(path)
        if descriptor is None:
            descriptor = self._kept[path] = self.open_folder(path)
        return descriptor

    def forget_kept(self, path: str) -> None:
        """Close the kept descriptors of ``path`` and what is below: the name may move."""
        assert self._kept is not None
        for known in [p for p in self._kept if p == path or p.startswith(path + "/")]:
            os.close(self._kept.pop(known))

    def lstat(self, path: str) -> os.stat_result:
        """What stands at ``path``, links not followed."""
        parent, name = split(path)
        if not parent:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        directory = self.open(parent, FOLDER_FLAGS | getattr(os, "O_PATH", 0))
        try:
            return os.stat(name, dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(directory)

    def make_folders(self, path: str) -> None:
        """Make a directory and its parents, through no link.

        Raises:
            OSError: ENOTDIR or ELOOP if something else stands in the way.
        """
        directory = os.dup(self.descriptor)
        try:
            for name in path.split("/"):
                try:
                    os.mkdir(name, dir_fd=directory)
                    os.fsync(directory)
                except FileExistsError:
                    pass
                below = os.open(name, FOLDER_FLAGS, dir_fd=directory)
                os.close(directory)
                directory = below
        finally:
            os.close(directory)


def missing(error: OSError) -> bool:
    """Whether the error proves that nothing stands at the path (a link in it proves that, too)."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)
