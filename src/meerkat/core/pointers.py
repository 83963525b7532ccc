"""Which way a member lies: the links over which news of its installations came first.

The first copy of a broadcast took a quick way here, and those who only announce it say how many
links it had crossed when they got it: the way back over the link with the fewest is a short one.
Nobody is asked and nothing is sent; what is known grows with what is said.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from .events import LinkId
from .gate import Gate
from .ids import AuthorId, MemberId

__all__ = ["Pointers"]


FAR = 255  # hops, where nobody said how many
FRESH = 120.0  # s; what was said of a way this much earlier than the newest counts less (guess)


@dataclass(slots=True)
class _Pointer:
    member: MemberId
    heard: float
    links: dict[LinkId, tuple[int, float]] = field(default_factory=dict)  # -> hops, when heard

    def ways(self) -> list[LinkId]:
        """The shortest first; those not heard of for long at the end."""

        def rank(item: tuple[LinkId, tuple[int, float]]) -> tuple[bool, int, float, LinkId]:
            link, (hops, heard) = item
            return heard < self.heard - FRESH, hops, -heard, link

        return [link for link, _ in sorted(self.links.items(), key=rank)]


class Pointers:
    """Author -> links, bounded; found by member.

    Args:
        gate: whose member an author is.
        links: those that stand now; others are no way.
        authors_count: authors kept; the longest silent are forgotten.
        links_count: links kept for one author.
    """

    def __init__(
        self, gate: Gate, links: Container[LinkId], *, authors_count: int, links_count: int
    ) -> None:
        self._gate, self._links = gate, links
        self._authors_count, self._links_count = authors_count, links_count
        self._pointers: OrderedDict[AuthorId, _Pointer] = OrderedDict()
        self._authors: dict[MemberId, list[AuthorId]] = {}

    def __contains__(self, member: MemberId) -> bool:
        return member in self._authors

    def learn(self, author: AuthorId, link: LinkId, now: float, hops: int = FAR) -> None:
        """The first copy of something new of ``author`` came over ``link``: it lies that way.

        ``hops``: links it crossed, this one included, if it says so.
        """
        if link not in self._links or author == self._gate.author:
            return
        pointer = self._pointers.get(author)
        if pointer is None:
            member = self._gate.member_of(author)
            if member is None:
                return
            pointer = self._pointers[author] = _Pointer(member, now)
            self._authors.setdefault(member, []).append(author)
            if len(self._pointers) > self._authors_count:
                self._forget_oldest()
        else:
            self._pointers.move_to_end(author)
        pointer.heard = now
        self._note(pointer, link, now, hops)

    def announced(self, author: AuthorId, link: LinkId, now: float, hops: int) -> None:
        """Something of ``author`` is announced on ``link``; over it, it would cross ``hops``."""
        pointer = self._pointers.get(author)
        if pointer is not None and link in self._links:
            self._note(pointer, link, now, hops)

    def _note(self, pointer: _Pointer, link: LinkId, now: float, hops: int) -> None:
        if hops == FAR:
            hops = pointer.links.get(link, (FAR, now))[0]
        pointer.links[link] = (hops, now)
        if len(pointer.links) > self._links_count:
            gone = [one for one in pointer.links if one not in self._links]
            del pointer.links[gone[0] if gone else pointer.ways()[-1]]

    def heard(self, member: MemberId) -> float:
        """When news of a member came last; minus infinity if never."""
        authors = self._authors.get(member, ())
        return max((self._pointers[author].heard for author in authors), default=-math.inf)

    def toward(self, member: MemberId) -> Iterator[LinkId]:
        """Links that lead to a member, the best first; one may come twice.

        Of several installations all hops prefer the one heard last: nearly the same everywhere,
        since what is heard reaches everyone within a second.
        """
        authors = sorted(
            self._authors.get(member, ()),
            key=lambda author: (-self._pointers[author].heard, author),
        )
        for author in authors:
            yield from (link for link in self._pointers[author].ways() if link in self._links)

    def _forget_oldest(self) -> None:
        author, pointer = self._pointers.popitem(last=False)
        authors = self._authors[pointer.member]
        authors.remove(author)
        if not authors:
            del self._authors[pointer.member]
