"""Ten real processes on one machine: how fast they join, talk, notice a death, and heal.

    python -m bench.ten_peers            the table (about four minutes)
    python -m bench.ten_peers --write    ... into docs/overlay-figures.md, too

With root each process has a network namespace of its own, and packets are dropped without a word on
the bridge between them. Without root all are on loopback; a cut is then the control socket's
``test_cut``, which both ends notice at once. Every moment is of the machine's one monotonic clock:
an event's is when its JSON line was read.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench._pair import percentile, scratch
from meerkat.control import schema
from tests.faults.ten_peers import (
    RealPeer,
    RealPool,
    alike,
    contents,
    real_pool,
    wait_until,
    whole,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "overlay-figures.md"
TITLE = "## Ten real processes"
PEERS = 10
DEGREE = 5  # links that a peer wants at least
BROADCASTS = 60
PAUSE = 0.1  # s between two broadcasts: each travels alone
KILLS = 3
IDLE = 30.0  # s of which the CPU time is taken
SETTLE = 12.0  # s before: the beats of a change are over
FLAPS = 10
FLAP = 0.5  # s without packets, s with
WITHIN = 60.0  # s for anything


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    measure: str
    target: str
    found: str


class Bench:
    """One pool, from its first peer to the end."""

    def __init__(self, pool: RealPool, apart: float) -> None:
        self._pool, self._apart = pool, apart
        self._number = 0

    def rows(self) -> Iterator[Row]:
        """Everything, in an order in which each finds the pool whole."""
        yield from self._joins()
        yield from self._idle()
        yield from self._broadcasts()
        yield from self._kills()
        yield from self._freeze()
        if self._pool.wires is not None:
            yield from self._flapping()
        yield from self._partition()
        yield from self._restart()

    # --- Coming in ---

    def _joins(self) -> Iterator[Row]:
        pool = self._pool
        first, *others = pool.make(PEERS)
        (first.folder / "notes.txt").write_text("what was here before\n")
        invitation = first.start("share", "--uses", "100")["invitation"]
        took, ready = [], []
        for one in others:
            one.begin("join", invitation)
            one.wait_ready()
            took.append(_synced(one))
            ready.append(one.wait("ready", WITHIN, since=one.started)[0] - one.started)
        yield Row("join, one after another: from the command to `synced`", "< 2 s", _of(took))
        yield Row("... of it until `ready` (interpreter, door)", "", _of(ready))
        pool.wait_whole(pool.peers, WITHIN)
        wait_until(lambda: alike(pool.peers), "everyone has the first file", WITHIN)
        degrees = self._degrees()
        yield Row("links of each peer then", "5 to 16", f"{min(degrees)} to {max(degrees)}")

    def _degrees(self) -> list[int]:
        return [len(one.linked()) for one in self._pool.peers]

    # --- At rest ---

    def _idle(self) -> Iterator[Row]:
        peers = self._pool.peers
        time.sleep(SETTLE)
        began, before = time.monotonic(), [one.cpu_seconds() for one in peers]
        time.sleep(IDLE)
        took = time.monotonic() - began
        after = [one.cpu_seconds() for one in peers]
        shares = [100 * (b - a) / took for a, b in zip(before, after, strict=True)]
        yield Row(
            f"CPU of each over {IDLE:.0f} s at rest",
            "< 1 %",
            f"median {statistics.median(shares):.2f} %, most {max(shares):.2f} %",
        )
        memory = [one.memory_mib() for one in peers]
        found = f"median {statistics.median(memory):.0f} MiB, most {max(memory):.0f} MiB"
        yield Row("memory of each (resident)", "", found)

    # --- Talking ---

    def _broadcasts(self) -> Iterator[Row]:
        published = [self._broadcast(self._publish) for _ in range(BROADCASTS)]
        yield Row("a program's broadcast heard by all nine others", "< 50 ms", _ms(published))
        said = [self._broadcast(self._say) for _ in range(BROADCASTS)]
        yield Row("a chat line (signed, kept, synced) seen by all nine", "", _ms(said))
        files = [self._save() for _ in range(BROADCASTS // 3)]
        yield Row("a saved file in all nine other folders", "", _ms(files))

    def _broadcast(self, send: Callable[[RealPeer, str], tuple[str, str]]) -> float:
        """Seconds until the last of the others has heard it."""
        self._number += 1
        sender = self._pool.peers[self._number % PEERS]
        others = [one for one in self._pool.peers if one is not sender]
        time.sleep(PAUSE)
        began = time.monotonic()
        name, data = send(sender, f"number {self._number}")
        key = "data" if name == "message" else "text"
        heard = [
            one.wait(name, WITHIN, since=began, accept=lambda event: event[key] == data)[0]
            for one in others
        ]
        return max(heard) - began

    @staticmethod
    def _publish(sender: RealPeer, text: str) -> tuple[str, str]:
        sender.ask(schema.Publish(data=text.encode()))
        return "message", base64.b64encode(text.encode()).decode()

    @staticmethod
    def _say(sender: RealPeer, text: str) -> tuple[str, str]:
        sender.ask(schema.Say(text=text))
        return "chat", text

    def _save(self) -> float:
        self._number += 1
        name = f"file {self._number}.txt"
        time.sleep(PAUSE)
        began = time.monotonic()
        (self._pool.peers[self._number % PEERS].folder / name).write_text("saved just now\n")
        missing = list(self._pool.peers)
        while missing:
            missing = [one for one in missing if not (one.folder / name).exists()]
            time.sleep(0.001)
        return time.monotonic() - began

    # --- Dying ---

    def _kills(self) -> Iterator[Row]:
        noticed, replaced, back = [], [], []
        for victim in self._pool.peers[:KILLS]:  # the first let all others in
            others = [one for one in self._pool.peers if one is not victim]
            linked = [one for one in others if victim.name in one.linked()]
            killed_at = time.monotonic()
            victim.kill()
            replaced.append(
                wait_until(lambda v=victim, o=others: _without(v, o), "replaced", WITHIN)  # type: ignore[misc]
                - killed_at
            )
            noticed += [_lost(one, victim, killed_at) for one in linked]
            victim.start("up")
            back.append(_synced(victim))
            self._pool.wait_whole(self._pool.peers, WITHIN)
        yield Row("kill -9: noticed by each neighbor", "", _of(noticed))
        found = _of(replaced)
        yield Row("kill -9: gone from every list, everyone has 5 links again", "< 5 s", found)
        yield Row("started again after kill -9: to `synced`", "", _of(back))

    def _freeze(self) -> Iterator[Row]:
        frozen, others = self._pool.peers[-1], self._pool.peers[:-1]
        linked = [one for one in others if frozen.name in one.linked()]
        frozen_at = time.monotonic()
        frozen.freeze()
        try:
            noticed = [_lost(one, frozen, frozen_at) for one in linked]
            wait_until(lambda: _without(frozen, others), "dropped", WITHIN)
        finally:
            thawed_at = time.monotonic()
            frozen.thaw()
        self._pool.wait_whole(self._pool.peers, WITHIN)
        back = wait_until(lambda: len(frozen.linked()) >= DEGREE, "back", WITHIN) - thawed_at
        yield Row("SIGSTOP: noticed by each neighbor", "< 5 s", _of(noticed))
        yield Row("SIGCONT: it has five links again", "", f"{back:.2f} s")

    # --- The network ---

    def _flapping(self) -> Iterator[Row]:
        pool, one = self._pool, self._pool.peers[1]
        others = [peer for peer in pool.peers if peer is not one]
        began, before = time.monotonic(), [peer.cpu_seconds() for peer in pool.peers]
        for _ in range(FLAPS):
            pool.part([one], others)
            time.sleep(FLAP)
            pool.heal()
            time.sleep(FLAP)
        took = time.monotonic() - began
        cpu = [
            100 * (peer.cpu_seconds() - spent) / took
            for peer, spent in zip(pool.peers, before, strict=True)
        ]
        new = sum(peer.dials(began) for peer in pool.peers)
        pool.wait_whole(pool.peers, WITHIN)
        yield Row(
            f"one peer's wire silent every other {FLAP} s, {FLAPS} times",
            "no storm",
            f"{new} new link ends, CPU of each at most {max(cpu):.1f} %",
        )

    def _partition(self) -> Iterator[Row]:
        pool = self._pool
        halves = pool.peers[::2], pool.peers[1::2]
        names = [{one.name for one in half} for half in halves]
        cut_at = time.monotonic()
        pool.part(*halves)
        wait_until(
            lambda: not any(_crossing(half, names[1 - n]) for n, half in enumerate(halves)),
            "both halves have noticed",
            WITHIN,
        )
        noticed = time.monotonic() - cut_at
        for number, half in enumerate(halves):
            (half[0].folder / "notes.txt").write_text(
                "".join(f"half {number}: {line}\n" for line in ("one", "two"))
            )
            (half[1].folder / f"of half {number}.txt").write_text("written while apart\n")
        time.sleep(max(0.0, cut_at + self._apart - time.monotonic()))
        apart = all(whole(half) and alike(half) for half in halves)
        healed_at = time.monotonic()
        pool.heal()
        equal = wait_until(lambda: alike(pool.peers), "all folders are equal", WITHIN) - healed_at
        pool.wait_whole(pool.peers, WITHIN)
        first = [
            event[0] - healed_at
            for number, half in enumerate(halves)
            for one in half
            for event in one.seen("peer_linked", healed_at)
            if event[1]["name"] in names[1 - number]
        ]
        crossing = sum(_crossing(half, names[1 - n]) for n, half in enumerate(halves)) // 2
        length = f"{self._apart:.0f} s silent 5/5 partition"
        yield Row(f"{length}: noticed by all", "", f"{noticed:.2f} s")
        yield Row("... each half whole and equal in itself", "yes", "yes" if apart else "NO")
        yield Row("... healed: one network again", "< 3 s", f"{min(first):.2f} s")
        yield Row("... all ten folders equal", "", f"{equal:.2f} s")
        assert len(contents(pool.peers[0].folder)) >= len(halves)
        yield Row("... links across at that moment", "", str(crossing))

    def _restart(self) -> Iterator[Row]:
        pool = self._pool
        for one in pool.peers:
            one.kill()
        began = time.monotonic()
        for one in pool.peers:
            one.begin("up")
        for one in pool.peers:
            one.wait_ready()
        ready = max(one.wait("ready", WITHIN, since=began)[0] for one in pool.peers)
        wait_until(lambda: whole(pool.peers), "one network", WITHIN)
        one_network = time.monotonic() - ready
        wait_until(lambda: min(self._degrees()) >= DEGREE, "five links each", WITHIN)
        found = f"{one_network:.2f} s; five links each after {time.monotonic() - ready:.2f} s"
        yield Row("all ten killed and started at once: last `ready` to one network", "", found)


def _synced(one: RealPeer) -> float:
    """Seconds from its start until it was in sync with somebody."""
    at, _ = one.wait("synced", WITHIN, since=one.started, accept=lambda event: event["peers"] > 0)
    return at - one.started


def _lost(by: RealPeer, whom: RealPeer, since: float) -> float:
    """Seconds until one noticed that the other is gone."""
    name = whom.name
    at, _ = by.wait("peer_lost", WITHIN, since=since, accept=lambda event: event["name"] == name)
    return at - since


def _without(victim: RealPeer, others: list[RealPeer]) -> bool:
    """Whether nobody lists it any more, and everyone has enough links."""
    links = [one.linked() for one in others]
    return all(victim.name not in one and len(one) >= DEGREE for one in links)


def _crossing(half: list[RealPeer], others: set[str]) -> int:
    """Link ends from here to there."""
    return sum(len(one.linked() & others) for one in half)


def _of(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s"


def _ms(seconds: list[float]) -> str:
    parts = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    return ", ".join(f"{name} {percentile(seconds, q) * 1e3:.0f} ms" for name, q in parts)


def namespaces_are_possible() -> bool:
    """Whether this user may make hosts here, and has the programs for it."""
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("ip", "nft")):
        return False
    made = subprocess.run(["ip", "netns", "add", "mktry"], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "del", "mktry"], check=False, capture_output=True)
    return made.returncode == 0


def page(rows: list[Row], about: str) -> str:
    """The section of the page."""
    lines = [TITLE, "", about, "", "| measure | target | measured |", "| --- | --- | --- |"]
    lines += [f"| {row.measure} | {row.target} | {row.found} |" for row in rows]
    return "\n".join(lines) + "\n"


def write(section: str) -> None:
    """Into the page, in place of what an earlier run wrote."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    before, found, after = text.partition(TITLE)
    rest = after.partition("\n## ")
    after = f"\n## {rest[2]}" if found and rest[1] else ""
    before = before.rstrip("\n") + "\n\n" if before.strip() else ""
    PAGE.write_text(before + section + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--apart", type=float, default=60.0, help="seconds of the partition")
    parser.add_argument("--loopback", action="store_true", help="as without root")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    chosen = parser.parse_args()
    hosted = namespaces_are_possible() and not chosen.loopback
    load = os.getloadavg()[0]
    where = (
        "each in a network namespace of its own on one bridge, which drops packets silently"
        if hosted
        else "all on loopback (no namespaces here); a cut is noticed by both ends at once"
    )
    about = (
        f"Made by `python -m bench.ten_peers --write`: ten `meerkat` processes, {where}. "
        f"{os.cpu_count()} cores for all ten; other work on the machine at the beginning: load "
        f"{load:.1f}."
    )
    rows = []
    prefix = f"mk{os.getpid()}x" if hosted else ""
    with scratch() as base, real_pool(base, prefix, PEERS) as pool:
        for row in Bench(pool, chosen.apart).rows():
            rows.append(row)
            print(f"{row.measure:62} {row.target:8} {row.found}", flush=True)
    if chosen.write:
        write(page(rows, about))
    sys.stdout.write(f"{about}\n")


if __name__ == "__main__":
    main()
