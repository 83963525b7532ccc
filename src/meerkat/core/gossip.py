"""News for everybody that is not kept: pushed along a tree, announced beside it (Plumtree).

Overlay, 5.3: a broadcast is new iff it is beyond what was heard of its author's boot. New ones are
pushed on eager links at once and announced on lazy ones; a duplicate prunes its link; what was
announced and does not come is grafted. What a broadcast says is not decided here.

Unlike the paper there is no optimisation of the tree: with many senders none is short for all and
it never came to rest (RMR 0.23 instead of 0.02), with one sender it won 10 % (measured, N = 1000).

Everything kept is bounded: authors, broadcasts, announcements, and what one link may ask for.
"""

from __future__ import annotations

import heapq
from collections.abc import Container
from dataclasses import dataclass, field
from enum import IntEnum

from .allowance import Allowance
from .effects import CloseLink, Effect, Send, StartTimer
from .events import LinkId
from .gate import Gate
from .ids import AuthorId, PoolId
from .messages import MAX_ANNOUNCED, Announce, AnnounceEntry, Broadcast, Graft, Push
from .timing import ROUNDING
from .trees import Trees

__all__ = ["Arrived", "BroadcastKind", "Gossip", "GossipConfig", "signed_part"]

DOMAIN = b"meerkat broadcast 1\x00"
MAX_HOPS = 255  # as far as the field counts


class BroadcastKind(IntEnum):
    """What a payload is."""

    CONTACT = 1  # where the author can be reached (a packed ``Contact``)
    PRESENCE = 2  # that it is here, and whom it is linked to
    PUBLISHED = 3  # bytes of a program
    CURSORS = 4  # where the author's people are in open texts (``cursors``)


@dataclass(frozen=True, slots=True)
class GossipConfig:
    """Times in seconds."""

    announce_after: float = 0.01
    """To gather announcements into one message (overlay.md, 5.3)."""
    announce_idle: float = 2.0
    """... of presence, which comes again anyway: one announcement a link for many (guess)."""
    cache_bytes: int = 4 * 1024 * 1024
    """Of payloads kept for grafts (guess)."""
    cache_for: float = 60.0
    recall: float = 10.0
    """Broadcasts younger than this are announced on a new link: longer than noticing a death and
    linking elsewhere takes (guess)."""
    honour_within: float = 2.0
    """... has to come what was announced and asked for (overlay.md, 5.7)."""
    misses: int = 2
    """... or the link is distrusted, the second time (overlay.md, 5.7)."""
    large_bytes: int = 8 * 1024
    """Own payloads beyond it go along the tree only (overlay.md, 5.2)."""
    author_rate: float = 50.0
    """Broadcasts a second that one author may send, and ``author_burst`` at once (guess)."""
    author_burst: float = 200.0
    announce_rate: float = 1_000.0
    """Announced ids a second on one link (overlay.md, 5.8)."""
    graft_rate: float = 200.0
    """Grafted ids a second on one link (overlay.md, 5.8)."""
    burst: float = 5.0
    """s worth of the two rates that may come at once (guess)."""
    window: int = 1_024
    """Sequences below an author's newest that may still be news (guess)."""
    late: int = 64
    """... when it is the first that is heard of an author (guess)."""
    authors_count: int = 16_384
    """Authors remembered (as many as heads fit into a message)."""
    waiting_count: int = 4_096
    """Announcements waiting for their payload; a quarter of them from one link."""
    ahead: float = 86_400.0
    """A boot may lie in the future by this much: clocks differ (guess)."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a push led to. ``broadcast``: news, seen for the first time; ``hops`` it has crossed."""

    broadcast: Broadcast | None
    effects: list[Effect]
    hops: int = 0


_Key = tuple[bytes, int, int]
"""(author, boot, sequence)"""


