"""When it does not go on because the disk is full: waiting until it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meerkat.core.ports import Table
from meerkat.errors import StoreDamaged, StoreError
from meerkat.store import SqliteStore

from .options import NodeConfig

__all__ = ["wait_for_store"]

PROBE_KEY = b"node/probe"  # in Table.META, for a moment


async def wait_for_store(
    store: SqliteStore, config: NodeConfig, failed: Callable[[StoreError], None]
) -> None:
    """Return when the store can be written again; ``failed`` is told of every attempt before.

    Raises:
        StoreDamaged: if what is on the disk is no more what it was.
    """
    while True:
        await asyncio.sleep(config.retry)
        try:
            _probe(store, config.probe_bytes)
        except StoreDamaged:
            raise
        except StoreError as error:
            failed(error)
        else:
            return


def _probe(store: SqliteStore, size: int) -> None:
    """See that a good deal fits. It is removed again, and stays in the file as free room."""
    if store.failed:
        store.reopen()
    with store.transaction():
        store.put(Table.META, PROBE_KEY, bytes(size))
    with store.transaction():
        store.delete(Table.META, PROBE_KEY)
