"""What the tracker keeps of a file between looks, in tables of the state.

Decides nothing. Everything is written in the caller's transaction; whether memory still is what the
state holds (a transaction may have been rolled back) is seen by comparing one row.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec
from blake3 import blake3

from .pages import Interior
from .skeleton import KeyRange, Node, Skeleton
from .wal import Place

__all__ = ["HASH_BYTES", "Doubts", "Kept", "Tracked", "TrackedTable", "hash_page"]

HASH_BYTES: Final = 8  # a change that is missed by chance: one of 2^64
PIECE_PAGES: Final = 128  # pages in one row; a row of 1.5 KiB; guess
_FORMAT: Final = 2
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meerkat_tracked (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meerkat_tracked_pages
    (piece INTEGER PRIMARY KEY, hashes BLOB NOT NULL, parents BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meerkat_tracked_nodes
    (page INTEGER PRIMARY KEY, height INTEGER NOT NULL, children BLOB NOT NULL, keys BLOB);
"""
_WHERE, _WHAT = 1, 2  # rows of meerkat_tracked: what changes with every look, and what seldom does


class TrackedTable(msgspec.Struct, frozen=True, array_like=True):
    """A table whose pages are known. ``digest``: of its SQL; ``roots``: of all its trees."""

    roots: tuple[int, ...]
    digest: bytes
    whole: bool


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What else is kept. ``numbers``: of the file's header; ``begin``: hash of page 1 after it."""

    numbers: tuple[int, ...]
    begin: bytes
    tables: dict[str, TrackedTable]
    format: int = _FORMAT
    order: str = sys.byteorder


class Doubts(msgspec.Struct, frozen=True, array_like=True):
    """Rows that the state may have as they were *after* what was accepted: by table, or all."""

    ranges: dict[str, list[KeyRange]] = {}
    everything: bool = False


class _Where(msgspec.Struct, frozen=True, array_like=True):
    revision: int
    place: Place | None
    doubts: Doubts
    pieces: int
    nodes: int


_where = msgspec.msgpack.Decoder(_Where)
_kept = msgspec.msgpack.Decoder(Kept)


def hash_page(data: bytes | memoryview) -> bytes:
    """What is kept of a page's content."""
    return blake3(data).digest(HASH_BYTES)


