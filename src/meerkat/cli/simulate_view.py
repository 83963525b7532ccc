"""How a simulation is shown: a live table on a terminal, plain tables, or JSON lines."""

from __future__ import annotations

from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from meerkat.testing.overlay_anchors import MEASURES, PROTOCOLS, TABLES, anchors
from meerkat.testing.play import Finding, Play, Progress
from meerkat.testing.scenario import Scenario

from .printing import print_json

__all__ = ["SimulationView", "finding_table", "shown", "view_for"]

BAR_WIDTH = 30
PLAIN_WIDTH = 100  # columns, when it is not a terminal that says how wide it is
EXACT_BELOW = 10.0  # smaller figures are shown with two digits after the point
ROUND_BELOW = 100.0


class SimulationView(Protocol):
    """Shows one simulation."""

    def begin(self, scenario: Scenario) -> None:
        """It is about to start."""

    def show(self, news: Progress | Finding) -> None:
        """Something happened."""

    def end(self) -> None:
        """Nothing more happens; also after an error."""

    def summary(self, play: Play, seconds: float) -> None:
        """What it took."""

    def say(self, sentence: str) -> None:
        """One line more."""


def view_for(as_json: bool) -> SimulationView:
    """As the command line and the terminal want it."""
    if as_json:
        return JsonSimulation()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    return TableSimulation(console)


class JsonSimulation:
    """One object a line."""

    def begin(self, scenario: Scenario) -> None:
        """See SimulationView."""
        facts = {"name": scenario.name, "peers": scenario.peers, "seed": scenario.seed}
        print_json({"event": "simulation", **facts})

    def show(self, news: Progress | Finding) -> None:
        """See SimulationView."""
        if isinstance(news, Finding):
            others = {one.protocol: one.figures for one in anchors(*_case(news))}
            facts = {"table": news.table, "case": news.case, "peers": news.peers}
            print_json({"event": "found", **facts, "figures": news.figures, "others": others})
            return
        sample = news.sample
        print_json(
            {
                "event": "progress",
                "step": news.step,
                "done": round(news.share, 3),
                "at": round(sample.at, 3),
                "alive": sample.alive,
                "links": round(sample.links, 3),
                "largest": round(sample.largest, 3),
                "messages": round(sample.messages, 3),
            }
        )

    def end(self) -> None:
        """See SimulationView."""

    def summary(self, play: Play, seconds: float) -> None:
        """See SimulationView."""
        print_json({"event": "summary", **_took(play, seconds)})

    def say(self, sentence: str) -> None:
        """See SimulationView."""
        print_json({"event": "note", "text": sentence})


class TableSimulation:
    """For people. What is found is printed; above a terminal's last lines a table lives."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps: dict[str, Progress] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._step = ""

    def begin(self, scenario: Scenario) -> None:
        """See SimulationView."""
        title = f"{scenario.name}: {scenario.peers:,} peers, seed {scenario.seed}"
        self._console.print(title, style="bold", markup=False)
        if scenario.about:
            self._console.print(scenario.about, markup=False)
        if self._console.is_terminal:
            self._live.start()

    def show(self, news: Progress | Finding) -> None:
        """See SimulationView."""
        if isinstance(news, Finding):
            self._console.print()
            self._console.print(finding_table(news))
        elif self._console.is_terminal:
            self._steps[news.step] = news
            self._live.update(_progress_table(list(self._steps.values())), refresh=True)
        elif news.step != self._step:
            self._step = news.step
            self._console.print(f"{news.sample.at:8.1f} s  {news.step}", markup=False)

    def end(self) -> None:
        """See SimulationView."""
        if self._live.is_started:
            self._live.stop()

    def summary(self, play: Play, seconds: float) -> None:
        """See SimulationView."""
        took = _took(play, seconds)
        self._console.print(
            f"\n{took['virtual_seconds']:,.0f} virtual seconds in {seconds:.1f} real ones, "
            f"{took['events']:,} events ({took['events_per_s']:,.0f} a second). "
            f"Trace {took['trace']}: the same seed gives the same.",
            markup=False,
        )

    def say(self, sentence: str) -> None:
        """See SimulationView."""
        self._console.print(sentence, markup=False)


def _case(finding: Finding) -> tuple[str, int, str]:
    return finding.table, finding.peers, finding.case


def _took(play: Play, seconds: float) -> dict[str, float | int | str]:
    world = play.pool.world
    return {
        "virtual_seconds": round(world.now, 3),
        "seconds": round(seconds, 3),
        "events": world.event_count,
        "events_per_s": round(world.event_count / max(seconds, 1e-9)),
        "trace": world.trace,
    }


def finding_table(finding: Finding) -> Table:
    """Ours, and what others reach in the same case."""
    others = [one for one in anchors(*_case(finding)) if one.protocol in PROTOCOLS]
    title = f"{TABLES.get(finding.table, finding.table)} {finding.case}".strip()
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
    table.add_column("")
    table.add_column("here", justify="right", style="bold")
    for one in others:
        table.add_column(PROTOCOLS[one.protocol], justify="right", style="dim", max_width=14)
    for name, value in finding.figures.items():
        theirs = (one.figures.get(name, "") for one in others)
        table.add_row(MEASURES.get(name, name), shown(value), *theirs)
    return table


def shown(value: float | str) -> str:
    """A figure with as many digits as it deserves."""
    if isinstance(value, str):
        return value
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) < EXACT_BELOW:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < ROUND_BELOW else f"{value:,.0f}"


def _progress_table(steps: list[Progress]) -> Table:
    table = Table(box=None, padding=(0, 2))
    for name in ("", "", "virtual s", "alive", "links each", "in one piece", "messages/s"):
        table.add_column(name, justify="right" if name else "left")
    for one in steps:
        sample = one.sample
        bar = ProgressBar(total=1.0, completed=one.share, width=BAR_WIDTH)
        style = "green" if sample.largest >= 99.995 else "yellow"
        whole = Text(f"{sample.largest:.1f} %", style=style)
        table.add_row(
            one.step,
            bar,
            f"{sample.at:,.1f}",
            f"{sample.alive:,}",
            f"{sample.links:.1f}",
            whole,
            f"{sample.messages:.1f}",
        )
    return table
