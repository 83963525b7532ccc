"""The disk, away from the event loop: a few threads of the web server's own.

Its own, so that however many requests wait for a slow disk, the node's threads are free.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from meerkat.node.owner_files import OpenFile, OwnerFiles, Refused, Upload

from .answers import denied_by_disk

__all__ = ["Disk"]

Result = TypeVar("Result")
THREADS = 4  # a disk serves few at once any better; guess


class Disk:
    """``OwnerFiles`` for coroutines. What it refuses becomes ``Denied``."""

    def __init__(self, files: OwnerFiles) -> None:
        self.files = files
        self._pool = ThreadPoolExecutor(THREADS, "web-disk")

    def close(self) -> None:
        """Finish what was begun. Blocks."""
        self._pool.shutdown(cancel_futures=True)
        self.files.close()

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Do blocking work in a thread. Who is cancelled still waits: the work may hold files.

        Raises:
            Denied: what the folder refused.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # nobody else will look at it
            raise
        except Refused as refused:
            raise denied_by_disk(refused) from refused

    @asynccontextmanager
    async def reading(self, path: str) -> AsyncIterator[OpenFile]:
        """A file, open within the block.

        Raises:
            Denied: if there is no such file.
        """
        opened: list[OpenFile] = []

        def open_file() -> None:
            opened.append(self.files.open(path))

        try:
            await self.run(open_file)
            yield opened[0]
        finally:
            for file in opened:
                os.close(file.descriptor)  # only read: closing does not wait for the disk

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[Upload]:
        """A new file to write to, removed after the block unless it was put in place.

        Raises:
            Denied: if the disk is full, say.
        """
        begun: list[Upload] = []

        def begin() -> None:
            begun.append(self.files.begin_upload())

        try:
            await self.run(begin)
            yield begun[0]
        finally:
            for upload in begun:
                await self.run(self.files.end_upload, upload)
