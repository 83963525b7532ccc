"""Real multicast DNS on loopback: members find each other, others learn nothing of them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from meerkat.core.door import Door, open_until
from meerkat.core.events import Discovered
from meerkat.core.ids import AuthorId, PoolId
from meerkat.core.ports import Table
from meerkat.core.status import Status
from meerkat.errors import MeerkatError
from meerkat.node.discovery import Discovery, DiscoveryConfig, look_around
from meerkat.node.home import Home, locked
from meerkat.node.join import decode_invitation, join, nearby
from meerkat.node.listening import Reach
from meerkat.node.nearby import Announcement, pool_tag
from meerkat.node.node import Node
from meerkat.node.options import NodeOptions
from meerkat.node.share import resume, share
from meerkat.testing.memory_store import MemoryStore
from meerkat.transport.invitation import Invitation
from tests.node.own_network import eavesdropper, in_own_network, why_no_multicast
from tests.node.waiting import until

NO_MULTICAST = why_no_multicast()
pytestmark = pytest.mark.skipif(bool(NO_MULTICAST), reason=NO_MULTICAST)

QUICK = DiscoveryConfig(pace=0.01, retry=0.05, change_every=1.6)
HERE = NodeOptions(host="127.0.0.1", port=0, discover=True)
SILENT = NodeOptions(host="127.0.0.1", port=0, discover=False)


def a_pool() -> PoolId:
    """Loopback may be shared with another run of these tests: they see each other's pools."""
    return PoolId(os.urandom(32))


class Member:
    """Only the discovering part of a node."""

    def __init__(self, pool: PoolId, port: int, *, author: AuthorId | None = None) -> None:
        self.pool, self.author = pool, author or AuthorId(os.urandom(32))
        self.found: list[Discovered] = []
        self.store = MemoryStore()
        self.reach = Reach(
            bound=f"127.0.0.1:{port}",
            links=(f"127.0.0.1:{port}",),
            door_bound=f"127.0.0.1:{port + 1}",
        )
        self.discovery = Discovery(
            pool,
            self.store,
            reach=lambda: self.reach,
            status=self.status,
            post=self.found.append,
            config=QUICK,
        )

    def status(self) -> Status:
        facts = dict.fromkeys(Status.__dataclass_fields__)
        facts |= {"author": self.author.hex(), "pool_name": "the merger", "name": "alice"}
        return Status(**facts)  # type: ignore[arg-type]

    def knows(self, *others: Member) -> None:
        with self.store.transaction():
            for other in others:
                self.store.put(Table.AUTHOR, other.author, b"")
        self.discovery.refresh()

    def has_found(self, other: Member) -> bool:
        return Discovered(other.author, other.reach.links) in self.found


@asynccontextmanager
async def running(*members: Member) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(member.discovery.run()) for member in members]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Bystander:
    """Somebody in the same cafe: keeps the newest announcement of a pool."""

    def __init__(self, pool: PoolId) -> None:
        self._tag = pool_tag(pool)
        self.seen: Announcement | None = None

    @property
    def said(self) -> tuple[str, str] | None:
        return (self.seen.pool_name, self.seen.inviter) if self.seen else None

    async def listen(self) -> None:
        async with aclosing(look_around("127.0.0.1")) as heard:
            async for one in heard:
                if one.pool_tag == self._tag:
                    self.seen = one


@asynccontextmanager
async def bystander(pool: PoolId) -> AsyncIterator[Bystander]:
    one = Bystander(pool)
    task = asyncio.ensure_future(one.listen())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_members_find_each_other_and_nobody_else():
    async def story() -> None:
        pool = a_pool()
        alice, bob, stranger = Member(pool, 1111), Member(pool, 2222), Member(a_pool(), 3333)
        everybody = (alice, bob, stranger)
        for member in everybody:
            member.knows(*everybody)
        async with running(*everybody):
            await until(lambda: alice.has_found(bob), "alice has found bob")
            await until(lambda: bob.has_found(alice), "bob has found alice")
        assert {one.author for one in alice.found} == {bob.author}
        assert {one.author for one in bob.found} == {alice.author}
        assert stranger.found == []

    asyncio.run(story())


def test_one_who_moves_is_found_again_and_said_once():
    async def story() -> None:
        alice = Member(a_pool(), 1111)
        bob = Member(alice.pool, 2222)
        alice.knows(bob)
        async with running(alice, bob):
            await until(lambda: alice.has_found(bob), "alice has found bob")
            bob.reach = Reach(bound="127.0.0.1:4444", links=("127.0.0.1:4444",))
            bob.discovery.refresh()
            await until(lambda: alice.has_found(bob), "alice has found bob's new port")
            bob.discovery.network_changed(elsewhere=False)
            alice.discovery.network_changed(elsewhere=False)
            await until(lambda: alice.found[-1] == alice.found[1] and len(alice.found) == 3, "3")
        assert [one.addresses[0][-4:] for one in alice.found] == ["2222", "4444", "4444"]

    asyncio.run(story())


