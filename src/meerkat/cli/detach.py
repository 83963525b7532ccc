"""Starting a folder's process in the background, and waiting until it serves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from meerkat.control.client import error_of
from meerkat.node.home import StateFolder

from .asking import require_pool
from .printing import print_json

__all__ = ["detach_up", "spelled_options", "start_up"]

OUTPUT = "output"  # in .meerkat: what the process itself prints, beside the log
SAID = "meerkat: "  # how a sentence for people begins
NOT_PASSED_ON = ("detach", "ready_fd")


def detach_up(context: click.Context, folder: Path, as_json: bool) -> None:
    """Run the `meerkat up` of ``context`` in a session of its own.

    Raises:
        MeerkatError: what it said when it could not start.
    """
    state = require_pool(folder)
    pid, said = start_up(state, spelled_options(context))
    for line in said:
        click.echo(SAID + line, err=True)
    if as_json:
        print_json({"event": "detached", "folder": str(state.folder), "pid": pid})
    else:
        click.echo(f"Serving {state.folder} in the background (process {pid}).")


def start_up(state: StateFolder, options: Sequence[str] = ()) -> tuple[int, list[str]]:
    """Run `meerkat up` with ``options`` in a session of its own; return when it serves.

    Returns its process id, and what it had to say meanwhile.

    Raises:
        MeerkatError: what it said when it could not start.
    """
    ours, theirs = os.pipe()
    arguments = ["up", f"--ready-fd={theirs}", *options, "--", str(state.folder)]
    output = state.path / OUTPUT
    with open(output, "wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "meerkat", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(theirs,),
            start_new_session=True,
        )
    os.close(theirs)
    with open(ours, "rb") as told:
        ready = told.read()  # ends when the other side closes: it serves, or it is dead
    said = [
        line.removeprefix(SAID)
        for line in output.read_text(errors="replace").splitlines()
        if line.startswith(SAID)
    ]
    if not ready:
        raise error_of(process.wait(), said[-1] if said else "It did not start.")
    return process.pid, said


def spelled_options(context: click.Context) -> list[str]:
    """The options of a command as it understood them, to be given to another one like it."""
    spelled: list[str] = []
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if not isinstance(option, click.Option) or option.name in NOT_PASSED_ON:
            continue
        if option.is_flag:
            chosen = option.opts if value else option.secondary_opts
            spelled += chosen[:1] if value is not None else []
        elif option.multiple:
            spelled += [f"{option.opts[0]}={one}" for one in value or ()]
        elif value is not None:
            spelled.append(f"{option.opts[0]}={value}")
    return spelled
