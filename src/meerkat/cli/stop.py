"""`meerkat stop`: let the folder's process leave in good order."""

from __future__ import annotations

from pathlib import Path

import click

from meerkat.control import schema

from .asking import asking, wait_ended
from .options import folder_argument, json_option
from .printing import print_json

__all__ = ["command"]

WITHIN = 30.0  # seconds for a graceful leave; it takes well below one


@click.command("stop")
@folder_argument
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Stop the process that serves DIR (default: here)."""
    with asking(folder) as client:
        pid = client.ask(schema.Stop()).get("pid")
        client.wait_closed(WITHIN)
    wait_ended(folder, WITHIN)
    if as_json:
        print_json({"event": "stopped", "pid": pid})
    else:
        click.echo("Stopped.")
