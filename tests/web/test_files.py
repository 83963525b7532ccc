"""The folder's files over HTTP: what goes out, what comes in, and what may not be touched."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import aiohttp
import pytest

from meerkat.node.owner_files import OwnerFiles, Refused
from tests.node.waiting import until
from tests.web.served import TOKEN, Served, run, served

NEW = {"If-None-Match": "*"}
SECRET = "5ecret"  # content that never goes out


def names(folder: Path) -> set[str]:
    """Everything in the folder but our own."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in found if not name.startswith(".meerkat")}


# --- paths ---

# What must lead nowhere: address, as it is sent.
NOWHERE = [
    "/raw/../secret.txt",
    "/raw/%2e%2e/secret.txt",
    "/raw/..%2fsecret.txt",
    "/raw/%2e%2e%2fsecret.txt",
    "/raw/sub/../../secret.txt",
    "/raw/sub%2f..%2f..%2fsecret.txt",
    "/raw/sub%5c..%5c..%5csecret.txt",
    "/raw//etc/hostname",
    "/raw/%2fetc%2fhostname",
    "/raw/./sub/b.txt",
    "/raw/sub//b.txt",
    "/raw/sub/b.txt/",
    "/raw/sub%2fb.txt",
    "/raw/sub/%62.txt%00",
    "/raw/%00",
    "/raw/%ff%fe",
    "/raw/",
    "/raw",
    "/raw/.meerkat/store.db",
    "/raw/.meerkat/web",
    "/raw/.MEERKAT/store.db",
    "/raw/.Meerkat",
    "/raw/%2emeerkat/store.db",
    "/raw/.meerkat-0123456789abcdef.tmp",
    "/raw/link.txt",
    "/raw/linked/secret.txt",
    "/raw/outside/secret.txt",
    "/raw/dangling",
    "/raw/pipe",
    "/raw/sub",
    "/raw/nothing.txt",
    "/raw/a.txt/below",
    "/raw/notes~",
    "/raw/.git/config",
    "/raw/private/key.txt",
    "/raw/" + "x" * 300,
    "/raw/" + "x/" * 3000 + "y",
    "/../raw/a.txt",
    "/assets/../raw/a.txt",
    "/assets/..%2f..%2fsecret.txt",
    "/%2e%2e/secret.txt",
]


def fill(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text(SECRET)
    (folder / "a.txt").write_text("shared")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("shared")
    (folder / ".meerkat" / "store.db").write_text(SECRET)
    (folder / ".meerkat-0123456789abcdef.tmp").write_text(SECRET)
    (folder / "link.txt").symlink_to("../secret.txt")
    (folder / "linked").symlink_to("sub")
    (folder / "sub" / "secret.txt").write_text(SECRET)
    (folder / "outside").symlink_to("..")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / "notes~").write_text(SECRET)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text(SECRET)
    (folder / "private").mkdir()
    (folder / "private" / "key.txt").write_text(SECRET)
    (folder / ".meerkatignore").write_text("private/\n")


def test_no_path_leads_out_or_to_what_is_not_shared(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            fill(web.folder)
            before = names(tmp_path)
            for path in NOWHERE:
                for method in ("GET", "HEAD", "PUT"):
                    data = b"overwritten" if method == "PUT" else None
                    async with web.ask(method, path, data=data, headers=dict(NEW)) as response:
                        assert response.status >= 400 or method == "PUT", (method, path)
                        assert SECRET.encode() not in await response.read(), path
            assert (tmp_path / "secret.txt").read_text() == SECRET
            assert (web.folder / ".meerkat" / "store.db").read_text() == SECRET
            assert (web.folder / "private" / "key.txt").read_text() == SECRET
            # what was written is where the address says, and nowhere else
            written = names(tmp_path) - before
            assert {name for name in written if "uploads" not in name} == {
                "notes/nothing.txt",
                "notes/sub\\..\\..\\secret.txt",
            }

    run(story())


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../x",
        "/etc",
        "",
        ".",
        "a/../b",
        ".meerkat",
        ".MeerKat/x",
        ".meerkat-1.tmp",
        "x\0y",
        "notes~",
        ".git",
        ".git/x",
        "private",
        "private/new.txt",
        "linked/x",
        "outside/x",
        "a.txt/x",
    ],
)
def test_changes_touch_only_what_is_shared(tmp_path: Path, path):
    async def story() -> None:
        async with served(tmp_path) as web:
            fill(web.folder)
            before = names(tmp_path)
            asks = [
                ("/api/folder", {"path": path}),
                ("/api/delete", {"path": path}),
                ("/api/move", {"from": path, "to": "new"}),
                ("/api/move", {"from": "a.txt", "to": path}),
            ]
            for address, body in asks:
                status, answer = await web.json("POST", address, json=body)
                assert 400 <= status < 500, (address, answer)
                assert answer["error"].endswith((".", "!"))
            assert names(tmp_path) == before
            assert (web.folder / "a.txt").read_text() == "shared"

    run(story())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"path": 1}',
        b'{"path": null}',
        b"\xff",
        b"[" * 50_000,
        b'{"path": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_a_change_that_makes_no_sense_is_refused(tmp_path: Path, body):
    async def story() -> None:
        async with served(tmp_path) as web:
            for address in ("/api/folder", "/api/delete", "/api/move"):
                status, answer = await web.json("POST", address, data=body)
                assert status in (400, 413)
                assert answer["error"]

    run(story())


