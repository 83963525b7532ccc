"""Colors of a program's text, found line by line and again only where it changed.

Pygments knows the languages; its lexers read from the beginning, so the state in which each line
begins is remembered here, and reading goes on from there until a line begins as it did before. Does
not know colors: it says kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pygments.lexer import ExtendedRegexLexer, Lexer, RegexLexer  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_for_filename  # type: ignore[import-untyped]
from pygments.token import (  # type: ignore[import-untyped]
    Comment,
    Generic,
    Keyword,
    Name,
    Number,
    String,
    Token,
    Whitespace,
)
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

from .lines import Lines

__all__ = ["MAX_BYTES", "Highlighter", "Spans", "lexer_for"]

MAX_BYTES = 1024 * 1024  # of a text; in larger ones lines are read from nearby, not from the start
LONGEST_LINE = 2_000  # code points; a longer one stays plain
WHOLE_BYTES = 256 * 1024  # of a text that a lexer sees to its end: putting it together takes 1 ms
AHEAD = 40  # lines beyond those wanted that it sees of a larger one, for what spans lines
NEARBY = 80  # lines before those wanted, where the beginning is too far
STEP = 100  # lines read at a time in the background: some ms

_State = tuple[str, ...]
Spans = list[tuple[int, int, str]]
"""(start, end, kind) in code points of a line; what is not named is plain."""

_ROOT: _State = ("root",)
_KINDS: tuple[tuple[Any, str], ...] = (
    (Comment, "comment"),
    (Keyword.Constant, "constant"),
    (Keyword.Type, "type"),
    (Keyword, "keyword"),
    (Name.Function, "function"),
    (Name.Class, "type"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "type"),
    (Name.Decorator, "decorator"),
    (Name.Tag, "keyword"),
    (Name.Attribute, "function"),
    (Name.Variable, "variable"),
    (Name.Constant, "constant"),
    (Name.Label, "decorator"),
    (String.Escape, "escape"),
    (String.Interpol, "escape"),
    (String, "string"),
    (Number, "number"),
    (Token.Operator.Word, "keyword"),
    (Generic.Heading, "heading"),
    (Generic.Subheading, "heading"),
    (Generic.Emph, "emphasis"),
    (Generic.Strong, "strong"),
    (Generic.Deleted, "deleted"),
    (Generic.Inserted, "inserted"),
)
_kinds: dict[Any, str] = {}


def lexer_for(path: str) -> Lexer | None:
    """What reads files of this name; None: nobody knows."""
    try:
        return get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _kind(token: Any) -> str:
    found = _kinds.get(token)
    if found is None:
        found = next((kind for one, kind in _KINDS if token in one), "")
        _kinds[token] = found
    return found


class Highlighter:
    """The kinds of the words of one text."""

    def __init__(self, lines: Lines, lexer: Lexer | None) -> None:
        self._lines = lines
        self._lexer = lexer
        self._is_stepwise = isinstance(lexer, RegexLexer) and not isinstance(
            lexer, ExtendedRegexLexer
        )
        self._spans: list[Spans | None] = [None] * len(lines)
        self._states: list[_State | None] = [None] * len(lines)
        self._next = 0  # lines before it were read, or will be when the background comes by

    @property
    def name(self) -> str:
        """The language's name; empty if there is none."""
        return str(self._lexer.name) if self._lexer is not None else ""

    def changed(self, first: int, last: int, count: int) -> None:
        """Lines ``first`` to ``last`` became ``count`` lines."""
        self._spans[first : last + 1] = [None] * count
        self._states[first + 1 : last + 1] = [None] * (count - 1)
        if not self._is_stepwise:  # nobody knows how far it reaches
            self._spans[first:] = [None] * (len(self._spans) - first)
        self._next = min(self._next, first)

    def spans(self, first: int, end: int) -> list[Spans]:
        """Those of the lines ``first`` to ``end`` - 1, read now if they were not before."""
        if self._lexer is None:
            return [[] for _ in range(first, end)]
        for line in range(first, end):
            if self._spans[line] is None:
                self._read(line, end)
        return [one or [] for one in self._spans[first:end]]

    def work(self) -> bool:
        """Read a little of what nobody looks at yet; whether there is more to do.

        Then a comment that somebody opens far above is one on the screen, too.
        """
        if self._lexer is None or not self._is_stepwise or self._lines.size > MAX_BYTES:
            return False
        count = len(self._spans)
        while self._next < count and self._spans[self._next] is not None:
            self._next += 1
        if self._next < count:
            self._read(self._next, min(count, self._next + STEP))
        return self._next < count

    # --- Reading ---

    def _read(self, line: int, end: int) -> None:
        """Read so that ``line`` is known, on to ``end`` or where nothing is new any more."""
        start, state = self._begin(line)
        lines = list(self._lines.between(start, end + AHEAD))
        reader = _Reader(start, [len(one) if len(one) <= LONGEST_LINE else 0 for one in lines])
        if self._lines.size <= WHOLE_BYTES:
            lines += self._lines.between(end + AHEAD, len(self._lines))
        text = "\n".join("" if len(one) > LONGEST_LINE else one for one in lines) + "\n"
        limit = min(end, len(self._spans))
        lexer = self._lexer
        tokens: Iterable[tuple[int, Any, str]]
        if self._is_stepwise:
            tokens = _step(lexer, text, state, reader.mark)
        else:
            assert lexer is not None
            tokens = lexer.get_tokens_unprocessed(text)
        for at, token, value in tokens:
            done = reader.take(at, _kind(token), len(value))
            if done <= line:
                continue
            if done >= limit:
                break
            reached = reader.states.get(done)
            if reached and reached == self._states[done] and self._spans[done] is not None:
                limit = done  # from here on everything is as it was
                break
        for number, found in enumerate(reader.lines[: limit - start], start):
            self._spans[number] = found
        for number in range(start + 1, min(limit + 1, len(self._states))):
            reached = reader.states.get(number)  # None: the line begins inside something
            if number == limit and (reached is None or self._states[number] != reached):
                self._spans[number] = None
            self._states[number] = reached

    def _begin(self, line: int) -> tuple[int, _State]:
        """Where reading must begin so that ``line`` comes out right."""
        is_large = self._lines.size > MAX_BYTES or not self._is_stepwise
        lowest = max(0, line - NEARBY) if is_large else 0
        for number in range(line, lowest, -1):
            state = self._states[number]
            if state is not None:
                return number, state
        return lowest, _ROOT


