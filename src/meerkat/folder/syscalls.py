"""The few Linux calls that Python does not offer, and whether this system has them.

Everything here has a fallback elsewhere: ``AVAILABLE`` names what can be used.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

__all__ = ["exchange", "open_beneath", "rename_new", "supports", "sync_filesystem"]

AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
SYS_OPENAT2 = 437  # the same on every architecture: it is newer than their split tables
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

_missing: set[str] = set()
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


def supports(name: str) -> bool:
    """Whether ``openat2``, ``renameat2`` or ``syncfs`` can be called here, as far as is known."""
    return _libc is not None and name not in _missing


def _check(name: str, result: int, path: bytes) -> int:
    if result >= 0:
        return result
    number = ctypes.get_errno()
    if number == errno.ENOSYS:
        _missing.add(name)
    raise OSError(number, os.strerror(number), os.fsdecode(path))


def open_beneath(directory: int, path: bytes, flags: int, mode: int = 0) -> int:
    """``openat2`` that never leaves ``directory`` and never passes a symbolic link.

    Raises:
        OSError: ELOOP for a link, EXDEV for a way out, ENOSYS where the call is missing.
    """
    assert _libc is not None
    if not flags & (os.O_CREAT | getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY):
        mode = 0
    how = _OpenHow(
        flags | os.O_CLOEXEC, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    )
    while True:
        descriptor = _libc.syscall(
            SYS_OPENAT2, directory, path, ctypes.byref(how), ctypes.sizeof(how)
        )
        if descriptor < 0 and ctypes.get_errno() in (errno.EAGAIN, errno.EINTR):
            continue  # a rename raced with the walk: the kernel asks to try again
        return _check("openat2", descriptor, path)


def _renameat2(old_dir: int, old: str, new_dir: int, new: str, flags: int) -> None:
    assert _libc is not None
    source, target = os.fsencode(old), os.fsencode(new)
    _check("renameat2", _libc.renameat2(old_dir, source, new_dir, target, flags), target)


def rename_new(old_dir: int, old: str, new_dir: int, new: str) -> None:
    """Rename; FileExistsError if the new name is taken."""
    _renameat2(old_dir, old, new_dir, new, RENAME_NOREPLACE)


def exchange(old_dir: int, old: str, new_dir: int, new: str) -> None:
    """Swap two names in one step."""
    _renameat2(old_dir, old, new_dir, new, RENAME_EXCHANGE)


def sync_filesystem(descriptor: int) -> None:
    """Flush the whole file system that holds ``descriptor``; errors are reported as by fsync."""
    assert _libc is not None
    _check("syncfs", _libc.syncfs(descriptor), b"")


if _libc is not None:
    for _name in ("renameat2", "syncfs"):  # musl before 1.2 has no renameat2
        if not hasattr(_libc, _name):
            _missing.add(_name)
    try:
        os.close(open_beneath(AT_FDCWD, b".", os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        _missing.add("openat2")  # old kernel, or a sandbox that answers EPERM
