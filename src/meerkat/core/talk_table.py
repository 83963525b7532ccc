"""The store's table of what was said: lines in order, found again by the letter they came in.

Keys of ``Table.TALK`` by their first byte:

    l  a line, the newest first: complements of Lamport time, rank, and what tells equals apart
    i  member + letter id: the line of that letter; so nothing is shown twice, ever
    o  letter id: ours, neither answered nor in the log yet
    m  author + sequence of a MAIL of ours: the line it brings
    p  author + sequence of a MAIL to us that wants a receipt
    r  author + sequence of a MAIL that our member has a receipt for
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from .ids import AuthorId, MemberId
from .operation import Operation
from .packing import pack
from .ports import Store, Table

__all__ = ["DELIVERED", "MAILED", "SENT", "Line", "MailId", "TalkTable"]

MailId = tuple[AuthorId, int]
"""A MAIL operation: its author and sequence."""

SENT, MAILED, DELIVERED = 1, 2, 3  # how far a letter of ours came; 0: no letter of ours
_COUNTER_BYTES = 8
_OPERATION, _LETTER = b"\x00", b"\x01"  # rank: a letter follows what we knew when it came
_INVERT = bytes(255 - value for value in range(256))


class Line(msgspec.Struct, frozen=True, array_like=True):
    """Something said. ``to`` is empty if it was said to all; ``id`` has 16 bytes."""

    id: bytes
    member: bytes
    to: bytes
    text: str
    wall_ms: int
    state: int = 0


_line: msgspec.msgpack.Decoder[Line] = msgspec.msgpack.Decoder(Line)


class TalkTable:
    """Reads and writes ``Table.TALK``; knows no rules."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- lines -----------------------------------------------------------------------------

    def put_operation(self, operation: Operation, line: Line) -> None:
        """A line that an operation brought: at that operation's place."""
        place = _OPERATION + operation.author + _counter(operation.sequence)
        self._put(_line_key(operation.lamport, place), line)

    def put_letter(self, lamport: int, wall_ms: int, line: Line) -> None:
        """A line that came or went as a letter, when we knew of ``lamport``."""
        place = _LETTER + _counter(wall_ms) + line.member + line.id
        self._put(_line_key(lamport, place), line)

    def _put(self, key: bytes, line: Line) -> None:
        self._store.put(Table.TALK, key, pack(line))
        if line.to:
            self._store.put(Table.TALK, _letter_key(line.member, line.id), key)

    def newest(self, limit: int) -> list[Line]:
        """The last lines, the newest first."""
        return [_line.decode(data) for _, data in islice(self._scan(b"l"), max(0, limit))]

    def letter(self, member: bytes, letter_id: bytes) -> Line | None:
        """The line of a member's letter, if it is known."""
        key = self._get(_letter_key(member, letter_id))
        data = self._get(key) if key is not None else None
        return _line.decode(data) if data is not None else None

    def set_state(self, line: Line, state: int) -> None:
        """How far a letter of ours came."""
        key = self._get(_letter_key(line.member, line.id))
        if key is not None:
            self._store.put(Table.TALK, key, pack(msgspec.structs.replace(line, state=state)))

    # -- letters of ours -------------------------------------------------------------------

    def await_answer(self, letter_id: bytes) -> None:
        """A letter of ours is on its way."""
        self._store.put(Table.TALK, b"o" + letter_id, b"")

    def answered(self, letter_id: bytes) -> None:
        """It arrived, or lies in the log."""
        self._store.delete(Table.TALK, b"o" + letter_id)

    def awaits(self, letter_id: bytes) -> bool:
        """Whether it is still on its way."""
        return self._get(b"o" + letter_id) is not None

    def unanswered(self) -> list[bytes]:
        """Letters of ours that are neither answered nor in the log."""
        return [key[1:] for key, _ in self._scan(b"o")]

    def put_mail(self, mail: MailId, letter_id: bytes) -> None:
        """A letter of ours lies in the log as this operation."""
        self._store.put(Table.TALK, b"m" + _mail_key(mail), letter_id)

    def mailed(self, mail: MailId) -> bytes | None:
        """The letter of ours that this operation brings."""
        return self._get(b"m" + _mail_key(mail))

    # -- receipts --------------------------------------------------------------------------

    def want_receipt(self, mail: MailId) -> None:
        """We opened it; its sender is to hear so, unless it did."""
        if not self.has_receipt(mail):
            self._store.put(Table.TALK, b"p" + _mail_key(mail), b"")

    def put_receipt(self, mail: MailId) -> None:
        """Our member said so."""
        self._store.put(Table.TALK, b"r" + _mail_key(mail), b"")
        self._store.delete(Table.TALK, b"p" + _mail_key(mail))

    def has_receipt(self, mail: MailId) -> bool:
        """Whether our member, here or elsewhere, said that it opened this one."""
        return self._get(b"r" + _mail_key(mail)) is not None

    def wanted_receipts(self, limit: int) -> list[MailId]:
        """Mails that want a receipt."""
        return [
            (AuthorId(key[1:-_COUNTER_BYTES]), int.from_bytes(key[-_COUNTER_BYTES:], "big"))
            for key, _ in islice(self._scan(b"p"), limit)
        ]

    def _get(self, key: bytes) -> bytes | None:
        return self._store.get(Table.TALK, key)

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._store.scan(Table.TALK, prefix)


def _counter(value: int) -> bytes:
    return value.to_bytes(_COUNTER_BYTES, "big")


def _line_key(lamport: int, place: bytes) -> bytes:
    return b"l" + (_counter(lamport) + place).translate(_INVERT)


def _letter_key(member: bytes | MemberId, letter_id: bytes) -> bytes:
    return b"i" + member + letter_id


def _mail_key(mail: MailId) -> bytes:
    return mail[0] + _counter(mail[1])