@dataclass(slots=True)
class _Heard:
    """Of one author's boot: the newest sequence, and which before it did not come.

    ``missing`` is a bit set: bit n stands for ``top - 1 - n``. What lies below the window counts
    as heard.
    """

    boot: int
    allowance: Allowance
    top: int = 0
    missing: int = 0

    def has(self, sequence: int) -> bool:
        """Whether it came, or is too old to tell."""
        if sequence > self.top:
            return False
        return sequence == self.top or not self.missing >> (self.top - 1 - sequence) & 1

    def add(self, sequence: int, window: int) -> None:
        """It came."""
        if sequence > self.top:
            jump = min(sequence - self.top, window + 1)
            between = (1 << (jump - 1)) - 1
            self.missing = (self.missing << jump | between) & ((1 << window) - 1)
            self.top = sequence
        elif sequence < self.top:
            self.missing &= ~(1 << (self.top - 1 - sequence))


@dataclass(slots=True)
class _Kept:
    """A broadcast that came, for grafts."""

    broadcast: Broadcast
    hops: int
    source: LinkId | None
    at: float
    held_until: float = 0.0
    """It came from its author, beside the tree: pushed on when the tree brings it, or then."""


@dataclass(slots=True)
class _Awaited:
    """A broadcast that was announced and did not come yet."""

    since: float
    first: LinkId
    announced: dict[LinkId, None]  # in the order of announcing
    due: float
    asked: dict[LinkId, None] = field(default_factory=dict)
    first_asked: float = 0.0


@dataclass(slots=True)
class _Link:
    announces: Allowance
    grafts: Allowance
    waiting: int = 0  # announcements that this link was the first to make
    misses: int = 0


