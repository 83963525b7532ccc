"""The connection to one folder's process, for all texts of it that the editor has open.

It is made when the first text is opened, and made anew whenever it ends. A process is started only
for an editor that opens a text: one that was stopped on purpose stays so.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from meerkat.control.async_client import AsyncControlClient
from meerkat.errors import MeerkatError, NotRunning
from meerkat.node.home import StateFolder

from .live_text import Answer, LiveText

__all__ = ["FolderLink", "Start"]

LOG = logging.getLogger(__name__)
FIRST_RETRY = 0.1  # seconds until the first look whether the process is back; guess
LOOKS = 100  # at a process that does not serve yet, so often; starting takes a second
LAST_RETRY = 2.0  # the same, later: a look costs a tenth of a millisecond

Start = Callable[[Path], None]
"""Starts a process for a folder and returns when it serves. Called in a thread.

Raises MeerkatError if that fails.
"""


class FolderLink:
    """One shared folder. ``run`` it."""

    def __init__(self, folder: Path, start: Start) -> None:
        self.folder = folder
        self._state = StateFolder(folder)
        self._start = start
        self._texts: dict[LiveText, Answer] = {}  # with who hears of its being opened
        self._by_number: dict[int, LiveText] = {}
        self._client: AsyncControlClient | None = None
        self._group: asyncio.TaskGroup | None = None
        self._lost = asyncio.Event()
        self._wake = asyncio.Event()
        self._counter = itertools.count(1)

    def add(self, text: LiveText, answer: Answer) -> None:
        """Open a text. ``answer`` hears of it before the editor hears of anything else."""
        self._texts[text] = answer
        self._wake.set()
        if self._client is not None:
            self._connect(text)

    def remove(self, text: LiveText) -> None:
        """The editor is done with it."""
        self._texts.pop(text, None)
        for number, one in list(self._by_number.items()):
            if one is text:
                del self._by_number[number]

    async def run(self) -> None:
        """Keep the connection while there are texts, for ever."""
        delay = FIRST_RETRY
        while True:
            for text in [text for text in self._texts if text.over]:
                self.remove(text)
            while not self._texts:
                self._wake.clear()
                await self._wake.wait()
            try:
                await self._serve()
                delay = FIRST_RETRY
            except NotRunning:
                if any(not text.opened for text in self._texts):
                    await self._begin()
                    continue
            except MeerkatError as error:
                self._refuse(str(error))
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, LAST_RETRY)

    async def _serve(self) -> None:
        """One connection, to its end."""
        self._lost.clear()
        try:
            async with (
                AsyncControlClient(self._state.control_socket(), self._hear) as client,
                asyncio.TaskGroup() as group,
            ):
                self._client, self._group = client, group
                self._counter = itertools.count(1)
                for text in self._texts:
                    self._connect(text)
                await self._lost.wait()
        finally:
            self._client = self._group = None
            self._by_number.clear()
            for text in self._texts:
                text.disconnect()

    async def _begin(self) -> None:
        """Start a process, unless somebody else has just done so."""
        looks = 0
        while self._state.running_pid() is not None and looks < LOOKS:
            try:
                async with AsyncControlClient(self._state.control_socket()):
                    return
            except MeerkatError:
                looks += 1
                await asyncio.sleep(FIRST_RETRY)
        LOG.warning("no process serves %s; starting one", self.folder)
        try:
            await asyncio.to_thread(self._start, self.folder)
        except MeerkatError as error:
            if looks == LOOKS or self._state.running_pid() is None:  # else it is another's
                self._refuse(str(error))

    def _refuse(self, sentence: str) -> None:
        for text, answer in list(self._texts.items()):
            if not text.opened:
                self.remove(text)
                text.end("stopping", sentence)
                answer(sentence)

    def _connect(self, text: LiveText) -> None:
        assert self._client is not None
        assert self._group is not None

        def number() -> int:
            found = next(self._counter)
            self._by_number[found] = text
            return found

        answer = self._texts[text]
        self._texts[text] = _nobody
        self._group.create_task(self._connected(text, text.connect(self._client, number, answer)))

    async def _connected(self, text: LiveText, connecting: Awaitable[bool]) -> None:
        if await connecting and self._client is not None:
            self._connect(text)

    def _hear(self, event: Mapping[str, Any]) -> None:
        if event["what"] == "lost":
            self._lost.set()
            return
        text = self._by_number.get(event["session"])
        if text is None:
            return
        if event["what"] == "closed":
            self._by_number.pop(event["session"], None)
        if text.hear(event) and self._client is not None:
            self._connect(text)


def _nobody(problem: str) -> None:
    """Nobody asked for it this time."""
