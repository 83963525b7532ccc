"""SQLite's write-ahead log, as it is read beside a transaction of our own.

Which frames the log has, which are published, and where a page's newest content lies. Decides
nothing about rows. Source: https://www.sqlite.org/fileformat2.html, section 4, and wal.c.

*Published* frames are those that SQLite counts as committed; whoever begins to read sees at least
those published before. Frames beyond may be a commit under way, or one whose writer died in it;
only for those the checksums are looked at. All is read through the connection, since a descriptor
of our own would take SQLite's locks away when it is closed.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import apsw

__all__ = ["Log", "LogHeader", "LogMoved", "Place", "Published", "published"]

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
_MAGIC: Final = 0x377F0682  # with the lowest bit set, checksums are over big-endian words
_VERSION: Final = 3007000
# Page, size of the database after a commit, salts, checksum.
_FRAME = struct.Struct(">II8s8s")
_MASK: Final = 0xFFFFFFFF


class LogMoved(Exception):
    """The log began anew while it was read; what is visible is in the database file by now."""


class LogHeader(NamedTuple):
    """The header of a log. ``salts`` name its generation: they change when it begins anew."""

    page_size: int
    salts: bytes
    checksum: bytes
    big_endian: bool


class Place(NamedTuple):
    """A place in a log: after frame ``frame`` (0: none yet), whose checksum is ``checksum``."""

    salts: bytes
    frame: int
    checksum: bytes


class Published(NamedTuple):
    """What was published before a transaction began. ``frames``: -1 if there was no log."""

    frames: int
    salts: bytes

    def surpassed(self, connection: apsw.Connection) -> bool:
        """Whether there are frames by now that were not published then."""
        log = Log(connection)
        if self.frames < 0 or log.header is None:
            return self.frames > 0
        if self.frames == 0:  # what is in the log may be of a generation that has ended
            return log.header.salts != self.salts
        return log.header.salts != self.salts or bool(log.beyond(self.frames))


def published(connection: apsw.Connection) -> Published:
    """Ask SQLite how many frames count; not within a transaction.

    Raises:
        apsw.Error: if the file cannot be read, or is locked.
    """
    connection.execute("PRAGMA main.schema_version").get  # noqa: B018 - opens the log
    header = _read_header(connection)
    frames, _ = connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)
    return Published(frames, header.salts if header else b"")


def _read_header(connection: apsw.Connection) -> LogHeader | None:
    """The log's header; None if there is no log, or none that counts."""
    try:
        whole, data = connection.read("main", 1, 0, HEADER_BYTES)
    except apsw.Error:
        return None
    if not whole:
        return None
    magic, version, size, _ = struct.unpack_from(">IIII", data)
    big_endian = bool(magic & 1)
    if magic & ~1 != _MAGIC or version != _VERSION or size & (size - 1) or not 512 <= size <= 65536:
        return None
    if _checksum(data[:24], 0, 0, big_endian) != struct.unpack_from(">II", data, 24):
        return None
    return LogHeader(size, data[16:24], data[24:32], big_endian)


class Log:
    """A log beside a transaction that has begun. ``header``: None if there are no frames at all."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.header = _read_header(connection)

    def steady(self) -> bool:
        """Whether it did not begin anew since; its header is the first to be overwritten then.

        That happens beside a transaction only if all of the log had been copied before it began.
        """
        return self.header is None or _read_header(self._connection) == self.header

    def holds(self, place: Place) -> bool:
        """Whether everything up to this place is still there."""
        if place.frame == 0:
            return self.header is not None and place.salts == self.header.salts
        frame = self._frame(place.frame)
        return frame is not None and frame[2:] == (place.salts, place.checksum)

    def place(self, frame: int) -> Place:
        """The place after a frame that counts."""
        assert self.header is not None
        if frame == 0:
            return Place(self.header.salts, 0, b"")
        found = self._frame(frame)
        if found is None:
            raise LogMoved
        return Place(found[2], frame, found[3])

    def size(self, frame: int) -> int:
        """How many pages the database has after a commit's last frame."""
        found = self._frame(frame)
        if found is None:
            raise LogMoved
        return found[1]

    def pages(self, after: int, until: int | None, salts: bytes) -> tuple[dict[int, int], int]:
        """Pages in the frames ``after`` < n <= ``until`` of one generation, with their newest.

        Without ``until``: as far as the generation goes. Also the database's size in pages at the
        last commit among them, or 0.
        """
        newest: dict[int, int] = {}
        size = 0
        number = after
        while until is None or number < until:
            number += 1
            frame = self._frame(number)
            if frame is None or frame[2] != salts:
                if until is not None:
                    raise LogMoved
                break
            newest[frame[0]] = number
            size = frame[1] or size
        return newest, size

    def beyond(self, frame: int) -> list[tuple[int, int]]:
        """Commits after a published frame that may be published by now: (last frame, size)."""
        if self.header is None:
            return []
        commits: list[tuple[int, int]] = []
        number = frame
        while (found := self._frame(number + 1)) and found[2] == self.header.salts:
            number += 1
            if found[1]:
                commits.append((number, found[1]))
        if not commits:
            return []
        start = self.header.checksum if frame == 0 else self.place(frame).checksum
        valid = self._valid_until(frame, commits[-1][0], start)
        return [commit for commit in commits if commit[0] <= valid]

    def content(self, frame: int, offset: int, amount: int) -> bytes:
        """Bytes of the page in a frame."""
        assert self.header is not None
        at = self._offset(frame) + FRAME_HEADER_BYTES + offset
        whole, data = self._connection.read("main", 1, at, amount)
        if not whole:
            raise LogMoved
        return data

    def _valid_until(self, after: int, until: int, checksum: bytes) -> int:
        """The last frame up to which the checksums fit."""
        assert self.header is not None
        big_endian = self.header.big_endian
        one, two = struct.unpack(">II", checksum)
        for number in range(after + 1, until + 1):
            whole, data = self._connection.read(
                "main", 1, self._offset(number), FRAME_HEADER_BYTES + self.header.page_size
            )
            if not whole:
                return number - 1
            one, two = _checksum(data[:8], one, two, big_endian)
            one, two = _checksum(data[FRAME_HEADER_BYTES:], one, two, big_endian)
            if (one, two) != struct.unpack_from(">II", data, 16):
                return number - 1
        return until

    def _frame(self, number: int) -> tuple[int, int, bytes, bytes] | None:
        if self.header is None:
            return None
        whole, data = self._connection.read("main", 1, self._offset(number), FRAME_HEADER_BYTES)
        return _FRAME.unpack(data) if whole else None

    def _offset(self, number: int) -> int:
        assert self.header is not None
        return HEADER_BYTES + (number - 1) * (self.header.page_size + FRAME_HEADER_BYTES)


def _checksum(data: bytes, one: int, two: int, big_endian: bool) -> tuple[int, int]:
    """SQLite's checksum of a multiple of 8 bytes, going on from ``one`` and ``two``."""
    words = iter(struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 4}I", data))
    for word, following in zip(words, words, strict=True):
        one = (one + word + two) & _MASK
        two = (two + following + one) & _MASK
    return one, two
