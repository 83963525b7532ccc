"""Pages of SQLite's file format: what a b-tree page says about its children and its overflow.

Decides nothing. Source: https://www.sqlite.org/fileformat2.html (sections 1.3 "The Database
Header", 1.6 "B-tree Pages" and 1.7 "Cell Payload Overflow Pages"). Whatever does not fit the format
raises ``PageError``; no number in a page is trusted before it is checked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

__all__ = [
    "INDEX_INTERIOR",
    "INDEX_LEAF",
    "MAX_ROWID",
    "MIN_ROWID",
    "TABLE_INTERIOR",
    "TABLE_LEAF",
    "FileHeader",
    "Interior",
    "PageError",
    "interior",
    "kind_of",
    "overflow_heads",
    "parse_header",
]

MAGIC: Final = b"SQLite format 3\0"
HEADER_BYTES: Final = 100
INDEX_INTERIOR: Final = 2
TABLE_INTERIOR: Final = 5
INDEX_LEAF: Final = 10
TABLE_LEAF: Final = 13
MIN_ROWID: Final = -(2**63)
MAX_ROWID: Final = 2**63 - 1

_LOCK_BYTE: Final = 0x40000000  # offset of the bytes that are locked; their page holds nothing
_WAL_VERSION: Final = 2


class PageError(Exception):
    """A page is not what the format says it must be: a corrupt file, or one not read as a whole."""


class FileHeader(NamedTuple):
    """What page 1 says of the file. ``usable``: bytes of a page without the reserved ones."""

    page_size: int
    usable: int
    wal: bool
    schema_cookie: int
    encoding: int
    user_version: int
    application_id: int

    @property
    def lock_page(self) -> int:
        """The number of the page that SQLite never uses."""
        return _LOCK_BYTE // self.page_size + 1


def parse_header(data: bytes) -> FileHeader:
    """Read the first 100 bytes of page 1.

    Raises:
        PageError: if this is no SQLite database.
    """
    if len(data) < HEADER_BYTES or data[:16] != MAGIC:
        raise PageError("no SQLite database")
    size = int.from_bytes(data[16:18], "big")
    size = 65536 if size == 1 else size
    if not 512 <= size <= 65536 or size & (size - 1) or size - data[20] < 480:
        raise PageError("impossible page size")
    cookie, encoding = _word(data, 40), _word(data, 56)
    return FileHeader(
        page_size=size,
        usable=size - data[20],
        wal=data[18] == _WAL_VERSION,
        schema_cookie=cookie,
        encoding=encoding,
        user_version=_word(data, 60),
        application_id=_word(data, 68),
    )


@dataclass(frozen=True, slots=True)
class Interior:
    """An interior page: one child more than keys.

    Rows under ``children[i]`` have rowids up to ``keys[i]``, and above ``keys[i - 1]``. Pages of
    index b-trees (``index``) have no ``keys`` here.
    """

    index: bool
    children: tuple[int, ...]
    keys: tuple[int, ...]


def kind_of(page: bytes, number: int) -> int:
    """The type byte of a b-tree page, which may be none of the four."""
    return page[HEADER_BYTES if number == 1 else 0]


def interior(page: bytes, number: int, usable: int) -> Interior:
    """Read an interior page.

    Raises:
        PageError: if it is none.
    """
    start = HEADER_BYTES if number == 1 else 0
    kind = page[start]
    if kind not in (TABLE_INTERIOR, INDEX_INTERIOR):
        raise PageError(f"page {number} is no interior page")
    pointers = _cell_pointers(page, start, 12, usable)
    unpack = struct.Struct(">I").unpack_from
    children = [unpack(page, pointer)[0] for pointer in pointers]
    children.append(_word(page, start + 8))
    keys: list[int] = []
    if kind == TABLE_INTERIOR:
        for pointer in pointers:
            key, _ = _varint(page, pointer + 4)
            keys.append(key - 2**64 if key > MAX_ROWID else key)
        if any(one >= other for one, other in pairwise(keys)):
            raise PageError(f"page {number}: keys out of order")
    return Interior(kind == INDEX_INTERIOR, tuple(children), tuple(keys))


def overflow_heads(page: bytes, number: int, usable: int) -> list[int]:
    """The first overflow page of each cell of a b-tree page that has some, in the cells' order.

    Raises:
        PageError: if it is no b-tree page.
    """
    start = HEADER_BYTES if number == 1 else 0
    kind = page[start]
    if kind == TABLE_INTERIOR:
        return []
    if kind == TABLE_LEAF:
        limit, skip, header = usable - 35, 0, 8
    elif kind == INDEX_LEAF:
        limit, skip, header = (usable - 12) * 64 // 255 - 23, 0, 8
    elif kind == INDEX_INTERIOR:
        limit, skip, header = (usable - 12) * 64 // 255 - 23, 4, 12
    else:
        raise PageError(f"page {number} is no b-tree page")
    pointers = _cell_pointers(page, start, header, usable)
    # Most cells are small. If their size takes two bytes (it may take more), the first says so.
    least = limit + 1
    floor = least if least < 0x80 else 0x80 | least >> 7 if least < 0x4000 else 0x100
    found: list[int] = []
    for pointer in [
        p
        for p in pointers
        if page[p + skip] >= floor or (page[p + skip] >= 0x80 and page[p + skip + 1] >= 0x80)
    ]:
        payload, at = _varint(page, pointer + skip)
        if payload <= limit:
            continue
        if kind == TABLE_LEAF:
            _, at = _varint(page, at)
        least = (usable - 12) * 32 // 255 - 23
        local = least + (payload - least) % (usable - 4)
        if local > limit:
            local = least
        if at + local + 4 > usable:
            raise PageError(f"page {number}: a cell passes the end")
        found.append(_word(page, at + local))
    return found


def _cell_pointers(page: bytes, start: int, header: int, usable: int) -> tuple[int, ...]:
    count = page[start + 3] << 8 | page[start + 4]
    first = start + header
    if first + 2 * count > usable:
        raise PageError("too many cells")
    pointers = struct.unpack_from(f">{count}H", page, first)
    # The smallest cell has four bytes (file format, section 1.6), so reads of 4 stay inside.
    if pointers and (min(pointers) < first + 2 * count or max(pointers) > usable - 4):
        raise PageError("a cell lies outside its page")
    return pointers


def _word(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "big")


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer (unsigned), and where it ends."""
    value = 0
    try:
        for index in range(at, at + 8):
            byte = page[index]
            if byte < 0x80:
                return value << 7 | byte, index + 1
            value = value << 7 | byte & 0x7F
        return value << 8 | page[at + 8], at + 9
    except IndexError:
        raise PageError("a cell passes the end") from None
