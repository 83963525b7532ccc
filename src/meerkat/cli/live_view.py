"""The calm live view on a terminal: a line per topic, bars for long transfers only."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .printing import byte_size, count
from .views import ALONE, IN_SYNC, introduction, sentence
from .visible import visible

__all__ = ["LiveView"]

Facts = Mapping[str, Any]

LONG_BYTES = 4 * 1000 * 1000  # transfers below are over before a bar would help. guess
MOST_BARS = 5
MOST_PROBLEMS = 3
RECENT = 4  # lines of what happened last
BAR_WIDTH = 30


class LiveView:
    """A ``View`` for people at a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._shown: Facts | None = None
        self._live = Live(console=self._console, auto_refresh=False, transient=False)

    def ready(self, facts: Facts) -> None:
        """See View. The invitation is printed once, above, so that it can be copied in one go."""
        for line in introduction(facts):
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)
        self._live.start()

    def event(self, event: Facts) -> None:
        """See View."""
        line = visible(sentence(event))
        if line and (not self._recent or self._recent[-1] != line):
            self._recent.append(line)
            self._shown = None

    def tick(self, status: Facts) -> None:
        """See View. What has not changed is not drawn again: an idle node costs nothing."""
        if self._live.is_started and status != self._shown:
            self._shown = status
            self._live.update(render(status, list(self._recent)), refresh=True)

    def close(self) -> None:
        """See View."""
        if self._live.is_started:
            self._live.stop()


def render(status: Facts, recent: list[str]) -> RenderableType:
    """Everything below the introduction."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column()
    files = count(status["files"], "file")
    table.add_row("files", f"{files}, {byte_size(status['content_bytes'])}")
    table.add_row("peers", _peers(status))
    table.add_row("state", _state(status))
    if status["conflicts"]:
        table.add_row("kept twice", Text(count(len(status["conflicts"]), "file"), style="yellow"))
    for problem in status["problems"][:MOST_PROBLEMS]:
        table.add_row("problem", Text(visible(_problem(problem)), style="red"))
    parts: list[RenderableType] = [table, *_bars(status)]
    parts += [Text(f"  {line}", style="dim") for line in recent]
    return Group(*parts)


def _peers(status: Facts) -> Text:
    if not status["peers"]:
        return Text("nobody yet", style="dim")
    names = (f"{'→' if p['direction'] == 'out' else '←'} {p['name']}" for p in status["peers"])
    return Text(visible(", ".join(names)))


def _state(status: Facts) -> Text:
    if status.get("paused"):
        return Text("paused", style="red")
    if status["in_sync"]:
        return Text(IN_SYNC, style="green") if status["peers"] else Text(ALONE)
    if status["pending_files"]:
        return Text(f"{count(status['pending_files'], 'file')} to come", style="yellow")
    return Text("syncing", style="yellow")


def _problem(problem: Facts) -> str:
    return f"{problem['path']}: {problem['text']}" if problem["path"] else str(problem["text"])


def _bars(status: Facts) -> list[RenderableType]:
    long = [t for t in (*status["transfers"], *status["reading"]) if t["total_bytes"] > LONG_BYTES]
    return [_bar(transfer) for transfer in long[:MOST_BARS]]


def _bar(transfer: Facts) -> Table:
    done, total = transfer["done_bytes"], transfer["total_bytes"]
    row = Table.grid(padding=(0, 1))
    name = Text(visible(Path(transfer["path"]).name), overflow="ellipsis", no_wrap=True)
    bar = ProgressBar(total=total, completed=done, width=BAR_WIDTH)
    row.add_row(Text("  "), bar, Text(f"{byte_size(done)} of {byte_size(total)}"), name)
    return row
