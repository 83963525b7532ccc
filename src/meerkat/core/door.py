"""Invitations and knocks: how someone who is not in the roster yet gets in.

The door is a service with server-only TLS. The invitation pins its certificate and carries a
secret; the knock proves the secret, bound to the door's certificate and to the newcomer's own
(inside its OPENED operation), so it is useless to anyone who overhears or replays it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct

from .ids import PoolId
from .messages import AddressEntry, Bytes16, Bytes32, OperationBytes
from .packing import pack
from .ports import Store, Table

__all__ = [
    "Door",
    "Knock",
    "KnockError",
    "Welcome",
    "fingerprint",
    "make_knock",
    "open_until",
    "read_welcome",
]

INVITATION_BYTES = 16
SECRET_BYTES = 16  # 128 bits: guessing is hopeless, and guesses are counted all the same
MAX_GUESSES = 3  # wrong proofs cost the invitation (design, section 5; guess)


class KnockError(Exception):
    """The door stays shut; the message is a sentence for the one who knocks."""


class Knock(Struct, frozen=True, array_like=True):
    """What a newcomer says at the door."""

    invitation: Bytes16
    opened: OperationBytes
    proof: Bytes32


class Welcome(Struct, frozen=True, array_like=True):
    """What the door answers: whom to link to, and who everyone is."""

    pool_name: Annotated[str, Meta(max_length=255)]
    introductions: Annotated[tuple[OperationBytes, ...], Meta(max_length=4_096)]
    addresses: Annotated[tuple[AddressEntry, ...], Meta(max_length=1_024)]


class _Invitation(Struct, array_like=True):
    secret: bytes
    uses: int
    expires: float
    guesses: int = 0


def fingerprint(certificate: bytes) -> bytes:
    """BLAKE3 of a certificate's DER bytes: what an invitation pins."""
    return blake3(certificate).digest()


def _proof(secret: bytes, invitation: bytes, door: bytes, opened: bytes) -> bytes:
    key = blake3(b"meerkat knock 1\x00" + secret).digest()
    return blake3(invitation + door + opened, key=key).digest()


def make_knock(invitation: bytes, secret: bytes, door: bytes, opened: bytes) -> bytes:
    """The request for the door with fingerprint ``door``."""
    proof = _proof(secret, invitation, door, opened)
    return pack(Knock(invitation, opened, proof))


def read_welcome(reply: bytes) -> Welcome:
    """The door's answer.

    Raises:
        KnockError: if it is not one.
    """
    try:
        return msgspec.msgpack.decode(reply, type=Welcome)
    except msgspec.MsgspecError as error:
        raise KnockError("The other side answered with something else; update meerkat.") from error


def open_until(store: Store) -> float:
    """When the last of our open invitations expires, in s since the epoch; 0 if none is open."""
    found = (
        msgspec.msgpack.decode(data, type=_Invitation) for _, data in store.scan(Table.INVITATION)
    )
    return max((invitation.expires for invitation in found), default=0.0)


class Door:
    """Open invitations of ours, in the store."""

    def __init__(self, store: Store, pool: PoolId, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._pool = pool
        self._entropy = entropy

    def invite(self, *, uses: int, expires: float) -> tuple[bytes, bytes]:
        """A new invitation: its id and its secret. ``expires``: seconds since the epoch."""
        invitation, secret = self._entropy(INVITATION_BYTES), self._entropy(SECRET_BYTES)
        self._put(invitation, _Invitation(secret, uses, expires))
        return invitation, secret

    def check(self, request: bytes, *, certificate: bytes, wall: float) -> bytes:
        """The newcomer's OPENED operation, if its knock proves a valid invitation.

        Args:
            request: what came to the door.
            certificate: our door's certificate (DER).
            wall: time of day in seconds since the epoch.

        Raises:
            KnockError: with a sentence that says what to do.
        """
        try:
            knock = msgspec.msgpack.decode(request, type=Knock)
        except msgspec.MsgspecError as error:
            raise KnockError("This door speaks another language; update meerkat.") from error
        data = self._store.get(Table.INVITATION, knock.invitation)
        if data is None:
            raise KnockError("This invitation is used up or was revoked; ask for a new one.")
        entry = msgspec.msgpack.decode(data, type=_Invitation)
        if wall > entry.expires:
            self._store.delete(Table.INVITATION, knock.invitation)
            raise KnockError("This invitation has expired; ask for a new one.")
        door = fingerprint(certificate)
        if _proof(entry.secret, knock.invitation, door, knock.opened) != knock.proof:
            entry.guesses += 1
            self._store_or_revoke(knock.invitation, entry, spent=entry.guesses >= MAX_GUESSES)
            raise KnockError("This invitation is damaged; copy it again, all of it.")
        entry.uses -= 1
        self._store_or_revoke(knock.invitation, entry, spent=entry.uses <= 0)
        return knock.opened

    def _store_or_revoke(self, invitation: bytes, entry: _Invitation, *, spent: bool) -> None:
        if spent:
            self._store.delete(Table.INVITATION, invitation)
        else:
            self._put(invitation, entry)

    def _put(self, invitation: bytes, entry: _Invitation) -> None:
        self._store.put(Table.INVITATION, invitation, pack(entry))
