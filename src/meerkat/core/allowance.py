"""How much somebody may ask of us: a token bucket."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """``rate`` a second, and at most ``burst`` saved up; it begins full."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, 0.0

    def take(self, now: float) -> bool:
        """Take one, if there is one. ``now``: monotonic time, s."""
        if now > self._at:
            self._left = min(self.burst, self._left + (now - self._at) * self.rate)
            self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
