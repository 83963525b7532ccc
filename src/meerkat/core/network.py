"""The network of a peer in one place: overlay, trees, broadcasts, letters, presence.

Knows nothing of operations and files: the real peer puts them on top, and the simulator runs this
alone by the ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import msgspec

from .courier import Courier, CourierConfig
from .effects import Answered, CloseLink, Effect, Heard, Notify, StartTimer
from .events import (
    DialFailed,
    Discovered,
    LinkDown,
    LinkId,
    LinkUp,
    Listening,
    NetworkChanged,
    PublishRequested,
)
from .gate import Gate
from .gossip import BroadcastKind, Gossip, GossipConfig
from .ids import AuthorId, MemberId
from .letters import Open, Seal
from .messages import (
    MAX_BROADCAST_BYTES,
    Announce,
    Contact,
    Contacts,
    Direct,
    DirectAck,
    DirectFailed,
    Graft,
    Hello,
    Message,
    NetworkMessage,
    Prune,
    Push,
)
from .neighbors import Neighbor, Phase
from .overlay import Greeted, Overlay
from .overlay_config import OverlayConfig
from .packing import pack
from .ports import Store
from .presence import PresenceConfig, Presences
from .status import NetworkPicture
from .timing import MS, NEVER, ROUNDING
from .trees import Trees, TreesConfig

__all__ = ["Network", "NetworkConfig"]

HINTS = 64  # of an announcement, looked at for the shortest way to their authors (guess)

OnCursors = Callable[[AuthorId, bytes, float], None]

_contact: msgspec.msgpack.Decoder[Contact] = msgspec.msgpack.Decoder(Contact)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One configuration per layer."""

    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    trees: TreesConfig = field(default_factory=TreesConfig)
    gossip: GossipConfig = field(default_factory=GossipConfig)
    courier: CourierConfig = field(default_factory=CourierConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    contact_beat: float = 600.0
    """s between floods of our own contact; 0 is never (overlay.md, 5.1: max(10 min, N s))."""
    contact_each: float = 1.0
    """... and at least so many seconds for each peer of the pool."""


class Network:
    """Links, and what travels on them for its own sake."""

    def __init__(
        self,
        gate: Gate,
        store: Store | None,
        config: NetworkConfig,
        *,
        rng: Random,
        entropy: Callable[[int], bytes],
        seal: Seal,
        open_: Open,
    ) -> None:
        self.gate, self._config = gate, config
        self.overlay = Overlay(gate, store, config.overlay, rng, entropy)
        self.trees = Trees(config.trees)
        self.gossip = Gossip(gate, self.trees, config.gossip, boot=0)
        self.courier = Courier(gate, config.courier, rng, entropy, seal=seal, open_=open_)
        self.presence = Presences(gate, config.presence)
        self.on_cursors: OnCursors = lambda author, payload, now: None
        self._begun = False
        self._told: Contact | None = None  # our contact as we flooded it last
        self._tell_at = 0.0
        self._look_at = 0.0  # when presence or contact may be due

    # -- reading ---------------------------------------------------------------------------

    @property
    def linked(self) -> list[Neighbor]:
        """Neighbors, by author."""
        return self.overlay.linked

    def is_neighbor(self, link: LinkId) -> bool:
        """Whether both sides have agreed on this link."""
        found = self.overlay.links.get(link)
        return found is not None and found.phase is Phase.LINKED

    def picture(self, now: float) -> NetworkPicture:
        """Who is here and who is linked to whom, as far as we heard."""
        return self.presence.picture(self.authors(), now, dialable=self._dialable)

    @property
    def _dialable(self) -> bool:
        return bool(self.overlay.listen)

    def authors(self) -> list[AuthorId]:
        """Of our neighbors, sorted."""
        return [link.author for link in self.overlay.linked if link.author is not None]

    # -- life ------------------------------------------------------------------------------

    def started(self, wall: float) -> None:
        """Our broadcasts of this life begin."""
        self.gossip.begin(int(wall * MS))
        self._begun = True

    def stopping(self, now: float) -> list[Effect]:
        """Say goodbye to all."""
        goodbye = self.presence.goodbye()
        effects = self.gossip.publish(BroadcastKind.PRESENCE, goodbye, now) if goodbye else []
        return [*effects, *(CloseLink(link, "leave") for link in self.overlay.links)]

    def become(self, now: float, wall: float) -> None:
        """We go on as a new author (the gate says which)."""
        self.overlay.become(now, wall)
        self.gossip.begin(int(wall * MS))
        self._told, self._tell_at, self._look_at = None, now, 0.0

    # -- links -----------------------------------------------------------------------------

    def on_event(
        self,
        event: LinkUp | DialFailed | Listening | Discovered | NetworkChanged,
        now: float,
        wall: float,
    ) -> list[Effect]:
        """What the node says of the network; ``LinkDown`` has a method of its own."""
        match event:
            case LinkUp():
                return self.overlay.link_up(event, now)
            case DialFailed():
                self.overlay.dial_failed(event, now)
            case Listening():
                self._look_at = 0.0
                return self.overlay.listening(event.addresses, now, wall)
            case Discovered():
                self.overlay.discovered(event, now)
            case NetworkChanged():
                self.overlay.network_changed(now)
        return []

    def on_link_down(self, event: LinkDown, now: float) -> tuple[bool, list[Effect]]:
        """A connection ended; was it a neighbor, and what follows?"""
        effects = self._forget(event.link, now)
        self._look_at = 0.0
        return self.overlay.link_down(event.link, event.reason, now), effects

    def _forget(self, link: LinkId, now: float) -> list[Effect]:
        return [*self.gossip.link_down(link, now), *self.courier.link_down(link)]

    def on_hello(self, link: LinkId, hello: Hello, now: float, wall: float) -> Greeted:
        """Somebody says who it is; ``linked`` if it is a neighbor from now on."""
        greeted = self.overlay.on_hello(link, hello, now, wall)
        if not greeted.linked:
            return greeted
        self._look_at = 0.0
        for effect in list(greeted.effects):  # a connection that this one replaces
            if isinstance(effect, CloseLink):
                greeted.effects += self._forget(effect.link, now)
        neighbor = self.overlay.links[link]
        self.courier.link_up(link, AuthorId(hello.author), neighbor.member)
        greeted.effects += self.gossip.link_up(link, now)
        return greeted

    def on_message(
        self, link: LinkId, message: NetworkMessage, now: float, wall: float
    ) -> list[Effect]:
        """A neighbor says something that is not about operations or files."""
        match message:
            case Push():
                arrived = self.gossip.on_push(link, message, now, wall)
                if arrived.broadcast is None:
                    return arrived.effects
                return [*arrived.effects, *self._on_broadcast(link, message, now, wall)]
            case Announce():
                for author, _, _, hops in message.entries[:HINTS]:
                    self.courier.announced(AuthorId(author), link, now, hops + 1)
                return self.gossip.on_announce(link, message, now, wall)
            case Graft():
                return self.gossip.on_graft(link, message, now)
            case Prune():
                self.trees.on_prune(link, message)
                return []
            case Direct():
                return self.courier.on_direct(link, message, now, wall)
            case DirectAck():
                return self.courier.on_ack(link, message, now)
            case DirectFailed():
                return self.courier.on_failed(link, message, now)
            case _:
                return self.overlay.on_message(link, message, now, wall)

    def on_stranger(self, link: LinkId, message: Message, now: float, wall: float) -> list[Effect]:
        """Somebody speaks on a connection that both sides have not agreed on."""
        if isinstance(message, Contacts):  # what a refusal brings with it
            return self.overlay.on_message(link, message, now, wall)
        found = self.overlay.links.get(link)
        if found is None or found.phase is Phase.CLOSING or found.outbound:
            return []  # it may not know yet that it is over
        return [CloseLink(link, "protocol")]

    def _on_broadcast(self, link: LinkId, push: Push, now: float, wall: float) -> list[Effect]:
        """One that is new here; its author signed it, and is one of the pool."""
        broadcast = push.broadcast
        author = AuthorId(broadcast.author)
        self.courier.learn(author, link, now, push.hops + 1)
        if broadcast.kind == BroadcastKind.CONTACT:
            try:
                contact = _contact.decode(broadcast.payload)
            except msgspec.MsgspecError:
                return []
            if contact.author == author:
                self.overlay.hear(contact, now, wall)
        elif broadcast.kind == BroadcastKind.PRESENCE:
            if self.presence.hear(author, broadcast.payload, now):
                return [Notify("presence", {})]
        elif broadcast.kind == BroadcastKind.CURSORS:
            self.on_cursors(author, broadcast.payload, now)
        elif broadcast.kind == BroadcastKind.PUBLISHED:
            member = self.gate.member_of(author) or MemberId(broadcast.author)
            return [Heard(author, member, self.gate.name_of(author), broadcast.payload)]
        return []

    # -- deciding --------------------------------------------------------------------------

    def on_publish(self, event: PublishRequested, now: float) -> list[Effect]:
        """A program has bytes for everyone who is here now."""
        if len(event.data) > MAX_BROADCAST_BYTES:
            problem = (
                f"{len(event.data):,} bytes are too many: {MAX_BROADCAST_BYTES:,} can be published "
                "at once. Put them into a file of the folder."
            )
            return [Answered(event.ticket, problem=problem)]
        effects = self.gossip.publish(BroadcastKind.PUBLISHED, event.data, now)
        return [*effects, Answered(event.ticket, {"neighbors": len(self.overlay.linked)})]

    def say_cursors(self, payload: bytes, now: float) -> list[Effect]:
        """Where our people are in open texts."""
        return self.gossip.publish(BroadcastKind.CURSORS, payload, now)

    def on_timer(self, name: str, now: float, wall: float) -> list[Effect]:
        """One of ours rang (the names begin with the layer's)."""
        if name.startswith("overlay"):
            return self.overlay.on_timer(name, now, wall)
        if name.startswith("gossip"):
            return self.gossip.on_timer(name, now)
        if name.startswith("courier"):
            return self.courier.on_timer(name, now)
        return []  # "presence": evaluation follows

    def evaluate(self, now: float, wall: float) -> list[Effect]:
        """What follows from what we are now: whom to dial, what to say of ourselves."""
        effects = self.overlay.evaluate(now, wall)
        if now < self._look_at - ROUNDING or not self._begun:
            return effects
        neighbors = self.authors()
        return effects + self._say(neighbors, now, wall) if neighbors else effects

    def _say(self, neighbors: list[AuthorId], now: float, wall: float) -> list[Effect]:
        """What others should know of us."""
        effects: list[Effect] = []
        said, again = self.presence.due(neighbors, now, dialable=self._dialable)
        if said:
            effects += self.gossip.publish(BroadcastKind.PRESENCE, said, now)
        effects += self._tell_contact(now, wall)
        self._look_at = min(now + again if again else NEVER, self._tell_at)
        if self._look_at < NEVER:
            effects.append(StartTimer("presence", max(self._look_at - now, ROUNDING)))
        return effects

    def _tell_contact(self, now: float, wall: float) -> list[Effect]:
        """Flood where we are, at first, when it changed, and at a very slow beat."""
        if not self._config.contact_beat:
            self._tell_at = NEVER
            return []
        contact = self.overlay.own_contact(wall)
        if contact == self._told and now < self._tell_at - ROUNDING:
            return []
        self._told = contact
        pace = max(self._config.contact_beat, self._config.contact_each * self.gate.size())
        self._tell_at = now + pace
        return self.gossip.publish(BroadcastKind.CONTACT, pack(contact), now)
