"""The page of a real node: on, off, on again, and the address it keeps."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from meerkat.errors import MeerkatError, PortTaken
from meerkat.node.home import locked
from meerkat.node.node import Node
from meerkat.node.share import resume, share
from meerkat.web.host import WebHost
from tests.node.pool import Pool, run


@asynccontextmanager
async def node(pool: Pool, folder: Path) -> AsyncIterator[Node]:
    """One run of the folder's process, more or less."""
    with locked(folder) as state:
        home = resume(state) if state.is_pool() else share(state, name="alice")
        try:
            async with pool.node(home) as running:
                yield running
        finally:
            home.close()


async def answers(facts: dict[str, Any]) -> bool:
    """Whether the page's server is there and knows the token of ``facts``."""
    base, _, token = facts["url"].partition("#token=")
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as client:
        try:
            async with client.get(f"{base}raw/nothing") as response:
                return response.status == 404
        except aiohttp.ClientConnectionError:
            return False


def kept_file(folder: Path) -> Path:
    return folder / ".meerkat" / "web"


def test_an_address_survives_a_restart(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with node(pool, tmp_path) as running:
            async with WebHost(running) as web:
                assert not kept_file(tmp_path).exists()  # nobody asked for the page yet
                first = await web.serve(0, ())
                assert first["note"] == ""
                assert f":{first['port']}/#token=" in first["url"]
                assert await answers(first)
                again = await web.serve(0, ())
                assert again["url"] == first["url"]
                assert again["open"] != first["open"]
            assert not await answers(first)
        assert stat.S_IMODE(kept_file(tmp_path).stat().st_mode) == 0o600
        async with node(pool, tmp_path) as running, WebHost(running) as web:
            assert await answers(first)  # without being asked: an open page comes back
            assert (await web.serve(0, ()))["url"] == first["url"]

    run(story())


def test_stop_is_for_good_and_makes_the_token_useless(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with node(pool, tmp_path) as running, WebHost(running) as web:
            first = await web.serve(0, ("http://localhost:5173",))
            await web.stop()
            assert not await answers(first)
            await web.stop()
        async with node(pool, tmp_path) as running, WebHost(running) as web:
            assert not await answers(first)
            second = await web.serve(first["port"], ())
            assert second["port"] == first["port"]
            assert await answers(second)
            assert not await answers(first)
            assert "5173" not in kept_file(tmp_path).read_text()

    run(story())


def test_a_port_that_is_taken(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with node(pool, tmp_path) as running:
            async with WebHost(running) as web:
                first = await web.serve(0, ("http://localhost:5173",))
            with socket.create_server(("127.0.0.1", first["port"])):
                async with WebHost(running) as web:
                    with pytest.raises(PortTaken, match="--port"):
                        await web.serve(first["port"], ())
                    second = await web.serve(0, ())
                    assert second["port"] != first["port"]
                    assert await answers(second)
                    # who has the old port was told the old token by open pages
                    assert first["url"].partition("#")[2] not in second["url"]
                    assert "5173" in kept_file(tmp_path).read_text()

    run(story())


def test_a_new_address_is_told(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with node(pool, tmp_path) as running:
            async with WebHost(running) as web:
                first = await web.serve(0, ())
            news: list[Any] = []
            running.subscribe(news.append)
            with socket.create_server(("127.0.0.1", first["port"])):
                async with WebHost(running) as web:
                    told = [one["text"] for one in news if one["event"] == "problem"]
                    assert str(first["port"]) in told[0]
                    assert (await web.serve(0, ()))["note"] == told[0]
                    assert (await web.serve(0, ()))["note"] == ""

    run(story())


def test_another_port_while_it_runs(tmp_path: Path):
    async def story() -> None:
        async with node(Pool(tmp_path), tmp_path) as running, WebHost(running) as web:
            first = await web.serve(0, ())
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            second = await web.serve(port, ())
            assert second["port"] == port
            assert await answers(second)
            assert not await answers(first)
            with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken):
                await web.serve(taken.getsockname()[1], ())
            assert await answers(second)  # what cannot be had costs nothing

    run(story())


def test_origins_are_allowed_while_it_runs_and_remembered(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        origin = "http://localhost:5173"
        async with node(pool, tmp_path) as running:
            async with WebHost(running) as web:
                facts = await web.serve(0, ())
                assert not await connects(facts, origin)
                await web.serve(0, (origin + "/",))
                assert await connects(facts, origin)
                with pytest.raises(MeerkatError, match="no origin"):
                    await web.serve(0, ("*",))
            async with WebHost(running):
                assert await connects(facts, origin)
                assert not await connects(facts, "http://localhost:5174")

    run(story())


async def connects(facts: dict[str, Any], origin: str) -> bool:
    base, _, token = facts["url"].partition("#token=")
    async with aiohttp.ClientSession() as client:
        try:
            url = f"{base}ws?token={token}"
            async with client.ws_connect(url, headers={"Origin": origin}) as connection:
                await connection.send_str('{"ask":"status","id":1}')
                answer = json.loads(await connection.receive_str())
                return bool(answer["result"]["name"] == "alice")
        except aiohttp.WSServerHandshakeError:
            return False


@pytest.mark.parametrize(
    "content",
    [
        "",
        "garbage",
        "[]",
        "{}",
        '{"port": 0, "token": "x", "origins": []}',
        '{"port": 1e9, "token": "x", "origins": []}',
        '{"port": 80, "token": "short", "origins": []}',
        '{"port": 8080, "token": "%s", "origins": ["*"]}' % ("t" * 43),
        '{"port": 8080, "token": "%s", "origins": 1}' % ("t" * 43),
    ],
)
def test_what_was_kept_and_makes_no_sense_is_made_anew(tmp_path: Path, content):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with node(pool, tmp_path) as running:
            kept_file(tmp_path).write_text(content)
            async with WebHost(running) as web:
                facts = await web.serve(0, ())
                assert "t" * 43 not in facts["url"]
                assert await answers(facts)

    run(story())


def test_a_page_that_cannot_be_served_again_does_not_stop_the_node(tmp_path: Path):
    async def story() -> None:
        pool = Pool(tmp_path)
        async with node(pool, tmp_path) as running:
            async with WebHost(running) as web:
                facts = await web.serve(0, ())
            news: list[Any] = []
            running.subscribe(news.append)
            replaced = tmp_path / ".meerkat" / "uploads"
            replaced.rmdir()
            replaced.write_text("in the way")
            async with WebHost(running) as web:
                assert not await answers(facts)
                assert [one["text"] for one in news if one["event"] == "problem"]
                with pytest.raises(MeerkatError, match="cannot be used"):
                    await web.serve(0, ())
                replaced.unlink()
                assert await answers(await web.serve(0, ()))
            assert running.describe()["running"]

    run(story())


def test_several_who_ask_at_once_get_one_server(tmp_path: Path):
    async def story() -> None:
        async with node(Pool(tmp_path), tmp_path) as running, WebHost(running) as web:
            got = await asyncio.gather(*(web.serve(0, ()) for _ in range(10)))
            assert len({one["url"] for one in got}) == 1

    run(story())
