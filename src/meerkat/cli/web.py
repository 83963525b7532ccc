"""`meerkat web`: the folder in a browser on this machine."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meerkat.control import schema
from meerkat.errors import NotRunning

from .asking import asking, require_pool
from .options import MAX_PORT, folder_argument, json_option
from .printing import print_json

if TYPE_CHECKING:
    from meerkat.web.host import WebHost

__all__ = ["command"]

DISPLAYS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")  # where one of these is, a browser can open


@click.command("web")
@folder_argument
@click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
@click.option(
    "--port",
    type=click.IntRange(1, MAX_PORT),
    help="Serve on this port (default: the one it had, at first any free one).",
)
@click.option(
    "--allow-origin",
    metavar="ORIGIN",
    multiple=True,
    help="Let pages of this origin connect, too, e.g. http://localhost:5173. They still need the "
    "token. May be repeated; remembered until --stop.",
)
@click.option("--stop", is_flag=True, help="Serve the page no more; its address becomes useless.")
@click.option(
    "--detach", "-d", is_flag=True, help="If the folder is not running, run it in the background."
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    folder: Path,
    no_open: bool,
    port: int | None,
    allow_origin: tuple[str, ...],
    stop: bool,
    detach: bool,
    as_json: bool,
) -> None:
    """Open the folder DIR (default: here) in a browser on this machine.

    Prints the page's address, which holds a secret token: whoever has it may do what you may. If
    the folder does not run yet, it does from now on, until Ctrl-C. The page is served whenever the
    folder runs, at the same address, until `meerkat web --stop`.
    """
    if stop:
        _stop(folder, as_json)
        return
    wanted = schema.ServeWeb(port=port or 0, origins=allow_origin)
    show = _Show(as_json, opens=not (no_open or as_json))
    if _is_running(folder) or detach:
        if not _is_running(folder):
            _start(context, folder, as_json)
        with asking(folder) as client:
            show(client.ask(wanted))
        return
    _serve(folder, wanted, show)


class _Show:
    """Tells where the page is, and opens it."""

    def __init__(self, as_json: bool, *, opens: bool) -> None:
        self.json = as_json
        self._opens = opens and _has_display()

    def __call__(self, facts: Mapping[str, Any]) -> None:
        if self.json:
            shown = {name: facts[name] for name in ("url", "port", "note")}
            print_json({"event": "web", **shown})
            return
        if facts["note"]:
            click.echo(f"meerkat: {facts['note']}", err=True)
        click.echo(facts["url"])
        if self._opens and not webbrowser.open(facts["open"]):
            click.echo("meerkat: No browser opened; open this address yourself.", err=True)


def _has_display() -> bool:
    """Without one, ``webbrowser`` would start a text browser in this very terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, DISPLAYS))


def _is_running(folder: Path) -> bool:
    return require_pool(folder).running_pid() is not None


def _start(context: click.Context, folder: Path, as_json: bool) -> None:
    from .detach import detach_up
    from .up import command as up

    with up.make_context("up", ["--", str(folder)], parent=context.parent) as started:
        detach_up(started, folder, as_json)


def _serve(folder: Path, wanted: schema.ServeWeb, show: _Show) -> None:
    from meerkat.node.options import NodeOptions
    from meerkat.node.share import resume

    from .serving import Home, Serving, StateFolder, serve

    async def open_home(state: StateFolder) -> Home:  # noqa: RUF029 - as for join
        return resume(state)

    async def open_page(web: WebHost) -> None:
        await asyncio.to_thread(show, await web.serve(wanted.port, wanted.origins))

    serving = Serving(NodeOptions(), show.json, open_page=open_page)
    serve(folder, open_home, serving, existing=True)


def _stop(folder: Path, as_json: bool) -> None:
    try:
        with asking(folder) as client:
            client.ask(schema.StopWeb())
    except NotRunning:
        state = require_pool(folder)
        if state.running_pid() is not None:
            raise
        state.write_web(None)
    if as_json:
        print_json({"event": "web_stopped"})
    else:
        click.echo("The page is not served any more.")
