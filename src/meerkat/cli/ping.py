"""`meerkat ping`: how long a message takes to a member and back, over a link of our own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from meerkat.control import schema

from .options import json_option, where_option
from .visible import visible

__all__ = ["command"]

MS = 1000


@click.command("ping")
@click.argument("peer")
@where_option
@click.option(
    "--count", "-c", "-n", type=click.IntRange(1), help="So many times (default: until Ctrl-C)."
)
@json_option
def command(peer: str, folder: Path, count: int | None, as_json: bool) -> None:
    """Ask PEER (a name, or the beginning of an id) for an answer, again and again.

    It goes over a link of our own where there is one, else through others, and then says so.
    `meerkat echo` shows the way. Exit code 1 if nothing came back.
    """
    from .echoes import measure

    request = schema.Echo(peer=peer, near=True)
    code = measure(folder, request, count=count or 0, as_json=as_json, line=_line)
    sys.exit(code)


def _line(request: schema.Echo, number: int, answer: Mapping[str, Any]) -> str:
    took = float(answer["seconds"]) * MS
    far = "" if answer.get("near", True) else " (not over a link of our own)"
    name = visible(request.peer)
    return f"{request.size} bytes from {name}: number={number} time={took:.2f} ms{far}"
