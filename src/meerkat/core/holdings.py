"""What this folder can give to others: notes where the chunks of its files are."""

from __future__ import annotations

from contextlib import suppress

from .blobs import Blobs
from .chunks import Chunk, unpack_chunks
from .disk import Disk
from .replica import Replica

__all__ = ["index_placed"]


def index_placed(replica: Replica, disk: Disk, blobs: Blobs) -> None:
    """Index the contents that newly stand in the folder; call before the transaction ends."""
    placed, disk.placed = disk.placed, set()
    contents: list[tuple[bytes, tuple[Chunk, ...]]] = []
    for file_key, version_key in sorted(placed):
        _, version = replica.tree.find(file_key, version_key)
        if version is not None and version.kind == "blob":
            with suppress(KeyError, ValueError):
                contents.append((version.id, unpack_chunks(replica.bodies.body(version))))
    blobs.index(contents)
