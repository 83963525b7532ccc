"""Dialing for the peer: a task for each attempt, at most one for each author and address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meerkat.core.effects import Dial
from meerkat.core.events import DialFailed, Event
from meerkat.core.ids import AuthorId
from meerkat.transport.base import LinkError, Transport

from .links import Links
from .spawn import Spawn

__all__ = ["Dialer"]


class Dialer:
    """Carries out ``Dial`` effects; ``post`` takes what came of them."""

    def __init__(
        self,
        spawn: Spawn,
        transport: Transport,
        links: Links,
        post: Callable[[Event], None],
    ) -> None:
        self._spawn = spawn
        self._transport = transport
        self._links = links
        self._post = post
        self._running: dict[tuple[AuthorId, str], asyncio.Task[None]] = {}

    def dial(self, effect: Dial) -> None:
        """Begin; the answer is ``LinkUp`` (from the transport) or ``DialFailed``."""
        key = (effect.author, effect.address)
        if key not in self._running:
            self._running[key] = self._spawn(lambda: self._dial(effect))

    def cancel(self) -> None:
        """Give up all attempts without a word."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    async def _dial(self, effect: Dial) -> None:
        key = (effect.author, effect.address)
        try:
            reason = await self._attempt(effect)
        finally:
            if self._running.get(key) is asyncio.current_task():
                del self._running[key]
        if reason:
            self._post(DialFailed(effect.author, effect.address, reason))

    async def _attempt(self, effect: Dial) -> str:
        """Why it failed, or nothing."""
        if self._links.is_cut(effect.member):
            return "cut"
        try:
            async with asyncio.timeout(effect.patience):
                await self._transport.dial(effect.address, effect.member, effect.certificate)
        except LinkError as error:
            return str(error)
        except TimeoutError:
            return "no answer in time"
        return "cut" if self._links.is_cut(effect.member) else ""