class Tracked:
    """The state that was accepted last. ``kept`` None: there is none."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.row: bytes | None = None
        self._revision = 0
        self._pieces = 0
        self.place: Place | None = None
        self.doubts = Doubts()
        self.kept: Kept | None = None
        self.hashes = bytearray()
        self.skeleton = Skeleton()

    def refresh(self) -> None:
        """Make sure that this is what the state holds."""
        row = self._stored()
        self.skeleton.undo()
        if row is None or row != self.row:
            self._load(row)

    def _stored(self) -> bytes | None:
        try:
            row = self._connection.execute(
                "SELECT data FROM main.meerkat_tracked WHERE id = ?", (_WHERE,)
            ).fetchone()
        except apsw.SQLError:
            return None  # no such table
        return row[0] if row and isinstance(row[0], bytes) else None

    def _load(self, row: bytes | None) -> None:
        self.place, self.doubts, self.kept = None, Doubts(), None
        self.hashes, self.skeleton = bytearray(), Skeleton()
        self.row = row
        if row is None:
            return
        query = self._connection.execute
        try:
            where = _where.decode(row)
            self._revision, self._pieces = where.revision, where.pieces
            kept = _kept.decode(query("SELECT data FROM main.meerkat_tracked WHERE id = 2").get)
        except (msgspec.MsgspecError, TypeError):
            return
        if (kept.format, kept.order) != (_FORMAT, sys.byteorder):
            return
        skeleton = self.skeleton
        for piece, hashes, parents in query(
            "SELECT piece, hashes, parents FROM main.meerkat_tracked_pages ORDER BY piece"
        ):
            if len(self.hashes) != piece * PIECE_PAGES * HASH_BYTES:
                break
            self.hashes += hashes
            if piece == 0:
                del skeleton.parents[:]
            skeleton.parents.frombytes(parents)
        for page, height, children, keys in query(
            "SELECT page, height, children, keys FROM main.meerkat_tracked_nodes"
        ):
            content = Interior(
                keys is None,
                tuple(array("I", children)),
                () if keys is None else tuple(array("q", keys)),
            )
            skeleton.nodes[page] = Node(height, content)
        if (len(self.hashes) // (PIECE_PAGES * HASH_BYTES), len(skeleton.nodes)) != (
            where.pieces,
            where.nodes,
        ):
            self.hashes, self.skeleton = bytearray(), Skeleton()
            return
        skeleton.roots = {1, *(root for table in kept.tables.values() for root in table.roots)}
        self.place, self.doubts, self.kept = where.place, where.doubts, kept

    def begin(self, skeleton: Skeleton, hashes: bytearray, kept: Kept, place: Place | None) -> None:
        """Keep a state that owes nothing to the one before."""
        self.clear()
        self.skeleton, self.hashes = skeleton, hashes
        self._write_pieces(set())
        self._write_nodes(skeleton.nodes)
        self._write_kept(kept)
        self._write_where(place, Doubts())

    def go_on(
        self,
        hashes: dict[int, bytes],
        kept: Kept | None,
        place: Place | None,
        doubts: Doubts,
    ) -> None:
        """Keep what changed: in the skeleton, in hashes of pages, and the rest unless None."""
        parents, nodes = self.skeleton.keep()
        for page, digest in hashes.items():
            at = page * HASH_BYTES
            if at + HASH_BYTES > len(self.hashes):
                self.hashes.extend(bytes(at + HASH_BYTES - len(self.hashes)))
            self.hashes[at : at + HASH_BYTES] = digest
        self._write_pieces({page // PIECE_PAGES for page in parents | hashes.keys()})
        self._write_nodes(nodes)
        if kept is not None:
            self._write_kept(kept)
        self._write_where(place, doubts)

    def doubt(self) -> None:
        """The state has the rows of a moment that is not known."""
        if self.kept is not None:
            self._write_where(self.place, Doubts({}, True))

    def clear(self) -> None:
        """Keep nothing."""
        self._connection.execute(_TABLES)
        for table in ("", "_pages", "_nodes"):
            self._connection.execute(f"DELETE FROM main.meerkat_tracked{table}")
        self.row, self.place, self.kept, self._pieces = None, None, None, 0
        self.doubts = Doubts()
        self.hashes, self.skeleton = bytearray(), Skeleton()

    def _write_pieces(self, changed: set[int]) -> None:
        """Write pieces that changed, and those that there were not before."""
        parents = self.skeleton.parents
        pages = max(len(self.hashes) // HASH_BYTES, len(parents))
        before, self._pieces = self._pieces, -(-pages // PIECE_PAGES)
        rows = []
        for piece in sorted(changed | set(range(before, self._pieces))):
            first = piece * PIECE_PAGES
            hashes = bytes(self.hashes[first * HASH_BYTES : (first + PIECE_PAGES) * HASH_BYTES])
            owners = parents[first : first + PIECE_PAGES].tobytes()
            rows.append(
                (
                    piece,
                    hashes.ljust(PIECE_PAGES * HASH_BYTES, b"\0"),
                    owners.ljust(PIECE_PAGES * parents.itemsize, b"\0"),
                )
            )
        self._connection.executemany(
            "INSERT OR REPLACE INTO main.meerkat_tracked_pages VALUES (?, ?, ?)", rows
        )

    def _write_nodes(self, pages: Iterable[int]) -> None:
        for page in pages:
            node = self.skeleton.nodes.get(page)
            if node is None:
                self._connection.execute(
                    "DELETE FROM main.meerkat_tracked_nodes WHERE page = ?", (page,)
                )
                continue
            content = node.content
            self._connection.execute(
                "INSERT OR REPLACE INTO main.meerkat_tracked_nodes VALUES (?, ?, ?, ?)",
                (
                    page,
                    node.height,
                    array("I", content.children).tobytes(),
                    None if content.index else array("q", content.keys).tobytes(),
                ),
            )

    def _write_kept(self, kept: Kept) -> None:
        self._put(_WHAT, msgspec.msgpack.encode(kept))
        self.kept = kept

    def _write_where(self, place: Place | None, doubts: Doubts) -> None:
        self._revision += 1
        where = _Where(self._revision, place, doubts, self._pieces, len(self.skeleton.nodes))
        row = msgspec.msgpack.encode(where)
        self._put(_WHERE, row)
        self.row, self.place, self.doubts = row, place, doubts

    def _put(self, number: int, data: bytes) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO main.meerkat_tracked VALUES (?, ?)", (number, data)
        )
