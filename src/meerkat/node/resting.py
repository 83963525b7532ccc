"""The status of a folder that no process serves: read from its store, nothing is changed."""

from __future__ import annotations

import random
import secrets
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from meerkat.core.peer import Peer
from meerkat.errors import NotAPool
from meerkat.store import SqliteStore, StateFolder

from .describe import describe, with_databases
from .home import is_complete, locked, stored_name
from .identity import identity_of, tls_of

__all__ = ["resting_status"]


class _Undone(Exception):
    """Leaves a transaction so that nothing of it is kept."""


def resting_status(folder: Path) -> dict[str, Any]:
    """What ``Node.describe`` would say, with ``running`` false.

    Raises:
        AlreadyRunning: if a process serves it after all.
        NotAPool: if it was never shared or joined.
    """
    with locked(folder) as state:
        if not is_complete(state):
            raise NotAPool(f"{folder} is not a meerkat folder yet.")
        return _read(state)


def _read(state: StateFolder) -> dict[str, Any]:
    keys = state.read_keys()
    tls = tls_of(keys)
    status = None
    with (
        closing(SqliteStore(state.store, must_exist=True)) as store,
        suppress(_Undone),
        store.transaction(),
    ):
        identity = identity_of(keys, tls, stored_name(store, keys))
        peer = Peer(store, identity, rng=random.Random(0), entropy=secrets.token_bytes)
        status = with_databases(peer.status(), state.folder, peer.database_paths())
        raise _Undone
    assert status is not None
    return describe(status, folder=state.folder, member=identity.member.hex(), running=False)
