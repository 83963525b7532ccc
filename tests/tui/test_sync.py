"""Sessions without a screen: whatever happens, all end with one text and the carets in place."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from meerkat.core.edits import Edit
from meerkat.tui.buffer import Buffer, Listener
from meerkat.tui.session import State
from tests.tui.memory_folder import Desk, MemoryFolder

LETTERS = "ab \n\r\té日😀\u0301"
STEPS = 120


class Person:
    """A buffer and its connection."""

    def __init__(self, folder: MemoryFolder) -> None:
        self.desk = Desk(
            folder, on_up=lambda: None, on_down=self._down, on_event=lambda event: None
        )
        self.desk.is_up = True
        self.buffer = Buffer(self.desk, "a.md", Listener())

    def _down(self) -> None:
        self.buffer.session.lost()

    async def come(self) -> None:
        self.desk.is_up = True
        await self.buffer.session.open()

    @property
    def is_here(self) -> bool:
        return self.buffer.session.state is State.LIVE


def play(script: Callable[[random.Random, MemoryFolder, list[Person]], None], seed: int) -> None:
    chance = random.Random(seed)
    folder = MemoryFolder({"a.md": "begin\nmiddle 日\nend\n"}, seed)

    async def run() -> None:
        people = [Person(folder) for _ in range(3)]
        for person in people:
            await person.come()
        for _ in range(STEPS):
            script(chance, folder, people)
            for person in people:
                if not person.is_here and chance.random() < 0.2:
                    await person.come()
        for person in people:
            if not person.is_here:
                await person.come()
        assert {person.buffer.text for person in people} == {folder.text("a.md")}

    asyncio.run(run())


def step(chance: random.Random, folder: MemoryFolder, people: list[Person]) -> None:
    person = chance.choice(people)
    editing = person.buffer.editing
    at = chance.randrange(editing.lines.length + 1)
    text = "".join(chance.choice(LETTERS) for _ in range(chance.randrange(1, 5)))
    match chance.randrange(12):
        case 0 | 1 | 2 | 3:
            editing.put(at)
            for letter in text:
                editing.type(letter)
        case 4:
            editing.select(at, chance.randrange(editing.lines.length + 1))
            editing.insert(text)
        case 5:
            editing.put(at)
            editing.delete_left()
        case 6 | 7:
            editing.undo()
        case 8:
            editing.redo()
        case 9:
            length = len(folder.text("a.md"))
            place = chance.randrange(length + 1)
            folder.type("a.md", [Edit(place, min(2, length - place), text)])
        case 10:
            if person.is_here:
                person.desk.go_away()
        case _:
            editing.put(at)
            person.buffer.session.own = type(person.buffer.session.own)(
                editing.document.client, "n", "#123456"
            )
            person.buffer.session.show_selection(editing.span)


@pytest.mark.parametrize("seed", range(12))
def test_all_end_with_one_text(seed: int) -> None:
    play(step, seed)


@pytest.mark.parametrize("seed", range(6))
def test_cursors_of_others_are_where_they_have_them(seed: int) -> None:
    def script(chance: random.Random, folder: MemoryFolder, people: list[Person]) -> None:
        one, other = people[0], people[1]
        writer = chance.choice(people[1:])
        length = writer.buffer.editing.lines.length
        writer.buffer.editing.put(chance.randrange(length + 1))
        writer.buffer.editing.insert("".join(chance.choice(LETTERS) for _ in range(3)))
        editing = one.buffer.editing
        if chance.random() < 0.5:
            editing.select(*(chance.randrange(editing.lines.length + 1) for _ in range(2)))
        own = one.buffer.session.own
        one.buffer.session.own = type(own)(own.client, "one", "#123456", own.clock)
        one.buffer.session.show_selection(editing.span)
        shown = [
            cursor
            for cursor in other.buffer.session.people.cursors
            if cursor.client == editing.document.client
        ]
        assert [cursor.span.head for cursor in shown] == [editing.span.head]

    play(script, seed)


def test_typing_is_saved_only_when_the_process_said_so() -> None:
    folder = MemoryFolder({"a.md": ""})

    async def run() -> None:
        person = Person(folder)
        await person.come()
        session = person.buffer.session
        assert session.is_saved
        person.buffer.editing.type("x")
        assert not session.is_saved
        session.ask_saved()
        assert session.is_saved
        person.desk.go_away()
        person.buffer.editing.type("y")
        session.ask_saved()
        assert not session.is_saved
        await person.come()
        assert folder.text("a.md") == "xy"
        session.ask_saved()
        assert session.is_saved

    asyncio.run(run())
