"""What a file and its write-ahead log look like from outside, without opening them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Signature", "signature_of"]

_SETTLED = 0.1  # seconds after which a second write in the same tick of the disk's clock is out

Signature = tuple[int, ...]
"""Device, inode, size and time (ns) of the file and of its log, as far as they are there."""


def signature_of(path: Path, wall: float) -> Signature | None:
    """The signature now; None if it was written so lately that a later write could look the same.

    ``wall``: seconds since the epoch.
    """
    signature: list[int] = []
    newest = 0
    for name in (str(path), f"{path}-wal"):
        try:
            stat = os.stat(name, follow_symlinks=False)
        except OSError:
            continue
        if name != str(path) and stat.st_size == 0:
            continue  # an empty log is no log: it comes and goes with who has the file open
        signature += (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        newest = max(newest, stat.st_mtime_ns)
    return None if abs(wall - newest / 1e9) < _SETTLED else tuple(signature)
