"""Which key does what, in one table: the editor reads it, and so does its help."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ACTIONS", "APP_KEYS", "EDITING_KEYS", "help_text"]


class Action(NamedTuple):
    """One thing a person can do. ``shown``: its keys as the help names them; empty: not there."""

    name: str
    keys: tuple[str, ...]
    shown: str
    says: str


def _both(name: str, keys: str, shown: str, says: str) -> tuple[Action, Action]:
    """A movement, and the same with shift, which selects."""
    plain = tuple(keys.split())
    shifted = tuple(
        key.replace("ctrl+", "ctrl+shift+") if key.startswith("ctrl+") else f"shift+{key}"
        for key in plain
    )
    return Action(name, plain, shown, says), Action(f"select_{name}", shifted, "", "")


MOVES = (
    *_both("left", "left", "arrows", "move; with Shift: select"),
    *_both("right", "right", "", ""),
    *_both("up", "up", "", ""),
    *_both("down", "down", "", ""),
    *_both("word_left", "ctrl+left", "Ctrl ← →", "word by word"),
    *_both("word_right", "ctrl+right", "", ""),
    *_both("home", "home", "Home End", "the line's first word, its beginning; its end"),
    *_both("end", "end", "", ""),
    *_both("page_up", "pageup", "PgUp PgDn", "a screen up or down"),
    *_both("page_down", "pagedown", "", ""),
    *_both("text_start", "ctrl+home", "Ctrl Home End", "the text's beginning, its end"),
    *_both("text_end", "ctrl+end", "", ""),
    Action("scroll_up", ("ctrl+up",), "Ctrl ↑ ↓", "scroll, the caret stays"),
    Action("scroll_down", ("ctrl+down",), "", ""),
    Action("select_all", ("ctrl+a",), "Ctrl A", "select all"),
    Action("select_line", ("ctrl+l",), "Ctrl L", "select the line, and the next"),
)
EDITS = (
    Action("undo", ("ctrl+z",), "Ctrl Z", "undo what you did last, never what others did"),
    Action("redo", ("ctrl+y", "ctrl+shift+z"), "Ctrl Y", "redo it"),
    Action(
        "cut", ("ctrl+x", "shift+delete"), "Ctrl X C V", "cut, copy, paste (no selection: the line)"
    ),
    Action("copy", ("ctrl+c", "ctrl+insert"), "", ""),
    Action("paste", ("ctrl+v", "shift+insert"), "", ""),
    Action("newline", ("enter", "shift+enter"), "", ""),
    Action("delete_left", ("backspace", "shift+backspace", "ctrl+h"), "", ""),
    Action("delete_right", ("delete",), "", ""),
    Action(
        "delete_word_left",
        ("ctrl+w", "ctrl+backspace", "alt+backspace"),
        "Ctrl W",
        "delete the word before",
    ),
    Action("delete_word_right", ("ctrl+delete", "alt+d"), "Ctrl Del", "delete the word behind"),
    Action("delete_line", ("ctrl+k",), "Ctrl K", "delete the line"),
    Action("copy_line", ("ctrl+d",), "Ctrl D", "the line once more"),
    Action("lines_up", ("alt+up",), "Alt ↑ ↓", "move the line or the selected lines"),
    Action("lines_down", ("alt+down",), "", ""),
    Action("tab", ("tab",), "Tab", "indent; Shift Tab: less"),
    Action("untab", ("shift+tab",), "", ""),
    Action(
        "comment",
        ("ctrl+underscore", "ctrl+slash", "alt+slash"),
        "Ctrl /",
        "comment or uncomment the lines",
    ),
)
APP = (
    Action("find", ("ctrl+f",), "Ctrl F", "find (F3, Shift F3: next, previous)"),
    Action("replace", ("ctrl+r",), "Ctrl R", "find and replace"),
    Action("find_next", ("f3",), "", ""),
    Action("find_previous", ("shift+f3",), "", ""),
    Action("goto", ("ctrl+g",), "Ctrl G", "go to a line, or line:column"),
    Action("files", ("ctrl+o", "ctrl+p"), "Ctrl O", "open another file, or a new one"),
    Action("people", ("f2",), "F2", "who is here; Enter: go there and follow"),
    Action("follow", ("f4",), "F4", "follow somebody, until you press a key"),
    Action("wrap", ("f5", "alt+z"), "F5", "wrap long lines or not"),
    Action("numbers", ("f6",), "F6", "line numbers or not"),
    Action("light", ("f7",), "F7", "light or dark"),
    Action("indent", ("f8",), "F8", "indent with tabs, 2, 4 or 8 blanks"),
    Action("saved", ("ctrl+s",), "Ctrl S", "nothing to do: every key is saved"),
    Action("help", ("f1", "alt+h"), "F1 or Alt H", "this help"),
    Action("leave", ("ctrl+q",), "Ctrl Q", "leave; nothing is lost"),
    Action("escape", ("escape",), "Esc", "close what is open, select nothing, follow nobody"),
)  # fmt: skip

ACTIONS = (*MOVES, *EDITS, *APP)
EDITING_KEYS = {key: one.name for one in (*MOVES, *EDITS) for key in one.keys}
APP_KEYS = {key: one.name for one in APP for key in one.keys}


def help_text() -> list[tuple[str, str]]:
    """(keys, what they do) for people, in the table's order."""
    return [(one.shown, one.says) for one in ACTIONS if one.shown]
