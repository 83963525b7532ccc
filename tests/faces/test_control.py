"""The control socket against clients that misbehave."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.control.server import ControlServer
from meerkat.errors import InvitationError, NotRunning


class FakeDesk:
    """A node that a test looks into."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self.stopped = False
        self.cuts: list[frozenset[bytes]] = []

    def describe(self) -> dict[str, Any]:
        return {"files": 3, "name": "ünïcode \u2028"}

    async def invite(self, *, uses: int, lifetime: float) -> str:
        if uses == 13:
            raise InvitationError("Not thirteen.")
        if uses == 14:
            raise ZeroDivisionError
        return f"{uses} {lifetime}"

    def request_stop(self) -> None:
        self.stopped = True

    def cut(self, members: frozenset[bytes]) -> None:
        self.cuts.append(members)

    def subscribe(self, listener: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)


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
