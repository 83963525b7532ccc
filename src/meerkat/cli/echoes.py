"""Measuring the way to a member and back, again and again; as ping(8) prints it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.errors import MeerkatError, NotRunning, UnknownMember

from .asking import asking
from .printing import print_json
from .visible import visible

__all__ = ["Echoes", "measure", "one_line"]

Facts = Mapping[str, Any]

MS = 1000
ECHO_WITHIN = 25.0  # seconds; the node gives up before
BETWEEN = 1.0  # seconds between two, as ping(8)
EXIT_NO_ANSWER = 1


@dataclass(slots=True)
class Echoes:
    """What came back so far."""

    sent: int = 0
    seconds: list[float] = field(default_factory=list)

    def summary(self, name: str) -> str:
        """The last lines of ping(8)."""
        lost = 100 * (self.sent - len(self.seconds)) / max(1, self.sent)
        lines = [
            f"--- {name}: {self.sent} sent, {len(self.seconds)} came back, {lost:.0f} % lost ---"
        ]
        if self.seconds:
            low, high = min(self.seconds) * MS, max(self.seconds) * MS
            mean = sum(self.seconds) / len(self.seconds) * MS
            lines.append(f"min/avg/max = {low:.2f}/{mean:.2f}/{high:.2f} ms")
        return "\n".join(lines)


def measure(
    folder: Path, request: schema.Echo, *, count: int, as_json: bool, line: Callable[..., str]
) -> int:
    """Ask ``count`` times (0: until Ctrl-C); the exit code.

    Raises:
        MeerkatError: if nobody can be asked at all.
    """
    echoes = Echoes()
    with asking(folder) as client:
        try:
            while not count or echoes.sent < count:
                if echoes.sent:
                    time.sleep(BETWEEN)
                echoes.sent += 1
                _once(client, request, echoes, as_json, line)
        except KeyboardInterrupt:
            click.echo()
    if as_json:
        print_json(
            {"event": "summary", "sent": echoes.sent, "came_back": len(echoes.seconds)}
            | _extremes(echoes.seconds)
        )
    elif count != 1:
        click.echo(echoes.summary(visible(request.peer)))
    return 0 if echoes.seconds else EXIT_NO_ANSWER


def _once(
    client: ControlClient,
    request: schema.Echo,
    echoes: Echoes,
    as_json: bool,
    line: Callable[..., str],
) -> None:
    try:
        answer = client.ask(request, within=ECHO_WITHIN)
    except (NotRunning, UnknownMember):
        raise
    except (MeerkatError, TimeoutError) as error:
        if as_json:
            print_json({"event": "no_echo", "number": echoes.sent, "error": str(error)})
        else:
            click.echo(f"{echoes.sent}: {visible(str(error))}")
        return
    echoes.seconds.append(float(answer["seconds"]))
    if as_json:
        print_json({"event": "echo", "number": echoes.sent, **answer})
    else:
        click.echo(line(request, echoes.sent, answer))


def one_line(name: str, answer: Facts) -> str:
    """An answer in the chat."""
    return f"{visible(name)}: {float(answer['seconds']) * MS:.1f} ms"


def _extremes(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    return {"min": min(seconds), "avg": sum(seconds) / len(seconds), "max": max(seconds)}
