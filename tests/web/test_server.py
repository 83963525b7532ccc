"""The server as a whole: the page, its limits, and that nobody holds up anybody else."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from tests.node.waiting import until
from tests.web.served import TOKEN, WITHIN, run, served


def built(tmp_path: Path) -> Path:
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>meerkat</title>")
    (page / "icon.svg").write_text("<svg/>")
    (page / "assets" / "index-B4x.js").write_text("export {}")
    (page / "assets" / "index-C9.css").write_text("a {}")
    return page


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/?x=y", "text/html; charset=utf-8", "no-cache"),
        ("/icon.svg", "image/svg+xml", "no-cache"),
        ("/assets/index-B4x.js", "text/javascript; charset=utf-8", "immutable"),
        ("/assets/index-C9.css", "text/css; charset=utf-8", "immutable"),
    ],
)
def test_the_page_needs_no_token(tmp_path: Path, path, kind, cache):
    page = built(tmp_path)

    async def story() -> None:
        async with served(tmp_path, page=page) as web:
            async with web.ask("GET", path, "") as response:
                assert response.status == 200
                assert response.headers["Content-Type"] == kind
                assert cache in response.headers["Cache-Control"]
                etag = response.headers["ETag"]
                assert await response.read()
            headers = {"If-None-Match": etag}
            assert await web.status("GET", path, token="", headers=headers) == 304

    run(story())


@pytest.mark.parametrize("path", ["/nothing", "/assets/", "/assets", "/page/index.html", "/api/x"])
def test_what_is_not_there(tmp_path: Path, path):
    page = built(tmp_path)

    async def story() -> None:
        async with served(tmp_path, page=page) as web:
            status, answer = await web.json("GET", path, token="")
            assert (status, answer["error"]) == (404, "Nothing is served at this address.")

    run(story())


def test_an_installation_without_the_page_says_so(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            status, answer = await web.json("GET", "/", token="")
            assert status == 503
            assert "not built" in answer["error"]

    run(story())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/raw/a.txt", 405),
        ("DELETE", "/raw/a.txt", 405),
        ("PUT", "/", 405),
        ("GET", "/ws", 400),
        ("GET", "/yjs/a.txt", 400),
        ("TRACE", "/raw/a.txt", 405),
    ],
)
def test_what_means_nothing_is_answered_in_words(tmp_path: Path, method, path, status):
    async def story() -> None:
        async with served(tmp_path) as web:
            got, answer = await web.json(method, path)
            assert got == status
            assert answer["error"].endswith(".")

    run(story())


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody tries TLS
        b"\x00" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/folder HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT /raw/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
)
def test_requests_that_make_no_sense_end_that_connection_only(tmp_path: Path, data):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("x")
            answer = await web.raw(data + b"\r\n\r\n", end=False)
            assert answer == b"" or answer.split(b" ")[1] in (b"400", b"403", b"505")
            assert await web.status("GET", "/raw/a.txt") == 200

    run(story())


@pytest.mark.parametrize("data", [b"", b"G", b"GET /raw/a.txt HTTP/1.1\r\nX: "])
def test_who_dribbles_a_request_is_cut_off(tmp_path: Path, data):
    async def story() -> None:
        async with served(tmp_path, head_within=0.2) as web:
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(data)
            async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
                reading = group.create_task(reader.read())
                while not reading.done():  # a byte with every breath does not help
                    if data.endswith(b": "):
                        writer.write(b"x")
                    await asyncio.wait([reading], timeout=0.05)
            assert reading.result() == b""
            writer.close()

    run(story())


def test_connections_are_bounded_and_given_back(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path, connections=3) as web:
            (web.folder / "a.txt").write_text("x")
            open_ones = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(3)]
            runner = web.server._runner.server
            assert runner is not None
            await until(lambda: len(runner.connections) == 3, "connected")
            assert await web.raw(b"GET / HTTP/1.1\r\n\r\n", end=False) == b""
            for _, writer in open_ones:
                writer.close()
            await until(lambda: not runner.connections, "given back")
            assert await web.status("GET", "/raw/a.txt") == 200

    run(story())


def test_two_hundred_requests_do_not_hold_up_an_edit(tmp_path: Path):
    """Not timed: while all of them are half answered, frames go through in both directions."""

    async def story() -> None:
        async with served(tmp_path) as web:
            size = 8 * 1024 * 1024
            with (web.folder / "large.bin").open("wb") as file:
                file.truncate(size)
            head = (
                f"GET /raw/large.bin HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n"
                f"Authorization: Bearer {TOKEN}\r\n\r\n"
            ).encode()
            waiting = []
            for _ in range(200):
                small = socket.socket()  # what the system takes for a deaf reader is little
                small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                small.setblocking(False)
                await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", web.port))
                reader, writer = await asyncio.open_connection(sock=small)
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(head)
                waiting.append((reader, writer))
            async with web.websocket("/yjs/a.md") as editor, web.websocket("/ws") as control:
                editors = web.editors
                await until(lambda: editors.hear, "opened")
                (session,) = editors.hear
                for n in range(100):
                    await editor.send_bytes(bytes([n]))
                    assert await editors.frames.get() == (session, bytes([n]))
                    await control.send_str('{"ask":"ping","id":1}')
                    assert json.loads(await control.receive_str())["result"]["pid"]
            for reader, writer in waiting[:3]:
                writer.transport.resume_reading()  # type: ignore[attr-defined]
                answer = await reader.readuntil(b"\r\n\r\n")
                assert b" 200 " in answer
                await reader.readexactly(size)
            for _, writer in waiting:
                writer.close()

    run(story())
