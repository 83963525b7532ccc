"""A folder's home, opened: its lock, its store, who we are in it. One process has it at a time."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from meerkat.core import birth
from meerkat.core.ids import MemberId, PoolId
from meerkat.core.ports import Table
from meerkat.core.roster import chosen_name
from meerkat.core.signing import SigningKey
from meerkat.errors import AlreadyRunning, NotAPool, StoreError
from meerkat.store import FolderConfig, Keys, SqliteStore, StateFolder
from meerkat.transport.identity import TlsIdentity

from .identity import default_name, identity_of, tls_of

__all__ = [
    "Home",
    "StateFolder",
    "birth_of",
    "is_complete",
    "locked",
    "make_home",
    "open_home",
    "stored_name",
]

LOG = logging.getLogger(__name__)
NAME_KEY = b"node/name"  # in Table.META: how others see this member


@dataclass(frozen=True, slots=True)
class Home:
    """Everything a node needs of its folder."""

    state: StateFolder
    config: FolderConfig
    store: SqliteStore
    identity: birth.Identity
    tls: TlsIdentity
    pool: PoolId

    def close(self, *, clean: bool = True) -> None:
        """Close the store. ``clean``: the run ended as it should."""
        self.store.close()
        if clean:
            self.state.mark_stopped()


@contextmanager
def locked(folder: Path) -> Iterator[StateFolder]:
    """The state folder, made if it is missing, for us alone inside the block.

    Raises:
        AlreadyRunning: saying which process has it.
        FolderError: if the folder cannot be used.
    """
    state = StateFolder(folder)
    state.create()
    try:
        state.lock.acquire(started=time.time())
    except AlreadyRunning as error:
        pid = state.running_pid()
        who = f"process {pid}" if pid else "another process"
        raise AlreadyRunning(
            f"{folder} is served by {who} already. "
            "Look with `meerkat status`, or end it with `meerkat stop`."
        ) from error
    try:
        yield state
    finally:
        state.lock.release()


def make_home(state: StateFolder, keys: Keys, identity: birth.Identity, pool: PoolId) -> None:
    """A new store was filled: it is the original, and these are its keys."""
    state.write_keys(keys)
    state.mark_original()
    LOG.info("member %s of pool %s", identity.member, pool)


def open_home(state: StateFolder) -> Home:
    """Open what an earlier run left, under a new author if the log may have been cut or copied.

    Raises:
        NotAPool: if the folder was never shared.
        StoreError: if store or keys cannot be used.
    """
    keys, config = state.read_keys(), state.read_config()
    tls = tls_of(keys)
    doubtful = _is_doubtful(state)
    store = SqliteStore(state.store, must_exist=True)
    try:
        pool = birth.stored_pool(store)
        if pool is None:
            raise NotAPool(f"{state.folder} was not joined completely. Use the invitation again.")
        identity = identity_of(keys, tls, stored_name(store, keys))
        if doubtful:
            with store.transaction():
                author = birth.new_author(
                    store, identity, entropy=secrets.token_bytes, wall=time.time()
                )
            state.mark_original()
            LOG.warning("the log may have been copied or cut: going on as author %s", author)
        state.mark_started()
    except BaseException:
        store.close()
        raise
    return Home(state, config, store, identity, tls, pool)


def stored_name(store: SqliteStore, keys: Keys) -> str:
    """The name of this member: the one it chose last, else the one it was made with."""
    chosen = chosen_name(store, MemberId(SigningKey(keys.member).public))
    if chosen:
        return chosen
    value = store.get(Table.META, NAME_KEY)
    return value.decode() if value else default_name()


def is_complete(state: StateFolder) -> bool:
    """Whether the folder belongs to a pool; False also if making it was interrupted.

    Raises:
        StoreError: if there was a store and it is gone or damaged.
    """
    if not state.is_pool():
        return False
    if not state.store.exists():
        # Marked, but gone: then this is damage, which opening the store will say.
        return not state.is_original()
    with closing(SqliteStore(state.store)) as store:
        return birth.stored_pool(store) is not None


@contextmanager
def birth_of(state: StateFolder, name: str) -> Iterator[SqliteStore]:
    """A new store, inside a transaction that keeps everything or nothing.

    Raises:
        StoreError: if it cannot be made.
    """
    with closing(SqliteStore(state.store)) as store, store.transaction():
        if birth.stored_pool(store) is not None:
            raise StoreError(f"{state.store} belongs to a pool already.")
        store.put(Table.META, NAME_KEY, name.encode())
        yield store


def _is_doubtful(state: StateFolder) -> bool:
    """Whether others may know more of our own log than our store does (design, section 2)."""
    if not state.is_original():
        return True
    return state.unclean_stop() and state.rebooted_since()
