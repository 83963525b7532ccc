"""What share, join and up show while they run: JSON lines, plain lines, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import click

from .printing import byte_size, count, print_json
from .visible import visible

__all__ = ["ALONE", "IN_SYNC", "JsonView", "PlainView", "QuietView", "View", "sentence"]

Facts = Mapping[str, Any]

IN_SYNC = "in sync"
ALONE = "saved here; nobody else is linked"


class View(Protocol):
    """Shows one run."""

    def ready(self, facts: Facts) -> None:
        """The node serves; ``facts`` are those of the ``ready`` event."""

    def event(self, event: Facts) -> None:
        """Something happened."""

    def tick(self, status: Facts) -> None:
        """Called a few times a second."""

    def close(self) -> None:
        """The run ends."""


class QuietView:
    """Only the invitation, if there is one: `meerkat share -q | head -1`."""

    def ready(self, facts: Facts) -> None:
        """See View."""
        if facts.get("invitation"):
            click.echo(facts["invitation"])

    def event(self, event: Facts) -> None:
        """See View."""

    def tick(self, status: Facts) -> None:
        """See View."""

    def close(self) -> None:
        """See View."""


class JsonView(QuietView):
    """Every event as it is."""

    def ready(self, facts: Facts) -> None:
        """See View."""
        print_json(facts)

    def event(self, event: Facts) -> None:
        """See View."""
        print_json(event)


class PlainView(QuietView):
    """A line for what people want to know; nothing twice in a row."""

    def __init__(self) -> None:
        self._last = ""

    def ready(self, facts: Facts) -> None:
        """See View."""
        for line in introduction(facts):
            click.echo(line)

    def event(self, event: Facts) -> None:
        """See View."""
        line = visible(sentence(event))  # names and reasons are other people's words
        if line and line != self._last:
            self._last = line
            click.echo(line)


def introduction(facts: Facts) -> list[str]:
    """What stands above everything else."""
    lines = [f"Serving {facts['folder']}"]
    if facts.get("listening"):
        lines.append(f"Listening on {facts['listening']}")
    else:
        lines.append("Dialing out only")
    if facts.get("invitation"):
        lines += ["", "To join, say on the other machine:", ""]
        lines += [f"meerkat join {facts['invitation']}", ""]
    return lines


def sentence(event: Facts) -> str:
    """What an event means to people; empty if nothing."""
    who = event.get("name") or str(event.get("author", ""))[:8] or "someone"
    path = event.get("path", "")
    match event["event"]:
        case "peer_linked":
            return f"{who} is here ({event.get('address', '')})"
        case "peer_lost":
            return f"{who} is gone ({event.get('reason') or 'left'})"
        case "synced":
            files = count(int(event.get("files", 0)), "file")
            return f"In sync: {files}" if event.get("peers") else f"{files} {ALONE}"
        case "conflict":
            files = count(int(event.get("count", 1)), "file")
            return f"{files} kept twice; `meerkat status` shows where"
        case "problem":
            text = event.get("text", "")
            return f"{path}: {text}" if path else str(text)
        case "resumed":
            return "Going on"
        case "stopped":
            return "Stopped"
        case "member_joined":
            return f"{who} is a member now"
        case "renamed":
            return f"{event.get('old', '')} is {who} from now on"
        case "fork":
            return f"{who} wrote two different histories (a copied or restored folder?)"
        case "rolled_back":
            return "This folder was restored from an older copy; going on as a new author"
        case _:
            return ""


def transfer_line(transfer: Facts) -> str:
    """How far a content is."""
    done, total = transfer["done_bytes"], transfer["total_bytes"]
    return f"{transfer['path']}: {byte_size(done)} of {byte_size(total)}"
