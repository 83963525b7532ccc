"""Requests, replies and events of the control socket, and their JSON lines.

A request is ``{"ask": ..., "id": ...}`` with its own fields; the reply carries the same ``id`` and
either ``result`` or ``error`` (a sentence). Events, after ``subscribe``, carry ``event`` instead.
Unknown fields are ignored, so that an older process understands a newer one's questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "MAX_LINE",
    "Cut",
    "GetStatus",
    "Heal",
    "Invite",
    "Ping",
    "Reply",
    "Request",
    "RequestError",
    "Stop",
    "Subscribe",
    "decode_line",
    "decode_request",
    "encode_line",
    "encode_request",
]

MAX_LINE = 16 * 1024 * 1024  # bytes; a status of 10,000 conflicts stays below (guess)
MAX_LIFETIME = 10 * 365 * 86_400.0  # seconds an invitation may live

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
MemberHex = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class RequestError(Exception):
    """A line that is no request; the message goes back to whoever wrote it."""


class _Ask(Struct, frozen=True, tag_field="ask", kw_only=True):
    id: Number = 0


class Ping(_Ask, frozen=True, tag="ping"):
    """Are you there? Answers the process id and the version."""


class GetStatus(_Ask, frozen=True, tag="status"):
    """Everything a person can be told."""


class Invite(_Ask, frozen=True, tag="invite"):
    """Make an invitation; ``lifetime`` in seconds."""

    uses: Annotated[int, Meta(ge=1, le=100_000)] = 32
    lifetime: Annotated[float, Meta(gt=0, le=MAX_LIFETIME)] = 7 * 86_400.0


class Stop(_Ask, frozen=True, tag="stop"):
    """Leave gracefully and end the process."""


class Subscribe(_Ask, frozen=True, tag="subscribe"):
    """Send every event from now on."""


class Cut(_Ask, frozen=True, tag="test_cut"):
    """A testing aid: have no link with these members, as if the network between were cut."""

    members: Annotated[tuple[MemberHex, ...], Meta(max_length=10_000)]


class Heal(_Ask, frozen=True, tag="test_heal"):
    """A testing aid: the end of ``test_cut``."""


Request = Ping | GetStatus | Invite | Stop | Subscribe | Cut | Heal


class Reply(Struct, frozen=True, omit_defaults=True):
    """What comes back. ``exit_code`` is what a command should end with after ``error``."""

    id: int
    result: dict[str, Any] | None = None
    error: str = ""
    exit_code: int = 0


_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_encoder = msgspec.json.Encoder()


def encode_request(request: Request) -> bytes:
    """One line."""
    return _encoder.encode(request) + b"\n"


def decode_request(line: bytes) -> Request:
    """The request in a line.

    Raises:
        RequestError: with what is wrong with it.
    """
    try:
        return _requests.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"not a request this meerkat understands: {error}") from error


def encode_line(value: Reply | Mapping[str, Any]) -> bytes:
    """One line: a reply or an event."""
    return _encoder.encode(value) + b"\n"


def decode_line(line: bytes) -> dict[str, Any]:
    """A reply or an event as plain values.

    Raises:
        RequestError: if it is neither.
    """
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("the folder's process answered with something else") from error
