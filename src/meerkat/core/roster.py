"""Who may be here: members, and the authors that speak for them.

Decides whether an author's operations may be admitted. The rules for roles and removal come with
the membership issue; until then every member may write and may add members.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from blake3 import blake3

from meerkat.errors import UnknownMember

from .actions import (
    MemberAdded,
    MemberNamed,
    Opened,
    PayloadError,
    decode_membership,
    decode_opened,
)
from .ids import AuthorId, MemberId, PoolId
from .operation import FIRST, Operation, OperationError, OperationKind, decode_operation
from .operation import verify_operation as verify_signature
from .packing import pack
from .ports import Store, Table
from .shown_text import is_name, one_line
from .signing import verify

__all__ = [
    "AuthorRecord",
    "MemberRecord",
    "Renamed",
    "Roster",
    "chosen_name",
    "pool_id",
    "proof_of_author",
    "read_opened",
]

ROLES = ("owner", "writer", "reader")
PREFIX_DIGITS = 4  # of an id, at least; fewer would name somebody by accident
MOST_NAMED = 20  # members listed in an error


def pool_id(founder: MemberId, nonce: bytes) -> PoolId:
    """A pool is named by its founder and a nonce, so nobody else can claim to have founded it."""
    return PoolId(blake3(b"meerkat pool 1\x00" + founder + nonce).digest())


def proof_of_author(pool: PoolId, author: AuthorId) -> bytes:
    """What a member signs to let ``author`` speak for it."""
    return b"meerkat author 1\x00" + pool + author


class MemberRecord(msgspec.Struct, frozen=True, array_like=True):
    """A member as the applied operations say.

    ``named_at``: (Lamport, author) of the operation by which it got its name, if it chose one.
    """

    role: str
    name: str
    named_at: tuple[int, bytes] = (0, b"")


def chosen_name(store: Store, member: MemberId) -> str:
    """The name that a member's applied operations say; empty if none came yet."""
    value = store.get(Table.MEMBER, member)
    return msgspec.msgpack.decode(value, type=MemberRecord).name if value else ""


class AuthorRecord(msgspec.Struct, frozen=True, array_like=True):
    """An author. ``introduced``: only vouched for by the door so far, not yet in our log."""

    member: bytes
    name: str
    certificate: bytes
    introduced: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """An OPENED operation that was checked: signature, proof, place in the log."""

    operation: Operation
    opened: Opened


@dataclass(frozen=True, slots=True)
class Renamed:
    """A member has another name now."""

    member: MemberId
    old: str
    name: str


def read_opened(data: bytes, pool: PoolId) -> Credentials:
    """Check the first operation of an author's log, wherever it came from.

    Raises:
        OperationError: if it does not prove that the author speaks for its member in this pool.
    """
    operation = decode_operation(data)
    if (
        operation.kind != OperationKind.OPENED
        or operation.sequence != 1
        or operation.previous != FIRST
    ):
        raise OperationError("not the first operation of a log")
    try:
        opened = decode_opened(operation.payload)
    except PayloadError as error:
        raise OperationError(str(error)) from error
    statement = proof_of_author(pool, operation.author)
    if not verify_signature(operation, pool) or not verify(opened.member, opened.proof, statement):
        raise OperationError("an author's credentials are not signed by its member")
    return Credentials(operation, opened)


