"""Chunking and hashing speed beside plain BLAKE3, over the same bytes in one run.

Run: ``python -m bench.chunks``. Best of three, one thread, GB/s (10^9 bytes).
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable

from blake3 import blake3

from meerkat.core.chunks import chunk_stream

SIZE = 256 * 1024 * 1024


def best(work: Callable[[], object]) -> float:
    """GB/s of the fastest of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return SIZE / min(times) / 1e9


def main() -> None:
    """Print the table."""
    data = random.Random(1).randbytes(SIZE // 4) * 4
    content = chunk_stream(io.BytesIO(data).read)
    lengths = [chunk.length for chunk in content.chunks]
    print(f"{len(lengths)} chunks, mean {sum(lengths) / len(lengths) / 1024:.0f} KiB")
    print(f"plain BLAKE3                {best(lambda: blake3(data)):.2f} GB/s")
    print(
        f"chunk_stream (cut, 2 hashes) {best(lambda: chunk_stream(io.BytesIO(data).read)):.2f} GB/s"
    )


if __name__ == "__main__":
    main()
