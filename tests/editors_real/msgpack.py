"""The part of MessagePack that Neovim's remote interface speaks, and nothing more."""

from __future__ import annotations

import struct
from typing import Any

__all__ = ["Truncated", "pack", "unpack"]


class Truncated(Exception):
    """More bytes are needed."""


def pack(value: Any) -> bytes:
    """One value: None, bool, int, float, str, bytes, list, tuple or dict."""
    out = bytearray()
    _pack(out, value)
    return bytes(out)


def _pack(out: bytearray, value: Any) -> None:
    if value is None:
        out.append(0xC0)
    elif isinstance(value, bool):
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        out += b"\xd3" + struct.pack(">q", value)
    elif isinstance(value, float):
        out += b"\xcb" + struct.pack(">d", value)
    elif isinstance(value, str | bytes):
        data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
        out += b"\xdb" + struct.pack(">I", len(data)) + data
    elif isinstance(value, list | tuple):
        out += b"\xdd" + struct.pack(">I", len(value))
        for item in value:
            _pack(out, item)
    elif isinstance(value, dict):
        out += b"\xdf" + struct.pack(">I", len(value))
        for key, item in value.items():
            _pack(out, key)
            _pack(out, item)
    else:
        raise TypeError(f"not for Neovim: {value!r}")


_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
# Tag -> format of the length that follows.
_STRINGS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_EXTENSIONS = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}


def unpack(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value at ``at``, and where it ends.

    Strings that are no UTF-8 keep their bytes as surrogates; a handle (buffer, window) is its
    number.

    Raises:
        Truncated: if the value does not end in ``data``.
    """
    try:
        return _unpack(data, at)
    except (IndexError, struct.error):
        raise Truncated from None


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise Truncated
    return data[at : at + size], at + size


def _number(data: bytes, at: int, form: str) -> tuple[Any, int]:
    return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)


def _unpack(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag < 0x80:
        return tag, at
    if tag >= 0xE0:
        return tag - 0x100, at
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    if tag in _NUMBERS:
        return _number(data, at, _NUMBERS[tag])
    if 0xA0 <= tag < 0xC0 or tag in _STRINGS:
        size = tag & 0x1F
        if tag in _STRINGS:
            size, at = _number(data, at, _STRINGS[tag])
        raw, at = _take(data, at, size)
        return raw.decode(errors="surrogateescape"), at
    if 0x90 <= tag < 0xA0 or tag in _ARRAYS:
        size = tag & 0x0F
        if tag in _ARRAYS:
            size, at = _number(data, at, _ARRAYS[tag])
        items = []
        for _ in range(size):
            item, at = _unpack(data, at)
            items.append(item)
        return items, at
    if 0x80 <= tag < 0x90 or tag in _MAPS:
        size = tag & 0x0F
        if tag in _MAPS:
            size, at = _number(data, at, _MAPS[tag])
        table = {}
        for _ in range(size):
            key, at = _unpack(data, at)
            table[key], at = _unpack(data, at)
        return table, at
    if tag in _FIXED_EXTENSIONS:
        size = _FIXED_EXTENSIONS[tag]
    else:
        size, at = _number(data, at, _EXTENSIONS[tag])
    raw, at = _take(data, at + 1, size)
    return _unpack(raw, 0)[0], at
