"""Everything peers say to each other on a live stream (bulk frames carry bare chunks).

A message is a MessagePack array whose first element is its tag. These classes are the schema:
types, lengths and counts are checked while decoding (``wire``), so a wrong message cannot exist.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = [
    "AddressEntry",
    "Addresses",
    "Bytes16",
    "Bytes32",
    "HaveHeads",
    "HeadEntry",
    "Hello",
    "Message",
    "NoChunks",
    "Operations",
    "Ping",
    "Pong",
    "WantChunks",
    "WantOperations",
    "WantRange",
]

Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Sequence = Annotated[int, Meta(ge=0, le=2**53 - 1)]
HeadEntry = tuple[Bytes32, Sequence]
"""(author, sequence)"""
WantRange = tuple[Bytes32, Sequence, Sequence]
"""(author, first, last), both included."""
Address = Annotated[str, Meta(min_length=1, max_length=300)]
OperationBytes = Annotated[bytes, Meta(min_length=1, max_length=1024 * 1024)]

MAX_HEADS = 16_384  # entries; 40 bytes each stay below a frame (guess: larger pools need slices)
MAX_OPERATIONS = 4_096  # a message; more go in the next one
MAX_CHUNKS = 4_096  # wanted at once by one peer


class Hello(Struct, frozen=True, array_like=True, tag=1):
    """First on every link, from both sides: who I am, where I listen, what I have.

    ``opened`` is the first operation of the author's log: it binds the author to the member that
    TLS has authenticated. ``heads`` are the sender's command heads.
    """

    version: Annotated[int, Meta(ge=1, le=65_535)]
    pool: Bytes32
    author: Bytes32
    opened: OperationBytes
    name: Annotated[str, Meta(max_length=64)]
    listen: Annotated[tuple[Address, ...], Meta(max_length=8)]
    heads: Annotated[tuple[HeadEntry, ...], Meta(max_length=MAX_HEADS)]


class HaveHeads(Struct, frozen=True, array_like=True, tag=2):
    """The sender's heads, after they grew and at a slow beat (anti-entropy)."""

    heads: Annotated[tuple[HeadEntry, ...], Meta(max_length=MAX_HEADS)]


class WantOperations(Struct, frozen=True, array_like=True, tag=3):
    """Send me these; ``limit_bytes`` bounds the answer."""

    ranges: Annotated[tuple[WantRange, ...], Meta(min_length=1, max_length=MAX_HEADS)]
    limit_bytes: Annotated[int, Meta(ge=1, le=1024 * 1024)]


class Operations(Struct, frozen=True, array_like=True, tag=4):
    """Operations exactly as they were signed; each author's in sequence order without gaps.

    ``answer``: to a ``WantOperations``, perhaps cut at its limit; otherwise a push of news.
    """

    operations: Annotated[tuple[OperationBytes, ...], Meta(max_length=MAX_OPERATIONS)]
    answer: bool = False


class AddressEntry(Struct, frozen=True, array_like=True):
    """Where an author was reachable: the seeds' *client list*, an entry each."""

    author: Bytes32
    addresses: Annotated[tuple[Address, ...], Meta(max_length=8)]


class Addresses(Struct, frozen=True, array_like=True, tag=5):
    """The client list: everyone the sender knows how to reach."""

    entries: Annotated[tuple[AddressEntry, ...], Meta(max_length=1_024)]


class WantChunks(Struct, frozen=True, array_like=True, tag=6):
    """Send these chunks on the bulk stream, in this order."""

    chunks: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=MAX_CHUNKS)]


class NoChunks(Struct, frozen=True, array_like=True, tag=7):
    """I do not have these (any more, or not yet)."""

    chunks: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=MAX_CHUNKS)]


class Ping(Struct, frozen=True, array_like=True, tag=8):
    """Answer this at once with ``Pong``: how long do live messages take while bulk flows?"""

    token: Sequence


class Pong(Struct, frozen=True, array_like=True, tag=9):
    """The answer to ``Ping``."""

    token: Sequence


Message = (
    Hello
    | HaveHeads
    | WantOperations
    | Operations
    | Addresses
    | WantChunks
    | NoChunks
    | Ping
    | Pong
)
