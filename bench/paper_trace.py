"""A person's whole paper, key by key, through the edit path of a node, and on to another member.

    python -m bench.paper_trace --trace automerge-paper.json.gz
    python -m bench.paper_trace                     the same kind of writing, made up

The trace is the one that CRDTs are compared with: 259,778 edits of one character that made a paper
of 104,852. It is public, 0.9 MB, and not ours to ship (by Martin Kleppmann, CC BY 4.0, in the form
of https://github.com/josephg/editing-traces: sequential_traces/ascii_only/automerge-paper.json.gz).

Every edit is a message of its own, made beforehand and sent as fast as the node reads: once as a
page sends it (Yjs), once as an editor does (ranges). It ends when a reader at another member's
process has everything; the text must be the known one there and in both folders. The editor's way
is measured with the first part only: each of its edits is answered, signed and kept alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench._live import RangesEditor, join_text, members
from bench._pair import Member, scratch, wait_for
from bench._rivals import installed, rival
from bench._yjs import YjsClient

EDITS = 260_000
DELETED = 0.3  # of the edits, as in the paper
JUMP = 0.01  # of the edits are somewhere else than the one before
TARGET = 10_000  # edits/s
EDITOR_EDITS = 10_000  # of the trace, for the editor

Edit = tuple[int, int, str]  # where, how many characters go, what comes


@dataclass(frozen=True)
class Trace:
    """Edits, one after the other, and what they make of an empty text."""

    edits: list[Edit]
    text: str


def read_trace(path: Path) -> Trace:
    """A sequential trace of editing-traces."""
    data = json.loads(gzip.decompress(path.read_bytes()))
    edits = [(at, gone, new) for txn in data["txns"] for at, gone, new in txn["patches"]]
    return Trace(edits, data["endContent"])


def made_up(count: int, seed: int = 1) -> Trace:
    """Somebody writes words, takes letters back, and sometimes goes on elsewhere."""
    chance, text, at = random.Random(seed), bytearray(), 0
    edits: list[Edit] = []
    for _ in range(count):
        if chance.random() < JUMP:
            at = chance.randrange(len(text) + 1)
        if at and chance.random() < DELETED:
            at -= 1
            del text[at]
            edits.append((at, 1, ""))
        else:
            letter = chance.choice("etaoin shrdlu\n")
            text[at:at] = letter.encode()
            edits.append((at, 0, letter))
            at += 1
    return Trace(edits, text.decode())


def requests(trace: Trace) -> Iterator[bytes]:
    """The edits as lines for the control socket. ASCII with LF only."""
    for number, (start, end, new) in enumerate(places(trace.edits), start=1):
        edit = {"start": start, "end": end, "replacement": new}
        request = {"ask": "edit_text", "id": number, "session": 1, "revision": 0, "edits": [edit]}
        yield json.dumps(request).encode() + b"\n"


def places(edits: Iterable[Edit]) -> Iterator[tuple[tuple[int, int], tuple[int, int], str]]:
    """Offsets as lines and characters; a walk from one edit to the next, since they are near."""
    lines, line, before = [""], 0, 0  # `before`: characters in the lines before this one
    for at, gone, new in edits:
        while at < before:
            line -= 1
            before -= len(lines[line]) + 1
        while at > before + len(lines[line]):
            before += len(lines[line]) + 1
            line += 1
        start, column = (line, at - before), at - before
        last, end = line, column + gone
        while end > len(lines[last]):
            end -= len(lines[last]) + 1
            last += 1
        yield start, (last, end), new
        changed = lines[line][:column] + new + lines[last][end:]
        lines[line : last + 1] = changed.split("\n")


async def as_page(writer: YjsClient, reader: YjsClient, trace: Trace) -> float:
    """Edits a second until the reader has them."""
    with writer.holding() as messages:
        for at, gone, new in trace.edits:
            if gone:
                del writer.text[at : at + gone]
            if new:
                writer.text.insert(at, new)
    began = time.perf_counter()
    waiting = asyncio.ensure_future(reader.wait_until(_has(reader, trace.text), within=1800))
    await writer.send_all(messages)
    await waiting
    return len(trace.edits) / (time.perf_counter() - began)


async def as_editor(member: Member, path: str, reader: YjsClient, trace: Trace) -> float:
    """Edits a second until the reader has them."""
    lines = list(requests(trace))
    async with RangesEditor.open(member, path) as editor:
        began = time.perf_counter()
        waiting = asyncio.ensure_future(reader.wait_until(_has(reader, trace.text), within=1800))
        await editor.send_all(lines)
        await waiting
        return len(trace.edits) / (time.perf_counter() - began)


def _has(reader: YjsClient, text: str):
    """Whether it shows the text; looks at the length first, which costs nothing."""
    return lambda: len(reader.text) == len(text) and str(reader.text) == text


def _holds(path: Path, text: str) -> bool:
    return path.read_text() == text


async def beside(trace: Trace) -> None:
    """The same through y-websocket's server."""
    with rival("y-websocket") as server:
        writer, reader = [await YjsClient.join(server.url) for _ in range(2)]
        show("y-websocket's server", await as_page(writer, reader, trace))
        writer.close()
        reader.close()


async def through_nodes(pair: list[Member], trace: Trace, which: list[str]) -> None:
    for name in which:
        path = f"{name}.tex"
        reader = await join_text(pair[1], path)
        if name == "page":
            writer = await join_text(pair[0], path)
            rate = await as_page(writer, reader, trace)
            writer.close()
        else:
            trace = shortened(trace, EDITOR_EDITS)
            rate = await as_editor(pair[0], path, reader, trace)
        reader.close()
        show(f"meerkat, as the {name} sends it", rate)
        for one in pair:
            wait_for(partial(_holds, one.folder / path, trace.text), pause=0.05)
        memory = " and ".join(f"{one.memory_mib('VmRSS'):.0f}" for one in pair)
        peak = " and ".join(f"{one.memory_mib():.0f}" for one in pair)
        print(f"    both files have the known text; nodes {memory} MiB (most {peak})")


def show(name: str, rate: float) -> None:
    print(f"  {name:36} {rate:8.0f} edits/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trace", type=Path, help="of editing-traces, .json.gz")
    parser.add_argument("--edits", type=int, help="only so many, and without an end that is known")
    parser.add_argument("--only", choices=["page", "editor"])
    chosen = parser.parse_args()
    os.environ.setdefault("MEERKAT_DISCOVER", "0")
    trace = read_trace(chosen.trace) if chosen.trace else made_up(chosen.edits or EDITS)
    if chosen.edits:
        trace = shortened(trace, chosen.edits)
    kind = chosen.trace.name if chosen.trace else "made up"
    print(f"{len(trace.edits)} edits ({kind}), {len(trace.text)} characters; aim: >= {TARGET}/s")
    if not (missing := installed()):
        asyncio.run(beside(trace))
    else:
        print(f"  without y-websocket: {missing}")
    which = [chosen.only] if chosen.only else ["page", "editor"]
    with scratch() as base:
        files = {f"{name}.tex": "" for name in which}
        with members(base / "two", 2, files) as pair:
            asyncio.run(through_nodes(pair, trace, which))


def shortened(trace: Trace, count: int) -> Trace:
    """Its beginning, played in the plainest way to know what comes out."""
    if len(trace.edits) <= count:
        return trace
    text = ""
    for at, gone, new in trace.edits[:count]:
        text = text[:at] + new + text[at + gone :]
    return Trace(trace.edits[:count], text)


if __name__ == "__main__":
    main()
