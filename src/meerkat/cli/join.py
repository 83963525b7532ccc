"""`meerkat join`: enter a pool through any member."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import click

from meerkat.errors import FolderError

from .options import node_options, serving_options

__all__ = ["command"]


@click.command("join")
@click.argument("invitation", envvar="MEERKAT_INVITATION")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@serving_options
def command(
    invitation: str,
    folder: Path | None,
    name: str | None,
    listen: str | None,
    port: int | None,
    no_listen: bool,
    advertise: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Enter the pool of INVITATION with DIR (default: the pool's name, here).

    DIR may hold files already: same content is one file, different content keeps both. Others on
    this machine can see a command's arguments while it runs; to hide the invitation, give `-` and
    write it to standard input, or set MEERKAT_INVITATION.
    """
    from meerkat.node.join import decode_invitation, default_folder, join

    from .serving import Home, Serving, StateFolder, known_as, serve

    text = sys.stdin.readline() if invitation == "-" else invitation
    decoded = decode_invitation(text)
    place = folder or default_folder(decoded, Path())
    options = node_options(listen, port, no_listen, advertise)
    made = _make(place)

    async def open_home(state: StateFolder) -> Home:
        try:
            return known_as(await join(state, decoded, name=name), name)
        except BaseException:
            if not state.is_pool():
                shutil.rmtree(place / ".meerkat", ignore_errors=True)
            raise

    try:
        serve(place, open_home, Serving(options, as_json, quiet))
    finally:
        _remove_empty(made)  # nothing is left behind of a join that failed


def _make(folder: Path) -> list[Path]:
    """Make the folder and those above it; those that were not there, the innermost first."""
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        return []  # a file: whoever opens it says so
    except OSError as error:
        _remove_empty(missing)
        raise FolderError(
            f"{folder} cannot be made ({error.strerror}). Choose another folder."
        ) from error
    return missing


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):  # something is in it, or it was never made
        for one in folders:
            one.rmdir()
