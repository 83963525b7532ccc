"""What live texts cost beside the bare engine: typing, receiving, opening, memory, in one run.

Run: ``python -m bench.text``. Microseconds, the median of many single calls.
"""

from __future__ import annotations

import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pycrdt

from meerkat.core.edits import Edit
from meerkat.core.text import Text, import_client_id, import_update
from meerkat.core.text_update import parse_update

COUNT = 500


def median(work: Callable[[int], object], count: int = COUNT) -> float:
    """The median of ``count`` calls, in microseconds."""
    times = []
    for i in range(count):
        start = time.perf_counter()
        work(i)
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def imported(content: str, client: int) -> Text:
    """A text that begins with ``content``."""
    text = Text(client)
    text.apply(import_update(content), {import_client_id(content)})
    return text


def typing(name: str, content: str) -> None:
    """One key at a time into a long text, at one place and all over, here and there."""
    random_ = random.Random(1)
    bare: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=9)
    engine = bare.get("text", type=pycrdt.Text)
    engine.insert(0, content)
    updates: list[bytes] = []
    bare.observe(lambda event: updates.append(event.update))
    floor = median(lambda i: engine.insert(i, "x"))
    for where, place in (
        ("in a row", lambda i: len(content) // 2 + i),
        ("anywhere", lambda _: random_.randrange(len(content))),
    ):
        one, two = imported(content, 1), imported(content, 2)
        sent: list[bytes] = []
        key = median(lambda i: sent.extend(one.edit([Edit(place(i), 0, "x")])))  # noqa: B023
        got = median(lambda i: two.apply(sent[i], {1}))  # noqa: B023
        assert one.text == two.text
        print(f"{name:15} {where:9} type {key:5.0f}  receive {got:5.0f}  bare typing {floor:3.0f}")


def memory() -> float:
    """Resident bytes now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Print the table."""
    typing("100 KB ASCII", "some text\n" * 10_000)
    typing("100 KB accents", "sömé téxt\n" * 7_700)
    typing("100 KB emoji", "some 😀\n" * 10_000)
    small = "some text\n" * 200
    state = imported(small, 1).state()
    print(f"2 KB: import {median(lambda _: imported(small, 1)):.0f}", end="   ")
    print(f"load {median(lambda _: Text.load(state, 1)):.0f}", end="   ")
    print(f"import_update {median(lambda _: import_update(small)):.0f}", end="   ")
    before = memory()
    kept = [Text.load(state, i + 1) for i in range(5_000)]
    print(f"memory {(memory() - before) / len(kept) / 1024:.1f} KiB each")
    edited = imported("some text\n" * 10_000, 1)
    random_ = random.Random(2)
    for _ in range(5_000):
        edited.edit([Edit(random_.randrange(100_000), random_.randint(0, 3), "xy")])
    whole = edited.update()
    structs = parse_update(whole).struct_count
    parse = median(lambda _: parse_update(whole), 5)
    state = edited.state()
    print(f"5,000 edits: {len(state)} B, load {median(lambda _: Text.load(state, 1), 20):.0f}")
    print(f"parse {structs} structs {parse:.0f}, {parse / structs:.2f} each")
    tracemalloc.start()
    parse_update(whole)
    print(f"parse peak {tracemalloc.get_traced_memory()[1] / len(whole):.1f} B a byte")


if __name__ == "__main__":
    main()