class _Reader:
    """Puts tokens into lines."""

    def __init__(self, first: int, lengths: list[int]) -> None:
        self.lines: list[Spans] = [[] for _ in lengths]
        self.states: dict[int, _State] = {}
        self._first = first
        self._begins = [0]
        for length in lengths:
            self._begins.append(self._begins[-1] + length + 1)
        self._line = 0

    def mark(self, at: int, state: list[str]) -> None:
        """Between two tokens: a line that begins here begins in this state."""
        while self._begins[self._line] < at and self._line + 1 < len(self._begins):
            self._line += 1
        if self._begins[self._line] == at:
            self.states[self._first + self._line] = tuple(state)

    def take(self, at: int, kind: str, length: int) -> int:
        """A token; the number of the line in which it ends."""
        line, begins = self._line, self._begins
        while line + 1 < len(begins) and begins[line + 1] <= at:
            line += 1
        while begins[line] > at:
            line -= 1
        end = at + length
        if kind:
            part = line
            while part < len(self.lines) and begins[part] < end:
                start = max(at, begins[part]) - begins[part]
                stop = min(end, begins[part + 1] - 1) - begins[part]
                if stop > start:
                    self.lines[part].append((start, stop, kind))
                part += 1
        while line + 1 < len(begins) and begins[line + 1] <= end:
            line += 1
        return self._first + line


def _step(
    lexer: Any, text: str, state: _State, mark: Callable[[int, list[str]], None]
) -> Iterator[tuple[int, Any, str]]:
    """``RegexLexer.get_tokens_unprocessed`` (Pygments 2.21), which tells its state as it goes."""
    rules: dict[str, list[Any]] = lexer._tokens
    stack = list(state) if all(one in rules for one in state) else ["root"]
    at = 0
    while at < len(text):
        for match, action, new_state in rules[stack[-1]]:
            found = match(text, at)
            if not found:
                continue
            if action is not None:
                if type(action) is type(Token):
                    yield at, action, found.group()
                else:
                    yield from action(lexer, found)
            at = found.end()
            if new_state is not None:
                _follow(stack, new_state)
            break
        else:
            if text[at] == "\n":
                stack[:] = ["root"]
            yield at, Whitespace, text[at]
            at += 1
        if text[at - 1 : at] == "\n":
            mark(at, stack)


def _follow(stack: list[str], new_state: Any) -> None:
    """Pygments' rules for what a match does to its stack of states."""
    for one in new_state if isinstance(new_state, tuple) else (new_state,):
        if isinstance(one, int):  # so many go, but never the last
            del stack[max(1, len(stack) + one) :]
        elif one == "#pop":
            if len(stack) > 1:
                stack.pop()
        elif one == "#push":
            stack.append(stack[-1])
        elif isinstance(one, str):
            stack.append(one)
