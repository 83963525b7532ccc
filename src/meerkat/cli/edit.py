"""`meerkat edit`: write in a file together, in the terminal."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.errors import FolderError, MeerkatError, NotRunning
from meerkat.node.home import StateFolder

from .asking import pool_around
from .visible import visible

__all__ = ["command"]

FRAMES = "250"  # a second: Textual's 60 would let a key wait up to 16 ms for the screen
FOUND_WITHIN = 3.0  # seconds until a file that is there must be known
LOOK = 0.1  # seconds between two looks
KINDS = {
    "folder": "a folder; name a file in it",
    "blob": "not a text of at most 4 MiB, so it cannot be edited live",
    "database": "a live database; `meerkat db` and `meerkat web` show and change its rows",
    "link": "a link; open the file that it leads to",
}


@click.command("edit")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--dir",
    "-C",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder whose pool is meant (default: the one around FILE, or here).",
)
def command(file: Path | None, folder: Path | None) -> None:
    """Edit FILE together with everyone who has it open, or choose a file.

    Every key is saved and sent at once; F1 in the editor shows what the keys do. If no process
    serves the folder, one is started in the background and goes on when you leave.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise MeerkatError("`meerkat edit` needs a terminal. In a pipe, write to the file itself.")
    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from meerkat.tui.side_files import relative_path

    state = pool_around(file, folder)
    path = relative_path(state.folder, file) if file is not None else ""
    started = _ensure_served(state)
    is_new = bool(path) and _is_new(state, path)
    from meerkat.tui.app import EditorApp
    from meerkat.tui.connection import Connection

    connect = partial(Connection, state.control_socket())
    said = EditorApp(state.folder, connect, path, is_new=is_new).run()
    for sentence in filter(None, said or ()):
        click.echo(f"meerkat: {visible(sentence)}", err=True)
    if started:
        click.echo(f"{state.folder} is still served. `meerkat stop {state.folder}` ends that.")


def _ensure_served(state: StateFolder) -> bool:
    """Start the folder's process if there is none; whether that was done."""
    try:
        with ControlClient(state.control_socket()):
            return False
    except NotRunning:
        if state.running_pid() is not None:
            raise NotRunning(
                f"A process serves {state.folder} but does not answer; it may be starting. "
                "Try again."
            ) from None
    from .detach import start_up

    pid, said = start_up(state)
    for line in said:
        click.echo(f"meerkat: {line}", err=True)
    click.echo(f"Serving {state.folder} in the background (process {pid}).")
    return True


def _is_new(state: StateFolder, path: str) -> bool:
    """Whether there is no such file yet.

    Raises:
        FolderError: if there is one that cannot be edited.
    """
    until = time.monotonic() + FOUND_WITHIN
    with ControlClient(state.control_socket()) as client:
        while True:
            found = _entry(client.ask(schema.ListFiles())["files"], path)
            if found is not None:
                kind = str(found["kind"])
                if kind in KINDS:
                    raise FolderError(f"{path} is {KINDS[kind]}.")
                return False
            if not (state.folder / path).exists():
                return True
            if time.monotonic() >= until:
                raise FolderError(
                    f"{path} is not shared: an ignore rule leaves it out (see "
                    "`meerkat status`), or it cannot be read."
                )
            time.sleep(LOOK)


def _entry(files: list[dict[str, Any]], path: str) -> dict[str, Any] | None:
    return next((one for one in files if one["path"] == path), None)
