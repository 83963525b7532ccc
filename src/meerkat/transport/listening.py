"""Starting a gRPC server on a port, with an error that says what went wrong."""

from __future__ import annotations

import errno
import socket
from typing import Any

from meerkat.transport.base import LinkError, PortTaken

__all__ = ["start"]


async def start(server: Any, host: str, port: int, credentials: Any) -> str:
    """Bind, serve, and return the ``host:port`` really bound.

    Raises:
        PortTaken: another program has the port.
        LinkError: the host is not one of ours.
    """
    shown = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_secure_port(f"{shown}:{port}", credentials)
    except RuntimeError as error:  # gRPC does not say why
        await server.stop(None)  # else its finalizer complains, perhaps after the loop is closed
        if _taken(host, port):
            raise PortTaken(port) from error
        raise LinkError(f"cannot listen on {shown}:{port}") from error
    await server.start()
    return f"{shown}:{bound}"


def _taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
