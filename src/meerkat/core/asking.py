"""What to ask of whom, and when: what a link has and we lack.

What is offered is asked for at once; what comes along a tree anyway only when it did not come in
time (Plumtree's GRAFT). One link at a time is asked for an author; one that does not answer, or in
vain, is passed over for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from .effects import Effect, Send
from .events import LinkId
from .heads import Heads, Range
from .ids import AuthorId
from .link_heads import LinkHeads
from .log import Log
from .messages import WantOperations
from .sync_config import SyncConfig
from .timing import NEVER, ROUNDING
from .trees import Trees

__all__ = ["Asking"]


@dataclass(slots=True)
class _Expected:
    """An author's operations that were announced and come along the tree."""

    since: float
    due: float
    asked: bool = False


class Asking:
    """Requests of operations over all links, which it shares with ``Sync``, as it does ``heads``:
    our own, as the links' differences are counted from.
    """

    def __init__(
        self,
        log: Log,
        heads: Heads,
        links: dict[LinkId, LinkHeads],
        trees: Trees,
        config: SyncConfig,
    ) -> None:
        self._log, self._heads, self._links = log, heads, links
        self._trees, self._config = trees, config
        self._expected: dict[AuthorId, _Expected] = {}
        self._applied = Heads()  # when a request was last in vain
        self._in_vain = False  # is there any link with such a request?
        self.look_at = NEVER
        """When to decide again what to ask for."""

    def hear(self, state: LinkHeads, author: AuthorId, now: float, *, lazy: bool) -> None:
        """They have more than we: it is asked for at once, or when it should have come."""
        waits = any(author in other.ahead for other in self._links.values())
        state.ahead.add(author)
        if not lazy:
            self._expected.pop(author, None)
            self.look_at = 0.0
        elif author not in self._expected and not waits:
            due = now + self._trees.graft_after
            self._expected[author] = _Expected(now, due)
            self.look_at = min(self.look_at, due)

    def grew(self, author: AuthorId, now: float) -> None:
        """Our own head of an author grew."""
        expected = self._expected.pop(author, None)
        ahead = any(author in state.ahead for state in self._links.values())
        if expected is not None:
            if not expected.asked:
                self._trees.observe(now - expected.since)
            if ahead:
                self._expected[author] = _Expected(now, now + self._trees.graft_after)
        if ahead:
            self.look_at = 0.0

    def answered(
        self, state: LinkHeads, present: list[tuple[AuthorId, int]], *, over: bool
    ) -> None:
        """These came over a link; ``over``: as all of an answer."""
        self.look_at = 0.0
        for author, sequence in present:
            asked = state.asked.get(author)
            if asked is not None and sequence >= asked.last:
                del state.asked[author]
        if over:
            self._close(state)

    def _close(self, state: LinkHeads) -> None:
        """A request is over. What it did not bring is not asked there again at once: an author
        may be unknown here until something else is applied, or the other side may pretend.
        """
        for one in state.asked.values():
            if self._heads[one.author] < one.first:
                state.useless[one.author] = NEVER
        if state.useless:
            self._applied = self._log.applied.copy()
            self._in_vain = True
        state.asked.clear()

    def forget(self, now: float) -> None:
        """At a slow beat: ask everyone again, and keep nothing of what nobody has any more."""
        ahead: set[AuthorId] = set()
        for state in self._links.values():
            state.useless.clear()
            ahead |= state.ahead
        self._expected = {one: when for one, when in self._expected.items() if one in ahead}
        self.look_at = now

    def decide(self, now: float) -> list[Effect]:
        """The requests that are due now."""
        self._look_again()
        return self._ask(now) if self.look_at <= now + ROUNDING else []

    def _look_again(self) -> None:
        """Since something was applied, another request may bring what the last one did not."""
        if not self._in_vain:
            return
        self._in_vain = any(state.useless for state in self._links.values())
        if self._in_vain and self._applied.total != self._log.applied.total:
            self._applied = self._log.applied.copy()
            self.look_at = 0.0
            for state in self._links.values():
                state.useless.clear()

    def _ask(self, now: float) -> list[Effect]:
        """Invariants 1 and 2 of ``Sync``."""
        effects: list[Effect] = []
        self.look_at = NEVER
        for state in self._links.values():
            if state.asked and now >= state.ask_until - ROUNDING:
                until = now + self._config.request_timeout
                state.useless.update(dict.fromkeys(state.asked, until))
                self._in_vain = True
                state.asked.clear()
        taken = {author for state in self._links.values() for author in state.asked}
        order = sorted(self._links, key=lambda link: (self._trees.distrusted(link, now), link))
        for link in order:
            state = self._links[link]
            if not state.asked:
                ranges = self._wanted(state, taken | self._log.frozen, now)
                taken.update(one.author for one in ranges)
                effects += self._request(link, state, ranges, now) if ranges else []
            if state.asked:
                self.look_at = min(self.look_at, state.ask_until)
        return effects

    def _wanted(self, state: LinkHeads, but: set[AuthorId], now: float) -> list[Range]:
        """What to ask a link for now; notes when to look again."""
        found: list[Range] = []
        for author in sorted(state.ahead - but):
            expected = self._expected.get(author)
            when = max(state.useless.get(author, 0.0), expected.due if expected else 0.0)
            if when > now + ROUNDING:
                self.look_at = min(self.look_at, when)
            else:
                found.append(Range(author, self._heads[author] + 1, state.theirs[author]))
        return found

    def _request(
        self, link: LinkId, state: LinkHeads, ranges: list[Range], now: float
    ) -> list[Effect]:
        effects: list[Effect] = []
        patience = self._trees.graft_after
        for one in ranges:
            expected = self._expected.get(one.author)
            if expected is None:
                patience = self._config.request_timeout
            else:  # it should have come along the tree
                expected.asked = True
                effects.append(Send(link, self._trees.graft(one.author, link, now)))
        state.asked = {one.author: one for one in ranges}
        state.ask_until = now + patience
        wanted = tuple((bytes(one.author), one.first, one.last) for one in ranges)
        return [*effects, Send(link, WantOperations(wanted, self._config.slice_bytes))]
