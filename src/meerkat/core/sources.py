"""Neighbors as sources of chunks: how much to ask of each, what each lacks, whom to ask next.

What a link has under way is its window, in bytes. It starts small and grows while live messages
stay quick (design, section 7), so typing never waits behind bulk. A neighbor that lacks a chunk is
not asked for it again until it says that it has it; who says so and then lacks it all the same is
believed ever more slowly.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

from .effects import Effect, Send
from .events import LinkId
from .ids import ContentHash
from .messages import MAX_CHUNKS, Ping
from .wishes import MAX_WISHES

__all__ = ["BlobsConfig", "Sources"]


@dataclass(frozen=True, slots=True)
class BlobsConfig:
    """Limits of content transfer."""

    window_bytes: int = 256 * 1024
    """What a link may have under way at first (measured: 128 KiB leaves typing undisturbed at
    20 Mbit/s; an average chunk is 256 KiB)."""
    window_max_bytes: int = 32 * 1024 * 1024
    """... and at most (a gigabit at 200 ms round trip)."""
    blobs_count: int = 4
    """Large blobs assembled at once."""
    memory_bytes: int = 32 * 1024 * 1024
    """Single-chunk blobs held in memory until they are written."""
    retry: float = 0.5
    """s until a blob that could not be prepared is tried again, and until a neighbor that broke
    its word twice is believed again; doubles up to ``retry_max``."""
    retry_max: float = 10.0
    poll_every: float = 10.0
    """s until chunks that all neighbors lack are asked for although nobody said that it has them
    (a guess: those who are asked remember it, so this only mends what was forgotten)."""
    poll_count: int = 256
    """... so many of them at once (64 MiB of content; guess)."""
    ping_every: float = 0.5
    """s between measurements of the live round trip while content flows."""
    patience: float = 20.0
    """s without a chunk from a peer until what it was asked for is asked elsewhere (guess: a chunk
    of 1 MiB at 50 KiB/s); a late one is taken all the same."""
    slack: float = 0.05
    """s by which the live round trip may exceed twice its minimum before windows shrink."""


@dataclass(slots=True)
class _Doubt:
    """It said that it has a chunk, and had it not. ``until``: when it is believed again."""

    delay: float
    until: float


@dataclass(slots=True)
class _Source:
    """A linked peer as a source of chunks."""

    window: float
    asked: dict[ContentHash, int] = field(default_factory=dict)  # chunk -> bytes
    asked_bytes: int = 0
    lacks: set[ContentHash] = field(default_factory=set)  # it said so, or never gave it
    has: set[ContentHash] = field(default_factory=set)  # it told us, after it had lacked it
    told: dict[ContentHash, None] = field(default_factory=dict)  # ... and is not believed yet
    broken: list[ContentHash] = field(default_factory=list)  # told, asked for, not there
    doubts: dict[ContentHash, _Doubt] = field(default_factory=dict)
    pinged_at: float = -1e9
    waiting: bool = False
    filling: bool = True  # a quarter of the window is free: ask for many at once, not one by one
    token: int = 0
    heard: bool = False  # it answered since the last evaluation
    heard_at: float = 0.0  # when it last answered, or owed nothing
    best: float = 1e9  # s, the shortest live round trip

    @property
    def room_bytes(self) -> float:
        return self.window - self.asked_bytes

    @property
    def is_full(self) -> bool:
        full = self.room_bytes <= 0 or len(self.asked) >= MAX_CHUNKS
        return full or not self.filling

    @property
    def is_barren(self) -> bool:
        """It may remember no more wishes for us: ask only for what it says it has."""
        return len(self.lacks) + len(self.asked) >= MAX_WISHES


class Sources:
    """All linked peers. ``wanted``: the chunks that are worth remembering anything about."""

    def __init__(self, config: BlobsConfig, wanted: Container[ContentHash]) -> None:
        self._config, self._wanted = config, wanted
        self._sources: dict[LinkId, _Source] = {}
        # Nearly every event finds nothing under way: then there is nothing to look through.
        self._asked_count = 0
        self._hinted = False  # did somebody say something that ``weigh`` has to judge?
        self._idle_at: float | None = None  # nobody owed anything when we last looked

    def __contains__(self, link: LinkId) -> bool:
        return link in self._sources

    def link_up(self, link: LinkId) -> None:
        """A new source."""
        self._sources[link] = _Source(self._config.window_bytes)

    def link_down(self, link: LinkId) -> list[ContentHash]:
        """What was asked there must be asked elsewhere."""
        source = self._sources.pop(link, None)
        asked = list(source.asked) if source is not None else []
        self._asked_count -= len(asked)
        return asked

    # -- what they say ---------------------------------------------------------------------

    def on_chunk(self, link: LinkId, chunk: ContentHash, size_bytes: int) -> bool:
        """A chunk came; whether it is of use, asked for there or not."""
        source = self._sources.get(link)
        if source is None or not (self._answered(source, chunk) or chunk in self._wanted):
            return False
        source.window = min(source.window + size_bytes / 2, self._config.window_max_bytes)
        return True

    def on_absent(self, link: LinkId, chunk: ContentHash) -> bool:
        """A peer lacks what it was asked for; whether that must be asked elsewhere."""
        source = self._sources.get(link)
        if source is None or not self._answered(source, chunk) or chunk not in self._wanted:
            return False
        source.lacks.add(chunk)
        if chunk in source.has:
            source.has.discard(chunk)
            source.broken.append(chunk)
            self._hinted = True
        return True

    def on_have(self, link: LinkId, chunk: ContentHash) -> None:
        """A peer says that it has now what it lacked. Anything else it says is not news."""
        source = self._sources.get(link)
        if source is not None and chunk in source.lacks:
            source.told[chunk] = None
            self._hinted = True

    def on_pong(self, link: LinkId, token: int, now: float) -> None:
        """How quick is a live message while bulk flows?"""
        source = self._sources.get(link)
        if source is None or not source.waiting or token != source.token:
            return
        took, source.waiting = now - source.pinged_at, False
        source.best = min(source.best, took)
        if took > 2 * source.best + self._config.slack:
            source.window = max(source.window / 2, self._config.window_bytes)

    def _answered(self, source: _Source, chunk: ContentHash) -> bool:
        size = source.asked.pop(chunk, None)
        if size is None:
            return False
        source.asked_bytes -= size
        source.heard = True
        self._asked_count -= 1
        return True

    # -- what follows ----------------------------------------------------------------------

    def weigh(self, now: float) -> list[ContentHash]:
        """Chunks that somebody has now who lacked them, as far as we believe it."""
        if not self._hinted:
            return []
        offered: dict[ContentHash, None] = {}
        config = self._config
        self._hinted = False
        for _, source in sorted(self._sources.items()):
            for chunk in source.broken:
                before = source.doubts.get(chunk)
                delay = 0.0  # once is no lie: it may be on its way from incoming to its place
                if before is not None:
                    delay = min(max(before.delay * 2, config.retry), config.retry_max)
                source.doubts[chunk] = _Doubt(delay, now + delay)
            source.broken.clear()
            for chunk in list(source.told):
                doubt = source.doubts.get(chunk)
                if doubt is None or doubt.until <= now:
                    del source.told[chunk]
                    source.lacks.discard(chunk)
                    source.has.add(chunk)
                    offered[chunk] = None
            self._hinted = self._hinted or bool(source.told)
        return list(offered)

    def next_due(self) -> float:
        """When somebody is believed again; infinity if nobody has to wait for that."""
        if not self._hinted:
            return inf
        return min(
            (one.doubts[chunk].until for one in self._sources.values() for chunk in one.told),
            default=inf,
        )

    def lose_patience(self, now: float) -> list[ContentHash]:
        """What a silent peer does not give is asked elsewhere, or again."""
        lost: list[ContentHash] = []
        self._idle_at = None if self._asked_count else now
        if self._idle_at is not None:
            return lost
        for _, source in sorted(self._sources.items()):
            if source.heard or not source.asked:
                source.heard, source.heard_at = False, now
            elif now - source.heard_at >= self._config.patience:
                for chunk in list(source.asked):
                    self._answered(source, chunk)
                    if chunk in self._wanted:
                        source.lacks.add(chunk)
                        source.has.discard(chunk)
                        lost.append(chunk)
                source.heard = False
        return lost

    def look_again(self, chunks: Iterable[ContentHash]) -> None:
        """Those who lacked these may have them by now."""
        for source in self._sources.values():
            for chunk in chunks:
                source.lacks.discard(chunk)
                source.told.pop(chunk, None)

    def forget(self, chunk: ContentHash) -> None:
        """Nobody here wants it any more."""
        for source in self._sources.values():
            source.lacks.discard(chunk)
            source.has.discard(chunk)
            source.told.pop(chunk, None)
            source.doubts.pop(chunk, None)

    # -- asking ----------------------------------------------------------------------------

    def begin(self) -> None:
        """A round of asking begins."""
        for source in self._sources.values():
            source.filling = not source.asked or source.room_bytes >= source.window / 4

    def all_full(self, *, told: bool) -> bool:
        """Whether nobody may be asked for more (``told``: of what it says it has)."""
        sources = self._sources.values()
        return all(one.is_full or (one.is_barren and not told) for one in sources)

    def all_lack(self, chunk: ContentHash) -> bool:
        """Whether there is no use in asking any of those who are linked."""
        return bool(self._sources) and all(chunk in one.lacks for one in self._sources.values())

    def has(self, chunk: ContentHash) -> bool:
        """Whether somebody says that it has it."""
        return any(chunk in source.has for source in self._sources.values())

    def is_asked(self, chunk: ContentHash) -> bool:
        """Whether it is under way."""
        return any(chunk in source.asked for source in self._sources.values())

    def choose(
        self, chunk: ContentHash, size_bytes: int, hint: LinkId | None, *, told: bool
    ) -> LinkId | None:
        """Whom to ask: those who say they have it, then ``hint``, then whoever has most room.

        ``told``: only those who say they have it.
        """
        best: LinkId | None = None
        best_rank = (False, False, 0.0)
        for link in sorted(self._sources):
            source = self._sources[link]
            has = chunk in source.has
            fits = source.room_bytes >= size_bytes or not source.asked
            if source.is_full or not fits or chunk in source.lacks:
                continue
            if not has and (told or source.is_barren):
                continue
            rank = (has, link == hint, source.room_bytes)
            if best is None or rank > best_rank:
                best, best_rank = link, rank
        return best

    def ask(self, link: LinkId, chunk: ContentHash, size_bytes: int) -> None:
        """It is asked for there now."""
        source = self._sources[link]
        if self._idle_at is not None and not source.asked:
            source.heard, source.heard_at = False, self._idle_at
        source.asked[chunk] = size_bytes
        source.asked_bytes += size_bytes
        self._asked_count += 1

    def ping(self, now: float) -> Iterator[Effect]:
        """Measure the live round trip of links that carry content."""
        if not self._asked_count:
            return
        for link in sorted(self._sources):
            source = self._sources[link]
            due = now - source.pinged_at >= self._config.ping_every
            if source.asked and due and not source.waiting:
                source.token += 1
                source.pinged_at, source.waiting = now, True
                yield Send(link, Ping(source.token))
