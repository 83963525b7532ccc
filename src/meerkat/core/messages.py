"""Everything peers say to each other on a live stream (bulk frames carry bare chunks).

A message is a MessagePack array whose first element is its tag. These classes are the schema:
types, lengths and counts are checked while decoding (``wire``), so a wrong message cannot exist.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

__all__ = [
    "AddressEntry",
    "Announce",
    "AnnounceEntry",
    "Beacon",
    "Beat",
    "Broadcast",
    "Bytes16",
    "Bytes32",
    "Bytes64",
    "Contact",
    "Contacts",
    "Direct",
    "DirectAck",
    "DirectFailed",
    "Graft",
    "HaveChunks",
    "HaveHeads",
    "HeadEntry",
    "Hello",
    "Intent",
    "JoinHint",
    "JoinOffer",
    "JoinRequest",
    "MergeHint",
    "Message",
    "NetworkMessage",
    "NoChunks",
    "Operations",
    "Ping",
    "Pong",
    "Prune",
    "Push",
    "WalkKind",
    "WantChunks",
    "WantOperations",
    "WantRange",
]

Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
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


Degree = Annotated[int, Meta(ge=0, le=1_024)]
Hops = Annotated[int, Meta(ge=0, le=255)]
AnnounceEntry = tuple[Bytes32, Sequence, Sequence, Hops]
"""(author, boot, sequence, hops) of a broadcast that the sender has."""
MAX_BROADCAST_BYTES = 64 * 1024
MAX_BOX_BYTES = 64 * 1024
MAX_CONTACTS = 24
MAX_ANNOUNCED = 1_024


class Intent(IntEnum):
    """Why a connection was dialled."""

    NONE = 0  # the answer of whoever was dialled
    JOIN = 1  # a newcomer, or somebody alone: take me in, if only as a guest
    LINK = 2  # you are my own choice (from my sampler or my book)
    ACK = 3  # you sent a JOIN_REQ (``request``) and I accept it: JOIN_ACK
    PROBE = 4  # are you there, and in which part of the pool?
    MERGE = 5  # a part of the pool that was apart: link across


class WalkKind(IntEnum):
    """What a JOIN_REQ is for."""

    JOIN = 0  # more links
    OWN = 1  # a LINK that found no room goes on as a walk
    MERGE = 2  # links across two parts of a pool


class Contact(Struct, frozen=True, array_like=True):
    """Where an author can be reached, signed by itself: an entry of the seeds' *client list*.

    ``stamp`` grows with every change (milliseconds since the epoch); the newest replaces the rest.
    No ``addresses``, or not ``dialable``: it only dials out.
    """

    author: Bytes32
    addresses: Annotated[tuple[Address, ...], Meta(max_length=8)]
    dialable: bool
    stamp: Sequence
    signature: Bytes64


class Beacon(Struct, frozen=True, array_like=True):
    """The smallest id heard of in this part of the pool (overlay.md, 5.4).

    ``stable``: the sender has followed it for at least ten seconds.
    """

    author: Bytes32
    sequence: Sequence
    stable: bool = False


class Hello(Struct, frozen=True, array_like=True, tag=1):
    """First on every link, from both sides: who I am, where, what I want, what I have.

    ``opened`` is the first operation of the author's log: it binds the author to the member that
    TLS has authenticated. ``request`` and ``proof`` are those of a JOIN_REQ that it answers or may
    become. ``heads`` are the sender's command heads, if they are few; else ``heads_hash`` says
    whether there is anything to ask for. ``contacts``: others to try.
    """

    version: Annotated[int, Meta(ge=1, le=65_535)]
    pool: Bytes32
    author: Bytes32
    opened: OperationBytes
    name: Annotated[str, Meta(max_length=64)]
    contact: Contact
    intent: Intent
    request: Annotated[bytes, Meta(max_length=16)]
    proof: Annotated[bytes, Meta(max_length=64)]
    degree: Degree
    beacon: Beacon | None
    heads_hash: Annotated[bytes, Meta(max_length=32)]
    heads: Annotated[tuple[HeadEntry, ...], Meta(max_length=MAX_HEADS)]
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=MAX_CONTACTS)]


class HaveHeads(Struct, frozen=True, array_like=True, tag=2):
    """Heads of the sender that the other side may not know: those that grew, or all.

    ``lazy``: they are being pushed along the tree; ask for them only if they do not come
    (Plumtree's IHAVE).
    """

    heads: Annotated[tuple[HeadEntry, ...], Meta(max_length=MAX_HEADS)]
    lazy: bool = False


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


class JoinRequest(Struct, frozen=True, array_like=True, tag=10):
    """JOIN_REQ: walks the network until somebody takes ``origin`` as a neighbor.

    ``warm`` steps are taken before anyone may accept, ``ttl`` steps at most. ``proof`` is the
    origin's signature over pool and ``request``, so nobody can send walks in another's name.
    """

    request: Bytes16
    origin: Contact
    kind: WalkKind
    warm: Annotated[int, Meta(ge=0, le=12)]
    ttl: Annotated[int, Meta(ge=0, le=32)]
    proof: Bytes64


class JoinOffer(Struct, frozen=True, array_like=True, tag=11):
    """Back along a walk to an origin that cannot be dialled: dial ``contact``, it will take you."""

    request: Bytes16
    contact: Contact


class JoinHint(Struct, frozen=True, array_like=True, tag=12):
    """Back along a walk that found no place: others to try. No walk ends in silence."""

    request: Bytes16
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=MAX_CONTACTS)]


class Beat(Struct, frozen=True, array_like=True, tag=13):
    """I am alive: how many links I have, which beacon I follow, what my heads hash to."""

    degree: Degree
    beacon: Beacon
    heads_hash: Annotated[bytes, Meta(max_length=32)] = b""


class MergeHint(Struct, frozen=True, array_like=True, tag=14):
    """Two parts of the pool met: some of the other part, flooded on this side."""

    merge: Bytes16
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=MAX_CONTACTS)]


class Contacts(Struct, frozen=True, array_like=True, tag=5):
    """Some of the client list, for the other side's book. ``answer``: to one of theirs."""

    contacts: Annotated[tuple[Contact, ...], Meta(max_length=MAX_CONTACTS)]
    answer: bool = False


class Broadcast(Struct, frozen=True, array_like=True):
    """Something for everybody that is not kept: signed by its author, whoever passes it on.

    ``boot`` is the author's start (milliseconds since the epoch); ``sequence`` counts from 1
    within it.
    """

    author: Bytes32
    boot: Sequence
    sequence: Sequence
    kind: Annotated[int, Meta(ge=0, le=255)]
    payload: Annotated[bytes, Meta(max_length=MAX_BROADCAST_BYTES)]
    signature: Bytes64


class Push(Struct, frozen=True, array_like=True, tag=15):
    """A broadcast on its way along the tree. ``hops``: links it has crossed before this one."""

    broadcast: Broadcast
    hops: Hops


class Announce(Struct, frozen=True, array_like=True, tag=16):
    """Plumtree's IHAVE: broadcasts that the sender has, on a link that does not get them pushed."""

    entries: Annotated[tuple[AnnounceEntry, ...], Meta(min_length=1, max_length=MAX_ANNOUNCED)]


class Graft(Struct, frozen=True, array_like=True, tag=17):
    """Push to me from now on (on ``tree``: an author, or empty for all others), and send these."""

    tree: Annotated[bytes, Meta(max_length=32)]
    entries: Annotated[tuple[AnnounceEntry, ...], Meta(max_length=MAX_ANNOUNCED)] = ()


class Prune(Struct, frozen=True, array_like=True, tag=18):
    """I got it already from elsewhere: only announce to me from now on (on ``tree``)."""

    tree: Annotated[bytes, Meta(max_length=32)]


class Direct(Struct, frozen=True, array_like=True, tag=19):
    """A message for one member, over as many hops as it takes; only that member can open ``box``.

    ``hops`` were crossed so far. ``flood``: no way was known; pass it to everyone, once.
    """

    id: Bytes16
    to: Bytes32
    source: Bytes32
    box: Annotated[bytes, Meta(max_length=MAX_BOX_BYTES)]
    hops: Hops
    flood: bool = False


class DirectAck(Struct, frozen=True, array_like=True, tag=20):
    """It arrived, after ``there`` hops: signed by the author ``by`` that opened it."""

    id: Bytes16
    by: Bytes32
    there: Hops
    hops: Hops
    proof: Bytes64


class DirectFailed(Struct, frozen=True, array_like=True, tag=21):
    """DM_NOROUTE: back along its path, the message went no further."""

    id: Bytes16


class HaveChunks(Struct, frozen=True, array_like=True, tag=22):
    """I have these now; you asked for them, and I had to answer ``NoChunks``."""

    chunks: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=MAX_CHUNKS)]


NetworkMessage = (
    JoinRequest
    | JoinOffer
    | JoinHint
    | Beat
    | MergeHint
    | Contacts
    | Push
    | Announce
    | Graft
    | Prune
    | Direct
    | DirectAck
    | DirectFailed
)
"""What keeps the overlay together and spreads news on it."""

Message = (
    Hello
    | HaveHeads
    | WantOperations
    | Operations
    | WantChunks
    | NoChunks
    | HaveChunks
    | Ping
    | Pong
    | NetworkMessage
)
