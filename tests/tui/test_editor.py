"""The editor as a person uses it: keys, mouse, finding, files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input, Label

from meerkat.core.edits import Edit
from meerkat.tui.session import State
from tests.tui.desk import Seat, seat
from tests.tui.memory_folder import MemoryFolder

Script = Callable[[Seat, MemoryFolder], Awaitable[None]]
TEXT = "# Notes\n\nalpha beta gamma\n    indented\nlast"


def play(script: Script, text: str = TEXT, **options: object) -> MemoryFolder:
    """One person with one text."""
    folder = MemoryFolder({"notes.md": text, "src/app.py": "import os\n", "src/other.py": ""})

    async def run() -> None:
        async with seat(folder, "notes.md", **options) as one:  # type: ignore[arg-type]
            await script(one, folder)

    asyncio.run(run())
    return folder


def test_what_is_typed_is_in_the_folder_and_on_the_screen() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+end", "enter", "h", "i", "space")
        await one.write("😀")
        assert folder.text("notes.md") == TEXT + "\nhi 😀"
        assert one.screen()[5].strip().startswith("6")
        assert "hi 😀" in one.screen()[5]
        await one.until(lambda: one.app.buffer.session.is_saved)

    play(script)


def test_movements_and_selections() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("down", "down", "ctrl+right", "ctrl+right")
        assert one.caret == (3, 11)
        await one.press("ctrl+shift+left")
        assert one.selected == "beta"
        await one.press("left")
        assert one.caret == (3, 7)
        await one.press("end", "down")
        assert one.caret == (4, 13)  # the goal is kept, the line is shorter
        await one.press("home")
        assert one.caret == (4, 5)
        await one.press("home")
        assert one.caret == (4, 1)
        await one.press("ctrl+end", "shift+up")
        assert one.selected == "    indented\nlast"[4:]
        await one.press("ctrl+a", "x")
        assert one.text == "x"

    play(script)


def test_undo_takes_back_words_and_only_ours() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.write("one two three ")
        folder.type("notes.md", [Edit(4, 0, "THEIRS ")])
        await one.press("ctrl+z")
        assert one.text == "one THEIRS two " + TEXT
        await one.press("ctrl+z", "ctrl+z")
        assert one.text == "THEIRS " + TEXT
        await one.press("ctrl+z")
        assert one.text == "THEIRS " + TEXT
        await one.press("ctrl+y")
        assert one.text.replace("THEIRS ", "") == "one " + TEXT
        assert folder.text("notes.md") == one.text

    play(script)


def test_caret_selection_and_scroll_stay_where_they_belong() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        for _ in range(60):
            await one.press("down")
        await one.press("shift+end")
        before = one.selected
        screen = one.screen()
        folder.type("notes.md", [Edit(0, 0, "new\nlines\nabove\n"), Edit(7, 0, "more")])
        await one.pilot.pause()
        assert one.selected == before == "line 60"
        assert one.caret[0] == 64
        # The row is where it was, under another number.
        rows = [y for y, row in enumerate(screen) if "line 60" in row]
        assert [y for y, row in enumerate(one.screen()) if "line 60" in row] == rows

    play(script, "\n".join(f"line {number}" for number in range(100)))


def test_lines_move_copy_and_go() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("alt+down")
        assert one.text == "two\none\nthree"
        await one.press("alt+down", "alt+up", "ctrl+d")
        assert one.text == "two\none\none\nthree"
        assert one.caret == (3, 1)
        await one.press("ctrl+k", "ctrl+k")
        assert one.text == "two\none"
        await one.press("ctrl+z", "ctrl+z")
        assert one.text == "two\none\none\nthree"

    play(script, "one\ntwo\nthree")


def test_indentation_is_guessed_and_kept() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        assert one.app.buffer.editing.indent.text == "  "
        await one.press("down", "end", "enter", "x")
        assert one.text.splitlines()[2] == "  x"
        await one.press("backspace", "backspace")
        assert one.text.splitlines()[2] == ""
        await one.press("ctrl+a", "tab")
        assert one.text.splitlines()[0] == "  if a:"
        await one.press("shift+tab", "shift+tab")
        assert one.text.splitlines()[1] == "b"
        await one.press("ctrl+slash")
        assert one.text.splitlines()[1] == "# b"

    play(script, "if a:\n  b\nif c:\n  d\n")


def test_clipboard_takes_a_line_without_a_selection() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+c", "down", "right", "ctrl+v")
        assert one.text == "one\none\ntwo"
        await one.press("ctrl+a", "ctrl+x")
        assert one.text == ""
        await one.press("ctrl+v")
        assert one.text == "one\none\ntwo"

    play(script, "one\ntwo")


def test_a_large_paste_is_one_step() -> None:
    pasted = "päste\r\n" * 20_000

    async def script(one: Seat, folder: MemoryFolder) -> None:
        one.app.post_message(events.Paste(pasted))
        await one.until(lambda: len(one.text) > 100)
        assert one.text == pasted.replace("\r\n", "\n") + TEXT
        assert folder.text("notes.md") == one.text
        await one.press("ctrl+z")
        assert one.text == TEXT

    play(script)


def test_find_marks_counts_and_goes_round() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+f")
        one.app.find_bar.query_one("#find", Input).value = "AB"
        await one.pilot.pause()
        assert one.selected == "ab"
        assert one.caret == (1, 3)
        await one.press("enter")
        assert one.caret == (2, 3)
        await one.press("enter", "enter")
        assert one.caret == (1, 3)
        await one.press("up")
        assert one.caret == (3, 4)
        await one.press("alt+w")
        assert one.selected == "Ab"
        await one.press("alt+c")
        assert str(one.app.find_bar.query_one("#found", Label).render()) == "not found"
        await one.press("escape")
        assert one.app.view.has_focus

    play(script, "abc\nabd\n(Ab)")


def test_replace_all_is_one_step_of_undo() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+r")
        one.app.find_bar.query_one("#find", Input).value = r"(\w)(\d)"
        await one.press("alt+r")
        one.app.find_bar.query_one("#replace", Input).value = r"\2\1é"
        await one.press("alt+a")
        assert one.text == "1aé 2bé\n" * 2_000
        assert folder.text("notes.md") == one.text
        await one.press("escape", "ctrl+z")
        assert one.text == "a1 b2\n" * 2_000

    play(script, "a1 b2\n" * 2_000)


def test_replace_one_after_the_other() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+r")
        one.app.find_bar.query_one("#find", Input).value = "a"
        one.app.find_bar.query_one("#replace", Input).value = "bb"
        await one.pilot.pause()
        one.app.find_bar.query_one("#replace", Input).focus()
        await one.press("enter", "enter")
        assert one.text == "bb bb a"

    play(script, "a a a")


@pytest.mark.parametrize("wrong", ["(", "*", "[z-a]"])
def test_a_wrong_expression_is_said_not_raised(wrong: str) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+f", "alt+r")
        one.app.find_bar.query_one("#find", Input).value = wrong
        await one.pilot.pause()
        said = str(one.app.find_bar.query_one("#found", Label).render())
        assert said.startswith("Not a regular expression")

    play(script)


def test_the_mouse_puts_selects_and_scrolls() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        view = one.app.view
        left = view.margin_left
        await one.pilot.click(view, offset=(left + 3, 2))
        assert one.caret == (3, 4)
        await one.pilot.click(view, offset=(left + 7, 2), times=2)
        assert one.selected == "beta"
        await one.pilot.click(view, offset=(left + 7, 2), times=3)
        assert one.selected == "alpha beta gamma\n"
        await one.pilot.mouse_down(view, offset=(left, 0))
        await one.pilot.hover(view, offset=(left + 5, 2))
        await one.pilot.mouse_up(view, offset=(left + 5, 2))
        assert one.selected == "# Notes\n\nalpha"

    play(script)


def test_the_wheel_scrolls_without_the_caret() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        one.app.view.scroll_rows(3)
        assert one.app.view.viewport.top.line == 3
        assert one.caret == (1, 1)
        one.app.view.scroll_rows(10_000)
        assert one.app.view.viewport.top.line == 100 - one.app.view.viewport.height
        await one.press("down")
        assert one.app.view.viewport.top.line == 0

    play(script, "\n".join(map(str, range(100))))


def test_the_picker_finds_by_letters_and_opens() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+o")
        await one.press("a", "p", "p", "enter")
        await one.until(lambda: one.text == "import os\n")
        assert one.app.buffer.path == "src/app.py"
        assert one.app.buffer.highlighter.name == "Python"
        await one.press("x")
        await one.until(lambda: folder.text("src/app.py") == "ximport os\n")

    play(script)


def test_goto_and_help() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.press("ctrl+g", "3", ":", "5", "enter")
        assert one.caret == (3, 5)
        await one.press("f1")
        assert len(one.app.screen_stack) == 2
        await one.press("escape", "!")
        assert "alph!a" in one.text

    play(script)


def test_wrapping_shows_all_of_a_line_and_not_wrapping_scrolls() -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        assert "".join(one.screen()).count("word") == 60
        await one.press("end", "end")
        await one.press("f5")
        assert one.screen()[0].count("word") < 20
        await one.press("end")
        assert one.screen()[0].rstrip().rstrip("│┃ ").endswith("word 60")

    play(script, " ".join(f"word {number + 1}" for number in range(60)))


@pytest.mark.parametrize(
    ("text", "column", "cell"),
    [
        ("日本語x", 3, 6),
        ("👨‍👩‍👧x", 5, 3),
        ("👍🏽x", 2, 3),
        ("❤️x", 2, 1),
        ("e\u0301x", 2, 1),
        ("\tx", 1, 4),
        ("\x1bx", 1, 1),
        ("\u202ex", 1, 6),
        ("a\u200dbx", 3, 2),
    ],
)
def test_wide_marked_and_hidden_characters_stand_right(text: str, column: int, cell: int) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        view = one.app.view
        await one.press("end", "left")
        assert one.caret == (1, column + 1)
        assert view.viewport.locate(column)[1] == cell
        assert "\x1b" not in one.screen()[0]
        assert "\u202e" not in one.screen()[0]
        await one.pilot.click(view, offset=(view.margin_left + cell, 0))
        assert one.caret == (1, column + 1)

    play(script, text)


def test_a_new_file_is_made_with_the_first_key(tmp_path: Path) -> None:
    folder = MemoryFolder({})

    async def run() -> None:
        async with seat(folder, "deep/new.md", root=tmp_path, is_new=True) as one:
            assert one.app.buffer.session.state is State.NEW
            assert os.listdir(tmp_path) == []
            await one.write("Hello")
            await one.until((tmp_path / "deep" / "new.md").exists)
            folder.make("deep/new.md", "")  # the folder's process finds it
            await one.until(lambda: folder.text("deep/new.md") == "Hello")

    asyncio.run(run())


def test_a_text_that_would_grow_too_large_is_refused_and_said() -> None:
    text = "x" * 1023 + "\n"

    async def script(one: Seat, folder: MemoryFolder) -> None:
        one.app.post_message(events.Paste(text * 10))
        await one.pilot.pause()
        assert len(one.text) == len(text) * 4_090
        assert one.app.buffer.session.state is State.LIVE
        one.app.post_message(events.Paste(text))
        await one.until(lambda: len(one.text) == len(text) * 4_091)

    play(script, text * 4_090)
