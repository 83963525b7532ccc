"""Sharing a folder: a new pool with ourselves in it, or the one it has already."""

from __future__ import annotations

import secrets
import time

from meerkat.core import birth
from meerkat.store import StateFolder

from .home import Home, birth_of, is_complete, make_home, open_home
from .identity import clean_name, default_name, identity_of, new_keys, tls_of

__all__ = ["resume", "share"]


def share(state: StateFolder, *, name: str | None = None) -> Home:
    """Found a pool for this folder, as ``name``; or resume, under the name from then.

    Raises:
        FolderInUse: if the folder lies inside another pool's folder, or has one inside.
        StoreError: if the store cannot be used.
    """
    if not is_complete(state):
        _found(state, name)
    return open_home(state)


def resume(state: StateFolder) -> Home:
    """Go on with a folder that was shared or joined before.

    Raises:
        NotAPool: if it was not.
    """
    state.require()
    return open_home(state)


def _found(state: StateFolder, name: str | None) -> None:
    keys = new_keys()
    config = state.read_config()
    identity = identity_of(keys, tls_of(keys), name or config.name or default_name())
    pool_name = clean_name(state.folder.resolve().name)
    state.write_keys(keys)
    with birth_of(state, identity.name) as store:
        pool = birth.found_pool(
            store,
            identity,
            pool_name=pool_name,
            entropy=secrets.token_bytes,
            wall=time.time(),
        )
    make_home(state, keys, identity, pool)
