"""What a node needs of a peer, and how it gets one from a store."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Protocol

from meerkat.core.birth import Identity
from meerkat.core.effects import Effect
from meerkat.core.events import Event
from meerkat.core.files import Observed
from meerkat.core.ids import AuthorId, MemberId
from meerkat.core.peer import Peer, PeerConfig
from meerkat.core.ports import Store
from meerkat.core.status import ChatLine, DatabaseEntry, FileEntry, NetworkPicture, Person, Status

__all__ = ["MakeMind", "Mind", "make_peer"]

SEED_BITS = 128


class Mind(Protocol):
    """The deciding part: a ``Peer``, or a test's stand-in."""

    def handle(self, event: Event, *, now: float, wall: float) -> list[Effect]:
        """Decide on one event."""

    def status(self) -> Status:
        """Everything at this moment."""

    def known_files(self) -> dict[str, Observed]:
        """What the folder held when it was last seen."""

    def chat_history(self, limit: int) -> list[ChatLine]:
        """The last lines that were said to us or to all, the oldest first."""

    def find_member(self, wanted: str) -> MemberId:
        """Whom a person means by a name, or by how an id begins."""

    def name_of(self, member: MemberId) -> str:
        """How a member is shown."""

    def author_name(self, author: AuthorId) -> str:
        """How an author is shown; never empty."""

    def people(self) -> list[Person]:
        """Who is in which text."""

    def files(self) -> list[FileEntry]:
        """Everything in the folder, by path."""

    def databases(self) -> list[DatabaseEntry]:
        """Every database of the pool, live or not, by path."""

    def database_paths(self) -> list[str]:
        """Where live databases stand in the folder."""

    def network(self) -> NetworkPicture:
        """Who is here, and who is linked to whom."""


MakeMind = Callable[[Store, Identity], Mind]


def make_peer(store: Store, identity: Identity) -> Mind:
    """A ``Peer`` that goes on where the store stopped."""
    rng = random.Random(secrets.randbits(SEED_BITS))
    # A copied or restored store has been given a new author before it came here (``home``).
    config = PeerConfig(trust_store=True)
    return Peer(store, identity, config=config, rng=rng, entropy=secrets.token_bytes)
