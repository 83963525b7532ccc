"""Contacts: where an author can be reached, signed by itself; and its proof that it asks to join.

Decides what is signed and what is believed. Whose key it is, is the gate's to say.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from ipaddress import ip_address

from .gate import Gate
from .ids import AuthorId, PoolId
from .messages import Contact
from .packing import pack
from .timing import MS

__all__ = [
    "Belief",
    "judge_contact",
    "neighborhood",
    "proof_of_join",
    "sign_contact",
    "sign_join",
    "verify_join",
]

CONTACT_DOMAIN = b"meerkat contact 1\x00"
JOIN_DOMAIN = b"meerkat join 1\x00"
STAMP_AHEAD = 86_400.0  # s; a clock may be wrong by a day before its contacts are refused (guess)
V4_BLOCK_BYTES = 3  # /24 and /48: what one owner usually has whole (overlay.md, 5.7)
V6_BLOCK_BYTES = 6
V4 = 4
BLOCKS_KEPT = 4096  # addresses whose block need not be parsed again


class Belief(Enum):
    """What a signature is worth."""

    GOOD = "good"
    STRANGER = "stranger"  # we do not know its author (yet): neither believed nor held against
    FORGED = "forged"


def _statement(
    pool: PoolId, author: bytes, addresses: tuple[str, ...], dialable: bool, stamp: int
) -> bytes:
    return CONTACT_DOMAIN + pool + pack((bytes(author), addresses, dialable, stamp))


def sign_contact(gate: Gate, addresses: tuple[str, ...], *, dialable: bool, stamp: int) -> Contact:
    """Our own entry of everybody's address book. ``stamp``: ms since the epoch."""
    author = bytes(gate.author)
    signature = gate.sign(_statement(gate.pool, author, addresses, dialable, stamp))
    return Contact(author, addresses, dialable, stamp, signature)


def judge_contact(gate: Gate, contact: Contact, wall: float) -> Belief:
    """Whether the author of a contact says so itself, and not in a far future."""
    author = AuthorId(contact.author)
    if contact.stamp > (wall + STAMP_AHEAD) * MS or gate.reach(author) is None:
        return Belief.STRANGER
    said = _statement(gate.pool, contact.author, contact.addresses, contact.dialable, contact.stamp)
    return Belief.GOOD if gate.verify(author, contact.signature, said) else Belief.FORGED


def proof_of_join(pool: PoolId, request: bytes) -> bytes:
    """What an origin signs so that nobody sends walks in its name."""
    return JOIN_DOMAIN + pool + request


def sign_join(gate: Gate, request: bytes) -> bytes:
    """Our proof for a request of ours."""
    return gate.sign(proof_of_join(gate.pool, request))


def verify_join(gate: Gate, author: AuthorId, request: bytes, proof: bytes) -> bool:
    """Whether ``author`` itself asks."""
    return gate.verify(author, proof, proof_of_join(gate.pool, request))


@lru_cache(maxsize=BLOCKS_KEPT)
def neighborhood(address: str) -> str | None:
    """The block (/24 or /48) that an address lies in; None for a name or a private address."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        ip = ip_address(host)
    except ValueError:
        return None
    if not ip.is_global:
        return None
    return ip.packed[: V4_BLOCK_BYTES if ip.version == V4 else V6_BLOCK_BYTES].hex()
