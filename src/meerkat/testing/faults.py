"""What can go wrong in the simulated network, as data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Faults"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances per message (0 to 1) and the mean one-way delay (s).

    ``breaks``: the connection ends, as TCP does when packets stay away; ``loss``, ``duplicate``
    and ``reorder`` are worse than TCP allows.
    """

    delay: float = 0.02
    breaks: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
