"""Asking the process that serves a folder."""

from __future__ import annotations

import time
from pathlib import Path

from meerkat.control.client import ControlClient
from meerkat.errors import MeerkatError, NotRunning
from meerkat.node.home import StateFolder

__all__ = ["asking", "pool_around", "require_pool", "wait_ended"]

LOOK = 0.01  # seconds between looks at a lock that is about to be given back


def require_pool(folder: Path) -> StateFolder:
    """The state folder of a folder that is shared.

    Raises:
        NotAPool: saying how to share it.
        FolderError: if there is no such folder.
    """
    state = StateFolder(folder)
    state.require()
    return state


def pool_around(file: Path | None, folder: Path | None = None) -> StateFolder:
    """The state folder of ``folder``; without one, of the shared folder that ``file`` lies in.

    Raises:
        NotAPool: if there is none.
    """
    if folder is None:
        begin = (file.absolute().parent if file is not None else Path.cwd()).resolve()
        around = (one for one in (begin, *begin.parents) if StateFolder(one).is_pool())
        folder = next(around, Path())
    return require_pool(folder)


def asking(folder: Path) -> ControlClient:
    """A connection to the folder's process.

    Raises:
        NotRunning: if there is none.
    """
    state = require_pool(folder)
    try:
        return ControlClient(state.control_socket())
    except NotRunning as error:
        pid = state.running_pid()
        if pid is not None:
            raise NotRunning(
                f"Process {pid} serves {folder} but does not answer; it may be starting. Try again."
            ) from error
        raise NotRunning(
            f"No meerkat process serves {folder}. Start it with `meerkat up`."
        ) from error


def wait_ended(folder: Path, within: float) -> None:
    """Return when the folder's process has given back its lock.

    Raises:
        MeerkatError: if it does not.
    """
    state = StateFolder(folder)
    deadline = time.monotonic() + within
    while (pid := state.running_pid()) is not None:
        if time.monotonic() > deadline:
            raise MeerkatError(f"Process {pid} does not end. End it with `kill {pid}`.")
        time.sleep(LOOK)
