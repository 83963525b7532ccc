"""Reads the text of a CREATE statement, where SQLite's pragmas do not say enough.

Splits SQL into tokens as SQLite does (https://sqlite.org/src/file/src/tokenize.c): quotes of four
kinds, comments, nested parentheses. It decides nothing; text it cannot read gives nothing. Time is
linear in the length, whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

__all__ = [
    "MAX_TERMS",
    "MAX_TOKENS",
    "Declaration",
    "Token",
    "called",
    "declarations",
    "expansion",
    "fold",
    "module_of",
    "nesting",
    "quote",
    "rebuild_of",
    "table_options",
    "tokens",
    "under_name",
    "weight",
    "without_clauses",
]

MAX_TERMS = 10_000  # of generated columns in a statement, when others are put into them; guess
MAX_TOKENS = 20_000  # in one statement; guess: 2,000 columns of some words each, and constraints
_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\n\f\r]+ | --[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<text>[xX]?'[^']*(?:''[^']*)*(?:'|\Z))
    | (?P<quoted>"[^"]*(?:""[^"]*)*(?:"|\Z) | `[^`]*(?:``[^`]*)*(?:`|\Z) | \[[^\]]*(?:\]|\Z))
    | (?P<word>[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_$\x80-\U0010ffff]*)
    | (?P<other>[0-9][0-9A-Za-z_.]* | .)
    """,
    re.DOTALL | re.VERBOSE,
)
_LEAD = 24  # characters: "CREATE VIRTUAL TABLE", as SQLite keeps it, and some more
_FOLD = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_BEFORE_TABLES = ("INTO", "ON", "REFERENCES", "TABLE")
_CLAUSES = (
    *("CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE"),
    *("REFERENCES", "GENERATED", "AS"),
)
# A column cannot be called so without quotes: all of them are reserved.
_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL. ``kind``: text, quoted, word or other."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """What it names: without quotes."""
        if self.kind == "word":
            return self.text
        if self.kind not in {"quoted", "text"}:
            return ""
        mark = self.text[0]
        inner = self.text[1:-1]
        return inner if mark == "[" else inner.replace(mark * 2, mark)

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words


@dataclass(frozen=True, slots=True)
class Declaration:
    """A column inside CREATE TABLE: its name and its whole text."""

    name: str
    text: str


def fold(name: str) -> str:
    """What SQLite compares of a name: only the letters of ASCII are the same in both cases."""
    return name.translate(_FOLD)


def quote(name: str) -> str:
    """An identifier for SQL, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def rebuild_of(name: str) -> str:
    """SQL that builds a full-text index over another table anew."""
    return f"INSERT INTO {quote(name)}({quote(name)}) VALUES ('rebuild')"


def tokens(sql: str, most: int = MAX_TOKENS) -> list[Token]:
    """All tokens but blanks and comments, or the first so many."""
    found = (
        Token(match.lastgroup or "other", match.group(), match.start(), match.end())
        for match in _TOKEN.finditer(sql)
        if match.lastgroup != "blank"
    )
    return list(islice(found, most))


def declarations(sql: str) -> list[Declaration]:
    """The columns of a CREATE TABLE, in order; nothing if it is not understood."""
    found: list[Declaration] = []
    for part in _parts(tokens(sql)):
        if not part:
            return []
        if part[0].is_word(*_CONSTRAINTS):
            break  # constraints of the table come last
        if part[0].kind == "other":
            return []
        found.append(Declaration(part[0].name, sql[part[0].start : part[-1].end]))
    return found


def module_of(sql: str) -> tuple[str, tuple[str, ...]] | None:
    """The module of a CREATE VIRTUAL TABLE in lower case, and its arguments as they stand."""
    if "VIRTUAL" not in sql[:_LEAD].upper():
        return None
    items = tokens(sql)
    if len(items) < 2 or not (items[0].is_word("CREATE") and items[1].is_word("VIRTUAL")):
        return None
    at = next((i for i, token in enumerate(items) if token.is_word("USING")), None)
    if at is None or at + 1 >= len(items):
        return None
    arguments = tuple(sql[p[0].start : p[-1].end] if p else "" for p in _parts(items[at + 1 :]))
    return items[at + 1].name.lower(), arguments


def called(items: Sequence[Token]) -> set[str]:
    """Names of functions in lower case: what stands before a parenthesis, unless it is a table."""
    return {
        fold(items[at].name)
        for at in range(1, len(items) - 1)
        if items[at + 1].text == "(" and not items[at - 1].is_word(*_BEFORE_TABLES)
    }


def nesting(items: Sequence[Token]) -> int:
    """How deep parentheses are nested."""
    depth = deepest = 0
    for token in items:
        if token.kind == "other":
            depth += (token.text == "(") - (token.text == ")")
            deepest = max(deepest, depth)
    return deepest


def under_name(text: str, name: str) -> str:
    """A declaration under another name, unless it has that one."""
    items = tokens(text)
    if not items or items[0].name == name:
        return text
    return quote(name) + text[items[0].end :]


def without_clauses(text: str) -> str:
    """A declaration's name and type only."""
    items = tokens(text)
    end = 1
    while end < len(items) and items[end].kind == "word" and not items[end].is_word(*_CLAUSES):
        end += 1
    if end > 1 and end < len(items) and items[end].text == "(":
        close = next((i for i in range(end, len(items)) if items[i].text == ")"), None)
        end = close + 1 if close is not None else end
    return text[: items[end - 1].end] if items else text


def table_options(sql: str) -> tuple[bool, bool]:
    """Whether a CREATE TABLE ends in WITHOUT ROWID, and in STRICT."""
    end: list[Token] = []
    for token in tokens(sql):
        end = [] if token.text == ")" else [*end[-3:], token]
    words = [token.text.upper() for token in end if token.kind == "word"]
    return "ROWID" in words, "STRICT" in words


def expansion(texts: Sequence[Declaration]) -> dict[str, int]:
    """Of generated columns, how many terms each comes to when others are put into it.

    SQLite does that whenever a table is used, in time that doubles with every column of a chain.
    """
    inside: dict[str, list[str]] = {}
    for one in texts:
        items = tokens(one.text)
        if any(token.is_word("AS") for token in items):
            inside[fold(one.name)] = [fold(token.name) for token in items[1:] if token.name]
    terms: dict[str, int] = {}
    begun: set[str] = set()
    stack = [(name, iter(names)) for name, names in inside.items()]
    while stack:
        name, left = stack[-1]
        begun.add(name)
        below = next((one for one in left if one in inside and one not in begun), None)
        if below is not None:
            stack.append((below, iter(inside[below])))
            continue
        stack.pop()
        # In a circle, which SQLite refuses, somebody is not known yet.
        terms[name] = min(1 + sum(terms.get(one, 0) for one in inside[name]), MAX_TERMS)
    return terms


def weight(items: Sequence[Token], terms: Mapping[str, int]) -> int:
    """How many terms generated columns come to in a statement."""
    return sum(terms.get(fold(token.name), 0) for token in items if token.name)


def _parts(items: list[Token]) -> list[list[Token]]:
    """What stands between the first parenthesis and its partner, split at its commas."""
    depth = 0
    parts: list[list[Token]] = []
    for token in items:
        if token.text == "(" and token.kind == "other":
            depth += 1
            if depth == 1:
                parts.append([])
                continue
        elif token.text == ")" and token.kind == "other":
            depth -= 1
            if depth <= 0:
                return parts
        elif token.text == "," and depth == 1:
            parts.append([])
            continue
        if depth:
            parts[-1].append(token)
    return []
