"""The gate of a real peer: its answers come from the pool's membership."""

from __future__ import annotations

from .gate import Refused
from .ids import AuthorId, MemberId, PoolId
from .messages import Hello
from .operation import OperationError
from .roster import Roster, read_opened
from .signing import SigningKey, verify
from .wire import PROTOCOL_VERSION

__all__ = ["RosterGate"]


class RosterGate:
    """See ``Gate``. ``opened`` is the first operation of our own log."""

    def __init__(self, roster: Roster, key: SigningKey, opened: bytes) -> None:
        self._roster = roster
        self.become(key, opened)

    def become(self, key: SigningKey, opened: bytes) -> None:
        """Go on as a new author."""
        self._key, self._opened = key, opened
        self._author = AuthorId(key.public)

    @property
    def pool(self) -> PoolId:
        """See Gate."""
        return self._roster.pool

    @property
    def author(self) -> AuthorId:
        """See Gate."""
        return self._author

    def size(self) -> int:
        """See Gate. A newcomer knows only whom the door introduced."""
        return len(self._roster.members) or len(self._roster.authors)

    def may_link(self, author: AuthorId) -> bool:
        """See Gate."""
        return self._roster.may_link(author)

    def member_of(self, author: AuthorId) -> MemberId | None:
        """See Gate."""
        return self._roster.member_of(author)

    def name_of(self, author: AuthorId) -> str:
        """See Gate."""
        return self._roster.name_of(author)

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        """See Gate."""
        record = self._roster.authors.get(author)
        if record is None or not self._roster.may_link(author):
            return None
        return MemberId(record.member), record.certificate

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        """See Gate."""
        if hello.pool != self._roster.pool:
            raise Refused("other pool")
        if hello.version != PROTOCOL_VERSION:
            raise Refused("version")
        try:
            credentials = read_opened(hello.opened, self._roster.pool)
        except OperationError as error:
            raise Refused("credentials") from error
        author = credentials.operation.author
        if author != hello.author or credentials.opened.member != member:
            raise Refused("credentials")
        if not self._roster.knows(member):
            raise Refused("not a member")
        if author == self._author:
            raise Refused("myself")
        if author not in self._roster.authors:
            # A new author of a known member; its log will say the same.
            self._roster.introduce([credentials])
        return author

    def introduce(self) -> tuple[bytes, str]:
        """See Gate."""
        return self._opened, self._roster.name_of(self._author)

    def sign(self, data: bytes) -> bytes:
        """See Gate."""
        return self._key.sign(data)

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        """See Gate."""
        return author in self._roster.authors and verify(author, signature, data)
