"""`meerkat status`: what is synced, who is here, what to do about problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from meerkat.control import schema
from meerkat.errors import NotRunning

from .asking import asking, require_pool
from .options import folder_argument, json_option
from .printing import byte_size, count, print_json
from .views import ALONE, IN_SYNC, transfer_line
from .visible import visible

__all__ = ["command"]

Facts = Mapping[str, Any]
SHORT = 8  # hexadecimal digits of an id that people get to see
MOST = 10  # of each list; `--json` has all


@click.command("status")
@folder_argument
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Show how the folder DIR (default: here) is, whether it runs or not."""
    status = _status(folder)
    if as_json:
        print_json(status)
        return
    for line in _lines(status):
        click.echo(visible(line))


def _status(folder: Path) -> dict[str, Any]:
    try:
        with asking(folder) as client:
            return client.ask(schema.GetStatus())
    except NotRunning:
        state = require_pool(folder)
        if state.running_pid() is not None:
            raise
    from meerkat.node.resting import resting_status

    return resting_status(folder)


def _lines(status: Facts) -> Iterator[str]:
    state = "not running; start it with `meerkat up`"
    if status["running"]:
        synced = IN_SYNC if status["peers"] else ALONE
        state = synced if status["in_sync"] else "syncing"
    if status["paused"]:
        state = "paused"
    yield f"{status['folder']}: {state}"
    yield f"  pool     {status['pool_name']} ({status['pool'][:SHORT]}), you are {status['name']}"
    content = byte_size(status["content_bytes"])
    folders = count(status["folders"], "folder")
    yield f"  content  {count(status['files'], 'file')}, {folders}, {content}"
    if status["pending_files"]:
        yield f"  to come  {count(status['pending_files'], 'file')}"
    if status["address"]:
        yield f"  address  {', '.join(status['addresses'])}"
    yield from _people(status)
    yield f"  clock    {status['lamport']}"
    for author, sequence in sorted(status["heads"].items())[:MOST]:
        own = " (own)" if author == status["author"] else ""
        yield f"  head     {author[:SHORT]} {sequence}{own}"
    for transfer in (*status["transfers"], *status["reading"])[:MOST]:
        yield f"  moving   {transfer_line(transfer)}"
    for conflict in status["conflicts"][:MOST]:
        yield f"  twice    {conflict['path']}: {conflict['copy']} (by {conflict['name']})"
    for problem in status["problems"][:MOST]:
        where = f"{problem['path']}: " if problem["path"] else ""
        yield f"  problem  {where}{problem['text']}"


def _people(status: Facts) -> Iterator[str]:
    linked = {peer["member"] for peer in status["peers"]}
    for peer in status["peers"]:
        way = "we dialed" if peer["direction"] == "out" else "dialed us"
        sync = "in sync" if peer["in_sync"] else "syncing"
        yield f"  peer     {peer['name']} at {peer['address']} ({way}), {sync}"
    for member in status["members"]:
        if member["member"] not in linked and member["member"] != status["member"]:
            yield f"  away     {member['name']} ({member['role']})"
