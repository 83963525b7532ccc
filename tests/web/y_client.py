"""A y-websocket client in Python: what the npm provider does, over pycrdt."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from pycrdt import (
    Awareness,
    Doc,
    Text,
    YMessageType,
    YSyncMessageType,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    read_message,
)


class YClient:
    """One tab: a document, its text, and a connection."""

    def __init__(self) -> None:
        # As the clients in JavaScript choose them: ids from 2**32 on belong to nodes.
        self.doc: Doc[Any] = Doc(client_id=secrets.randbits(32))
        self.text = self.doc.get("text", type=Text)
        self.awareness = Awareness(self.doc)
        self.synced = asyncio.Event()
        self.closed: tuple[int, str] | None = None
        self._applying = False

    @asynccontextmanager
    async def connected(self, url: str) -> AsyncIterator[YClient]:
        """Joined and in sync within the block, unless the server closes."""
        self.synced.clear()
        self.closed = None
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(url, max_msg_size=0) as self._socket,
            asyncio.TaskGroup() as group,
        ):
            self._out: asyncio.Queue[bytes] = asyncio.Queue()
            tasks = [group.create_task(self._write()), group.create_task(self._read())]
            subscription = self.doc.observe(self._on_update)
            self._out.put_nowait(create_sync_message(self.doc))
            await self.synced.wait()
            try:
                yield self
                await self._out.join()
            finally:
                self.doc.unobserve(subscription)
                for task in tasks:
                    task.cancel()

    def _on_update(self, event: Any) -> None:
        if not self._applying:
            self._out.put_nowait(create_update_message(event.update))

    async def _write(self) -> None:
        while True:
            await self._socket.send_bytes(await self._out.get())
            self._out.task_done()

    async def _read(self) -> None:
        async for message in self._socket:
            data: bytes = message.data
            if data[0] == YMessageType.AWARENESS:
                self.awareness.apply_awareness_update(read_message(data[1:]), "server")
                continue
            self._applying = True
            try:
                reply = handle_sync_message(data[1:], self.doc)
            finally:
                self._applying = False
            if data[1] == YSyncMessageType.SYNC_STEP2:
                self.synced.set()
            if reply is not None:
                self._out.put_nowait(reply)
        self.closed = (self._socket.close_code or 0, "")
        self.synced.set()

    def show(self, **state: Any) -> None:
        """Tell the others who and where we are."""
        from pycrdt import create_awareness_message

        self.awareness.set_local_state(state)
        update = self.awareness.encode_awareness_update([self.awareness.client_id])
        self._out.put_nowait(create_awareness_message(update))
