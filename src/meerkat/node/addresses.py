"""Where others can reach this machine: found by asking the system, without sending anything."""

from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress

from meerkat.errors import MeerkatError
from meerkat.transport.addresses import format_address, parse_address

from .interfaces import interface_addresses

__all__ = ["advertised", "check_address", "local_hosts", "parse_listen"]

MAX_ADDRESSES = 8  # as many as a Hello carries
PROBES = (  # documentation networks (RFC 5737, 3849): a route is looked up, no packet leaves
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "2001:db8::1"),
)
SIOCGIFADDR = 0x8915  # netdevice(7), Linux
WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - to recognise them


def local_hosts() -> list[str]:
    """This machine's addresses, the one of the default route first; loopback if it has no other."""
    found: list[str] = []
    for family, target in PROBES:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(str(probe.getsockname()[0]))
    found += _interface_hosts()
    with suppress(OSError):
        found += [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)]
    usable = [host for host in dict.fromkeys(found) if _is_usable(host)]
    return usable or ["127.0.0.1"]


def advertised(bound: str, extra: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What to tell others, given the ``host:port`` that is bound; ``extra`` comes first."""
    host, port = parse_address(bound)
    if host not in WILDCARDS:
        own = [format_address(host, port)]
    else:
        hosts = local_hosts()
        if host == "0.0.0.0":  # noqa: S104 - comparison
            hosts = [h for h in hosts if ":" not in h] or ["127.0.0.1"]
        own = [format_address(h, port) for h in hosts]
    return tuple(dict.fromkeys((*extra, *own)))[:MAX_ADDRESSES]


def parse_listen(text: str, said: str = "--listen") -> tuple[str, int | None]:
    """Host and port of ``--listen HOST[:PORT]``, or of whatever else ``said`` it.

    Raises:
        MeerkatError: if it is neither.
    """
    bare = text.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        return str(ipaddress.ip_address(bare)), None
    try:
        host, port = parse_address(text) if ":" in text else (text, None)
    except ValueError as error:
        raise MeerkatError(f"{said} {text}: {error}. Write HOST or HOST:PORT.") from error
    return host, port


def check_address(address: str) -> str:
    """``--advertise HOST:PORT``, as we write it.

    Raises:
        MeerkatError: if it is something else.
    """
    try:
        return format_address(*parse_address(address))
    except ValueError as error:
        raise MeerkatError(f"--advertise {address}: {error}.") from error


def _interface_hosts() -> list[str]:
    """The addresses of every interface, where the system answers this question (Linux)."""
    told = interface_addresses()
    if told is not None:
        return [host for host, _ in told]
    try:  # a sandbox without netlink: one IPv4 address of each
        import fcntl
    except ImportError:
        return []
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                request = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(asking.fileno(), SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _is_usable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)
