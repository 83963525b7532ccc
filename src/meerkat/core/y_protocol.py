"""The frames of the y-websocket protocol: read and written, not acted upon.

Decides which bytes are a frame: one message each, as y-websocket's own client and server send
them. Does not look into updates of the text (``text_update.py``), and does not decide who may say
what (``bridge.py``). Sources: ``y-protocols`` (``sync.js``, ``awareness.js``, ``auth.js``),
``y-websocket`` and the integers of ``lib0``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .surrogates import TextUpdateError, read_varint, write_varint

__all__ = [
    "MAX_AWARENESS_STATES",
    "MAX_FRAME_BYTES",
    "MAX_STATE_BYTES",
    "AskAwareness",
    "AwarenessState",
    "Ignored",
    "ShowAwareness",
    "SyncStep1",
    "SyncUpdate",
    "YMessage",
    "YProtocolError",
    "decode_frame",
    "decode_state",
    "encode_awareness",
    "encode_step1",
    "encode_step2",
    "encode_update",
    "encode_vector",
]

MAX_FRAME_BYTES = 8 * 1024 * 1024  # the largest text, and as much of what it once was; guess
MAX_VECTOR_BYTES = 1024 * 1024  # a state vector of 100,000 clients; each tab that typed is one
MAX_AWARENESS_STATES = 1_024  # in one frame: clients send on all they hear, not just their own
MAX_STATE_BYTES = 4 * 1024  # JSON of one awareness state; a name, a colour and a cursor take 250
MAX_STATE_PARTS = 256  # objects and arrays in it, so that it is not deep either; a cursor has six
_MAX_CLOCK = 2**53 - 2  # leaves room for one more, in what JavaScript holds exactly

_SYNC, _AWARENESS, _AUTH, _ASK_AWARENESS = range(4)  # y-websocket: the first integer of a frame
_STEP1, _STEP2, _UPDATE = range(3)  # y-protocols/sync.js: the second one of a sync message


class YProtocolError(ValueError):
    """These bytes are no frame of the y-websocket protocol."""


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """What the sender has: client -> its next clock. It wants the rest."""

    vector: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class SyncUpdate:
    """A Yjs update: an answer to step 1 (``is_answer``), or something new."""

    update: bytes = field(repr=False)
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class AwarenessState:
    """What a client shows of itself, as JSON; "null" when it is gone."""

    client: int
    clock: int
    json: str = field(repr=False)

    @property
    def is_gone(self) -> bool:
        """Whether this takes the state away."""
        return self.json == "null"


@dataclass(frozen=True, slots=True)
class ShowAwareness:
    """States that changed, the sender's own and those it heard of."""

    states: tuple[AwarenessState, ...]


@dataclass(frozen=True, slots=True)
class AskAwareness:
    """The sender wants everybody's state."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that means nothing here; y-websocket's server passes over it as well."""


YMessage = SyncStep1 | SyncUpdate | ShowAwareness | AskAwareness | Ignored


def decode_frame(frame: bytes) -> YMessage:
    """The one message of a frame, in time linear in its bytes.

    Unlike y-websocket's server, which passes over bytes behind the message: they would be lost.

    Raises:
        YProtocolError: if the frame is cut short, too large or not canonical.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise YProtocolError("a frame is too large")
    try:
        kind, at = read_varint(frame, 0)
        if kind == _SYNC:
            return _read_sync(frame, at)
        if kind == _AWARENESS:
            return ShowAwareness(tuple(_read_states(_read_last(frame, at))))
        if kind == _ASK_AWARENESS:
            return AskAwareness()
    except TextUpdateError as problem:
        raise YProtocolError(f"not a frame: {problem}") from None
    return Ignored()


def _read_sync(frame: bytes, at: int) -> YMessage:
    kind, at = read_varint(frame, at)
    payload = _read_last(frame, at)
    if kind == _STEP1:
        return SyncStep1(_read_vector(payload))
    if kind in (_STEP2, _UPDATE):
        return SyncUpdate(payload, kind == _STEP2)
    raise YProtocolError("an unknown kind of sync message")


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_varint(data, at)
    if size > len(data) - at:
        raise YProtocolError("a frame is cut short")
    return data[at : at + size], at + size


def _read_last(data: bytes, at: int) -> bytes:
    payload, at = _read_bytes(data, at)
    if at != len(data):
        raise YProtocolError("bytes follow the message")
    return payload


def _read_vector(data: bytes) -> dict[int, int]:
    if len(data) > MAX_VECTOR_BYTES:
        raise YProtocolError("a state vector is too large")
    count, at = read_varint(data, 0)
    vector: dict[int, int] = {}
    for _ in range(min(count, len(data))):
        client, at = read_varint(data, at)
        if client in vector:
            raise YProtocolError("a state vector names a client twice")
        vector[client], at = read_varint(data, at)
    if at != len(data) or len(vector) != count:
        raise YProtocolError("a state vector of the wrong length")
    return vector


def _read_states(data: bytes) -> Iterable[AwarenessState]:
    count, at = read_varint(data, 0)
    if count > MAX_AWARENESS_STATES:
        raise YProtocolError("too many awareness states")
    for _ in range(count):
        client, at = read_varint(data, at)
        clock, at = read_varint(data, at)
        encoded, at = _read_bytes(data, at)
        if clock > _MAX_CLOCK:
            raise YProtocolError("an awareness clock is too large")
        try:
            yield AwarenessState(client, clock, encoded.decode())
        except UnicodeDecodeError:
            raise YProtocolError("an awareness state is not UTF-8") from None
    if at != len(data):
        raise YProtocolError("bytes follow the awareness states")


def decode_state(state: AwarenessState) -> dict[str, Any] | None:
    """What a state says; None if its client is gone.

    Raises:
        YProtocolError: unless it is JSON that every client can read: an object or null, neither
            large nor deep.
    """
    text = state.json
    if len(text) > MAX_STATE_BYTES or text.count("{") + text.count("[") > MAX_STATE_PARTS:
        raise YProtocolError("an awareness state is too large")
    try:
        value = _json.decode(text)
    except ValueError:
        raise YProtocolError("an awareness state is not JSON") from None
    if value is not None and not isinstance(value, dict):
        raise YProtocolError("an awareness state is neither an object nor null")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # Python's reader would take NaN and Infinity


_json = json.JSONDecoder(parse_constant=_refuse_constant)


def encode_vector(vector: Mapping[int, int]) -> bytes:
    """A state vector, as the engine reads it: client -> next clock."""
    out = bytearray(write_varint(len(vector)))
    for client, clock in vector.items():
        out += write_varint(client) + write_varint(clock)
    return bytes(out)


def encode_step1(vector: Mapping[int, int]) -> bytes:
    """The frame that asks for what ``vector`` lacks."""
    return _sync(_STEP1, encode_vector(vector))


def encode_step2(update: bytes) -> bytes:
    """The frame that answers step 1."""
    return _sync(_STEP2, update)


def encode_update(update: bytes) -> bytes:
    """The frame that brings something new."""
    return _sync(_UPDATE, update)


def _sync(kind: int, payload: bytes) -> bytes:
    return bytes((_SYNC, kind)) + write_varint(len(payload)) + payload


def encode_awareness(states: Iterable[AwarenessState]) -> bytes:
    """The frame that tells states."""
    listed = list(states)
    out = bytearray(write_varint(len(listed)))
    for state in listed:
        encoded = state.json.encode()
        out += write_varint(state.client) + write_varint(state.clock)
        out += write_varint(len(encoded)) + encoded
    return bytes((_AWARENESS,)) + write_varint(len(out)) + bytes(out)
