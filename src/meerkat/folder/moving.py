"""Renaming without replacing, also where the file system cannot do that in one step."""

from __future__ import annotations

import errno
import os

from . import syscalls

__all__ = ["LACKING", "move_new"]

LACKING = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)
"""What a system says that does not know such a call."""


def move_new(old_dir: int, old: str, new_dir: int, new: str) -> None:
    """Rename without replacing.

    Raises:
        FileExistsError: the new name is taken.
    """
    if syscalls.supports("renameat2"):
        try:
            syscalls.rename_new(old_dir, old, new_dir, new)
            return
        except OSError as error:
            if error.errno not in LACKING:
                raise
    try:
        os.link(old, new, src_dir_fd=old_dir, dst_dir_fd=new_dir, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*LACKING, errno.ENOTSUP):
            raise
    else:
        os.unlink(old, dir_fd=old_dir)
        return
    try:
        os.stat(new, dir_fd=new_dir, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=old_dir, dst_dir_fd=new_dir)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
