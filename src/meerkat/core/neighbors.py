"""The connections of a peer: who is behind each, what it is to us, and how much room is left.

Decides which of two connections to one author survives. Whom to link, is the overlay's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random

from .allowance import Allowance
from .events import LinkId
from .ids import AuthorId, MemberId
from .messages import Contact, Intent

__all__ = ["Kind", "Neighbor", "Neighbors", "Phase"]


class Phase(Enum):
    """Of a connection."""

    HELLO = "hello"  # it stands; the two sides have not agreed yet
    LINKED = "linked"
    CLOSING = "closing"  # we said goodbye; the node will report its end


class Kind(Enum):
    """What a link is to us."""

    OWN = "own"  # I chose it from my sampler or my book
    WALK = "walk"  # a JOIN_REQ won it, or two parts of the pool met over it
    INBOUND = "inbound"
    CLIENT = "client"  # the other side only dials out
    GUEST = "guest"  # a newcomer at a full entry, until it has links of its own


@dataclass(slots=True)
class Neighbor:
    """A connection and who is behind it."""

    id: LinkId
    member: MemberId
    address: str
    outbound: bool
    since: float
    phase: Phase = Phase.HELLO
    author: AuthorId | None = None
    kind: Kind = Kind.INBOUND
    intent: Intent = Intent.NONE  # of whoever dialled
    request: bytes = b""
    degree: int = 0  # of the other side, as it last said
    dialable: bool = False
    contact: Contact | None = None
    greeted: bool = False  # it was a neighbor, though perhaps closing now
    crossed: bool = False  # two parts of the pool met over it
    outdated: bool = False  # an own one that the sampler would not choose any more
    linked_at: float = 0.0
    heard_at: float = 0.0
    beat_at: float = -1e9
    shuffled_at: float = -1e9
    strikes: int = 0
    excess: int = 0
    walks: Allowance | None = None
    contacts: Allowance | None = None

    @property
    def counted(self) -> bool:
        """Whether it is one of the links that the cap is for."""
        return self.kind is not Kind.GUEST and self.kind is not Kind.CLIENT


class Neighbors:
    """All connections; at most one link to each author."""

    __slots__ = (
        "_by_author",
        "_sorted",
        "clients",
        "degree",
        "guests",
        "links",
        "lowest",
        "outdated",
        "own",
    )

    def __init__(self) -> None:
        self.links: dict[LinkId, Neighbor] = {}
        self._by_author: dict[AuthorId, Neighbor] = {}
        self._sorted: list[Neighbor] | None = None
        self.degree = 0
        """Links of our own kind: all but guests and clients."""
        self.clients = 0
        self.guests = 0
        self.own = 0
        self.outdated = 0
        self.lowest = 0
        """The smallest degree of a neighbor that is no guest, as they last said."""

    @property
    def linked(self) -> list[Neighbor]:
        """Accepted ones, by author."""
        if self._sorted is None:
            self._sorted = [one for _, one in sorted(self._by_author.items())]
        return self._sorted

    def of(self, author: bytes) -> Neighbor | None:
        """The link to an author, if there is one."""
        return self._by_author.get(author)  # type: ignore[call-overload,no-any-return]

    def add(self, link: Neighbor) -> None:
        """A connection stands."""
        self.links[link.id] = link

    def survivor(self, link: Neighbor, author: AuthorId, ours: AuthorId) -> str:
        """Of two connections to one author the one dialled by the smaller id survives.

        Returns:
            Empty if there is no other, or the goodbye for whichever has to go: "duplicate" for
            ``link``, "replaced" for the other one.
        """
        other = self._by_author.get(author)
        if other is None or other is link:
            return ""
        if other.outbound == link.outbound:
            return "replaced"  # the other side dialled again: it knows that the old one is dead
        return "replaced" if link.outbound == (ours < author) else "duplicate"

    def accept(self, link: Neighbor, author: AuthorId, kind: Kind, now: float) -> None:
        """It is a neighbor from now on."""
        link.phase, link.author, link.kind = Phase.LINKED, author, kind
        link.greeted = True
        link.linked_at = link.heard_at = now
        self._by_author[author] = link
        self.recount()

    def closing(self, link: Neighbor) -> None:
        """We said goodbye; it counts no more."""
        link.phase = Phase.CLOSING
        self._forget(link)

    def drop(self, link_id: LinkId) -> Neighbor | None:
        """A connection ended."""
        link = self.links.pop(link_id, None)
        if link is not None:
            self._forget(link)
        return link

    def _forget(self, link: Neighbor) -> None:
        if link.author is not None and self._by_author.get(link.author) is link:
            del self._by_author[link.author]
            self.recount()

    def recount(self) -> None:
        """After a link came, went or changed its kind."""
        self._sorted = None
        kinds = [one.kind for one in self._by_author.values()]
        self.guests = kinds.count(Kind.GUEST)
        self.clients = kinds.count(Kind.CLIENT)
        self.own = kinds.count(Kind.OWN)
        self.outdated = sum(one.outdated for one in self._by_author.values())
        self.degree = len(kinds) - self.guests - self.clients
        self.look()

    def look(self) -> None:
        """After a neighbor told its degree."""
        degrees = [one.degree for one in self._by_author.values() if one.kind is not Kind.GUEST]
        self.lowest = min(degrees, default=0)

    def less_connected(self, but: LinkId | None, origin: bytes, rng: Random) -> Neighbor | None:
        """Where a walk goes on: the less connected of two random neighbors."""
        found: list[Neighbor] = []
        linked = self.linked
        for _ in range(8):  # draws; a guest, the way back and the origin are drawn in vain
            if not linked:
                break
            one = linked[int(rng.random() * len(linked))]
            if one.kind is Kind.GUEST or one.id == but or one.author == origin:
                continue
            found.append(one)
            if len(found) == 2:  # noqa: PLR2004
                break
        if not found:
            ways = [
                one
                for one in linked
                if one.kind is not Kind.GUEST and one.id != but and one.author != origin
            ]
            if not ways:
                return None
            found = [rng.choice(ways), rng.choice(ways)]
        return min(found, key=_degree)

    def worst(self, above: int, *, outdated: bool = False) -> Neighbor | None:
        """The link to shed: never an own one, only one whose far end has links to spare.

        ``outdated``: only such as were own links and gave way to better ones.
        """
        spare = [
            one
            for one in self.linked
            if one.counted
            and one.kind is not Kind.OWN
            and one.degree > above
            and (one.outdated or not outdated)
        ]
        return max(spare, key=_degree, default=None)


def _degree(link: Neighbor) -> int:
    return link.degree
