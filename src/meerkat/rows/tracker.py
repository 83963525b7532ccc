"""What changed in a database's file since the last look, as ranges of rows to compare.

Decides where rows may differ, never that they do: a range too many costs a comparison, one too few
would lose a write. What is kept of the file, in tables of the state: a hash of each page, the trees
(``skeleton``), and how far its write-ahead log was read. With a log whose frames since then are all
there, they name the changed pages; else every page's hash is compared.

Commits that may or may not be visible to the transaction (``snapshot``) are gone through too, but
not accepted: the next look goes through them again. As the state may have their rows by then, those
rows are compared again even if a later commit made the pages what they had been (``Doubts``).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

import apsw
import xxhash
from blake3 import blake3

from .pages import HEADER_BYTES, FileHeader, PageError, parse_header
from .schema import Schema, Table, read_schema
from .skeleton import EVERY_ROW, KeyRange, Skeleton, merged
from .snapshot import NotSettled, Settled, Snapshot, settle
from .tracked import HASH_BYTES, Doubts, Kept, Tracked, TrackedTable, hash_page
from .wal import LogMoved, Place, Published, published

__all__ = ["KeyRange", "Look", "Tracker"]

MAX_RANGES: Final = 20_000  # of a table, beyond which it is compared wholly; guess
_ATTEMPTS: Final = 3  # to begin while nobody commits; guess
_SCHEMA_ROOT: Final = 1
_DIGEST_BYTES: Final = 16
# What regions of a file are told apart by, in memory only: XXH3, with a seed of this process. It is
# much faster than BLAKE3, and two are alike by chance once in 2^128.
_SEED: Final = secrets.randbits(64)


@dataclass(frozen=True, slots=True)
class Look:
    """Where rows may differ. ``everything``: in all tables, and in the schema.

    ``schema``: of the file as it is; only if ``schema_changed``, else it is the one known.
    Tables by name: ``ranges`` of rowids to compare in some, ``tables`` to compare wholly.
    """

    everything: bool = False
    schema_changed: bool = False
    schema: Schema | None = None
    ranges: dict[str, list[KeyRange]] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)

    @property
    def nothing(self) -> bool:
        """Whether nothing can have changed."""
        return not (self.everything or self.schema_changed or self.ranges or self.tables)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look would keep. ``fresh``: a new skeleton with all hashes."""

    place: Place | None
    kept: Kept | None
    hashes: dict[int, bytes]
    doubts: Doubts
    fresh: tuple[Skeleton, bytearray] | None = None


