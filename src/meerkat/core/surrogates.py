"""Where a text's UTF-16 pairs are, and the integers (``lib0``) they are written in.

Yjs counts clocks in UTF-16 units, so a character beyond U+FFFF takes two of them. A reference
between the two makes the engine damage the text (measured: a half deleted emoji takes the other
half along and moves all clocks behind it), so such references are refused. The engine forgets
deleted characters; these runs do not, or two peers would judge one update differently.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping

__all__ = ["Surrogates", "TextUpdateError", "read_varint", "write_varint"]

MAX_INTEGER = 2**53  # what JavaScript peers can hold exactly
_MORE = 0x80  # this bit of a byte says that another follows
_MAX_SHIFT = 49  # the eighth and last varint byte of a 53-bit integer starts here
_ASTRAL = re.compile("[\U00010000-\U0010ffff]+")


class TextUpdateError(ValueError):
    """This change to a text is not one that meerkat makes; it was not applied."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """One unsigned ``lib0`` integer at ``at``: (value, where the next thing starts).

    Raises:
        TextUpdateError: if it is cut short, not in its shortest form, or above 2^53.
    """
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < _MORE:
                break
            shift += 7
            if shift > _MAX_SHIFT:
                raise TextUpdateError("an integer is too large")
    except IndexError:
        raise TextUpdateError("the update is cut short") from None
    if (byte == 0 and shift) or value >= MAX_INTEGER:
        raise TextUpdateError("an integer is not canonical")
    return value, at


def write_varint(value: int) -> bytes:
    """The shortest ``lib0`` form of a number >= 0."""
    out = bytearray()
    while value >= _MORE:
        out.append(_MORE | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)


class Surrogates:
    """Which clocks are the second half of a UTF-16 pair: nothing may point or cut there.

    Clocks count UTF-16 units, so a character beyond U+FFFF takes two; a reference between them
    makes the engine damage the text. Kept as runs, since such characters come in runs or rarely.
    """

    __slots__ = ("runs",)

    def __init__(self) -> None:
        self.runs: dict[int, tuple[list[int], list[int]]] = {}

    def add(self, client: int, start: int, pairs: int) -> None:
        """Note ``pairs`` pairs from clock ``start`` on; starts ascend per client."""
        starts, counts = self.runs.setdefault(client, ([], []))
        if starts and starts[-1] + 2 * counts[-1] == start:
            counts[-1] += pairs
        else:
            starts.append(start)
            counts.append(pairs)

    def add_text(self, client: int, clock: int, text: str) -> int:
        """Note the pairs of ``text``, written at ``clock``; returns its length in UTF-16 units."""
        if text.isascii():
            return len(text)
        wide = 0
        for match in _ASTRAL.finditer(text):
            self.add(client, clock + match.start() + wide, match.end() - match.start())
            wide += match.end() - match.start()
        return len(text) + wide

    def update(self, other: Surrogates, known: Mapping[int, int]) -> None:
        """Take the runs of ``other`` from each client's ``known`` clock on."""
        for client, (starts, counts) in other.runs.items():
            first = known.get(client, 0)
            for start, count in zip(starts, counts, strict=True):
                skip = min(count, max(0, (first - start + 1) // 2))
                if skip < count:
                    self.add(client, start + 2 * skip, count - skip)

    def cuts(self, client: int, clock: int) -> bool:
        """Whether a cut just before ``clock`` would split a pair."""
        runs = self.runs.get(client)
        if runs is None:
            return False
        index = bisect_right(runs[0], clock) - 1
        if index < 0:
            return False
        offset = clock - runs[0][index]
        return offset < 2 * runs[1][index] and offset % 2 == 1

    def encode(self) -> bytes:
        """The runs as bytes; empty if there are none."""
        out = bytearray()
        for client in sorted(self.runs):
            starts, counts = self.runs[client]
            out += write_varint(client) + write_varint(len(starts))
            end = 0
            for start, count in zip(starts, counts, strict=True):
                out += write_varint(start - end) + write_varint(count)
                end = start + 2 * count
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Surrogates:
        """The runs that ``encode`` wrote.

        Raises:
            TextUpdateError: on any other bytes.
        """
        result = cls()
        at = 0
        while at < len(data):
            client, at = read_varint(data, at)
            runs, at = read_varint(data, at)
            end = 0
            for _ in range(min(runs, len(data))):
                gap, at = read_varint(data, at)
                count, at = read_varint(data, at)
                result.add(client, end + gap, count)
                end += gap + 2 * count
        return result
