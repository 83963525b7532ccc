"""`meerkat doctor`: is everything right, and what to do if not."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from meerkat.control import schema
from meerkat.errors import MeerkatError

from .asking import asking
from .options import folder_argument, json_option
from .printing import print_json

__all__ = ["command"]


@click.command("doctor")
@folder_argument
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Check the folder DIR (default: here), this machine and the way to it.

    Exit code 1 if something is not right.
    """
    from meerkat.node.checkup import check_folder

    findings = list(check_folder(folder, _addresses(folder)))
    for finding in findings:
        if as_json:
            print_json({"event": "finding", **asdict(finding)})
        else:
            mark = "ok  " if finding.good else "BAD "
            advice = f" {finding.advice}" if finding.advice else ""
            click.echo(f"{mark} {finding.name:9} {finding.text}.{advice}")
    if not all(finding.good for finding in findings):
        sys.exit(1)


def _addresses(folder: Path) -> tuple[str, ...]:
    try:
        with asking(folder) as client:
            return tuple(client.ask(schema.GetStatus())["addresses"])
    except MeerkatError:
        return ()
