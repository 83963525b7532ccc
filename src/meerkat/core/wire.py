"""Messages to bytes and back: the only file that knows the encoding of a live frame.

MessagePack arrays, decoded by msgspec into the classes of ``messages`` (decision 0001).
A bulk frame carries one or more chunks: 32 bytes of BLAKE3 hash, 4 of length (big-endian), data.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .ids import ContentHash
from .messages import Message
from .packing import pack

__all__ = [
    "MAX_FRAME_BYTES",
    "PROTOCOL_VERSION",
    "ProtocolError",
    "decode",
    "decode_chunks",
    "encode",
    "encode_chunks",
]

PROTOCOL_VERSION = 2
_LENGTH_BYTES = 4
MAX_FRAME_BYTES = 1024 * 1024 + 64 * 1024  # one operation or chunk of 1 MiB and its envelope

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class ProtocolError(Exception):
    """The other side broke the rules; it costs that link and nothing else."""


def encode(message: Message) -> bytes:
    """One live frame."""
    return pack(message)


def decode(frame: bytes) -> Message:
    """The message in a live frame.

    Raises:
        ProtocolError: on anything that is not exactly one valid message.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise ProtocolError("frame too large")
    try:
        return _decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError("malformed message") from error


def encode_chunks(chunks: Sequence[tuple[ContentHash, bytes]]) -> bytes:
    """One bulk frame: of each chunk its hash, its length and its bytes."""
    pieces: list[bytes] = []
    for chunk, data in chunks:
        pieces += (chunk, len(data).to_bytes(_LENGTH_BYTES, "big"), data)
    return b"".join(pieces)


def decode_chunks(frame: bytes) -> list[tuple[ContentHash, bytes]]:
    """The chunks in a bulk frame, each checked against its hash.

    Raises:
        ProtocolError: if it is empty, too long, cut off, or a chunk is not what it says.
    """
    if not frame or len(frame) > MAX_FRAME_BYTES:
        raise ProtocolError("bulk frame of a wrong size")
    found: list[tuple[ContentHash, bytes]] = []
    at = 0
    while at < len(frame):
        start = at + ContentHash.SIZE + _LENGTH_BYTES
        length = int.from_bytes(frame[at + ContentHash.SIZE : start], "big")
        if length == 0 or start + length > len(frame):
            raise ProtocolError("a bulk frame is cut off")
        chunk, data = ContentHash(frame[at : at + ContentHash.SIZE]), frame[start : start + length]
        if ContentHash.of(data) != chunk:
            raise ProtocolError("a chunk does not hash to its name")
        found.append((chunk, data))
        at = start + length
    return found
