"""`meerkat share`: start (or resume) a pool from a folder, and invite."""

from __future__ import annotations

from pathlib import Path

import click

from .options import folder_argument, invitation_options, node_options, serving_options

__all__ = ["command"]


@click.command("share")
@folder_argument
@serving_options
@invitation_options
def command(
    folder: Path,
    name: str | None,
    listen: str | None,
    port: int | None,
    no_listen: bool,
    advertise: tuple[str, ...],
    discover: bool | None,
    as_json: bool,
    quiet: bool,
    uses: int,
    expires: float,
) -> None:
    """Share DIR (default: here) and print an invitation.

    Runs until Ctrl-C. Everyone who joins with the invitation has the same files, live. Whoever
    reads the invitation can come in, so give it only to those you mean.
    """
    from meerkat.node.share import share

    from .serving import Home, Serving, StateFolder, known_as, serve

    async def open_home(state: StateFolder) -> Home:  # noqa: RUF029 - as for join
        return known_as(share(state, name=name), name)

    options = node_options(listen, port, no_listen, advertise, discover)
    serve(folder, open_home, Serving(options, as_json, quiet, uses=uses, expires=expires))