def test_rules_that_change_count_at_once(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.log").write_text("x")
            assert await web.status("GET", "/raw/a.log") == 200
            (web.folder / ".meerkatignore").write_text("*.log\n")
            status, answer = await web.json("GET", "/raw/a.log")
            assert status == 404
            assert ".meerkatignore" in answer["error"]
            (web.folder / ".meerkatignore").unlink()
            assert await web.status("GET", "/raw/a.log") == 200

    run(story())


# --- out ---


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.md", "text/plain; charset=utf-8"),
        ("a.js", "text/plain; charset=utf-8"),
        ("a.css", "text/plain; charset=utf-8"),
        ("a.json", "text/plain; charset=utf-8"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.PNG", "image/png"),
        ("a.webp", "image/webp"),
        ("a.pdf", "application/pdf"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.svgz", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("data:image%2Fpng,x"[:5] + "b", "application/octet-stream"),
        ("ü ñ?#.txt", "text/plain; charset=utf-8"),
    ],
)
def test_what_a_file_is_called_says_what_it_is(tmp_path: Path, name, kind):
    from urllib.parse import quote

    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / name).write_bytes(b"<script>alert(1)</script>")
            async with web.ask("GET", "/raw/" + quote(name)) as response:
                assert response.status == 200
                headers = response.headers
                assert headers["Content-Type"] == kind
                assert headers["X-Content-Type-Options"] == "nosniff"
                policy = headers["Content-Security-Policy"]
                assert "frame-ancestors 'self'" in policy
                assert ("sandbox;" in policy) == (kind != "application/pdf")
                assert "allow-" not in policy
                assert quote(name, safe="") in headers["Content-Disposition"]
                assert headers["Content-Disposition"].startswith("inline")
            async with web.ask("GET", f"/raw/{quote(name)}?download") as response:
                assert response.headers["Content-Disposition"].startswith("attachment")

    run(story())


CONTENT = bytes(range(256)) * 4096  # 1 MiB: several pieces


@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=0-99", 206, 0, 99),
        ("bytes=1000-", 206, 1000, len(CONTENT) - 1),
        ("bytes=-10", 206, len(CONTENT) - 10, len(CONTENT) - 1),
        (f"bytes=-{len(CONTENT) * 2}", 206, 0, len(CONTENT) - 1),
        (f"bytes=5-{len(CONTENT) * 2}", 206, 5, len(CONTENT) - 1),
        (f"bytes={len(CONTENT)}-", 416, 0, -1),
        ("bytes=-0", 416, 0, -1),
        ("bytes=99999999999999999999-", 416, 0, -1),
        ("bytes=9-1", 200, 0, len(CONTENT) - 1),
        ("bytes=0-1,5-6", 200, 0, len(CONTENT) - 1),
        ("bytes=a-b", 200, 0, len(CONTENT) - 1),
        ("bytes=-", 200, 0, len(CONTENT) - 1),
        ("lines=1-2", 200, 0, len(CONTENT) - 1),
    ],
)
def test_parts_of_a_file(tmp_path: Path, wanted, status, first, last):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.bin").write_bytes(CONTENT)
            headers = {"Range": wanted}
            async with web.ask("GET", "/raw/a.bin", headers=headers) as response:
                assert response.status == status
                if status == 416:
                    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
                    return
                assert await response.read() == CONTENT[first : last + 1]
                if status == 206:
                    shown = f"bytes {first}-{last}/{len(CONTENT)}"
                    assert response.headers["Content-Range"] == shown
                assert response.headers["Accept-Ranges"] == "bytes"

    run(story())


