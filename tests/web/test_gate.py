"""Who may come in: token, Host and Origin, on every address."""

from __future__ import annotations

import logging
from pathlib import Path

import aiohttp
import pytest

from meerkat.web.origins import check_origin
from tests.web.served import TOKEN, Served, run, served

PRIVATE = [
    ("GET", "/raw/a.txt"),
    ("HEAD", "/raw/a.txt"),
    ("PUT", "/raw/b.txt"),
    ("POST", "/api/folder"),
    ("POST", "/api/move"),
    ("POST", "/api/delete"),
    ("GET", "/raw/"),
    ("GET", "/%72aw/a.txt"),  # "raw", encoded
]
EVIL = "http://evil.example"


@pytest.mark.parametrize(("method", "path"), PRIVATE)
@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "t", TOKEN.upper(), "ü"])
def test_without_the_right_token_nothing_happens(tmp_path: Path, method, path, token):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("secret")
            query = f"?token={token}" if token.isascii() else "?token=%C3%BC"
            headers = {} if not token.isascii() else {"Authorization": f"Bearer {token}"}
            for where, sent in ((path, headers), (path + query, {})):
                body = b'{"path": "a.txt"}' if method in ("PUT", "POST") else None
                async with web.ask(method, where, "", headers=sent, data=body) as response:
                    assert response.status == 401
                    assert "secret" not in await response.text()
            assert [one.name for one in web.folder.iterdir() if one.name != ".meerkat"] == ["a.txt"]

    run(story())


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, "", 200),
        ({"Authorization": f"bearer  {TOKEN} "}, "", 200),
        ({}, f"?token={TOKEN}", 200),
        ({"Authorization": f"Bearer {TOKEN}"}, f"?token={TOKEN}", 200),
        ({"Authorization": f"Bearer {TOKEN}"}, "?token=other", 401),
        ({"Authorization": f"Basic {TOKEN}"}, "", 401),
        ({"Authorization": TOKEN}, "", 401),
        ({"Authorization": "Bearer "}, f"?token={TOKEN}", 401),
        ({}, f"?token={TOKEN}&token=", 401),
        ({}, f"?TOKEN={TOKEN}", 401),
        ({"Cookie": f"token={TOKEN}"}, "", 401),
    ],
)
def test_where_a_token_counts(tmp_path: Path, headers, query, status):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("secret")
            path = "/raw/a.txt" + query
            assert await web.status("GET", path, token="", headers=headers) == status

    run(story())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST:{port}", 200),
        ("127.0.0.1", 403),
        ("localhost:1", 403),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example:{port}", 403),
        ("localhost.:{port}", 403),
        ("[::1]:{port}", 403),
        ("0.0.0.0:{port}", 403),
        ("", 403),
    ],
)
def test_no_other_name_is_answered(tmp_path: Path, host, status):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("secret")
            for path in ("/raw/a.txt", "/ws", "/yjs/a.txt"):
                got = await web.status(
                    "GET", path, headers={"Host": host.format(port=web.port), "X": "y"}
                )
                assert (got == 403) == (status == 403), path

    run(story())


@pytest.mark.parametrize(
    "head",
    [
        b"GET /raw/a.txt HTTP/1.0\r\n",
        b"GET /raw/a.txt HTTP/1.1\r\n",
        b"GET /raw/a.txt HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nHost: evil.example\r\n",
        b"GET http://evil.example/raw/a.txt HTTP/1.1\r\nHost: evil.example\r\n",
    ],
)
def test_a_missing_or_double_host_is_not_answered(tmp_path: Path, head):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("secret")
            head_now = head.replace(b"%d", str(web.port).encode())
            token = f"Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
            answer = await web.raw(head_now + token, end=False)
            assert answer.split(b" ")[1] in (b"400", b"403")
            assert b"secret" not in answer

    run(story())


async def connects(web: Served, path: str, **headers: str) -> bool:
    try:
        async with web.websocket(path, headers=headers) as socket:
            return not socket.closed
    except aiohttp.WSServerHandshakeError as error:
        return error.status != 403


@pytest.mark.parametrize("path", ["/ws", "/yjs/a.txt"])
def test_only_our_own_page_and_allowed_ones_connect(tmp_path: Path, path):
    async def story() -> None:
        async with served(tmp_path, allowed=("http://localhost:5173",)) as web:
            port = web.port
            assert await connects(web, path)  # a program: no Origin at all
            assert await connects(web, path, Origin=f"http://127.0.0.1:{port}")
            assert await connects(web, path, Origin=f"http://localhost:{port}")
            assert await connects(web, path, Origin="http://localhost:5173")
            for origin in (
                EVIL,
                "null",
                f"http://127.0.0.1:{port + 1}",
                f"https://127.0.0.1:{port}",
                f"http://127.0.0.1:{port}.evil.example",
                "http://localhost:51730",
                "file://",
                "",
            ):
                assert not await connects(web, path, Origin=origin), origin

    run(story())


