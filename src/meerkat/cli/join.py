"""`meerkat join`: enter a pool through any member."""

from __future__ import annotations

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

    from .serving import Home, Serving, StateFolder, serve

    text = sys.stdin.readline() if invitation == "-" else invitation
    decoded = decode_invitation(text)
    place = folder or default_folder(decoded, Path())
    options = node_options(listen, port, no_listen, advertise)
    made = _make(place)

    async def open_home(state: StateFolder) -> Home:
        try:
            return await join(state, decoded, name=name)
        except BaseException:
            if not state.is_pool():
                _unmake(place, made)
            raise

    serve(place, open_home, Serving(options, as_json, quiet))


def _make(folder: Path) -> bool:
    """Make the folder if it is not there; whether we did."""
    try:
        folder.mkdir(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be made ({error.strerror}). Choose another folder."
        ) from error
    return True


def _unmake(folder: Path, made: bool) -> None:
    """Leave nothing behind of a join that failed."""
    shutil.rmtree(folder / ".meerkat", ignore_errors=True)
    if made:
        with suppress(OSError):
            folder.rmdir()
