"""A TLS identity for a member's key given as its seed, so that nobody above handles key objects."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .identity import TlsIdentity

__all__ = ["new_tls_identity"]


def new_tls_identity(member_seed: bytes) -> TlsIdentity:
    """Make a TLS key that the member with this Ed25519 seed (32 bytes) vouches for."""
    return TlsIdentity.create(Ed25519PrivateKey.from_private_bytes(member_seed))
