"""Values of SQL on a command line, in both directions.

Decides what a word on the command line means as a parameter, and how cells look in a table for
people, in CSV and in JSON.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from meerkat.control.cells import RawText, Scalar

from .visible import visible

__all__ = ["csv_line", "json_line", "parameters", "shown", "value_of"]

INTEGER = re.compile(r"[+-]?\d+")
REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
BLOB = re.compile(r"[xX]'((?:[0-9a-fA-F]{2})*)'")
QUOTED = re.compile(r"'((?:[^']|'')*)'", re.DOTALL)
NAMED = re.compile(r"[:@$]?([A-Za-z_]\w*)=(.*)", re.DOTALL)
LEAST, MOST = -(2**63), 2**63 - 1
NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$|^$')
OVERFLOW = "9e999"  # JSON has no infinity; readers make one of this, and sqlite3 writes the same


def value_of(word: str) -> Scalar:
    """What a word means: NULL, a number, x'00ff', 'quoted text', or else the text itself."""
    if word.upper() == "NULL":
        return None
    if INTEGER.fullmatch(word) and LEAST <= int(word) <= MOST:
        return int(word)
    if REAL.fullmatch(word):
        return float(word)
    if found := BLOB.fullmatch(word):
        return bytes.fromhex(found[1])
    if found := QUOTED.fullmatch(word):
        return found[1].replace("''", "'")
    return word


def parameters(
    words: Sequence[str], named: Sequence[str]
) -> tuple[Scalar, ...] | dict[str, Scalar]:
    """The parameters of a statement.

    Raises:
        ValueError: with a sentence, if they are not understood.
    """
    if words and named:
        raise ValueError("Give values in order, or by --param NAME=VALUE; not both.")
    if not named:
        return tuple(value_of(word) for word in words)
    values: dict[str, Scalar] = {}
    for one in named:
        found = NAMED.fullmatch(one)
        if found is None:
            raise ValueError(f"{one!r} is not NAME=VALUE.")
        values[found[1]] = value_of(found[2])
    return values


def shown(value: Scalar) -> str:
    """A cell in a table for people: on one line, harmless for a terminal."""
    match value:
        case None:
            return "NULL"
        case bytes():
            return f"{len(value):,} bytes"
        case RawText():
            return visible(value.data.decode(errors="replace"))
    return visible(str(value))


def csv_line(cells: Iterable[Scalar]) -> str:
    """A line of CSV (RFC 4180). NULL is nothing at all, an empty text is ""; a blob is X'…'."""
    return ",".join(_csv(cell) for cell in cells)


def _csv(value: Scalar) -> str:
    match value:
        case None:
            return ""
        case bytes():
            return f"X'{value.hex().upper()}'"
        case RawText():
            text = value.data.decode(errors="replace")
        case _:
            text = str(value)
    if NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def json_line(columns: Sequence[str], cells: Iterable[Scalar]) -> str:
    """A row as a JSON object. A column whose name came before gets ``:2``, the next ``:3``."""
    parts: dict[str, str] = {}
    for name, cell in zip(columns, cells, strict=True):
        key, number = name, 1
        while key in parts:
            number += 1
            key = f"{name}:{number}"
        parts[key] = _json(cell)
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in parts.items()) + "}"


def _json(value: Scalar) -> str:
    plain: Any = value
    match value:
        case float() if math.isinf(value):
            return OVERFLOW if value > 0 else f"-{OVERFLOW}"
        case bytes():
            plain = {"blob": b64encode(value).decode()}
        case RawText():
            plain = {"raw_text": b64encode(value.data).decode()}
    return json.dumps(plain, ensure_ascii=True, separators=(",", ":"))
