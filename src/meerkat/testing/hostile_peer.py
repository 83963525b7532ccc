"""Members that work against the rest: they take every link and name only each other.

The attack of the anchors' table ("greedy insiders"): accept every JOIN_REQ and every dial, ignore
every cap, answer whoever asks for contacts with accomplices, pass nothing on. ``liars`` also claim
to have few links, so that nobody sheds them and walks prefer them.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from meerkat.core.contact import sign_contact, sign_join
from meerkat.core.effects import Dial, Effect, Send, StartTimer
from meerkat.core.events import (
    DialFailed,
    Discovered,
    Event,
    LinkDown,
    LinkId,
    LinkUp,
    Listening,
    MessageReceived,
    TimerExpired,
)
from meerkat.core.ids import AuthorId, MemberId
from meerkat.core.messages import (
    Beacon,
    Beat,
    Contact,
    Contacts,
    Hello,
    Intent,
    JoinOffer,
    JoinRequest,
    Message,
    WalkKind,
)
from meerkat.core.wire import PROTOCOL_VERSION

from .overlay_peer import OpenGate, Registry

__all__ = ["GreedyPeer"]

BEAT_EVERY = 10.0  # s, as everybody
FEW_LINKS = 5  # what a liar claims: nobody is shed who has so few
MOST_CLAIMED = 1_024  # what fits into a message
NAMED = 8  # contacts in an answer
WALKS = 2  # JOIN_REQs of a newcomer, as everybody
WARM, TTL = 6, 24
PATIENCE = 5.0  # s


class GreedyPeer:
    """See ``OverlayProtocol``. ``accomplices`` is shared and grows: those who came so far."""

    def __init__(
        self,
        registry: Registry,
        author: AuthorId,
        accomplices: list[Contact],
        rng: Random,
        *,
        lies: bool = False,
    ) -> None:
        self._gate = OpenGate(registry, author)
        self._accomplices, self._rng, self._lies = accomplices, rng, lies
        self._contact = sign_contact(self._gate, (), dialable=False, stamp=1)
        self._dialled: dict[str, tuple[Intent, bytes]] = {}  # address -> what for
        self._intents: dict[LinkId, tuple[Intent, bytes]] = {}  # of our own dials
        self._links: dict[LinkId, AuthorId] = {}
        self._beacon = Beacon(bytes(author), 0)

    def neighbors(self) -> list[AuthorId]:
        """See OverlayProtocol."""
        return sorted(set(self._links.values()))

    def publish(self, data: bytes, now: float) -> list[Effect]:
        """Nothing: it does not serve the pool."""
        return []

    def write(self, to: AuthorId, content: bytes, now: float) -> tuple[bytes, list[Effect]]:
        """Nothing."""
        return b"", []

    def handle(self, event: Event, now: float, wall: float) -> list[Effect]:
        """As ``Peer.handle``."""
        match event:
            case Listening(addresses=addresses):
                return self._listen(addresses)
            case Discovered(author=author, addresses=addresses):
                return self._dial(author, addresses, Intent.JOIN, self._rng.randbytes(16))
            case LinkUp(link=link, address=address, outbound=True):
                self._intents[link] = self._dialled.pop(address, (Intent.NONE, b""))
                return [Send(link, self._hello(*self._intents[link]))]
            case DialFailed(address=address):
                self._dialled.pop(address, None)
            case LinkDown(link=link):
                self._links.pop(link, None)
                self._intents.pop(link, None)
            case MessageReceived(link=link, message=message):
                return self._on_message(link, message)
            case TimerExpired():
                beat = Beat(self._degree, self._beacon)
                beats: list[Effect] = [Send(link, beat) for link in sorted(self._links)]
                return [*beats, StartTimer("beat", BEAT_EVERY)]
        return []

    @property
    def _degree(self) -> int:
        return FEW_LINKS if self._lies else min(len(self._links), MOST_CLAIMED)

    def _listen(self, addresses: tuple[str, ...]) -> list[Effect]:
        self._contact = sign_contact(self._gate, addresses, dialable=bool(addresses), stamp=2)
        if addresses:
            self._accomplices.append(self._contact)
        return [StartTimer("beat", BEAT_EVERY)]

    def _dial(
        self, author: bytes, addresses: Sequence[str], intent: Intent, request: bytes
    ) -> list[Effect]:
        known = AuthorId(author) in self._links.values()
        if known or not addresses or addresses[0] in self._dialled:
            return []
        self._dialled[addresses[0]] = (intent, request)
        return [Dial(AuthorId(author), MemberId(author), addresses[0], PATIENCE, b"")]

    def _hello(self, intent: Intent = Intent.NONE, request: bytes = b"") -> Hello:
        opened, name = self._gate.introduce()
        return Hello(
            PROTOCOL_VERSION,
            bytes(self._gate.pool),
            bytes(self._gate.author),
            opened,
            name,
            self._contact,
            intent,
            request,
            sign_join(self._gate, request) if intent is Intent.JOIN else b"",
            self._degree,
            self._beacon,
            b"",
            (),
            self._named(),
        )

    def _named(self) -> tuple[Contact, ...]:
        count = min(NAMED, len(self._accomplices))
        return tuple(self._rng.sample(self._accomplices, count))

    def _on_message(self, link: LinkId, message: Message) -> list[Effect]:
        match message:
            case Hello():
                return self._on_hello(link, message)
            case Beat():
                self._beacon = message.beacon  # looks like everybody else's
            case Contacts(answer=False):
                if link in self._links:
                    return [Send(link, Contacts(self._named(), answer=True))]
            case JoinRequest(request=request, origin=origin):
                if origin.dialable:
                    return self._dial(origin.author, origin.addresses, Intent.ACK, request)
                return [Send(link, JoinOffer(request, self._contact))]
            case _:
                pass
        return []

    def _on_hello(self, link: LinkId, hello: Hello) -> list[Effect]:
        self._links[link] = AuthorId(hello.author)
        if hello.beacon is not None:
            self._beacon = hello.beacon
        ours = self._intents.pop(link, None)
        if ours is None:
            return [Send(link, self._hello())]
        if ours[0] is not Intent.JOIN:
            return []
        return [Send(link, self._walk()) for _ in range(WALKS)]

    def _walk(self) -> JoinRequest:
        request = self._rng.randbytes(16)
        proof = sign_join(self._gate, request)
        return JoinRequest(request, self._contact, WalkKind.JOIN, WARM, TTL, proof)
