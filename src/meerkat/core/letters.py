"""A letter: what one member says to another, signed inside the box that only the other can open.

The box (``sealed``) hides the letter from everyone who carries it; the signature inside says who
wrote it, for whom and in which pool. So nobody can write in another's name, and whoever opened a
letter cannot put it into a new box for somebody else. Whatever is not exactly a letter to us is
None here: a bad letter is the fault of whoever sent it, and costs nothing but the look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from .gate import Gate
from .ids import AuthorId, MemberId
from .messages import Bytes16, Bytes32, Bytes64
from .packing import pack
from .shown_text import clean_text

__all__ = [
    "MAX_CONTENT_BYTES",
    "MAX_TEXT_BYTES",
    "Letter",
    "LetterError",
    "LetterKind",
    "Open",
    "Seal",
    "open_letter",
    "text_of",
    "write_letter",
]

Seal = Callable[[MemberId, bytes], bytes]
"""Makes a box that only this member can open; ``ValueError`` if its id is no usable key."""
Open = Callable[[bytes], bytes | None]
"""What is in a box for us; None if it is not for us, or damaged."""

MAX_TEXT_BYTES = 8 * 1024  # of UTF-8: four pages; more belongs into a file
MAX_CONTENT_BYTES = 48 * 1024  # of an echo; letter and box around it stay below MAX_BOX_BYTES

_DOMAIN = b"meerkat letter 1\x00"
_MAX_WALL_MS = 2**53 - 1


class LetterError(ValueError):
    """This cannot be sent; the message is a sentence for the person who tried."""


class LetterKind(IntEnum):
    """What a letter is for. One of an unknown kind is not acknowledged."""

    TEXT = 1  # a person says something
    ECHO = 2  # only to be acknowledged: how far away are you?


class _Body(Struct, frozen=True, array_like=True):
    kind: Annotated[int, Meta(ge=0, le=255)]
    author: Bytes32
    member: Bytes32
    to: Bytes32
    id: Bytes16
    wall_ms: Annotated[int, Meta(ge=0, le=_MAX_WALL_MS)]
    content: Annotated[bytes, Meta(max_length=MAX_CONTENT_BYTES)]


_Signed = tuple[bytes, Bytes64]
_signed: msgspec.msgpack.Decoder[_Signed] = msgspec.msgpack.Decoder(_Signed)
_body: msgspec.msgpack.Decoder[_Body] = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that was checked. ``wall_ms``: milliseconds since the epoch, by its author."""

    kind: LetterKind
    author: AuthorId
    member: MemberId
    to: MemberId
    id: bytes
    wall_ms: int
    content: bytes


def write_letter(
    gate: Gate,
    seal: Seal,
    *,
    letter_id: bytes,
    to: MemberId,
    kind: LetterKind,
    content: bytes,
    wall: float,
) -> bytes:
    """A sealed letter from ourselves.

    Args:
        gate: who we are, and our signature.
        seal: makes the box.
        letter_id: 16 bytes; the same letter may be sealed again.
        to: who may open it.
        kind: what it is for.
        content: at most ``MAX_CONTENT_BYTES``.
        wall: time of day, s since the epoch; for people.

    Raises:
        LetterError: if it is too long, or for somebody who cannot get letters.
    """
    if len(content) > MAX_CONTENT_BYTES:
        raise LetterError("This is too long for a message. Put it into a file.")
    member = gate.member_of(gate.author)
    if member is None:
        raise LetterError("You are not a member of this pool yet. Wait until you are linked.")
    wall_ms = min(max(0, int(wall * 1000)), _MAX_WALL_MS)
    body = pack((int(kind), gate.author, member, to, letter_id, wall_ms, content))
    plain = pack((body, gate.sign(_DOMAIN + gate.pool + body)))
    try:
        return seal(to, plain)
    except ValueError as error:
        raise LetterError("This member cannot get messages: its id is not a key.") from error


def open_letter(gate: Gate, open_: Open, box: bytes) -> Letter | None:
    """The letter in a box, if it is one to us by a member of our pool; None otherwise."""
    plain = open_(box)
    if plain is None:
        return None
    try:
        body_bytes, signature = _signed.decode(plain)
        body = _body.decode(body_bytes)
        kind = LetterKind(body.kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    author, member = AuthorId(body.author), MemberId(body.member)
    if (
        pack((body_bytes, signature)) != plain  # one letter has one encoding
        or gate.member_of(author) != member
        or gate.member_of(gate.author) != body.to
        or not gate.may_link(author)
        or not gate.verify(author, signature, _DOMAIN + gate.pool + body_bytes)
    ):
        return None
    return Letter(kind, author, member, MemberId(body.to), body.id, body.wall_ms, body.content)


def text_of(content: bytes) -> str | None:
    """The text that somebody else sent, fit to be shown; None if it is too long or no UTF-8."""
    if len(content) > MAX_TEXT_BYTES:
        return None
    try:
        return clean_text(content.decode("utf-8"))
    except UnicodeDecodeError:
        return None
