"""What a node says of itself on the local network, and what it makes of what others say.

Anybody on the network hears it, so it names nobody: pool and author are tags that only members can
resolve. Names are said only while somebody is expected (``discovery.py`` decides when). Nothing
that is heard is believed: an address is a hint, and TLS decides who answers there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from blake3 import blake3

from meerkat.core.ids import AuthorId, PoolId
from meerkat.core.wire import PROTOCOL_VERSION
from meerkat.transport.addresses import format_address, parse_address

from .listening import Reach

__all__ = [
    "Announcement",
    "announced_hosts",
    "author_tag",
    "hear",
    "host_of",
    "interface_of",
    "pool_tag",
    "port_of",
]

TAG_DIGITS = 16  # 64 bits: no two pools meet by chance, and nothing leads back to the id
MAX_HOSTS = 8  # as many addresses as a Hello carries
MAX_SHOWN = 64  # characters of a stranger's text that a terminal gets to see
MAX_TEXT_BYTES = 200  # of a text in a TXT record; 255 with its key is DNS's own limit
MAX_PORT = 65_535


def pool_tag(pool: PoolId) -> str:
    """What members recognise their pool by; to others it is noise (but always the same noise)."""
    return blake3(b"meerkat nearby 1\x00" + pool).hexdigest()[:TAG_DIGITS]


def author_tag(pool: PoolId, author: AuthorId) -> str:
    """What members, who know the pool's authors, recognise one of them by."""
    return blake3(b"meerkat nearby author 1\x00" + pool + author).hexdigest()[:TAG_DIGITS]


@dataclass(frozen=True, slots=True)
class Announcement:
    """One node's. ``door`` is a port, or 0; the names are empty unless somebody is expected."""

    author_tag: str
    pool_tag: str
    hosts: tuple[str, ...]
    port: int
    door: int = 0
    pool_name: str = ""
    inviter: str = ""
    version: int = PROTOCOL_VERSION

    @property
    def links(self) -> tuple[str, ...]:
        """Where members may dial."""
        return tuple(format_address(host, self.port) for host in self.hosts)

    @property
    def doors(self) -> tuple[str, ...]:
        """Where newcomers may knock."""
        return tuple(format_address(host, self.door) for host in self.hosts if self.door)

    def properties(self) -> dict[str, str]:
        """The TXT record."""
        said = {"v": str(self.version), "p": self.pool_tag}
        if self.door:
            said["d"] = str(self.door)
        if self.pool_name:
            said["n"] = _shortened(self.pool_name)
            said["i"] = _shortened(self.inviter)
        return said


def hear(
    instance: str, hosts: Iterable[str], port: int, properties: Mapping[bytes, bytes | None]
) -> Announcement | None:
    """What a stranger announces, or None if it makes no sense. It may be any bytes at all."""
    said = {key: value or b"" for key, value in properties.items()}
    usable = tuple(dict.fromkeys(host for host in hosts if _may_dial(host)))[:MAX_HOSTS]
    version, door = _number(said.get(b"v", b"")), _number(said.get(b"d", b""))
    if not usable or not version or not 0 < port <= MAX_PORT:
        return None
    return Announcement(
        author_tag=_shown(instance.encode()),
        pool_tag=_shown(said.get(b"p", b"")),
        hosts=usable,
        port=port,
        door=door if door <= MAX_PORT else 0,
        pool_name=_shown(said.get(b"n", b"")),
        inviter=_shown(said.get(b"i", b"")),
        version=version,
    )


def interface_of(host: str) -> str:
    """The one address that we listen on, so that we speak there only; empty for all of them."""
    return host if _is_ip(host) and not ipaddress.ip_address(host).is_unspecified else ""


def announced_hosts(reach: Reach) -> tuple[str, ...]:
    """Our addresses with the port we listen on; a forwarded one is for the world outside."""
    if not reach.bound:
        return ()
    port = port_of(reach.bound)
    parts = (parse_address(address) for address in reach.links)
    return tuple(host for host, its in parts if its == port and _is_ip(host))[:MAX_HOSTS]


def port_of(bound: str) -> int:
    """The port of ``host:port``; 0 for the empty string."""
    return parse_address(bound)[1] if bound else 0


def host_of(bound: str) -> str:
    """The host of ``host:port``; empty for the empty string."""
    return parse_address(bound)[0] if bound else ""


def _may_dial(host: str) -> bool:
    if not _is_ip(host):
        return False
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return False
    # A link-local address means nothing without its interface, which a peer's book cannot keep.
    return not (address.is_multicast or address.is_unspecified or address.is_link_local)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() and len(digits) <= len(str(MAX_PORT)) else 0


def _shown(raw: bytes) -> str:
    """Text that does nothing to a terminal."""
    text = raw[: 4 * MAX_SHOWN].decode(errors="replace")
    return "".join(c for c in text if c.isprintable())[:MAX_SHOWN].strip()


def _shortened(text: str) -> str:
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
