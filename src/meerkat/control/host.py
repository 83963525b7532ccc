"""One process for one folder: the node and its control socket, until somebody asks to stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from meerkat.node.node import Node

from .server import ControlServer

__all__ = ["host"]


async def host(node: Node, ready: Callable[[], Awaitable[None]]) -> None:
    """Run ``node``; call ``ready`` once it serves.

    Raises:
        MeerkatError: what stopped it, if nobody asked for it.
    """
    state = node.home.state
    try:
        async with node, ControlServer(state.prepare_control_socket(), node):
            await ready()
            await node.wait_stopped()
    finally:
        state.remove_control_socket()
