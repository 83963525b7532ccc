"""The secrets of one installation, as kept in ``.meerkat/keys``."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from meerkat.errors import StoreError

from .small_files import read_json, write_json

__all__ = ["Keys", "read_keys", "write_keys"]

VERSION = 1
KEY_BYTES = 32  # an Ed25519 private key, RFC 8032


@dataclass(frozen=True, slots=True)
class Keys:
    """Private keys; never shown, not even in a traceback.

    Raises:
        ValueError: if a key has the wrong length.
    """

    member: bytes = field(repr=False)  # who we are; the same on all devices of one person
    tls: bytes = field(repr=False)  # the transport's identity, opaque here

    def __post_init__(self) -> None:
        if len(self.member) != KEY_BYTES:
            raise ValueError(f"an Ed25519 private key has {KEY_BYTES} bytes")


def write_keys(path: Path, keys: Keys) -> None:
    """Replace the keys, durably, readable by nobody else."""
    parts = {"member": keys.member, "tls": keys.tls}
    encoded = {name: b64encode(part).decode("ascii") for name, part in parts.items()}
    write_json(path, {"version": VERSION, **encoded}, mode=0o600)


def read_keys(path: Path) -> Keys | None:
    """The keys, or None if there are none yet. Takes away others' permission to read them.

    Raises:
        StoreError: if the file is damaged or of a newer meerkat.
    """
    value = read_json(path)
    if value is None:
        return None
    with suppress(OSError):  # file systems without permissions
        if path.stat().st_mode & 0o077:
            os.chmod(path, 0o600)
    version = value.get("version")
    if isinstance(version, int) and version > VERSION:
        raise StoreError(f"{path} was written by a newer meerkat. Update meerkat on this machine.")
    try:
        if version != VERSION:
            raise ValueError("no version")
        parts = {name: b64decode(value[name], validate=True) for name in ("member", "tls")}
        return Keys(**parts)
    except (KeyError, TypeError, ValueError):
        # No chaining: the cause could quote a secret.
        raise StoreError(
            f"{path} is damaged. Put it back from a backup, or join the pool anew."
        ) from None
