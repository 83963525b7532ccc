"""`meerkat.Pool` against a fake node, and its pages."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import meerkat
from meerkat.errors import AlreadyRunning, MeerkatError, NotAPool, NotRunning, UnknownMember
from meerkat.node.home import locked
from meerkat.node.share import share
from tests.faces.fake_desk import ALICE, BOB, CAROL, ServedFolder, chat_event, served_folder


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[ServedFolder]:
    with served_folder(tmp_path) as folder:
        yield folder


def test_a_pool_publishes_and_hears(notes: ServedFolder):
    async def story() -> list[meerkat.Message]:
        async with meerkat.Pool(notes.folder) as pool:
            assert not pool.serving
            messages = pool.messages()
            await messages.wait_listening()
            await pool.publish(b"\x00\xff")
            for data in (b"one", b"two"):
                notes.call(notes.desk.message, data)
            return [await anext(messages), await anext(messages)]

    heard = asyncio.run(story())

    assert notes.desk.requests.published == [b"\x00\xff"]
    assert heard == [meerkat.Message("bob", BOB, b"one"), meerkat.Message("bob", BOB, b"two")]


def test_a_step_that_runs_out_of_time_loses_nothing(notes: ServedFolder):
    async def story() -> bytes:
        async with meerkat.Pool(notes.folder) as pool:
            messages = pool.messages()
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await anext(messages)
            await messages.wait_listening()
            notes.call(notes.desk.message, b"late")
            async for message in messages:
                return message.data
            raise AssertionError

    assert asyncio.run(story()) == b"late"


def test_a_slow_program_is_told_how_much_it_missed(notes: ServedFolder):
    async def story() -> tuple[int, int]:
        async with meerkat.Pool(notes.folder) as pool:
            messages = pool.messages()
            await messages.wait_listening()

            def flood() -> None:
                for number in range(2_000):
                    notes.desk.message(number.to_bytes(4, "big") * 10_000)

            notes.call(flood)
            heard = missed = 0
            async for message in messages:
                heard, missed = heard + 1, missed + message.missed
                if message.data[:4] == (1_999).to_bytes(4, "big"):
                    break
            return heard, missed

    heard, missed = asyncio.run(story())

    assert missed > 0
    assert heard + missed == 2_000


def test_people(notes: ServedFolder):
    before = [chat_event(f"before {number}") for number in range(3)]
    notes.desk.requests.lines = [
        {key: value for key, value in line.items() if key != "event"} for line in before
    ]

    async def story() -> list[tuple[str, str]]:
        async with meerkat.Pool(notes.folder) as pool:
            chat = pool.chat(last=2)
            heard = [await anext(chat), await anext(chat)]
            line = await pool.say("hi")
            assert await pool.say("psst", to="bob")
            await pool.rename("Ali")
            notes.publish(before[2])  # said while the history was read
            notes.publish(chat_event("later", BOB, ALICE))
            heard += [await anext(chat) for _ in range(3)]
            assert heard[2].id == line
            assert heard[2].own
            with pytest.raises(UnknownMember, match="members are"):
                await pool.say("psst", to="nobody")
            return [(one.name, one.text) for one in heard]

    heard = asyncio.run(story())

    assert heard == [
        ("bob", "before 1"),
        ("bob", "before 2"),
        ("alice", "hi"),
        ("alice", "psst"),
        ("bob", "later"),
    ]
    assert notes.desk.requests.names == ["Ali"]


def test_looking_around(notes: ServedFolder):
    async def story() -> None:
        async with meerkat.Pool(notes.folder) as pool:
            picture = await pool.network()
            assert picture.author == ALICE
            assert {node.author: node.neighbors for node in picture.nodes}[BOB] == (ALICE, CAROL)
            assert (await pool.status())["name"] == "alice"
            echo = await pool.echo("bob", near=True)
            assert (echo.seconds, echo.hops, echo.back, echo.via) == (0.0123, 2, 3, "dave")
            assert await pool.invite(uses=2, lifetime=3.0) == "2 3.0"
            events = pool.events("network")
            await events.wait_listening()
            notes.publish({"event": "network", "what": "merge"})
            assert (await anext(events))["what"] == "merge"

    asyncio.run(story())


def test_many_requests_at_once_keep_their_order(notes: ServedFolder):
    async def story() -> None:
        async with meerkat.Pool(notes.folder) as pool, asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(pool.publish(str(number).encode()))

    asyncio.run(story())

    assert notes.desk.requests.published == [str(number).encode() for number in range(500)]


def test_when_the_process_ends_everybody_hears_it(tmp_path: Path):
    async def wait_end(pool: meerkat.Pool, messages: AsyncIterator[meerkat.Message]) -> None:
        with pytest.raises(NotRunning):
            async for _ in messages:
                pass
        with pytest.raises(NotRunning):
            await pool.publish(b"")

    async def story() -> None:
        with served_folder(tmp_path) as notes:
            pool = await meerkat.Pool(notes.folder).__aenter__()
            messages = pool.messages()
            await messages.wait_listening()  # else the served end may never accept the connection
            waiting = asyncio.ensure_future(wait_end(pool, messages))
            await pool.status()
        await waiting
        await pool.__aexit__()

    asyncio.run(story())


def test_a_folder_without_a_pool_and_a_pool_that_is_not_open(tmp_path: Path):
    async def story() -> None:
        with pytest.raises(NotAPool):
            async with meerkat.Pool(tmp_path):
                pass
        with pytest.raises(MeerkatError, match="async with"):
            await meerkat.Pool(tmp_path).publish(b"")

    asyncio.run(story())


def test_a_process_that_is_starting_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("meerkat.api.pool.STARTS_WITHIN", 0.2)

    async def story() -> None:
        with locked(tmp_path) as state:
            share(state, name="alice").close()
            with pytest.raises(AlreadyRunning):
                async with meerkat.Pool(tmp_path):
                    pass

    asyncio.run(story())


# --- Without a loop ---


def test_the_pool_without_a_loop(notes: ServedFolder):
    with meerkat.SyncPool(notes.folder) as pool:
        messages = pool.messages(within=20.0)
        pool.publish(b"hi")
        notes.call(notes.desk.message, b"one")
        assert next(messages).data == b"one"
        assert pool.say("hello")
        pool.rename("Ali")
        assert len(pool.network().nodes) == 3
        assert pool.status()["name"] == "alice"
        assert pool.echo("bob").hops == 2
        assert pool.chat_history() == []
        with pytest.raises(UnknownMember):
            pool.say("psst", to="nobody")
    with pytest.raises(MeerkatError, match="with"):
        pool.publish(b"too late")

    assert notes.desk.requests.published == [b"hi"]


def test_waiting_without_a_loop_ends_in_time_and_goes_on(notes: ServedFolder):
    with meerkat.SyncPool(notes.folder) as pool:
        messages = pool.messages(within=0.01)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                next(messages)
        notes.call(notes.desk.message, b"one")
        assert _patient(messages).data == b"one"


def _patient(messages: Iterator[meerkat.Message]) -> meerkat.Message:
    deadline = time.monotonic() + 20
    while True:
        try:
            return next(messages)
        except TimeoutError:
            assert time.monotonic() < deadline, "nothing came"


def test_errors_of_entering_come_out_of_with(tmp_path: Path):
    with pytest.raises(NotAPool), meerkat.SyncPool(tmp_path):
        pass
    assert not any(thread.name == "meerkat" for thread in threading.enumerate())


def test_importing_meerkat_does_not_load_the_api():
    code = "import meerkat, sys; print('meerkat.api' in sys.modules, hasattr(meerkat, 'Pool'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "False True\n"
    with pytest.raises(AttributeError):
        _ = meerkat.nonsense
