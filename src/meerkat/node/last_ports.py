"""The ports of the run before: members dial us there, and invitations lead there.

Without them, two members that start again together, each at a new port, would look for each other
where nobody is; members nearby find each other anyway (``discovery``), others would not.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from meerkat.core.ports import Store, Table
from meerkat.errors import StoreError
from meerkat.store.interface import TransactionalStore
from meerkat.transport.addresses import parse_address

__all__ = ["Ports", "keep_ports", "last_ports"]

PORTS_KEY = b"node/ports"  # in Table.META: two of them
PORT_BYTES = 2


@dataclass(frozen=True, slots=True)
class Ports:
    """For links and for the door; 0: none, or not known."""

    links: int = 0
    door: int = 0


def last_ports(store: Store) -> Ports:
    """Where we listened last."""
    value = store.get(Table.META, PORTS_KEY) or b""
    links, door = value[:PORT_BYTES], value[PORT_BYTES:]
    return Ports(int.from_bytes(links, "big"), int.from_bytes(door[:PORT_BYTES], "big"))


def keep_ports(store: TransactionalStore, bound: str, door_bound: str) -> None:
    """Remember where we listen now, if we do (``host:port`` each, or nothing)."""
    links, door = _port_of(bound), _port_of(door_bound)
    if not links or last_ports(store) == Ports(links, door):
        return
    value = links.to_bytes(PORT_BYTES, "big") + door.to_bytes(PORT_BYTES, "big")
    with suppress(StoreError), store.transaction():  # it is a convenience, and the disk may be full
        store.put(Table.META, PORTS_KEY, value)


def _port_of(address: str) -> int:
    return parse_address(address)[1] if address else 0
