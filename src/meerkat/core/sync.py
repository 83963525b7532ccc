"""Operations on the trees, heads beside them, and ranges until nothing is missing.

New operations are pushed on their author's eager links at once and announced on the others
(``HaveHeads``, lazy); what was announced and does not come is asked for. Heads that were said and
not confirmed are said again at a slow beat: state heals every loss, never a single message.

Invariants that ``evaluate`` keeps:
1. what a link said it has and we lack is asked for, from one link at a time per author;
2. an unanswered request is asked again, elsewhere, after ``request_timeout``;
3. nothing is sent that the other side is known to have;
4. what came as an answer is announced onward, never pushed: others may have had it for long.

Of a link only the differences to our own heads are kept: nothing, once both have the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from blake3 import blake3

from .asking import Asking
from .effects import Effect, Send, StartTimer
from .events import LinkId
from .heads import Range
from .ids import AuthorId
from .link_heads import Greeting, LinkHeads, Say
from .log import Admission, Log
from .messages import MAX_HEADS, HaveHeads, HeadEntry, Operations, WantOperations
from .operation import Operation
from .sync_config import SyncConfig
from .timing import NEVER, ROUNDING
from .trees import Trees

__all__ = ["Sync", "SyncConfig"]


@dataclass(slots=True)
class _Held:
    """Operations that came beside their tree: pushed on when the tree brings them, or then."""

    operations: list[Operation]
    source: LinkId
    since: float
    due: float


class Sync:
    """What each link has and lacks."""

    def __init__(self, log: Log, config: SyncConfig, trees: Trees | None = None) -> None:
        self._log = log
        self._config = config
        self._trees = trees or Trees()
        self._heads = log.heads.copy()  # as the links' states know them
        self._hash: bytes | None = None
        self._links: dict[LinkId, LinkHeads] = {}
        self._greetings: dict[LinkId, Greeting] = {}  # until their Hello comes
        self._asking = Asking(log, self._heads, self._links, self._trees, config)
        self._held: dict[AuthorId, _Held] = {}
        self._answered: set[AuthorId] = set()  # whose new operations came as an answer
        self._announce_at = NEVER
        self._confirm_at = NEVER
        self._timer_at = NEVER
        self._now = 0.0  # when ``evaluate`` was last asked

    # -- links -----------------------------------------------------------------------------

    def heads_hash(self) -> bytes:
        """BLAKE3 of all our heads, sorted: equal hashes, equal logs."""
        self._notice()
        if self._hash is None:
            parts = (author + last.to_bytes(8, "big") for author, last in self._heads.items())
            self._hash = blake3(b"".join(parts)).digest()
        return self._hash

    def greet(self, link: LinkId) -> tuple[HeadEntry, ...]:
        """A Hello goes out on ``link`` now: its heads, if they are few. It has ``heads_hash``,
        too; what we said there is what the other side knows of us at first.
        """
        hashed, entries = self.hello_heads()
        self._greetings[link] = Greeting(self._heads.copy(), hashed, bool(entries))
        return entries

    def hello_heads(self) -> tuple[bytes, tuple[HeadEntry, ...]]:
        """The two fields of a Hello: the hash of our heads and, if they are few, the heads."""
        hashed = self.heads_hash()
        if len(self._heads) > self._config.hello_heads:
            return hashed, ()
        return hashed, tuple((bytes(author), last) for author, last in self._heads.items())

    def link_up(
        self, link: LinkId, heads: Iterable[HeadEntry], heads_hash: bytes, now: float
    ) -> None:
        """The other side said hello, too; without ``heads``, their hash says it all or nothing."""
        self._trees.link_up(link)
        ours, told = self.heads_hash(), self._greetings.pop(link, None)
        state = self._links[link] = LinkHeads()
        heads = tuple(heads)
        was = told.heads if told is not None and told.hash == heads_hash else None
        grown = told is None or told.heads.total != self._heads.total
        if not heads and was is not None and not grown:
            pass  # they have what we have
        elif not heads and was is not None:  # they have what we had when we said hello
            state.theirs = {
                author: was[author] for author, last in self._heads.items() if was[author] != last
            }
        elif heads or heads_hash != ours:
            state.theirs = dict.fromkeys(self._heads, 0)
            state.unheard = not heads
            self._learn(state, heads, now, lazy=False)
        state.behind = {one for one, last in state.theirs.items() if last < self._heads[one]}
        knows = told is not None and (told.whole or told.hash == heads_hash)
        for author, last in self._heads.items() if grown or not knows else ():
            if told is None or not knows or told.heads[author] != last:
                self._say(state, author, Say.OFFER, now)
        self._announce_at = min(self._announce_at, now)  # the one exchange of a new link
        self._asking.look_at = now

    def link_down(self, link: LinkId) -> None:
        """What was asked there is asked elsewhere."""
        self._trees.link_down(link)
        self._greetings.pop(link, None)
        if self._links.pop(link, None) is not None:
            self._asking.look_at = 0.0  # at once

    def has_all(self, link: LinkId) -> bool:
        """Whether both sides of a link have the same, as far as both have said."""
        state = self._links.get(link)
        return state is not None and not state.theirs

    def all_have(self, links: Iterable[LinkId]) -> bool:
        """Whether that is so on all these links."""
        states = self._links
        for link in links:
            state = states.get(link)
            if state is None or state.theirs:
                return False
        return True

    def vouches(self, link: LinkId, author: AuthorId) -> bool:
        """Whether the other side said how much it has of an author, and it is no more than ours."""
        state = self._links.get(link)
        if state is None:
            return False
        return author not in state.theirs or 0 < state.theirs[author] <= self._log.heads[author]

    @property
    def missing(self) -> bool:
        """Whether some link has what we lack, or has not said."""
        return any(state.ahead or state.unheard for state in self._links.values())

    # -- messages --------------------------------------------------------------------------

    def on_heads(self, link: LinkId, message: HaveHeads, now: float) -> None:
        """The other side says what it has."""
        state = self._links.get(link)
        if state is not None:
            state.unheard = state.unheard and message.lazy
            self._learn(state, message.heads, now, lazy=message.lazy)

    def _learn(
        self, state: LinkHeads, heads: Iterable[tuple[bytes, int]], now: float, *, lazy: bool
    ) -> None:
        for entry, sequence in heads:
            author = AuthorId(entry)
            ours = self._heads[author]
            if sequence <= state.theirs.get(author, ours):
                # Nothing new. If they say it again, they may not have heard that we have it. What
                # is lazy is never answered: else two answers would go on for ever.
                if not lazy:
                    self._say(state, author, Say.CONFIRM, now)
                continue
            if sequence == ours:
                del state.theirs[author]
                state.behind.discard(author)
            elif author in state.theirs or len(state.theirs) < MAX_HEADS:
                state.theirs[author] = sequence
            if sequence > ours and author in state.theirs:
                self._asking.hear(state, author, now, lazy=lazy)
            elif sequence == ours and author in state.say:
                del state.say[author]
                self._say(state, author, Say.CONFIRM, now)

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
        state.behind -= {author for author, last in ends if last >= self._heads[author]}
        return [Send(link, Operations(tuple(found), answer=True))]

    def on_operations(
        self, link: LinkId, result: Admission, now: float, *, answer: bool
    ) -> list[Effect]:
        """Operations arrived: the sender has them. What an answer left out is asked for again;
        a push of nothing new prunes its link. Call ``relay`` with what was admitted next.
        """
        fresh = {one.author for one in result.admitted}
        for author in sorted(fresh):
            self._grow(author, now)
        state = self._links.get(link)
        if state is None:
            return []
        self._learn(state, result.offered, now, lazy=True)  # also what we could not admit
        self._asking.answered(state, result.present, over=answer)
        if answer:
            self._answered = fresh
        elif not fresh and len(result.present) == len(result.offered):
            return self._again(link, sorted({author for author, _ in result.present}), now)
        return []

    def _again(self, link: LinkId, authors: list[AuthorId], now: float) -> list[Effect]:
        """A push of nothing new: prune its link, unless it is the tree's copy of what is held."""
        effects: list[Effect] = []
        for author in authors:
            held = self._held.get(author)
            if held is None:
                effects += self._trees.duplicate(author, link, now)
            elif link != held.source:
                self._trees.observe(now - held.since)
                self._trees.delivered(author, link, now)
                effects += self._release(author)
        return effects

    def beat(self, now: float) -> list[Effect]:
        """Say again what was not confirmed, ask again for what did not come, and come again."""
        for state in self._links.values():
            self._repeat(state, now)
        self._asking.forget(now)
        return [StartTimer("beat", self._config.beat)]

    def on_beat(self, link: LinkId, heads_hash: bytes, now: float) -> None:
        """The other side says what its heads hash to."""
        state = self._links.get(link)
        if state is None:
            return
        if heads_hash == self.heads_hash():
            state.beats, state.unheard = 0, False
            state.theirs.clear()
            state.ahead.clear()
            state.behind.clear()
            for author in list(state.say):
                state.say[author] = Say.CONFIRM
                self._say(state, author, Say.CONFIRM, now)
            return
        if state.asked or state.say:
            return  # it is being mended
        state.beats = state.beats + 1 if heads_hash == state.beat_hash else 1
        state.beat_hash = heads_hash
        if state.beats % self._config.full_every == 0:
            for author in self._heads:
                self._say(state, author, Say.OFFER, now)
        else:
            self._repeat(state, now)

    def _repeat(self, state: LinkHeads, now: float) -> None:
        """Whatever is not known to be there may have been lost on the way."""
        for author, sequence in state.theirs.items():
            if sequence < self._heads[author]:
                self._say(state, author, Say.OFFER, now)

    # -- passing on ------------------------------------------------------------------------

    def relay(self, operations: list[Operation], source: LinkId | None, now: float) -> list[Effect]:
        """Pass on operations that are new here; ``source`` is None where they begin."""
        pushes: dict[LinkId, list[Operation]] = {}
        runs: dict[AuthorId, list[Operation]] = {}
        for one in operations:
            runs.setdefault(one.author, []).append(one)
        for author, run in runs.items():
            self._grow(author, now)
            if author in self._answered:
                self._pass_on(author, run, source, now, otherwise=Say.OFFER)
            else:
                self._spread(author, run, source, now, pushes)
        self._answered = set()
        return self._pushed(pushes)

    def _spread(
        self,
        author: AuthorId,
        run: list[Operation],
        source: LinkId | None,
        now: float,
        pushes: dict[LinkId, list[Operation]],
    ) -> None:
        """News: push it on the tree, announce it beside it."""
        large = sum(len(one.data) for one in run) > self._config.large_bytes
        held = self._held.pop(author, None)
        if held is not None:
            run = held.operations + run
        self._trees.watch(author, now, large=large)
        beside = source is not None and self._trees.beside(author, source)
        if source is not None and beside and len(self._held) < self._config.held_count:
            since, due = now, now + self._trees.graft_after
            if held is not None:
                since, due = held.since, held.due
            self._held[author] = _Held(run, source, since, due)
            self._pass_on(author, run, source, now, quiet=self._trees.eager(author))
            return
        if source is not None:
            self._trees.delivered(author, source, now)
        eager = self._trees.eager(author, own=source is None and not large)
        self._pass_on(author, run, source, now, eager=eager, pushes=pushes)

    def _pass_on(
        self,
        author: AuthorId,
        run: list[Operation],
        source: LinkId | None,
        now: float,
        *,
        eager: Collection[LinkId] = (),
        quiet: Collection[LinkId] = (),
        otherwise: Say = Say.ANNOUNCE,
        pushes: dict[LinkId, list[Operation]] | None = None,
    ) -> None:
        """To each link what it lacks: pushed if it is eager, or its head is said."""
        for link, state in self._links.items():
            lacking = [one for one in run if state.lacks(one)]
            if not lacking or link == source or link in quiet:
                self._say(state, author, Say.CONFIRM, now)
            elif author in state.behind:
                self._say(state, author, Say.OFFER, now)
            elif pushes is not None and link in eager:
                pushes.setdefault(link, []).extend(lacking)
                state.say.pop(author, None)
            else:
                self._say(state, author, otherwise, now)

    def _release(self, author: AuthorId) -> list[Effect]:
        """Push on what was held back."""
        held = self._held.pop(author)
        pushes: dict[LinkId, list[Operation]] = {}
        for link in self._trees.eager(author, but=held.source):
            state = self._links.get(link)
            lacking = [one for one in held.operations if state is not None and state.lacks(one)]
            if state is not None and lacking and author not in state.behind:
                pushes[link] = lacking
                state.say.pop(author, None)
        return self._pushed(pushes)

    def _pushed(self, pushes: dict[LinkId, list[Operation]]) -> list[Effect]:
        """One message or more for each link, none larger than a slice or one operation."""
        effects: list[Effect] = []
        for link, operations in sorted(pushes.items()):
            batch: list[bytes] = []
            size = 0
            for one in operations:
                if batch and size + len(one.data) > self._config.slice_bytes:
                    effects.append(Send(link, Operations(tuple(batch))))
                    batch, size = [], 0
                batch.append(one.data)
                size += len(one.data)
            effects.append(Send(link, Operations(tuple(batch))))
        return effects

    # -- our own heads -----------------------------------------------------------------------

    def _grow(self, author: AuthorId, now: float) -> bool:
        """Bring every link's differences up to our own head; whether it grew."""
        before, after = self._heads[author], self._log.heads[author]
        if before == after:
            return False
        self._heads.advance(author, after)
        self._hash = None
        for state in self._links.values():
            state.grew(author, before, after)
        self._asking.grew(author, now)
        return True

    def _notice(self) -> None:
        """What got into the log without ``relay``."""
        if self._heads.total == self._log.heads.total:  # ours are the log's, perhaps older
            return
        for author in self._log.heads:
            if self._grow(author, self._now):
                for state in self._links.values():
                    self._say(state, author, Say.OFFER, self._now)

    # -- deciding --------------------------------------------------------------------------

    def evaluate(self, now: float) -> list[Effect]:
        """Ask for what is missing; say what others do not know yet."""
        self._now = now
        effects: list[Effect] = []
        for author in sorted(one for one, held in self._held.items() if held.due <= now + ROUNDING):
            source = self._held[author].source
            effects += self._release(author)
            if source in self._links:  # the tree does not bring it: let that link be part of it
                effects.append(Send(source, self._trees.graft(author, source, now)))
        effects += self._asking.decide(now)
        return [*effects, *self._speak(now), *self._timer(now)]

    def _say(self, state: LinkHeads, author: AuthorId, how: Say, now: float) -> None:
        """Have a head said, at least so urgently; one we do not have is none."""
        if not self._heads[author]:
            return
        state.say[author] = max(how, state.say.get(author, how))
        if how is Say.CONFIRM:
            self._confirm_at = min(self._confirm_at, now + self._config.confirm_after)
        else:
            self._announce_at = min(self._announce_at, now + self._config.announce_after)

    def _speak(self, now: float) -> list[Effect]:
        """Heads, to those who do not know of them."""
        confirm = self._confirm_at <= now + ROUNDING
        if not confirm and self._announce_at > now + ROUNDING:
            return []
        effects: list[Effect] = []
        for link, state in sorted(self._links.items()):
            if confirm or any(how is not Say.CONFIRM for how in state.say.values()):
                said = state.messages(self._heads, self._config.heads_slice)
                effects += [Send(link, message) for message in said]
        self._announce_at = NEVER
        if confirm:
            self._confirm_at = NEVER
        return effects

    def _timer(self, now: float) -> list[Effect]:
        dues = [held.due for held in self._held.values()]
        soonest = min([self._asking.look_at, self._announce_at, self._confirm_at, *dues])
        rang = self._timer_at <= now + ROUNDING
        if soonest == NEVER or (not rang and self._timer_at <= soonest):
            return []
        self._timer_at = soonest
        return [StartTimer("sync", max(soonest - now, ROUNDING))]
