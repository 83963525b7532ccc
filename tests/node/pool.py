"""Real nodes in one process: real folders and stores, a pretend network, the real door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from meerkat.node.home import Home, locked
from meerkat.node.join import decode_invitation, join
from meerkat.node.node import Node
from meerkat.node.options import NodeConfig, NodeOptions
from meerkat.node.share import share
from meerkat.testing.memory_transport import MemoryNetwork, MemoryTransport
from meerkat.transport.base import LinkListener
from meerkat.transport.identity import TlsIdentity

OPTIONS = NodeOptions(host="127.0.0.1", port=0, discover=False)
QUICK = NodeConfig(retry=0.05)


class Pool:
    """Nodes that can reach each other through ``network``."""

    def __init__(self, place: Path) -> None:
        self.network = MemoryNetwork()
        self._place = place

    def make_transport(self, tls: TlsIdentity, listener: LinkListener) -> MemoryTransport:
        return MemoryTransport(self.network, tls.member, tls.certificate_der, listener)

    def node(self, home: Home) -> Node:
        return Node(home, OPTIONS, config=QUICK, make_transport=self.make_transport)

    @asynccontextmanager
    async def share(self, name: str, **files: str) -> AsyncIterator[Node]:
        folder = self._place / name
        folder.mkdir()
        for stem, text in files.items():
            (folder / f"{stem}.txt").write_text(text)
        with locked(folder) as state:
            home = share(state, name=name)
            try:
                async with self.node(home) as node:
                    yield node
            finally:
                home.close()

    @asynccontextmanager
    async def join(self, name: str, inviter: Node) -> AsyncIterator[Node]:
        folder = self._place / name
        folder.mkdir()
        invitation = await inviter.invite(uses=1, lifetime=60.0)
        with locked(folder) as state:
            home = await join(state, decode_invitation(invitation), name=name)
            try:
                async with self.node(home) as node:
                    yield node
            finally:
                home.close()


def holds(node: Node, name: str, text: str) -> bool:
    """Whether a file of the node's folder is exactly this text."""
    path = node.home.state.folder / name
    return path.exists() and path.read_text() == text


def write(node: Node, name: str, text: str) -> None:
    (node.home.state.folder / name).write_text(text)


def run(work: object) -> None:
    asyncio.run(work)  # type: ignore[arg-type]
