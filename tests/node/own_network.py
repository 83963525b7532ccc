"""A network of a test's own: one thread in a namespace with nothing but loopback (root, Linux)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

CLONE_NEWNET = 0x40000000  # <sched.h>
ENDS_WITHIN = 120.0
GROUP, PORT = "224.0.0.251", 5353  # mDNS, RFC 6762


def ip(*arguments: str) -> None:
    """The program of that name, in the namespace of the calling thread."""
    subprocess.run(("ip", *arguments), check=True, capture_output=True)


def in_own_network(
    story: Callable[[], Coroutine[Any, Any, None]], *, loopback: bool = True
) -> None:
    """Run a story there. Sockets, threads and processes that it makes are there, too."""

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if loopback:
            ip("link", "set", "lo", "up")
        asyncio.run(story())

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result(ENDS_WITHIN)


def eavesdropper() -> socket.socket:
    """Hears every multicast DNS packet on loopback."""
    ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        ears.setsockopt(socket.SOL_SOCKET, option, 1)
    ears.bind(("", PORT))
    membership = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
    ears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    ears.settimeout(1.0)
    return ears


def why_no_multicast() -> str:
    """Why multicast does not work on loopback here; empty if it does."""
    try:
        with closing(eavesdropper()) as ears, socket.socket(type=socket.SOCK_DGRAM) as mouth:
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("B", 1))
            on_loopback = socket.inet_aton("127.0.0.1")
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, on_loopback)
            mouth.sendto(b"meerkat?", (GROUP, PORT))
            while ears.recv(9_000) != b"meerkat?":
                pass
    except OSError as error:
        return f"multicast does not work on loopback here: {error}"
    return ""
