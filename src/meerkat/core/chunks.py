"""Content-defined chunks: how a large file is cut, named, moved and shared piecewise.

FastCDC 2020 (Xia et al., IEEE TPDS 2020) finds boundaries that survive insertions. Peers need not
agree on boundaries, only on hashes: a version lists its own. ``pyfastcdc`` because it alone has
compiled wheels for CPython 3.11 to 3.14 on Linux, macOS and Windows (``fastcdc`` falls back to a
pure 1.1.0 above 3.12), reads streams, and its pure fallback cuts alike. No memory map: a file that
shrinks meanwhile would kill the process (SIGBUS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from blake3 import blake3
from pyfastcdc import FastCDC

from meerkat.core.ids import ContentHash

__all__ = [
    "MAX_CHUNK_BYTES",
    "Chunk",
    "ChunkConfig",
    "ChunkedContent",
    "chunk_stream",
    "pack_chunks",
    "unpack_chunks",
]

MAX_CHUNK_BYTES = 1024 * 1024  # what a frame carries; a longer one is refused
CHUNK_ENTRY_BYTES = 36

_MIN_BYTES = 64  # the least that pyfastcdc takes
# The paper, section 4.4: sizes closer to the average; random data is never cut at the maximum.
_NORMALIZATION: Final = 2


@dataclass(frozen=True, slots=True)
class ChunkConfig:
    """Chunk sizes in bytes, for content made here; what others chose is taken as it is.

    Raises:
        ValueError: if they are not ascending or exceed ``MAX_CHUNK_BYTES``.
    """

    min_bytes: int = 64 * 1024  # guess: bounds the list of chunks to 0.06 % of the content
    average_bytes: int = 256 * 1024  # guess: a 100 MiB file is about 330 chunks
    max_bytes: int = MAX_CHUNK_BYTES

    def __post_init__(self) -> None:
        sizes = (_MIN_BYTES, self.min_bytes, self.average_bytes, self.max_bytes, MAX_CHUNK_BYTES)
        if list(sizes) != sorted(sizes):
            raise ValueError("chunk sizes ascend, from 64 bytes to 1 MiB")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of content: its hash and its length in bytes (1 to ``MAX_CHUNK_BYTES``).

    Raises:
        ValueError: if the length is outside that range.
    """

    hash: ContentHash
    length: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= MAX_CHUNK_BYTES:
            raise ValueError(f"a chunk has 1 to {MAX_CHUNK_BYTES} bytes, not {self.length}")


@dataclass(frozen=True, slots=True)
class ChunkedContent:
    """Some content as its chunks, in order.

    Raises:
        ValueError: if the chunks do not add up to ``size`` bytes.
    """

    hash: ContentHash  # of the whole content
    size: int
    chunks: tuple[Chunk, ...]

    def __post_init__(self) -> None:
        if sum(chunk.length for chunk in self.chunks) != self.size:
            raise ValueError("the chunks do not add up to the content")

    def offsets(self) -> Iterator[tuple[int, Chunk]]:
        """Each chunk with the byte it starts at."""
        offset = 0
        for chunk in self.chunks:
            yield offset, chunk
            offset += chunk.length


class _FullReads:
    """A reader that returns all it is asked for, so boundaries do not depend on read sizes."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int) -> bytes:
        piece = self._read(size)
        if len(piece) == size or not piece:
            return piece
        pieces = [piece]
        missing = size - len(piece)
        while missing and (piece := self._read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


def chunk_stream(
    read: Callable[[int], bytes],
    *,
    config: ChunkConfig | None = None,
    progress: Callable[[int], None] | None = None,
) -> ChunkedContent:
    """Read to the end, in bounded memory, and say what the content consists of.

    Args:
        read: returns up to so many bytes, and none at the end. What it raises passes through.
        config: chunk sizes.
        progress: told how many bytes are done, after each chunk.
    """
    config = config or ChunkConfig()
    cutter = FastCDC(
        config.average_bytes,
        min_size=config.min_bytes,
        max_size=config.max_bytes,
        normalized_chunking=_NORMALIZATION,
    )
    whole = blake3()
    chunks = []
    size = 0
    for cut in cutter.cut_stream(_FullReads(read)):
        chunks.append(Chunk(ContentHash.of(cut.data), cut.length))
        whole.update(cut.data)
        size += cut.length
        if progress is not None:
            progress(size)
    return ChunkedContent(ContentHash(whole.digest()), size, tuple(chunks))


def pack_chunks(chunks: Sequence[Chunk]) -> bytes:
    """A blob's body: 32 bytes of hash and 4 of length (big-endian) for each chunk."""
    return b"".join(chunk.hash + chunk.length.to_bytes(4, "big") for chunk in chunks)


def unpack_chunks(body: bytes) -> tuple[Chunk, ...]:
    """The chunks of a blob's body.

    Raises:
        ValueError: if it is not a whole number of valid entries.
    """
    if len(body) % CHUNK_ENTRY_BYTES:
        raise ValueError("a list of chunks is cut off")
    return tuple(
        Chunk(ContentHash(body[at : at + 32]), int.from_bytes(body[at + 32 : at + 36], "big"))
        for at in range(0, len(body), CHUNK_ENTRY_BYTES)
    )
