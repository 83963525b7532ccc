"""`meerkat invite`: another invitation to the pool of a running folder."""

from __future__ import annotations

from pathlib import Path

import click

from meerkat.control import schema

from .asking import asking
from .options import folder_argument, invitation_options, json_option
from .printing import print_json

__all__ = ["command"]


@click.command("invite")
@folder_argument
@invitation_options
@json_option
def command(folder: Path, uses: int, expires: float, as_json: bool) -> None:
    """Print an invitation to the pool of DIR (default: here), which must be running."""
    with asking(folder) as client:
        answer = client.ask(schema.Invite(uses=uses, lifetime=expires))
    if as_json:
        print_json({"event": "invited", **answer})
    else:
        click.echo(answer["invitation"])
