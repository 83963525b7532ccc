"""Which way a member lies: the links over which news of its installations came first.

The first copy of a broadcast took the quickest way here, so the way back over the same links is a
short one. Nobody is asked and nothing is sent; what is known grows with what is said.
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


@dataclass(slots=True)
class _Pointer:
    member: MemberId
    heard: float
    links: list[LinkId] = field(default_factory=list)  # the latest first


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

    def learn(self, author: AuthorId, link: LinkId, now: float) -> None:
        """The first copy of something new of ``author`` came over ``link``: it lies that way."""
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
        if pointer.links[:1] != [link]:
            older = [one for one in pointer.links if one != link and one in self._links]
            pointer.links = [link, *older][: self._links_count]

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
            yield from (link for link in self._pointers[author].links if link in self._links)

    def _forget_oldest(self) -> None:
        author, pointer = self._pointers.popitem(last=False)
        authors = self._authors[pointer.member]
        authors.remove(author)
        if not authors:
            del self._authors[pointer.member]
