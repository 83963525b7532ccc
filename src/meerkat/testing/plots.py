"""Pictures of a played scenario, with matplotlib: an extra that nothing else here needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meerkat.errors import MeerkatError

from .play import Play

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NoPlots", "check_plots", "plot"]

ENDINGS = (".png", ".svg")
SIZE = (11.0, 7.0)  # inches
BLUE, RED, GREEN = "#2f5d8a", "#b03030", "#3c7d4f"


class NoPlots(MeerkatError):
    """Pictures need matplotlib. Install it with `pip install 'meerkat-p2p[plots]'`."""

    exit_code = 2


def check_plots(path: Path) -> None:
    """Say at once, not after an hour of simulating, that there will be no picture.

    Raises:
        NoPlots: if matplotlib is missing, or the file's ending is none of ours.
    """
    if path.suffix not in ENDINGS:
        raise NoPlots(f"A picture's name ends in {' or '.join(ENDINGS)}, unlike {path.name}.")
    if not path.absolute().parent.is_dir():
        raise NoPlots(f"There is no folder {path.parent} to put the picture into.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise NoPlots(str(NoPlots.__doc__).replace("``", "`")) from error


def plot(play: Play, path: Path) -> None:
    """Draw what was seen into ``path``.

    Raises:
        NoPlots: as ``check_plots``.
    """
    check_plots(path)
    # The object API: no global state, no display, no thread.
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    scenario = play.scenario
    figure.suptitle(f"{scenario.name}: {scenario.peers:,} peers, seed {scenario.seed}")
    over_time, links, traffic, news = figure.subplots(2, 2).flatten()
    _alive(over_time, play)
    _links(links, play)
    _traffic(traffic, play)
    _news(news, play)
    figure.savefig(path)


def _alive(axes: Axes, play: Play) -> None:
    times = [one.at for one in play.samples]
    axes.plot(times, [one.alive for one in play.samples], color=BLUE, label="peers alive")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("virtual seconds")
    axes.set_ylabel("peers alive", color=BLUE)
    share = axes.twinx()
    share.plot(times, [one.largest for one in play.samples], color=RED, linewidth=1.0)
    share.set_ylim(0, 105)
    share.set_ylabel("largest component, %", color=RED)
    axes.set_title("Who is there, and in one piece")


def _links(axes: Axes, play: Play) -> None:
    degrees = [len(others) for others in play.pool.graph().values()] or [0]
    axes.hist(degrees, bins=range(max(degrees) + 2), color=BLUE, align="left", rwidth=0.85)
    axes.set_xlabel("links of a peer")
    axes.set_ylabel("peers")
    axes.set_title("Links in the end")


def _traffic(axes: Axes, play: Play) -> None:
    times = [one.at for one in play.samples]
    axes.plot(times, [one.messages for one in play.samples], color=GREEN)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("virtual seconds")
    axes.set_ylabel("per peer and second")
    axes.set_title("Messages, beats apart")


def _news(axes: Axes, play: Play) -> None:
    axes.set_title("Broadcasts: when they arrive")
    axes.set_xlabel("ms after it was sent")
    axes.set_ylabel("% of the peers alive")
    count = max(len(play.pool.alive), 1)
    for spread in play.spreads:
        times = sorted(1000 * one for one in spread.times.values())
        shares = [100 * (number + 1) / count for number in range(len(times))]
        axes.plot(times, shares, color=BLUE, alpha=0.4, linewidth=1.0)
    if not play.spreads:
        axes.text(0.5, 0.5, "none were sent", ha="center", transform=axes.transAxes)
    axes.set_ylim(0, 105)
