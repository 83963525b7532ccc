"""``/ws``: the control protocol for the page, one JSON object a message, in both directions.

Decides what a page may ask, and what a page that does not read loses: events, never memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType

from meerkat.control import schema
from meerkat.control.conversation import Conversation, Desk

from .sockets import PROTOCOL, TEXT, Socket

__all__ = ["MAX_REQUEST", "may_ask", "serve_control"]

MAX_REQUEST = 32 * 1024 * 1024  # bytes of one message: a text of 4 MiB, escaped
MAX_OPEN = 64  # requests of one page under way at once; more wait in its socket. guess
EVENTS_WAIT = 1024 * 1024  # bytes not taken yet from which on events are dropped; guess
ALLOWED = (
    schema.Ping,
    schema.GetStatus,
    schema.ListFiles,
    schema.People,
    schema.ChatHistory,
    schema.Say,
    schema.Network,
    schema.Find,
    schema.Rename,
    schema.Subscribe,
    schema.Invite,
    schema.OpenText,
    schema.EditText,
    schema.TextFrame,
    schema.TextCursor,
    schema.CloseText,
    schema.DbList,
    schema.DbStatus,
    schema.DbConflicts,
    schema.DbHistory,
    schema.DbWatch,
    schema.DbUnwatch,
    schema.DbTables,
    schema.DbRows,
    schema.DbCell,
    schema.DbSetCell,
    schema.DbInsertRow,
    schema.DbDeleteRow,
)


def may_ask(request: schema.Request) -> bool:
    """Whether a page may ask that: nothing that ends the process or tests it, and no SQL."""
    return isinstance(request, ALLOWED)


async def serve_control(socket: Socket, desk: Desk) -> None:
    """Answer until one side has enough; the socket is closed then."""
    told = _Told(socket)
    talk = Conversation(desk, told.put_event, told.put_text, may_ask=may_ask)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_end(socket)), group.create_task(told.catch_up())]
            await _read(socket, talk)
            for task in tasks:
                task.cancel()
    finally:
        talk.end()
    await socket.close()


async def _end(socket: Socket) -> None:
    await socket.wait_over()
    await socket.close()  # this ends the reading, too


async def _read(socket: Socket, talk: Conversation) -> None:
    """Begin answers in the order of the requests; a slow one holds up none that follow."""
    slots = asyncio.Semaphore(MAX_OPEN)
    answers: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while (message := await socket.receive()) is not None:
            if message.type is not WSMsgType.TEXT:
                socket.end(PROTOCOL, "Send JSON objects as text messages.")
                break
            await slots.acquire()
            task = group.create_task(_answer(message.data, socket, talk, slots))
            answers.add(task)
            task.add_done_callback(answers.discard)
        await asyncio.sleep(0)  # what was asked last takes effect, even if nobody hears the answer
        for task in tuple(answers):
            task.cancel()


async def _answer(line: str, socket: Socket, talk: Conversation, slots: asyncio.Semaphore) -> None:
    try:
        socket.put(TEXT, _encode(await talk.reply(line)))
        with suppress(OSError):
            await socket.drain()  # who does not read its answers is not asked for more
    finally:
        slots.release()


class _Told:
    """What a page is told without asking."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._missed = 0
        self._behind = asyncio.Event()

    def put_event(self, event: Mapping[str, Any]) -> None:
        """May be dropped: the page is told to look again instead."""
        if self._missed or self._socket.waiting_bytes > EVENTS_WAIT:
            self._missed += 1
            self._behind.set()
        else:
            self._socket.put(TEXT, _encode(event))

    def put_text(self, event: Mapping[str, Any]) -> None:
        """About an open text; who does not read these is cut off in the end."""
        self._socket.put(TEXT, _encode(event))

    async def catch_up(self) -> None:
        """Once the page reads again, tell it how much it missed."""
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._socket.drain()
            except OSError:
                return
            missed, self._missed = self._missed, 0
            self._socket.put(TEXT, _encode({"event": "resync", "missed": missed}))


def _encode(value: schema.Reply | Mapping[str, Any]) -> bytes:
    return schema.encode_line(value)[:-1]