def test_a_newcomer_is_recognised_once_its_author_is_known():
    async def story() -> None:
        alice = Member(a_pool(), 1111)
        bob = Member(alice.pool, 2222)
        async with running(alice, bob), bystander(alice.pool) as cafe:
            await until(lambda: cafe.seen, "bob announces")
            assert not alice.found
            alice.knows(bob)
            await until(lambda: alice.has_found(bob), "alice has found bob")

    asyncio.run(story())


def test_names_are_said_only_while_an_invitation_is_open():
    async def story() -> None:
        alice = Member(a_pool(), 1111)
        door = Door(alice.store, alice.pool, os.urandom)
        with alice.store.transaction():
            invitation, _ = door.invite(uses=1, expires=time.time() + 600.0)
        alice.discovery.invited()
        async with running(alice), bystander(alice.pool) as cafe:
            await until(lambda: cafe.said == ("the merger", "alice"), "somebody is expected")
            with alice.store.transaction():
                alice.store.delete(Table.INVITATION, invitation)
            alice.discovery.refresh()
            await until(lambda: cafe.said == ("", ""), "it is used up")

    asyncio.run(story())


def invite(alice: Member, lifetime: float = 600.0) -> None:
    with alice.store.transaction():
        door = Door(alice.store, alice.pool, os.urandom)
        door.invite(uses=1, expires=time.time() + lifetime)


def made_long_ago(alice: Member) -> None:
    invite(alice)


def expired(alice: Member) -> None:
    invite(alice, -1.0)
    alice.discovery.invited()


def made_in_another_network(alice: Member) -> None:
    invite(alice)
    alice.discovery.invited()
    alice.discovery.network_changed(elsewhere=True)


@pytest.mark.parametrize("invited", [made_long_ago, expired, made_in_another_network])
def test_an_invitation_alone_does_not_make_us_say_names(invited: Callable[[Member], None]):
    async def story() -> None:
        alice = Member(a_pool(), 1111)
        invited(alice)
        async with running(alice), bystander(alice.pool) as cafe:
            await until(lambda: cafe.seen, "she announces")
            assert cafe.said == ("", "")

    asyncio.run(story())


def test_when_the_last_open_invitation_expires():
    store = MemoryStore()
    door = Door(store, a_pool(), os.urandom)
    assert open_until(store) == 0.0
    with store.transaction():
        door.invite(uses=1, expires=200.0)
        door.invite(uses=1, expires=100.0)

    assert open_until(store) == 200.0


# --- Whole nodes, with real links ---


@asynccontextmanager
async def node_in(
    folder: Path, options: NodeOptions = HERE, *, name: str = ""
) -> AsyncIterator[Node]:
    """Share a folder, or go on with one that was shared or joined."""
    with ExitStack() as stack:
        state = stack.enter_context(locked(folder))
        home = share(state, name=name) if name else resume(state)
        stack.callback(home.close)
        async with Node(home, options) as node:
            yield node


def shared(place: Path, name: str) -> Path:
    (place / name).mkdir()
    return place / name


async def joined(folder: Path, inviter: Node) -> Home:
    """Be a member that does not run."""
    invitation = await inviter.invite(uses=1, lifetime=600.0)
    with locked(folder) as state:
        home = await join(state, decode_invitation(invitation), name=folder.name)
        home.close()
    return home


def test_nodes_whose_remembered_addresses_are_wrong_link(tmp_path: Path):
    async def story() -> None:
        alices, bobs = shared(tmp_path, "alice"), shared(tmp_path, "bob")
        async with node_in(alices, SILENT, name="alice") as alice:
            await joined(bobs, alice)
        # Both get another port now, and neither has heard of the other's.
        async with node_in(alices) as alice, node_in(bobs) as bob:
            await until(lambda: alice.status().peers and bob.status().peers, "they are linked")

    asyncio.run(story())


def test_nearby_shows_who_expects_somebody(tmp_path: Path):
    async def story() -> None:
        async with node_in(shared(tmp_path, "the merger"), name="alice") as alice:
            tag = pool_tag(alice.home.pool)
            await alice.invite(uses=1, lifetime=600.0)
            ours: list[tuple[Announcement, float]] = []
            while not any(one.pool_name for one, _ in ours):
                found = await nearby("127.0.0.1", within=0.4)
                ours = [(one, seconds) for one, seconds in found if one.pool_tag == tag]
            assert [(one.pool_name, one.inviter) for one, _ in ours] == [("the merger", "alice")]
            assert ours[0][0].doors == alice.reach.door
            assert ours[0][0].links == alice.reach.links
            assert 0.0 <= ours[0][1] <= 1.0

    asyncio.run(story())


