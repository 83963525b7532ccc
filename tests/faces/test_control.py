"""The control socket against clients that misbehave."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from meerkat.control import schema
from meerkat.control.async_client import AsyncControlClient, EventStream
from meerkat.control.client import ControlClient
from meerkat.control.server import ControlServer
from meerkat.errors import InvitationError, MeerkatError, NotRunning, UnknownMember
from tests.faces.fake_desk import BOB, FakeDesk


def serve(path: Path, talk: Callable[[FakeDesk], None]) -> FakeDesk:
    """Let ``talk`` (in a thread) speak to a server."""

    async def story() -> FakeDesk:
        desk = FakeDesk()
        async with ControlServer(path, desk):
            await asyncio.to_thread(talk, desk)
        return desk

    return asyncio.run(story())


def test_questions_and_answers(tmp_path: Path):
    path = tmp_path / "control.sock"

    def talk(desk: FakeDesk) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with ControlClient(path) as client:
            assert client.ask(schema.GetStatus()) == desk.describe()
            assert client.ask(schema.Invite(uses=2, lifetime=3.0)) == {"invitation": "2 3.0"}
            assert client.ask(schema.Ping())["pid"] > 0
            client.ask(schema.Cut(members=("ab" * 32,)))
            client.ask(schema.Heal())
            client.ask(schema.Stop())

    desk = serve(path, talk)

    assert desk.stopped
    assert desk.cuts == [frozenset({bytes.fromhex("ab" * 32)}), frozenset()]


def test_errors_arrive_as_the_errors_they_were(tmp_path: Path):
    def talk(_: FakeDesk) -> None:
        with ControlClient(tmp_path / "s") as client:
            with pytest.raises(InvitationError, match="Not thirteen"):
                client.ask(schema.Invite(uses=13))
            with pytest.raises(Exception, match="see the log"):
                client.ask(schema.Invite(uses=14))
            assert client.ask(schema.GetStatus())["files"] == 3

    serve(tmp_path / "s", talk)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"garbage\n",
        b"\xff\xfe\n",
        b"[]\n",
        b'{"ask":"nonsense"}\n',
        b'{"ask":"invite","uses":0}\n',
        b'{"ask":"invite","uses":"many"}\n',
        b'{"ask":"test_cut","members":["xyz"]}\n',
        b'{"ask":"status","id":-1}\n',
        b'{"ask":"say","text":""}\n',
        b'{"ask":"publish","data":"not base64!"}\n',
        b'{"ask":"echo","peer":"bob","size":1000000}\n',
        b'{"ask":"subscribe","events":[1]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_bad_line_gets_an_error_line_and_the_next_is_answered(tmp_path: Path, line: bytes):
    def talk(_: FakeDesk) -> None:
        with ControlClient(tmp_path / "s") as client:
            client._socket.sendall(line)
            with pytest.raises(Exception, match="not a request"):
                client.ask(schema.Ping())
            assert client.ask(schema.GetStatus())["files"] == 3

    serve(tmp_path / "s", talk)


def test_a_line_without_an_end_costs_that_client_only(tmp_path: Path):
    def talk(_: FakeDesk) -> None:
        with ControlClient(tmp_path / "s") as hostile, ControlClient(tmp_path / "s") as other:
            try:
                hostile._socket.sendall(b"x" * 3_000_000)
                assert hostile._socket.recv(1) == b""
            except OSError:
                pass  # cut off while it was still writing
            assert other.ask(schema.GetStatus())["files"] == 3

    serve(tmp_path / "s", talk)


def test_events_reach_subscribers_and_a_deaf_one_is_told_to_look_again(tmp_path: Path):
    ready = asyncio.Event()

    async def story() -> None:
        desk = FakeDesk()
        async with ControlServer(tmp_path / "s", desk):
            client = await asyncio.to_thread(ControlClient, tmp_path / "s")
            await asyncio.to_thread(client.ask, schema.Subscribe())
            for number in range(30_000):
                desk.listeners[0]({"event": "news", "number": number})
            ready.set()
            heard = await asyncio.to_thread(hear, client)
            client.close()
        assert "resync" in heard
        assert heard[-1] == "last"

    def hear(client: ControlClient) -> list[str]:
        names = []
        client._socket.settimeout(5)
        for event in client.events():
            names.append(event["event"])
            if event.get("number") == 29_999:
                names.append("last")
                break
        return names

    asyncio.run(story())


def test_nobody_there(tmp_path: Path):
    with pytest.raises(NotRunning):
        ControlClient(tmp_path / "nothing")


def test_the_server_ends_while_a_client_listens(tmp_path: Path):
    async def story() -> list[Any]:
        desk = FakeDesk()
        client: ControlClient | None = None
        async with ControlServer(tmp_path / "s", desk):
            client = await asyncio.to_thread(ControlClient, tmp_path / "s")
            await asyncio.to_thread(client.ask, schema.Subscribe())
            desk.listeners[0]({"event": "stopped"})
        events = await asyncio.to_thread(lambda: list(client.events()))
        client.close()
        return events

    assert asyncio.run(story()) == [{"event": "stopped"}]


def test_what_people_and_programs_ask_of_the_peer(tmp_path: Path):
    def talk(desk: FakeDesk) -> None:
        with ControlClient(tmp_path / "s") as client:
            assert client.ask(schema.Say(text="hi"))["id"]
            client.ask(schema.Say(text="psst", to="BOB"))
            client.ask(schema.Publish(data=bytes(range(256)) * 256))
            client.ask(schema.Rename(name="Alicia"))
            echo = client.ask(schema.Echo(peer="bob", size=7, near=True))
            assert (echo["hops"], echo["size"], echo["near"]) == (2, 7, True)
            desk.requests.lines = [{"id": "1"}, {"id": "2"}]
            assert client.ask(schema.ChatHistory(limit=1)) == {"lines": [{"id": "2"}]}
            assert len(client.ask(schema.Network())["nodes"]) == 3
            with pytest.raises(UnknownMember, match="members are: alice, bob"):
                client.ask(schema.Say(text="psst", to="nobody"))

    desk = serve(tmp_path / "s", talk)

    assert desk.requests.said == [("hi", ""), ("psst", BOB)]
    assert desk.requests.published == [bytes(range(256)) * 256]
    assert desk.requests.names == ["Alicia"]


def test_too_large_to_be_published_is_refused_before_the_peer_hears_of_it(tmp_path: Path):
    def talk(_: FakeDesk) -> None:
        with (
            ControlClient(tmp_path / "s") as client,
            pytest.raises(MeerkatError, match="not a request"),
        ):
            client.ask(schema.Publish(data=bytes(64 * 1024 + 1)))

    assert serve(tmp_path / "s", talk).requests.published == []


def test_a_slow_answer_holds_up_none_that_follow(tmp_path: Path):
    async def story() -> None:
        desk = FakeDesk()
        desk.requests.gate.clear()
        async with (
            ControlServer(tmp_path / "s", desk),
            AsyncControlClient(tmp_path / "s") as client,
            asyncio.TaskGroup() as group,
        ):
            slow = group.create_task(client.ask(schema.Echo(peer="bob")))
            for number in range(50):  # fewer than may be open at once
                await client.ask(schema.Say(text=str(number)))
            assert not slow.done()
            desk.requests.gate.set()
            assert (await slow)["hops"] == 2
        assert [text for text, _ in desk.requests.said] == [str(n) for n in range(50)]

    asyncio.run(story())


def test_requests_without_end_wait_in_the_socket(tmp_path: Path):
    async def story() -> None:
        desk = FakeDesk()
        desk.requests.gate.clear()
        async with ControlServer(tmp_path / "s", desk):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            ask = schema.encode_request(schema.Echo(peer="bob", id=1))
            writer.write(ask * 1_000)
            async with AsyncControlClient(tmp_path / "s") as other:
                await other.ask(schema.Ping())
                desk.requests.gate.set()
            answers = [await reader.readline() for _ in range(1_000)]
            assert all(b'"hops":2' in line for line in answers)
            writer.close()

    asyncio.run(story())


def test_answers_under_way_do_not_keep_the_server_from_ending(tmp_path: Path):
    async def ask(client: AsyncControlClient) -> str:
        with pytest.raises(NotRunning):
            await client.ask(schema.Echo(peer="bob"))
        return "ended"

    async def story() -> None:
        desk = FakeDesk()
        desk.requests.gate.clear()
        async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
            async with ControlServer(tmp_path / "s", desk):
                client = await stack.enter_async_context(AsyncControlClient(tmp_path / "s"))
                asked = group.create_task(ask(client))
                await client.ask(schema.Ping())
            assert await asked == "ended"
            with pytest.raises(NotRunning):
                await client.ask(schema.Ping())

    asyncio.run(story())


def test_the_async_client_raises_what_the_other_side_did(tmp_path: Path):
    async def story() -> None:
        with pytest.raises(NotRunning):
            async with AsyncControlClient(tmp_path / "s"):
                pass
        async with (
            ControlServer(tmp_path / "s", FakeDesk()),
            AsyncControlClient(tmp_path / "s") as client,
        ):
            with pytest.raises(MeerkatError, match="refused"):
                await client.ask(schema.Say(text="refuse"))
            with pytest.raises(TimeoutError):
                await client.ask(schema.Ping(), within=0.0)
            assert (await client.ask(schema.Ping()))["pid"] > 0

    asyncio.run(story())


def test_a_stream_hears_only_what_it_wants_and_a_cancelled_step_loses_nothing(tmp_path: Path):
    async def story() -> list[int]:
        desk = FakeDesk()
        numbers = []
        async with ControlServer(tmp_path / "s", desk):
            stream = EventStream(tmp_path / "s", "news")
            await stream.wait_listening()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(stream)
            for number in range(3):
                desk.publish({"event": "news", "number": number})
                desk.publish({"event": "chat", "number": number})
            numbers += [(await anext(stream))["number"] for _ in range(3)]
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        return numbers

    assert asyncio.run(story()) == [0, 1, 2]


def test_large_events_for_one_who_does_not_read_are_counted_and_dropped(tmp_path: Path):
    async def story() -> tuple[int, int]:
        desk = FakeDesk()
        async with ControlServer(tmp_path / "s", desk):
            stream = EventStream(tmp_path / "s", "news")
            await stream.wait_listening()
            for number in range(1_000):
                desk.publish({"event": "news", "number": number, "data": "x" * 60_000})
            missed = heard = 0
            while True:
                event = await anext(stream)
                missed += event.get("missed", 0)
                heard += event["event"] == "news"
                if event.get("number") == 999:
                    await stream.aclose()
                    return missed, heard

    missed, heard = asyncio.run(story())
    assert missed > 0
    assert missed + heard == 1_000
