"""Who may be a neighbor, and whose signature it is: what the network layers ask of the roster.

``Peer`` answers from the pool's membership (``RosterGate``); the overlay-only peers of the
simulator answer from thin air, so that 10,000 of them fit into one process.
"""

from __future__ import annotations

from typing import Protocol

from .ids import AuthorId, MemberId, PoolId
from .messages import Hello

__all__ = ["Gate", "Refused"]


class Refused(Exception):
    """This one is not let in; the message is the goodbye for the other side (a word or two)."""


class Gate(Protocol):
    """The network's view of identity."""

    @property
    def pool(self) -> PoolId:
        """Which pool this is."""
        ...

    @property
    def author(self) -> AuthorId:
        """Ourselves; changes when the peer goes on as a new author."""
        ...

    def size(self) -> int:
        """About how many peers the pool has, ourselves included."""
        ...

    def may_link(self, author: AuthorId) -> bool:
        """Whether ``author`` may be a neighbor."""
        ...

    def member_of(self, author: AuthorId) -> MemberId | None:
        """The member an author speaks for."""
        ...

    def name_of(self, author: AuthorId) -> str:
        """A name to show for an author; never empty."""
        ...

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        """Whom to expect when dialling ``author``: member and TLS certificate; None: unknown."""
        ...

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        """Check that ``member`` (proven by the link) may speak as the author of this Hello.

        Raises:
            Refused: if not.
        """
        ...

    def introduce(self) -> tuple[bytes, str]:
        """Our own credentials (the first operation of our log) and name, for a Hello."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Our author key's 64-byte signature."""
        ...

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        """Whether ``author``, whom we know, signed ``data``."""
        ...
