"""What the keys of the text itself do: moving the caret on the screen, and editing.

Decides how a movement relates to the screen (rows, pages). What a change does to the text is
``editing.py``'s.
"""

from __future__ import annotations

from collections.abc import Callable

from meerkat.core.edits import Edit

from . import moves
from .lines import Lines
from .view import TextView

__all__ = ["Commands"]

Clipboard = Callable[[str], None]


class Commands:
    """Carries out the actions of ``keymap.EDITING_KEYS`` on a view, by name."""

    def __init__(self, view: TextView, copy: Clipboard) -> None:
        self._view = view
        self._copy = copy
        self._clipboard = ""
        self._clipboard_is_lines = False
        self._goal_moves = {
            "up": lambda: self._rows(-1),
            "down": lambda: self._rows(1),
            "page_up": lambda: self._page(-1),
            "page_down": lambda: self._page(1),
        }
        self._moves: dict[str, Callable[[], int]] = {
            "left": self._left,
            "right": self._right,
            "word_left": lambda: moves.word_left(self._lines, self._head),
            "word_right": lambda: moves.word_right(self._lines, self._head),
            "home": self._home,
            "end": self._end,
            "text_start": lambda: 0,
            "text_end": lambda: self._lines.length,
        }

    def run(self, name: str) -> bool:
        """Do it; False if there is nothing of this name."""
        view, editing = self._view, self._view.editing
        select = name.startswith("select_") and name not in ("select_all", "select_line")
        move = name.removeprefix("select_") if select else name
        if move in self._goal_moves:
            editing.put(self._goal_moves[move](), select=select)
        elif move in self._moves:
            view.goal = None
            at = self._moves[move]()
            if not select and move in ("left", "right") and not editing.span.is_empty:
                at = editing.span.start if move == "left" else editing.span.end
            editing.put(at, select=select)
        elif name in ("scroll_up", "scroll_down"):
            view.scroll_rows(-1 if name == "scroll_up" else 1)
            return True
        else:
            work = getattr(self, f"_do_{name}", None)
            if work is None:
                return False
            view.goal = None
            work()
        view.reveal()
        return True

    def type(self, text: str) -> None:
        """A printable key."""
        self._view.goal = None
        self._view.editing.type(text)
        self._view.reveal()

    def insert(self, text: str) -> None:
        """What the terminal pasted: its line ends are the text's."""
        self._view.goal = None
        self._view.editing.insert(text.replace("\r\n", "\n").replace("\r", "\n"))
        self._view.reveal()

    @property
    def _lines(self) -> Lines:
        return self._view.editing.lines

    @property
    def _head(self) -> int:
        return self._view.editing.span.head

    # --- Movements: where to ---

    def _left(self) -> int:
        return moves.char_left(self._lines, self._head)

    def _right(self) -> int:
        return moves.char_right(self._lines, self._head)

    def _home(self) -> int:
        """The row's beginning; in a line's first row its first word, then its beginning."""
        place, _ = self._view.viewport.locate(self._head)
        start = self._lines.offset(place.line, self._view.viewport.row(place).start)
        if place.row and self._head != start:
            return start
        return moves.line_home(self._lines, self._head)

    def _end(self) -> int:
        """The row's end, then the line's."""
        place, _ = self._view.viewport.locate(self._head)
        end = self._view.viewport.offset_at(place, 2**30)
        if end == self._head:
            return self._lines.offset(place.line, 2**40)
        return end

    def _rows(self, count: int) -> int:
        view = self._view
        place, x = view.viewport.locate(self._head)
        view.goal = x if view.goal is None else view.goal
        there = view.viewport.step(place, count)
        if there == place:
            return 0 if count < 0 else self._lines.length
        return view.viewport.offset_at(there, view.goal)

    def _page(self, direction: int) -> int:
        height = max(1, self._view.viewport.height - 2)
        at = self._rows(direction * height)
        self._view.viewport.scroll(direction * height)
        return at

    # --- Editing ---

    def _do_select_all(self) -> None:
        self._view.editing.select(0, self._lines.length)

    def _do_select_line(self) -> None:
        editing = self._view.editing
        lines = editing.touched_lines()
        start = self._lines.offset(lines.start, 0)
        if editing.span.is_empty:
            editing.select(start, self._lines.offset(lines.start + 1, 0))
        else:
            editing.select(
                start, self._lines.offset(self._lines.position(editing.span.end)[0] + 1, 0)
            )

    def _do_undo(self) -> None:
        self._view.editing.undo()

    def _do_redo(self) -> None:
        self._view.editing.redo()

    def _do_newline(self) -> None:
        self._view.editing.newline()

    def _do_delete_left(self) -> None:
        self._view.editing.delete_left()

    def _do_delete_right(self) -> None:
        self._view.editing.delete(moves.char_right)

    def _do_delete_word_left(self) -> None:
        self._view.editing.delete(moves.word_left)

    def _do_delete_word_right(self) -> None:
        self._view.editing.delete(moves.word_right)

    def _do_delete_line(self) -> None:
        self._view.editing.delete_lines()

    def _do_copy_line(self) -> None:
        self._view.editing.copy_lines()

    def _do_lines_up(self) -> None:
        self._view.editing.move_lines(-1)

    def _do_lines_down(self) -> None:
        self._view.editing.move_lines(1)

    def _do_tab(self) -> None:
        self._view.editing.tab()

    def _do_untab(self) -> None:
        self._view.editing.untab()

    def _do_comment(self) -> None:
        self._view.editing.toggle_comment()

    # --- The clipboard ---

    def _do_copy(self) -> None:
        editing = self._view.editing
        self._clipboard_is_lines = editing.span.is_empty
        if editing.span.is_empty:
            lines = editing.touched_lines()
            self._clipboard = self._lines[lines.start] + "\n"
        else:
            self._clipboard = editing.selected
        self._copy(self._clipboard)

    def _do_cut(self) -> None:
        editing = self._view.editing
        is_line = editing.span.is_empty
        self._do_copy()
        if is_line:
            editing.delete_lines()
        else:
            editing.delete(moves.char_right)

    def _do_paste(self) -> None:
        editing = self._view.editing
        if self._clipboard_is_lines and editing.span.is_empty:
            line, _ = self._lines.position(self._head)
            text = self._clipboard
            editing.write([Edit(self._lines.offset(line, 0), 0, text)])
        elif self._clipboard:
            editing.insert(self._clipboard)
