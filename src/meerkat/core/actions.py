"""What operations say: the payloads, as MessagePack arrays checked while decoding.

A CHANGES operation carries a list of actions that take effect together: a folder rename, a scan
of a thousand files, one keystroke. Payloads above ``COMPRESS_ABOVE`` are deflated when that helps.
"""

from __future__ import annotations

import zlib
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from .messages import MAX_BOX_BYTES, Bytes16, Bytes32, HeadEntry
from .packing import pack

__all__ = [
    "MAX_ROWS_BYTES",
    "Action",
    "Body",
    "ChangeRows",
    "Cover",
    "DropFile",
    "DropFolder",
    "EditText",
    "Mail",
    "MemberAdded",
    "MemberNamed",
    "MembershipAction",
    "MoveFile",
    "NewFile",
    "NewVersion",
    "Opened",
    "Part",
    "PayloadError",
    "PutFolder",
    "Receipt",
    "Said",
    "SetEol",
    "SetExecutable",
    "SetLive",
    "decode_actions",
    "decode_mail",
    "decode_membership",
    "decode_opened",
    "decode_receipt",
    "decode_said",
    "encode_actions",
    "encode_payload",
]

COMPRESS_ABOVE = 512  # bytes; below it deflate gains nothing (guess)
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # inflated; a bomb stops here
MAX_SAID_CHARS = 8 * 1024  # and as many bytes of UTF-8; more belongs into a file
MAX_ROWS_BYTES = 512 * 1024  # of a database's batch in one action: an operation takes 1 MiB
MAX_RECEIPTS = 1_024  # in one operation
_RAW, _DEFLATED = b"\x00", b"\x01"

Path = Annotated[str, Meta(min_length=1, max_length=4096)]
Size = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Vector = Annotated[tuple[HeadEntry, ...], Meta(max_length=16_384)]


class PayloadError(ValueError):
    """A payload that no correct meerkat would sign; it is kept in the log and has no effect."""


class Opened(Struct, frozen=True, array_like=True):
    """The first operation of a log: ``author`` speaks for ``member``.

    ``proof`` is the member's signature over the pool and the author. ``certificate`` is the TLS
    certificate (DER) by which this installation is known. Only the pool's founder has a ``nonce``:
    the pool's id is the hash of the founder's key and that nonce.
    """

    member: Bytes32
    proof: Annotated[bytes, Meta(min_length=64, max_length=64)]
    certificate: Annotated[bytes, Meta(max_length=4096)]
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    nonce: Annotated[bytes, Meta(max_length=32)] = b""
    pool_name: Annotated[str, Meta(max_length=255)] = ""


class MemberAdded(Struct, frozen=True, array_like=True, tag=1):
    """``member`` may be here from now on. ``role``: "owner", "writer" or "reader"."""

    member: Bytes32
    role: Annotated[str, Meta(max_length=16)]
    name: Annotated[str, Meta(max_length=64)]


class MemberNamed(Struct, frozen=True, array_like=True, tag=2):
    """The author's own member wants to be called this from now on; the last writer wins."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]


MembershipAction = MemberAdded | MemberNamed


class Said(Struct, frozen=True, array_like=True):
    """A line for everyone, by the author's member."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_SAID_CHARS)]


class Mail(Struct, frozen=True, array_like=True):
    """A letter that found no way (``letters``), for ``to`` to find in the log.

    It has the ``id`` under which it was first sent, so that nobody reads it twice.
    """

    to: Bytes32
    id: Bytes16
    box: Annotated[bytes, Meta(min_length=1, max_length=MAX_BOX_BYTES)]


class Receipt(Struct, frozen=True, array_like=True):
    """MAIL operations, as (author, sequence), whose letters the author's member has opened."""

    mails: Annotated[tuple[HeadEntry, ...], Meta(min_length=1, max_length=MAX_RECEIPTS)]


class Body(Struct, frozen=True, array_like=True):
    """The start of a content.

    ``kind``: "text" (``data`` is UTF-8), "blob" (``data`` lists chunks, 36 bytes each), "rows" (as
    a blob: a live database as it was at its import) or "link" (``data`` is the target). ``digest``
    is the BLAKE3 of the file's bytes and ``size`` their count. A ``total`` above ``len(data)``
    means that ``Part`` actions bring the rest.
    """

    kind: Annotated[str, Meta(max_length=8)]
    digest: Bytes32
    size: Size
    total: Size
    data: bytes
    eol: Annotated[str, Meta(max_length=4)] = ""


class Cover(Struct, frozen=True, array_like=True):
    """A version that an action replaces, and how much of it the author had seen."""

    version: Bytes16
    seen: Vector


class PutFolder(Struct, frozen=True, array_like=True, tag=1):
    """A folder exists, even if empty."""

    path: Path


class DropFolder(Struct, frozen=True, array_like=True, tag=2):
    """A folder is gone, as far as the author had seen it being made."""

    path: Path
    seen: Vector


class NewFile(Struct, frozen=True, array_like=True, tag=3):
    """A file is born, at a path, with its first version."""

    file: Bytes16
    version: Bytes16
    path: Path
    executable: bool
    body: Body


