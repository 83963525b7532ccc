"""Editors of two real nodes on one text: what is typed here is read there, and on both disks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meerkat.control import schema
from meerkat.control.async_client import AsyncControlClient
from meerkat.control.server import ControlServer
from meerkat.core.editing import (
    Closed,
    CursorShown,
    EditorMessage,
    RangeEdit,
    RangesChanged,
    Speech,
)
from meerkat.errors import MeerkatError
from meerkat.node.node import Node
from tests.node.pool import Pool, holds, write
from tests.node.waiting import until
from tests.simulation.people_editing import apply_ranges

PATH = "notes.txt"
Story = Callable[[Node, Node], Coroutine[Any, Any, None]]


class Buffer:
    """An editor that speaks in ranges, in this process."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.text = ""
        self.messages: list[EditorMessage] = []
        self._sent = self._applied = 0

    async def open(self, path: str = PATH, content: str | None = None) -> Buffer:
        opened = await self._node.editors.open(path, Speech.RANGES, self._hear, content)
        self.session = opened.session
        self.text = opened.text if content is None else content
        early, self.messages = self.messages, []
        for message in early:
            self._hear(message)
        return self

    def _hear(self, message: EditorMessage) -> None:
        self.messages.append(message)
        is_new = isinstance(message, RangesChanged) and message.revision == self._sent
        if is_new and hasattr(self, "session"):
            assert isinstance(message, RangesChanged)
            self.text = apply_ranges(self.text, message.edits)
            self._applied += 1

    async def type(self, line: int, character: int, inserted: str) -> None:
        edit = RangeEdit((line, character), (line, character), inserted)
        self.text = apply_ranges(self.text, [edit])
        self._sent += 1
        await self._node.editors.edit(self.session, self._applied, [edit])

    @property
    def closed(self) -> Closed | None:
        return next((one for one in self.messages if isinstance(one, Closed)), None)


@asynccontextmanager
async def two_nodes(place: Path, text: str) -> AsyncIterator[tuple[Node, Node]]:
    pool = Pool(place)
    async with pool.share("alice", notes=text) as alice, pool.join("bob", alice) as bob:
        await until(lambda: holds(bob, PATH, text), "bob has the file")
        yield alice, bob


def play(place: Path, story: Story, text: str = "one\ntwo\n") -> None:
    async def run() -> None:
        async with two_nodes(place, text) as (alice, bob):
            await story(alice, bob)

    asyncio.run(run())


def test_what_is_typed_is_read_elsewhere_and_the_disk_follows_its_editor(tmp_path: Path):
    async def story(alice: Node, bob: Node) -> None:
        ann, ben = await Buffer(alice).open(), await Buffer(bob).open()
        await ann.type(0, 3, "!")
        await until(lambda: ben.text == "one!\ntwo\n", "bob's editor has it")
        await ben.type(2, 0, "😀\n")
        await until(lambda: ann.text == "one!\ntwo\n😀\n", "alice's editor has it")
        assert holds(alice, PATH, "one\ntwo\n")

        write(alice, PATH, ann.text)  # its editor saves
        await until(lambda: not alice.status().pending_files, "the save is known")
        alice.editors.close(ann.session)
        bob.editors.close(ben.session)
        await until(lambda: holds(bob, PATH, "one!\ntwo\n😀\n"), "bob's file follows")
        assert holds(alice, PATH, "one!\ntwo\n😀\n")

    play(tmp_path, story)


def test_a_save_by_another_program_reaches_every_editor(tmp_path: Path):
    async def story(alice: Node, bob: Node) -> None:
        ann, ben = await Buffer(alice).open(), await Buffer(bob).open()
        await ann.type(0, 0, "zero\n")
        write(alice, PATH, "one\ntwo\nthree\n")
        await until(lambda: ben.text == "zero\none\ntwo\nthree\n", "bob's editor has both")
        assert ann.text == ben.text

    play(tmp_path, story)


