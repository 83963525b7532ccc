"""The overlay's figures: the real network code by the thousand, beside what others reach.

    python -m bench.overlay                        the tables for 100 and 1,000 peers
    python -m bench.overlay --peers 10000 --tables joined kill broadcast
    python -m bench.overlay --write                ... into docs/overlay-figures.md

The anchors' figures come from their own simulation of the same model and are kept beside ours in
``src/meerkat/testing/overlay_anchors.txt``. A network is joined once for each seed; what happens to
it then happens in forks of the process, so that every case begins with the same network.
"""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from meerkat.testing.overlay_anchors import MEASURES, PROTOCOLS, TABLES, anchors
from meerkat.testing.play import NEVER, Figures, Finding, Play
from meerkat.testing.play_scenario import play_step, run
from meerkat.testing.scenario import (
    Broadcast,
    Churn,
    Direct,
    Join,
    Kill,
    Meet,
    Partition,
    Scenario,
    Step,
)

OTHERS = "## Ten real processes"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "overlay-figures.md"
WORKERS = os.cpu_count() or 1
KILLED = (0.1, 0.3, 0.5, 0.8, 0.9, 0.95)
ABOUT = """\
Made by `python -m bench.overlay --write` (seeds: {seeds}) with the code that runs in every peer.
The model is that of the anchors: latency 10-50 ms a pair, a dial costs one round trip more, a dial
to nobody fails after 500 ms, a death is noticed after 1-3 s, everyone joins through one entry node.
The other columns are the anchors' own simulation of the same cases (5 seeds). {others}."""
LARGE = 5_000  # peers; from here on only what takes minutes, not hours

Work = Callable[[], list[Finding]]


def branches(table: str, peers: int) -> list[Step]:
    """What happens to a joined network, each time from the same beginning."""
    match table:
        case "kill":
            return [Kill(share) for share in KILLED]
        case "broadcast":
            warm, count = (30, 20) if peers < LARGE else (30, 5)
            return [Broadcast(count, senders, warm_up=warm) for senders in ("one", "random")]
        case "direct":
            return [Direct(100, dead) for dead in (0.0, 0.1, 0.3)]
        case "partition":
            times = (30.0, 120.0, 600.0) if peers < LARGE else (30.0, 120.0)
            return [Partition(seconds) for seconds in times]
        case "churn":
            return [Churn(600.0, 300.0), Churn(120.0, 60.0)] if peers < LARGE else []
    return []


def joins(table: str, peers: int) -> list[Join]:
    """Other ways to come in."""
    match table:
        case "joined":
            return [Join(20.0)]
        case "rate":
            return [Join(rate) for rate in (100.0, 1000.0)]
        case "nat":
            return [Join(20.0, nat=share) for share in (0.5, 0.8)]
        case "greedy":
            return [Join(20.0, hostile=share) for share in (0.05, 0.2)]
    return []


