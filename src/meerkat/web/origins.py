"""Origins that the owner allows, as browsers write them."""

from __future__ import annotations

import re

__all__ = ["check_origin"]

ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d{1,5})?")


def check_origin(origin: str) -> str:
    """An origin as browsers send it, e.g. ``http://localhost:5173``.

    Raises:
        ValueError: if it is none, with a sentence.
    """
    plain = origin.strip().lower().removesuffix("/")
    if not ORIGIN.fullmatch(plain):
        raise ValueError(f"{origin!r} is no origin. Write for instance http://localhost:5173.")
    return plain
