"""Chunks: the same whatever the reads, and nothing odd is believed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.chunks import (
    MAX_CHUNK_BYTES,
    Chunk,
    ChunkConfig,
    ChunkedContent,
    chunk_stream,
)
from meerkat.core.ids import ContentHash

SMALL = ChunkConfig(min_bytes=64, average_bytes=256, max_bytes=1024)
DATA = random.Random(1).randbytes(3_000_000)


def reader(data: bytes, sizes: Iterable[int]) -> Callable[[int], bytes]:
    """Reads that return fewer bytes than asked for, as pipes do."""
    stream = io.BytesIO(data)
    limits = iter(sizes)
    return lambda size: stream.read(min(size, next(limits, size)))


def check(content: ChunkedContent, data: bytes) -> None:
    assert content.hash == blake3(data).digest()
    for offset, chunk in content.offsets():
        assert ContentHash.of(data[offset : offset + chunk.length]) == chunk.hash


@given(st.integers(0, 20_000), st.lists(st.integers(1, 700)))
@settings(max_examples=60)
def test_boundaries_do_not_depend_on_reads(size: int, sizes: list[int]) -> None:
    data = DATA[:size]
    whole = chunk_stream(io.BytesIO(data).read, config=SMALL)
    assert chunk_stream(reader(data, sizes), config=SMALL) == whole
    check(whole, data)


def test_byte_by_byte() -> None:
    data = DATA[:200_000]
    whole = chunk_stream(io.BytesIO(data).read)
    assert chunk_stream(reader(data, [1] * len(data))) == whole


def test_sizes_stay_in_their_limits() -> None:
    content = chunk_stream(io.BytesIO(DATA + bytes(3_000_000)).read)
    lengths = [chunk.length for chunk in content.chunks]
    assert max(lengths) == MAX_CHUNK_BYTES  # zeros have no boundaries
    assert min(lengths[:-1]) >= 64 * 1024


def test_an_insertion_changes_few_chunks() -> None:
    before = chunk_stream(io.BytesIO(DATA).read, config=SMALL)
    after = chunk_stream(io.BytesIO(b"new" + DATA).read, config=SMALL)
    assert len(set(after.chunks) - set(before.chunks)) <= 3


def test_empty_content() -> None:
    content = chunk_stream(io.BytesIO(b"").read)
    assert content == ChunkedContent(ContentHash.of(b""), 0, ())


def test_progress_is_told() -> None:
    told: list[int] = []
    content = chunk_stream(io.BytesIO(DATA).read, progress=told.append)
    assert len(told) == len(content.chunks)
    assert told[-1] == len(DATA)


def test_a_failing_read_passes_through() -> None:
    def read(size: int) -> bytes:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        chunk_stream(read)


@pytest.mark.parametrize("sizes", [(0, 256, 1024), (512, 256, 1024), (64, 256, 2 * 1024 * 1024)])
def test_configurations_are_checked(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        ChunkConfig(*sizes)


def test_a_chunk_has_a_length() -> None:
    with pytest.raises(ValueError, match="1 to"):
        Chunk(ContentHash.of(b""), 0)
