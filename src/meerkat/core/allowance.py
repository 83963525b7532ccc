"""How much somebody may ask of us, or we may try: a token bucket."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """``rate`` a second, and at most ``burst`` saved up; it begins full."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, 0.0

    def has(self, now: float, count: float = 1.0) -> bool:
        """Whether so many may be taken. ``now``: monotonic time, s."""
        if now > self._at:
            self._left = min(self.burst, self._left + (now - self._at) * self.rate)
            self._at = now
        return self._left >= count

    def spend(self, count: float = 1.0) -> None:
        """They are gone, whether there were so many or not."""
        self._left -= count

    def take(self, now: float, count: float = 1.0) -> bool:
        """Take so many, if there are."""
        if not self.has(now, count):
            return False
        self.spend(count)
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is one."""
        left = min(self.burst, self._left + max(now - self._at, 0.0) * self.rate)
        return 0.0 if left >= 1.0 else (1.0 - left) / self.rate
