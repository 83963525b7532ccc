"""`meerkat rebuild`: a damaged store is made anew from the other members."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from .asking import require_pool
from .log_file import logging_to
from .options import folder_argument, json_option
from .printing import print_json

__all__ = ["command"]


@click.command("rebuild")
@folder_argument
@click.option(
    "--from",
    "invitation",
    metavar="INVITATION",
    envvar="MEERKAT_INVITATION",
    help="Enter again with this invitation, if the store does not know the way any more "
    "(`-`: read it from standard input).",
)
@click.option(
    "--name",
    metavar="NAME",
    help="How others see you, should neither the old store nor the pool know it any more.",
)
@json_option
def command(folder: Path, invitation: str | None, name: str | None, as_json: bool) -> None:
    """Make the store of DIR (default: here) anew from the other members.

    For a store that is damaged. Your files and keys stay; the old store is kept beside the new
    one. Files that only you had are taken up again from the folder.
    """
    from meerkat.node.join import decode_invitation
    from meerkat.node.rebuild import rebuild

    text = sys.stdin.readline() if invitation == "-" else invitation
    decoded = decode_invitation(text) if text else None
    with logging_to(require_pool(folder).log):
        done = asyncio.run(rebuild(folder, decoded, name=name))
    if as_json:
        print_json({"event": "rebuilt", "kept": str(done.kept), "authors": done.addresses})
        return
    if done.kept is not None:
        click.echo(f"The old store is kept as {done.kept}.")
    click.echo("A new one is ready; `meerkat up` gets everything again from the other members.")
