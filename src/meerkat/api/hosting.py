"""Serving a folder inside a program, when no other process does: as `meerkat up`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from meerkat.control.host import host
from meerkat.errors import MeerkatError, NotRunning
from meerkat.node.home import locked
from meerkat.node.node import Node
from meerkat.node.options import NodeOptions
from meerkat.node.share import resume
from meerkat.web.host import WebHost

__all__ = ["Hosting"]


class Hosting:
    """The node of one folder, in a task of its own. Begun with ``start``, ended with ``stop``."""

    def __init__(self, folder: Path, options: NodeOptions) -> None:
        self._folder = folder
        self._options = options
        self._node: Node | None = None
        self._group = asyncio.TaskGroup()
        self._failure: MeerkatError | None = None

    async def start(self) -> None:
        """Return when the folder is served.

        Raises:
            AlreadyRunning: if another process has it.
            MeerkatError: why it cannot be served.
        """
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong we say ourselves
        ready = asyncio.Event()
        await self._group.__aenter__()
        self._running = self._group.create_task(self._run(ready))
        try:
            await ready.wait()
        except asyncio.CancelledError:
            self._running.cancel()
            await self._group.__aexit__(None, None, None)
            raise
        if self._node is None:
            await self._group.__aexit__(None, None, None)
            raise self._failure or NotRunning("The folder's node ended while it began.")

    async def stop(self) -> None:
        """Leave gracefully.

        Raises:
            MeerkatError: if it had ended by itself, why.
        """
        if self._node is not None:
            self._node.request_stop()
        await self._group.__aexit__(None, None, None)
        if self._failure is not None:
            raise self._failure

    async def _run(self, ready: asyncio.Event) -> None:
        async def begin() -> None:  # noqa: RUF029 - host waits for views that may have to
            self._node = node
            ready.set()

        try:
            with locked(self._folder) as state:
                home = resume(state)
                clean = False
                try:
                    node = Node(home, self._options)
                    await host(node, begin, WebHost)
                    clean = True
                finally:
                    home.close(clean=clean)
        except MeerkatError as error:
            self._failure = error
        finally:
            ready.set()
