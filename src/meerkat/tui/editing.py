"""What a person does to a text: typing, deleting, moving, undoing, with one caret.

Decides how keys become edits and where the caret is afterwards. Does not know keys, nor how
anything looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meerkat.core.edits import Edit
from meerkat.core.text_file import MAX_TEXT_BYTES

from . import moves
from .document import LiveDocument
from .indent import Indent, comment_sign
from .lines import Lines
from .spans import Span

__all__ = ["Editing"]


class Editing:
    """A document and our caret in it. ``on_change`` is told every change of the text."""

    def __init__(
        self,
        client: int,
        send: Callable[[bytes], None],
        on_change: Callable[[Sequence[Edit], bool], None],
    ) -> None:
        self.document = LiveDocument(client, self._changed, send)
        self.span = Span(0, 0)
        self.indent = Indent(False, 4)
        self.path = ""
        self.read_only = False
        self.refuse: Callable[[str], None] = lambda why: None  # told why something was not done
        self.moved: Callable[[], None] = lambda: None  # told that the caret is elsewhere
        self._on_change = on_change
        self._run = ""  # what kind of typing the undo group is

    @property
    def lines(self) -> Lines:
        """The text."""
        return self.document.lines

    @property
    def selected(self) -> str:
        """The selected text."""
        return self.lines.slice(self.span.start, self.span.end)

    def _changed(self, edits: Sequence[Edit], is_own: bool) -> None:
        self.span = self.span.after(edits)
        self._on_change(edits, is_own)

    # --- The caret ---

    def put(self, head: int, *, select: bool = False) -> None:
        """The caret goes there; with ``select`` the selection's other end stays."""
        head = min(max(0, head), self.lines.length)
        self.span = Span(self.span.anchor if select else head, head)
        self.end_group()
        self.moved()

    def select(self, anchor: int, head: int) -> None:
        """Select a range."""
        length = self.lines.length
        self.span = Span(min(max(0, anchor), length), min(max(0, head), length))
        self.end_group()
        self.moved()

    def end_group(self) -> None:
        """What is typed from now on is undone apart from what was before."""
        self._run = ""

    # --- Writing ---

    def write(self, edits: Sequence[Edit], span: Span | None = None, run: str = "") -> bool:
        """Make edits as one step of undo, or as part of the ``run`` that goes on; False: not."""
        if self.read_only or not edits:
            return False
        grown = sum(len(one.inserted.encode(errors="ignore")) - one.deleted for one in edits)
        if grown > 0 and self.lines.size + grown > MAX_TEXT_BYTES:
            self.refuse(f"A text that is edited live has at most {MAX_TEXT_BYTES // 2**20} MiB.")
            return False
        if not run or run != self._run:
            self.document.end_undo_group()
        self._run = run
        self.document.edit(edits)
        if span is not None:
            length = self.lines.length
            self.span = Span(min(span.anchor, length), min(span.head, length))
        return True

    def type(self, text: str) -> None:
        """Type one character, or a few that came together: words are undone one by one."""
        before = self._run
        blank = text.isspace()
        run = "blank" if blank else "word"
        if before == "word" and blank:
            run = self._run = "blank"  # blanks behind a word belong to it
        self._replace(text, run)

    def insert(self, text: str) -> None:
        """Put in a text at once, as pasting does."""
        self._replace(text, "")

    def _replace(self, text: str, run: str) -> None:
        start, end = self.span.start, self.span.end
        if start != end:
            self._run = run if run == self._run else ""
        size = self.lines.length - (end - start)
        if self.write([Edit(start, end - start, text)], None, run):
            at = start + self.lines.length - size
            self.span = Span(at, at)

    def newline(self) -> None:
        """A new line, indented as this one."""
        line, column = self.lines.position(self.span.start)
        text = self.lines[line][:column]
        indent = text[: len(text) - len(text.lstrip(" \t"))]
        ends_open = text.rstrip().endswith((":", "{", "[", "("))
        self._replace("\n" + indent + (self.indent.text if ends_open else ""), "")

    def delete(self, to: Callable[[Lines, int], int]) -> None:
        """Delete the selection, or from the caret to where a movement leads."""
        start, end = self.span.start, self.span.end
        if start == end:
            start, end = sorted((self.span.head, to(self.lines, self.span.head)))
        if start != end:
            run = "delete" if end - start == 1 else ""
            self.write([Edit(start, end - start, "")], Span(start, start), run)

    def delete_left(self) -> None:
        """Backspace: in an indentation of blanks, a whole level."""
        line, column = self.lines.position(self.span.head)
        before = self.lines[line][:column]
        size = self.indent.size
        if self.span.is_empty and not self.indent.tabs and before and not before.strip(" "):
            back = (column - 1) % size + 1
            self.delete(lambda _, at: at - back)
        else:
            self.delete(moves.char_left)

    # --- Whole lines ---

    def touched_lines(self) -> range:
        """The lines of the selection; one that ends at a line's beginning leaves that one out."""
        first = self.lines.position(self.span.start)[0]
        last, column = self.lines.position(self.span.end)
        if last > first and column == 0:
            last -= 1
        return range(first, last + 1)

    def tab(self) -> None:
        """Indent the selected lines, or write what leads to the next level."""
        first, last = (self.lines.position(at)[0] for at in (self.span.start, self.span.end))
        if first != last:
            self._each_line(lambda text: (0, self.indent.text) if text else (0, ""))
        elif self.indent.tabs:
            self.type("\t")
        else:
            column = self.lines.position(self.span.start)[1]
            self._replace(" " * (self.indent.size - column % self.indent.size), "")

    def untab(self) -> None:
        """Take one level of indentation from the selected lines."""

        def back(text: str) -> tuple[int, str]:
            if text.startswith("\t"):
                return 1, ""
            return min(self.indent.size, len(text) - len(text.lstrip(" "))), ""

        self._each_line(back)

    def toggle_comment(self) -> None:
        """Make the selected lines comments, or no comments any more if all are."""
        sign = comment_sign(self.path)
        texts = [text for text in map(self.lines.__getitem__, self.touched_lines()) if text.strip()]
        if not texts:
            return
        indent = min(len(text) - len(text.lstrip()) for text in texts)
        if all(text[indent:].startswith(sign) for text in texts):
            self._each_line(
                lambda text: (len(sign) + text[indent + len(sign) :].startswith(" "), ""), indent
            )
        else:
            self._each_line(lambda text: (0, f"{sign} "), indent)

    def _each_line(self, change: Callable[[str], tuple[int, str]], column: int = 0) -> None:
        """Replace so many characters at a column of each selected line that is not blank."""
        edits = []
        for line in self.touched_lines():
            text = self.lines[line]
            deleted, inserted = change(text) if text.strip() or not column else (0, "")
            if deleted or inserted:
                edits.append(Edit(self.lines.offset(line, column), deleted, inserted))
        self.write(edits)

    def move_lines(self, by: int) -> None:
        """Exchange the selected lines with the line before (-1) or behind (1) them."""
        lines = self.touched_lines()
        other = lines.start - 1 if by < 0 else lines.stop
        if not 0 <= other < len(self.lines):
            return
        text = self.lines[other]
        start, end = self.lines.offset(lines.start, 0), self.lines.offset(lines.stop - 1, 2**40)
        at = self.lines.offset(other, 0)
        size = len(text) + 1
        span = Span(self.span.anchor + by * size, self.span.head + by * size)
        if by < 0:
            self.write([Edit(at, size, ""), Edit(end, 0, "\n" + text)], span)
        else:
            self.write([Edit(start, 0, text + "\n"), Edit(at - 1, size, "")], span)

    def copy_lines(self) -> None:
        """The selected lines once more, below."""
        lines = self.touched_lines()
        start, end = self.lines.offset(lines.start, 0), self.lines.offset(lines.stop - 1, 2**40)
        text = self.lines.slice(start, end)
        by = len(text) + 1
        self.write([Edit(end, 0, "\n" + text)], Span(self.span.anchor + by, self.span.head + by))

    def delete_lines(self) -> None:
        """The selected lines are gone."""
        lines = self.touched_lines()
        start, end = self.lines.offset(lines.start, 0), self.lines.offset(lines.stop, 0)
        if lines.stop == len(self.lines) and start > 0:
            start -= 1
        column = self.lines.position(self.span.head)[1]
        self.write([Edit(start, end - start, "")])
        self.put(self.lines.offset(min(lines.start, len(self.lines) - 1), column))

    # --- Undo ---

    def undo(self) -> bool:
        """Take back what we did last; the caret goes there."""
        return self._take_back(self.document.undo)

    def redo(self) -> bool:
        """Make it again."""
        return self._take_back(self.document.redo)

    def _take_back(self, work: Callable[[], bool]) -> bool:
        if self.read_only:
            return False
        self.end_group()
        listener, ends = self._on_change, []

        def note(edits: Sequence[Edit], is_own: bool) -> None:
            shift = sum(len(one.inserted) - one.deleted for one in edits[:-1])
            ends.append(edits[-1].position + shift + len(edits[-1].inserted))
            listener(edits, is_own)

        self._on_change = note
        try:
            done = work()
        finally:
            self._on_change = listener
        if ends:
            self.span = Span(ends[-1], ends[-1])
        return done