class Tracker:
    """Looks at one file; what was accepted is in the state's tables."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._tracked = Tracked(connection)
        self._published: Published | None = None
        self._found: _Found | None = None
        self._broken = False
        self._unsettled = False
        # Fingerprints of the file's regions (by first page) when the state had that row: only in
        # memory, since in rollback mode every look reads the whole file.
        self._regions: tuple[bytes | None, dict[int, bytes]] = (None, {})
        self._scanned: dict[int, bytes] = {}

    def begin(self, file: apsw.Connection, *, immediate: bool = False) -> None:
        """Begin a transaction of the file that ``look`` can make the most of.

        With a plain BEGIN a look is right as well, but in WAL mode it never gets further.

        Raises:
            apsw.BusyError: if another program does not let us; no transaction is open then.
        """
        for attempt in range(_ATTEMPTS):
            self._published = published(file)
            file.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
            try:
                file.execute("PRAGMA main.page_count").get  # noqa: B018 - from here on it is begun
                if attempt + 1 == _ATTEMPTS or not self._published.surpassed(file):
                    return
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("ROLLBACK")

    def look(self, file: apsw.Connection, schema: Schema | None = None) -> Look:
        """Find where rows may differ from what was last accepted; within a transaction.

        ``schema``: the file's, if it is known and did not change.

        Raises:
            apsw.Error: if the file cannot be read.
        """
        before, self._published = self._published, None
        self._found = None
        self._broken = self._unsettled = False
        try:
            self._tracked.refresh()
            for _ in range(_ATTEMPTS):
                look = self._attempt(file, before)
                if look is not None:
                    return look
                self._give_up()
        except NotSettled:
            self._give_up()
        except PageError:
            self._give_up()
            self._broken = True
        self._unsettled = not self._broken
        return Look(everything=True, schema_changed=True, schema=read_schema(file))

    def _attempt(self, file: apsw.Connection, before: Published | None) -> Look | None:
        """None: the log began anew on the way, so what was read may be anything."""
        self._scanned = {}
        try:
            settled = settle(file, before, self._tracked.place)
        except LogMoved:
            return None
        try:
            look = self._look(file, settled)
        except LogMoved:
            return None
        except (PageError, NotSettled):
            if settled.now.steady():
                raise
            return None
        return look if settled.now.steady() else None

    def _give_up(self) -> None:
        self._tracked.skeleton.undo()
        self._found = None

    def accept(self) -> None:
        """Keep what the last look found as compared; in the caller's transaction of the state.

        A transaction that is rolled back after this is noticed at the next look.
        """
        found, self._found = self._found, None
        if found is None:
            if self._broken:
                self.forget()
            elif self._unsettled:
                self._tracked.doubt()
            self._unsettled = False
            return
        if found.fresh is not None:
            assert found.kept is not None
            self._tracked.begin(*found.fresh, found.kept, found.place)
        else:
            self._tracked.go_on(found.hashes, found.kept, found.place, found.doubts)
        self._regions = (self._tracked.row, self._scanned)

    def forget(self) -> None:
        """The next look compares everything; in the caller's transaction of the state."""
        self._found, self._broken = None, False
        self._tracked.clear()

    def _look(self, file: apsw.Connection, settled: Settled) -> Look:
        now, tracked = settled.now, self._tracked
        kept = tracked.kept
        # The rest of the header may be newer in the log than in the file.
        size = (settled.header.page_size, settled.header.usable)
        if kept is None or kept.numbers[:2] != size:
            return self._begin(file, settled)
        if settled.changed is None:
            changed, hashes = self._compare_hashes(now)
        else:
            changed, hashes = self._changed(now, settled.changed)
        numbers, begin = kept.numbers, kept.begin
        if 1 in changed:
            first = now.page(1)
            numbers, begin = _numbers(parse_header(first)), hash_page(first[HEADER_BYTES:])
            if begin == kept.begin:
                changed.discard(1)
            if numbers[2] != kept.numbers[2]:  # of text
                return self._begin(file, settled)
        root_of = tracked.skeleton.root_of
        schema_changed = kept.numbers != numbers or any(
            root_of(page) == _SCHEMA_ROOT for page in changed
        )
        schema, tables = None, kept.tables
        if schema_changed:
            if settled.beyond:
                raise NotSettled  # which schema we see is not sure
            schema = read_schema(file)
            tables = _tables(schema)
        roots = _roots(tables)
        found = tracked.skeleton.step(now, changed, roots)
        later: dict[int, list[KeyRange]] = {}
        mark = tracked.skeleton.mark
        for then, newer in settled.beyond:
            if 1 in newer:
                first = then.page(1)
                if (_numbers(parse_header(first)), hash_page(first[HEADER_BYTES:])) != (
                    numbers,
                    begin,
                ):
                    raise NotSettled
                newer.discard(1)
            if any(root_of(page) == _SCHEMA_ROOT for page in newer):
                raise NotSettled
            for root, ranges in tracked.skeleton.step(then, newer, roots).items():
                later.setdefault(root, []).extend(ranges)
        tracked.skeleton.undo(mark)
        doubts = _of_tables(later, tables)
        keep = Kept(numbers, begin, tables)
        self._found = _Found(settled.place, keep if keep != kept else None, hashes, Doubts(doubts))
        if tracked.doubts.everything:
            return Look(everything=True, schema_changed=True, schema=read_schema(file))
        look = Look(schema_changed=schema is not None, schema=schema)
        look.tables.update(name for name in tables if kept.tables.get(name) != tables[name])
        for part in (_of_tables(found, tables), doubts, tracked.doubts.ranges):
            _add(look, part, tables)
        return look

    def _begin(self, file: apsw.Connection, settled: Settled) -> Look:
        """Without anything to go on from."""
        schema = read_schema(file)
        first = settled.now.page(1)
        if not settled.beyond:
            tables = _tables(schema)
            skeleton = Skeleton()
            skeleton.build(settled.now, _roots(tables))
            self._regions = (None, {})
            hashes = bytearray(HASH_BYTES)
            for _, page in settled.now.every_page(self._is_unchanged):
                hashes += hash_page(page)
            kept = Kept(_numbers(parse_header(first)), hash_page(first[HEADER_BYTES:]), tables)
            self._found = _Found(settled.place, kept, {}, Doubts(), (skeleton, hashes))
        return Look(everything=True, schema_changed=True, schema=schema)

    def _compare_hashes(self, now: Snapshot) -> tuple[set[int], dict[int, bytes]]:
        known = self._tracked.hashes
        if self._regions[0] != self._tracked.row:
            self._regions = (None, {})
        hashes: dict[int, bytes] = {}
        for number, page in now.every_page(self._is_unchanged):
            digest = hash_page(page)
            at = number * HASH_BYTES
            if known[at : at + HASH_BYTES] != digest:
                hashes[number] = digest
        return set(hashes), hashes

    def _is_unchanged(self, first: int, region: memoryview) -> bool:
        digest = self._scanned[first] = xxhash.xxh3_128_digest(region, _SEED)
        return self._regions[1].get(first) == digest

    def _changed(self, now: Snapshot, pages: set[int]) -> tuple[set[int], dict[int, bytes]]:
        """Of the pages that were written those that are not what they were."""
        known = self._tracked.hashes
        hashes: dict[int, bytes] = {}
        for number in pages:
            if number > now.count:
                continue
            digest = hash_page(now.page(number))
            at = number * HASH_BYTES
            if known[at : at + HASH_BYTES] != digest:
                hashes[number] = digest
        return set(hashes), hashes


