"""Carries letters to a member over as many links as it takes, and the acknowledgement back.

Every first copy of a broadcast or an operation teaches that its author lies behind the link it
came over. A letter follows these pointers hop by hop; a hop whose link is gone is side-stepped.
Where no way is known, or no acknowledgement comes, the letter is flooded, once; then its sender is
told that the member is unreachable (overlay.md, 5.5). Decides nothing about what letters say, and
keeps none: what must not be lost goes into the log (``talk``). A neighbor that swallows letters
makes them late, never lost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from .allowance import Allowance
from .effects import Effect, Send, StartTimer
from .events import LinkId
from .gate import Gate
from .ids import AuthorId, MemberId
from .letters import Letter, LetterError, LetterKind, Open, Seal, open_letter, write_letter
from .messages import Direct, DirectAck, DirectFailed
from .pointers import FAR, Pointers
from .timing import ROUNDING

__all__ = ["Courier", "CourierConfig", "Delivered", "News", "Received", "Unreachable"]

ID_BYTES = 16
TIMER = "courier"
_ACK_DOMAIN = b"meerkat letter arrived 1\x00"


@dataclass(frozen=True, slots=True)
class CourierConfig:
    """Patience in seconds, reach in hops, and bounds on what is kept for others."""

    ttl: int = 40
    """Hops along pointers and side-steps. overlay.md says 20; the way back along a tree of 1,000
    may have 21 (measured), and one hop too few costs a flood."""
    flood_ttl: int = 64
    """Hops of a flood: far above the diameter of any pool (7 at N = 100,000), below 255."""
    side_steps: int = 3
    """Other neighbors that one hop tries before it gives the letter back; guess."""
    ack_within: float = 3.0
    """Without an acknowledgement for so long a letter is flooded (overlay.md, 5.5)."""
    flood_within: float = 5.0
    """... and after so much more its sender is told. A dead link is noticed within 2.5 s."""
    remember: float = 60.0
    """For so long a hop knows the way back, and the sender still welcomes a late answer; guess."""
    silent_for: float = 60.0
    """For so long nobody is searched again who did not answer a flood and was not heard of since:
    what is written to somebody who is away costs no flood a line; guess."""
    passages_count: int = 4_096
    """Letters remembered, so that none is carried twice (64 KiB of ids)."""
    carried_bytes: int = 4 * 1024 * 1024
    """Boxes kept at hand for a side-step; beyond that the oldest are dropped; guess."""
    own_count: int = 1_024
    """Letters of our own that are on their way; guess."""
    authors_count: int = 16_384
    """Authors to whom a pointer is kept, the longest silent are forgotten; as MAX_HEADS."""
    pointers_count: int = 3
    """Links remembered for one author, the latest first: the others are for side-steps; guess."""
    acks_count: int = 4
    """Acknowledgements of one letter that a hop passes back: one an installation; guess."""
    forward_rate: float = 100.0
    """Letters a second that a link may have us carry (overlay.md says 20 of one sender)."""
    forward_burst: float = 200.0
    flood_rate: float = 20.0
    """Floods a second begun or passed on by one link; each costs the pool a message a link."""
    flood_burst: float = 100.0
    open_rate: float = 1_000.0
    """Boxes a second that a link may have us try to open: 0.4 ms each (measured)."""
    open_burst: float = 2_000.0


@dataclass(frozen=True, slots=True)
class Received:
    """A letter for us, for the first time. Not for an echo: that is only acknowledged."""

    letter: Letter
    hops: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """Our letter was opened by an installation of its member.

    ``hops`` there and ``back``; ``via``: the neighbor at the near end of the way; ``seconds``
    from sending to now.
    """

    id: bytes
    to: MemberId
    kind: LetterKind
    seconds: float
    hops: int
    back: int
    via: AuthorId


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answered for this letter's member. A late ``Delivered`` may still follow."""

    id: bytes
    to: MemberId
    kind: LetterKind


News = Received | Delivered | Unreachable


