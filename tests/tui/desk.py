"""An editor on a screen that nobody sees, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from meerkat.tui.app import EditorApp
from meerkat.tui.session import State

from .memory_folder import Desk, MemoryFolder

PATIENCE = 10.0  # seconds; a machine may be swamped


class Seat:
    """One person at an editor."""

    def __init__(self, app: EditorApp, pilot: Pilot[list[str]]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def desk(self) -> Desk:
        assert isinstance(self.app.folder, Desk)
        return self.app.folder

    @property
    def text(self) -> str:
        return self.app.buffer.text

    @property
    def caret(self) -> tuple[int, int]:
        """(line, column) from 1, as the status line has it."""
        editing = self.app.buffer.editing
        line, column = editing.lines.position(editing.span.head)
        return line + 1, column + 1

    @property
    def selected(self) -> str:
        return self.app.buffer.editing.selected

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Type it, key by key."""
        for character in text:
            self.app.commands.type(character)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.pilot.pause()

    async def live(self) -> None:
        await self.until(lambda: self.app.buffer.session.state is State.LIVE)
        await self.pilot.pause()

    async def leave(self) -> None:
        """Ctrl-Q; nothing is drawn any more then, so a pilot would wait for ever."""
        self.app.post_message(events.Key("ctrl+q", None))
        async with asyncio.timeout(PATIENCE):
            while self.app.return_value is None:  # noqa: ASYNC110 - Textual has no event for it
                await asyncio.sleep(0)

    def screen(self) -> list[str]:
        """What the text's rows show."""
        view = self.app.view
        return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


@asynccontextmanager
async def seat(
    folder: MemoryFolder,
    path: str = "",
    *,
    root: Path = Path("nowhere"),
    size: tuple[int, int] = (80, 24),
    is_new: bool = False,
) -> AsyncIterator[Seat]:
    app = EditorApp(root, partial(Desk, folder), path, is_new=is_new)
    async with app.run_test(size=size) as pilot:
        sitting = Seat(app, pilot)
        if path and not is_new:
            await sitting.live()
        yield sitting
