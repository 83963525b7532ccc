"""Running a node for a person: signals, views, and saying when it is ready."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from meerkat.control.host import host
from meerkat.errors import MeerkatError
from meerkat.node.home import Home, StateFolder, locked
from meerkat.node.identity import clean_name
from meerkat.node.node import Node
from meerkat.node.options import NodeOptions
from meerkat.web.host import WebHost

from .asking import require_pool
from .log_file import logging_to
from .views import JsonView, PlainView, QuietView, View

__all__ = ["Home", "Serving", "StateFolder", "known_as", "serve"]

TICK = 0.25  # seconds between looks while something is shown live; calm, and cheap
EXIT_TWICE = 130

OpenHome = Callable[[StateFolder], Awaitable[Home]]


@dataclass(frozen=True, slots=True)
class Serving:
    """How to run. ``uses`` and ``expires`` (seconds): print such an invitation; 0 uses: none.

    ``open_page``: what to do with the page as soon as it can be served.
    """

    options: NodeOptions
    json: bool = False
    quiet: bool = False
    uses: int = 0
    expires: float = 0.0
    ready_fd: int | None = None
    open_page: Callable[[WebHost], Awaitable[None]] | None = None


def known_as(home: Home, name: str | None) -> Home:
    """``--name`` counts once, when a member is made: tell whoever gives another one later."""
    if name is not None and clean_name(name) != home.identity.name:
        click.echo(
            f"meerkat: You are {home.identity.name} to the others, not {clean_name(name)}: "
            "a name is set by the first `share` or `join`; `/name` in `meerkat chat` changes it.",
            err=True,
        )
    return home


def serve(folder: Path, open_home: OpenHome, serving: Serving, *, existing: bool = False) -> None:
    """Serve ``folder`` until told to stop; with ``existing`` it must be shared already.

    Raises:
        MeerkatError: why it cannot be served, or why it ended by itself.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong we say ourselves
    if existing:
        require_pool(folder)
    with locked(folder) as state:
        asyncio.run(_serve(state, open_home, serving))


async def _serve(state: StateFolder, open_home: OpenHome, serving: Serving) -> None:
    with logging_to(state.log):
        home = await open_home(state)
        clean = False
        try:
            await _Run(home, serving).run()
            clean = True
        finally:
            home.close(clean=clean)


class _Run:
    """One run of one node, and what is shown of it."""

    def __init__(self, home: Home, serving: Serving) -> None:
        self._serving = serving
        self._node = Node(home, serving.options)
        self._view = _view(serving)
        self._shown = True

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            await host(self._node, self._ready, self._make_web)
        finally:
            self._view.close()
            self._shown = False
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _make_web(self, node: Node) -> WebHost:
        self._web = WebHost(node)
        return self._web

    def _on_signal(self) -> None:
        """The first leaves in good order; whoever insists is obeyed at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(EXIT_TWICE))
        self._node.request_stop()

    async def _ready(self) -> None:
        facts = await self._facts()
        if self._serving.ready_fd is not None:
            os.write(self._serving.ready_fd, b"ready\n")
            os.close(self._serving.ready_fd)
        if self._serving.open_page is not None:
            await self._serving.open_page(self._web)
        self._view.ready(facts)
        self._node.subscribe(self._on_event)
        if not isinstance(self._view, QuietView):  # the others show events only
            self._tick()

    async def _facts(self) -> dict[str, Any]:
        node = self._node
        status = node.describe()
        facts: dict[str, Any] = {
            "event": "ready",
            "folder": status["folder"],
            "address": status["address"],
        }
        if self._serving.uses:
            invitation = None
            if node.reach.door:
                invitation = await node.invite(
                    uses=self._serving.uses, lifetime=self._serving.expires
                )
            facts["invitation"] = invitation
        for name in ("addresses", "listening", "pid", "pool", "pool_name", "member", "author"):
            facts[name] = status[name]
        return facts

    def _on_event(self, event: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):
            self._view.event(event)

    def _tick(self) -> None:
        """Show how things are, again and again, until the view is closed."""
        if self._shown:
            if (status := self._status()) is not None:
                self._view.tick(status)
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def _status(self) -> dict[str, Any] | None:
        try:
            return self._node.describe()
        except MeerkatError:
            return None  # it is ending, and says why itself


def _view(serving: Serving) -> View:
    if serving.json:
        return JsonView()
    if serving.quiet:
        return QuietView()
    if sys.stdout.isatty():
        from .live_view import LiveView

        return LiveView()
    return PlainView()
