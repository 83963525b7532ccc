"""Where characters stand, and how words are colored."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from meerkat.core.edits import Edit
from meerkat.tui.cells import LONG_LINE, line_cells
from meerkat.tui.fuzzy import rank
from meerkat.tui.highlight import Highlighter, lexer_for
from meerkat.tui.indent import guess_indent
from meerkat.tui.keymap import ACTIONS, APP_KEYS, EDITING_KEYS, help_text
from meerkat.tui.lines import Lines
from meerkat.tui.viewport import Place, Viewport

LINES = st.text(
    st.sampled_from("ab \té日😀👨\u200d👩\u0301\ufe0f\u202e\x1b\r\x7f\u2028\u0600\u200b🇩🇪"),
    max_size=40,
)
PROGRAM = '''"""A module
with a long text."""

def function(name: str) -> int:
    """Says
    something."""
    value = f"{name} and 'more'"  # a comment
    return len(value) + 42
''' * 12  # fmt: skip


@given(LINES, st.integers(2, 8))
def test_clusters_cover_a_line_and_rows_fit(text: str, tab: int) -> None:
    cells = line_cells(text, tab)
    for width in (8, 20):
        starts = cells.rows(width)
        rows = [cells.row(starts, number, tab) for number in range(len(starts))]
        assert rows[0].start == 0
        assert rows[-1].end == len(text)
        at = 0
        for row in rows:
            assert row.start == at
            at = row.end
            shown = list(row.clusters())
            assert sum(cluster.width for cluster in shown) <= max(width, 8)
            for cluster in shown:
                assert cell_len(cluster.text) == cluster.width
                assert row.x_of(cluster.start) == cluster.x
                assert row.column_at(cluster.x) == cluster.start
    at = 0
    while at < len(text):
        after = cells.after(at)
        assert after > at
        assert cells.before(after) == at
        at = after


@given(LINES)
def test_nothing_is_drawn_that_a_terminal_obeys(text: str) -> None:
    cells = line_cells(text, 4)
    row = cells.row((0,), 0, 4)
    shown = "".join(cluster.text for cluster in row.clusters())
    assert not set(shown) & set("\x1b\r\x7f\u202e\u2028\t\u200b")


@pytest.mark.parametrize("letter", ["x", "日", "\u202e"])
def test_a_very_long_line_has_rows_without_being_measured(letter: str) -> None:
    viewport = Viewport(Lines(letter * (LONG_LINE * 100) + "\nlast"))
    viewport.width, viewport.height, viewport.wrap = 40, 10, False
    end = LONG_LINE * 100
    viewport.reveal(end)
    assert viewport.screen_y(end) is not None
    assert viewport.step(Place(0), 10**9).line == 1


def test_rows_break_behind_words() -> None:
    text = "some words and a verylongwordthatfitsnowhere end"
    starts = line_cells(text, 4).rows(12)
    assert [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)] == [
        "some words ",
        "and a ",
        "verylongword",
        "thatfitsnowh",
        "ere end",
    ]


def kinds(text: str, path: str) -> list[list[tuple[int, int, str]]]:
    lines = Lines(text)
    found = Highlighter(lines, lexer_for(path))
    while found.work():
        pass
    return found.spans(0, len(lines))


@pytest.mark.parametrize("seed", range(8))
def test_words_keep_their_colors_as_the_text_changes(seed: int) -> None:
    chance = random.Random(seed)
    lines = Lines(PROGRAM)
    highlighter = Highlighter(lines, lexer_for("a.py"))
    for _ in range(30):
        at = chance.randrange(lines.length)
        deleted = min(chance.choice([0, 0, 1, 60]), lines.length - at)
        inserted = chance.choice(["x", '"', "# ", "\n", "\n\ndef f():\n", ""])
        first, last = lines.position(at)[0], lines.position(at + deleted)[0]
        lines.apply([Edit(at, deleted, inserted)])
        highlighter.changed(first, last, inserted.count("\n") + 1)
        shown = min(lines.position(at)[0], len(lines) - 1)
        highlighter.spans(shown, min(shown + 20, len(lines)))
    while highlighter.work():
        pass
    assert highlighter.spans(0, len(lines)) == kinds(lines.text, "a.py")


def test_a_comment_opened_far_above_reaches_the_screen() -> None:
    text = "int a = 1;\n" * 500
    lines = Lines(text)
    highlighter = Highlighter(lines, lexer_for("a.js"))
    highlighter.spans(400, 410)
    lines.apply([Edit(0, 0, "/*")])
    highlighter.changed(0, 0, 1)
    lines.apply([Edit(lines.length, 0, "*/")])
    highlighter.changed(len(lines) - 1, len(lines) - 1, 1)
    while highlighter.work():
        pass
    assert [kind for _, _, kind in highlighter.spans(400, 401)[0]] == ["comment"]


@pytest.mark.parametrize("path", ["a.md", "a.yaml", "a.html", "a.c", "Makefile", "a.tex", "a.json"])
def test_every_kind_of_lexer_is_survived(path: str) -> None:
    text = PROGRAM + "<a href='x'>{% %}\n\\begin{x}\n- a: [1, 2]\n"
    assert len(kinds(text, path)) == text.count("\n") + 1


def test_a_name_that_no_lexer_knows_is_plain() -> None:
    assert lexer_for("a.unheardof") is None
    assert kinds("def x", "a.unheardof") == [[]]


@pytest.mark.parametrize(
    ("text", "path", "shown"),
    [
        ("a:\n  b\n  c:\n    d\n", "x", "Spaces 2"),
        ("a\n\tb\n\t\tc\n", "x", "Tabs 4"),
        ("a\n    b\n        c\n    d\n", "x", "Spaces 4"),
        ("", "Makefile", "Tabs 8"),
        ("", "a.ts", "Spaces 2"),
        ("", "a.py", "Spaces 4"),
        (" * a\n * b\n", "a.md", "Spaces 4"),
    ],
)
def test_indentation(text: str, path: str, shown: str) -> None:
    assert str(guess_indent(text.split("\n"), path)) == shown


def test_the_picker_prefers_names_and_beginnings_of_words() -> None:
    paths = ["docs/app.md", "src/a/p/p.txt", "src/app.py", "application/main.py", "notes.md"]
    assert next(path for path, _ in rank("app", paths, 3)) in ("src/app.py", "docs/app.md")
    assert rank("nomd", paths, 5)[0] == ("notes.md", [0, 1, 6, 7])
    assert rank("", paths, 2) == [("docs/app.md", ()), ("src/a/p/p.txt", ())]
    assert rank("zzz", paths, 5) == []
    assert rank("İ", ["İstanbul"], 5)


def test_every_key_means_one_thing_and_can_be_done() -> None:
    from meerkat.tui.actions import Actions
    from meerkat.tui.commands import Commands

    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))
    for name in set(APP_KEYS.values()):
        assert callable(getattr(Actions, f"_do_{name}"))
    moves = {"left", "right", "up", "down", "word_left", "word_right", "home", "end"}
    moves |= {"page_up", "page_down", "text_start", "text_end", "scroll_up", "scroll_down"}
    for name in set(EDITING_KEYS.values()):
        if name.removeprefix("select_") not in moves:
            assert callable(getattr(Commands, f"_do_{name}"))


def test_the_page_has_every_key() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "edit.md").read_text()
    for keys, says in help_text():
        assert f"| {keys} | {says} |" in page