class Gossip:
    """Broadcasts: heard once, passed on once."""

    def __init__(self, gate: Gate, trees: Trees, config: GossipConfig, boot: int) -> None:
        self._gate, self._trees, self._config, self._boot = gate, trees, config, boot
        self._sequence = 0
        self._links: dict[LinkId, _Link] = {}
        self._heard: dict[bytes, _Heard] = {}  # longest silent first
        self._kept: dict[_Key, _Kept] = {}  # oldest first
        self._kept_bytes = 0
        self._awaited: dict[_Key, _Awaited] = {}
        self._due: list[tuple[float, _Key]] = []  # heap: when to look at an awaited one
        self._announcing: dict[LinkId, list[AnnounceEntry]] = {}
        self._announce_at: float | None = None
        self._timer_at: float | None = None

    # -- links -----------------------------------------------------------------------------

    def link_up(self, link: LinkId, now: float) -> list[Effect]:
        """A new neighbor hears what others said just now: it may have missed it."""
        self._trees.link_up(link)
        if link in self._links:
            return []
        config = self._config
        self._links[link] = _Link(
            Allowance(config.announce_rate, config.announce_rate * config.burst),
            Allowance(config.graft_rate, config.graft_rate * config.burst),
        )
        entries: list[AnnounceEntry] = []
        for key, kept in reversed(self._kept.items()):
            if now - kept.at > config.recall or len(entries) == MAX_ANNOUNCED:
                break
            entries.append((*key, kept.hops))
        return [Send(link, Announce(tuple(entries)))] if entries else []

    def link_down(self, link: LinkId, now: float) -> list[Effect]:
        """What was asked there is asked elsewhere, at once."""
        effects = self._trees.link_down(link)
        if self._links.pop(link, None) is None:
            return effects
        self._announcing.pop(link, None)
        for key, one in self._awaited.items():
            one.announced.pop(link, None)
            if one.asked.pop(link, 0) is None:
                self._look_at(key, one, now)
        return [*effects, *self._look(now)]

    # -- our own -----------------------------------------------------------------------------

    def begin(self, boot: int) -> None:
        """A new life, or a new author: count from 1 under ``boot`` (ms since the epoch)."""
        self._boot, self._sequence = boot, 0

    def publish(self, kind: int, payload: bytes, now: float) -> list[Effect]:
        """Tell everybody."""
        self._sequence += 1
        author = self._gate.author
        signature = self._gate.sign(
            signed_part(self._gate.pool, self._boot, self._sequence, kind, payload)
        )
        broadcast = Broadcast(
            bytes(author), self._boot, self._sequence, int(kind), payload, signature
        )
        self._heard_of(broadcast, now).add(self._sequence, self._config.window)
        large = len(payload) > self._config.large_bytes
        self._trees.watch(author, now, large=large)
        self._keep(_Kept(broadcast, 0, None, now))
        effects = self._push(broadcast, 0, (), own=not large)
        if large:
            self._announce(broadcast, 0, (), now)
        return [*effects, *self._timer(now)]

    def _push(
        self, broadcast: Broadcast, hops: int, but: Container[LinkId | None], *, own: bool = False
    ) -> list[Effect]:
        """On eager links (all of them, if it is ours), but not to those who have it."""
        message = Push(broadcast, hops)
        links = self._trees.eager(broadcast.author, own=own)
        return [Send(link, message) for link in links if link not in but]

    def _announce(
        self, broadcast: Broadcast, hops: int, but: Container[LinkId], now: float
    ) -> None:
        """On lazy links, a moment later."""
        entry = (broadcast.author, broadcast.boot, broadcast.sequence, hops)
        idle = broadcast.kind == BroadcastKind.PRESENCE
        wait = self._config.announce_idle if idle else self._config.announce_after
        for link in self._trees.lazy(broadcast.author):
            if link not in but and link in self._links:
                self._announcing.setdefault(link, []).append(entry)
                at = now + wait
                self._announce_at = min(self._announce_at or at, at)

    # -- messages ----------------------------------------------------------------------------

    def on_push(self, link: LinkId, message: Push, now: float, wall: float) -> Arrived:
        """A broadcast came. ``wall``: s since the epoch."""
        broadcast = message.broadcast
        if link not in self._links:
            return Arrived(None, [])
        heard = self._heard.get(broadcast.author)
        if heard is not None:
            if broadcast.boot < heard.boot:
                return Arrived(None, [])
            if broadcast.boot == heard.boot and heard.has(broadcast.sequence):
                return Arrived(None, self._again(link, message, now))
        author = AuthorId(broadcast.author)
        if not self._may_be_news(author, broadcast.boot, wall):
            return Arrived(None, [])
        if heard is not None and not heard.allowance.has(now):
            return Arrived(None, [])
        if not self._proven(author, broadcast):
            return Arrived(None, [CloseLink(link, "forged")])
        return self._take(link, message, now)

    def _may_be_news(self, author: AuthorId, boot: int, wall: float) -> bool:
        """Nobody speaks for us but ourselves; a stranger may become known later."""
        return (
            author != self._gate.author
            and boot <= (wall + self._config.ahead) * 1000
            and self._gate.member_of(author) is not None
        )

    def _proven(self, author: AuthorId, one: Broadcast) -> bool:
        signed = signed_part(self._gate.pool, one.boot, one.sequence, one.kind, one.payload)
        return self._gate.verify(author, one.signature, signed)

    def _again(self, link: LinkId, message: Push, now: float) -> list[Effect]:
        """A duplicate: prune its link, unless it is the tree's copy of what we held back."""
        broadcast = message.broadcast
        kept = self._kept.get((broadcast.author, broadcast.boot, broadcast.sequence))
        if message.hops == 0 and self._trees.beside(broadcast.author, link):
            return []
        if kept is None or not kept.held_until:
            return self._trees.duplicate(broadcast.author, link, now)
        kept.held_until, kept.hops = 0.0, min(message.hops + 1, MAX_HOPS)
        self._trees.observe(now - kept.at)
        self._trees.delivered(broadcast.author, link, now)
        return self._push(broadcast, kept.hops, (link, kept.source))

    def _take(self, link: LinkId, message: Push, now: float) -> Arrived:
        broadcast = message.broadcast
        author, hops = broadcast.author, min(message.hops + 1, MAX_HOPS)
        key = (author, broadcast.boot, broadcast.sequence)
        heard = self._heard_of(broadcast, now)
        heard.add(broadcast.sequence, self._config.window)
        heard.allowance.spend()
        kept = _Kept(broadcast, hops, link, now)
        self._keep(kept)
        who_has, effects = {link}, list[Effect]()
        awaited = self._awaited.pop(key, None)
        if awaited is not None:
            who_has.update(awaited.announced)
            self._release(awaited)
            self._links[link].misses = 0
            if link not in awaited.asked:
                self._trees.observe(now - awaited.since)
        large = len(broadcast.payload) > self._config.large_bytes
        self._trees.watch(author, now, large=large)
        if message.hops == 0 and self._trees.beside(author, link):
            kept.held_until = now + self._trees.graft_after
            heapq.heappush(self._due, (kept.held_until, key))
        else:
            self._trees.delivered(author, link, now)
            effects += self._push(broadcast, hops, who_has)
        self._announce(broadcast, hops, who_has, now)
        return Arrived(broadcast, [*effects, *self._timer(now)], hops)

    def on_announce(self, link: LinkId, message: Announce, now: float, wall: float) -> list[Effect]:
        """The other side has these; some of them may be news."""
        state = self._links.get(link)
        if state is None:
            return []
        if not state.announces.take(now, len(message.entries)):
            return []
        for author, boot, sequence, _ in message.entries:
            key = (author, boot, sequence)
            awaited = self._awaited.get(key)
            if awaited is not None:
                awaited.announced.setdefault(link)
                continue
            heard = self._heard.get(author)
            if heard is not None and (
                boot < heard.boot or (boot == heard.boot and heard.has(sequence))
            ):
                continue
            if self._may_be_news(AuthorId(author), boot, wall):
                self._await(key, link, now)
        return self._timer(now)

    def _await(self, key: _Key, link: LinkId, now: float) -> None:
        most, state = self._config.waiting_count, self._links[link]
        if len(self._awaited) < most and state.waiting < most // 4:
            state.waiting += 1
            one = self._awaited[key] = _Awaited(now, link, {link: None}, now)
            self._look_at(key, one, now + self._trees.graft_after)

    def _look_at(self, key: _Key, one: _Awaited, when: float) -> None:
        one.due = when
        heapq.heappush(self._due, (when, key))

    def on_graft(self, link: LinkId, message: Graft, now: float) -> list[Effect]:
        """The other side wants a tree's news pushed, and some that it missed at once."""
        state = self._links.get(link)
        if state is None:
            return []
        self._trees.on_graft(link, message.tree, now)
        if not state.grafts.take(now, len(message.entries)):
            return []
        found = [self._kept.get(entry[:3]) for entry in message.entries]
        return [Send(link, Push(one.broadcast, one.hops)) for one in found if one is not None]

    # -- time --------------------------------------------------------------------------------

    def on_timer(self, name: str, now: float) -> list[Effect]:
        """The timer ``gossip``: announce, graft, forget."""
        if name != "gossip":
            return []
        self._timer_at = None
        effects: list[Effect] = []
        if self._announce_at is not None and now >= self._announce_at - ROUNDING:
            self._announce_at = None
            for link, entries in sorted(self._announcing.items()):
                for start in range(0, len(entries), MAX_ANNOUNCED):
                    announce = Announce(tuple(entries[start : start + MAX_ANNOUNCED]))
                    effects.append(Send(link, announce))
            self._announcing.clear()
        return [*effects, *self._look(now)]

    def _look(self, now: float) -> list[Effect]:
        """Graft what is due, one message for each link and author."""
        grafts: dict[tuple[LinkId, bytes], list[AnnounceEntry]] = {}
        effects: list[Effect] = []
        while self._due and self._due[0][0] <= now + ROUNDING:
            _, key = heapq.heappop(self._due)
            one = self._awaited.get(key)
            kept = self._kept.get(key)
            if kept is not None and kept.held_until:
                effects += self._let_go(kept, now)
            if one is None or one.due > now + ROUNDING:  # it came; or it is another one's turn
                continue
            link = self._next_announcer(one, now)
            if link is not None:
                one.first_asked = one.first_asked or now
                one.asked[link] = None
                grafts.setdefault((link, key[0]), []).append((*key, 0))
                self._look_at(key, one, now + self._trees.graft_after / 2)
            elif one.first_asked and now < one.first_asked + self._config.honour_within - ROUNDING:
                self._look_at(key, one, one.first_asked + self._config.honour_within)
            else:
                self._give_up(key, now)
        for (link, author), entries in grafts.items():
            graft = self._trees.graft(author, link, now)
            for start in range(0, len(entries), MAX_ANNOUNCED):
                part = tuple(entries[start : start + MAX_ANNOUNCED])
                effects.append(Send(link, Graft(graft.tree, part)))
        return [*effects, *self._timer(now)]

    def _let_go(self, kept: _Kept, now: float) -> list[Effect]:
        """The tree did not bring what its author did: let that link be part of it."""
        author, link = kept.broadcast.author, kept.source
        kept.held_until = 0.0
        effects = self._push(kept.broadcast, kept.hops, (link,))
        if link in self._links:
            effects.append(Send(link, self._trees.graft(author, link, now)))
        return effects

    def _next_announcer(self, one: _Awaited, now: float) -> LinkId | None:
        """The first that was not asked yet; those that did not keep their word come last."""
        left = [link for link in one.announced if link not in one.asked]
        trusted = [link for link in left if not self._trees.distrusted(link, now)]
        return next(iter(trusted or left), None)

    def _give_up(self, key: _Key, now: float) -> None:
        """Nobody who announced it delivered it."""
        one = self._awaited.pop(key)
        self._release(one)
        for link in one.asked:
            state = self._links[link]
            state.misses += 1
            if state.misses >= self._config.misses:
                state.misses = 0
                self._trees.distrust(link, now)

    def _release(self, one: _Awaited) -> None:
        state = self._links.get(one.first)
        if state is not None:
            state.waiting -= 1

    def _timer(self, now: float) -> list[Effect]:
        soonest = self._announce_at
        if self._due and (soonest is None or self._due[0][0] < soonest):
            soonest = self._due[0][0]
        if soonest is None or (self._timer_at is not None and self._timer_at <= soonest):
            return []
        self._timer_at = soonest
        return [StartTimer("gossip", max(soonest - now, ROUNDING))]

    # -- memory --------------------------------------------------------------------------------

    def _heard_of(self, broadcast: Broadcast, now: float) -> _Heard:
        """What was heard of its author's boot, which may be a new one."""
        heard = self._heard.pop(broadcast.author, None)
        if heard is None or heard.boot < broadcast.boot:
            config = self._config
            fresh = Allowance(config.author_rate, config.author_burst)
            heard = _Heard(broadcast.boot, heard.allowance if heard else fresh)
            heard.top = max(0, broadcast.sequence - 1 - self._config.late)
        self._heard[broadcast.author] = heard
        if len(self._heard) > self._config.authors_count:
            del self._heard[next(iter(self._heard))]
        return heard

    def _keep(self, one: _Kept) -> None:
        broadcast = one.broadcast
        self._kept[broadcast.author, broadcast.boot, broadcast.sequence] = one
        self._kept_bytes += len(broadcast.payload)
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            young = one.at - oldest.at <= self._config.cache_for
            if young and self._kept_bytes <= self._config.cache_bytes:
                break
            self._kept_bytes -= len(oldest.broadcast.payload)
            del self._kept[key]


def signed_part(pool: PoolId, boot: int, sequence: int, kind: int, payload: bytes) -> bytes:
    """What an author signs of a broadcast: it cannot be replayed into another pool."""
    numbers = boot.to_bytes(8, "big") + sequence.to_bytes(8, "big") + bytes([kind])
    return DOMAIN + pool + numbers + payload
