"""Who we are, made once and kept in ``.meerkat/keys``."""

from __future__ import annotations

import getpass
import platform
import secrets

from meerkat.core.birth import Identity
from meerkat.core.signing import SigningKey
from meerkat.errors import StoreError
from meerkat.store import Keys
from meerkat.transport.identity import TlsIdentity
from meerkat.transport.new_identity import new_tls_identity

__all__ = ["clean_name", "default_name", "identity_of", "new_keys", "tls_of"]

MAX_NAME = 64  # characters; as in messages.Hello
KEY_BYTES = 32
IMPERSONAL = ("root", "user", "ubuntu", "pi", "admin", "")


def new_keys() -> Keys:
    """A new member: its key, and a TLS key that it vouches for.

    The author's key is made with the author (``core.birth``) and lives in the store.
    """
    member = secrets.token_bytes(KEY_BYTES)
    tls = new_tls_identity(member).to_bytes()
    return Keys(member=member, tls=tls)


def tls_of(keys: Keys) -> TlsIdentity:
    """The transport's identity.

    Raises:
        StoreError: if it is damaged.
    """
    try:
        return TlsIdentity.from_bytes(keys.tls)
    except ValueError as error:
        raise StoreError(
            "The keys of this folder are damaged. "
            "Put .meerkat/keys back from a backup, or join the pool anew."
        ) from error


def identity_of(keys: Keys, tls: TlsIdentity, name: str) -> Identity:
    """Who we are to others."""
    return Identity(SigningKey(keys.member), tls.certificate_der, clean_name(name))


def clean_name(name: str) -> str:
    """A name that can stand in a file's name and in a terminal."""
    shown = "".join(c for c in name if c.isprintable() and c not in '/\\:*?"<>|')
    return shown.strip(" .")[:MAX_NAME] or "someone"


def default_name() -> str:
    """The user's name; on machines where that says nothing, the machine's."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    if user.lower() in IMPERSONAL:
        user = platform.node().partition(".")[0]
    return clean_name(user)
