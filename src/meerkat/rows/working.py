"""What the rows process is at work on, written where a crash of it does not erase it.

The host reads it when the process has died, to know which database may be the cause. Names are 16
bytes: a database's version, or the hash of a path that is being imported.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

__all__ = ["Working", "import_name", "read_working"]

_NAME_BYTES = 16
_SLOTS = 64  # more than the process has threads
_NOTHING = bytes(_NAME_BYTES)


class Working:
    """A mapped file: what is written into it survives the process, at the cost of a copy."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError``."""
        self.path = path
        path.write_bytes(_NOTHING * _SLOTS)
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NAME_BYTES * _SLOTS)
        self._free = deque(range(0, _NAME_BYTES * _SLOTS, _NAME_BYTES))

    @contextmanager
    def on(self, name: bytes) -> Iterator[None]:
        """Inside the block something is at work on ``name``. For any thread."""
        at = self._free.pop()
        self._map[at : at + _NAME_BYTES] = name
        try:
            yield
        finally:
            self._map[at : at + _NAME_BYTES] = _NOTHING
            self._free.append(at)


def read_working(path: Path) -> frozenset[bytes]:
    """What a process that has died was at work on; nothing, if it never began."""
    try:
        data = path.read_bytes()
    except OSError:
        return frozenset()
    names = (data[at : at + _NAME_BYTES] for at in range(0, len(data), _NAME_BYTES))
    return frozenset(name for name in names if name != _NOTHING and len(name) == _NAME_BYTES)


def import_name(path: str) -> bytes:
    """The name of an import, which has no version yet."""
    return blake3(path.encode(errors="surrogateescape")).digest(_NAME_BYTES)
