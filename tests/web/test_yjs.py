"""The y-websocket endpoint as a carrier: frames, close codes, slow readers, hostile ones."""

from __future__ import annotations

import asyncio
import socket as sockets
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from meerkat.core.editing import Closed, CursorShown, Frame, Moved, SessionId
from meerkat.core.ids import MemberId
from meerkat.errors import MeerkatError, NotRunning, StoreFull
from meerkat.web import yjs
from meerkat.web.sockets import REASON_BYTES, reason_of
from tests.node.waiting import until
from tests.web.served import TOKEN, WITHIN, Served, run, served

ONE = SessionId(1)


async def closing(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """How it was closed, after whatever else was said."""
    async with asyncio.timeout(WITHIN):
        while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
    assert message.type is aiohttp.WSMsgType.CLOSE
    return message.data, message.extra or ""


def test_frames_go_through_as_they_are(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            editors = web.editors
            editors.at_open = [Frame(b"\x00\x00\x01\x00")]  # our step 1, before `open` returns
            async with web.websocket("/yjs/sub%20folder/%C3%BC%23%3F%25.md") as socket:
                assert (await socket.receive_bytes()) == b"\x00\x00\x01\x00"
                assert editors.opened == ["sub folder/ü#?%.md"]
                frames = [bytes([n % 256]) * n for n in (0, 1, 125, 126, 127, 65_535, 65_536)]
                for frame in frames:
                    await socket.send_bytes(frame)
                    assert await editors.frames.get() == (ONE, frame)
                    editors.hear[ONE](Frame(frame))
                    assert await socket.receive_bytes() == frame
                editors.hear[ONE](Moved("elsewhere.md"))
                editors.hear[ONE](CursorShown("u", "bob", MemberId(bytes(32)), "#123456", ()))
                editors.hear[ONE](Frame(b"after"))
                assert await socket.receive_bytes() == b"after"
            assert await editors.closed.get() == ONE

    run(story())


def test_a_pasted_text_of_the_largest_size_passes_and_more_does_not(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            async with web.websocket("/yjs/a.md") as socket:
                await socket.send_bytes(bytes(4 * yjs.MIB + 1000))
                session, frame = await web.editors.frames.get()
                assert len(frame) == 4 * yjs.MIB + 1000
                web.editors.hear[session](Frame(frame))
                assert len(await socket.receive_bytes()) == len(frame)
                with suppress(ConnectionError):  # it may end while we still send
                    await socket.send_bytes(bytes(yjs.MAX_FRAME + 1))
                    code, _ = await closing(socket)
                    assert code in {aiohttp.WSCloseCode.MESSAGE_TOO_BIG, 1006}
            assert await web.editors.closed.get() == ONE

    run(story())


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("deleted", 4410),
        ("replaced", 4410),
        ("binary", 4410),
        ("stale", 4409),
        ("protocol", 4400),
        ("stopping", 1012),
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_why_a_session_ends_is_in_the_close_code(tmp_path: Path, reason, code, early):
    async def story() -> None:
        async with served(tmp_path) as web:
            over = Closed(reason, "Bob deleted notes.md. " + "ü" * 100)
            if early:
                web.editors.at_open = [over]
            async with web.websocket("/yjs/a.md") as socket:
                if not early:
                    await until(lambda: ONE in web.editors.hear, "opened")
                    web.editors.hear[ONE](Frame(b"last"))
                    web.editors.hear[ONE](over)
                    web.editors.hear[ONE](Frame(b"never"))
                    assert await socket.receive_bytes() == b"last"
                got, sentence = await closing(socket)
                assert got == code
                assert sentence.startswith("Bob deleted notes.md.")
                assert len(sentence.encode()) <= REASON_BYTES
            assert await web.editors.closed.get() == ONE

    run(story())


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (MeerkatError("There is no text at a.md."), 4404),
        (NotRunning("Meerkat starts or stops; ask again."), 1013),
        (StoreFull("The disk is full."), 1013),
    ],
)
def test_a_text_that_cannot_be_opened(tmp_path: Path, problem, code):
    async def story() -> None:
        async with served(tmp_path) as web:
            web.editors.problem = problem
            async with web.websocket("/yjs/a.md") as socket:
                assert await closing(socket) == (code, str(problem))

    run(story())


def test_text_messages_are_not_of_this_protocol(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            async with web.websocket("/yjs/a.md") as socket:
                await socket.send_str("hello")
                code, sentence = await closing(socket)
                assert code == 4400
                assert "binary" in sentence
            assert web.editors.frames.empty()

    run(story())


def test_a_silent_text_is_heard_of_now_and_then(tmp_path: Path, monkeypatch):
    """y-websocket's provider hangs up when it hears nothing for 30 seconds; pings do not count."""
    monkeypatch.setattr(yjs.serve_yjs, "__kwdefaults__", {"idle": 0.01})

    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/yjs/a.md") as socket:
            for _ in range(3):
                assert await socket.receive_bytes() == yjs.NOBODY_MOVED

    run(story())
    assert yjs.IDLE < 30 / 2


def test_the_frame_for_silence_means_nothing_to_a_client():
    from pycrdt import Awareness, Doc, read_message

    assert yjs.NOBODY_MOVED[0] == 1  # an update about cursors, in y-websocket
    mine = Awareness(Doc())
    mine.set_local_state({"user": "alice"})
    before = mine.states
    mine.apply_awareness_update(read_message(yjs.NOBODY_MOVED[1:]), "them")
    assert mine.states == before


def test_typing_is_not_delayed_by_the_network_stack(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/yjs/a.md"):
            runner = web.server._runner.server
            assert runner is not None
            (connection,) = runner.connections
            assert connection.transport is not None
            raw = connection.transport.get_extra_info("socket")
            assert raw.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY)

    run(story())


def test_who_does_not_read_is_cut_off_and_holds_up_nobody(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            deaf_reader, deaf = await handshake(web, "/yjs/a.md")
            deaf.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: ONE in web.editors.hear, "opened")
            async with web.websocket("/yjs/a.md") as socket:
                two = SessionId(2)
                await until(lambda: two in web.editors.hear, "opened")
                frame = Frame(bytes(yjs.MIB))
                sent = 0
                while ONE in web.editors.hear:
                    web.editors.hear[ONE](frame)
                    web.editors.hear[two](frame)
                    assert len(await socket.receive_bytes()) == yjs.MIB
                    sent += 1
                    assert sent < 100, "what waits for a deaf page is not bounded"
                assert await web.editors.closed.get() == ONE
            deaf.close()
            assert deaf_reader.exception() is None

    run(story())


async def handshake(web: Served, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A websocket by hand, so that its client can misbehave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(
        f"GET {path}?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head
    return reader, writer


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 100,  # reserved bits
        b"\x83\x80\x00\x00\x00\x00",  # a reserved kind
        b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"\x00" * 4,  # eight exabytes
        b"\x89\xfe\x10\x00" + bytes(5000),  # a ping larger than control frames may be
        b"\x80\x81\x00\x00\x00\x00x",  # the rest of nothing
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",  # text that is no UTF-8
        b"\xc2\x82\x00\x00\x00\x00\xff\xff",  # compressed, which was not agreed
        b"\x88\x82\x00\x00\x00\x00\x00\x00",  # closing with a code that does not exist
        b"",  # gone at once
        b"\x82\xff\x00",  # gone in the middle of a head
    ],
)
@pytest.mark.parametrize("path", ["/ws", "/yjs/a.md"])
def test_frames_that_make_no_sense_end_that_connection_only(tmp_path: Path, path, data):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket("/yjs/b.md") as other:
            reader, writer = await handshake(web, path)
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(WITHIN):
                await reader.read()
            writer.close()
            if path != "/ws":
                assert await web.editors.closed.get() == SessionId(2)
            await other.send_bytes(b"still here")
            assert await web.editors.frames.get() == (ONE, b"still here")

    run(story())


def test_what_was_typed_before_a_tab_died_is_not_lost(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            _, writer = await handshake(web, "/yjs/a.md")
            for n in range(100):
                writer.write(b"\x82\x81\x00\x00\x00\x00" + bytes([n]))
            writer.write_eof()
            writer.close()
            for n in range(100):
                assert await web.editors.frames.get() == (ONE, bytes([n]))
            assert await web.editors.closed.get() == ONE

    run(story())


def test_when_the_server_stops_pages_are_told_to_come_back(tmp_path: Path):
    async def look(socket: aiohttp.ClientWebSocketResponse) -> int:
        return (await closing(socket))[0]

    async def story() -> None:
        async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
            async with served(tmp_path) as web:
                looks = []
                for path in ("/yjs/a.md", "/ws"):
                    url = web.url(f"{path}?token={TOKEN}")
                    looks.append(group.create_task(look(await client.ws_connect(url))))
                await until(lambda: ONE in web.editors.hear, "opened")
            assert await web.editors.closed.get() == ONE
            assert await asyncio.gather(*looks) == [1012, 1012]

    run(story())


@pytest.mark.parametrize("length", [0, 122, 123, 124, 200])
@pytest.mark.parametrize("letter", ["x", "ü", "€", "😀", "\ud800"])
def test_reasons_fit_into_a_close_frame(length, letter):
    reason = reason_of(letter * length)
    assert len(reason) <= REASON_BYTES
    assert letter * length == "" or reason.decode()
    assert (
        reason.decode().rstrip("…")
        == (letter * length).encode("utf-8", "replace").decode()[: len(reason.decode().rstrip("…"))]
    )
