"""One keystroke to other people's screens, beside the servers that other projects use, in one run.

    python -m bench.live_edit [--edits 400] [--burst 20000]

meerkat: real processes that are linked over TLS on loopback, each edit signed, kept with a full
fsync and checked by the receiver; a reader at another member's process sees it last. y-websocket
and hocuspocus: one server between all clients, which signs, encrypts and keeps nothing. All clients
are in this process and of one kind (``_yjs``, a pycrdt document), so that what they cost is the
same for all; only the rows "control socket" have ranges instead, as an editor sends them.

A latency begins before the writer's document has the key, and ends when the reader's has it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench._live import RangesEditor, join_text, members
from bench._pair import Member, percentile, scratch
from bench._rivals import PROGRAMS, Rival, installed, rival
from bench._yjs import YjsClient

NOTES, PAGE = "notes.md", "page.md"  # one for editors, one for pages: neither pays for the other
LINES = [f"line {number} of a text that people write together\n" for number in range(50)]
PAUSE = 0.05  # s between two keys: 20 a second
BLOCK = 40  # keys at one system before it is the next one's turn
WARM_UP = 20  # keys that are not counted
READERS = (10, 50)
MEMBERS = 11  # processes: a writer, and ten readers each at a member of its own
LINE, PLACE = 25, len("".join(LINES[:25]))

Key = Callable[[], Awaitable[float]]


@dataclass
class Typed:
    """One system: how to type a key and wait for the last reader, and what that took."""

    name: str
    key: Key
    took: list[float] = field(default_factory=list)

    def row(self, base: float | None) -> str:
        p50, p99 = (percentile(self.took, share) * 1e3 for share in (0.5, 0.99))
        ratio = f"   {p50 / base:5.2f} x" if base else ""
        return f"  {self.name:52} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms{ratio}"


async def compare(title: str, target: str, systems: list[Typed], edits: int) -> None:
    """Type at each in turn, and print a row for each."""
    for one in systems:
        for _ in range(WARM_UP):
            await one.key()
            await asyncio.sleep(PAUSE / 5)
    for _ in range(0, edits, BLOCK):
        for one in systems:
            for _ in range(BLOCK):
                began = time.perf_counter()
                one.took.append(await one.key())
                await asyncio.sleep(max(0.0, PAUSE - (time.perf_counter() - began)))
    print(f"\n{title}; {len(systems[0].took)} keys each, {1 / PAUSE:.0f} a second; aim: {target}")
    base = percentile(systems[0].took, 0.5) * 1e3
    for number, one in enumerate(systems):
        print(one.row(base if number else None), flush=True)


def typed_yjs(name: str, writer: YjsClient, readers: list[YjsClient]) -> Typed:
    """Type into the writer's document; the last reader's counts."""

    async def key() -> float:
        length = len(writer.text) + 1
        missing = {id(one) for one in readers}
        last = asyncio.get_running_loop().create_future()

        def look(one: YjsClient) -> None:
            if len(one.text) >= length and id(one) in missing:
                missing.remove(id(one))
                if not missing:
                    last.set_result(time.perf_counter())

        for one in readers:
            one.changed = lambda one=one: look(one)  # type: ignore[misc]
        began = time.perf_counter()
        writer.text.insert(PLACE + length % 40, "k")
        async with asyncio.timeout(60):
            return float(await last) - began

    return Typed(name, key)


def typed_ranges(name: str, writer: RangesEditor, readers: list[RangesEditor]) -> Typed:
    """Type at the writer's control socket; the last reader's event counts."""

    async def key() -> float:
        aims = {id(one): one.inserted + 1 for one in readers}
        last = asyncio.get_running_loop().create_future()

        def look(one: RangesEditor) -> None:
            if id(one) in aims and one.inserted >= aims[id(one)]:
                del aims[id(one)]
                if not aims:
                    last.set_result(time.perf_counter())

        for one in readers:
            one.changed = lambda one=one: look(one)  # type: ignore[misc]
        began = time.perf_counter()
        writer.type(LINE, 3, "k")
        async with asyncio.timeout(60):
            return float(await last) - began

    return Typed(name, key)


class Bench:
    """All systems at once: servers, two members, and everybody's clients."""

    def __init__(self, edits: int, burst: int) -> None:
        self._edits, self._burst = edits, burst
        self._clients: AsyncExitStack

    async def between_two(self, rivals: list[Rival], pair: list[Member]) -> None:
        """Everything that needs two members."""
        async with AsyncExitStack() as self._clients:
            await self._one(rivals, pair)
            for count in READERS:
                await self._several(count, rivals, pair)
            await self._back_to_back(rivals, pair)

    async def between_many(self, rivals: list[Rival], many: list[Member]) -> None:
        """A reader at each member but the writer's."""
        async with AsyncExitStack() as self._clients:
            readers = len(many) - 1
            systems = [await self._among(one, readers) for one in rivals]
            editors = [await self._editor(one) for one in many]
            name = f"meerkat: {readers} control sockets, each at a member of its own"
            systems.append(typed_ranges(name, editors[0], editors[1:]))
            title = f"One key to the last of {readers} members, {len(many)} processes"
            await compare(title, "p50 <= 5 ms", systems, self._edits)

    async def _one(self, rivals: list[Rival], pair: list[Member]) -> None:
        systems = [await self._among(one, 1) for one in rivals]
        ranges = [await self._editor(one) for one in pair]
        name = "meerkat: A's control socket to B's"
        systems.append(typed_ranges(name, ranges[0], [ranges[1]]))
        pages = [await self._page(one) for one in pair]
        name = "meerkat: page at A to page at B (websockets)"
        systems.append(typed_yjs(name, pages[0], [pages[1]]))
        aim = "control socket p50 <= 2.5, p99 <= 8 ms; pages p50 <= 10 ms"
        await compare("One key to one reader", aim, systems, self._edits)
        await self._hang_up()

    async def _several(self, count: int, rivals: list[Rival], pair: list[Member]) -> None:
        systems = [await self._among(one, count) for one in rivals]
        writer, half = await self._page(pair[0]), count // 2
        readers = [await self._page(pair[number >= half]) for number in range(count)]
        name = f"meerkat: {half} pages at the writer's node, {count - half} at B"
        systems.append(typed_yjs(name, writer, readers))
        aim = f"p50 <= {5 if count == READERS[0] else 15} ms"
        await compare(f"One key to the last of {count} readers", aim, systems, self._edits)
        await self._hang_up()

    async def _among(self, one: Rival, readers: int) -> Typed:
        """A writer and readers at another server; the text is there anew if it kept none."""
        writer = await self._at(one)
        if not len(writer.text):
            writer.text.insert(0, "".join(LINES))
        others = [await self._at(one) for _ in range(readers)]
        return typed_yjs(f"{one.name}, {readers + 1} clients", writer, others)

    async def _back_to_back(self, rivals: list[Rival], pair: list[Member]) -> None:
        print(f"\n{self._burst} keys back to back, each an update of its own; aim: >= 3000/s")
        for one in rivals:
            await self._among(one, 0)
            took = await self._burst_through(await self._at(one), await self._at(one))
            rate = self._burst / took
            print(f"  {one.name:52} {rate:8.0f} edits/s   server {rss(one.pid):4.0f} MiB")
        took = await self._burst_through(await self._page(pair[0]), await self._page(pair[1]))
        memory = " and ".join(f"{one.memory_mib('VmRSS'):.0f}" for one in pair)
        peak = " and ".join(f"{one.memory_mib():.0f}" for one in pair)
        name = "meerkat: page at A to page at B"
        print(f"  {name:52} {self._burst / took:8.0f} edits/s   nodes {memory} MiB (most {peak})")
        print("  (memory: aim < 100 MiB a node)")
        await self._hang_up()

    async def _burst_through(self, writer: YjsClient, reader: YjsClient) -> float:
        with writer.holding() as messages:
            for number in range(self._burst):
                writer.text.insert(PLACE + number % 1000, "k")
        length = len(writer.text)
        began = time.perf_counter()
        waiting = asyncio.ensure_future(reader.wait_until(lambda: len(reader.text) >= length))
        await writer.send_all(messages)
        await waiting
        took = time.perf_counter() - began
        assert str(reader.text) == str(writer.text)
        return took

    async def _editor(self, member: Member) -> RangesEditor:
        return await self._clients.enter_async_context(RangesEditor.open(member, NOTES))

    async def _at(self, one: Rival) -> YjsClient:
        return self._kept(await YjsClient.join(one.url, one.room))

    async def _page(self, member: Member) -> YjsClient:
        return self._kept(await join_text(member, PAGE))

    def _kept(self, client: YjsClient) -> YjsClient:
        self._clients.callback(client.close)
        return client

    async def _hang_up(self) -> None:
        await self._clients.aclose()
        self._clients = AsyncExitStack()


def rss(pid: int) -> float:
    """MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(one for one in text.splitlines() if one.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edits", type=int, default=400, help="keys at each system in each table")
    parser.add_argument("--burst", type=int, default=20_000)
    parser.add_argument("--few", action="store_true", help="without the eleven processes")
    chosen = parser.parse_args()
    os.environ.setdefault("MEERKAT_DISCOVER", "0")
    missing = installed()
    if missing:
        print(f"without y-websocket and hocuspocus: {missing}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning")
    files = dict.fromkeys((NOTES, PAGE), "".join(LINES))
    with ExitStack() as stack:
        base = stack.enter_context(scratch())
        rivals = [] if missing else [stack.enter_context(rival(name)) for name in PROGRAMS]
        bench = Bench(chosen.edits, chosen.burst)
        with members(base / "two", 2, files) as pair:
            asyncio.run(bench.between_two(rivals, pair))
        if not chosen.few:
            with members(base / "many", MEMBERS, files) as many:
                asyncio.run(bench.between_many(rivals, many))
    sys.stdout.write(f"load {os.getloadavg()[0]:.1f} at the end\n")


if __name__ == "__main__":
    main()