class Roster:
    """Members and authors, kept in the store, changed only by applied operations."""

    def __init__(self, store: Store, pool: PoolId) -> None:
        self._store = store
        self.pool = pool
        self.pool_name = ""
        self.changed = True
        self.members: dict[MemberId, MemberRecord] = {}
        self.authors: dict[AuthorId, AuthorRecord] = {}
        self.renamed: list[Renamed] = []  # since somebody last looked and emptied it
        self._called: dict[str, set[MemberId]] = {}  # a name, as it is compared -> who has it
        for key, value in store.scan(Table.MEMBER):
            record = msgspec.msgpack.decode(value, type=MemberRecord)
            self.members[MemberId(key)] = record
            self._called.setdefault(_plain(record.name), set()).add(MemberId(key))
        for key, value in store.scan(Table.AUTHOR):
            self.authors[AuthorId(key)] = msgspec.msgpack.decode(value, type=AuthorRecord)

    def may_write(self, author: AuthorId) -> bool:
        """Whether operations of ``author`` are admitted."""
        record = self.authors.get(author)
        return record is not None and record.member in self.members

    def may_link(self, author: AuthorId) -> bool:
        """Whether we talk to ``author`` at all: members, and whom the door introduced."""
        record = self.authors.get(author)
        return record is not None and (record.introduced or record.member in self.members)

    def knows(self, member: MemberId) -> bool:
        """Whether we talk to any author of ``member``, also to one we have not heard of yet."""
        return member in self.members or any(
            record.introduced and record.member == member for record in self.authors.values()
        )

    def member_of(self, author: AuthorId) -> MemberId | None:
        """The member an author speaks for."""
        record = self.authors.get(author)
        return MemberId(record.member) if record else None

    def name_of(self, author: AuthorId) -> str:
        """A name to show for an author; never empty."""
        record = self.authors.get(author)
        if record is None:
            return author.short()
        member = self.members.get(MemberId(record.member))
        return (member.name if member else record.name) or author.short()

    def shown_name(self, member: MemberId) -> str:
        """A member's name for people, with the start of its id if others are called so too."""
        record = self.members.get(member)
        name = one_line(record.name) if record is not None else ""
        if record is None or not name:
            return member.short()
        alone = len(self._called[_plain(record.name)]) == 1
        return name if alone else f"{name} ({member.short()})"

    def find(self, wanted: str) -> MemberId:
        """Whom a person means: a name in any case, one as it is shown, or how an id begins.

        Raises:
            UnknownMember: if nobody, or more than one, is meant; the message lists who might be.
        """
        plain = _plain(wanted.removeprefix("@"))
        found = set(self._called.get(plain, ()))
        if not found:
            found = {one for one in self.members if _plain(self.shown_name(one)) == plain}
        if not found and len(plain) >= PREFIX_DIGITS:
            found = {one for one in self.members if one.hex().startswith(plain)}
        if len(found) == 1:
            return found.pop()
        if found:
            who = ", ".join(self.shown_name(one) for one in sorted(found)[:MOST_NAMED])
            raise UnknownMember(f"{wanted!r} may be {who}. Write the beginning of the id.")
        known = sorted(self.shown_name(one) for one in self.members)
        listed = ", ".join(known[:MOST_NAMED]) + (" ..." if len(known) > MOST_NAMED else "")
        raise UnknownMember(f"Nobody is called {wanted!r} here. The members are: {listed}.")

    def certificates(self) -> dict[MemberId, bytes]:
        """Whom TLS may let in. The newest author of a member wins; they share one certificate."""
        return {
            MemberId(record.member): record.certificate
            for author, record in sorted(self.authors.items())
            if self.may_link(author)
        }

    def introduce(self, credentials: Iterable[Credentials]) -> None:
        """Take the word of the member that let us in, until the log says it itself."""
        for one in credentials:
            if one.operation.author not in self.authors:
                self._put_author(one, introduced=True)

    def open_author(self, one: Credentials) -> None:
        """An author's first operation was admitted."""
        self._put_author(one, introduced=False)
        opened, member = one.opened, MemberId(one.opened.member)
        if self._is_founder(one):
            self.pool_name = opened.pool_name
            self._store.put(Table.META, b"pool_name", opened.pool_name.encode())
            self._put_member(member, MemberRecord("owner", opened.name))

    def may_open(self, one: Credentials) -> bool:
        """Whether this first operation may enter the log: a member's, or the founder's."""
        member = MemberId(one.opened.member)
        return member in self.members or self._is_founder(one)

    def _is_founder(self, one: Credentials) -> bool:
        member, nonce = MemberId(one.opened.member), one.opened.nonce
        return pool_id(member, nonce) == self.pool  # the hash binds both

    def apply(self, operation: Operation) -> None:
        """A MEMBERSHIP operation takes effect. What is not understood has no effect."""
        try:
            actions = decode_membership(operation.payload)
        except PayloadError:
            return
        for action in actions:
            match action:
                case MemberAdded():
                    self._add(action)
                case MemberNamed():
                    self._name(action, operation)

    def _add(self, action: MemberAdded) -> None:
        member = MemberId(action.member)
        if action.role in ROLES and member not in self.members:
            self._put_member(member, MemberRecord(action.role, action.name))

    def _name(self, action: MemberNamed, operation: Operation) -> None:
        """A member has one voice in this: its own. The last writer wins, in whatever order."""
        member = self.member_of(operation.author)
        record = self.members.get(member) if member is not None else None
        at = (operation.lamport, bytes(operation.author))
        if member is None or record is None or not is_name(action.name) or at <= record.named_at:
            return
        self._put_member(member, MemberRecord(record.role, action.name, at))
        if record.name != action.name:
            self.renamed.append(Renamed(member, record.name, action.name))

    def _put_author(self, one: Credentials, *, introduced: bool) -> None:
        opened = one.opened
        record = AuthorRecord(opened.member, opened.name, opened.certificate, introduced)
        self.authors[one.operation.author] = record
        self._store.put(Table.AUTHOR, one.operation.author, pack(record))
        self.changed = True

    def _put_member(self, member: MemberId, record: MemberRecord) -> None:
        before = self.members.get(member)
        if before is not None:
            self._called[_plain(before.name)].discard(member)
        self.members[member] = record
        self._called.setdefault(_plain(record.name), set()).add(member)
        self._store.put(Table.MEMBER, member, pack(record))
        self.changed = True


def _plain(name: str) -> str:
    """Names that look alike to a person, whatever their case, are alike."""
    return unicodedata.normalize("NFKC", one_line(name)).casefold()
