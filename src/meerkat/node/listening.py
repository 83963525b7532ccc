"""Opening our two ports: one for members' links, one for the door; and saying where they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

import meerkat.errors
from meerkat.store import FolderConfig
from meerkat.transport.addresses import format_address, parse_address
from meerkat.transport.base import LinkError, PortTaken, Transport
from meerkat.transport.door import Door

from .addresses import advertised, parse_listen
from .last_ports import Ports
from .options import DEFAULT_PORT, NodeConfig, NodeOptions

__all__ = ["Reach", "listen", "moved", "with_settings"]

Listen = Callable[[str, int], Awaitable[str]]
NO_PORTS = Ports()


@dataclass(frozen=True, slots=True)
class Reach:
    """Where we can be reached; empty if nobody can. What is ``bound`` is for this machine."""

    bound: str = ""
    links: tuple[str, ...] = ()
    door: tuple[str, ...] = ()
    door_bound: str = ""


def with_settings(options: NodeOptions, settings: FolderConfig) -> NodeOptions:
    """What ``config.toml`` says where the command line says nothing.

    Raises:
        MeerkatError: if its address is none.
        FolderError: if it names two ports.
    """
    if options.discover is None:
        options = replace(options, discover=settings.discover)
    if not options.listen:
        return options
    host, port = "", settings.port
    if settings.listen is not None:
        host, own_port = parse_listen(settings.listen, "config.toml: listen =")
        if port is not None and own_port not in (None, port):
            raise meerkat.errors.FolderError(
                "config.toml: listen and port name two different ports. Leave one out."
            )
        port = port if own_port is None else own_port
    return replace(
        options,
        host=options.host or host,
        port=port if options.port is None else options.port,
    )


async def listen(
    transport: Transport,
    door: Door | None,
    options: NodeOptions,
    config: NodeConfig,
    last: Ports = NO_PORTS,
) -> Reach:
    """Listen as ``options`` say; where they leave a choice, at the ``last`` ports if they are free.

    Raises:
        PortTaken: (of ``meerkat.errors``) if the wanted port is not free.
        MeerkatError: if the host is none of ours.
    """
    if not options.listen:
        return Reach(links=options.advertise)
    bound = await _listen(transport.listen, options.host, _ports(options, config, last.links))
    links = advertised(bound, options.advertise)
    if door is None:
        return Reach(bound, links)
    host, port = parse_address(bound)
    ports = [0] if options.port == 0 else [*range(port + 1, port + 1 + config.port_tries)]
    if last.door and port == last.links and not options.advertise:  # else it must be the next one
        ports.insert(0, last.door)
    door_bound = await _listen(door.listen, host, ports)
    return Reach(bound, links, advertised(door_bound, _door_of(options.advertise)), door_bound)


def moved(reach: Reach, options: NodeOptions) -> Reach:
    """The same ports at the addresses that this machine has now. May ask a name server."""
    if not reach.bound:
        return reach
    links = advertised(reach.bound, options.advertise)
    if not reach.door_bound:
        return replace(reach, links=links)
    door = advertised(reach.door_bound, _door_of(options.advertise))
    return replace(reach, links=links, door=door)


def _ports(options: NodeOptions, config: NodeConfig, last: int) -> Iterable[int]:
    if options.port:
        return [options.port]
    free = [0] if options.port == 0 else range(DEFAULT_PORT, DEFAULT_PORT + config.port_tries)
    return [last, *free] if last else free


def _door_of(advertise: tuple[str, ...]) -> tuple[str, ...]:
    """Whoever forwards a port for links forwards the next one for the door."""
    parts = (parse_address(address) for address in advertise)
    return tuple(format_address(host, port + 1) for host, port in parts)


async def _listen(listen: Listen, host: str, ports: Iterable[int]) -> str:
    hosts = [host] if host else ["::", "0.0.0.0"]  # noqa: S104 - members come from anywhere
    failure: Exception | None = None
    for port in ports:
        for one in hosts:
            try:
                return await listen(one, port)
            except PortTaken as error:
                failure = meerkat.errors.PortTaken(
                    f"Port {port} is used by another program. "
                    "Choose another with --port, or leave it out."
                )
                failure.__cause__ = error
                break
            except LinkError as error:  # no IPv6 here, or not our host
                failure = meerkat.errors.MeerkatError(
                    f"Cannot listen on {format_address(one, port)}: {error}. "
                    "Choose another address with --listen."
                )
                failure.__cause__ = error
    assert failure is not None
    raise failure
