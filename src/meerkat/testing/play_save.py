"""Steps of a scenario in which people save files: whole peers only."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .full_pool import FullNode, FullPool, Saved
from .overlay_measures import percentile
from .overlay_world import Node
from .play import LOOK_EVERY, NEVER, Figures, Play, Run
from .scenario import Save, ScenarioError

__all__ = ["merged", "save", "save_apart"]

LINE = "{number:>12,} of many lines, each a little different: {chance}\n"
SETTLE = 2.0  # s after the last one has it, until all say so


def save(play: Play, step: Save) -> Run:
    """See ``Save``."""
    pool = _files_of(play)
    number = len(pool.saves)
    text = step.kind == "text"
    path = f"save {number}.{'txt' if text else 'bin'}"
    saved = pool.save(pool.rng.choice(pool.alive), path, _content(pool.rng, step.size, text=text))
    start = play.now
    while play.now - start < step.watch and not _all_hold(pool, saved):
        pool.world.run(play.now + LOOK_EVERY)
        yield play.look("save", min((play.now - start) / max(step.watch, LOOK_EVERY), 1.0))
    play.wait(SETTLE)
    times = sorted(saved.times[node.index] for node in pool.alive if node.index in saved.times)
    figures: Figures = {
        "held": 100.0 * len(times) / max(len(pool.alive), 1),
        "held_half": percentile(times, 0.5),
        "held_last": max(times, default=0.0),
        "equal": pool.equal_share(),
        "in_sync": pool.in_sync_share(),
    }
    yield play.found("save", f"{step.kind}, {step.size:,} bytes", figures)


def save_apart(play: Play, parts: Sequence[Sequence[Node]]) -> None:
    """In each part somebody saves a new file, and changes the text that was saved first."""
    pool = _files_of(play)
    first = next((one for one in pool.saves.values() if one.path.endswith(".txt")), None)
    for number, part in enumerate(parts):
        node: FullNode = pool.rng.choice(part)  # type: ignore[assignment]
        pool.save(node, f"part {number}.txt", _content(pool.rng, 1_000, text=True))
        held = node.one.folder.files().get(first.path) if first is not None else None
        if first is not None and held is not None:
            lines = held.decode().splitlines(keepends=True)
            lines.insert(number * len(lines) // len(parts), f"from part {number}\n")
            pool.save(node, first.path, "".join(lines).encode())


def merged(play: Play, healed_at: float) -> Figures:
    """Whether all folders are alike again, and how long after the parts met."""
    pool = _files_of(play)
    equal = pool.equal_share()
    whole = equal == 100.0
    return {
        "equal": equal,
        "equal_after": max(pool.changed_at - healed_at, 0.0) if whole else NEVER,
        "in_sync": pool.in_sync_share(),
    }


def _files_of(play: Play) -> FullPool:
    pool: object = play.pool
    if not isinstance(pool, FullPool):
        raise ScenarioError("Files take whole peers: add the option --full.")
    return pool


def _all_hold(pool: FullPool, saved: Saved) -> bool:
    return all(node.index in saved.times for node in pool.alive)


def _content(rng: Random, size: int, *, text: bool) -> bytes:
    if not text:
        return rng.randbytes(size)
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        lines.append(LINE.format(number=len(lines) + 1, chance=rng.getrandbits(64)))
    return "".join(lines).encode()[:size]
