"""What happens, line by line, in the log of whoever sets MEERKAT_DEBUG=1."""

from __future__ import annotations

import logging

__all__ = ["trace"]

LOG = logging.getLogger(__name__)
MAX_SHOWN = 400  # characters of one event or effect; contents are never shown whole


def trace(way: str, value: object) -> None:
    """Log an event (`in`) or an effect (`out`)."""
    if LOG.isEnabledFor(logging.DEBUG):
        LOG.debug("%s %s", way, repr(value)[:MAX_SHOWN])
