"""The control protocol over the page's websocket: what may be asked, heard, and lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from meerkat.web import talk
from tests.faces.fake_desk import BOB, chat_event
from tests.node.waiting import until
from tests.web.served import WITHIN, run, served
from tests.web.test_yjs import handshake


async def ask(socket: aiohttp.ClientWebSocketResponse, what: str, **fields: Any) -> dict[str, Any]:
    """The next answer; events that come before it are an error."""
    await socket.send_str(json.dumps({"ask": what, "id": 7, **fields}))
    return await heard(socket)


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN):
        value: dict[str, Any] = json.loads(await socket.receive_str())
        return value


def test_questions_answers_and_events(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/ws") as socket:
            status = await ask(socket, "status")
            assert status == {"id": 7, "result": web.desk.describe()}
            assert (await ask(socket, "ping"))["result"]["pid"] > 0
            assert (await ask(socket, "find", peer="bob"))["result"]["member"] == BOB
            refused = await ask(socket, "say", text="refuse")
            assert refused["error"] == "This is refused."
            web.desk.publish(chat_event("before"))  # nobody subscribed
            assert await ask(socket, "subscribe", events=["chat"]) == {"id": 7, "result": {}}
            web.desk.publish({"event": "synced"})
            web.desk.publish(chat_event("hello\nthere \u2028"))
            assert (await heard(socket))["text"] == "hello\nthere \u2028"
            assert await ask(socket, "subscribe") == {"id": 7, "result": {}}
            web.desk.publish({"event": "synced"})
            assert await heard(socket) == {"event": "synced"}
        await until(lambda: not web.desk.listeners, "unsubscribed")

    run(story())


def test_texts_are_opened_and_closed_with_the_page(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            async with web.websocket("/ws") as socket:
                opened = await ask(socket, "open_text", session=3, path="a.md", speech="yjs")
                assert opened["result"]["text"] == "hello\n"
                assert await ask(socket, "text_frame", session=3, data="AAEC") == {
                    "id": 7,
                    "result": {},
                }
                assert (await web.editors.frames.get())[1] == b"\x00\x01\x02"
                assert "not open" in (await ask(socket, "text_frame", session=4, data=""))["error"]
            assert await web.editors.closed.get() == 1

    run(story())


@pytest.mark.parametrize(
    "request_",
    [
        {"ask": "stop"},
        {"ask": "test_cut", "members": []},
        {"ask": "test_heal"},
        {"ask": "serve_web"},
        {"ask": "stop_web"},
        {"ask": "publish", "data": ""},
        {"ask": "echo", "peer": "bob"},
    ],
)
def test_what_a_page_may_not_ask(tmp_path: Path, request_):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/ws") as socket:
            await socket.send_str(json.dumps({**request_, "id": 9}))
            answer = await heard(socket)
            assert (answer["id"], answer["error"]) == (9, "This is not for a page to ask.")
            assert not web.desk.stopped

    run(story())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "garbage",
        "[]",
        "null",
        '{"ask":"nonsense"}',
        '{"ask":"say","text":""}',
        "[" * 100_000,
        '{"ask":"status","id":-1}',
        '{"ask":"find","peer":1}',
        "\ud7ff",
        '{"ask":"status"}\n{',
    ],
)
def test_what_makes_no_sense_costs_one_answer(tmp_path: Path, line):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/ws") as socket:
            await socket.send_str(line)
            assert "not a request" in (await heard(socket))["error"]
            assert (await ask(socket, "status"))["result"]["files"] == 3

    run(story())


def test_binary_messages_are_not_of_this_protocol(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/ws") as socket:
            await socket.send_bytes(b'{"ask":"status"}')
            message = await socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4400)

    run(story())


def test_a_slow_answer_holds_up_no_other_and_none_is_lost(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/ws") as socket:
            echoes = talk.MAX_OPEN * 3
            for n in range(echoes):
                await socket.send_str(json.dumps({"ask": "find", "peer": "bob", "id": n}))
            assert [(await heard(socket))["id"] for _ in range(echoes)] == list(range(echoes))

    run(story())


def test_what_was_asked_last_is_done_even_if_the_page_is_gone(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            async with web.websocket("/ws") as socket:
                await socket.send_str('{"ask":"say","text":"goodbye"}')
            await until(lambda: web.desk.requests.said == [("goodbye", "")], "said")

    run(story())


def test_a_deaf_page_loses_events_and_is_told_so(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            reader, writer = await handshake(web, "/ws")
            mask = bytes(4)
            request = b'{"ask":"subscribe"}'
            writer.write(bytes((0x81, 0x80 | len(request))) + mask + request)
            await until(lambda: web.desk.listeners, "subscribed")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            event = {"event": "chat", "text": "x" * 100_000}
            (ours,) = web.server._sockets
            total = 1000
            for _ in range(total):
                web.desk.publish(event)
                assert ours.waiting_bytes < talk.EVENTS_WAIT + 200_000
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            events = got = 0
            while True:
                value = await _frame(reader)
                if value.get("event") == "chat":
                    got += 1
                elif value.get("event") == "resync":
                    assert got + value["missed"] == total
                    assert got < total
                    break
                events += 1
            web.desk.publish({"event": "synced"})
            assert await _frame(reader) == {"event": "synced"}
            writer.close()

    run(story())


async def _frame(reader: asyncio.StreamReader) -> dict[str, Any]:
    """One unmasked text frame."""
    async with asyncio.timeout(WITHIN):
        first, length = await reader.readexactly(2)
        assert first == 0x81
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await reader.readexactly(8), "big")
        value: dict[str, Any] = json.loads(await reader.readexactly(length))
        return value