@dataclass(slots=True)
class _Hop:
    """A neighbor, and how much more it may ask of us."""

    author: AuthorId
    member: MemberId
    forward: Allowance
    flood: Allowance
    opening: Allowance


@dataclass(slots=True)
class _Passage:
    """What we remember of a letter that passed here. ``came`` is None for our own."""

    at: float
    source: bytes  # the author that says it sent it
    to: MemberId
    came: LinkId | None
    hops: int  # as far as to us
    message: Direct | None  # at hand for a side-step until it arrived or got old
    tried: list[LinkId] = field(default_factory=list)
    waiting: LinkId | None = None  # where it went last
    flooded: bool = False
    opened: bool = False  # by us
    acks: int = 0  # passed back
    doubtful: int = 0  # ... of authors whom we do not know


class _Stage(Enum):
    ROUTED = "routed"
    FLOODED = "flooded"
    LATE = "late"  # reported as unreachable; an answer is still welcome


@dataclass(slots=True)
class _Outgoing:
    """A letter of our own that nobody has answered."""

    message: Direct
    to: MemberId
    kind: LetterKind
    sent: float
    due: float
    stage: _Stage = _Stage.ROUTED


class Courier:
    """Letters on their way: ours, and those of others that pass here.

    What happens to our own is told by ``take_news``; ask after every call.
    """

    def __init__(
        self,
        gate: Gate,
        config: CourierConfig,
        rng: Random,
        entropy: Callable[[int], bytes],
        *,
        seal: Seal,
        open_: Open,
    ) -> None:
        self._gate, self._config, self._rng, self._entropy = gate, config, rng, entropy
        self._seal, self._open = seal, open_
        self._links: dict[LinkId, _Hop] = {}
        self._pointers = Pointers(
            gate,
            self._links,
            authors_count=config.authors_count,
            links_count=config.pointers_count,
        )
        self._passages: OrderedDict[bytes, _Passage] = OrderedDict()
        self._carried: OrderedDict[bytes, int] = OrderedDict()  # id -> bytes at hand, oldest first
        self._carried_bytes = 0
        self._outgoing: dict[bytes, _Outgoing] = {}
        self._silent: dict[MemberId, float] = {}  # did not answer a flood; when that was known
        self._news: list[News] = []

    def take_news(self) -> list[News]:
        """What happened since the last call, in order."""
        news, self._news = self._news, []
        return news

    # -- links and pointers ----------------------------------------------------------------

    def link_up(self, link: LinkId, author: AuthorId, member: MemberId) -> None:
        """A neighbor."""
        config = self._config
        self._links[link] = _Hop(
            author,
            member,
            forward=Allowance(config.forward_rate, config.forward_burst),
            flood=Allowance(config.flood_rate, config.flood_burst),
            opening=Allowance(config.open_rate, config.open_burst),
        )

    def link_down(self, link: LinkId) -> list[Effect]:
        """A neighbor is gone: what it had to carry and is not acknowledged goes another way."""
        if self._links.pop(link, None) is None:
            return []
        effects: list[Effect] = []
        for letter in list(self._carried):
            passage = self._passages[letter]
            if passage.waiting == link and not passage.flooded:
                effects += self._forward(letter, passage)
        return effects

    def learn(self, author: AuthorId, link: LinkId, now: float, hops: int = FAR) -> None:
        """The first copy of something new of ``author`` came over ``link``: it lies that way."""
        self._pointers.learn(author, link, now, hops)

    def announced(self, author: AuthorId, link: LinkId, now: float, hops: int) -> None:
        """Something of ``author`` is announced on ``link``; over it, it would cross ``hops``."""
        self._pointers.announced(author, link, now, hops)

    # -- our own letters -------------------------------------------------------------------

    def send(
        self,
        to: MemberId,
        kind: LetterKind,
        content: bytes,
        now: float,
        wall: float,
        *,
        letter_id: bytes = b"",
    ) -> tuple[bytes, list[Effect]]:
        """Send a letter; ``take_news`` tells what became of it, within about eight seconds.

        Args:
            to: the member; any of its installations will do.
            kind: what it is for.
            content: at most ``MAX_CONTENT_BYTES``.
            now: monotonic time, s.
            wall: time of day, s since the epoch; for people.
            letter_id: 16 bytes, if it has one already.

        Returns:
            The letter's id and what to do.

        Raises:
            LetterError: if it cannot be sent at all.
        """
        if to == self._gate.member_of(self._gate.author):
            raise LetterError("That is you. Name somebody else.")
        self._forget_late(now)
        if len(self._outgoing) >= self._config.own_count:
            raise LetterError("Too many messages are on their way. Wait a moment.")
        letter_id = letter_id or self._entropy(ID_BYTES)
        box = write_letter(
            self._gate,
            self._seal,
            letter_id=letter_id,
            to=to,
            kind=kind,
            content=content,
            wall=wall,
        )
        message = Direct(letter_id, bytes(to), bytes(self._gate.author), box, hops=0)
        due = now + self._config.ack_within
        own = self._outgoing[letter_id] = _Outgoing(message, to, kind, sent=now, due=due)
        if kind is LetterKind.TEXT and self._is_silent(to, now):
            self._give_up(letter_id, own, now)
            return letter_id, []
        self._remember(letter_id, _Passage(now, message.source, to, None, 0, message))
        return letter_id, [
            *self._forward(letter_id, self._passages[letter_id], now),
            *self._arm(now),
        ]

    def on_timer(self, name: str, now: float) -> list[Effect]:
        """Nobody answered in time."""
        effects: list[Effect] = []
        for letter_id, own in list(self._outgoing.items()):
            if own.stage is _Stage.LATE or own.due > now + ROUNDING:
                continue
            if own.stage is _Stage.ROUTED:
                effects += self._flood_own(letter_id, own, now)
            else:
                self._silent[own.to] = now
                self._give_up(letter_id, own, now)
        self._forget_late(now)
        return effects + self._arm(now)

    def _flood_own(self, letter_id: bytes, letter: _Outgoing, now: float) -> list[Effect]:
        if not self._links:
            self._give_up(letter_id, letter, now)
            return []
        letter.stage, letter.due = _Stage.FLOODED, now + self._config.flood_within
        passage = self._passages.get(letter_id)
        if passage is not None:
            passage.flooded = True
        message = letter.message
        flood = Direct(message.id, message.to, message.source, message.box, hops=0, flood=True)
        return [Send(link, flood) for link in sorted(self._links)]

    def _give_up(self, letter_id: bytes, letter: _Outgoing, now: float) -> None:
        letter.stage = _Stage.LATE
        letter.due = now + self._config.remember
        self._drop(letter_id)
        self._news.append(Unreachable(letter_id, letter.to, letter.kind))

    def _is_silent(self, member: MemberId, now: float) -> bool:
        """Whether it would be in vain to search again, by all that we know."""
        since = self._silent.get(member)
        return (
            since is not None
            and now - since < self._config.silent_for
            and self._pointers.heard(member) <= since
            and all(hop.member != member for hop in self._links.values())
        )

    def _forget_late(self, now: float) -> None:
        """Those whose time is over, and the oldest where new ones need the room."""
        late = [one for one, own in self._outgoing.items() if own.stage is _Stage.LATE]
        room = max(0, len(self._outgoing) + 1 - self._config.own_count)
        for number, letter_id in enumerate(late):
            if number < room or self._outgoing[letter_id].due <= now:
                del self._outgoing[letter_id]
        for member, since in list(self._silent.items()):
            if now - since >= self._config.silent_for:
                del self._silent[member]

    def _arm(self, now: float) -> list[Effect]:
        waiting = [one.due for one in self._outgoing.values() if one.stage is not _Stage.LATE]
        return [StartTimer(TIMER, max(min(waiting) - now, 0.0))] if waiting else []

    # -- what arrives ----------------------------------------------------------------------

    def on_direct(self, link: LinkId, message: Direct, now: float, wall: float) -> list[Effect]:
        """A letter: for us, or to be carried on. ``wall`` is not needed: letters are dated."""
        hop = self._links.get(link)
        if hop is None:
            return []
        if message.to == self._gate.member_of(self._gate.author):
            return self._arrive(link, hop, message, now)
        passage = self._passages.get(message.id)
        if message.flood:
            return self._spread(link, hop, message, passage, now)
        if passage is not None:  # it comes round again: whoever sent it must look elsewhere
            return [] if passage.came == link else [Send(link, DirectFailed(message.id))]
        if message.hops + 1 >= self._config.ttl or not hop.forward.take(now):
            return [Send(link, DirectFailed(message.id))]
        passage = _Passage(
            now, message.source, MemberId(message.to), link, message.hops + 1, message
        )
        self._remember(message.id, passage)
        return self._forward(message.id, passage, now)

    def _spread(
        self, link: LinkId, hop: _Hop, message: Direct, passage: _Passage | None, now: float
    ) -> list[Effect]:
        """Pass a flood on to all others, once. Acknowledgements come back the way it took."""
        if passage is not None and (passage.flooded or passage.came is None):
            return []
        if message.hops + 1 >= self._config.flood_ttl or not hop.flood.take(now):
            return []
        to, hops = MemberId(message.to), message.hops + 1
        self._remember(
            message.id, _Passage(now, message.source, to, link, hops, None, flooded=True)
        )
        further = Direct(message.id, message.to, message.source, message.box, hops, flood=True)
        return [Send(one, further) for one in sorted(self._links) if one != link]

    def _arrive(self, link: LinkId, hop: _Hop, message: Direct, now: float) -> list[Effect]:
        """A letter for us. The same one by flood means that no acknowledgement got through."""
        passage = self._passages.get(message.id)
        if passage is not None and passage.opened:
            if not message.flood or passage.flooded or passage.source != message.source:
                return []
            passage.flooded = True
            return [self._ack(link, message)]
        if not hop.opening.take(now):
            return []
        letter = open_letter(self._gate, self._open, message.box)
        if letter is None or letter.id != message.id or letter.author != message.source:
            return []
        passage = _Passage(now, message.source, letter.to, link, message.hops + 1, None)
        passage.flooded = message.flood
        passage.opened = True
        self._remember(message.id, passage)
        self.learn(letter.author, link, now)
        if letter.kind is not LetterKind.ECHO:
            self._news.append(Received(letter, message.hops + 1))
        return [self._ack(link, message)]

    def _ack(self, link: LinkId, message: Direct) -> Effect:
        there = message.hops + 1
        proof = self._gate.sign(self._arrival(message.id, message.source, there))
        return Send(link, DirectAck(message.id, bytes(self._gate.author), there, 0, proof))

    def _arrival(self, letter_id: bytes, source: bytes, there: int) -> bytes:
        """What the receiving author signs. With ``source``, whose letter it opened: else whoever
        carries a letter could swallow it, and send one of its own under the same id.
        """
        return _ACK_DOMAIN + self._gate.pool + letter_id + source + there.to_bytes(1, "big")

    def on_ack(self, link: LinkId, ack: DirectAck, now: float) -> list[Effect]:
        """A letter arrived: ours, or one that passed here, whose way back we know."""
        hop, by = self._links.get(link), AuthorId(ack.by)
        if hop is None:
            return []
        letter = self._outgoing.get(ack.id)
        passage = self._passages.get(ack.id)
        if letter is not None:
            to, source = letter.to, letter.message.source
        elif passage is not None:
            to, source = passage.to, passage.source
        else:
            return []
        member = self._gate.member_of(by)
        proven = member == to and self._gate.verify(
            by, ack.proof, self._arrival(ack.id, source, ack.there)
        )
        if proven:
            self.learn(by, link, now)
            self._drop(ack.id)
        if letter is not None:
            if proven:
                del self._outgoing[ack.id]
                self._news.append(self._delivered(letter, ack, hop, now))
            return []
        # A hop that does not know the author yet passes its word on; the sender will know it.
        if passage is None or not (proven or member is None):
            return []
        if proven:
            passage.acks += 1
        else:
            passage.doubtful += 1
        back = passage.came
        if (
            back is None
            or back not in self._links
            or ack.hops + 1 >= self._config.flood_ttl
            or (passage.acks if proven else passage.doubtful) > self._config.acks_count
            or now - passage.at > self._config.remember
        ):
            return []
        return [Send(back, DirectAck(ack.id, ack.by, ack.there, ack.hops + 1, ack.proof))]

    def _delivered(self, letter: _Outgoing, ack: DirectAck, hop: _Hop, now: float) -> Delivered:
        return Delivered(
            id=ack.id,
            to=letter.to,
            kind=letter.kind,
            seconds=now - letter.sent,
            hops=ack.there,
            back=ack.hops + 1,
            via=hop.author,
        )

    def on_failed(self, link: LinkId, message: DirectFailed, now: float) -> list[Effect]:
        """A letter that we gave to ``link`` went no further there: another way, or back."""
        passage = self._passages.get(message.id)
        if passage is None or passage.waiting != link or passage.flooded:
            return []
        effects = self._forward(message.id, passage, now)
        return effects + self._arm(now) if passage.came is None else effects

    # -- carrying --------------------------------------------------------------------------

    def _forward(
        self, letter_id: bytes, passage: _Passage, now: float | None = None
    ) -> list[Effect]:
        """To the next hop; where none is left back to where it came from, or flooded if ours."""
        link = self._next_hop(passage)
        if link is not None and passage.message is not None:
            message = passage.message
            passage.tried.append(link)
            passage.waiting = link
            if passage.came is not None:
                message = Direct(message.id, message.to, message.source, message.box, passage.hops)
            return [Send(link, message)]
        passage.waiting = None
        self._drop(letter_id)
        if passage.came is not None:
            known = passage.came in self._links
            return [Send(passage.came, DirectFailed(letter_id))] if known else []
        letter = self._outgoing.get(letter_id)
        if letter is None or letter.stage is not _Stage.ROUTED:
            return []
        if now is None:  # a link fell: flood as soon as the clock says what time it is
            letter.due = letter.sent
            return [StartTimer(TIMER, 0.0)]
        return self._flood_own(letter_id, letter, now)

    def _next_hop(self, passage: _Passage) -> LinkId | None:
        barred = {passage.came, *passage.tried}
        if len(passage.tried) > self._config.side_steps:
            return None
        own = [link for link, hop in sorted(self._links.items()) if hop.member == passage.to]
        for link in (*own, *self._pointers.toward(passage.to)):
            if link not in barred:
                return link
        if passage.came is None and passage.to not in self._pointers:
            return None  # we know no way at all; a random walk would only lose time
        others = [link for link in sorted(self._links) if link not in barred]
        return self._rng.choice(others) if others else None

    def _remember(self, letter_id: bytes, passage: _Passage) -> None:
        config = self._config
        self._drop(letter_id)
        self._passages[letter_id] = passage
        self._passages.move_to_end(letter_id)
        if passage.message is not None:
            self._carried[letter_id] = len(passage.message.box)
            self._carried_bytes += len(passage.message.box)
        while len(self._passages) > config.passages_count:
            oldest = next(iter(self._passages))
            self._drop(oldest)
            del self._passages[oldest]
        patience = config.ack_within + config.flood_within
        while self._carried:
            oldest = next(iter(self._carried))
            fresh = passage.at - self._passages[oldest].at <= patience
            if fresh and self._carried_bytes <= config.carried_bytes:
                break
            self._drop(oldest)

    def _drop(self, letter_id: bytes) -> None:
        """No side-step any more for this one."""
        self._carried_bytes -= self._carried.pop(letter_id, 0)
        passage = self._passages.get(letter_id)
        if passage is not None:
            passage.message = None
