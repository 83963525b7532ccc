"""The inviting side: invitations as text, and newcomers at the door asking the peer."""

from __future__ import annotations

from collections.abc import Callable

from meerkat.core.effects import AnswerKnock, InvitationMade
from meerkat.core.events import Event, InviteRequested, Knocked
from meerkat.core.ids import PoolId
from meerkat.errors import InvitationError, MeerkatError, StoreFull
from meerkat.transport.door import Door, KnockRefused
from meerkat.transport.identity import TlsIdentity, fingerprint
from meerkat.transport.invitation import Invitation, encode_invitation

from .options import NodeConfig
from .tickets import Tickets

__all__ = ["Reception"]


class Reception:
    """Asks the peer for invitations and about knocks; ``answer`` takes what it says."""

    def __init__(
        self, pool: PoolId, tls: TlsIdentity, config: NodeConfig, post: Callable[[Event], None]
    ) -> None:
        self.door = Door(tls, self._on_knock)
        self._pool = pool
        self._certificate = tls.certificate_der
        self._config = config
        self._post = post
        self._invitations: Tickets[InvitationMade] = Tickets()
        self._knocks: Tickets[AnswerKnock] = Tickets()

    async def invite(
        self, *, addresses: tuple[str, ...], pool_name: str, uses: int, lifetime: float
    ) -> str:
        """An invitation's text.

        Raises:
            InvitationError: if nobody could reach our door.
            StoreFull: if it could not be kept.
            NodeBroken: if the peer met a bug.
        """
        if not addresses:
            raise InvitationError(
                "Nobody can reach this member, so it cannot invite. "
                "Start it without --no-listen, or let another member invite."
            )
        made = await self._invitations.ask(
            lambda ticket: self._post(InviteRequested(ticket, uses, lifetime)),
            within=self._config.ticket,
        )
        return encode_invitation(
            Invitation(
                pool=self._pool,
                pool_name=pool_name,
                addresses=addresses,
                fingerprint=fingerprint(self._certificate),
                id=made.invitation,
                secret=made.secret,
                expires=int(made.expires),
            )
        )

    def answer(self, effect: InvitationMade | AnswerKnock) -> None:
        """The peer has decided."""
        if isinstance(effect, InvitationMade):
            self._invitations.answer(effect.ticket, effect)
        else:
            self._knocks.answer(effect.ticket, effect)

    def refuse(self, reason: MeerkatError) -> None:
        """The peer is gone, for now or for good: who waits for an answer gets this one."""
        self._invitations.fail(reason)
        self._knocks.fail(reason)

    async def _on_knock(self, request: bytes, address: str) -> bytes:
        try:
            decided = await self._knocks.ask(
                lambda ticket: self._post(Knocked(ticket, request, address, self._certificate)),
                within=self._config.knock,
            )
        except StoreFull as error:
            raise KnockRefused("The disk of this member is full; try again later.") from error
        except MeerkatError as error:
            raise KnockRefused("This member has to stop; ask another one.") from error
        if decided.reply is None:
            raise KnockRefused(decided.refusal)
        return decided.reply
