"""A peer without store, log and folder: the real network layers, and a gate that lets all in.

Identity is simulated: an author's signature is a keyed BLAKE3 hash whose keys lie in one table of
the world, so that 10,000 peers can check each other and a forger without the key cannot sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import cast

from blake3 import blake3

from meerkat.core.effects import Effect
from meerkat.core.events import (
    DialFailed,
    Discovered,
    Event,
    LinkDown,
    LinkUp,
    Listening,
    MessageReceived,
    NetworkChanged,
    PublishRequested,
    Started,
    TimerExpired,
)
from meerkat.core.gate import Refused
from meerkat.core.ids import AuthorId, MemberId, PoolId
from meerkat.core.letters import LetterKind, Open
from meerkat.core.messages import (
    Announce,
    Direct,
    DirectAck,
    DirectFailed,
    Graft,
    Hello,
    NetworkMessage,
    Prune,
)
from meerkat.core.network import Network, NetworkConfig
from meerkat.core.overlay_config import OverlayConfig
from meerkat.core.ports import Head, Table
from meerkat.core.presence import PresenceConfig

__all__ = ["QUIET", "Notebook", "OpenGate", "OverlayPeer", "Registry"]


SIGNATURE_BYTES = 64


class Registry:
    """Everyone of one pool, and the keys they sign with."""

    def __init__(self, seed: int) -> None:
        self.pool = PoolId(blake3(f"pool of seed {seed}".encode()).digest())
        self._secrets: dict[bytes, bytes] = {}
        self._seed = seed

    def __len__(self) -> int:
        return len(self._secrets)

    def __contains__(self, author: bytes) -> bool:
        return author in self._secrets

    def enroll(self, index: int) -> AuthorId:
        """A new author."""
        secret = blake3(f"secret {index} of seed {self._seed}".encode()).digest()
        author = AuthorId(blake3(secret).digest())
        self._secrets[author] = secret
        return author

    def sign(self, author: bytes, data: bytes) -> bytes:
        """What only ``author`` could have said."""
        return blake3(data, key=self._secrets[author]).digest(length=SIGNATURE_BYTES)

    def verify(self, author: bytes, signature: bytes, data: bytes) -> bool:
        """Whether it did."""
        secret = self._secrets.get(author)
        if secret is None:
            return False
        return blake3(data, key=secret).digest(length=SIGNATURE_BYTES) == signature


class OpenGate:
    """See ``meerkat.core.gate.Gate``: everyone of the registry may link."""

    def __init__(self, registry: Registry, author: AuthorId) -> None:
        self._registry = registry
        self._author = author

    @property
    def pool(self) -> PoolId:
        """See Gate."""
        return self._registry.pool

    @property
    def author(self) -> AuthorId:
        """See Gate."""
        return self._author

    def size(self) -> int:
        """See Gate."""
        return len(self._registry)

    def may_link(self, author: AuthorId) -> bool:
        """See Gate."""
        return author in self._registry

    def member_of(self, author: AuthorId) -> MemberId | None:
        """See Gate: every installation is a person of its own."""
        return MemberId(author) if author in self._registry else None

    def name_of(self, author: AuthorId) -> str:
        """See Gate."""
        return author.short()

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        """See Gate."""
        return (MemberId(author), b"") if author in self._registry else None

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        """See Gate."""
        if hello.pool != self._registry.pool:
            raise Refused("other pool")
        if hello.author != member or hello.author not in self._registry:
            raise Refused("not a member")
        if hello.author == self._author:
            raise Refused("myself")
        return AuthorId(hello.author)

    def introduce(self) -> tuple[bytes, str]:
        """See Gate."""
        return b"\0", self._author.short()

    def sign(self, data: bytes) -> bytes:
        """See Gate."""
        return self._registry.sign(self._author, data)

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        """See Gate."""
        return self._registry.verify(author, signature, data)


class Notebook:
    """The part of a store that the network writes to, so that a peer that returns finds its book.

    Implements ``Store`` as far as an overlay needs it: tables, no log.
    """

    def __init__(self) -> None:
        self._tables: dict[Table, dict[bytes, bytes]] = {}

    def get(self, table: Table, key: bytes) -> bytes | None:
        """See Store."""
        return self._tables.get(table, {}).get(key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """See Store."""
        self._tables.setdefault(table, {})[key] = value

    def put_many(self, table: Table, items: Iterable[tuple[bytes, bytes]]) -> None:
        """See Store."""
        self._tables.setdefault(table, {}).update(items)

    def delete(self, table: Table, key: bytes) -> None:
        """See Store."""
        self._tables.get(table, {}).pop(key, None)

    def scan(self, table: Table, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        for key, value in sorted(self._tables.get(table, {}).items()):
            if key.startswith(prefix):
                yield key, value

    def heads(self) -> dict[AuthorId, Head]:
        """See Store: there is no log."""
        return {}

    def append(self, author: AuthorId, head: Head, data: bytes) -> None:
        """See Store: there is no log."""
        raise NotImplementedError

    def operation(self, author: AuthorId, sequence: int) -> bytes | None:
        """See Store: there is no log."""
        return None

    def operations(
        self, author: AuthorId, first: int, last: int, *, limit_bytes: int
    ) -> list[bytes]:
        """See Store: there is no log."""
        return []


QUIET = NetworkConfig(
    overlay=OverlayConfig(notices=False),
    presence=PresenceConfig(beat=0.0),
    contact_beat=0.0,
)
"""Nobody looks at a picture of the network, and books are fed by hearsay as in the anchors' "M"
(a flood of every newcomer's contact is N x N messages)."""

_GOSSIP = frozenset({Announce, Direct, DirectAck, DirectFailed, Graft, Prune})


class OverlayPeer:
    """``Network`` with one door, as ``Peer`` has it."""

    __slots__ = ("network",)

    def __init__(
        self,
        registry: Registry,
        author: AuthorId,
        rng: Random,
        store: Notebook | None = None,
        config: NetworkConfig = QUIET,
    ) -> None:
        self.network = Network(
            OpenGate(registry, author),
            store,
            config,
            rng=rng,
            entropy=rng.randbytes,
            seal=_seal,
            open_=_opener(author),
        )

    def neighbors(self) -> list[AuthorId]:
        """See OverlayProtocol."""
        return [link.author for link in self.network.linked if link.author is not None]

    def publish(self, data: bytes, now: float) -> list[Effect]:
        """For everyone who is here now."""
        return self.network.on_publish(PublishRequested(0, data), now)

    def write(self, to: AuthorId, content: bytes, now: float) -> tuple[bytes, list[Effect]]:
        """For one member; the letter's number and what to do."""
        courier = self.network.courier
        return courier.send(MemberId(to), LetterKind.ECHO, content, now, now)

    def handle(self, event: Event, now: float, wall: float) -> list[Effect]:
        """As ``Peer.handle``."""
        network = self.network
        if isinstance(event, MessageReceived):
            message = event.message
            if isinstance(message, Hello):
                effects = network.on_hello(event.link, message, now, wall).effects
            elif not network.is_neighbor(event.link):
                effects = network.on_stranger(event.link, message, now, wall)
            else:  # nobody here has operations or chunks to talk about
                said = cast(NetworkMessage, message)
                effects = network.on_message(event.link, said, now, wall)
                if type(said) in _GOSSIP:
                    return effects  # news changes nothing of what the overlay decides
        elif isinstance(event, TimerExpired):
            effects = network.on_timer(event.name, now, wall)
        elif isinstance(event, LinkDown):
            _, effects = network.on_link_down(event, now)
        elif isinstance(event, Started):
            network.started(wall)
            effects = []
        elif isinstance(event, LinkUp | DialFailed | Listening | Discovered | NetworkChanged):
            effects = network.on_event(event, now, wall)
        else:
            return []
        return [*effects, *network.evaluate(now, wall)]


def _seal(member: MemberId, plain: bytes) -> bytes:
    """A box that says for whom it is, which is all a simulation needs of one."""
    return bytes(member) + plain


def _opener(author: AuthorId) -> Open:
    def open_(box: bytes) -> bytes | None:
        return box[len(author) :] if box.startswith(author) else None

    return open_
