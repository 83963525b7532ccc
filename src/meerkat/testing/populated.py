"""A pool that has its members already: one log, made once, and a copy of it in every store.

To let N newcomers in one by one costs N x N operations, each of them checked and applied by
everyone. Here everyone has been a member for long and comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from meerkat.core.actions import MemberAdded
from meerkat.core.birth import Entropy, Identity, begin_join, found_pool
from meerkat.core.events import Started
from meerkat.core.ids import AuthorId, PoolId
from meerkat.core.packing import pack
from meerkat.core.peer import Peer
from meerkat.core.ports import Table
from meerkat.core.replica import Replica, ReplicaConfig
from meerkat.core.roster import Roster
from meerkat.core.signing import SigningKey
from meerkat.testing.memory_store import MemoryStore

__all__ = ["Resident", "fill_stores"]

Resident = tuple[Identity, MemoryStore]


def fill_stores(
    residents: Sequence[Resident], address: str, *, entropy: Entropy, wall: float
) -> PoolId:
    """Fill the empty stores of a new pool's members, the founder's first.

    The log is as after a true entry of each: the founder's MemberAdded, then the member's own
    OPENED. Everyone else remembers the founder's ``address`` and no other. The bytes are shared.
    """
    founder, store = residents[0]
    with store.transaction():
        pool = found_pool(store, founder, pool_name="simulated", entropy=entropy, wall=wall)
        seed = store.get(Table.META, b"author_seed")
        assert seed is not None
        key = SigningKey(seed)
        replica = Replica(store, Roster(store, pool), key, ReplicaConfig())
        replica.apply_ready()
        seeds = [seed]
        for identity, _ in residents[1:]:
            newborn = begin_join(identity, pool, entropy=entropy, wall=wall)
            added = MemberAdded(bytes(identity.member), "writer", identity.name)
            replica.write_membership([added], wall)
            replica.log.admit([newborn.opened.data])
            replica.apply_ready()
            seeds.append(newborn.key.seed)
        replica.flush()
        _start_once(store, founder, entropy, wall)
    snapshot = store.snapshot()
    entry = AuthorId(key.public)
    for (_, other), own in zip(residents[1:], seeds[1:], strict=True):
        other.restore(snapshot)
        with other.transaction():
            other.put(Table.META, b"author_seed", own)
            other.delete(Table.META, b"own_seen:" + entry)  # what the founder knows of itself
            other.put(Table.ADDRESS, entry, pack([address]))
    return pool


def _start_once(store: MemoryStore, identity: Identity, entropy: Entropy, wall: float) -> None:
    """Everyone has run before: what only a first start does is in the store."""
    peer = Peer(store, identity, rng=Random(0), entropy=entropy)
    peer.handle(Started(wall), now=0.0, wall=wall)
