"""`meerkat map`: the network as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from meerkat.control import schema

from .asking import asking
from .options import folder_argument, json_option
from .printing import print_json

__all__ = ["command"]


@click.command("map")
@folder_argument
@click.option(
    "--dot", "as_dot", is_flag=True, help="For Graphviz: `meerkat map --dot | neato -Tsvg`."
)
@json_option
def command(folder: Path, as_dot: bool, as_json: bool) -> None:
    """Draw who is linked to whom in the pool of DIR (default: here), which must be running.

    Every peer tells all others of its links, at a slow beat: the picture is a few seconds old. A
    link that only one side tells of is dashed, or marked `?`.
    """
    with asking(folder) as client:
        network = client.ask(schema.Network())
    if as_json:
        print_json({"event": "map", **network})
    elif as_dot:
        from .network_graph import dot, graph_of

        click.echo(dot(graph_of(network)))
    else:
        from .network_map import picture
        from .terminal import console

        out = console()
        out.print(picture(network, out.width))