def test_cursors_are_shown_with_names(tmp_path: Path):
    async def story(alice: Node, bob: Node) -> None:
        ann, ben = await Buffer(alice).open(), await Buffer(bob).open()
        alice.editors.cursor(ann.session, [((0, 1), (1, 2))])

        def shown() -> list[CursorShown]:
            return [one for one in ben.messages if isinstance(one, CursorShown)]

        await until(shown, "bob sees a cursor")
        assert shown()[-1].name == "alice"
        assert shown()[-1].selections == (((0, 1), (1, 2)),)
        await until(lambda: len(bob.requests.people()) == 2, "both are in the text")
        alice.editors.close(ann.session)
        await until(lambda: shown()[-1].selections == (), "bob sees it go")

    play(tmp_path, story)


def test_sessions_end_with_a_reason(tmp_path: Path):
    async def story(alice: Node, bob: Node) -> None:
        ann, ben = await Buffer(alice).open(), await Buffer(bob).open()
        (bob.home.state.folder / PATH).unlink()
        await until(lambda: ann.closed and ben.closed, "both are told")
        assert ann.closed is not None
        assert ann.closed.reason == "deleted"
        with pytest.raises(MeerkatError, match="not open"):
            await ann.type(0, 0, "x")
        with pytest.raises(MeerkatError, match="no file"):
            await Buffer(alice).open("other.txt")

    play(tmp_path, story)


def test_editors_are_told_when_the_node_stops(tmp_path: Path):
    async def story() -> None:
        async with Pool(tmp_path).share("alice", notes="x\n") as alice:
            await until(alice.requests.files, "the folder was looked at")
            ann = await Buffer(alice).open()
        assert ann.closed is not None
        assert ann.closed.reason == "stopping"

    asyncio.run(story())


def test_texts_over_the_control_socket(tmp_path: Path):
    async def story(alice: Node, bob: Node) -> None:
        path = tmp_path / "control.sock"
        ben = await Buffer(bob).open()
        events: list[dict[str, Any]] = []
        async with ControlServer(path, alice):
            async with AsyncControlClient(path, events.append) as client:
                opened = await client.ask(schema.OpenText(session=7, path=PATH, content="one\n"))
                assert opened["text"] == "one\ntwo\n"
                await until(lambda: events, "the correction came")
                assert events[0]["session"] == 7
                assert events[0]["edits"] == [
                    {"start": [1, 0], "end": [1, 0], "replacement": "two\n"}
                ]

                edit = schema.Replacement((0, 0), (0, 1), "O")
                await client.ask(schema.EditText(session=7, revision=1, edits=(edit,)))
                await until(lambda: ben.text == "One\ntwo\n", "bob's editor has it")
                files = (await client.ask(schema.ListFiles()))["files"]
                assert [one["path"] for one in files] == [PATH]
                people = (await client.ask(schema.People()))["people"]
                assert [(one["path"], one["own"]) for one in people] == [(PATH, True)]
                with pytest.raises(MeerkatError, match="open already"):
                    await client.ask(schema.OpenText(session=7, path=PATH))
                await client.ask(schema.CloseText(session=7))
                with pytest.raises(MeerkatError, match="not open"):
                    await client.ask(schema.EditText(session=7, revision=1, edits=(edit,)))
                await client.ask(schema.OpenText(session=8, path=PATH))
            # The connection ended: so did its session.
            await until(lambda: not alice.requests.people(), "nobody has it open")
        assert events[-1]["what"] == "lost"

    play(tmp_path, story)


def test_a_storm_of_typing_arrives_whole(tmp_path: Path):
    async def story(alice: Node, bob: Node) -> None:
        ann, ben = await Buffer(alice).open(), await Buffer(bob).open()
        for number in range(200):
            if number % 2:
                await ann.type(0, 0, f"a{number} ")
            else:
                await ben.type(1, 0, f"b{number}é ")
        await until(lambda: ann.text == ben.text, "both have all")
        assert all(f"{'ba'[n % 2]}{n}" in ann.text for n in range(200))

    play(tmp_path, story)
