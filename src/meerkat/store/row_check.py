"""CRC-32 of stored rows: a bit that the disk turned is found where it is read (invariant D5).

Operations are signed and hashed as well; this also covers what is not, and costs 0.3 us a row.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["crc_of_author", "crc_of_entry", "crc_of_operation"]

_PLACE = struct.Struct(">QQQ")


def crc_of_author(number: int, key: bytes) -> int:
    """For a row of ``authors``."""
    return zlib.crc32(key, number)


def crc_of_operation(
    author: int, sequence: int, lamport: int, operation_hash: bytes, data: bytes
) -> int:
    """For a row of ``operations``."""
    place = _PLACE.pack(author, sequence, lamport)
    return zlib.crc32(data, zlib.crc32(operation_hash, zlib.crc32(place)))


def crc_of_entry(key: bytes, value: bytes) -> int:
    """For a row of a key-value table."""
    return zlib.crc32(value, zlib.crc32(key))
