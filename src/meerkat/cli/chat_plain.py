"""The chat for pipes and programs: a line in, a line out, nothing that moves a cursor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import CancelledError
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, TextIO

import click

from meerkat.errors import MeerkatError

from .chat_lines import Nothing, Said, read_line, receipt, sentence
from .chat_session import CHAT_EVENTS, ChatSession
from .printing import print_json
from .visible import visible

__all__ = ["Plain", "follow_lines", "say_lines", "say_once"]

Facts = Mapping[str, Any]

RECEIPT_WITHIN = 20.0  # seconds; the node has tried every way before and said `waiting`
LINES_AHEAD = 100  # of standard input read and not said yet


@dataclass(frozen=True, slots=True)
class Plain:
    """How to print. ``last`` lines from before come first."""

    json: bool
    last: int = 0

    def show(self, event: Facts) -> None:
        """What was said, or became of it; for people only the former."""
        if event["event"] not in CHAT_EVENTS:
            return
        if self.json:
            print_json(event)
        elif event["event"] == "chat":
            click.echo(sentence(event))

    async def show_history(self, session: ChatSession) -> None:
        """What was said before."""
        if self.last:
            for line in await session.history(self.last):
                self.show({"event": "chat", **line})


async def follow_lines(session: ChatSession, plain: Plain) -> None:
    """Print what is said, until the process ends or somebody interrupts."""
    await plain.show_history(session)
    async with aclosing(session.heard()) as heard:
        async for event in heard:
            plain.show(event)


async def say_once(session: ChatSession, said: Said, plain: Plain) -> None:
    """Say one thing; tell what became of it, if it was for one."""
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(_hear(session))
        line = await session.say(said)
        if plain.json:
            print_json({"event": "said", "id": line})
        if said.to:
            found = await session.wait_receipt(line, RECEIPT_WITHIN)
            if plain.json and found is not None:
                print_json(found)
            elif not plain.json:
                click.echo(_told(found, said))
        hearing.cancel()


async def say_lines(session: ChatSession, to: str, plain: Plain, source: TextIO) -> int:
    """Say each line of ``source`` and print what others say meanwhile; the exit code.

    With ``to`` every line goes there as it is; without, `@name text` is for one. A line that
    cannot be said costs a sentence on standard error, and the exit code.
    """
    exit_code = 0
    await plain.show_history(session)
    names = await session.names()
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(_hear(session, plain))
        receipts: list[asyncio.Task[None]] = []
        async for text in _lines(source):
            said = Said(text.strip(), to) if to else _meant(text, names)
            if not isinstance(said, Said) or not said.text:
                continue
            try:
                line = await session.say(said)
            except MeerkatError as error:
                exit_code = error.exit_code
                click.echo(f"meerkat: {visible(str(error))}", err=True)
                continue
            if said.to:
                receipts = [one for one in receipts if not one.done()]
                receipts.append(group.create_task(_receipt(session, line, said, plain)))
        if receipts:
            await asyncio.wait(receipts)
        hearing.cancel()
    return exit_code


def _meant(text: str, names: list[str]) -> Said | Nothing:
    """Lines of a pipe hold no commands: `/etc` may be what somebody wants to say."""
    if text.lstrip().startswith("/"):
        return Said(text.strip())
    found = read_line(text, names)
    if isinstance(found, Nothing) and found.why:
        click.echo(f"meerkat: {found.why}", err=True)
    return found if isinstance(found, Said) else Nothing()


async def _hear(session: ChatSession, plain: Plain | None = None) -> None:
    """What we said ourselves is printed for programs only: a pipe must not answer itself."""
    async with aclosing(session.heard()) as heard:
        async for event in heard:
            if plain is not None and (plain.json or not event.get("own")):
                plain.show(event)


async def _receipt(session: ChatSession, line: str, said: Said, plain: Plain) -> None:
    found = await session.wait_receipt(line, RECEIPT_WITHIN)
    if not plain.json:
        click.echo(_told(found, said), err=True)


def _told(found: Facts | None, said: Said) -> str:
    return receipt(found) if found is not None else f"on its way to {visible(said.to)}"


async def _lines(source: TextIO) -> AsyncIterator[str]:
    """The lines of a file, a pipe or a terminal. A thread reads: not all of them can be polled."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str] = asyncio.Queue(LINES_AHEAD)

    def read() -> None:
        with suppress(RuntimeError, CancelledError):  # the chat is over
            with suppress(OSError, ValueError):  # somebody closed it
                while line := source.readline():
                    asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(""), loop).result()

    # A daemon: it may wait for a line that never comes when the chat ends.
    threading.Thread(target=read, name="chat-input", daemon=True).start()
    while line := await queue.get():
        yield line
