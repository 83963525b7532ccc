"""Making a pool of a folder, and entering one, from a program."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

from meerkat.errors import FolderError
from meerkat.node.home import locked
from meerkat.node.join import decode_invitation, default_folder
from meerkat.node.join import join as enter
from meerkat.node.options import NodeOptions
from meerkat.node.share import share as found

from .pool import DEFAULT_OPTIONS, Pool

__all__ = ["join", "share"]


async def share(
    folder: str | Path, *, name: str | None = None, options: NodeOptions = DEFAULT_OPTIONS
) -> Pool:
    """Make a pool of ``folder`` with ourselves in it, as ``name``; open it with ``async with``.

    A folder that has a pool already keeps it.

    Raises:
        AlreadyRunning: if a process serves it.
        FolderError: if it cannot be used.
    """
    place = Path(folder)
    with locked(place) as state:
        home = await asyncio.to_thread(found, state, name=name)
        home.close()
    return Pool(place, options=options)


async def join(
    invitation: str,
    folder: str | Path | None = None,
    *,
    name: str | None = None,
    options: NodeOptions = DEFAULT_OPTIONS,
) -> Pool:
    """Enter a pool with ``folder``, by default one with the pool's name; ``async with`` the result.

    The folder is made if it is missing. It may hold files already.

    Raises:
        InvitationError: if the invitation cannot be used, or the door does not open.
        AlreadyRunning: if a process serves the folder.
        FolderError: if it cannot be used, or belongs to another pool.
    """
    decoded = decode_invitation(invitation)
    place = Path(folder) if folder is not None else default_folder(decoded, Path())
    made = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"{place} cannot be made ({error.strerror}). Choose another folder."
        ) from error
    try:
        with locked(place) as state:
            try:
                home = await enter(state, decoded, name=name)
            except BaseException:
                if not state.is_pool():
                    shutil.rmtree(state.path, ignore_errors=True)
                raise
            home.close()
    except BaseException:
        if made:
            with suppress(OSError):  # something is in it
                place.rmdir()
        raise
    return Pool(place, options=options)
