"""Yjs editors of two members in one text: through their pages, the nodes and the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from meerkat.node.node import Node
from meerkat.web.host import WebHost
from tests.node.pool import Pool, run
from tests.node.waiting import until
from tests.web.test_host import node
from tests.web.y_client import YClient


class Page:
    """What a tab knows: where it is from."""

    def __init__(self, node: Node, facts: dict[str, Any]) -> None:
        self.node = node
        self.base, _, self.token = facts["url"].partition("/#token=")

    def yjs(self, path: str) -> str:
        return f"{self.base}/yjs/{quote(path)}?token={self.token}"

    async def put(self, path: str, content: bytes) -> None:
        headers = {"Authorization": f"Bearer {self.token}", "If-None-Match": "*"}
        async with aiohttp.ClientSession(headers=headers) as client:
            url = f"{self.base}/raw/{quote(path)}"
            async with client.put(url, data=content) as response:
                assert response.status == 201

    def has(self, path: str) -> bool:
        return any(file["path"] == path for file in self.node.requests.files())


@asynccontextmanager
async def two(place: Path, **files: str) -> AsyncIterator[tuple[Page, Page]]:
    pool = Pool(place)
    async with (
        pool.share("alice", **files) as alice,
        pool.join("bob", alice) as bob,
        WebHost(alice) as one,
        WebHost(bob) as other,
    ):
        for node in (alice, bob):
            for name, text in files.items():
                await on_disk(node, f"{name}.txt", text)
        yield Page(alice, await one.serve(0, ())), Page(bob, await other.serve(0, ()))


async def on_disk(node: Node, path: str, text: str) -> None:
    file = node.home.state.folder / path
    await until(lambda: file.exists() and file.read_bytes() == text.encode(), f"{path} is there")
    await until(lambda: any(one["path"] == path for one in node.requests.files()), "known")


async def same(text: str, *clients: YClient) -> None:
    await until(
        lambda: all(str(client.text) == text for client in clients),
        f"{text!r}, but {[str(client.text) for client in clients]}",
    )


def test_typing_in_two_browsers_of_two_members(tmp_path: Path):
    async def story() -> None:
        async with two(tmp_path, notes="hällo 🙂\r\n") as (alice, bob):
            async with (
                YClient().connected(alice.yjs("notes.txt")) as a,
                YClient().connected(alice.yjs("notes.txt")) as a2,
                YClient().connected(bob.yjs("notes.txt")) as b,
            ):
                await same("hällo 🙂\n", a, a2, b)  # the line ends are the file's, not the text's
                b.text.insert(0, "bob: ")
                await same("bob: hällo 🙂\n", a, a2, b)
                a.text += "end"
                await same("bob: hällo 🙂\nend", a, a2, b)
                for n in range(20):  # everybody at once
                    a.text += str(n % 10)
                    b.text.insert(0, "<")
                    a2.text.insert(5, ".")
                    await asyncio.sleep(0)
                await until(
                    lambda: (
                        len({str(one.text) for one in (a, a2, b)}) == 1
                        and len(str(a.text)) == len("bob: hällo 🙂\nend") + 60
                    ),
                    "equal",
                )
                text = str(a.text)
                a.show(user={"name": "alice", "color": "#112233"}, cursor=None)
                await until(
                    lambda: any(
                        (state or {}).get("user", {}).get("name") == "alice"
                        for state in a2.awareness.states.values()
                    ),
                    "seen in the other tab",
                )
            for node in (alice.node, bob.node):
                await on_disk(node, "notes.txt", text.replace("\n", "\r\n"))

    run(story())


def test_a_file_that_the_page_makes_can_be_typed_into_and_reaches_the_other(tmp_path: Path):
    async def story() -> None:
        async with two(tmp_path, notes="x") as (alice, bob):
            path = "nëw/ä b#?.md"
            await alice.put(path, b"")
            await until(lambda: alice.has(path) and bob.has(path), "the file is known")
            async with (
                YClient().connected(alice.yjs(path)) as a,
                YClient().connected(bob.yjs(path)) as b,
            ):
                a.text += "one"
                await same("one", a, b)

    run(story())


def test_a_tab_that_was_away_brings_what_it_typed_meanwhile(tmp_path: Path):
    async def story() -> None:
        async with two(tmp_path, notes="start") as (alice, bob):
            tab = YClient()
            async with tab.connected(alice.yjs("notes.txt")):
                await same("start", tab)
            tab.text += " offline"
            async with YClient().connected(bob.yjs("notes.txt")) as b:
                b.text.insert(0, "bob, ")
                await same("bob, start", b)
                async with tab.connected(alice.yjs("notes.txt")):
                    await same("bob, start offline", tab, b)

    run(story())


def test_no_such_text_and_one_that_goes_away(tmp_path: Path):
    async def story() -> None:
        async with two(tmp_path, notes="start") as (alice, _):
            async with YClient().connected(alice.yjs("nothing.txt")) as nobody:
                assert nobody.closed == (4404, "")
            async with YClient().connected(alice.yjs("notes.txt")) as a:
                await same("start", a)
                (alice.node.home.state.folder / "notes.txt").unlink()
                await until(lambda: a.closed, "told")
                assert a.closed == (4410, "")

    run(story())


def test_a_tab_survives_a_restart_of_the_node_with_what_it_typed_meanwhile(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        (tmp_path / "notes.txt").write_text("start")
        tab, other = YClient(), YClient()
        async with node(pool, tmp_path) as first, WebHost(first) as web:
            page = Page(first, await web.serve(0, ()))
            await on_disk(first, "notes.txt", "start")
            async with tab.connected(page.yjs("notes.txt")):
                tab.text += ", typed"
                await same("start, typed", tab)
        assert tab.text is not None
        tab.text += ", offline"
        (tmp_path / "notes.txt").write_text("a start, typed")  # an editor, while nothing runs
        async with node(pool, tmp_path) as second, WebHost(second):
            await on_disk(second, "notes.txt", "a start, typed")
            async with (
                tab.connected(page.yjs("notes.txt")),  # the same address
                other.connected(page.yjs("notes.txt")),
            ):
                await same("a start, typed, offline", tab, other)
            await on_disk(second, "notes.txt", "a start, typed, offline")

    run(story())
