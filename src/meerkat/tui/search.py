"""Finding and replacing in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from meerkat.core.edits import Edit

__all__ = ["Query", "QueryError", "Search"]

MOST_FOUND = 10_000  # counted; more is "10000+"
LONGEST_LINE = 20_000  # code points in which a regular expression is tried: some take long. guess


class QueryError(ValueError):
    """The regular expression is none; the message says why."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for."""

    text: str
    case: bool = False
    regex: bool = False
    word: bool = False

    def pattern(self) -> re.Pattern[str]:
        """As a regular expression.

        Raises:
            QueryError: if it is none.
        """
        return _compile(self)


@lru_cache(64)
def _compile(query: Query) -> re.Pattern[str]:
    text = query.text if query.regex else re.escape(query.text)
    if query.word:
        text = rf"(?<!\w)(?:{text})(?!\w)"
    try:
        return re.compile(text, (0 if query.case else re.IGNORECASE) | re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise QueryError(f"Not a regular expression: {error}") from error


class Search:
    """The matches of one query in one text, found anew when either changes."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._pattern = query.pattern()
        self._is_many_lines = query.regex and ("\\n" in query.text or "(?s" in query.text)

    def next(self, text: str, start: int, end: int) -> tuple[int, int] | None:
        """The first match behind a selection, from the beginning again if need be."""
        at = end if end > start else start
        found = self._first(text, at) or self._first(text, 0)
        if found is not None and found == (start, end):
            found = self._first(text, end + 1) or self._first(text, 0)
        return found

    def _first(self, text: str, at: int) -> tuple[int, int] | None:
        for found in self._pattern.finditer(text, min(at, len(text))):
            if found.end() > found.start():
                return found.span()
        return None

    def previous(self, text: str, start: int) -> tuple[int, int] | None:
        """The last match before an offset, from the end again if need be."""
        last = before = None
        for found in self._pattern.finditer(text):
            if found.end() == found.start():
                continue
            last = found.span()
            if found.start() < start:
                before = last
            elif before is not None:
                return before
        return before or last

    def count(self, text: str, start: int) -> tuple[int, int]:
        """How many there are, at most ``MOST_FOUND``, and the number of the one at an offset."""
        count = number = 0
        for found in self._pattern.finditer(text):
            if found.end() > found.start():
                count += 1
                if found.start() == start:
                    number = count
                if count >= MOST_FOUND:
                    break
        return count, number

    def in_line(self, line: str) -> Sequence[tuple[int, int]]:
        """Those in one line, to be marked."""
        if self._is_many_lines or len(line) > LONGEST_LINE:
            return ()
        spans = (found.span() for found in self._pattern.finditer(line))
        return [span for span in spans if span[1] > span[0]]

    def replacement(self, text: str, span: tuple[int, int], template: str) -> str | None:
        """What is put in place of a match; None if there is no match at ``span``.

        Raises:
            QueryError: if the template names groups that the expression does not have.
        """
        found = self._pattern.match(text, span[0])
        if found is None or found.span() != span:
            return None
        return self._expand(found, template)

    def replace_all(self, text: str, template: str) -> list[Edit]:
        """The edits that replace every match.

        Raises:
            QueryError: as above.
        """
        return [
            Edit(found.start(), found.end() - found.start(), self._expand(found, template))
            for found in self._pattern.finditer(text)
            if found.end() > found.start()
        ]

    def _expand(self, found: re.Match[str], template: str) -> str:
        if not self.query.regex:
            return template
        try:
            return found.expand(template)
        except (re.error, IndexError) as error:
            raise QueryError(f"The replacement is not right: {error}") from error
