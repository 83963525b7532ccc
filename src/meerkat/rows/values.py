"""Values of SQLite's five storage classes, as they travel and as they are compared.

Two values are the same only if type and bytes are: 1, 1.0 and '1' are three (``same``). A text that
is not UTF-8 travels as ``RawText``; a foreign key's value whose parent has an automatic id travels
as ``Ref``, so that it follows its parent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from blake3 import blake3

__all__ = [
    "Locator",
    "RawText",
    "Ref",
    "Scalar",
    "Value",
    "are_values",
    "base_id",
    "decode_extension",
    "encode_extension",
    "pack_values",
    "same",
    "unpack_values",
]

MAX_ROW_ID_BYTES = 64
LONG_KEY_BYTES = 40  # a key whose encoding is longer is named by its hash


class RawText:
    """A TEXT value whose bytes are not valid UTF-8."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RawText) and other.data == self.data

    def __hash__(self) -> int:
        return hash((RawText, self.data))

    def __repr__(self) -> str:
        return f"RawText({self.data!r})"


class Ref:
    """The id of another row, whatever it is at the moment; ``value`` is what was written."""

    __slots__ = ("row", "value")

    def __init__(self, row: bytes, value: int) -> None:
        self.row, self.value = row, value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and (other.row, other.value) == (self.row, self.value)

    def __hash__(self) -> int:
        return hash((Ref, self.row, self.value))

    def __repr__(self) -> str:
        return f"Ref({self.row!r}, {self.value!r})"


Scalar = None | int | float | str | bytes | RawText
"""What a cell of the file holds."""
Value = None | int | float | str | bytes | RawText | Ref
"""What an operation says of a cell."""
Locator = int | tuple[Scalar, ...]
"""Where a row stands in the file: its rowid, or in a WITHOUT ROWID table its primary key."""


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two values are one, by type and bytes (so 0.0 is not -0.0; NaN cannot be stored)."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    return one == other


def base_id(key: Sequence[Scalar]) -> bytes:
    """The id of a row known by its key: in the base, or under a natural or explicit key.

    Such ids begin with b"k". Those of rows born under an automatic id begin with b"a".
    """
    packed = pack_values(key)
    if len(packed) > LONG_KEY_BYTES:
        return b"k#" + blake3(packed).digest(24)
    return b"k=" + packed


# -- as MessagePack: two of its extension types are ours ------------------------------------

_RAW_TEXT, _REF = 1, 2
_TYPES = frozenset({type(None), int, float, str, bytes, RawText, Ref})


def encode_extension(value: object) -> msgspec.msgpack.Ext:
    """``enc_hook`` of msgspec for our own types."""
    if isinstance(value, RawText):
        return msgspec.msgpack.Ext(_RAW_TEXT, value.data)
    if isinstance(value, Ref):
        return msgspec.msgpack.Ext(_REF, value.value.to_bytes(8, "big", signed=True) + value.row)
    raise NotImplementedError(f"no value of a cell: {type(value)}")


def decode_extension(code: int, data: memoryview) -> RawText | Ref:
    """``ext_hook`` of msgspec for our own types.

    Raises:
        ValueError: if it is none of them.
    """
    raw = bytes(data)
    if code == _RAW_TEXT:
        return RawText(raw)
    if code == _REF and 8 < len(raw) <= 8 + MAX_ROW_ID_BYTES:
        return Ref(raw[8:], int.from_bytes(raw[:8], "big", signed=True))
    raise ValueError("an unknown kind of value")


def are_values(values: Iterable[Any]) -> bool:
    """Whether everything is a ``Value`` that SQLite can hold."""
    for value in values:
        kind = type(value)
        if kind not in _TYPES or (kind is int and not -(2**63) <= value < 2**63):
            return False
    return True


_encoder = msgspec.msgpack.Encoder(enc_hook=encode_extension)
_decoder = msgspec.msgpack.Decoder(tuple[Any, ...], ext_hook=decode_extension)


def pack_values(values: Sequence[Value]) -> bytes:
    """Values as MessagePack."""
    return _encoder.encode(tuple(values))


def unpack_values(data: bytes) -> tuple[Value, ...]:
    """The values of ``pack_values``."""
    return _decoder.decode(data)
