"""Turns the page on and off in the folder's process, and on again when that starts anew.

The server itself is loaded when it is wanted: most folders are never looked at in a browser.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from meerkat.errors import MeerkatError, PortTaken
from meerkat.node.node import Node
from meerkat.node.owner_files import OwnerFiles, owner_files

from .kept import Kept, new_token, read_kept, write_kept
from .origins import check_origin

if TYPE_CHECKING:
    from .server import WebServer

__all__ = ["WebHost"]

LOG = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
MOVED = "The page has a new address: its old port {} is used by another program."


@dataclass(slots=True)
class _Running:
    """One life of the server, and how to end it."""

    server: WebServer
    kept: Kept
    enough: asyncio.Event
    task: asyncio.Task[None]


class WebHost:
    """The page of one node. ``async with`` it, inside the node's own block.

    A ``WebSwitch`` of the control socket.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._state = node.home.state
        self._lock = asyncio.Lock()
        self._running: _Running | None = None
        self._group = asyncio.TaskGroup()
        self._note = ""  # what whoever asks next should know

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        try:
            kept = await asyncio.to_thread(read_kept, self._state)
            if kept is not None:
                self._note = (await self.serve(0, ()))["note"]
        except MeerkatError as error:
            self._note = f"The page is not served: {error}"
        if self._note:
            LOG.warning("%s", self._note)
            self._node.bulletin.publish("problem", path="", text=self._note)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._lock:
            await self._end()
        await self._group.__aexit__(None, None, None)

    async def serve(self, port: int, origins: tuple[str, ...]) -> dict[str, Any]:
        """Serve the page, at the address it had if that is free.

        Args:
            port: another one; 0: the one it had, else any.
            origins: of other pages that may connect, besides those that were allowed before.

        Returns:
            ``url`` with the token, ``open`` (leads there once), ``port``, and ``note``: a sentence
            if the address is a new one.

        Raises:
            PortTaken: if ``port`` is used.
            MeerkatError: if an origin is none, or the folder cannot be opened.
        """
        try:
            allowed = frozenset(check_origin(origin) for origin in origins)
        except ValueError as error:
            raise MeerkatError(str(error)) from error
        async with self._lock:
            note, self._note = self._note, ""
            running = self._running
            if running is None or running.task.done() or port not in (0, running.kept.port):
                note, running = await self._begin(port)
            await self._allow(running, allowed)
            server = running.server
            return {
                "url": server.url,
                "open": server.open_once(),
                "port": running.kept.port,
                "note": note,
            }

    async def stop(self) -> None:
        """Serve it no more, nor after a restart. The token is forgotten: the next one is new."""
        async with self._lock:
            await self._end()
            await asyncio.to_thread(write_kept, self._state, None)

    async def _begin(self, port: int) -> tuple[str, _Running]:
        from .gate import Gate
        from .server import WebServer
        from .site import load_site

        before = await asyncio.to_thread(read_kept, self._state)
        if port:
            listener, note = _listen(port), ""
        else:
            listener, note = _listen_again(before)
        await self._end()
        files: OwnerFiles | None = None
        try:
            real = int(listener.getsockname()[1])
            kept = _kept_at(before, real)
            files = await asyncio.to_thread(owner_files, self._node.home)
            site = await asyncio.to_thread(load_site, real)
            await asyncio.to_thread(write_kept, self._state, kept)
        except BaseException:
            listener.close()
            if files is not None:
                files.close()
            raise
        gate = Gate(real, kept.token, frozenset(kept.origins))
        server = WebServer(self._node, files, site, listener, gate)
        ready, enough = asyncio.Event(), asyncio.Event()
        task = self._group.create_task(self._run(server, ready, enough))
        running = self._running = _Running(server, kept, enough, task)
        await ready.wait()
        if task.done():
            raise MeerkatError("The page's server could not start; see the log.")
        return note, running

    async def _run(self, server: WebServer, ready: asyncio.Event, enough: asyncio.Event) -> None:
        try:
            async with server:
                ready.set()
                await enough.wait()
        except Exception:  # a fault of ours here must not end the node
            LOG.exception("the page's server ended")
        finally:
            ready.set()

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.enough.set()
            await asyncio.wait([running.task])

    async def _allow(self, running: _Running, origins: Iterable[str]) -> None:
        new = frozenset(origins) - running.server.gate.allowed
        if not new:
            return
        allowed = running.server.gate.allowed | new
        running.kept = replace(running.kept, origins=tuple(sorted(allowed)))
        await asyncio.to_thread(write_kept, self._state, running.kept)
        running.server.gate = replace(running.server.gate, allowed=allowed)


def _kept_at(before: Kept | None, port: int) -> Kept:
    """What to keep of before. At another port the token is new, too: a program that has the old
    port was told the old token by every page that tried to connect again.
    """
    if before is None:
        return Kept(port, new_token())
    if before.port == port:
        return before
    return Kept(port, new_token(), before.origins)


def _listen_again(before: Kept | None) -> tuple[socket.socket, str]:
    if before is None:
        return _listen(0), ""
    try:
        return _listen(before.port), ""
    except PortTaken:
        return _listen(0), MOVED.format(before.port)


def _listen(port: int) -> socket.socket:
    """A socket of this machine alone. 0: any free port.

    Raises:
        PortTaken: if somebody has it, or only the system's administrator may.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortTaken(
                f"Port {port} is used or reserved. Choose another with `--port`, or leave it out."
            ) from error
        raise MeerkatError(f"Port {port} cannot be used: {error.strerror}.") from error
    return listener
