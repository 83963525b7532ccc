"""Starting a folder's process in the background, and waiting until it serves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from meerkat.errors import MeerkatError

from .asking import require_pool
from .printing import print_json

__all__ = ["detach_up"]

OUTPUT = "output"  # in .meerkat: what the process itself prints, beside the log


def detach_up(folder: Path, as_json: bool) -> None:
    """Run the same `meerkat up` in a session of its own.

    Raises:
        MeerkatError: what it said when it could not start.
    """
    state = require_pool(folder)
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--detach", "-d")]
    ours, theirs = os.pipe()
    output = state.path / OUTPUT
    with open(output, "wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "meerkat", *arguments, "--ready-fd", str(theirs)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(theirs,),
            start_new_session=True,
        )
    os.close(theirs)
    with open(ours, "rb") as told:
        ready = told.read()  # ends when the other side closes: it serves, or it is dead
    if not ready:
        process.wait()
        lines = output.read_text(errors="replace").strip().splitlines()
        raise MeerkatError(lines[-1].removeprefix("meerkat: ") if lines else "It did not start.")
    if as_json:
        print_json({"event": "detached", "folder": str(state.folder), "pid": process.pid})
    else:
        click.echo(f"Serving {state.folder} in the background (process {process.pid}).")
