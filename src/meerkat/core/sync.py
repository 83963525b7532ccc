"""Heads on every link, and ranges until nothing is missing.

New operations are pushed at once to every link that lacks them; anti-entropy (heads at link-up,
after news, and at a slow beat) finds whatever a push missed. It alone is enough for convergence.

Invariants that ``_evaluate`` keeps:
1. what a link said it has and we lack is asked for, from one link at a time per author;
2. an unanswered request is asked again, elsewhere, after ``request_timeout``;
3. nothing is sent that the other side is known to have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .effects import Effect, Send, StartTimer
from .events import LinkId
from .heads import Heads, Range
from .ids import AuthorId
from .log import Admission, Log
from .messages import MAX_HEADS, HaveHeads, HeadEntry, Operations, WantOperations
from .operation import Operation

__all__ = ["Sync", "SyncConfig"]


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """Pace of anti-entropy, in seconds and bytes."""

    beat: float = 10.0
    """Heads to every link, even if nothing happened (overlay.md: 30 s with one neighbor)."""
    note_after: float = 0.1
    """Heads to those who may not know what we got meanwhile (guess)."""
    request_timeout: float = 5.0
    """Until a range is asked for elsewhere (guess: a slice takes milliseconds)."""
    slice_bytes: int = 256 * 1024
    """Of an answer, so that typing never waits behind catch-up (overlay.md)."""


@dataclass(slots=True)
class _LinkState:
    theirs: Heads  # what the other side has, as it said or proved
    sent: Heads  # ... and what we pushed to it
    told: Heads  # what the other side knows that we have
    asked: dict[AuthorId, Range] = field(default_factory=dict)
    asked_at: float = 0.0
    useless: set[AuthorId] = field(default_factory=set)  # asked there in vain, as things stand

    def is_next(self, operation: Operation) -> bool:
        """Whether a push of this one continues what the other side has."""
        author = operation.author
        return max(self.theirs[author], self.sent[author]) == operation.sequence - 1


class Sync:
    """What each link has and lacks."""

    def __init__(self, log: Log, config: SyncConfig) -> None:
        self._log = log
        self._config = config
        self._links: dict[LinkId, _LinkState] = {}
        self._greetings: dict[LinkId, Heads] = {}  # what our Hello said, until theirs comes
        self._noting = False
        self._applied = Heads()  # when a request was last in vain

    # -- links -----------------------------------------------------------------------------

    def greet(self, link: LinkId) -> tuple[HeadEntry, ...]:
        """The heads for our Hello, which is all that the other side knows of us at first."""
        self._greetings[link] = self._log.heads.copy()
        return self._entries()

    def link_up(self, link: LinkId, heads: Iterable[HeadEntry]) -> None:
        """The other side said hello, too."""
        told = self._greetings.pop(link, Heads())
        state = _LinkState(Heads(), Heads(), told)
        self._links[link] = state
        self._learn(state, heads)

    def link_down(self, link: LinkId) -> None:
        """What was asked there is asked elsewhere."""
        self._links.pop(link, None)
        self._greetings.pop(link, None)

    def has_all(self, link: LinkId) -> bool:
        """Whether both sides of a link have the same, as far as both have said."""
        state = self._links.get(link)
        return state is not None and state.theirs == self._log.heads

    @property
    def missing(self) -> bool:
        """Whether some link has what we lack."""
        return any(state.theirs.missing_from(self._log.heads) for state in self._links.values())

    # -- messages --------------------------------------------------------------------------

    def on_heads(self, link: LinkId, message: HaveHeads) -> None:
        """The other side says what it has."""
        state = self._links.get(link)
        if state is not None:
            self._learn(state, message.heads)

    def on_want(self, link: LinkId, message: WantOperations) -> list[Effect]:
        """The other side asks for ranges; it gets as much as the limit allows."""
        state = self._links.get(link)
        if state is None:
            return []
        ranges = [
            Range(AuthorId(author), max(first, 1), last) for author, first, last in message.ranges
        ]
        limit = min(message.limit_bytes, self._config.slice_bytes)
        found, ends = self._log.read(ranges, limit)
        state.sent.merge(ends)
        return [Send(link, Operations(tuple(found), answer=True))]

    def on_operations(self, link: LinkId, result: Admission, *, answer: bool) -> None:
        """Operations arrived: the sender has them. What an answer left out is asked for again."""
        state = self._links.get(link)
        if state is None:
            return
        state.theirs.merge(result.offered)  # also what we could not admit: it has that
        for author, sequence in result.present:
            asked = state.asked.get(author)
            if asked is not None and sequence >= asked.last:
                del state.asked[author]
        if answer:
            self._close(state)

    def _close(self, state: _LinkState) -> None:
        """A request is over. What it did not bring is not asked there again at once: an author
        may be unknown here until something else is applied, or the other side may pretend.
        """
        for one in state.asked.values():
            if self._log.heads[one.author] < one.first:
                state.useless.add(one.author)
        state.asked.clear()

    def relay(self, operations: list[Operation], source: LinkId | None) -> list[Effect]:
        """Push operations that are new here to everyone who lacks them."""
        effects: list[Effect] = []
        for link, state in sorted(self._links.items()):
            fresh = [
                one
                for one in operations
                if link != source and state.is_next(one) and state.sent.advance(*one.id)
            ]
            for batch in _slices(fresh, self._config.slice_bytes):
                effects.append(Send(link, Operations(batch)))
                for one in fresh:
                    state.told.advance(*one.id)
        return effects

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float) -> list[Effect]:
        """Ask for what is missing; note what others do not know yet."""
        effects: list[Effect] = []
        self._look_again()
        for state in self._links.values():
            if state.asked and now - state.asked_at >= self._config.request_timeout:
                self._close(state)
        taken = {author for state in self._links.values() for author in state.asked}
        for link, state in sorted(self._links.items()):
            if state.asked:
                continue
            skip = taken | state.useless | self._log.frozen
            missing = state.theirs.missing_from(self._log.heads)
            ranges = [one for one in missing if one.author not in skip]
            if ranges:
                state.asked = {one.author: one for one in ranges}
                state.asked_at = now
                taken |= state.asked.keys()
                wanted = tuple((bytes(one.author), one.first, one.last) for one in ranges)
                effects.append(Send(link, WantOperations(wanted, self._config.slice_bytes)))
                effects.append(StartTimer("sync", self._config.request_timeout))
        if not self._noting and any(s.told != self._log.heads for s in self._links.values()):
            self._noting = True
            effects.append(StartTimer("note", self._config.note_after))
        return effects

    def _look_again(self) -> None:
        """Since something was applied, another request may bring what the last one did not."""
        waiting = any(state.useless for state in self._links.values())
        if waiting and self._applied != self._log.applied:
            self._applied = self._log.applied.copy()
            for state in self._links.values():
                state.useless.clear()

    def note(self) -> list[Effect]:
        """Tell those who do not know what we have."""
        self._noting = False
        return self._tell(lambda state: state.told != self._log.heads)

    def beat(self) -> list[Effect]:
        """Tell everyone what we have, ask again for what did not come, and come again."""
        for state in self._links.values():
            state.useless.clear()
        effects = self._tell(lambda state: True)
        return [*effects, StartTimer("beat", self._config.beat)]

    def _tell(self, which: Callable[[_LinkState], bool]) -> list[Effect]:
        heads = self._entries()
        effects: list[Effect] = []
        for link, state in sorted(self._links.items()):
            if which(state):
                state.told = self._log.heads.copy()
                effects.append(Send(link, HaveHeads(heads)))
        return effects

    def _entries(self) -> tuple[HeadEntry, ...]:
        return tuple((bytes(author), last) for author, last in self._log.heads.items())

    def _learn(self, state: _LinkState, heads: Iterable[HeadEntry]) -> None:
        for author, sequence in heads:
            if state.theirs[AuthorId(author)] or len(state.theirs) < MAX_HEADS:
                state.theirs.advance(AuthorId(author), sequence)


def _slices(operations: list[Operation], limit: int) -> list[tuple[bytes, ...]]:
    slices: list[list[bytes]] = []
    size = 0
    for one in operations:
        if not slices or size + len(one.data) > limit:
            slices.append([])
            size = 0
        slices[-1].append(one.data)
        size += len(one.data)
    return [tuple(one) for one in slices]
