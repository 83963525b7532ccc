"""`meerkat peers`: who is here, how we are linked, who is away."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from meerkat.control import schema

from .asking import asking
from .options import folder_argument, json_option
from .printing import print_json

__all__ = ["command"]


@click.command("peers")
@folder_argument
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Show everybody in the pool of DIR (default: here), which must be running.

    A link is `own` if this peer chose it, `walk` if a request to join ended there, `inbound` if
    the other side chose it, `client` if the other side can only dial out, `guest` while a
    newcomer has no links of its own. The arrow shows who dialed.
    """
    from .peers_table import rows, table

    with asking(folder) as client:
        status = client.ask(schema.GetStatus())
        found = rows(status, client.ask(schema.Network()))
    if as_json:
        for row in found:
            print_json({"event": "peer", **asdict(row)})
    elif not found:
        click.echo("Nobody else is in this pool yet. `meerkat invite` prints an invitation.")
    else:
        from .terminal import console

        console().print(table(found))
