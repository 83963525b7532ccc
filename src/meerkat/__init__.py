"""A live folder shared peer to peer: no server, no account, no leader.

General layout, from the mind to the faces; arrows of import point down this list only:

- ``core``       the mind: pure; events in, effects out
- ``store``, ``transport``, ``folder``   adapters: SQLite, gRPC, the disk
- ``node``       the hands: one function, ``Node.step``
- ``control``    the same node for another process
- ``cli``        the command line
- ``testing``    shipped: a simulator of pools, fakes, acceptance suites

This file is the shop window: what is named here is promised, what is not may move.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from meerkat.errors import MeerkatError

__all__ = ["MeerkatError", "__version__"]

try:
    __version__ = version("meerkat-p2p")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0"
