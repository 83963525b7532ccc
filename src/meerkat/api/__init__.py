"""The Python API: a pool as a program sees it. Everything named here is promised.

Reading order: ``values`` (what a program gets), ``pool`` (what it asks), ``streams`` (what it
hears), ``database``
(SQL), ``hosting`` (serving a folder that no other process serves), ``entering`` (sharing and
joining), ``sync_pool`` (the same without an event loop).
"""

from __future__ import annotations

from meerkat.core.status import ChatLine, NetworkNode, NetworkPicture
from meerkat.node.options import NodeOptions

from .database import Change, Conflict, Database, Row, Rows, Written
from .entering import join, share
from .pool import Pool
from .streams import Stream
from .sync_pool import SyncDatabase, SyncPool
from .values import Echo, Message

__all__ = [
    "Change",
    "ChatLine",
    "Conflict",
    "Database",
    "Echo",
    "Message",
    "NetworkNode",
    "NetworkPicture",
    "NodeOptions",
    "Pool",
    "Row",
    "Rows",
    "Stream",
    "SyncDatabase",
    "SyncPool",
    "Written",
    "join",
    "share",
]
