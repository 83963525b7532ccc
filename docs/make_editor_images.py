"""Draws docs/images/edit-*.png: the real editor between three real peers in temporary folders.

``python docs/make_editor_images.py`` runs it anew; it needs ``rsvg-convert`` (librsvg2-bin).
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self

from textual.pilot import Pilot
from textual.widgets import Input

from meerkat.cli.demo_peer import DemoPeer, wait_for
from meerkat.node.home import StateFolder
from meerkat.tui.app import EditorApp
from meerkat.tui.connection import Connection
from meerkat.tui.session import State

IMAGES = Path(__file__).resolve().parent / "images"
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
WIDTH_PX = 960
PATIENCE = 20.0  # seconds
PROGRAM = '''"""Where the next ferry goes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ferry:
    """One departure."""

    harbour: str
    minutes: int  # after midnight
    seats: int = 120

    def label(self) -> str:
        hours, minutes = divmod(self.minutes, 60)
        return f"{hours:02}:{minutes:02}  {self.harbour}"


def next_ferry(ferries: list[Ferry], now: int) -> Ferry | None:
    # those that have left are gone until tomorrow
    ahead = [ferry for ferry in ferries if ferry.minutes >= now]
    return min(ahead, key=lambda ferry: ferry.minutes, default=None)
'''
NOTES = "# Ferries\n\n- ask the harbour for seats ⛴\n- 日本語 names, too: 小豆島 😀\n"


async def main() -> None:
    """Three people, one program."""
    with tempfile.TemporaryDirectory() as place:
        peers = [DemoPeer(name, Path(place)) for name in ("alice", "bob", "carol")]
        try:
            await asyncio.to_thread(start, peers)
            async with AsyncExitStack() as stack:
                alice, bob, carol = [await stack.enter_async_context(Seat(one)) for one in peers]
                await draw(alice, bob, carol)
        finally:
            for peer in peers:
                await asyncio.to_thread(peer.stop)


def start(peers: list[DemoPeer]) -> None:
    """One shares, the others join."""
    first = peers[0].folder
    (first / "ferries.py").write_text(PROGRAM)
    for name in ("notes.md", "harbours.md", "plan.txt"):
        (first / name).write_text(NOTES)
    ready = peers[0].start("share")
    for peer in peers[1:]:
        peer.start("join", ready["invitation"])
        wait_for((peer.folder / "ferries.py").exists, "the file is there", within=PATIENCE)


class Seat:
    """A peer's editor, on a screen of 80 x 24 that nobody sees."""

    def __init__(self, peer: DemoPeer) -> None:
        socket = StateFolder(peer.folder).control_socket()
        self.app = EditorApp(peer.folder, partial(Connection, socket), "ferries.py")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.pilot: Pilot[list[str]] = await self._stack.enter_async_context(
            self.app.run_test(size=(80, 24))
        )
        async with asyncio.timeout(PATIENCE):
            while self.app.buffer.session.state is not State.LIVE or not self.app.around.name:
                await self.pilot.pause(0.05)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def select(self, begin: str, end: str) -> None:
        """From one word to behind another."""
        text = self.app.buffer.text
        start = text.index(begin)
        self.app.buffer.editing.select(start, text.index(end, start) + len(end))
        self.app.on_text_view_touched()
        self.app.view.reveal()

    def put(self, behind: str) -> None:
        """The caret behind a word."""
        self.app.buffer.editing.put(self.app.buffer.text.index(behind) + len(behind))
        self.app.on_text_view_touched()
        self.app.view.reveal()


async def draw(alice: Seat, bob: Seat, carol: Seat) -> None:
    """Three pictures."""
    bob.select("hours, minutes", "60)")
    carol.put("those that have left")
    carol.app.commands.insert(" already")
    alice.put("seats: int = 120")
    async with asyncio.timeout(PATIENCE):
        while len(alice.app.view.people) < 2 or "already" not in alice.app.buffer.text:
            await alice.pilot.pause(0.1)
    await alice.pilot.pause(1.0)
    keep(alice, "edit-together")

    await alice.pilot.press("f7")
    await alice.pilot.pause(0.3)
    await alice.pilot.press("ctrl+r")
    alice.app.find_bar.query_one("#find", Input).value = "minutes"
    alice.app.find_bar.query_one("#replace", Input).value = "departure"
    await alice.pilot.pause(0.3)
    keep(alice, "edit-find")
    await alice.pilot.press("escape", "f7", "ctrl+o", "n", "o", "t")
    await alice.pilot.pause(0.3)
    keep(alice, "edit-files")


def keep(seat: Seat, name: str) -> None:
    """The screen as a picture, in a font of this machine and without an address of another."""
    svg = FONT_FACE.sub("", seat.app.export_screenshot(title="meerkat edit"))
    svg = re.sub(r"font-family: ?[^;\"]+", "font-family: DejaVu Sans Mono", svg)
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    subprocess.run(
        ["/usr/bin/env", "rsvg-convert", "-w", str(WIDTH_PX), "-o", str(IMAGES / f"{name}.png")],
        input=svg.encode(),
        check=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
