"""The small files of ``.meerkat/``: written whole and durably, read with one kind of error.

A reader sees the old content or the new one, also after a power cut.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from meerkat.errors import FolderError, StoreError, StoreFull

__all__ = ["read_json", "remove", "sync_folder", "write_durably", "write_json"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
LIMIT_BYTES = 1 << 20  # nothing of ours comes near; a larger file is not ours


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path``: temporary file, fsync, rename, fsync of the folder.

    Raises:
        StoreFull: if the disk is full; the old content is still there.
        FolderError: if it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.new")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()  # left by a crash, perhaps with another mode
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise failure(error, path) from error


def write_json(path: Path, value: dict[str, Any], *, mode: int = 0o600) -> None:
    """``write_durably`` of a JSON object."""
    content = json.dumps(value, indent=1, sort_keys=True) + "\n"
    write_durably(path, content.encode("utf-8"), mode=mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in ``path``; None if there is no such file.

    Raises:
        StoreError: if it is not a JSON object.
        FolderError: if it cannot be read.
    """
    content = read(path)
    if content is None:
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StoreError(f"{path} is damaged. Put it back from a backup, or join the pool anew.")
    return value


def read(path: Path) -> bytes | None:
    """The content of ``path``; None if there is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(error, path) from error
    if len(content) > LIMIT_BYTES:
        raise StoreError(f"{path} is too large to be meerkat's. Move it elsewhere.")
    return content


def remove(path: Path) -> None:
    """Remove a file if it is there, durably."""
    try:
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise failure(error, path) from error


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network and FUSE file systems cannot, and say so
            raise
    finally:
        os.close(handle)


def failure(error: OSError, path: Path) -> FolderError | StoreFull:
    """What an operating system's error on ``path`` means for a person."""
    if error.errno in _FULL:
        return StoreFull(f"The disk that holds {path} is full. Free some space and try again.")
    return FolderError(
        f"{path} cannot be used ({error.strerror}). "
        "Check that the folder is there and that you may read and write it."
    )
