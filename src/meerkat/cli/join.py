"""`meerkat join`: enter a pool through any member."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import click

from meerkat.errors import FolderError, InvitationError
from meerkat.node.options import NodeOptions

from .options import node_options, serving_options
from .printing import count, print_json

__all__ = ["command"]


@click.command("join")
@click.argument("invitation", envvar="MEERKAT_INVITATION", required=False)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@serving_options
def command(
    invitation: str | None,
    folder: Path | None,
    name: str | None,
    listen: str | None,
    port: int | None,
    no_listen: bool,
    advertise: tuple[str, ...],
    discover: bool | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Enter the pool of INVITATION with DIR (default: the pool's name, here).

    Without INVITATION: show which pools on the local network expect somebody, and end.

    DIR may hold files already: same content is one file, different content keeps both. Others on
    this machine can see a command's arguments while it runs; to hide the invitation, give `-` and
    write it to standard input, or set MEERKAT_INVITATION.
    """
    from meerkat.node.join import decode_invitation, default_folder, join

    from .serving import Home, Serving, StateFolder, known_as, serve

    options = node_options(listen, port, no_listen, advertise, discover)
    if invitation is None:
        raise InvitationError(_show_nearby(options, as_json))
    text = sys.stdin.readline() if invitation == "-" else invitation
    decoded = decode_invitation(text)
    place = folder or default_folder(decoded, Path())
    look_on = None if options.discover is False else options.host
    made = _make(place)

    async def open_home(state: StateFolder) -> Home:
        try:
            return known_as(await join(state, decoded, name=name, look_on=look_on), name)
        except BaseException:
            if not state.is_pool():
                shutil.rmtree(place / ".meerkat", ignore_errors=True)
            raise

    try:
        serve(place, open_home, Serving(options, as_json, quiet))
    finally:
        _remove_empty(made)  # nothing is left behind of a join that failed


def _show_nearby(options: NodeOptions, as_json: bool) -> str:
    """Print what is announced on the local network; a sentence on how to get in."""
    from meerkat.node.join import nearby

    found = [] if options.discover is False else asyncio.run(nearby(options.host))
    named = sorted(
        (one.pool_name, one.inviter, one.doors[0], seconds)
        for one, seconds in found
        if one.pool_name and one.doors
    )
    for pool_name, inviter, address, seconds in named:
        if as_json:
            facts = {"pool_name": pool_name, "inviter": inviter, "address": address}
            print_json({"event": "nearby", **facts, "seconds": round(seconds, 1)})
        else:
            click.echo(f"{pool_name}  {inviter} invites, at {address} (seen for {seconds:.1f} s)")
    with_name = {one.pool_tag for one, _ in found if one.pool_name}
    silent = len({one.pool_tag for one, _ in found} - with_name)
    if silent and not as_json:
        click.echo(f"{count(silent, 'pool')} nearby without a name: nobody is expected there.")
    who = f"ask {named[0][1]}" if len({name for _, name, _, _ in named}) == 1 else "ask a member"
    begin = "" if found else "No pool is to be seen nearby. "
    return (
        f"{begin}To enter a pool you need an invitation: {who} to run `meerkat invite` there, "
        "then say `meerkat join INVITATION`."
    )


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
