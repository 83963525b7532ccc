"""The one way to print what rich drew."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["PIPE_WIDTH", "console"]

PIPE_WIDTH = 1_000  # columns of what is no terminal: nothing is cut off or wrapped there


def console() -> Console:
    """Standard output; colors only on a terminal, and full lines elsewhere."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)
