"""One process for one folder: the node and its control socket, until somebody asks to stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from meerkat.node.node import Node

from .conversation import WebSwitch
from .server import ControlServer

__all__ = ["host"]

MakeWeb = Callable[[Node], AbstractAsyncContextManager[WebSwitch]]


async def host(
    node: Node, ready: Callable[[], Awaitable[None]], make_web: MakeWeb | None = None
) -> None:
    """Run ``node``; call ``ready`` once it serves.

    ``make_web`` makes what turns the page on and off while the node runs.

    Raises:
        MeerkatError: what stopped it, if nobody asked for it.
    """
    state = node.home.state
    try:
        async with (
            node,
            make_web(node) if make_web else nullcontext() as web,
            ControlServer(state.prepare_control_socket(), node, web),
        ):
            await ready()
            await node.wait_stopped()
    finally:
        state.remove_control_socket()
