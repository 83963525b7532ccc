"""Where what is logged goes: to a file in the state folder, never to the terminal."""

from __future__ import annotations

import logging
import logging.handlers
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["logging_to"]

LOG_BYTES = 1_000_000  # then the log begins anew, and one older is kept


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Everything logged goes to ``.meerkat/log``; nothing of it to the terminal."""
    level = logging.DEBUG if os.environ.get("MEERKAT_DEBUG") else logging.INFO
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(level)
    logging.getLogger("grpc").setLevel(logging.WARNING)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
