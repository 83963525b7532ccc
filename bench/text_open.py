"""How long a large text with a long past takes to open, for a page and for an editor.

    python -m bench.text_open [--edits 100000] [--opens 20]

A text of 1 MiB that was typed into 100,000 times, all over, through the node. Warm: the node has
it in memory. Cold: the first to open it after the node started (its own start is not counted). For
a page: until the server's state is here, and until the document (pycrdt, in this process) has it.
Beside it y-websocket's server with the same document in memory; nothing there could be cold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench._live import RangesEditor, join_text, members, yjs_address
from bench._pair import Member, percentile, scratch, wait_for
from bench._rivals import installed, rival
from bench._yjs import YjsClient

NAME = "large.txt"
SIZE = 1 << 20  # bytes
COLD_STARTS = 5
RUN = 10  # edits at one place
TAKEN_BACK = (3, 7)  # of a run
END = "the end of the text\n"
Took = tuple[float, float]  # seconds until the state is here, and until the document has it


def content() -> str:
    """Words and lines, always the same."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghij", k=chance.randint(2, 9))) for _ in range(500)]
    lines = [" ".join(chance.choices(words, k=chance.randint(3, 14))) for _ in range(SIZE // 20)]
    return "\n".join(lines)[:SIZE]


def scribble(client: YjsClient, count: int) -> list[bytes]:
    """So many edits all over the text, as messages that are not sent yet. The last is ``END``.

    Each a character; ``RUN`` of them at one place, of which some take back the one before.
    """
    chance = random.Random(8)
    with client.holding() as messages:
        at = 0
        for number in range(count):
            if number % RUN == 0:
                at = chance.randrange(SIZE)
            if number % RUN in TAKEN_BACK:
                at -= 1
                del client.text[at : at + 1]
            else:
                client.text.insert(at, "x")
                at += 1
        client.text += END
    return messages


async def opened(address: str) -> Took:
    """One page more."""
    began = time.perf_counter()
    client = await YjsClient.join(address)
    took = client.arrived - began, time.perf_counter() - began
    assert len(client.text) > SIZE
    client.close()
    return took


async def opened_by_editor(member: Member) -> Took:
    """One editor more."""
    began = time.perf_counter()
    async with RangesEditor.open(member, NAME):
        took = time.perf_counter() - began
    return took, took


async def several(count: int, open_: Callable[[], Awaitable[Took]]) -> list[Took]:
    return [await open_() for _ in range(count)]


def show(name: str, all_took: list[Took]) -> None:
    here = [one[0] * 1e3 for one in all_took]
    done = [one[1] * 1e3 for one in all_took]
    print(
        f"  {name:44} here p50 {percentile(here, 0.5):6.0f}, most {max(here):6.0f} ms"
        f"   shown p50 {percentile(done, 0.5):6.0f}, most {max(done):6.0f} ms",
        flush=True,
    )


async def write(member: Member, edits: int) -> None:
    """Give the text its past, through the node."""
    writer = await join_text(member, NAME)
    messages = scribble(writer, edits)
    began = time.perf_counter()
    await writer.send_all(messages)
    path, text = member.folder / NAME, str(writer.text).encode()
    await asyncio.to_thread(wait_for, lambda: path.read_bytes() == text, pause=0.05)
    rate = edits / (time.perf_counter() - began)
    print(f"  {edits} edits of 1 MiB until they are in the file: {rate:.0f}/s")
    writer.close()


async def beside(text: str, edits: int, opens: int) -> None:
    with rival("y-websocket") as server:
        writer = await YjsClient.join(server.url)
        writer.text.insert(0, text)
        await writer.send_all(scribble(writer, edits))
        reader = await YjsClient.join(server.url)
        await reader.wait_until(lambda: len(reader.text) == len(writer.text))
        reader.close()
        show("y-websocket, in memory", await several(opens, lambda: opened(server.url)))
        writer.close()


async def warm(member: Member, opens: int) -> None:
    address = yjs_address(member, NAME)
    show("meerkat, page, warm", await several(opens, lambda: opened(address)))
    show("meerkat, editor, warm", await several(opens, lambda: opened_by_editor(member)))


def cold(folder: Path, open_: Callable[[Member], Awaitable[Took]]) -> Took:
    """Start the folder's process, open the text first thing, stop it."""
    member = Member("up", str(folder), folder=folder)
    try:
        return asyncio.run(open_(member))  # type: ignore[arg-type]
    finally:
        member.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edits", type=int, default=100_000)
    parser.add_argument("--opens", type=int, default=20)
    chosen = parser.parse_args()
    os.environ.setdefault("MEERKAT_DISCOVER", "0")
    text = content()
    print(f"1 MiB, {chosen.edits} past edits; aim: open within 100 ms")
    if missing := installed():
        print(f"  without y-websocket: {missing}")
    else:
        asyncio.run(beside(text, chosen.edits, chosen.opens))
    with scratch() as base:
        with members(base / "one", 1, {NAME: text}) as (member,):
            asyncio.run(write(member, chosen.edits))
            asyncio.run(warm(member, chosen.opens))

        async def page(member: Member) -> Took:
            return await opened(yjs_address(member, NAME))

        for name, open_ in (("page", page), ("editor", opened_by_editor)):
            took = [cold(base / "one" / "m0", open_) for _ in range(COLD_STARTS)]
            show(f"meerkat, {name}, cold", took)


if __name__ == "__main__":
    main()
