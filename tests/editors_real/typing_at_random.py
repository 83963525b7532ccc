"""Keys that a person might type, at random: what a fuzz run types into Neovim."""

from __future__ import annotations

import random

__all__ = ["random_keys", "random_text"]

PIECES = ["a", "bc", "é", "e\u0301", "😀", "👩‍👩‍👧", "ß", "x y", "\t", "—", "0", "hello", "漢字"]
MOVES = ["gg", "G", "j", "k", "h", "l", "0", "$", "w", "b", "e", "3j", "2k", "5l", "^"]
EDITING_KEYS = ["<CR>", "<BS>", "<BS><BS>", "<C-w>", "<C-u>", "<Del>", "<Left>b"]
# Each leaves normal mode as it found it; <BS>, CTRL-W and CTRL-U delete before the start, too.
COMMANDS = [
    "x",
    "X",
    "dd",
    "2dd",
    "dw",
    "db",
    "D",
    "dG",
    "dgg",
    "J",
    "3J",
    "~",
    "yyp",
    "yyP",
    "yiwP",
    "ddp",
    "ddP",
    "u",
    "u",
    "2u",
    "<C-r>",
    ":undo<CR>",
    ":redo<CR>",
    ":%s/a/éé/ge<CR>",
    ":%s/e/\\r/e<CR>",
    ":%s/\\n/ /e<CR>",
    ":2,3s/./&&/ge<CR>",
    ":g/o/d<CR>",
    ":g/^$/d<CR>",
    ":g/./t.<CR>",
    ":g/./m0<CR>",
    ":2m0<CR>",
    ":1m$<CR>",
    ":sort<CR>",
    ":set noeol<CR>",
    ":set eol<CR>",
    ":%norm Az<CR>",
    ":2,4d<CR>",
    ":%join<CR>",
    "Vd",
    "Vjd",
    "VGd",
    "vjd",
    "vey",
    "p",
    "P",
    "3p",
    "<C-v>jd",
    "<C-v>jlcq<Esc>",
    "<C-v>jIb<Esc>",
    "<C-v>GA😀<Esc>",
    "gUU",
    "g~w",
    ">>",
    "<lt><lt>",
    "rZ",
    "ré",
    "gqq",
    ".",
    "..",
    "<C-a>",
    "&",
    "ggdG",
    "S<Esc>",
    "cc<Esc>",
]


def random_text(chance: random.Random, size: int) -> str:
    """A text of up to ``size`` pieces; sometimes without a final newline, sometimes empty."""
    pieces = [*PIECES, "\n", "\n", "\n", "\r", "\x0b", "\u2028"]
    text = "".join(chance.choice(pieces) for _ in range(chance.randint(0, size)))
    return text + "\n" if text and chance.random() < 0.7 else text


def random_keys(chance: random.Random) -> str:
    """Some keys from normal mode; they may leave Neovim in insert mode."""
    kind = chance.random()
    move = chance.choice(MOVES)
    if kind < 0.45:
        typed = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 4)))
        typed = typed.replace("<", "<lt>")
        if chance.random() < 0.3:
            typed += chance.choice(
                ["<CR>", "<BS>", "<BS><BS>", "<C-w>", "<C-u>", "<Del>", "<Left>b"]
            )
        enter = chance.choice(["i", "a", "A", "I", "o", "O", "R", "cw", "s", "C"])
        leave = "<Esc>" if chance.random() < 0.7 else ""
        return move + enter + typed + leave
    if kind < 0.55:
        return move
    return move + chance.choice(COMMANDS)
