"""The user's folder: what is in it, what changes in it, and writing to it without harm.

Reading order: ``report`` (what the node is told), ``adapter`` (the face and its threads);
``scanner``, ``walk``, ``large``, ``departures``, ``databases``, ``schedule`` (what is news);
``settle``, ``vanish``, ``known`` (its memory); ``watcher``, ``hints`` (where to look); ``jobs``,
``writer``, ``ground``, ``changes``, ``staging``, ``publish``, ``moving``, ``parts``, ``replaced``
(changing the folder); ``incoming``, ``bases`` (blobs and databases on their way); ``owner_files``
(the owner's hand, through a page); ``paths``, ``ignore``, ``reading``, ``sqlite_files``,
``signature``, ``outcome``, ``worker``, ``syscalls`` (the base).
"""

from .adapter import FolderAdapter
from .config import FolderConfig
from .ignore import DEFAULT_RULES
from .paths import UnsafePath, check_path
from .report import FolderListener, Observation, Problem

__all__ = [
    "DEFAULT_RULES",
    "FolderAdapter",
    "FolderConfig",
    "FolderListener",
    "Observation",
    "Problem",
    "UnsafePath",
    "check_path",
]
