"""`meerkat demo`: three peers on this machine, and what they do for each other."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import click

from meerkat.errors import MeerkatError

from .options import json_option

__all__ = ["command"]


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the three folders to look at.")
@click.option("--size", "size_mib", default=100, show_default=True, help="MiB of the large file.")
@json_option
def command(keep: bool, size_mib: int, as_json: bool) -> None:
    """Three real peers in temporary folders: together, apart, killed, and the same in the end.

    Exit code 1 if anything differs.
    """
    from .demo_story import DemoFailed, Story, Teller

    place = Path(tempfile.mkdtemp(prefix="meerkat-demo-"))
    teller = Teller(as_json)
    story = Story(place, teller, size_mib)
    try:
        story.play()
    except (DemoFailed, MeerkatError, TimeoutError) as error:
        keep = True
        teller.say(f"It failed: {error}")
        sys.exit(1)
    finally:
        story.close()
        if keep:
            teller.say(f"The folders are in {place}; what each peer said is beside them.")
        else:
            shutil.rmtree(place, ignore_errors=True)