def test_what_a_browser_has_is_not_sent_again(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.txt").write_text("one")
            async with web.ask("HEAD", "/raw/a.txt") as response:
                etag = response.headers["ETag"]
                assert response.headers["Content-Length"] == "3"
                assert await response.read() == b""
            for header in (etag, f'"x", {etag}', f"W/{etag}", "*"):
                headers = {"If-None-Match": header}
                async with web.ask("GET", "/raw/a.txt", headers=headers) as response:
                    assert response.status == 304
                    assert await response.read() == b""
            headers = {"Range": "bytes=1-", "If-Range": etag}
            assert await web.status("GET", "/raw/a.txt", headers=headers) == 206
            (web.folder / "a.txt").write_text("two two")
            assert await web.status("GET", "/raw/a.txt", headers={"If-None-Match": etag}) == 200
            assert await web.status("GET", "/raw/a.txt", headers=headers) == 200

    run(story())


def test_an_empty_file_is_a_file(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            assert await web.status("PUT", "/raw/empty", data=b"") == 201
            async with web.ask("GET", "/raw/empty") as response:
                assert response.status == 200
                assert await response.read() == b""

    run(story())


def test_a_file_that_is_cut_while_it_is_read_ends_the_connection(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            large = web.folder / "large.bin"
            with large.open("wb") as file:
                file.truncate(64 * 1024 * 1024)
            async with web.ask("GET", "/raw/large.bin") as response:
                await response.content.readexactly(1000)
                os.truncate(large, 1000)
                with pytest.raises(aiohttp.ClientError):
                    await response.content.read()
            assert await web.status("GET", "/raw/large.bin") == 200

    run(story())


# --- in ---


async def put(web: Served, path: str, data: bytes, **headers: str) -> tuple[int, dict]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await web.json("PUT", f"/raw/{path}", data=data, headers=sent)


def test_uploads_and_their_preconditions(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            file = web.folder / "new" / "deep" / "a.txt"
            status, made = await put(web, "new/deep/a.txt", b"one", If_None_Match="*")
            assert (status, made["created"]) == (201, True)
            assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~_umask()
            async with web.ask("HEAD", "/raw/new/deep/a.txt") as response:
                assert response.headers["ETag"] == made["etag"]
            assert (await put(web, "new/deep/a.txt", b"no", If_None_Match="*"))[0] == 412
            assert (await put(web, "new/deep/a.txt", b"no", If_Match='"other"'))[0] == 412
            assert (await put(web, "new/deep/a.txt", b"no", If_Match=f"W/{made['etag']}"))[0] == 412
            assert (await put(web, "gone.txt", b"no", If_Match=made["etag"]))[0] == 412
            assert (await put(web, "gone.txt", b"no", If_Match="*"))[0] == 412
            assert (await put(web, "a", b"no", If_Match="*", If_None_Match="*"))[0] == 400
            assert (await put(web, "a", b"no", If_None_Match='"x"'))[0] == 400
            assert file.read_bytes() == b"one"
            file.chmod(0o755)
            async with web.ask("HEAD", "/raw/new/deep/a.txt") as response:
                etag = response.headers["ETag"]
            status, made = await put(web, "new/deep/a.txt", b"two", If_Match=f'"x", {etag}')
            assert (status, made["created"]) == (200, False)
            assert file.read_bytes() == b"two"
            assert stat.S_IMODE(file.stat().st_mode) == 0o755
            assert (await put(web, "new/deep/a.txt", b"three"))[0] == 200
            assert (await put(web, "new/deep/a.txt", b"four", If_Match="*"))[0] == 200
            assert file.read_bytes() == b"four"
            assert names(web.folder) == {"new", "new/deep", "new/deep/a.txt"}
            assert os.listdir(web.folder / ".meerkat" / "uploads") == []

    run(story())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("path", ["sub", "link.txt", "dangling", "pipe", "a.txt/x", "linked/x"])
def test_an_upload_replaces_files_only(tmp_path: Path, path):
    async def story() -> None:
        async with served(tmp_path) as web:
            fill(web.folder)
            before = names(tmp_path)
            status, answer = await put(web, path, b"x")
            assert status == 409
            assert "Choose another name" in answer["error"]
            assert names(tmp_path) == before
            assert (tmp_path / "secret.txt").read_text() == SECRET

    run(story())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Range": "bytes 0-1/2"}, 400),
    ],
)
def test_half_and_packed_uploads_are_refused(tmp_path: Path, headers, status):
    async def story() -> None:
        async with served(tmp_path) as web:
            got = await web.status("PUT", "/raw/a.bin", data=b"xx", headers=headers)
            assert got == status
            assert names(web.folder) == set()

    run(story())


def test_of_many_new_files_under_one_name_one_wins(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            contents = [f"{n}".encode() * 50_000 for n in range(20)]
            answers = await asyncio.gather(
                *(put(web, "a.bin", content, If_None_Match="*") for content in contents)
            )
            won = [status for status, _ in answers].index(201)
            assert sorted({status for status, _ in answers}) == [201, 412]
            assert (web.folder / "a.bin").read_bytes() == contents[won]
            assert names(web.folder) == {"a.bin"}

    run(story())


def test_of_many_who_replace_one_version_one_wins(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            _, made = await put(web, "a.bin", b"first")
            contents = [f"{n}".encode() * 1000 for n in range(20)]
            answers = await asyncio.gather(
                *(put(web, "a.bin", content, If_Match=made["etag"]) for content in contents)
            )
            assert sorted(status for status, _ in answers) == [200] + [412] * 19
            won = [status for status, _ in answers].index(200)
            assert (web.folder / "a.bin").read_bytes() == contents[won]

    run(story())


def test_an_upload_is_not_seen_before_it_is_whole(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.bin").write_bytes(b"old")
            half, rest = asyncio.Event(), asyncio.Event()

            async def body():
                yield b"n" * 100_000
                half.set()
                await rest.wait()
                yield b"ew"

            async with asyncio.TaskGroup() as group:
                task = group.create_task(web.json("PUT", "/raw/a.bin", data=body()))
                await half.wait()
                assert (web.folder / "a.bin").read_bytes() == b"old"
                rest.set()
            assert task.result()[0] == 200
            assert (web.folder / "a.bin").read_bytes() == b"n" * 100_000 + b"ew"

    run(story())


def test_an_upload_that_breaks_off_changes_nothing(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            (web.folder / "a.bin").write_bytes(b"old")
            uploads = web.folder / ".meerkat" / "uploads"
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            head = (
                f"PUT /raw/a.bin HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n"
                f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n"
            )
            writer.write(head.encode() + b"half")
            await until(lambda: os.listdir(uploads), "begun")
            writer.transport.abort()
            await until(lambda: not os.listdir(uploads), "removed")
            assert (web.folder / "a.bin").read_bytes() == b"old"
            assert reader.at_eof() or not reader._buffer  # type: ignore[attr-defined]

    run(story())


def test_what_an_earlier_process_left_is_cleared(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            uploads = web.folder / ".meerkat" / "uploads"
            assert stat.S_IMODE(uploads.stat().st_mode) == 0o700
            (uploads / "left").write_text("half")
        async with served(tmp_path) as web:
            assert os.listdir(uploads) == []

    run(story())


# --- folders, names, the end ---


def test_folders_moves_and_deletions(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:

            async def post(address: str, **body: str) -> tuple[int, dict]:
                return await web.json("POST", address, json=body)

            (web.folder / "a.txt").write_text("a")
            (web.folder / "b.txt").write_text("b")
            assert (await post("/api/folder", path="one/two"))[0] == 201
            status, answer = await post("/api/folder", path="one")
            assert status == 409
            assert "exists already" in answer["error"]
            assert (await post("/api/folder", path="a.txt"))[0] == 409
            assert (await post("/api/folder", path="a.txt/below"))[0] == 409
            status, _ = await web.json("POST", "/api/move", json={"from": "a.txt", "to": "b.txt"})
            assert status == 409
            assert (web.folder / "b.txt").read_text() == "b"
            moves = [("a.txt", "one/two/three/a.txt", 200), ("one", "1", 200)]
            moves += [("1", "1/inside", 400), ("gone", "x", 404), ("b.txt", "1", 409)]
            moves += [("b.txt", "b.txt", 409)]
            for source, target, expected in moves:
                body = {"from": source, "to": target}
                status, answer = await web.json("POST", "/api/move", json=body)
                assert status == expected, answer
            assert (web.folder / "1/two/three/a.txt").read_text() == "a"
            assert (await post("/api/delete", path="1/two/three/a.txt"))[0] == 200
            assert (await post("/api/delete", path="1/two/three/a.txt"))[0] == 404
            assert (await post("/api/delete", path="1")) == (200, {"path": "1", "kept": 0})
            assert names(web.folder) == {"b.txt"}

    run(story())


def test_a_deleted_folder_keeps_what_is_ignored(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            for name in ("p/a.txt", "p/deep/er/b.txt", "p/.git/config", "p/deep/c~"):
                (web.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (web.folder / name).write_text("x")
            (web.folder / "p" / "link").symlink_to(tmp_path)
            os.mkfifo(web.folder / "p" / "pipe")
            status, answer = await web.json("POST", "/api/delete", json={"path": "p"})
            assert (status, answer["kept"]) == (200, 3)
            assert names(web.folder) == {
                "p", "p/.git", "p/.git/config", "p/deep", "p/deep/c~", "p/pipe"
            }  # fmt: skip

    run(story())


def test_a_link_can_be_moved_and_deleted_but_is_never_followed(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            (tmp_path / "outside").mkdir()
            (tmp_path / "outside" / "a.txt").write_text("a")
            (web.folder / "link").symlink_to("../outside")
            body = {"from": "link", "to": "other"}
            assert (await web.json("POST", "/api/move", json=body))[0] == 200
            assert (web.folder / "other").is_symlink()
            assert (await web.json("POST", "/api/delete", json={"path": "other"}))[0] == 200
            assert names(web.folder) == set()
            assert (tmp_path / "outside" / "a.txt").read_text() == "a"

    run(story())


def test_a_very_deep_folder_is_deleted_too(tmp_path: Path):
    async def story() -> None:
        async with served(tmp_path) as web:
            deep = "d/" * 600 + "e"
            assert (await web.json("POST", "/api/folder", json={"path": deep}))[0] == 201
            answer = await web.json("POST", "/api/delete", json={"path": "d"})
            assert answer == (200, {"path": "d", "kept": 0})

    run(story())


# --- the folder's part of it, without a server ---


def owner(tmp_path: Path) -> OwnerFiles:
    (tmp_path / ".meerkat").mkdir()
    return OwnerFiles(tmp_path, tmp_path / ".meerkat")


def test_a_save_that_slips_in_is_not_overwritten(tmp_path: Path, monkeypatch):
    files = owner(tmp_path)
    file = tmp_path / "a.txt"
    file.write_text("old")
    upload = files.begin_upload()
    files.write(upload, b"from the page")
    over = files._publisher.over

    def raced(*arguments):
        file.write_text("from an editor, just now")
        over(*arguments)

    monkeypatch.setattr(files._publisher, "over", raced)
    with pytest.raises(Refused, match="changed at this very moment"):
        files.put(upload, "a.txt")
    files.end_upload(upload)
    assert file.read_text() == "from an editor, just now"
    files.close()


def test_who_writes_into_a_replaced_file_finds_the_work_beside_it(tmp_path: Path):
    files = owner(tmp_path)
    file = tmp_path / "a.txt"
    file.write_text("old")
    with file.open("a") as still_open:
        upload = files.begin_upload()
        files.write(upload, b"new")
        files.put(upload, "a.txt")
        files.end_upload(upload)
        still_open.write(" and more")
    os.utime(_only(tmp_path / ".meerkat" / "replaced"), (1, 1))  # long ago: nobody writes any more
    due = files.next_due()
    assert due is not None
    files._replaced.purge(due)
    assert file.read_text() == "new"
    (beside,) = [path for path in tmp_path.iterdir() if "saved meanwhile" in path.name]
    assert beside.read_text() == "old and more"
    assert beside.suffix == ".txt"
    assert os.listdir(tmp_path / ".meerkat" / "replaced") == []
    assert files.next_due() is None
    files.close()


def _only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_folder_that_went_away_is_not_written_to(tmp_path: Path):
    place = tmp_path / "notes"
    place.mkdir()
    files = owner(place)
    place.rename(tmp_path / "elsewhere")
    place.mkdir()
    with pytest.raises(Refused, match="not where it was"):
        files.make_folder("x")
    assert list(place.iterdir()) == []
    files.close()


@pytest.mark.needs_root
@pytest.mark.needs_tool("mount")
def test_a_full_disk_and_another_file_system(tmp_path: Path):
    import subprocess

    place = tmp_path / "notes"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    try:
        (place / "mounted").mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place / "mounted"], check=True
        )
        try:
            _full_and_elsewhere(place)
        finally:
            subprocess.run(["umount", place / "mounted"], check=True)
    finally:
        subprocess.run(["umount", place], check=True)


def _full_and_elsewhere(place: Path) -> None:
    files = owner(place)
    upload = files.begin_upload()
    with pytest.raises(Refused, match="Free some space"):
        files.write(upload, bytes(2 * 1024 * 1024))
    files.end_upload(upload)
    upload = files.begin_upload()
    files.write(upload, b"small")
    with pytest.raises(Refused, match="another file system"):
        files.put(upload, "mounted/a.txt")
    files.put(upload, "a.txt")
    files.end_upload(upload)
    with pytest.raises(Refused, match="another file system"):
        files.move("a.txt", "mounted/a.txt")
    assert (place / "a.txt").read_text() == "small"
    files.close()
