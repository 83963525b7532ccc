"""Who asked for chunks that were not here yet: exactly those hear of it as soon as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .effects import Effect, Send
from .events import LinkId
from .ids import ContentHash
from .messages import MAX_CHUNKS, HaveChunks

__all__ = ["MAX_WISHES", "Wishes"]

MAX_WISHES: Final = MAX_CHUNKS  # of one link: whatever may be under way there at once


class Wishes:
    """Wishes by link, the oldest dropped first, and what became of them.

    Both sides know the bound: whoever asks keeps no more open than the other remembers.
    """

    def __init__(self) -> None:
        self._by_link: dict[LinkId, dict[ContentHash, None]] = {}
        self._by_chunk: dict[ContentHash, dict[LinkId, None]] = {}
        self._granted: dict[LinkId, list[bytes]] = {}

    def link_up(self, link: LinkId) -> None:
        """A neighbor that may wish."""
        self._by_link[link] = {}

    def link_down(self, link: LinkId) -> None:
        """Its wishes went with it."""
        for chunk in list(self._by_link.get(link, ())):
            self.drop(link, chunk)
        self._by_link.pop(link, None)
        self._granted.pop(link, None)

    def add(self, link: LinkId, chunk: ContentHash) -> None:
        """It asked for this, which is not here."""
        wishes = self._by_link.get(link)
        if wishes is None:
            return
        if len(wishes) >= MAX_WISHES and chunk not in wishes:
            self.drop(link, next(iter(wishes)))
        wishes[chunk] = None
        self._by_chunk.setdefault(chunk, {})[link] = None

    def drop(self, link: LinkId, chunk: ContentHash) -> None:
        """It does not need it from us any more."""
        if self._by_link.get(link, {}).pop(chunk, chunk) is None:
            links = self._by_chunk[chunk]
            del links[link]
            if not links:
                del self._by_chunk[chunk]

    def grant(self, chunk: ContentHash) -> None:
        """It is here now."""
        for link in list(self._by_chunk.get(chunk, ())):
            self.drop(link, chunk)
            self._granted.setdefault(link, []).append(bytes(chunk))

    def tell(self) -> Iterator[Effect]:
        """Let those know who asked."""
        for link, chunks in sorted(self._granted.items()):
            for first in range(0, len(chunks), MAX_CHUNKS):
                yield Send(link, HaveChunks(tuple(chunks[first : first + MAX_CHUNKS])))
        self._granted.clear()
