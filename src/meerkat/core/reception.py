"""Lets newcomers in: makes invitations, answers knocks, adds members."""

from __future__ import annotations

from dataclasses import dataclass, field

from .actions import MemberAdded
from .birth import Entropy
from .door import Door, KnockError, Welcome
from .effects import AnswerKnock, Effect, InvitationMade, Notify
from .events import InviteRequested, Knocked
from .ids import MemberId
from .messages import AddressEntry
from .operation import Operation, OperationError
from .packing import pack
from .ports import Store, Table
from .replica import Replica
from .roster import read_opened

__all__ = ["Answer", "Reception"]

_OTHER_POOL = "This invitation is for another pool, or your meerkat is too old."


@dataclass(slots=True)
class Answer:
    """What a knock led to; ``admitted`` are operations that others should hear of."""

    effects: list[Effect]
    admitted: list[Operation] = field(default_factory=list)


class Reception:
    """The door, and what opening it means for the roster."""

    def __init__(self, store: Store, replica: Replica, entropy: Entropy) -> None:
        self._store, self._replica = store, replica
        self._door = Door(store, replica.roster.pool, entropy)

    @property
    def pool_name(self) -> str:
        """What the pool is called."""
        return (self._store.get(Table.META, b"pool_name") or b"").decode()

    def on_invite(self, event: InviteRequested, wall: float) -> InvitationMade:
        """Make an invitation."""
        expires = wall + event.lifetime
        invitation, secret = self._door.invite(uses=event.uses, expires=expires)
        return InvitationMade(event.ticket, invitation, secret, expires)

    def on_knock(self, event: Knocked, addresses: tuple[AddressEntry, ...], wall: float) -> Answer:
        """Open the door to whoever proves a valid invitation."""
        roster = self._replica.roster
        try:
            opened = self._door.check(event.request, certificate=event.certificate, wall=wall)
            credentials = read_opened(opened, roster.pool)
        except KnockError as error:
            return Answer([AnswerKnock(event.ticket, refusal=str(error))])
        except OperationError:
            return Answer([AnswerKnock(event.ticket, refusal=_OTHER_POOL)])
        member, name = MemberId(credentials.opened.member), credentials.opened.name
        if member not in roster.members:
            self._replica.write_membership([MemberAdded(bytes(member), "writer", name)], wall)
        admitted = self._replica.log.admit([opened]).admitted
        welcome = Welcome(self.pool_name, tuple(self._introductions()), addresses)
        reply = AnswerKnock(event.ticket, reply=pack(welcome))
        return Answer([reply, Notify("member_joined", {"name": name})], admitted)

    def _introductions(self) -> list[bytes]:
        births = (
            self._store.operation(author, 1) for author in sorted(self._replica.roster.authors)
        )
        return [birth for birth in births if birth is not None]