ALL = (
    "joined",
    "rate",
    "kill",
    "broadcast",
    "partition",
    "pools",
    "nat",
    "greedy",
    "churn",
    "direct",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tables", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    chosen = parser.parse_args()
    began = time.monotonic()
    found: list[Finding] = []
    for peers in chosen.peers:
        for seed in range(1, chosen.seeds + 1):
            found += measure(peers, seed, chosen.tables)
            say(f"{peers} peers, seed {seed}: {time.monotonic() - began:.0f} s so far")
    text = page(found, chosen.seeds, chosen.tables)
    sys.stdout.write(text)
    if chosen.write:
        before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        _, mark, others = before.partition(OTHERS)  # what `bench.ten_peers` wrote
        PAGE.write_text(text.rstrip() + "\n\n" + mark + others, encoding="utf-8")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


# -- running --------------------------------------------------------------------------------


def measure(peers: int, seed: int, tables: list[str]) -> list[Finding]:
    """All of the chosen tables for one seed."""

    def scenario(*steps: Step) -> Scenario:
        return Scenario("bench", steps, peers=peers, seed=seed)

    alone: list[Work] = []
    for table in tables:
        for join in joins(table, peers):
            if join != Join(20.0):
                alone.append(lambda join=join, table=table: played(table, scenario(join)))  # type: ignore[misc]
        if table == "pools" and peers < LARGE:
            alone.append(lambda: played("pools", scenario(Join(20.0, pools=2), Meet())))
    steps = [step for table in tables for step in branches(table, peers)]
    found: list[Finding] = []
    if steps or "joined" in tables:
        play = Play.of(scenario(Join(20.0), *steps))
        play.pool.keep_books = any(isinstance(step, Churn) for step in steps)
        for _ in play_step(play, play.scenario.steps[0]):
            pass
        found += play.findings
        play.findings.clear()
        gc.collect()
        gc.freeze()  # the forks share what is there now
        found += forked([lambda step=step: branch(play, step) for step in steps])  # type: ignore[misc]
        gc.unfreeze()
        del play
    wanted = {"tree after kill" if one == "kill" else one for one in tables} | set(tables)
    return [one for one in found + forked(alone) if one.table in wanted]


def played(table: str, scenario: Scenario) -> list[Finding]:
    return [one for one in run(Play.of(scenario)) if one.table == table]


def branch(play: Play, step: Step) -> list[Finding]:
    for _ in play_step(play, step):
        pass
    return play.findings


def forked(works: list[Work]) -> list[Finding]:
    """Each in a process of its own, as many at once as there are cores."""
    found: list[Finding] = []
    waiting, running = list(works), dict[int, int]()
    while waiting or running:
        while waiting and len(running) < WORKERS:
            process, pipe = fork(waiting.pop(0))
            running[process] = pipe
        process, _ = os.wait()  # an answer fits into its pipe, so nobody waits to be read
        with os.fdopen(running.pop(process), "rb") as answer:
            data = answer.read()
        if data:
            fresh: list[Finding] = pickle.loads(data)
            found += fresh
            for one in fresh:
                figures = {name: together([value]) for name, value in one.figures.items()}
                say(f"{one.peers} peers, {one.table} {one.case}: {figures}")
    return found


def fork(work: Work) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    try:
        with os.fdopen(writing, "wb") as answer:
            answer.write(pickle.dumps(work()))
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


# -- telling --------------------------------------------------------------------------------


def page(found: list[Finding], seeds: int, tables: Iterable[str]) -> str:
    others = "; ".join(f"*{short}*: {name}" for short, name in PROTOCOLS.items())
    lines = ["# The overlay in figures", "", ABOUT.format(seeds=seeds, others=others), ""]
    order = [*tables, "tree after kill"]
    cases = sorted(
        {(one.table, one.peers, one.case) for one in found},
        key=lambda case: (case[1], len(case[2]), case[2]),  # forks end in any order
    )
    for table in sorted({one.table for one in found}, key=order.index):
        lines += [f"## {TABLES[table]}", ""]
        for key in cases:
            if key[0] == table:
                lines += case_lines(
                    key, [one.figures for one in found if (one.table, one.peers, one.case) == key]
                )
    return "\n".join(lines) + "\n"


def case_lines(key: tuple[str, int, str], runs: list[Figures]) -> Iterator[str]:
    table, peers, case = key
    others = [one for one in anchors(table, peers, case) if one.protocol in PROTOCOLS]
    yield f"### {peers:,} peers{', ' + case if case else ''}"
    yield ""
    yield "| | here | " + "".join(f"{one.protocol} | " for one in others)
    yield "|---|---|" + "---|" * len(others)
    for name in runs[0]:
        values = [one.figures.get(name, "") for one in others]
        ours = together([run[name] for run in runs if name in run])
        yield f"| {MEASURES.get(name, name)} | **{ours}** | " + "".join(
            f"{one} | " for one in values
        )
    yield ""


def together(values: list[float | str]) -> str:
    """Of several seeds: the mean, or the median and how many got there."""
    numbers = [one for one in values if not isinstance(one, str)]
    if len(numbers) == len(values):
        return digits(statistics.fmean(numbers))
    if not numbers:
        return NEVER
    return f"{digits(statistics.median(numbers))} ({len(numbers)}/{len(values)})"


def digits(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
