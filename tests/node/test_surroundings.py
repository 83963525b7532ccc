"""Changes of the network, and sleep, are noticed: real interfaces in a namespace of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meerkat.core.events import Event, Listening, NetworkChanged
from meerkat.node import surroundings
from meerkat.node.addresses import local_hosts
from meerkat.node.home import locked
from meerkat.node.join import decode_invitation
from meerkat.node.listening import Reach, moved
from meerkat.node.mind import make_peer
from meerkat.node.node import Node
from meerkat.node.options import NodeOptions
from meerkat.node.share import share
from meerkat.node.surroundings import Surroundings, SurroundingsConfig
from tests.node.own_network import in_own_network, ip
from tests.node.waiting import until

QUICK = SurroundingsConfig(settle=0.1, clock_every=0.05, look_every=0.05)


class Watch:
    """Counts what is told. ``asleep``: how long this machine has slept."""

    def __init__(self, config: SurroundingsConfig = QUICK) -> None:
        self.count, self.asleep = 0, 0.0
        self.surroundings = Surroundings(self._told, config=config, asleep=lambda: self.asleep)

    async def _told(self) -> None:
        self.count += 1


@asynccontextmanager
async def watching(config: SurroundingsConfig = QUICK) -> AsyncIterator[Watch]:
    watch = Watch(config)
    task = asyncio.ensure_future(watch.surroundings.watch())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def make_wire() -> None:
    """An interface `wire` with something at the other end."""
    ip("link", "add", "wire", "type", "veth", "peer", "name", "end")
    for one in ("wire", "end"):
        ip("link", "set", one, "addrgenmode", "none")
        ip("link", "set", one, "up")


def test_waking_up_is_a_change():
    async def story() -> None:
        async with watching() as watch:
            await settled(watch)
            watch.asleep += 3600.0
            await until(lambda: watch.count == 1, "it is told")
            for _ in range(2):
                watch.asleep += 4.0  # a short pause is none
                await settled(watch)
            assert watch.count == 1

    asyncio.run(story())


def test_this_machine_is_awake_while_we_look():
    before = surroundings.time_asleep()

    assert abs(surroundings.time_asleep() - before) < 1.0


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_addresses_and_carriers_that_come_and_go_are_told_once_each():
    async def story() -> None:
        make_wire()
        async with watching() as watch:
            await settled(watch)
            for number in range(3):
                ip("addr", "add", f"192.0.2.{number}/24", "dev", "wire")
            await until(lambda: watch.count == 1, "new addresses")
            await settled(watch)
            ip("link", "set", "end", "down")
            await until(lambda: watch.count == 2, "the cable is out")
            ip("link", "set", "end", "up")
            await until(lambda: watch.count == 3, "the cable is in")
            ip("addr", "del", "192.0.2.0/24", "dev", "wire")
            await until(lambda: watch.count == 4, "one address less")

    in_own_network(story)


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_what_changes_nothing_for_us_is_not_told():
    async def story() -> None:
        make_wire()
        async with watching() as watch:
            await settled(watch)
            ip("link", "set", "wire", "mtu", "1400")
            ip("link", "add", "other", "type", "veth", "peer", "name", "side")
            ip("addr", "add", "127.0.0.9/8", "dev", "lo")
            await settled(watch)
            assert watch.count == 0

    in_own_network(story)


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_where_the_system_does_not_tell_we_look(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(surroundings, "netlink", lambda: None)

    async def story() -> None:
        make_wire()
        async with watching() as watch:
            await settled(watch)
            ip("addr", "add", "192.0.2.1/24", "dev", "wire")
            await until(lambda: watch.count == 1, "a new address")

    in_own_network(story)


async def settled(watch: Watch) -> None:
    """Return when it has certainly looked again."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 4 * QUICK.settle
    await until(lambda: loop.time() > end, "some time has passed")


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_a_node_in_another_network_says_where_it_is_now(tmp_path: Path):
    async def story() -> None:
        make_wire()
        ip("addr", "add", "192.0.2.1/24", "dev", "wire")
        taken: list[Event] = []
        with locked(tmp_path) as state:
            home = share(state, name="alice")
            options = NodeOptions(host="0.0.0.0", port=0, discover=False)
            async with Node(home, options, make_mind=recording(taken)) as node:
                port = node.reach.links[0].partition(":")[2]
                assert Listening((f"192.0.2.1:{port}",)) in taken
                await until(lambda: node.status().in_sync, "it runs")
                ip("addr", "add", "198.51.100.7/24", "dev", "wire")
                ip("addr", "del", "192.0.2.1/24", "dev", "wire")
                now = Listening((f"198.51.100.7:{port}",))
                await until(lambda: now in taken, "it is noticed")
                assert taken[taken.index(now) + 1] == NetworkChanged()
                assert node.describe()["address"] == f"198.51.100.7:{port}"
                invitation = decode_invitation(await node.invite(uses=1, lifetime=60.0))
                assert [one.partition(":")[0] for one in invitation.addresses] == ["198.51.100.7"]
            home.close()

    in_own_network(story)


def recording(taken: list[Event]) -> Any:
    """Minds that keep what happened to them."""

    def make(store: Any, identity: Any) -> Any:
        peer = make_peer(store, identity)
        handle = peer.handle

        def keep(event: Event, *, now: float, wall: float) -> Any:
            taken.append(event)
            return handle(event, now=now, wall=wall)

        peer.handle = keep  # type: ignore[method-assign]
        return peer

    return make


def test_ports_stay_and_what_was_advertised_stays():
    options = NodeOptions(advertise=("home.example:7000",))
    reach = Reach("127.0.0.1:7337", ("192.0.2.1:7337",), ("192.0.2.1:7338",), "127.0.0.1:7338")

    now = moved(reach, options)

    assert now.links == ("home.example:7000", "127.0.0.1:7337")
    assert now.door == ("home.example:7001", "127.0.0.1:7338")
    assert moved(now, options) == now
    assert moved(Reach(), NodeOptions(listen=False)) == Reach()
    assert moved(replace(reach, door_bound=""), options).door == reach.door


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_all_addresses_are_found_also_without_a_route():
    found: list[list[str]] = []

    async def story() -> None:
        make_wire()
        found.append(local_hosts())
        for address in ("192.0.2.1/24", "192.0.2.2/24", "169.254.0.1/16"):
            ip("addr", "add", address, "dev", "wire")
        ip("addr", "add", "2001:db8::5/64", "dev", "wire", "nodad")
        ip("addr", "add", "fe80::5/64", "dev", "wire", "nodad")
        found.append(local_hosts())

    in_own_network(story)
    assert found[0] == ["127.0.0.1"]
    assert set(found[1]) == {"192.0.2.1", "192.0.2.2", "2001:db8::5"}