def _of_tables(
    found: dict[int, list[KeyRange]], tables: dict[str, TrackedTable]
) -> dict[str, list[KeyRange]]:
    parts = {
        name: merged([one for root in table.roots for one in found.get(root, ())])
        for name, table in tables.items()
    }
    return {name: ranges for name, ranges in parts.items() if ranges}


def _add(look: Look, part: dict[str, list[KeyRange]], tables: dict[str, TrackedTable]) -> None:
    for name, ranges in part.items():
        if name not in tables or name in look.tables:
            continue
        ranges = merged([*look.ranges.pop(name, []), *ranges])
        if tables[name].whole or EVERY_ROW in ranges or len(ranges) > MAX_RANGES:
            look.tables.add(name)
        else:
            look.ranges[name] = ranges


def _tables(schema: Schema) -> dict[str, TrackedTable]:
    return {
        name: TrackedTable(
            (table.root,) if table.root else table.shadows,
            blake3(table.sql.encode()).digest(_DIGEST_BYTES),
            _is_whole(table),
        )
        for name, table in schema.tables.items()
        if table.root or table.shadows
    }


def _is_whole(table: Table) -> bool:
    return table.without_rowid or table.module is not None


def _roots(tables: dict[str, TrackedTable]) -> set[int]:
    return {_SCHEMA_ROOT, *(root for table in tables.values() for root in table.roots)}


def _numbers(header: FileHeader) -> tuple[int, ...]:
    return (
        header.page_size,
        header.usable,
        header.encoding,
        header.schema_cookie,
        header.user_version,
        header.application_id,
    )
