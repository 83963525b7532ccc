"""A database file's pages at a moment of a transaction of ours, and which changed since a place.

Decides which commits are surely visible to the transaction: those published before it began. What
the log has beyond them may be visible or not (``Settled.beyond``). With the transaction open, the
database file and the frames that are visible stay what they are: a checkpoint only copies frames
into the file that every reader sees, and a log begins anew only when all of it was copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import apsw

from .pages import FileHeader, PageError, parse_header
from .wal import Log, Place, Published

__all__ = ["NotSettled", "Settled", "Snapshot", "settle"]

READ_BYTES: Final = 1024 * 1024  # of the file at a time; guess
REGION_BYTES: Final = 128 * 1024  # that is left out or not; 64 KiB takes 4 % longer; measured
MAX_BEYOND: Final = 100  # commits to go through that may not be visible; guess


class NotSettled(Exception):
    """What the transaction sees cannot be told from the log; compare everything this time."""


class Snapshot:
    """The pages of a moment. ``frames``: where in the log the newest content of a page is.

    ``older``: as many frames of the log's begin are not in there yet, and only read when needed.
    ``unsettled``: pages whose content in the database file may already be of a later moment.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        log: Log | None,
        header: FileHeader,
        count: int,
        frames: dict[int, int],
        older: int = 0,
        unsettled: frozenset[int] = frozenset(),
    ) -> None:
        self._connection = connection
        self._log = log
        self.size = header.page_size
        self.usable = header.usable
        self.count = count
        self._frames = frames
        self._older = older
        self._unsettled = unsettled

    def page(self, number: int) -> bytes:
        """A whole page.

        Raises:
            PageError: if there is none of that number.
            NotSettled: if its content cannot be told.
        """
        return self._read(number, self.size)

    def word(self, number: int) -> int:
        """The first four bytes of a page as a number; raises as ``page``."""
        return int.from_bytes(self._read(number, 4), "big")

    def steady(self) -> bool:
        """Whether what was read up to now was of this moment."""
        return self._log is None or self._log.steady()

    def every_page(
        self, unchanged: Callable[[int, memoryview], bool] | None = None
    ) -> Iterator[tuple[int, memoryview]]:
        """All pages with their numbers, in order; raises as ``page``.

        ``unchanged`` is asked of regions (their first page, all bytes) that can be left out.
        """
        self._read_older()
        plain = not self._frames and not self._unsettled
        wide = REGION_BYTES // self.size
        step = READ_BYTES // self.size
        for first in range(1, self.count + 1, step):
            amount = min(step, self.count + 1 - first)
            _, data = self._connection.read("main", 0, (first - 1) * self.size, amount * self.size)
            view = memoryview(data)
            for at in range(0, amount, wide):
                region = view[at * self.size : (at + wide) * self.size]
                if plain and unchanged is not None and unchanged(first + at, region):
                    continue
                for index in range(len(region) // self.size):
                    number = first + at + index
                    if number in self._frames or number in self._unsettled:
                        yield number, memoryview(self._read(number, self.size))
                    else:
                        yield number, region[index * self.size : (index + 1) * self.size]

    def _read(self, number: int, amount: int) -> bytes:
        if not 1 <= number <= self.count:
            raise PageError(f"there is no page {number}")
        frame = self._frames.get(number)
        if frame is None and self._older:
            self._read_older()
            frame = self._frames.get(number)
        if frame is not None:
            assert self._log is not None
            return self._log.content(frame, 0, amount)
        if number in self._unsettled:
            raise NotSettled
        whole, data = self._connection.read("main", 0, (number - 1) * self.size, amount)
        if not whole:
            raise PageError(f"the file ends before page {number}")
        return data

    def _read_older(self) -> None:
        if self._older and self._log is not None and self._log.header is not None:
            older, _ = self._log.pages(0, self._older, self._log.header.salts)
            self._frames = older | self._frames
        self._older = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """What is surely visible, where in the log that is, and which pages changed since the last
    place.

    ``changed`` None: this is not known. ``beyond``: later moments that may be the one that is
    visible, each with the pages that changed since the one before.
    """

    header: FileHeader
    now: Snapshot
    place: Place | None
    changed: set[int] | None
    beyond: list[tuple[Snapshot, set[int]]]


def settle(connection: apsw.Connection, before: Published | None, last: Place | None) -> Settled:
    """Find out within a transaction; ``before``: what was published before it began.

    Raises:
        PageError: if this is no SQLite database.
        NotSettled: if it cannot be told.
    """
    count = int(connection.execute("PRAGMA main.page_count").get)  # and the transaction has begun
    header = parse_header(connection.read("main", 0, 0, 100)[1])
    if not header.wal:
        return Settled(header, Snapshot(connection, None, header, count, {}), None, None, [])
    log = Log(connection)
    if log.header is None:
        if before is None or before.frames:
            raise NotSettled
        return Settled(header, Snapshot(connection, log, header, count, {}), None, None, [])
    if log.header.page_size != header.page_size:
        raise NotSettled
    return _Settling(connection, log, header, count).settle(before, last)


class _Settling:
    def __init__(
        self, connection: apsw.Connection, log: Log, header: FileHeader, count: int
    ) -> None:
        assert log.header is not None
        self._connection = connection
        self._log = log
        self._header = header
        self._count = count
        self._salts = log.header.salts

    def settle(self, before: Published | None, last: Place | None) -> Settled:
        log, salts = self._log, self._salts
        same = last is not None and last.salts == salts and log.holds(last)
        if before is None:  # at least what the last look accepted is visible
            if last is None or not same:
                raise NotSettled
            surely = last.frame
        elif before.frames < 0:  # a log since then
            raise NotSettled
        else:
            surely = before.frames if before.salts == salts else 0  # it began anew since
        if last is not None and same and last.frame <= surely:
            frames, _ = log.pages(last.frame, surely, salts)
            place = log.place(surely)
            return self._settled(surely, frames, last.frame, set(frames), place)
        if last is not None and same and surely == 0:
            # All frames were copied into the file, and the next commit begins the log anew.
            rest, _ = log.pages(last.frame, None, salts)
            now = Snapshot(self._connection, log, self._header, self._count, {})
            return Settled(self._header, now, last, set(rest), [])
        frames, _ = log.pages(0, surely, salts)
        changed: set[int] | None = None
        if last is not None and last.frame and _follows(last.salts, salts):
            # A new generation overwrites the last one from its start: if the place is still there,
            # so is what came after it. That may be frames that never counted; no matter.
            rest, _ = log.pages(last.frame, None, last.salts)
            if log.holds(last):
                changed = rest.keys() | frames.keys()
        return self._settled(surely, frames, 0, changed, log.place(surely))

    def _settled(
        self,
        surely: int,
        frames: dict[int, int],
        older: int,
        changed: set[int] | None,
        place: Place,
    ) -> Settled:
        count = self._count
        commits = self._log.beyond(surely)
        if len(commits) > MAX_BEYOND:
            raise NotSettled
        steps: list[tuple[int, dict[int, int]]] = []
        start = surely
        for end, size in commits:
            steps.append((size, self._log.pages(start, end, self._salts)[0]))
            start = end
        if commits and surely == 0:
            if self._copied(self._log.pages(0, commits[-1][0], self._salts)[0]):
                steps = []  # frames of a generation that ended
            elif any(1 in newer for _, newer in steps):
                raise NotSettled
            else:
                count = self._in_header()
                if count > self._count:
                    raise NotSettled
        elif commits:
            count = self._log.size(surely)
        unsettled = frozenset(page for _, newer in steps for page in newer)
        now = Snapshot(self._connection, self._log, self._header, count, frames, older, unsettled)
        beyond: list[tuple[Snapshot, set[int]]] = []
        merged = frames
        for size, newer in steps:
            merged = merged | newer
            then = Snapshot(
                self._connection, self._log, self._header, size, merged, older, unsettled
            )
            beyond.append((then, set(newer)))
        return Settled(self._header, now, place, changed, beyond)

    def _copied(self, frames: dict[int, int]) -> bool:
        """Whether the database file has the content of all these frames."""
        size = self._header.page_size
        return all(
            self._connection.read("main", 0, (page - 1) * size, size)[1]
            == self._log.content(frame, 0, size)
            for page, frame in frames.items()
        )

    def _in_header(self) -> int:
        """How many pages the database file says it has."""
        return int.from_bytes(self._connection.read("main", 0, 28, 4)[1], "big")


def _follows(last: bytes, salts: bytes) -> bool:
    """Whether a generation comes right after another: SQLite counts the first salt up by one."""
    return (int.from_bytes(last[:4], "big") + 1) % 2**32 == int.from_bytes(salts[:4], "big")
