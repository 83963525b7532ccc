"""Messages to bytes and back: the only file that knows the encoding of a live frame.

MessagePack arrays, decoded by msgspec into the classes of ``messages`` (decision 0001).
A bulk frame is a 32-byte BLAKE3 hash followed by that chunk's bytes.
"""

from __future__ import annotations

import msgspec

from .ids import ContentHash
from .messages import Message
from .packing import pack

__all__ = [
    "MAX_FRAME_BYTES",
    "PROTOCOL_VERSION",
    "ProtocolError",
    "decode",
    "decode_chunk",
    "encode",
    "encode_chunk",
]

PROTOCOL_VERSION = 1
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


def encode_chunk(chunk: ContentHash, data: bytes) -> bytes:
    """One bulk frame."""
    return bytes(chunk) + data


def decode_chunk(frame: bytes) -> tuple[ContentHash, bytes]:
    """The chunk in a bulk frame, checked against its hash.

    Raises:
        ProtocolError: if it is too short, too long, or not what it says.
    """
    if not ContentHash.SIZE < len(frame) <= MAX_FRAME_BYTES:
        raise ProtocolError("bulk frame of a wrong size")
    chunk, data = ContentHash(frame[: ContentHash.SIZE]), frame[ContentHash.SIZE :]
    if ContentHash.of(data) != chunk:
        raise ProtocolError("a chunk does not hash to its name")
    return chunk, data
