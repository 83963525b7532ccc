"""`meerkat editor`: people's own editors, over the editor protocol of the Teamtype project."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import click

from meerkat.node.home import StateFolder

from .detach import start_up

__all__ = ["command"]

PLUGINS_NAME = "client"  # what the plugins of Teamtype call this command


@click.command("editor", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", metavar="", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Connect a text editor: its plugin runs this and talks to it.

    Speaks JSON-RPC on standard input and output, the editor protocol of the Teamtype project; for
    its plugins this command is also called `client`. The shared folder is found from each file
    that is opened. If no process serves it, one is started.
    """
    if arguments and context.info_name != PLUGINS_NAME:  # theirs may be given more; it is theirs
        raise click.UsageError(f"`meerkat editor` takes no arguments: {' '.join(arguments)}")
    from meerkat.editors.stdio import serve

    level = logging.DEBUG if os.environ.get("MEERKAT_DEBUG") else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="meerkat: %(message)s")
    asyncio.run(serve(sys.stdin.buffer, sys.stdout.buffer, _start))


def _start(folder: Path) -> None:
    state = StateFolder(folder)
    _, said = start_up(state)
    for line in said:
        click.echo(f"meerkat: {line}", err=True)
