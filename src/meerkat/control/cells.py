"""Cells of a database as JSON, so that a page and a program get back exactly what SQLite holds.

NULL is null, TEXT a string, an INTEGER a number; what JSON or JavaScript would change is an object
with one field: ``integer`` (beyond 2^53), ``real`` (one without a fraction, or infinite), ``blob``
and ``raw_text`` (base64; a text that is not UTF-8).
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from typing import Any

from meerkat.errors import MeerkatError
from meerkat.rows.values import RawText, Scalar

__all__ = [
    "Params",
    "RawText",
    "Scalar",
    "from_json",
    "params_from_json",
    "params_to_json",
    "to_json",
]

Params = tuple[Scalar, ...] | dict[str, Scalar]
"""Values for ``?`` in order, or for ``:name`` by name."""

EXACT = 2**53  # from here on a double, and so JavaScript, skips integers
LEAST, MOST = -(2**63), 2**63 - 1  # SQLite's integers


def to_json(value: Scalar) -> Any:
    """A cell for a control line."""
    match value:
        case None | str():
            return value
        case int():
            return value if -EXACT < value < EXACT else {"integer": str(value)}
        case float():
            exact = math.isfinite(value) and not value.is_integer()
            return value if exact else {"real": repr(value)}
        case bytes():
            return {"blob": b64encode(value).decode()}
        case RawText():
            return {"raw_text": b64encode(value.data).decode()}


def from_json(value: Any) -> Scalar:
    """A cell out of a control line.

    Raises:
        MeerkatError: if it is none, or no value that SQLite can hold.
    """
    match value:
        case None | str() | float():
            return value
        case int():  # true and false are 1 and 0, as in SQL
            return _integer(value)
        case {"integer": str(digits), **rest} if not rest and len(digits) <= len(str(LEAST)):
            return _integer(_number(int, digits))
        case {"real": str(text), **rest} if not rest:
            return float(_number(float, text))
        case {"blob": str(text), **rest} if not rest:
            return _bytes(text)
        case {"raw_text": str(text), **rest} if not rest:
            data = _bytes(text)
            try:
                return data.decode()
            except UnicodeDecodeError:
                return RawText(data)
    raise MeerkatError(
        'A value is null, a number, a text, or {"blob": "…"} with base64; this is none of them.'
    )


def params_to_json(params: Iterable[Scalar] | Mapping[str, Scalar]) -> Any:
    """Parameters of a statement for a control line."""
    if isinstance(params, Mapping):
        return {name: to_json(value) for name, value in params.items()}
    return [to_json(value) for value in params]


def params_from_json(params: tuple[Any, ...] | dict[str, Any]) -> Params:
    """Parameters of a statement out of a control line.

    Raises:
        MeerkatError: as ``from_json``.
    """
    if isinstance(params, dict):
        return {name: from_json(value) for name, value in params.items()}
    return tuple(from_json(value) for value in params)


def _integer(value: int) -> int:
    if not LEAST <= value <= MOST:
        raise MeerkatError(f"{value} is too large for SQLite; its integers have 64 bits.")
    return int(value)


def _number(kind: type[int | float], text: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise MeerkatError(f"{text!r} is no number.") from error


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except NotBase64 as error:
        raise MeerkatError("The bytes of a value are not base64.") from error
