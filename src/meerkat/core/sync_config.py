"""How operations and heads are paced and bounded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SyncConfig"]


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """Pace of operations and anti-entropy, in seconds and bytes."""

    beat: float = 10.0
    """Between looks at what is stuck (guess)."""
    announce_after: float = 0.01
    """Heads to those who get nothing pushed, gathered (overlay.md, 5.3)."""
    confirm_after: float = 0.1
    """Heads to those who have the same, only so that they know (guess)."""
    request_timeout: float = 5.0
    """Until a range is asked for elsewhere (guess: a slice takes milliseconds)."""
    slice_bytes: int = 256 * 1024
    """Of an answer, so that typing never waits behind catch-up (overlay.md)."""
    large_bytes: int = 8 * 1024
    """Own operations beyond it go along the tree only (overlay.md, 5.2)."""
    hello_heads: int = 64
    """A Hello says all heads up to so many, beyond only their hash: 3 KB at most (guess)."""
    heads_slice: int = 4_096
    """Heads in one message: 180 KB (guess)."""
    held_count: int = 256
    """Operations held back until their tree brings them, too (guess)."""
    full_every: int = 3
    """Beats with the same unequal hash until all heads are said (guess)."""
