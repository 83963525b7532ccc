"""Where the control socket is: in ``.meerkat/``, or at a short path if that one is too long."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from meerkat.errors import FolderError

from .small_files import failure, read, remove, write_durably

__all__ = ["control_socket", "prepare_control_socket", "remove_control_socket"]

# sockaddr_un.sun_path with its closing NUL: 108 bytes on Linux, 104 on macOS and the BSDs.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
SOCKET_NAME = "control.sock"
RECORD_NAME = "control.path"


def control_socket(state: Path) -> Path:
    """Where to connect to. Makes nothing.

    Raises:
        FolderError: if the recorded place is not safely ours.
    """
    own = state / SOCKET_NAME
    if _fits(own):
        return own
    recorded = _recorded(state)
    if recorded is None:
        return own  # nothing listens; connecting says so
    if not _is_private(recorded.parent):
        raise FolderError(
            f"{recorded.parent} is not yours alone, so it is not used. "
            f"Stop meerkat for this folder, remove {state / RECORD_NAME} and start it again."
        )
    return recorded


def prepare_control_socket(state: Path) -> Path:
    """Where to listen: a free path short enough, in a folder nobody else can enter.

    Call it with the folder's lock held: what a dead process left there is removed.

    Raises:
        FolderError: if there is no such place.
    """
    path = state / SOCKET_NAME
    try:
        if not _fits(path):
            path = _short_path(state)
        with suppress(FileNotFoundError):
            path.unlink()
    except OSError as error:
        raise failure(error, path) from error
    return path


def remove_control_socket(state: Path) -> None:
    """Tidy up after the last one stopped listening."""
    recorded = _recorded(state)
    for path in [state / SOCKET_NAME, *([recorded] if recorded else [])]:
        with suppress(OSError):
            path.unlink()
    if recorded and _is_private(recorded.parent):
        with suppress(OSError):
            recorded.parent.rmdir()
    remove(state / RECORD_NAME)


def _short_path(state: Path) -> Path:
    recorded = _recorded(state)
    if recorded is not None and _fits(recorded) and _is_private(recorded.parent):
        return recorded
    # A name nobody can guess, in a folder of mode 0700: a fixed one could be taken by others.
    path = Path(tempfile.mkdtemp(prefix="meerkat-")) / SOCKET_NAME
    if not _fits(path):
        path.parent.rmdir()
        raise FolderError(
            f"The path {path} is too long for a socket. Set TMPDIR to a shorter folder."
        )
    write_durably(state / RECORD_NAME, os.fsencode(path))
    return path


def _recorded(state: Path) -> Path | None:
    content = read(state / RECORD_NAME)
    path = Path(os.fsdecode(content)) if content and b"\0" not in content else None
    return path if path and path.is_absolute() and path.name == SOCKET_NAME else None


def _is_private(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    own = status.st_uid == os.getuid()
    return stat.S_ISDIR(status.st_mode) and own and not status.st_mode & 0o077


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES
