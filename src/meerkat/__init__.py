"""A live folder shared peer to peer: no server, no account, no leader.

General layout, from the mind to the faces; arrows of import point down this list only:

- ``core``       the mind: pure; events in, effects out
- ``store``, ``transport``, ``folder``   adapters: SQLite, gRPC, the disk
- ``node``       the hands: one function, ``Node.step``
- ``control``    the same node for another process
- ``api``        ``Pool``: the same for Python programs
- ``cli``        the command line
- ``testing``    shipped: a simulator of pools, fakes, acceptance suites

This file is the shop window: what is named here is promised, what is not may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meerkat.errors import MeerkatError

if TYPE_CHECKING:
    __version__: str
    from meerkat.api import (
        ChatLine,
        Echo,
        Message,
        NetworkNode,
        NetworkPicture,
        NodeOptions,
        Pool,
        SyncPool,
        join,
        share,
    )

__all__ = [
    "ChatLine",
    "Echo",
    "MeerkatError",
    "Message",
    "NetworkNode",
    "NetworkPicture",
    "NodeOptions",
    "Pool",
    "SyncPool",
    "__version__",
    "join",
    "share",
]


def __getattr__(name: str) -> Any:
    """What takes long to load is loaded when it is used, so that commands start quickly."""
    if name == "__version__":
        return _version()
    if name in __all__:
        from meerkat import api

        return getattr(api, name)
    raise AttributeError(f"module 'meerkat' has no attribute {name!r}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("meerkat-p2p")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0"
