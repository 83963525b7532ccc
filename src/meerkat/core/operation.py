"""An operation: one signed, chained entry of an author's log.

An operation has one encoding: the bytes that were signed are stored, forwarded and compared;
nobody re-encodes. Encoded it is the MessagePack array ``[body, signature]``; the signature covers
a domain string, the pool's id and ``body``, so that an operation cannot be replayed into another
pool. The next operation of the author names the hash of these bytes, so one verified signature on
the newest admits the whole range before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct

from .ids import AuthorId, OperationHash, PoolId
from .messages import Bytes32, HeadEntry
from .packing import pack
from .signing import SigningKey, verify

__all__ = [
    "FIRST",
    "MAX_COUNTER",
    "MAX_OPERATION_BYTES",
    "Operation",
    "OperationError",
    "OperationKind",
    "decode_operation",
    "sign_operation",
    "verify_operation",
]

MAX_OPERATION_BYTES = 1024 * 1024
MAX_COUNTER = 2**53 - 1  # all counters fit a double, so that every language can hold them
FIRST = OperationHash(bytes(OperationHash.SIZE))
"""What the first operation of an author names as the one before it."""

_DOMAIN = b"meerkat operation 1\x00"
Counter = Annotated[int, Meta(ge=1, le=MAX_COUNTER)]


class OperationError(ValueError):
    """Bytes that are not an operation."""


class OperationKind(IntEnum):
    """What the payload is. Operations of unknown kinds are kept and forwarded."""

    OPENED = 1  # binds the author to its member; always and only the first of a log
    MEMBERSHIP = 2  # who may be here
    CHANGES = 3  # a batch of changes to the tree and its contents
    SAID = 4  # a line for everyone
    MAIL = 5  # a sealed letter for a member who could not be reached
    RECEIPT = 6  # letters that came as MAIL were opened


class _Body(Struct, frozen=True, array_like=True):
    author: Bytes32
    sequence: Counter
    previous: Bytes32
    lamport: Counter
    seen: Annotated[tuple[HeadEntry, ...], Meta(max_length=16_384)]
    wall_ms: Annotated[int, Meta(ge=0, le=MAX_COUNTER)]
    kind: Annotated[int, Meta(ge=0, le=65_535)]
    payload: bytes


_Sealed = tuple[bytes, Annotated[bytes, Meta(min_length=64, max_length=64)]]
_sealed_decoder: msgspec.msgpack.Decoder[_Sealed] = msgspec.msgpack.Decoder(_Sealed)
_body_decoder: msgspec.msgpack.Decoder[_Body] = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Operation:
    """A decoded operation.

    ``seen`` lists the other authors' heads that rose since this author's previous operation;
    ``wall_ms`` (milliseconds since the epoch) is for people only. ``data`` is the one encoding.
    """

    author: AuthorId
    sequence: int
    previous: OperationHash
    lamport: int
    seen: tuple[tuple[AuthorId, int], ...]
    wall_ms: int
    kind: int
    payload: bytes
    data: bytes
    body: bytes
    signature: bytes
    hash: OperationHash

    @property
    def id(self) -> tuple[AuthorId, int]:
        """(author, sequence): its place among all operations."""
        return self.author, self.sequence

    @property
    def at(self) -> tuple[int, AuthorId]:
        """(Lamport, author): the order in which the last writer wins."""
        return self.lamport, self.author


def decode_operation(data: bytes) -> Operation:
    """Read one operation; its signature and place in the chain are not checked here.

    Raises:
        OperationError: if these bytes are not an operation.
    """
    if len(data) > MAX_OPERATION_BYTES:
        raise OperationError("operation too large")
    try:
        body_bytes, signature = _sealed_decoder.decode(data)
        body = _body_decoder.decode(body_bytes)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise OperationError("malformed operation") from error
    return Operation(
        author=AuthorId(body.author),
        sequence=body.sequence,
        previous=OperationHash(body.previous),
        lamport=body.lamport,
        seen=tuple((AuthorId(author), sequence) for author, sequence in body.seen),
        wall_ms=body.wall_ms,
        kind=body.kind,
        payload=body.payload,
        data=data,
        body=body_bytes,
        signature=signature,
        hash=OperationHash(blake3(data).digest()),
    )


def sign_operation(
    key: SigningKey,
    pool: PoolId,
    *,
    sequence: int,
    previous: OperationHash,
    lamport: int,
    seen: Sequence[tuple[AuthorId, int]],
    wall_ms: int,
    kind: OperationKind,
    payload: bytes,
) -> Operation:
    """Make and sign an operation.

    Raises:
        OperationError: if it would be larger than ``MAX_OPERATION_BYTES``.
    """
    body = pack((key.public, sequence, previous, lamport, tuple(seen), wall_ms, int(kind), payload))
    data = pack((body, key.sign(_DOMAIN + pool + body)))
    return decode_operation(data)


def verify_operation(operation: Operation, pool: PoolId) -> bool:
    """Whether the author signed this operation for this pool."""
    return verify(operation.author, operation.signature, _DOMAIN + pool + operation.body)
