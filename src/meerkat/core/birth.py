"""How a peer comes to be: founding a pool, joining one, or a new author of an old member.

Each leaves a store from which ``Peer`` can load. Nothing here talks to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .actions import Opened, encode_payload
from .ids import AuthorId, MemberId, OperationHash, PoolId
from .operation import FIRST, Operation, OperationKind, sign_operation
from .ports import Head, Store, Table
from .roster import Roster, pool_id, proof_of_author, read_opened
from .signing import SigningKey

__all__ = [
    "Entropy",
    "Identity",
    "Newborn",
    "begin_join",
    "finish_join",
    "found_pool",
    "new_author",
    "stored_pool",
]

Entropy = Callable[[int], bytes]
"""Unpredictable bytes: ``secrets.token_bytes``, or a seeded generator in the simulator."""

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to others: a member key, the TLS certificate (DER) it signed, a name."""

    key: SigningKey
    certificate: bytes = field(repr=False)
    name: str

    @property
    def member(self) -> MemberId:
        """The member's public key."""
        return MemberId(self.key.public)


@dataclass(frozen=True, slots=True)
class Newborn:
    """An author that is not in any store yet."""

    pool: PoolId
    key: SigningKey
    opened: Operation


def _open(
    identity: Identity,
    pool: PoolId,
    key: SigningKey,
    wall: float,
    *,
    nonce: bytes = b"",
    pool_name: str = "",
    lamport: int = 1,
) -> Operation:
    author = AuthorId(key.public)
    opened = Opened(
        member=identity.key.public,
        proof=identity.key.sign(proof_of_author(pool, author)),
        certificate=identity.certificate,
        name=identity.name,
        nonce=nonce,
        pool_name=pool_name,
    )
    return sign_operation(
        key,
        pool,
        sequence=1,
        previous=FIRST,
        lamport=lamport,
        seen=(),
        wall_ms=int(wall * 1000),
        kind=OperationKind.OPENED,
        payload=encode_payload(opened),
    )


def _adopt(store: Store, newborn: Newborn) -> None:
    opened = newborn.opened
    store.append(opened.author, Head(1, OperationHash(opened.hash), opened.lamport), opened.data)
    store.put(Table.META, b"pool", newborn.pool)
    store.put(Table.META, b"author_seed", newborn.key.seed)


def found_pool(
    store: Store, identity: Identity, *, pool_name: str, entropy: Entropy, wall: float
) -> PoolId:
    """Make a new pool with ourselves as its owner and only member."""
    nonce = entropy(NONCE_BYTES)
    pool = pool_id(identity.member, nonce)
    key = SigningKey(entropy(32))
    opened = _open(identity, pool, key, wall, nonce=nonce, pool_name=pool_name)
    _adopt(store, Newborn(pool, key, opened))
    Roster(store, pool).open_author(read_opened(opened.data, pool))
    return pool


def begin_join(identity: Identity, pool: PoolId, *, entropy: Entropy, wall: float) -> Newborn:
    """An author to introduce at the door; nothing is stored before the door opens."""
    key = SigningKey(entropy(32))
    return Newborn(pool, key, _open(identity, pool, key, wall))


def finish_join(
    store: Store, newborn: Newborn, *, pool_name: str, introductions: Iterable[bytes]
) -> None:
    """The door opened: keep who we are and whom we were introduced to.

    Args:
        store: an empty store.
        newborn: what ``begin_join`` made.
        pool_name: what the pool is called.
        introductions: OPENED operations of the pool's authors.

    Raises:
        OperationError: if an introduction is not what it should be.
    """
    _adopt(store, newborn)
    store.put(Table.META, b"joining", b"1")
    store.put(Table.META, b"pool_name", pool_name.encode())
    roster = Roster(store, newborn.pool)
    roster.open_author(read_opened(newborn.opened.data, newborn.pool))
    roster.introduce(read_opened(data, newborn.pool) for data in introductions)


def new_author(store: Store, identity: Identity, *, entropy: Entropy, wall: float) -> AuthorId:
    """Go on under a new author key of the same member: a sequence number is never used twice.

    Needed after a restored backup, a copied folder, or a stop that may have lost operations.
    """
    pool = stored_pool(store)
    if pool is None:
        raise ValueError("this store belongs to no pool yet")
    lamport = max((head.lamport for head in store.heads().values()), default=0) + 1
    key = SigningKey(entropy(32))
    opened = _open(identity, pool, key, wall, lamport=lamport)
    _adopt(store, Newborn(pool, key, opened))
    Roster(store, pool).open_author(read_opened(opened.data, pool))
    return opened.author


def stored_pool(store: Store) -> PoolId | None:
    """The pool a store belongs to, or None for an empty store."""
    value = store.get(Table.META, b"pool")
    return PoolId(value) if value is not None else None