def test_other_origins_read_and_write_nothing(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("secret")
            for method, path in [*PRIVATE, ("GET", "/"), ("OPTIONS", "/raw/a.txt")]:
                headers = {"Origin": EVIL}
                async with web.ask(method, path, headers=headers) as response:
                    assert response.status == 403, path
                    assert "Access-Control-Allow-Origin" not in response.headers
            assert not (web.folder / "b.txt").exists()

    run(story())


def test_an_allowed_origin_may_read_the_answers(tmp_path: Path):
    async def story() -> None:
        origin = "http://localhost:5173"
        async with served(tmp_path, allowed=(origin,)) as web:
            (web.folder / "a.txt").write_text("x")
            headers = {"Origin": origin}
            async with web.ask("OPTIONS", "/raw/a.txt", "", headers=headers) as response:
                assert response.status == 204
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert "PUT" in response.headers["Access-Control-Allow-Methods"]
                assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
            async with web.ask("GET", "/raw/a.txt", headers=headers) as response:
                assert response.status == 200
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert response.headers["Vary"] == "Origin"
            assert await web.status("GET", "/raw/a.txt", token="", headers=headers) == 401

    run(story())


@pytest.mark.parametrize("path", ["/ws", "/yjs/a.txt"])
@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_socket_without_the_token_is_told_so(tmp_path: Path, path, token):
    async def story() -> None:
        async with served(tmp_path) as web, web.websocket(path, token) as socket:
            await socket.send_str('{"ask":"status","id":1}')
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == 4401
            assert "meerkat web" in message.extra
            assert web.editors.opened == []

    run(story())


def test_every_answer_carries_the_safe_headers(tmp_path: Path):
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html>")

    async def story() -> None:
        async with served(tmp_path, page=page) as web:
            (web.folder / "a.txt").write_text("x")
            for path in ("/", "/raw/a.txt", "/raw/nothing", "/nothing", "/api/folder", "/ws"):
                async with web.ask("GET", path) as response:
                    headers = response.headers
                    assert headers["X-Content-Type-Options"] == "nosniff", path
                    assert headers["Referrer-Policy"] == "no-referrer"
                    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
                    assert headers["Server"] == "meerkat"
                    assert "frame-ancestors" in headers["Content-Security-Policy"]
                    assert TOKEN not in str(headers)
            async with web.ask("GET", "/", "") as response:
                policy = dict(
                    part.strip().split(" ", 1)
                    for part in response.headers["Content-Security-Policy"].split(";")
                )
                assert policy["default-src"] == policy["script-src"] == "'self'"
                assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
                assert response.headers["X-Frame-Options"] == "DENY"

    run(story())


def test_the_log_has_no_token(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def story() -> None:
        async with served(tmp_path) as web:
            await web.status("GET", f"/raw/nothing?token={TOKEN}", token="")
            await web.raw(f"GET /raw/?token={TOKEN}\x01 HTTP/1.1\r\n\r\n".encode(), end=False)
            async with web.websocket("/ws") as socket:
                await socket.send_str('{"ask":"ping","id":1}')
                await socket.receive()

    with caplog.at_level(logging.DEBUG):
        run(story())
    assert "/raw/nothing" in caplog.text
    assert "/ws" in caplog.text
    assert "could not be read" in caplog.text
    assert TOKEN not in caplog.text


def test_the_address_for_the_browser_works_once(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            address = web.server.open_once().removeprefix(web.url(""))
            assert TOKEN not in address
            headers = {"Origin": EVIL}
            assert await web.status("GET", address, token="", headers=headers) == 403
            async with web.ask("GET", address, "") as response:
                assert response.status == 303
                assert response.headers["Location"] == f"/#token={TOKEN}"
            status, answer = await web.json("GET", address, token="")
            assert status == 404
            assert "meerkat web" in answer["error"]

    run(story())


def test_the_address_for_the_browser_gets_too_old(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path, open_within=-1.0) as web:
            address = web.server.open_once().removeprefix(web.url(""))
            assert await web.status("GET", address, token="") == 404

    run(story())


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("http://localhost:5173", "http://localhost:5173"),
        (" HTTPS://Example.ORG/ ", "https://example.org"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_origins_are_written_as_browsers_do(given, origin):
    assert check_origin(given) == origin


@pytest.mark.parametrize(
    "given", ["", "*", "null", "localhost:5173", "http://", "http://a/b", "file:///x", "http://a b"]
)
def test_what_is_no_origin_is_refused(given):
    with pytest.raises(ValueError, match="no origin"):
        check_origin(given)