class NewVersion(Struct, frozen=True, array_like=True, tag=4):
    """A file's content is replaced as a whole; what ``covers`` does not name stays beside it."""

    file: Bytes16
    version: Bytes16
    covers: Annotated[tuple[Cover, ...], Meta(max_length=1024)]
    body: Body


class Part(Struct, frozen=True, array_like=True, tag=5):
    """More of a body that does not fit one operation; ``offset`` in bytes of the body."""

    file: Bytes16
    version: Bytes16
    offset: Size
    data: bytes


class EditText(Struct, frozen=True, array_like=True, tag=6):
    """Typing: an update of a live text, of this author's client id alone."""

    file: Bytes16
    version: Bytes16
    update: bytes


class MoveFile(Struct, frozen=True, array_like=True, tag=7):
    """A file has a new path; the last writer wins."""

    file: Bytes16
    path: Path


class SetExecutable(Struct, frozen=True, array_like=True, tag=8):
    """The executable bit; the last writer wins."""

    file: Bytes16
    executable: bool


class SetEol(Struct, frozen=True, array_like=True, tag=9):
    """How the lines of a text end on disk: "lf" or "crlf"; the last writer wins."""

    file: Bytes16
    version: Bytes16
    eol: Annotated[str, Meta(max_length=4)]


class DropFile(Struct, frozen=True, array_like=True, tag=10):
    """A file's versions are gone, as far as the author had seen them."""

    file: Bytes16
    covers: Annotated[tuple[Cover, ...], Meta(min_length=1, max_length=1024)]


class ChangeRows(Struct, frozen=True, array_like=True, tag=11):
    """What a program changed in a live database. At most one in an operation for one version.

    ``data`` is for the rows process (``meerkat.rows.changes``). A program's transaction may take
    several operations; ``last`` marks the one that ends it.
    """

    file: Bytes16
    version: Bytes16
    last: bool
    data: Annotated[bytes, Meta(max_length=MAX_ROWS_BYTES)]


class SetLive(Struct, frozen=True, array_like=True, tag=12):
    """Whether a SQLite file is merged by rows; if not, as any other file. Last writer wins."""

    file: Bytes16
    live: bool


Action = (
    PutFolder
    | DropFolder
    | NewFile
    | NewVersion
    | Part
    | EditText
    | MoveFile
    | SetExecutable
    | SetEol
    | DropFile
    | ChangeRows
    | SetLive
)

_T = TypeVar("_T")
_actions: msgspec.msgpack.Decoder[list[Action]] = msgspec.msgpack.Decoder(list[Action])
_membership: msgspec.msgpack.Decoder[list[MembershipAction]] = msgspec.msgpack.Decoder(
    list[MembershipAction]
)
_opened: msgspec.msgpack.Decoder[Opened] = msgspec.msgpack.Decoder(Opened)
_said: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)
_mail: msgspec.msgpack.Decoder[Mail] = msgspec.msgpack.Decoder(Mail)
_receipt: msgspec.msgpack.Decoder[Receipt] = msgspec.msgpack.Decoder(Receipt)


def encode_payload(value: Struct | list[MembershipAction] | list[Action]) -> bytes:
    """A payload of any kind, deflated when that makes it smaller."""
    raw = pack(value)
    if len(raw) > COMPRESS_ABOVE:
        deflated = zlib.compress(raw, 1)
        if len(deflated) < len(raw):
            return _DEFLATED + deflated
    return _RAW + raw


def encode_actions(actions: list[Action]) -> bytes:
    """The payload of a CHANGES operation."""
    return encode_payload(actions)


def _inflate(payload: bytes) -> bytes:
    mark, rest = payload[:1], payload[1:]
    if mark == _RAW:
        return rest
    if mark != _DEFLATED:
        raise PayloadError("unknown compression")
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(rest, MAX_PAYLOAD_BYTES)
    except zlib.error as error:
        raise PayloadError("damaged payload") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise PayloadError("payload too large when inflated")
    return raw


def _decode(decoder: msgspec.msgpack.Decoder[_T], payload: bytes) -> _T:
    try:
        return decoder.decode(_inflate(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("malformed payload") from error


def decode_actions(payload: bytes) -> list[Action]:
    """The actions of a CHANGES operation.

    Raises:
        PayloadError: if the payload is not a list of known, well-formed actions.
    """
    return _decode(_actions, payload)


def decode_membership(payload: bytes) -> list[MembershipAction]:
    """The actions of a MEMBERSHIP operation.

    Raises:
        PayloadError: as above.
    """
    return _decode(_membership, payload)


def decode_opened(payload: bytes) -> Opened:
    """The payload of an OPENED operation.

    Raises:
        PayloadError: as above.
    """
    return _decode(_opened, payload)


def decode_said(payload: bytes) -> Said:
    """The payload of a SAID operation.

    Raises:
        PayloadError: as above.
    """
    return _decode(_said, payload)


def decode_mail(payload: bytes) -> Mail:
    """The payload of a MAIL operation.

    Raises:
        PayloadError: as above.
    """
    return _decode(_mail, payload)


def decode_receipt(payload: bytes) -> Receipt:
    """The payload of a RECEIPT operation.

    Raises:
        PayloadError: as above.
    """
    return _decode(_receipt, payload)
