"""A whole scenario, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from . import play_calm, play_save, play_storm
from .overlay_world import no_collector
from .play import Finding, Play, Progress, Run
from .scenario import (
    Broadcast,
    Churn,
    Direct,
    Join,
    Kill,
    Loss,
    Measure,
    Meet,
    Partition,
    Rest,
    Save,
    Step,
)

__all__ = ["play_all", "play_step", "run"]


def play_step(play: Play, step: Step) -> Run:
    """Let a step happen."""
    with no_collector():
        yield from _started(play, step)


def _started(play: Play, step: Step) -> Run:
    match step:
        case Join():
            return play_calm.join(play, step)
        case Rest():
            return play_calm.rest(play, step)
        case Measure():
            return play_calm.look(play, step)
        case Broadcast():
            return play_calm.broadcast(play, step)
        case Direct():
            return play_calm.direct(play, step)
        case Kill():
            return play_storm.kill(play, step)
        case Churn():
            return play_storm.churn(play, step)
        case Partition():
            return play_storm.partition(play, step)
        case Meet():
            return play_storm.meet(play, step)
        case Loss():
            return play_storm.lose(play, step)
        case Save():
            return play_save.save(play, step)
        case _:
            assert_never(step)


def play_all(play: Play) -> Iterator[Progress | Finding]:
    """Everything the scenario says, in order."""
    # Only a peer that will come back needs a book that outlives it.
    play.pool.keep_books = any(isinstance(step, Churn) for step in play.scenario.steps)
    for step in play.scenario.steps:
        yield from play_step(play, step)


def run(play: Play) -> list[Finding]:
    """Play it to its end; what was found."""
    for _ in play_all(play):
        pass
    return play.findings
