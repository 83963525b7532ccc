"""Several people in one text, and a folder's process that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from meerkat.core.edits import Edit
from meerkat.tui.session import State
from tests.tui.desk import Seat, seat
from tests.tui.memory_folder import MemoryFolder

TEXT = "one\ntwo 日本 😀\nthree\n"
Script = Callable[[Seat, Seat], Awaitable[None]]


def play_two(script: Script, text: str = TEXT) -> None:
    """Two people at two editors with one text."""
    folder = MemoryFolder({"a.md": text, "b.md": "another"})

    async def run() -> None:
        async with seat(folder, "a.md") as one, seat(folder, "a.md") as other:
            await script(one, other)

    asyncio.run(run())


def play(script: Callable[[Seat, MemoryFolder], Awaitable[None]], root: Path) -> MemoryFolder:
    folder = MemoryFolder({"a.md": TEXT, "b.md": "another"})

    async def run() -> None:
        async with seat(folder, "a.md", root=root) as one:
            await script(one, folder)

    asyncio.run(run())
    return folder


def banner(one: Seat) -> str:
    shown = one.app.banner
    return f"{shown.text} | {shown.choices}" if shown.display else ""


def test_two_type_and_see_each_other() -> None:
    async def script(one: Seat, other: Seat) -> None:
        await one.press("down", "end")
        await one.write(" left")
        await other.press("ctrl+end")
        await other.write("right")
        await one.until(lambda: one.text == other.text == "one\ntwo 日本 😀 left\nthree\nright")
        await one.until(lambda: len(one.app.view.people) == 1)
        await one.until(lambda: one.app.view.people[0].span.head == len(one.text))
        await other.press("up", "home", "shift+end")
        await one.until(lambda: one.app.view.people[0].span.end > one.app.view.people[0].span.start)
        cursor = one.app.view.people[0]
        assert (
            one.app.buffer.editing.lines.slice(cursor.span.start, cursor.span.end) == other.selected
        )
        assert cursor.name == "me"

    play_two(script)


def test_cursors_are_exact_behind_emoji_and_move_with_the_text() -> None:
    async def script(one: Seat, other: Seat) -> None:
        at = TEXT.index("😀")
        other.app.buffer.editing.select(at, at + 1)
        await one.until(lambda: bool(one.app.view.people))
        await one.until(lambda: one.app.view.people[0].span.end == at + 1)
        await one.write("日😀 ")
        assert one.app.view.people[0].span.start == at + 3
        await one.until(lambda: other.app.buffer.editing.span.start == at + 3)
        assert other.selected == "😀"

    play_two(script)


def test_undo_is_each_ones_own() -> None:
    async def script(one: Seat, other: Seat) -> None:
        await one.write("AAA ")
        await other.until(lambda: other.text.startswith("AAA"))
        await other.press("ctrl+end")
        await other.write("bbb")
        await one.until(lambda: one.text.endswith("bbb"))
        await one.press("ctrl+z")
        await other.until(lambda: other.text == one.text == TEXT + "bbb")
        await other.press("ctrl+z")
        await other.until(lambda: one.text == TEXT)

    play_two(script)


def test_a_cursor_is_drawn_with_its_name_and_goes_away(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.show("a.md", "Bob\x1b[31m", "#d9480f", (4, 7))
        await one.pilot.pause()
        assert "Bob" in one.screen()[1]
        assert "\x1b" not in one.screen()[1]
        styles = {str(piece.style) for piece in one.app.view.render_line(1)}
        assert any("on #d9480f" in style for style in styles)
        folder.show("a.md", "Bob\x1b[31m", "#d9480f")
        await one.pilot.pause()
        assert "Bob" not in one.screen()[1]

    play(script, tmp_path)


def test_following_goes_where_the_other_goes_until_a_key(tmp_path: Path) -> None:
    long = "\n".join(f"line {number}" for number in range(300))

    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.make("long.md", long)
        folder.be_in("Bob", "#d9480f", "long.md")
        await one.until(lambda: len(one.app.around.here) == 1)
        await one.press("f4")
        await one.until(lambda: one.app.buffer.path == "long.md" and one.text == long)
        assert one.app.around.following is not None
        at = long.index("line 200")
        folder.show("long.md", "Bob", "#d9480f", (at, at))
        await one.until(lambda: any("line 200" in row for row in one.screen()))
        assert one.caret == (1, 1)
        await one.press("right")
        assert one.app.around.following is None
        folder.show("long.md", "Bob", "#d9480f", (0, 0))
        folder.be_in("Bob", "#d9480f", "b.md")
        await one.pilot.pause()
        assert one.app.buffer.path == "long.md"

    play(script, tmp_path)


def test_the_panel_lists_people_and_goes_there(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.be_in("Bob", "#d9480f", "b.md")
        folder.be_in("Eve", "#1971c2", "a.md")
        await one.until(lambda: len(one.app.around.here) == 2)
        await one.press("f2", "enter")
        await one.until(lambda: one.app.buffer.path == "b.md")
        await one.press("f2")
        assert one.app.view.has_focus or one.app.panel.has_focus

    play(script, tmp_path)


def test_typing_goes_on_while_the_process_is_away(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.until(lambda: one.app.buffer.session.is_saved)
        one.desk.go_away()
        await one.until(lambda: one.app.buffer.session.state is State.OFFLINE)
        await one.write("offline ")
        folder.type("a.md", [Edit(len(TEXT), 0, "meanwhile")])
        assert folder.text("a.md") == TEXT + "meanwhile"
        one.desk.come_back()
        await one.live()
        await one.until(lambda: one.text == "offline " + TEXT + "meanwhile")
        assert folder.text("a.md") == one.text
        await one.press("ctrl+z")
        assert one.text == TEXT + "meanwhile"
        await one.until(lambda: one.app.buffer.session.is_saved)

    play(script, tmp_path)


def test_a_stale_document_is_kept_aside_and_begun_anew(tmp_path: Path) -> None:
    (tmp_path / ".meerkat").mkdir()

    async def script(one: Seat, folder: MemoryFolder) -> None:
        one.desk.go_away()
        await one.write("unsynced ")
        del folder.bridges["a.md"]
        folder.make("a.md", "restored")  # of another time: a new document
        folder._store = type(folder._store)()
        folder.make("a.md", "restored")
        one.desk.come_back()
        await one.until(lambda: one.text == "restored")
        kept = list((tmp_path / ".meerkat" / "unsynced").iterdir())
        assert [file.read_text() for file in kept] == ["unsynced " + TEXT]
        assert kept[0].name in banner(one)
        assert folder.text("a.md") == "restored"

    play(script, tmp_path)


def test_a_deleted_file_can_be_made_again(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.end("a.md", "deleted", "a.md was deleted; what you see was its last text.")
        await one.pilot.pause()
        assert "was deleted" in banner(one)
        await one.press("x")
        assert one.text == TEXT
        await one.press("r")
        assert (tmp_path / "a.md").read_text() == TEXT
        folder.make("a.md", TEXT)
        await one.until(lambda: one.app.buffer.session.state is State.LIVE)
        await one.press("x")
        await one.until(lambda: folder.text("a.md") == "x" + TEXT)

    play(script, tmp_path)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"a\r\nb\r\n", "a\nb\n"), (b"0\r\r\n", "0\r\r\n"), (b"a\rb\r\n", "a\rb\r\n")],
)
def test_it_is_made_again_with_its_line_ends(tmp_path: Path, data: bytes, text: str) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        file = tmp_path / "b.md"
        file.write_bytes(data)
        folder.make("b.md", text)
        one.app.open_path("b.md")
        await one.until(lambda: one.app.buffer.session.state is State.LIVE)
        file.unlink()
        folder.end("b.md", "deleted", "b.md was deleted; what you see was its last text.")
        await one.pilot.pause()
        await one.press("r")
        assert file.read_bytes() == data

    play(script, tmp_path)


def test_a_replaced_file_is_opened_anew_or_put_back(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.end("a.md", "replaced", "a.md was replaced as a whole; open it again.")
        folder._store = type(folder._store)()
        folder.make("a.md", "another text")
        await one.pilot.pause()
        assert one.app.buffer.editing.read_only
        await one.press("r")
        await one.until(lambda: folder.text("a.md") == TEXT)
        await one.press("ctrl+z")
        await one.until(lambda: one.text == folder.text("a.md") == "another text")

    play(script, tmp_path)


def test_a_file_that_is_no_text_any_more_is_left(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.end("a.md", "binary", "a.md is not a text any more.")
        await one.pilot.pause()
        assert "another file" in banner(one)
        await one.press("o")
        await one.press("b", "enter")
        await one.until(lambda: one.text == "another")
        assert banner(one) == ""

    play(script, tmp_path)


def test_a_file_that_moves_takes_the_editor_along(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        folder.move("a.md", "sub/a.py")
        await one.pilot.pause()
        assert one.app.title_bar.title == "sub/a.py"
        assert one.app.buffer.highlighter.name == "Python"
        await one.press("x")
        await one.until(lambda: folder.text("sub/a.py") == "x" + TEXT)

    play(script, tmp_path)


def test_leaving_while_the_process_is_away_keeps_what_was_typed(tmp_path: Path) -> None:
    (tmp_path / ".meerkat").mkdir()

    async def script(one: Seat, folder: MemoryFolder) -> None:
        one.desk.go_away()
        await one.write("typed ")
        await one.leave()
        assert any("is kept in .meerkat/unsynced/" in word for word in one.app.return_value or [])

    play(script, tmp_path)
    (kept,) = (tmp_path / ".meerkat" / "unsynced").iterdir()
    assert kept.read_text() == "typed " + TEXT


def test_it_says_whether_all_is_saved_and_synced(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.until(lambda: one.app.status.state == "synced")
        folder.is_synced = False
        await one.write("x")
        await one.until(lambda: one.app.status.state == "saved")
        folder.is_synced = True
        folder.tell_all("synced")
        await one.until(lambda: one.app.status.state == "synced")
        assert "2 linked" in one.app.status.facts

    play(script, tmp_path)


def test_a_file_that_was_deleted_while_the_process_was_away_is_not_lost(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        one.desk.go_away()
        await one.write("x")
        del folder.bridges["a.md"]
        one.desk.come_back()
        await one.until(lambda: "was deleted meanwhile" in banner(one))
        assert one.text == "x" + TEXT
        await one.press("r")
        assert (tmp_path / "a.md").read_text() == "x" + TEXT

    play(script, tmp_path)


def test_leaving_waits_until_all_is_saved(tmp_path: Path) -> None:
    async def script(one: Seat, folder: MemoryFolder) -> None:
        await one.write("typed ")
        await one.leave()
        assert [word for word in one.app.return_value or [] if word] == []

    assert play(script, tmp_path).text("a.md") == "typed " + TEXT


@pytest.mark.parametrize("frame", [b"", b"\x00\x09\x00", b"\x00\x02\x05hello", b"\x01\x01\xff"])
def test_a_frame_without_sense_begins_the_document_anew(tmp_path: Path, frame: bytes) -> None:
    (tmp_path / ".meerkat").mkdir()

    async def script(one: Seat, folder: MemoryFolder) -> None:
        before = one.app.buffer
        number = before.session._session
        assert number is not None
        folder._deliver([(session, frame) for session in folder.bridges["a.md"].sessions])
        await one.until(lambda: one.app.buffer is not before)
        await one.live()
        await one.until(lambda: one.text == TEXT)

    play(script, tmp_path)
