"""Members with a transport of their own, for tests: what they hear can be waited on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from meerkat.core.ids import MemberId
from meerkat.transport.base import Link, LinkError, Transport

__all__ = ["MakeParty", "Party", "Recorder", "linked", "refused"]


@dataclass
class Recorder:
    """A ``LinkListener`` that writes everything down and can be waited on."""

    up: list[Link] = field(default_factory=list)
    down: list[tuple[Link, str]] = field(default_factory=list)
    live: list[bytes] = field(default_factory=list)
    bulk: list[bytes] = field(default_factory=list)
    calls: list[tuple[int, int]] = field(default_factory=list)  # frames and bytes of each call
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def link_up(self, link: Link) -> None:
        """See LinkListener."""
        self.up.append(link)
        self.changed.set()

    def received(self, link: Link, frames: list[bytes]) -> None:
        """See LinkListener."""
        self.live += frames
        self.calls.append((len(frames), sum(map(len, frames))))
        self.changed.set()

    def received_bulk(self, link: Link, frame: bytes) -> None:
        """See LinkListener."""
        self.bulk.append(frame)
        self.changed.set()

    def link_down(self, link: Link, reason: str) -> None:
        """See LinkListener."""
        self.down.append((link, reason))
        self.changed.set()

    @property
    def reasons(self) -> list[str]:
        """Why links went down, in order."""
        return [reason for _, reason in self.down]

    async def until(self, condition: Callable[[], object], patience: float = 5.0) -> None:
        """Wait until ``condition`` holds; checked after everything heard.

        Raises:
            TimeoutError: it does not hold after ``patience`` seconds.
        """
        async with asyncio.timeout(patience):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Party:
    """A member with a transport of its own."""

    transport: Transport
    heard: Recorder
    member: MemberId
    certificate: bytes
    address: str = ""

    def trust(self, *parties: Party) -> None:
        """Let exactly these link to us."""
        self.transport.trust({party.member: party.certificate for party in parties})

    async def dial(self, other: Party, *, probe: bool = False) -> Link:
        """Link to ``other`` at its address; with ``probe`` without knowing its certificate."""
        certificate = None if probe else other.certificate
        return await self.transport.dial(other.address, other.member, certificate)


MakeParty = Callable[..., Awaitable[Party]]  # (*, listens: bool, options: TransportOptions | None)


async def linked(make: MakeParty) -> tuple[Party, Party, Link, Link]:
    """Alice and Bob, and the link Alice dialed: her end and his."""
    alice, bob = await make(), await make()
    bob.trust(alice)
    link = await alice.dial(bob)
    await bob.heard.until(lambda: bob.heard.up)
    return alice, bob, link, bob.heard.up[0]


async def refused(kind: type[LinkError], work: Awaitable[object]) -> None:
    """Await ``work``, which must raise exactly ``kind``."""
    raised: LinkError | None = None
    try:
        await work
    except LinkError as error:
        raised = error
    assert type(raised) is kind, repr(raised)
    assert str(raised), "an error must say something"
