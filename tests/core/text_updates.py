"""Yjs updates written by hand, honest or not, for the tests of texts."""

from __future__ import annotations

from collections.abc import Sequence

from meerkat.core.surrogates import write_varint

Reference = tuple[int, int] | None  # client, clock


def string(text: str, origin: Reference = None, right: Reference = None) -> bytes:
    """A struct with text."""
    encoded = text.encode()
    return struct(4, write_varint(len(encoded)) + encoded, origin, right)


def deleted(length: int, origin: Reference = None, right: Reference = None) -> bytes:
    """A struct whose text is gone."""
    return struct(1, write_varint(length), origin, right)


def struct(
    kind: int, content: bytes, origin: Reference, right: Reference, root: bytes = b"\x01\x04text"
) -> bytes:
    out = bytearray([kind | (0x80 if origin else 0) | (0x40 if right else 0)])
    for reference in (origin, right):
        if reference:
            out += write_varint(reference[0]) + write_varint(reference[1])
    if not origin and not right:
        out += root
    return bytes(out + content)


def update(
    *blocks: tuple[int, int, Sequence[bytes]], deletes: Sequence[tuple[int, int, int]] = ()
) -> bytes:
    """An update of (client, first clock, structs) and deleted (client, clock, length)."""
    out = bytearray(write_varint(len(blocks)))
    for client, clock, structs in blocks:
        out += write_varint(len(structs)) + write_varint(client) + write_varint(clock)
        out += b"".join(structs)
    out += write_varint(len(deletes))
    for client, clock, length in deletes:
        out += write_varint(client) + b"\x01" + write_varint(clock) + write_varint(length)
    return bytes(out)
