"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from meerkat.node.addresses import check_address, parse_listen
from meerkat.node.options import NodeOptions

__all__ = [
    "DURATION",
    "folder_argument",
    "invitation_options",
    "json_option",
    "node_options",
    "serving_options",
    "where_option",
]

Function = TypeVar("Function", bound=Callable[..., Any])
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
USES = 32  # a small team; anybody may leave it out. guess
MAX_PORT = 65_535


class Duration(click.ParamType[float]):
    """`90s`, `30m`, `24h`, `7d`, `2w`; in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d+)([smhdw])", str(value).strip().lower())
        if found is None or int(found[1]) == 0:
            self.fail(f"{value} is no duration; write 30m, 24h or 7d.", param, ctx)
        return float(int(found[1]) * UNITS[found[2]])


DURATION = Duration()

folder_argument = click.argument(
    "folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path)
)

where_option = click.option(
    "--dir",
    "-C",
    "folder",
    metavar="DIR",
    default=".",
    type=click.Path(path_type=Path),
    help="The folder whose pool is meant (default: here).",
)


def _set_json(ctx: click.Context, _: click.Parameter, wanted: bool) -> bool:
    ctx.obj.json = wanted
    return wanted


json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=_set_json,
    is_eager=True,
    help="One JSON object per line, for programs.",
)


def serving_options(function: Function) -> Function:
    """How to listen and what to show: share, join and up."""
    options = [
        click.option(
            "--name",
            metavar="NAME",
            help="How others see you, from your first share or join on (default: your user "
            "name). Later, `/name` in `meerkat chat` changes it.",
        ),
        click.option(
            "--listen",
            metavar="HOST[:PORT]",
            help="Listen on this address only (default: all of this machine's).",
        ),
        click.option(
            "--port",
            type=click.IntRange(0, MAX_PORT),
            help="Listen on this port (default: that of the run before; 7337 or the next "
            "free one; 0: any).",
        ),
        click.option(
            "--no-listen",
            is_flag=True,
            help="Only dial out; a full member that nobody needs to reach.",
        ),
        click.option(
            "--advertise",
            metavar="HOST:PORT",
            multiple=True,
            help="Tell others to reach you here, e.g. a forwarded port (the next port up "
            "is the door for newcomers). May be repeated.",
        ),
        click.option(
            "--discover/--no-discover",
            default=None,
            envvar="MEERKAT_DISCOVER",
            help="Find members on the local network, and be found there (default: yes).",
        ),
        json_option,
        click.option("--quiet", "-q", is_flag=True, help="Say nothing but what was asked for."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def invitation_options(function: Function) -> Function:
    """How far an invitation goes: share and invite."""
    options = [
        click.option(
            "--uses",
            type=click.IntRange(1, 100_000),
            default=USES,
            show_default=True,
            help="How many may come in with this invitation.",
        ),
        click.option(
            "--expires",
            type=DURATION,
            default="7d",
            show_default=True,
            help="How long the invitation is good, e.g. 30m, 24h, 7d.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def node_options(
    listen: str | None,
    port: int | None,
    no_listen: bool,
    advertise: tuple[str, ...],
    discover: bool | None,
) -> NodeOptions:
    """The node's options as the command line says them.

    Raises:
        MeerkatError: if an address is none.
    """
    host, listen_port = parse_listen(listen) if listen else ("", None)
    if port is not None and listen_port is not None and port != listen_port:
        raise click.UsageError("--listen and --port name two different ports; leave one out.")
    if no_listen and (listen or port is not None):
        raise click.UsageError("--no-listen contradicts --listen and --port; leave one out.")
    return NodeOptions(
        listen=not no_listen,
        host=host,
        port=port if port is not None else listen_port,
        advertise=tuple(check_address(address) for address in advertise),
        discover=discover,
    )
