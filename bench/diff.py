"""What a save costs: our diff beside difflib and rapidfuzz on one text each, in one run.

Run: ``python -m bench.diff``. Figures are the best of three, in milliseconds, and the code points
touched (deleted + inserted). ``-`` where the other is known to take seconds or gigabytes.
"""

from __future__ import annotations

import difflib
import random
import time
from collections.abc import Callable

from rapidfuzz.distance import Indel

from meerkat.core.diff import diff
from meerkat.core.edits import apply_edits

WORDS = ("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world")
PAIRS = 1.2e10  # of characters, the most a plain comparison is given: 1.5 GB


def prose(random_: random.Random, size: int, extra: str = "") -> str:
    """About ``size`` code points in lines of four to fifteen words."""
    lines = []
    length = 0
    while length < size:
        words = random_.choices(WORDS, k=random_.randint(4, 15))
        lines.append(" ".join(words) + f" {random_.randrange(10**4)}{extra}\n")
        length += len(lines[-1])
    return "".join(lines)[:size]


def scattered(random_: random.Random, text: str, count: int) -> str:
    """``text`` with ``count`` words put in at random places."""
    for place in sorted(random_.choices(range(len(text)), k=count), reverse=True):
        text = text[:place] + random_.choice(WORDS) + text[place + random_.randrange(8) :]
    return text


def cases() -> list[tuple[str, str, str]]:
    """The table of the engine's measurements: name, old, new."""
    r = random.Random(1)
    small, big = prose(r, 100_000), prose(r, 2_000_000)
    emoji = prose(r, 100_000, " 😀🎉")
    line = small.replace("\n", " ")
    lines = big.splitlines(keepends=True)
    same = ["the same line\n"] * 20_000
    three = same.copy()
    for place in (100, 9_000, 19_000):
        three[place] = "another line\n"
    return [
        ("100 KB, 1 char", small, small[:50_000] + "x" + small[50_000:]),
        ("100 KB, 5 scattered", small, scattered(r, small, 5)),
        ("100 KB emoji, 5 scattered", emoji, scattered(r, emoji, 5)),
        ("100 KB one line, 5 edits", line, scattered(r, line, 5)),
        ("2 MB, 5 scattered", big, scattered(r, big, 5)),
        ("2 MB, 500 scattered", big, scattered(r, big, 500)),
        ("100 KB reindent all", small, "".join("    " + s for s in small.splitlines(True))),
        ("100 KB LF->CRLF", small, small.replace("\n", "\r\n")),
        ("100 KB move 10 KB", small, small[:20_000] + small[30_000:] + small[20_000:30_000]),
        ("100 KB total rewrite", small, prose(r, 100_000)),
        ("2 MB total rewrite", big, prose(r, 2_000_000)),
        ("2 MB lines sorted", big, "".join(sorted(lines))),
        ("2 MB one line rewritten", big.replace("\n", " "), prose(r, 2_000_000).replace("\n", " ")),
        ("20,000 same lines, 3 edits", "".join(same), "".join(three)),
        ("20,000 same lines, 3 removed", "".join(same), "".join(same[3:])),
        ("20,000 ab lines shuffled", _shuffled(r), _shuffled(r)),
    ]


def _shuffled(random_: random.Random) -> str:
    return "".join(random_.choices(["a\n", "b\n", "\n"], k=20_000))


def best(work: Callable[[], object]) -> float:
    """The fastest of three runs, in ms; one run if it takes more than half a second."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1_000)
        if times[-1] > 500:
            break
    return min(times)


def touched_by_opcodes(opcodes: list[tuple[str, int, int, int, int]]) -> int:
    """Code points deleted and inserted."""
    return sum(j - i + m - k for tag, i, j, k, m in opcodes if tag != "equal")


def line_difflib(old: str, new: str) -> None:
    """The usual way: lines alone."""
    difflib.SequenceMatcher(None, old.splitlines(True), new.splitlines(True), False).get_opcodes()


def main() -> None:
    """Print the table."""
    print(
        f"{'case':30} {'ours ms':>9} {'touched':>10} {'edits':>7} {'rapidfuzz':>18} {'difflib':>9}"
    )
    for name, old, new in cases():
        edits = diff(old, new)
        assert apply_edits(old, edits) == new, name
        touched = sum(edit.deleted + len(edit.inserted) for edit in edits)
        ours = best(lambda old=old, new=new: diff(old, new))  # type: ignore[misc]
        plain = "-"
        if len(old) * len(new) <= PAIRS and len(old) != len(new) + 1:
            ms = best(lambda old=old, new=new: Indel.opcodes(old, new))  # type: ignore[misc]
            plain = f"{ms:.1f} ({Indel.distance(old, new)})"
        lines = "-"
        if "same" not in name and "shuffled" not in name:
            lines = f"{best(lambda old=old, new=new: line_difflib(old, new)):.1f}"  # type: ignore[misc]
        print(f"{name:30} {ours:9.2f} {touched:10} {len(edits):7} {plain:>18} {lines:>9}")


if __name__ == "__main__":
    main()
