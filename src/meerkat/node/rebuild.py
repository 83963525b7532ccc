"""Making a damaged store anew: same member, same folder, everything else from the neighbors.

The damaged file is kept. What can still be read of it (who is in the pool, where they are) leads
back in; what cannot be read is what an invitation says.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from meerkat.core import birth
from meerkat.core.ids import MemberId, PoolId
from meerkat.core.operation import OperationError
from meerkat.core.ports import Table
from meerkat.core.roster import read_opened
from meerkat.core.signing import SigningKey
from meerkat.errors import MeerkatError, NotAPool, StoreError
from meerkat.store import SqliteStore, StateFolder
from meerkat.transport.invitation import Invitation

from .home import birth_of, locked, make_home
from .identity import default_name, identity_of, tls_of
from .join import enter, name_among

__all__ = ["Rebuilt", "rebuild"]

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was done. ``kept``: where the old store is; ``addresses``: of how many authors."""

    kept: Path | None
    addresses: int


@dataclass(slots=True)
class _Rescued:
    """What an old store still says."""

    pool: PoolId | None = None
    pool_name: str = ""
    name: str = ""
    introductions: list[bytes] = field(default_factory=list)
    addresses: list[tuple[bytes, bytes]] = field(default_factory=list)


async def rebuild(
    folder: Path, invitation: Invitation | None = None, *, name: str | None = None
) -> Rebuilt:
    """Put the store aside and begin a new one, under a new author key of the same member.

    ``name`` counts only where neither the old store nor the pool knows the member's.

    Raises:
        NotAPool: if the folder was never shared.
        AlreadyRunning: if a process serves it.
        MeerkatError: if nothing leads back into the pool: an invitation is needed.
    """
    StateFolder(folder).require()
    with locked(folder) as state:
        keys = state.read_keys()
        rescued = _rescue(state, MemberId(SigningKey(keys.member).public))
        name = rescued.name or name or state.read_config().name or default_name()
        if invitation is None and not _leads_back(rescued):
            raise MeerkatError(
                "The damaged store does not say any more who is in the pool. Ask a member for an "
                "invitation and run `meerkat rebuild DIR --from INVITATION`."
            )
        kept = _put_aside(state)
        try:
            if invitation is not None:
                await enter(state, invitation, keys, name)
            else:
                _begin(state, rescued, name)
        except BaseException:
            if kept is not None:
                _put_back(state, kept)
            raise
        return Rebuilt(kept, len(rescued.addresses))


def _leads_back(rescued: _Rescued) -> bool:
    return rescued.pool is not None and bool(rescued.introductions and rescued.addresses)


def _begin(state: StateFolder, rescued: _Rescued, name: str) -> None:
    """A new author, introduced to the others by what the old store knew of them."""
    assert rescued.pool is not None
    keys = state.read_keys()
    identity = identity_of(keys, tls_of(keys), name)
    newborn = birth.begin_join(
        identity, rescued.pool, entropy=secrets.token_bytes, wall=time.time()
    )
    with birth_of(state, identity.name) as store:
        birth.finish_join(
            store, newborn, pool_name=rescued.pool_name, introductions=rescued.introductions
        )
        store.put_many(Table.ADDRESS, rescued.addresses)
    make_home(state, keys, identity, rescued.pool)


def _rescue(state: StateFolder, member: MemberId) -> _Rescued:
    """Whatever can be read; damage anywhere costs only what stands there."""
    rescued = _Rescued()
    try:
        with closing(SqliteStore(state.store, must_exist=True)) as store:
            _rescue_from(store, rescued, member)
    except StoreError as error:
        LOG.warning("the old store: %s", error)
    return rescued


def _rescue_from(store: SqliteStore, rescued: _Rescued, member: MemberId) -> None:
    rescued.pool = birth.stored_pool(store)
    if rescued.pool is None:
        raise NotAPool("The store belongs to no pool; there is nothing to rebuild.")
    rescued.pool_name = (store.get(Table.META, b"pool_name") or b"").decode(errors="replace")
    rescued.name = (store.get(Table.META, b"node/name") or b"").decode(errors="replace")
    rescued.addresses.extend(_readable(store, Table.ADDRESS))
    for author in store.heads():
        opened = store.operation(author, 1)
        if opened is not None and _is_sound(opened, rescued.pool):
            rescued.introductions.append(opened)
    rescued.name = rescued.name or name_among(rescued.introductions, rescued.pool, member)


def _readable(store: SqliteStore, table: Table) -> Iterator[tuple[bytes, bytes]]:
    try:
        yield from store.scan(table)
    except StoreError as error:
        LOG.warning("the rest of %s is lost: %s", table.value, error)


def _is_sound(opened: bytes, pool: PoolId) -> bool:
    try:
        read_opened(opened, pool)
    except OperationError:
        return False
    return True


def _put_aside(state: StateFolder) -> Path | None:
    """Rename the store and what SQLite keeps beside it; where it is now."""
    number = 1
    while (kept := state.path / f"store.db.damaged-{number}").exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        old = state.path / f"store.db{suffix}"
        if old.exists():
            old.rename(state.path / f"{kept.name}{suffix}")
    return kept if kept.exists() else None


def _put_back(state: StateFolder, kept: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        old = state.path / f"{kept.name}{suffix}"
        if old.exists():
            old.rename(state.path / f"store.db{suffix}")
