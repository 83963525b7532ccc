"""`meerkat echo`: how far away a member is on the way that messages really take."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from meerkat.control import schema

from .options import json_option, where_option
from .printing import count as counted
from .visible import visible

__all__ = ["command"]

MS = 1000


@click.command("echo")
@click.argument("peer")
@where_option
@click.option(
    "--size",
    type=click.IntRange(0, schema.MAX_ECHO_BYTES),
    default=32,
    show_default=True,
    help="Bytes there and back.",
)
@click.option(
    "--count",
    "-c",
    "-n",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="So many times.",
)
@json_option
def command(peer: str, folder: Path, size: int, count: int, as_json: bool) -> None:
    """Send bytes to PEER and back through the network, and show the way they took.

    PEER is a name or the beginning of an id. Exit code 1 if nothing came back.
    """
    from .echoes import measure

    request = schema.Echo(peer=peer, size=size)
    sys.exit(measure(folder, request, count=count, as_json=as_json, line=_line))


def _line(request: schema.Echo, number: int, answer: Mapping[str, Any]) -> str:
    there, back = (
        counted(int(answer.get("hops", 0)), "hop"),
        counted(int(answer.get("back", 0)), "hop"),
    )
    via = visible(str(answer.get("via", "")))
    first = f", first over {via}" if via else ""
    took = float(answer["seconds"]) * MS
    return (
        f"{request.size} bytes from {visible(request.peer)}: number={number} time={took:.2f} ms, "
        f"{there} there, {back} back{first}"
    )
