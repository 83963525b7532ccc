"""Noticing that the network around us changed, or that the machine has slept.

Linux tells of interfaces and addresses over a netlink socket; elsewhere we look every few seconds.
A change is told when it has settled: an interface that comes up says so in several messages.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from .addresses import local_hosts
from .interfaces import MESSAGE_BYTES, interface_addresses, netlink

__all__ = ["Surroundings", "SurroundingsConfig"]

View = frozenset[tuple[str, bool]]
"""Usable addresses, and whether the interface of each has a carrier."""
Look = Callable[[], Awaitable[View]]


@dataclass(frozen=True, slots=True)
class SurroundingsConfig:
    """In seconds."""

    settle: float = 1.0  # without another message until a change is told; guess
    settle_at_most: float = 5.0  # however many messages come; guess
    look_every: float = 10.0  # where the system does not tell; guess
    clock_every: float = 5.0  # between looks at the clocks where it does; guess
    slept: float = 5.0  # at least, for it to count; links survive less. guess


DEFAULT_CONFIG = SurroundingsConfig()


def time_asleep() -> float:
    """How long this machine has slept, in s since some moment.

    The monotonic clock stands still in sleep (Linux, macOS); the other one does not. Where that is
    the time of day, setting the clock looks like sleep, which costs a few dials.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    awake_or_not = time.time() if boot is None else time.clock_gettime(boot)
    return awake_or_not - time.monotonic()


class Surroundings:
    """Calls ``changed`` after each change.

    Args:
        changed: told, and awaited.
        config: paces.
        asleep: in place of this machine's ``time_asleep``.
    """

    def __init__(
        self,
        changed: Callable[[], Awaitable[None]],
        *,
        config: SurroundingsConfig = DEFAULT_CONFIG,
        asleep: Callable[[], float] = time_asleep,
    ) -> None:
        self._changed, self._config, self._asleep = changed, config, asleep
        self._bell = asyncio.Event()

    async def watch(self) -> None:
        """Go on until cancelled."""
        wire = netlink()
        if wire is None:
            await self._watch(_look_anywhere, self._config.look_every)
            return
        loop = asyncio.get_running_loop()
        with closing(wire):
            loop.add_reader(wire, self._on_message, wire)
            try:
                await self._watch(_look_on_linux, self._config.clock_every)
            finally:
                loop.remove_reader(wire)

    def _on_message(self, wire: socket.socket) -> None:
        """What it says does not matter: whoever hears the bell looks for itself."""
        with suppress(OSError):  # nothing more, or more than the kernel could keep for us
            while wire.recv(MESSAGE_BYTES):
                pass
        self._bell.set()

    async def _watch(self, look: Look, every: float) -> None:
        view, asleep = await look(), self._asleep()
        while True:
            rang = await self._rings(every)
            before, asleep = asleep, self._asleep()
            slept = asleep - before > self._config.slept
            seen = await look()
            moved = seen != view  # also what is as before when it has settled was gone for a moment
            if rang or moved:
                await self._settle()
                view = await look()
                moved = moved or view != seen
            if moved or slept:
                await self._changed()

    async def _rings(self, within: float) -> bool:
        rang = False
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                rang = await self._bell.wait()
        self._bell.clear()
        return rang

    async def _settle(self) -> None:
        end = time.monotonic() + self._config.settle_at_most
        while await self._rings(self._config.settle) and time.monotonic() < end:
            pass


async def _look_anywhere() -> View:
    hosts = await asyncio.to_thread(local_hosts)  # may ask a name server
    return frozenset((host, True) for host in hosts)


async def _look_on_linux() -> View:  # noqa: RUF029 - as the other
    return frozenset(interface_addresses() or ())
