"""An editor, `meerkat editor` and the folder's process, all in one event loop."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from meerkat.core.edits import Edit
from meerkat.node.node import Node
from tests.editors.plain_editor import PlainEditor, again, edit_with, open_editor, serving, until
from tests.node.pool import Pool, run

SUCCESS = "success"


def uri_of(node: Node, name: str) -> str:
    return (node.home.state.folder / name).as_uri()


def code_of(reply: dict[str, Any]) -> int:
    code = reply["error"]["code"]
    assert isinstance(code, int)
    assert reply["error"]["message"].endswith(".")
    return code


def test_two_editors_and_the_folder_see_each_other(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(Pool(tmp_path), "ann", notes="one\ntwo\n") as node,
            open_editor() as vim,
            open_editor() as emacs,
        ):
            uri = uri_of(node, "notes.txt")
            assert (await vim.open(uri, "one\ntwo\n"))["result"] == SUCCESS
            assert (await emacs.open(uri, "one\ntwo\n"))["result"] == SUCCESS

            typing = [vim.insert(uri, 3, " 😀"), emacs.insert(uri, 8, "three\n")]
            assert [(await reply)["result"] for reply in typing] == [SUCCESS, SUCCESS]

            await until(
                lambda: vim.buffers[uri].text == emacs.buffers[uri].text, "both show the same"
            )
            assert vim.buffers[uri].text == "one 😀\ntwo\nthree\n"
            assert (await vim.request("close", uri=uri))["result"] == SUCCESS
            emacs.notify("close", uri=uri)
            file = node.home.state.folder / "notes.txt"
            await until(
                lambda: file.read_text() == "one 😀\ntwo\nthree\n", "the file is brought up to date"
            )

    run(work())


def test_what_the_editor_shows_is_corrected_after_the_answer(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="new\n") as node, open_editor() as vim:
            uri = uri_of(node, "notes.txt")
            await vim.open(uri, "old\n")

            await until(lambda: vim.buffers[uri].text == "new\n", "the correction came")
            assert [one.get("result") or one["method"] for one in vim.heard] == [SUCCESS, "edit"]
            (change,) = vim.told("edit")[0]["delta"]
            assert change["range"]["end"] == {"line": 0, "character": 3}  # no newline replaced

    run(work())


def test_the_editors_own_spelling_of_a_uri_comes_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", **{"häßlich und lang": "x\n"}) as node:
            folder = node.home.state.folder
            link = tmp_path / "link"
            link.symlink_to(folder)
            spelled = [
                (folder / "häßlich und lang.txt").as_uri(),
                f"file://{folder}/häßlich und lang.txt",
                f"file://localhost{folder}/h%c3%a4%C3%9Flich%20und lang.txt",
                f"file://{link}/h%C3%A4%C3%9Flich%20und%20lang.txt",
            ]
            async with open_editor() as vim:
                for uri in spelled:
                    assert (await vim.open(uri, "x\n"))["result"] == SUCCESS
                await vim.insert(spelled[0], 0, "y")
                await until(
                    lambda: all(vim.buffers[uri].text == "yx\n" for uri in spelled), "all have it"
                )

    run(work())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("file:///", "no shared folder"),
        ("http://example.org/a", "begins with file://"),
        ("file://elsewhere/a", "another machine"),
        ("file:relative", "begins with file://"),
        ("file:///a%00b", "no path"),
        ("{folder}/sub", "folder"),
        ("{folder}/picture.bin", "not a text"),
        ("{folder}/.meerkat/log", "no file"),
        ("{folder}/none/a.txt", "no file"),
    ],
)
def test_what_is_no_text_of_a_shared_folder_is_refused(
    tmp_path: Path, name: str, says: str
) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node, open_editor() as vim:
            folder = node.home.state.folder
            (folder / "sub").mkdir()
            (folder / "picture.bin").write_bytes(b"\0\1")
            (folder / ".meerkat" / "log").write_text("x")
            old = 1_000_000_000
            await until(
                lambda: {"sub", "picture.bin"} <= {one["path"] for one in node.requests.files()},
                "all is known",
            )
            for path in ("sub", "picture.bin", ".meerkat/log"):
                os.utime(folder / path, (old, old))
            reply = await vim.open(name.replace("{folder}", folder.as_uri()), "x\n")

            assert code_of(reply) == -1
            assert says in reply["error"]["message"]

    run(work())


def test_a_file_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node, open_editor() as emacs:
            uri = uri_of(node, "new.txt")
            assert (await emacs.open(uri, ""))["result"] == SUCCESS
            assert (await emacs.insert(uri, 0, "hi\n"))["result"] == SUCCESS
            emacs.notify("close", uri=uri)
            file = node.home.state.folder / "new.txt"
            await until(lambda: file.read_text() == "hi\n", "it is written")

    run(work())


def test_without_a_process_that_can_be_started_opening_fails(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node:
            uri = uri_of(node, "notes.txt")
        async with open_editor() as vim:
            reply = await vim.open(uri, "x\n")
            assert code_of(reply) == -1
            assert reply["error"]["message"] == "Nothing starts ann here."
            assert code_of(await vim.insert(uri, 0, "y")) == -1

    run(work())


def test_a_rejected_edit_ends_the_session_until_it_is_opened_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node, open_editor() as vim:
            uri = uri_of(node, "notes.txt")
            await vim.request("initialize", version="1", extensions=["closed"])
            for delta, code in (
                (edit_with(0, 0, "a"), -1),  # of a revision that cannot be
                ([{"range": {}, "replacement": ""}], -32602),
                ([*edit_with(0, 0, "a"), {"replacement": 1}], -32602),
                ("nothing", -32602),
            ):
                await vim.open(uri, "x\n")
                reply = await vim.request("edit", uri=uri, revision=5, delta=delta)
                assert code_of(reply) == code
                closed = vim.told("closed")[-1]
                assert (closed["uri"], closed["reason"]) == (uri, "protocol")
                assert code_of(await vim.insert(uri, 0, "z")) == -1
                assert (await vim.request("cursor", uri=uri, ranges=[]))["result"] == SUCCESS
            await vim.open(uri, "x\n")
            assert (await vim.insert(uri, 0, "z"))["result"] == SUCCESS
            assert len(vim.told("closed")) == 4

    run(work())


def test_an_edit_that_the_folder_refuses_is_the_end_of_the_session(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node, open_editor() as vim:
            uri = uri_of(node, "notes.txt")
            await vim.open(uri, "x\n")
            reply = await vim.insert(uri, 0, "é" * 2_200_000)
            assert code_of(reply) == -1
            assert "4 MiB" in reply["error"]["message"]
            assert code_of(await vim.insert(uri, 0, "z")) == -1

    run(work())


def test_messages_that_make_no_sense_are_answered_and_forgotten(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_editor() as vim:
            for body, code, number in (
                (b"{", -32700, None),
                (b"\xff\xfe", -32700, None),
                (b"[" * 100_000, -32700, None),
                (b"NaN", -32700, None),
                (b'{"id":NaN,"method":"open"}', -32700, None),
                (b"[]", -32600, None),
                (b'{"id":true,"method":"open"}', -32600, None),
                (b'{"id":1e999,"method":"open"}', -32600, None),
                (b'{"id":3}', -32600, 3),
                (b'{"id":"a","method":"fly"}', -32601, "a"),
                (b'{"id":2.5,"method":"open"}', -32602, 2.5),
                (b'{"id":"\\ud800","method":"open","params":[]}', -32602, "\ud800"),
                (b'{"id":5,"method":"open","params":{"uri":1}}', -32602, 5),
                (b'{"id":5,"method":"open","params":{"uri":"file:///a","content":"\\ud800"}}',
                 -32602, 5),
                (b'{"id":6,"method":"edit","params":{"uri":"file:///a"}}', -1, 6),
                (b'{"id":7,"method":"cursor","params":{"uri":"file:///a"}}', -32602, 7),
            ):  # fmt: skip
                vim.heard.clear()
                vim.server.receive(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
                (reply,) = vim.heard
                assert (reply["error"]["code"], reply["id"]) == (code, number)
            vim.heard.clear()
            # Notifications are not answered, nor are replies.
            vim.notify("fly")
            vim.notify("close", uri="file:///a")
            vim.send({"id": 1, "result": None})
            assert vim.heard == []
            assert (await vim.request("initialize", version=1))["result"] == SUCCESS

    run(work())


def test_typing_goes_on_while_the_folders_process_is_away(tmp_path: Path) -> None:
    async def work() -> None:
        pool = Pool(tmp_path)
        async with open_editor() as vim:
            async with serving(pool, "ann", notes="one\n") as node:
                uri, folder = uri_of(node, "notes.txt"), node.home.state.folder
                await vim.request("initialize", version="1", extensions=["live"])
                await vim.open(uri, "one\n")
                await vim.insert(uri, 3, "!")
            await until(lambda: vim.told("live")[-1]["live"] is False, "it is said")
            assert (await vim.insert(uri, 4, "?"))["result"] == SUCCESS
            await vim.request("cursor", uri=uri, ranges=[])
            async with again(pool, folder), open_editor() as emacs:
                await until(lambda: vim.told("live")[-1]["live"], "it is back")
                await emacs.open(uri, "one!?\n")
                await emacs.insert(uri, 0, ">")
                await until(lambda: vim.buffers[uri].text == ">one!?\n", "it sees the others again")
                await vim.insert(uri, 6, "<")
                await until(lambda: emacs.buffers[uri].text == ">one!?<\n", "they see it")

    run(work())


def test_what_crossed_when_the_process_ended_is_settled(tmp_path: Path) -> None:
    async def work() -> None:
        pool = Pool(tmp_path)
        async with open_editor() as vim:
            async with serving(pool, "ann", notes="word\n") as node, open_editor() as emacs:
                uri, folder = uri_of(node, "notes.txt"), node.home.state.folder
                await vim.open(uri, "word\n")
                await emacs.open(uri, "word\n")
                vim.stopped_reading = True
                await emacs.insert(uri, 0, "<")
                await until(lambda: vim.told("edit"), "it is on the way")
            await vim.insert(uri, 4, "s")
            vim.read_on()
            async with again(pool, folder), open_editor() as emacs:
                await emacs.open(uri, "")
                await until(
                    lambda: vim.buffers[uri].text == emacs.buffers[uri].text == "<words\n",
                    "all is there once",
                )

    run(work())


def test_cursors_reach_the_other_editor(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(Pool(tmp_path), "ann", notes="one\ntwo\n") as node,
            open_editor() as vim,
            open_editor() as emacs,
        ):
            uri = uri_of(node, "notes.txt")
            await emacs.request("initialize", version="1", extensions=["people"])
            await vim.open(uri, "one\ntwo\n")
            await emacs.open(uri, "one\ntwo\n")
            ranges = [
                {"start": {"line": 1, "character": 2}, "end": {"line": 0, "character": 1}},
                {"start": {"line": 0, "character": -1}, "end": {"line": 99, "character": 0}},
            ]
            vim.notify("cursor", uri=uri, ranges=ranges)
            emacs.notify("cursor", uri=uri, ranges=ranges[:1])
            await until(lambda: emacs.told("cursor") and vim.told("cursor"), "both are shown")

            shown = emacs.told("cursor")[-1]
            assert (shown["uri"], shown["name"], shown["color"][0]) == (uri, "ann", "#")
            assert shown["ranges"][0] == ranges[0]
            assert shown["ranges"][1] == {
                "start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 0}
            }  # fmt: skip
            assert set(vim.told("cursor")[-1]) == {"userid", "name", "uri", "ranges"}
            vim.notify("close", uri=uri)
            await until(lambda: emacs.told("cursor")[-1]["ranges"] == [], "it is gone")

    run(work())


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_moved_or_deleted_while_open(tmp_path: Path, announced: bool) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node, open_editor() as vim:
            uri, folder = uri_of(node, "notes.txt"), node.home.state.folder
            if announced:
                await vim.request("initialize", version="1", extensions=["moved", "closed"])
            await vim.open(uri, "x\n")
            (folder / "sub").mkdir()
            (folder / "notes.txt").rename(folder / "sub" / "my notes.txt")
            await until(
                lambda: any(p["path"] == "sub/my notes.txt" for p in node.requests.people()),
                "it is known to have moved",
            )
            if announced:
                new = folder.as_uri() + "/sub/my%20notes.txt"
                await until(lambda: vim.told("moved"), "it is told")
                assert vim.told("moved") == [{"uri": uri, "to": new}]
                vim.buffers[new] = vim.buffers.pop(uri)
                uri = new
            assert (await vim.insert(uri, 0, "y"))["result"] == SUCCESS
            (folder / "sub" / "my notes.txt").unlink()
            await until(lambda: not node.requests.people(), "it is known to be gone")
            reply = await vim.insert(uri, 0, "z")
            assert "deleted" in reply["error"]["message"]
            reasons = [one["reason"] for one in vim.told("closed")]
            assert reasons == (["deleted"] if announced else [])

    run(work())


def test_an_editor_with_crlf_and_one_with_lf(tmp_path: Path) -> None:
    async def work() -> None:
        pool = Pool(tmp_path)
        async with serving(pool, "ann", notes="x\n") as node, open_editor() as code:
            file = node.home.state.folder / "dos.txt"
            file.write_bytes(b"one\r\ntwo\r\n")
            uri = file.as_uri()
            await code.open(uri, "one\r\ntwo\r\n")
            assert code.told("edit") == []
            delta = edit_with(0, 3, "\r\nmore")
            assert (await code.request("edit", uri=uri, revision=0, delta=delta))["result"]
            async with open_editor() as vim:
                await vim.open(uri, "one\nmore\ntwo\n")
                await vim.insert(uri, 0, "\n")
                await until(lambda: code.told("edit"), "it came")
                assert vim.told("edit") == []
            assert code.told("edit")[0]["delta"] == edit_with(0, 0, "\r\n")
            code.notify("close", uri=uri)
            await until(
                lambda: file.read_bytes() == b"\r\none\r\nmore\r\ntwo\r\n", "the file is written"
            )

    run(work())


def test_line_ends_are_told_to_who_wants_to_know_and_follow_who_chooses(tmp_path: Path) -> None:
    async def work() -> None:
        pool = Pool(tmp_path)
        async with (
            serving(pool, "ann", notes="0\r\r\n") as node,
            open_editor() as vim,
            open_editor() as emacs,
        ):
            uri, file = uri_of(node, "notes.txt"), node.home.state.folder / "notes.txt"
            await vim.request("initialize", version="1", extensions=["line_ends"])
            await emacs.request("initialize", version="1", extensions=[])
            await vim.open(uri, "0\r\n")  # CRLF throughout, if it were no LF editor
            await emacs.open(uri, "0\r\r\n")
            await until(lambda: vim.buffers[uri].text == "0\r\r\n", "corrected as it is")
            await until(lambda: vim.told("line_ends") == [{"uri": uri, "crlf": False}], "told")

            file.write_bytes(b"1\r\n")
            await until(lambda: vim.told("line_ends")[1:] == [{"uri": uri, "crlf": True}], "told")
            await until(lambda: vim.buffers[uri].text == "1\n", "the CR is of the line end now")
            assert emacs.told("line_ends") == []

            assert "error" in await vim.request("line_ends", uri=uri, crlf="yes")
            await vim.request("line_ends", uri=uri, crlf=False)
            await until(lambda: len(vim.told("line_ends")) == 3, "everyone is told")
            emacs.notify("close", uri=uri)
            vim.notify("close", uri=uri)
            await until(lambda: file.read_bytes() == b"1\n", "the file is written so")

    run(work())


def test_edits_that_come_before_the_answer_to_open_are_kept(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="new\n") as node, open_editor() as emacs:
            uri = uri_of(node, "notes.txt")
            opening = asyncio.ensure_future(emacs.open(uri, "old\n"))
            await asyncio.sleep(0)
            first = emacs.insert(uri, 0, "a")
            second = emacs.insert(uri, 1, "b")
            assert (await opening)["result"] == SUCCESS
            assert [(await one)["result"] for one in (first, second)] == [SUCCESS, SUCCESS]
            await until(lambda: emacs.buffers[uri].text == "newab\n", "corrected around them")

    run(work())


def test_many_keys_at_once_arrive_in_order(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(Pool(tmp_path), "ann", notes="") as node,
            open_editor() as vim,
            open_editor() as emacs,
        ):
            uri = uri_of(node, "notes.txt")
            await vim.open(uri, "")
            await emacs.open(uri, "")
            replies = [vim.insert(uri, i, str(i % 10)) for i in range(200)]
            replies += [emacs.type(uri, [Edit(0, 0, "-")]) for _ in range(20)]
            for reply in replies:
                assert (await reply)["result"] == SUCCESS
            await until(
                lambda: vim.buffers[uri].text == emacs.buffers[uri].text, "both show the same"
            )
            text = vim.buffers[uri].text
            assert text.replace("-", "") == "0123456789" * 20
            assert text.count("-") == 20

    run(work())


def test_opening_again_begins_anew(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Pool(tmp_path), "ann", notes="x\n") as node, open_editor() as vim:
            uri = uri_of(node, "notes.txt")
            for _ in range(3):
                await vim.open(uri, "x\n")
            assert (await vim.insert(uri, 0, "y"))["result"] == SUCCESS
            assert len(node.requests.people()) == 1
            assert isinstance(vim, PlainEditor)

    run(work())
