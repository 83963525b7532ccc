"""MessagePack for everything of ours: typed ids go out as the plain bytes they are."""

from __future__ import annotations

from typing import Any

import msgspec

from .ids import Id

__all__ = ["pack"]


def _plain(value: Any) -> bytes:
    if isinstance(value, Id):
        return bytes(value)
    raise TypeError(f"cannot encode a {type(value).__name__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)


def pack(value: object) -> bytes:
    """MessagePack of plain values, Structs and ids."""
    return _encoder.encode(value)
