"""What the other side of a link has and knows: only where it differs from our own heads.

Once both have the same nothing is kept, so a thousand authors on a hundred links cost little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .heads import Heads, Range
from .ids import AuthorId
from .messages import HaveHeads
from .operation import Operation

__all__ = ["Greeting", "LinkHeads", "Say"]


class Say(IntEnum):
    """How a head is to be said."""

    CONFIRM = 0  # they have it: in a while, so that they know that we do
    ANNOUNCE = 1  # it comes to them along the tree: ask only if it does not
    OFFER = 2  # they lack it and nothing brings it: ask at once


@dataclass(slots=True)
class LinkHeads:
    """What the other side has and knows, as far as it is not simply what we have."""

    theirs: dict[AuthorId, int] = field(default_factory=dict)  # as they said or proved
    ahead: set[AuthorId] = field(default_factory=set)  # of these: they have more than we
    behind: set[AuthorId] = field(default_factory=set)  # ... they lack more than what is new
    say: dict[AuthorId, Say] = field(default_factory=dict)  # heads they do not know of
    asked: dict[AuthorId, Range] = field(default_factory=dict)
    ask_until: float = 0.0
    useless: dict[AuthorId, float] = field(default_factory=dict)  # asked in vain; until when
    beat_hash: bytes = b""  # the last one that was not ours
    beats: int = 0  # how often it came
    unheard: bool = False  # it has other heads, and has not said which

    def grew(self, author: AuthorId, before: int, after: int) -> None:
        """Our own head grew."""
        theirs = self.theirs.get(author, before)
        if theirs == after:
            del self.theirs[author]
        else:
            self.theirs[author] = theirs
        if theirs <= after:
            self.ahead.discard(author)

    def lacks(self, operation: Operation) -> bool:
        """Whether it is not known to have one of ours."""
        return self.theirs.get(operation.author, operation.sequence) < operation.sequence

    def messages(self, ours: Heads, slice_count: int) -> list[HaveHeads]:
        """Say all that is to be said, at most ``slice_count`` heads at once."""
        found: list[HaveHeads] = []
        for lazy in (False, True):
            authors = sorted(one for one, how in self.say.items() if (how < Say.OFFER) is lazy)
            for start in range(0, len(authors), slice_count):
                part = authors[start : start + slice_count]
                found.append(HaveHeads(tuple((bytes(one), ours[one]) for one in part), lazy))
        self.say.clear()
        return found


@dataclass(frozen=True, slots=True)
class Greeting:
    """What our Hello said."""

    heads: Heads
    hash: bytes
    whole: bool
