"""`meerkat editor` as an editor's plugin runs it: a real process, its pipes, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meerkat.cli.demo_peer import wait_for
from meerkat.editors.framing import Frames, frame
from meerkat.node.home import StateFolder, locked
from meerkat.node.share import share
from tests.faces.conftest import Meerkat
from tests.faces.test_commands import ask

WITHIN = 60.0  # seconds for everything, on a busy machine


class Talk:
    """Requests and replies over the pipes of a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.heard: list[dict[str, Any]] = []
        self._frames = Frames()
        self._ready: list[dict[str, Any]] = []
        self._number = 0

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        number = str(self._number)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        assert self.process.stdin is not None
        self.process.stdin.write(frame(json.dumps(message).encode()))
        await self.process.stdin.drain()
        while (message := await self.next())["id"] != number:
            pass
        return message

    async def next(self) -> dict[str, Any]:
        """What it says next. Everything on its standard output must be a frame."""
        assert self.process.stdout is not None
        while not self._ready:
            async with asyncio.timeout(WITHIN):
                data = await self.process.stdout.read(65_536)
            assert data, "it ended"
            for body in self._frames.feed(data):
                assert body is not None
                self._ready.append(json.loads(body))
        message = self._ready.pop(0)
        self.heard.append(message)
        return message


@asynccontextmanager
async def talking(*command: str) -> AsyncIterator[Talk]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield Talk(process)
    finally:
        process.stdin.close()
        async with asyncio.timeout(WITHIN):
            assert await process.wait() == 0


@pytest.fixture
def folder(tmp_path: Path, meerkat: Meerkat) -> Any:
    """A shared folder that no process serves; whatever serves it in the end is stopped."""
    place = tmp_path / "shared"
    place.mkdir()
    (place / "notes.txt").write_text("one\n")
    with locked(place) as state:
        share(state, name="ann").close()
    (place / ".meerkat" / "config.toml").write_text('listen = "127.0.0.1:0"\n')
    yield place
    meerkat("stop", place)


def insertion(character: int, text: str) -> list[dict[str, Any]]:
    place = {"line": 0, "character": character}
    return [{"range": {"start": place, "end": place}, "replacement": text}]


def test_an_editor_starts_the_folder_and_types_on_when_it_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_DISCOVER", "0")
    uri = (folder / "notes.txt").as_uri()
    state = StateFolder(folder)

    async def work() -> None:
        async with talking(sys.executable, "-m", "meerkat", "editor") as vim:
            opened = await vim.request("open", uri=uri, content="one\n")
            assert opened == {"jsonrpc": "2.0", "id": "1", "result": "success"}
            first = await vim.request("edit", uri=uri, revision=0, delta=insertion(3, "!"))
            assert first["result"] == "success"
            pid = state.running_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            kept = await vim.request("edit", uri=uri, revision=0, delta=insertion(4, "?"))
            assert kept["result"] == "success"
            # A second editor brings the folder back; both have everything then.
            async with talking(sys.executable, "-m", "meerkat", "client", "--of", "plugin") as code:
                await code.request("open", uri=uri, content="")
                text = ""
                while text != "one!?\n":
                    change = (await code.next())["params"]
                    text = applied(text, change["delta"])
            assert state.running_pid() not in (None, pid)
            assert all(message.get("method") is None for message in vim.heard)
            await vim.request("close", uri=uri)

    asyncio.run(work())
    saved = folder / "notes.txt"
    wait_for(lambda: saved.read_text() == "one!?\n", "it is saved", within=WITHIN)


def applied(text: str, delta: list[dict[str, Any]]) -> str:
    """A delta on a text of one line, or of none."""
    for one in reversed(delta):
        start, end = one["range"]["start"], one["range"]["end"]
        first, last = start["character"], end["character"]
        if start["line"] or end["line"]:
            first, last = (len(text) if at["line"] else at["character"] for at in (start, end))
        text = text[:first] + one["replacement"] + text[last:]
    return text


def test_under_the_name_by_which_the_plugins_of_teamtype_call_theirs(tmp_path: Path) -> None:
    program = tmp_path / "teamtype"
    program.write_text(f"#!{sys.executable}\nfrom meerkat.cli.main import main\nmain()\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

    async def work() -> None:
        async with talking(str(program), "client") as talk:
            reply = await talk.request("open", uri=(tmp_path / "a").as_uri(), content="")
            assert reply["error"]["code"] == -1
            assert "no shared folder" in reply["error"]["message"]

    asyncio.run(work())


def test_requests_from_a_file_are_answered_before_it_ends(tmp_path: Path) -> None:
    requests = tmp_path / "requests"
    asked = [b"{", b'{"id":1,"method":"initialize"}', b'{"id":2,"method":"nothing"}']
    requests.write_bytes(b"".join(frame(body) for body in asked))

    with open(requests, "rb") as source, open(tmp_path / "replies", "wb") as sink:
        command = [sys.executable, "-m", "meerkat", "editor"]
        subprocess.run(command, stdin=source, stdout=sink, check=True, timeout=WITHIN)

    replies = [
        json.loads(body or b"") for body in Frames().feed((tmp_path / "replies").read_bytes())
    ]
    assert [one.get("result") or one["error"]["code"] for one in replies] == [
        -32700, "success", -32601
    ]  # fmt: skip


def test_its_own_name_takes_no_arguments() -> None:
    code, text = ask("editor", "notes.txt")
    assert code == 2
    assert "takes no arguments" in text
