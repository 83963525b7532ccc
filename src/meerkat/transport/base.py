"""The transport port: who is linked and which bytes arrive. No meaning, no sockets.

Anything that passes ``meerkat.testing.check_transport`` is a transport. All methods are called on
one event loop's thread, and so is the listener.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from meerkat.core.ids import MemberId

__all__ = [
    "DialRefused",
    "Link",
    "LinkError",
    "LinkListener",
    "PeerNotTrusted",
    "PortTaken",
    "Transport",
]


class LinkError(Exception):
    """The link could not be made; the message says why."""


class DialRefused(LinkError):
    """Nobody answers at this address: check that the other node runs and can be reached."""


class PeerNotTrusted(LinkError):
    """The far end is not the wanted member, or does not count us as a member of its pool.

    TLS does not say why it ends a connection: one that broke just after its handshake looks like a
    refusal. So dial again some time later.
    """


class PortTaken(LinkError):
    """Another program listens on this port: choose another one, or 0 for any.

    Attributes:
        port: the port that was asked for.
    """

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken by another program")
        self.port = port


class Link(Protocol):
    """A live, authenticated connection to one member, with two streams: Live and Bulk."""

    @property
    def member(self) -> MemberId:
        """Whom TLS authenticated."""

    @property
    def address(self) -> str:
        """``host:port`` of the far end as seen from here."""

    @property
    def outbound(self) -> bool:
        """True if this side dialed."""

    @property
    def bulk_queued_bytes(self) -> int:
        """Bytes given to ``send_bulk`` that the stream has not taken yet, for pacing."""

    def send(self, frame: bytes) -> None:
        """Queue a frame on Live. Never blocks or raises; a full outbox closes with "overflow"."""

    def send_bulk(self, frame: bytes) -> None:
        """Queue a frame on Bulk: the contract of ``send``, with a bound of its own."""

    def pause_bulk(self) -> None:
        """Stop receiving Bulk, so that back-pressure holds the sender. Live goes on."""

    def resume_bulk(self) -> None:
        """Receive Bulk again."""

    def close(self, reason: str) -> None:
        """Send what is queued, say goodbye with ``reason`` (cut to 64 bytes UTF-8), then close.

        Idempotent. Nothing is received afterwards; ``link_down`` follows, later and once.
        """


class LinkListener(Protocol):
    """What a transport tells the node. Must return soon and must not raise.

    A listener that raises has a bug: its link is closed with "bug" and the error is handed to the
    event loop's exception handler.
    """

    def link_up(self, link: Link) -> None:
        """A link stands, dialed by us or by them."""

    def received(self, link: Link, frames: list[bytes]) -> None:
        """Live frames that were waiting, in order: at most about 256 KiB or 512 of them."""

    def received_bulk(self, link: Link, frame: bytes) -> None:
        """One Bulk frame, in order among Bulk frames."""

    def link_down(self, link: Link, reason: str) -> None:
        """The link is gone; exactly once for each ``link_up``.

        ``reason`` is the goodbye of whoever closed it, else "lost" (died or ended without a word),
        "frozen" (no answer to keepalive, if gRPC tells us), "overflow", "oversize" (we tried to
        send too large a frame) or "protocol" (they broke the rules).
        """


class Transport(Protocol):
    """Makes links, in both directions."""

    async def listen(self, host: str, port: int) -> str:
        """Accept links. Returns the ``host:port`` really bound; port 0 means any.

        Raises:
            PortTaken: another program has the port.
            LinkError: this host cannot be bound.
        """

    async def dial(self, address: str, member: MemberId, certificate: bytes | None) -> Link:
        """Link to ``member`` at ``address`` (``host:port``).

        ``certificate`` is the member's pinned certificate (DER); with None it is fetched first and
        checked against ``member``. ``link_up`` has been called when this returns.

        Raises:
            DialRefused: nobody answers there.
            PeerNotTrusted: somebody else answers, or we are not in their roster.
        """

    def trust(self, certificates: Mapping[MemberId, bytes]) -> None:
        """Replace the roster: who may link to us, from the next connection on.

        Links that stand are not touched; closing those of removed members is the node's decision.
        """

    async def close(self) -> None:
        """Close every link with goodbye "leave", stop listening, and wait for both."""
