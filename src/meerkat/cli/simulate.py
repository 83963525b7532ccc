"""`meerkat simulate`: thousands of peers on this machine, none of them real."""

from __future__ import annotations

import time
from pathlib import Path

import click

from meerkat.testing.scenario import FEW, MAX_PEERS, Scenario, load, shipped

from .options import json_option

__all__ = ["command"]

DEFAULT = "join_storm"
MAX_FULL = 1_000  # whole peers in one process: 2.3 GB, and whole_pool takes 150 s (measured)
MANY = (
    "So many whole peers have been members for long and come back, each remembering one address. "
    "They do not flood where they are and whom they are linked to, and check a signature once for "
    "all; the real ones do."
)


def _list(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        for name, about in shipped().items():
            click.echo(f"{name:<12}{about}")
        ctx.exit()


@click.command("simulate")
@click.argument("scenario", metavar="[SCENARIO]", default=DEFAULT)
@click.option("--peers", type=click.IntRange(2, MAX_PEERS), help="How many (default: its own).")
@click.option("--seed", type=int, help="Another seed is another run; the same is the same.")
@click.option(
    "--full",
    is_flag=True,
    help="Whole peers, files and all: join, rest, broadcast, save, kill, partition; at most "
    f"{MAX_FULL}. Up to {FEW} come in through the door; more have been members for long and come "
    "back.",
)
@click.option(
    "--plot",
    "picture",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw what happened into a .png or .svg (needs matplotlib: meerkat-p2p[plots]).",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="Show the scenarios that come with meerkat.",
)
@json_option
def command(
    scenario: str,
    peers: int | None,
    seed: int | None,
    full: bool,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Play a SCENARIO (default: join_storm): thousands of peers in virtual time.

    They run the network code of the real ones. SCENARIO is one of those shown by --list, or a .toml
    file of your own. What it finds stands beside what others reach in the same case.
    """
    from meerkat.testing.full_pool import check_overlay, full_play
    from meerkat.testing.play import Play
    from meerkat.testing.play_scenario import play_all
    from meerkat.testing.plots import check_plots, plot

    from .simulate_view import view_for

    chosen = _with(load(scenario), peers, seed, full)
    if picture is not None:
        check_plots(picture)
    view = view_for(as_json)
    began = time.monotonic()
    if not full:
        check_overlay(chosen)
    play = full_play(chosen) if full else Play.of(chosen)
    view.begin(chosen)
    if full and chosen.peers > FEW:
        view.say(MANY)
    try:
        for news in play_all(play):
            view.show(news)
    finally:
        view.end()
    view.summary(play, time.monotonic() - began)
    if picture is not None:
        plot(play, picture)
        view.say(f"The picture is {picture}.")


def _with(scenario: Scenario, peers: int | None, seed: int | None, full: bool) -> Scenario:
    if full and peers is None:
        peers = min(scenario.peers, MAX_FULL if scenario.saves else FEW)
    if full and peers is not None and peers > MAX_FULL:
        raise click.UsageError(f"--full takes at most {MAX_FULL} peers.")
    return scenario.with_(peers=peers, seed=seed)
