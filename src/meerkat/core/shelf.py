"""Where the chunks are that others ask for: in the folder, or on their way into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from .chunks import Chunk
from .disk import Disk
from .files import Location
from .ids import ContentHash
from .ports import Store, Table

__all__ = ["Place", "Shelf"]

Place = Location | bytes
"""Where to read a chunk, or the chunk itself, if it is still in memory only."""


class Shelf:
    """Finds chunks. Whoever reads them checks that they are what they were."""

    def __init__(self, store: Store, disk: Disk) -> None:
        self._store, self._disk = store, disk
        self.bases: dict[bytes, ContentHash] = {}
        """Versions that are live databases, and their bases, which are kept beside the folder."""
        # chunk -> blob -> its place in the blob that is being put together
        self._arrived: dict[ContentHash, dict[ContentHash, Place]] = {}

    def index(self, contents: Iterable[tuple[bytes, Sequence[Chunk]]]) -> None:
        """These versions stand in the folder now; note where their chunks are."""
        items: list[tuple[bytes, bytes]] = []
        for version, chunks in contents:
            offset = 0
            for chunk in chunks:
                place = offset.to_bytes(8, "big") + chunk.length.to_bytes(4, "big")
                items.append((chunk.hash + version, place))
                offset += chunk.length
        if items:
            self._store.put_many(Table.CHUNK, items)

    def arrived(self, blob: ContentHash, chunk: ContentHash, place: Place) -> None:
        """A chunk of a blob that does not stand in the folder yet."""
        self._arrived.setdefault(chunk, {})[blob] = place

    def forget(self, blob: ContentHash, chunks: Iterable[Chunk]) -> None:
        """The blob reached the folder, or was given up."""
        for chunk in chunks:
            places = self._arrived.get(chunk.hash)
            if places is not None:
                places.pop(blob, None)
                if not places:
                    del self._arrived[chunk.hash]

    def locate(self, chunk: ContentHash, beyond: Place | None = None) -> Place | None:
        """Where a chunk should be. ``beyond``: a place where it proved not to be, say because a
        program just wrote there; then the next one.
        """
        places = chain(self._arrived.get(chunk, {}).values(), self._in_folder(chunk))
        if beyond is None:
            return next(places, None)
        known = list(places)
        first = known.index(beyond) + 1 if beyond in known else 0
        return known[first] if first < len(known) else None

    def in_folder(self, chunk: ContentHash) -> Location | None:
        """Where a chunk should be in the folder, or in a base."""
        return next(self._in_folder(chunk), None)

    def _in_folder(self, chunk: ContentHash) -> Iterator[Location]:
        for key, value in list(self._store.scan(Table.CHUNK, chunk)):
            version = key[ContentHash.SIZE :]
            offset, length = int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big")
            base = self.bases.get(version)
            places = self._disk.places_of(version) if base is None else []
            if base is not None:
                yield Location("", offset, length, base)
            elif not places:
                self._store.delete(Table.CHUNK, key)  # indexed again should it come back
            for path in places:
                yield Location(path, offset, length)
