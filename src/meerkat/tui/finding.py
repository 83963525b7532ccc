"""Find and replace: between the find bar and the view."""

from __future__ import annotations

from collections.abc import Callable

from .find_bar import FindBar
from .search import MOST_FOUND, Query, QueryError, Search
from .view import TextView

__all__ = ["Finding"]


class Finding:
    """What is being looked for, and where one was when that began."""

    def __init__(self, bar: FindBar, view: TextView, say: Callable[[str], None]) -> None:
        self._bar, self._view, self._say = bar, view, say
        self._search: Search | None = None
        self._start = 0

    def open(self, *, replace: bool) -> None:
        """Show the bar; a selected word is what is looked for."""
        editing = self._view.editing
        self._start = editing.span.start
        selected = editing.selected if editing.span.end - editing.span.start < 200 else ""
        self._bar.open(selected if "\n" not in selected else "", replace=replace)
        self.changed()

    def close(self) -> None:
        """Nothing is marked any more; the last match stays selected."""
        self._view.found = lambda line: ()
        self._view.redraw()
        self._view.focus()

    def changed(self) -> None:
        """The query is another: go to its first match from where one was."""
        self._search = self._make(self._bar.query_text)
        search = self._search
        self._view.found = search.in_line if search is not None else lambda line: ()
        self._view.redraw()
        if search is not None:
            text = self._view.editing.document.text
            self._go(search.next(text, self._start, self._start))

    def _make(self, query: Query) -> Search | None:
        if not query.text:
            self._bar.say("")
            return None
        try:
            return Search(query)
        except QueryError as error:
            self._bar.say(str(error))
            return None

    def go(self, *, back: bool) -> None:
        """To the next match, or the one before; also when the bar is closed."""
        search = self._search
        if search is None:
            return
        editing = self._view.editing
        text, span = editing.document.text, editing.span
        if back:
            found = search.previous(text, span.start)
        else:
            found = search.next(text, span.start, span.end)
        self._go(found)
        if found is not None:
            self._start = found[0]

    def _go(self, found: tuple[int, int] | None) -> None:
        assert self._search is not None
        if found is None:
            self._bar.say("not found")
            return
        self._view.editing.select(*found)
        self._view.reveal(center=True)
        count, number = self._search.count(self._view.editing.document.text, found[0])
        many = f"{MOST_FOUND}+" if count >= MOST_FOUND else str(count)
        self._bar.say(f"{number or '?'} of {many}")

    def replace(self, *, everywhere: bool) -> None:
        """Put the replacement there; everywhere is one step of undo."""
        search, editing = self._search, self._view.editing
        if search is None or editing.read_only:
            return
        text, template = editing.document.text, self._bar.replacement
        try:
            if everywhere:
                edits = search.replace_all(text, template)
                if editing.write(edits) or not edits:
                    self._say(f"{len(edits)} replaced")
                self._bar.say("")
            else:
                span = (editing.span.start, editing.span.end)
                put = search.replacement(text, span, template)
                if put is not None:
                    editing.insert(put)
                self.go(back=False)
        except QueryError as error:
            self._bar.say(str(error))
        self._view.reveal()
