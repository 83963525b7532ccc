"""Dials under way: to whom, why, and for how long we wait. At most one for each author."""

from __future__ import annotations

from dataclasses import dataclass

from .book import Book, Entry
from .effects import Dial, Effect
from .events import LinkId
from .gate import Gate
from .ids import AuthorId, MemberId
from .messages import Contact, Intent
from .neighbors import Kind
from .overlay_config import OverlayConfig

__all__ = ["Attempt", "Attempts"]

PATIENT_EVERY = 8  # so that a slow but healthy way is not given up for ever
ANSWER_GRACE = 2.0  # s beyond patience and hello, until a dial without any answer is given up


@dataclass(slots=True)
class Attempt:
    """One dial, until it is a link or came to nothing."""

    author: AuthorId
    member: MemberId
    address: str
    intent: Intent
    kind: Kind
    request: bytes
    deadline: float
    link: LinkId | None = None


class Attempts:
    """All of them, by author."""

    def __init__(self, gate: Gate, book: Book, config: OverlayConfig) -> None:
        self._gate, self._book, self._config = gate, book, config
        self._running: dict[AuthorId, Attempt] = {}
        self.accepting = 0
        """Origins of walks that we are taking in."""

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, author: object) -> bool:
        return author in self._running

    @property
    def seeking(self) -> int:
        """Dials for links of our own."""
        return len(self._running) - self.accepting

    def count(self, *intents: Intent) -> int:
        """Dials under way for these reasons."""
        return sum(one.intent in intents for one in self._running.values())

    def dial(
        self,
        entry: Entry,
        intent: Intent,
        kind: Kind,
        now: float,
        *,
        request: bytes = b"",
    ) -> list[Effect]:
        """Dial somebody from the book; nothing if that cannot be."""
        addresses = self._book.addresses(entry)
        if not addresses:
            return []
        address = addresses[entry.turn % len(addresses)]
        eager = self._book.eager(entry, now) and entry.turn % PATIENT_EVERY
        config = self._config
        patience = config.dial_impatience if eager else config.dial_patience
        return self._begin(entry.author, address, patience, intent, kind, now, request)

    def accept(self, contact: Contact, request: bytes, now: float) -> list[Effect]:
        """Dial the origin of a walk, which need not be in the book."""
        if self.accepting >= self._config.accepts_max or not contact.addresses:
            return []
        author, patience = AuthorId(contact.author), self._config.dial_patience
        entry = self._book.get(author)
        addresses = self._book.addresses(entry) if entry is not None else contact.addresses
        address = addresses[0] if addresses else contact.addresses[0]
        return self._begin(author, address, patience, Intent.ACK, Kind.WALK, now, request)

    def _begin(
        self,
        author: AuthorId,
        address: str,
        patience: float,
        intent: Intent,
        kind: Kind,
        now: float,
        request: bytes,
    ) -> list[Effect]:
        reach = self._gate.reach(author)
        if reach is None or author in self._running:
            return []
        member, certificate = reach
        deadline = now + patience + self._config.hello_timeout + ANSWER_GRACE
        self._running[author] = Attempt(author, member, address, intent, kind, request, deadline)
        self.accepting += intent is Intent.ACK
        return [Dial(author, member, address, patience, certificate)]

    def connected(self, link: LinkId, member: MemberId, address: str) -> Attempt | None:
        """A connection that we dialled stands."""
        for one in self._running.values():
            if one.link is None and one.address == address and one.member == member:
                one.link = link
                return one
        return None

    def of(self, link: LinkId) -> Attempt | None:
        """The attempt behind a connection."""
        for one in self._running.values():
            if one.link == link:
                return one
        return None

    def end(self, author: AuthorId) -> Attempt | None:
        """It became a link, or came to nothing."""
        attempt = self._running.pop(author, None)
        if attempt is not None:
            self.accepting -= attempt.intent is Intent.ACK
        return attempt

    def failed(self, author: AuthorId, address: str) -> Attempt | None:
        """Nobody answered there."""
        attempt = self._running.get(author)
        if attempt is None or attempt.address != address or attempt.link is not None:
            return None
        return self.end(author)

    def overdue(self, now: float) -> list[Attempt]:
        """Those that nothing was heard of for too long."""
        return [one for one in self._running.values() if one.deadline <= now]

    def due(self) -> float | None:
        """When the first of them will be overdue."""
        return min((one.deadline for one in self._running.values()), default=None)