def elsewhere(invitation: Invitation) -> Invitation:
    """With an address where nobody is any more."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return replace(invitation, addresses=(f"127.0.0.1:{probe.getsockname()[1]}",))


def test_an_invitation_of_one_who_moved_leads_to_its_door(tmp_path: Path):
    async def story() -> None:
        async with node_in(shared(tmp_path, "alice"), name="alice") as alice:
            invitation = decode_invitation(await alice.invite(uses=1, lifetime=600.0))
            with locked(shared(tmp_path, "bob")) as state:
                home = await join(state, elsewhere(invitation), name="bob", look_on="127.0.0.1")
                assert home.pool == alice.home.pool
                home.close()
            await until(lambda: len(alice.status().members) == 2, "bob is a member")

    asyncio.run(story())


def test_an_impostor_s_door_is_not_knocked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("meerkat.node.join.NEARBY_FOR", 0.5)

    async def story() -> None:
        async with node_in(shared(tmp_path, "mallory"), name="mallory") as mallory:
            theirs = decode_invitation(await mallory.invite(uses=1, lifetime=600.0))
            # It announces the pool's own tag; only the certificate is not the inviter's.
            invitation = replace(elsewhere(theirs), fingerprint=os.urandom(32))
            with (
                locked(shared(tmp_path, "bob")) as state,
                pytest.raises(MeerkatError, match="Nobody opens"),
            ):
                await join(state, invitation, name="bob", look_on="127.0.0.1")
            assert len(mallory.status().members) == 1

    asyncio.run(story())


def test_the_folder_s_settings_may_forbid_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def forbidden(*_: object) -> list[str]:
        raise AssertionError("looked around")

    monkeypatch.setattr("meerkat.node.join._reachable_nearby", forbidden)

    async def story() -> None:
        async with node_in(shared(tmp_path, "alice"), SILENT, name="alice") as alice:
            invitation = elsewhere(decode_invitation(await alice.invite(uses=1, lifetime=60.0)))
        with locked(shared(tmp_path, "bob")) as state:
            (state.path / "config.toml").write_text("discover = false\n")
            with pytest.raises(MeerkatError, match="Nobody opens"):
                await join(state, invitation, look_on="127.0.0.1")

    asyncio.run(story())


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_switched_off_it_sends_no_packet(tmp_path: Path):
    """The same node twice; somebody else counts what it says."""

    async def packets(options: NodeOptions, within: float) -> int:
        with eavesdropper() as ears:
            ears.setblocking(False)
            loop, count = asyncio.get_running_loop(), 0
            async with node_in(tmp_path / "alice", options, name="alice") as alice:
                await alice.invite(uses=1, lifetime=600.0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(within):
                        while not count:
                            await loop.sock_recv(ears, 9_000)
                            count += 1
            with suppress(BlockingIOError):  # no goodbye either
                while ears.recv(9_000):
                    count += 1
        return count

    async def story() -> None:
        shared(tmp_path, "alice")
        assert await packets(HERE, within=20.0) > 0
        assert await packets(SILENT, within=1.0) == 0

    in_own_network(story)


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_without_a_network_it_runs_and_complains_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async def story() -> None:
        everywhere = NodeOptions(port=0, discover=True)
        async with node_in(shared(tmp_path, "alice"), everywhere, name="alice") as alice:
            await until(lambda: complaints(caplog), "it complains")
            assert alice.status().name == "alice"

    in_own_network(story, loopback=False)
    assert len(complaints(caplog)) == 1


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    return [text for text in texts if "local network" in text]


@pytest.mark.needs_root
@pytest.mark.needs_tool("ip")
def test_a_port_that_another_program_keeps_is_waited_for(caplog: pytest.LogCaptureFixture):
    async def story() -> None:
        alice = Member(a_pool(), 1111)
        bob = Member(alice.pool, 2222)
        alice.knows(bob)
        with socket.socket(type=socket.SOCK_DGRAM) as greedy:
            greedy.bind(("", 5353))  # without leave for others
            async with running(alice, bob):
                await until(lambda: len(complaints(caplog)) == 2, "both complain")
                greedy.close()
                await until(lambda: alice.has_found(bob), "alice has found bob")

    in_own_network(story)
    assert len(complaints(caplog)) == 2
