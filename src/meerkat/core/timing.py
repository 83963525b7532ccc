"""Words for times that several layers share. All of the core counts in seconds."""

from __future__ import annotations

__all__ = ["MS", "NEVER", "ROUNDING"]

MS = 1000  # in a second: stamps and boots are milliseconds since the epoch
NEVER = float("inf")  # when nothing is due
ROUNDING = 0.001  # s; a timer may ring a hair early, as floating point counts
