"""This machine's interfaces and addresses as Linux tells them: over a netlink socket (RFC 3549).

Asking sends nothing to the network. On other systems there are other ways, see ``addresses.py``.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator

__all__ = ["MESSAGE_BYTES", "interface_addresses", "netlink"]

# rtnetlink(7), <linux/rtnetlink.h>, <linux/if.h>, <linux/if_addr.h>
ROUTE_PROTOCOL = 0
GROUP_LINK, GROUP_IPV4_ADDRESS, GROUP_IPV6_ADDRESS = 0x1, 0x10, 0x100
GET_LINK, GET_ADDRESS, NEW_LINK, NEW_ADDRESS, DONE = 18, 22, 16, 20, 3
REQUEST_DUMP = 0x001 | 0x300  # NLM_F_REQUEST | NLM_F_DUMP
IFF_RUNNING = 0x40
TENTATIVE, DEPRECATED = 0x40, 0x20  # an IPv6 address that is not used yet, or not any more
IFA_ADDRESS, IFA_LOCAL = 1, 2
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
ATTRIBUTE = struct.Struct("=HH")  # length, type
MESSAGE_BYTES = 65_536  # the kernel's own bound for a part of a dump is 32 KiB


def netlink() -> socket.socket | None:
    """A socket that hears of interfaces and addresses, where the system has such a thing."""
    if sys.platform != "linux":
        return None
    try:
        wire = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE_PROTOCOL)
    except OSError:  # a sandbox forbids it
        return None
    try:
        wire.setblocking(False)
        wire.bind((0, GROUP_LINK | GROUP_IPV4_ADDRESS | GROUP_IPV6_ADDRESS))
    except OSError:
        wire.close()
        return None
    return wire


def interface_addresses() -> list[tuple[str, bool]] | None:
    """This machine's usable addresses, and whether the interface of each has a carrier.

    None where the system has no such way to ask.
    """
    if sys.platform != "linux":
        return None
    try:
        links = dict(_links(_dump(GET_LINK)))
        found = _addresses(_dump(GET_ADDRESS))
        return [(host, links.get(index, False)) for index, host in found]
    except OSError:
        return None


def _dump(question: int) -> Iterator[tuple[int, bytes]]:
    """Everything of one kind, as (type, body). The kernel answers at once.

    Raises:
        OSError: if it does not.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE_PROTOCOL) as asking:
        asking.settimeout(1.0)
        asking.send(HEADER.pack(HEADER.size + LINK.size, question, REQUEST_DUMP, 1, 0) + bytes(16))
        while True:
            data = asking.recv(MESSAGE_BYTES)
            while len(data) >= HEADER.size:
                length, kind, _, _, _ = HEADER.unpack_from(data)
                if kind not in (NEW_LINK, NEW_ADDRESS):  # done, or an error
                    return
                yield kind, data[HEADER.size : length]
                data = data[_aligned(length) :]


def _links(messages: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bool]]:
    for _, body in messages:
        _, _, index, flags, _ = LINK.unpack_from(body)
        yield index, bool(flags & IFF_RUNNING)


def _addresses(messages: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, str]]:
    for _, body in messages:
        _, _, flags, _, index = ADDRESS.unpack_from(body)
        found = dict(_attributes(body[ADDRESS.size :]))
        raw = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)  # a tunnel's ADDRESS is the far end's
        if raw is None or flags & (TENTATIVE | DEPRECATED):
            continue
        host = ipaddress.ip_address(raw)
        if not (host.is_loopback or host.is_link_local):
            yield index, str(host)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if length < ATTRIBUTE.size:
            return
        yield kind, data[ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
