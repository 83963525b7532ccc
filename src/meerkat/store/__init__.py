"""Meerkat's own memory on this machine: the SQLite store and the folder's ``.meerkat/``.

Read ``store.py`` first, then ``connection.py`` (durability) and ``log_table.py``;
``state_folder.py`` is the way in to everything else in ``.meerkat/``.
"""

from .config import FolderConfig
from .interface import TransactionalStore
from .keys import Keys
from .nesting import check_not_nested, find_pool_above, find_pool_below
from .state_folder import StateFolder
from .store import SqliteStore

__all__ = [
    "FolderConfig",
    "Keys",
    "SqliteStore",
    "StateFolder",
    "TransactionalStore",
    "check_not_nested",
    "find_pool_above",
    "find_pool_below",
]
