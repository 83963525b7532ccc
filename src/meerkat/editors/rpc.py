"""JSON-RPC messages of the editor protocol: read with suspicion, written plainly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from meerkat.core.editing import Position, RangeEdit, Selection

__all__ = [
    "INTERNAL",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "PARSE_ERROR",
    "REFUSED",
    "UNKNOWN_METHOD",
    "Call",
    "Id",
    "RpcError",
    "delta_of",
    "error_reply",
    "notification",
    "parse",
    "ranges_of",
    "read_content",
    "read_crlf",
    "read_delta",
    "read_names",
    "read_revision",
    "read_selections",
    "read_uri",
    "success",
]

Id = int | float | str | None

REFUSED = -1  # the protocol's own code: this cannot be done, and why
PARSE_ERROR, INVALID_REQUEST = -32700, -32600  # the codes of JSON-RPC
UNKNOWN_METHOD, INVALID_PARAMS, INTERNAL = -32601, -32602, -32603

MAX_URI = 16 * 1024  # characters; a path has at most 4,096 bytes, each perhaps as %XX
MAX_NAMES = 64  # extensions that an editor may announce
MAX_EDITS = 100_000  # of one delta; the folder's process takes no more
MAX_SELECTIONS = 1_024  # of one cursor; the same
MAX_TEXT_BYTES = 5 * 1024 * 1024  # of a content or of a delta: a live text has at most 4 MiB
LAST = 2**31 - 1  # as a line or a character: past every end


class RpcError(Exception):
    """What a message gets as its answer. ``message`` is a sentence, ``data`` more of it."""

    def __init__(self, code: int, message: str, data: str = "", number: Id = None) -> None:
        """``number``: the request's id, where that much could be read."""
        super().__init__(message)
        self.code, self.message, self.data, self.number = code, message, data, number


@dataclass(frozen=True, slots=True)
class Call:
    """A request, or a notification (then ``wants_reply`` is False)."""

    method: str
    params: Mapping[str, Any]
    id: Id
    wants_reply: bool


def parse(body: bytes) -> Call | None:
    """What an editor says; None for a reply, which is not expected but harmless.

    Raises:
        RpcError: if it is no message.
    """
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, "This is not JSON.") from error
    if not isinstance(value, dict):
        raise RpcError(INVALID_REQUEST, "A message is one JSON object.")
    if "method" not in value and ("result" in value or "error" in value):
        return None
    number = value.get("id")
    if not _is_id(number):
        raise RpcError(INVALID_REQUEST, "An id is a number or a string.")
    method, params = value.get("method"), value.get("params")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "A message has a method.", number=number)
    return Call(
        method, params if isinstance(params, dict) else {}, number, wants_reply=number is not None
    )


def _is_id(value: object) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return value is None or (isinstance(value, int | str) and not isinstance(value, bool))


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# --- What is in the parameters ---


def read_uri(params: Mapping[str, Any]) -> str:
    """``uri``.

    Raises:
        RpcError: if there is none; so do the others.
    """
    return _string(params, "uri", MAX_URI)


def read_content(params: Mapping[str, Any]) -> str:
    """``content``: what the editor shows."""
    content = _string(params, "content", None)
    _check_size(_bytes_of(content))
    return content


def read_revision(params: Mapping[str, Any]) -> int:
    """``revision``: how many of ours the editor has applied."""
    return _number(params.get("revision"), "revision")


def read_delta(params: Mapping[str, Any]) -> tuple[RangeEdit, ...]:
    """``delta``."""
    delta = params.get("delta")
    if not isinstance(delta, list) or len(delta) > MAX_EDITS:
        raise RpcError(INVALID_PARAMS, "delta is a list of edits.")
    edits = []
    size = 0
    for one in delta:
        if not isinstance(one, dict):
            raise RpcError(INVALID_PARAMS, "An edit has a range and a replacement.")
        start, end = _range(one.get("range"))
        replacement = _string(one, "replacement", None)
        size += _bytes_of(replacement)
        edits.append(RangeEdit(start, end, replacement))
    _check_size(size)
    return tuple(edits)


def read_crlf(params: Mapping[str, Any]) -> bool:
    """``crlf``: whether the lines of the file end so."""
    crlf = params.get("crlf")
    if not isinstance(crlf, bool):
        raise RpcError(INVALID_PARAMS, "crlf is true or false.")
    return crlf


def read_selections(params: Mapping[str, Any]) -> tuple[Selection, ...]:
    """``ranges``; each one's ``end`` is where the cursor is."""
    ranges = params.get("ranges")
    if not isinstance(ranges, list):
        raise RpcError(INVALID_PARAMS, "ranges is a list.")
    return tuple(_range(one) for one in ranges[:MAX_SELECTIONS])


def read_names(params: Mapping[str, Any], key: str) -> frozenset[str]:
    """A list of names; whatever else is there counts as none."""
    names = params.get(key)
    if not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names[:MAX_NAMES] if isinstance(name, str))


def _string(params: Mapping[str, Any], key: str, limit: int | None) -> str:
    value = params.get(key)
    if not isinstance(value, str) or (limit is not None and len(value) > limit):
        raise RpcError(INVALID_PARAMS, f"{key} is a string.")
    return value


def _bytes_of(text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        message = "Half a surrogate pair is no character; write the whole one."
        raise RpcError(INVALID_PARAMS, message) from error


def _check_size(size: int) -> None:
    if size > MAX_TEXT_BYTES:
        raise RpcError(REFUSED, "A text that is edited live has at most 4 MiB.")


def _range(value: object) -> tuple[Position, Position]:
    if not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, "A range has a start and an end.")
    return _position(value.get("start")), _position(value.get("end"))


def _position(value: object) -> Position:
    if not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, "A position has a line and a character.")
    return _number(value.get("line"), "line"), _number(value.get("character"), "character")


def _number(value: object, name: str) -> int:
    """A count. Below zero is zero: one plugin's cursor is at -1 at times; edits are checked by
    what they do.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RpcError(INVALID_PARAMS, f"{name} is a whole number.")
    return max(0, min(value, LAST))


# --- What we say ---


def success(number: Id) -> bytes:
    """The answer to a request that was carried out."""
    return _encode({"jsonrpc": "2.0", "id": number, "result": "success"})


def error_reply(number: Id, error: RpcError) -> bytes:
    """The answer to one that was not."""
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data:  # plugins join it to the message: never null
        told["data"] = error.data
    return _encode({"jsonrpc": "2.0", "id": number, "error": told})


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """Something the editor should know."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params})


def delta_of(edits: tuple[RangeEdit, ...]) -> list[dict[str, Any]]:
    """Edits as the protocol has them."""
    return [
        {"range": _as_range(edit.start, edit.end), "replacement": edit.replacement}
        for edit in edits
    ]


def ranges_of(selections: tuple[Selection, ...]) -> list[dict[str, Any]]:
    """Selections as the protocol has them."""
    return [_as_range(anchor, head) for anchor, head in selections]


def _as_range(start: Position, end: Position) -> dict[str, Any]:
    return {
        "start": {"line": start[0], "character": start[1]},
        "end": {"line": end[0], "character": end[1]},
    }


def _encode(value: Mapping[str, Any]) -> bytes:
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair may be in an editor's own id; JSON escapes it the same way.
    return line.encode(errors="backslashreplace")
