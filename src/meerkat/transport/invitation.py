"""An invitation as one line of text: what someone needs to find the pool's door and be let in.

``meerkat1:`` and base64url (no padding) of a MessagePack array and a four-byte checksum. About 180
characters: it fits a chat message and a QR code. The secret in it lets its reader in; treat it so.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct

from meerkat.core.ids import PoolId
from meerkat.core.messages import Bytes16, Bytes32
from meerkat.errors import InvitationError

from .addresses import format_address, parse_address

__all__ = ["Invitation", "decode_invitation", "encode_invitation"]

PREFIX = "meerkat1:"
ANY_PREFIX = re.compile(r"meerkat(\d+):", re.IGNORECASE)
CHECKSUM_BYTES = 4  # one damaged line in 4 billion passes; the secret is checked at the door anyway
MAX_TEXT = 4_096  # characters; ours have about 180
PORT_BYTES = 2
IP, NAME = b"i", b"n"  # tags of a packed address
PackedAddress = Annotated[bytes, Meta(min_length=2, max_length=300)]


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an invitation says. ``expires``: seconds since the epoch."""

    pool: PoolId
    pool_name: str
    addresses: tuple[str, ...]
    fingerprint: bytes
    id: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    expires: int


class _Packed(Struct, frozen=True, array_like=True):
    """The same, as it travels. An address: a tag, then packed IP and port, or a name as text."""

    pool: Bytes32
    pool_name: Annotated[str, Meta(max_length=255)]
    addresses: Annotated[tuple[PackedAddress, ...], Meta(min_length=1, max_length=16)]
    fingerprint: Bytes32
    id: Bytes16
    secret: Bytes16
    expires: Annotated[int, Meta(ge=0, le=2**40)]


def encode_invitation(invitation: Invitation) -> str:
    """One line of text without spaces."""
    packed = _Packed(
        pool=bytes(invitation.pool),
        pool_name=invitation.pool_name,
        addresses=tuple(_pack_address(address) for address in invitation.addresses),
        fingerprint=invitation.fingerprint,
        id=invitation.id,
        secret=invitation.secret,
        expires=invitation.expires,
    )
    body = msgspec.msgpack.encode(packed)
    return PREFIX + base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")


def decode_invitation(text: str) -> Invitation:
    """What an invitation says.

    Raises:
        InvitationError: with a sentence, if it is none, was cut off, or is of a newer meerkat.
    """
    packed = _unpack(_body(text))
    try:
        addresses = tuple(_unpack_address(address) for address in packed.addresses)
    except ValueError as error:
        raise InvitationError(
            "This invitation holds no usable address; ask for a new one."
        ) from error
    return Invitation(
        pool=PoolId(packed.pool),
        pool_name=packed.pool_name,
        addresses=addresses,
        fingerprint=packed.fingerprint,
        id=packed.id,
        secret=packed.secret,
        expires=packed.expires,
    )


def _body(text: str) -> bytes:
    """The checked MessagePack bytes. Chat programs break lines and add quotes; that is forgiven."""
    line = "".join(text.split()).strip("\"'`<>")
    found = ANY_PREFIX.match(line)
    if found is None or len(line) > MAX_TEXT:
        raise InvitationError(
            f"This is not a meerkat invitation; one begins with {PREFIX} and is made by "
            "`meerkat share` or `meerkat invite`."
        )
    if found.group(0).lower() != PREFIX:
        raise InvitationError("This invitation was made by a newer meerkat; update yours.")
    encoded = line[found.end() :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvitationError(_DAMAGED) from error
    body, checksum = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
    if _checksum(body) != checksum:
        raise InvitationError(_DAMAGED)
    return body


_DAMAGED = "This invitation is cut off or damaged; copy it again, all of it."


def _unpack(body: bytes) -> _Packed:
    try:
        return msgspec.msgpack.decode(body, type=_Packed)
    except msgspec.MsgspecError as error:
        raise InvitationError(_DAMAGED) from error


def _checksum(body: bytes) -> bytes:
    return blake3(b"meerkat invitation 1\x00" + body).digest()[:CHECKSUM_BYTES]


def _pack_address(address: str) -> bytes:
    host, port = parse_address(address)
    try:
        packed = ipaddress.ip_address(host).packed
    except ValueError:
        return NAME + address.encode()
    return IP + packed + port.to_bytes(PORT_BYTES, "big")


def _unpack_address(packed: bytes) -> str:
    tag, address = packed[:1], packed[1:]
    if tag != IP:
        return format_address(*parse_address(address.decode()))
    host = ipaddress.ip_address(address[:-PORT_BYTES])
    return format_address(str(host), int.from_bytes(address[-PORT_BYTES:], "big"))
