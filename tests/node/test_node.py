"""A node's hands on real folders: what is decided happens, and nothing that happens stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meerkat.control.host import host
from meerkat.core.events import FilesObserved, InviteRequested, Listening, Started
from meerkat.core.ids import MemberId
from meerkat.errors import NodeBroken, StoreFull
from meerkat.node.home import locked
from meerkat.node.mind import MakeMind, make_peer
from meerkat.node.node import Node
from meerkat.node.share import share
from meerkat.store import SqliteStore
from tests.node.pool import OPTIONS, QUICK, Pool, holds, write
from tests.node.waiting import until


def test_two_nodes_have_the_same_files_whoever_writes_them(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with pool.share("alice", notes="hello") as alice, pool.join("bob", alice) as bob:
            await until(lambda: holds(bob, "notes.txt", "hello"), "bob has the file")
            write(bob, "notes.txt", "hello from bob")
            await until(lambda: holds(alice, "notes.txt", "hello from bob"), "alice has it")
            write(alice, "new.txt", "more")
            await until(lambda: holds(bob, "new.txt", "more"), "bob has the new one")
            assert {peer.name for peer in alice.status().peers} == {"bob"}

    asyncio.run(story())


def test_news_are_told_and_a_listener_that_fails_hears_no_more(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        news: list[str] = []

        def deaf(_: Mapping[str, Any]) -> None:
            news.append("told the deaf")
            raise RuntimeError("deaf")

        async with pool.share("alice", notes="x") as alice:
            alice.subscribe(deaf)
            alice.subscribe(lambda event: news.append(event["event"]))
            async with pool.join("bob", alice):
                await until(lambda: "peer_linked" in news, "bob is announced")
            await until(lambda: "peer_lost" in news, "bob's leaving is announced")
            assert news.count("told the deaf") == 1
        assert news[-1] == "stopped"

    asyncio.run(story())


def test_a_stopped_node_goes_on_where_it_was(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with pool.share("alice", notes="one") as alice:
            await until(lambda: alice.status().files == 1, "the file is known")
            author = alice.status().author
        with locked(tmp_path / "alice") as state:
            home = share(state)
            async with pool.node(home) as again:
                assert again.status().author == author
                assert again.status().name == "alice"
                await until(lambda: again.status().in_sync, "it has looked at the folder")
                assert again.status().heads == {author: 2}
            home.close()

    asyncio.run(story())


def test_garbage_on_a_link_closes_that_link_only(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        news: list[Mapping[str, Any]] = []
        async with pool.share("alice", notes="x") as alice, pool.join("bob", alice) as bob:
            await until(lambda: alice.status().peers, "they are linked")
            alice.subscribe(news.append)
            link = next(one for one in pool.network.links if one.owner == member(bob))
            link.send(b"\xff garbage")
            await until(lambda: any(one["event"] == "peer_lost" for one in news), "it is closed")
            lost = next(one for one in news if one["event"] == "peer_lost")
            assert lost["reason"] == "protocol"
            await until(lambda: alice.status().peers, "they link again")

    asyncio.run(story())


def test_cut_is_a_partition_until_healed(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with pool.share("alice", notes="x") as alice, pool.join("bob", alice) as bob:
            await until(lambda: holds(bob, "notes.txt", "x"), "bob has the file")
            alice.cut(frozenset({bytes(member(bob))}))
            await until(lambda: not alice.status().peers, "alice is alone")
            write(alice, "alone.txt", "1")
            write(bob, "alone too.txt", "2")
            await until(lambda: alice.status().files == bob.status().files == 2, "both noticed")
            assert not holds(bob, "alone.txt", "1")
            alice.cut(frozenset())
            await until(lambda: holds(bob, "alone.txt", "1"), "bob has alice's")
            await until(lambda: holds(alice, "alone too.txt", "2"), "alice has bob's")

    asyncio.run(story())


class FullStore(SqliteStore):
    """A store on a disk that a test can fill."""

    full = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            if self.full:
                raise StoreFull(StoreFull.__doc__)


def test_a_full_disk_pauses_the_node_and_it_goes_on_by_itself(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        news: list[str] = []
        async with pool.share("alice", notes="x") as alice:
            (tmp_path / "bob").mkdir()
            invitation = await alice.invite(uses=1, lifetime=60.0)
            with locked(tmp_path / "bob") as state, full_home(state, invitation) as opened:
                home, store = await opened
                async with pool.node(home) as bob:
                    bob.subscribe(lambda event: news.append(event["event"]))
                    await until(lambda: holds(bob, "notes.txt", "x"), "bob has the file")
                    store.full = True
                    write(bob, "saved.txt", "while the disk is full")
                    await until(lambda: bob.describe()["paused"], "bob pauses")
                    assert "disk is full" in bob.status().problems[-1].text
                    assert not bob.status().in_sync
                    await until(lambda: not alice.status().peers, "the link is closed")
                    write(alice, "notes.txt", "changed meanwhile")
                    store.full = False
                    await until(lambda: "resumed" in news, "bob goes on")
                    await until(lambda: holds(alice, "saved.txt", "while the disk is full"), "1")
                    await until(lambda: holds(bob, "notes.txt", "changed meanwhile"), "2")
                    assert bob.status().problems == ()
                home.close()

    asyncio.run(story())


@contextmanager
def full_home(state: Any, invitation: str) -> Iterator[Any]:
    from meerkat.node.join import decode_invitation, join

    async def opened() -> tuple[Any, FullStore]:
        home = await join(state, decode_invitation(invitation), name="bob")
        home.store.close()
        store = FullStore(state.store, must_exist=True)
        return replace(home, store=store), store

    yield opened()


def broken_by(kind: type) -> MakeMind:
    """Minds that have a bug with one kind of event."""

    def make(store: Any, identity: Any) -> Any:
        peer = make_peer(store, identity)
        handle = peer.handle

        def fail(event: Any, *, now: float, wall: float) -> Any:
            if isinstance(event, kind):
                raise ZeroDivisionError("a bug")
            return handle(event, now=now, wall=wall)

        peer.handle = fail  # type: ignore[method-assign]
        return peer

    return make


@contextmanager
def broken_node(folder: Path, kind: type) -> Iterator[Node]:
    folder.mkdir()
    transport = Pool(folder.parent).make_transport
    with locked(folder) as state:
        home = share(state, name="alice")
        make = broken_by(kind)
        yield Node(home, OPTIONS, config=QUICK, make_transport=transport, make_mind=make)
        home.close(clean=False)


def test_a_bug_in_the_peer_stops_the_node_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def story() -> None:
        with broken_node(tmp_path / "alice", FilesObserved) as node:
            async with node:
                with pytest.raises(NodeBroken, match="a bug"):
                    await node.wait_stopped()
        assert NodeBroken.exit_code == 70

    asyncio.run(story())
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("kind", [Started, Listening, InviteRequested])
def test_a_bug_before_it_is_ready_is_said_at_once(tmp_path: Path, kind: type):
    async def story() -> None:
        with broken_node(tmp_path / "alice", kind) as node:

            async def ready() -> None:
                node.describe()
                async with asyncio.timeout(QUICK.ticket / 2):
                    await node.invite(uses=1, lifetime=60.0)

            with pytest.raises(NodeBroken, match="a bug"):
                await host(node, ready)

    asyncio.run(story())


def test_settings_of_the_folder_say_where_to_listen(tmp_path: Path):
    async def story() -> None:
        folder = tmp_path / "alice"
        (folder / ".meerkat").mkdir(parents=True)
        (folder / ".meerkat" / "config.toml").write_text(
            'listen = "127.0.0.2"\nport = 0\ndiscover = false\n'
        )
        make = Pool(tmp_path).make_transport
        with locked(folder) as state:
            home = share(state, name="alice")
            async with Node(home, config=QUICK, make_transport=make) as node:
                assert node.reach.door[0].startswith("127.0.0.2:")
            home.close()

    asyncio.run(story())


def member(node: Node) -> MemberId:
    return node.home.identity.member
