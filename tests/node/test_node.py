"""A node's hands on real folders: what is decided happens, and nothing that happens stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meerkat.core.events import FilesObserved
from meerkat.core.ids import MemberId
from meerkat.errors import NodeBroken, StoreFull
from meerkat.node.home import locked
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


def test_a_bug_in_the_peer_stops_the_node_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def story() -> None:
        pool = Pool(tmp_path)
        folder = tmp_path / "alice"
        folder.mkdir()
        with locked(folder) as state:
            home = share(state, name="alice")

            def broken(store: Any, identity: Any) -> Any:
                from meerkat.node.mind import make_peer

                peer = make_peer(store, identity)
                handle = peer.handle

                def fail(event: Any, *, now: float, wall: float) -> Any:
                    if isinstance(event, FilesObserved):
                        raise ZeroDivisionError("a bug")
                    return handle(event, now=now, wall=wall)

                peer.handle = fail  # type: ignore[method-assign]
                return peer

            node = Node(
                home,
                OPTIONS,
                config=QUICK,
                make_transport=pool.make_transport,
                make_mind=broken,
            )
            async with node:
                with pytest.raises(NodeBroken, match="a bug"):
                    await node.wait_stopped()
            home.close(clean=False)
        assert NodeBroken.exit_code == 70

    asyncio.run(story())
    assert "ZeroDivisionError" in caplog.text


def member(node: Node) -> MemberId:
    return node.home.identity.member
