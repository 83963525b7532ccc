"""What people and programs ask of a running peer: each is a ticket, and ``Answered`` resolves it.

Names are resolved by the peer, so that every face finds the same person under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from meerkat.core.effects import Answered
from meerkat.core.events import (
    DatabaseRequested,
    EchoRequested,
    Event,
    PublishRequested,
    RenameRequested,
    SayRequested,
)
from meerkat.core.gossip import GossipConfig
from meerkat.core.ids import AuthorId, MemberId
from meerkat.core.status import ChatLine
from meerkat.errors import MeerkatError, UnknownMember

from .mind import Mind
from .options import NodeConfig
from .pace import Pace
from .tickets import Tickets

__all__ = ["Requests"]

Facts = dict[str, Any]

OWN_SHARE = 0.9  # of what others accept of an author; the rest is for what the peer itself sends
OWN_BURST_SHARE = 0.5  # the same; and a link that stalled for a while delivers a burst by itself
ECHO_WITHIN = 20.0  # seconds; the peer itself gives up after about ten (contract of the courier)


class Requests:
    """Asks the peer, on behalf of faces. ``answer`` takes what it says."""

    def __init__(
        self,
        own: MemberId,
        post: Callable[[Event], None],
        mind: Callable[[], Mind],
        config: NodeConfig,
    ) -> None:
        """``mind`` is who decides now; it raises ``MeerkatError`` while nobody does."""
        self._own = own
        self._post = post
        self._mind = mind
        self._within = config.ticket
        self._tickets: Tickets[Answered] = Tickets()
        allowed = GossipConfig()
        self._publishing = Pace(
            allowed.author_rate * OWN_SHARE, allowed.author_burst * OWN_BURST_SHARE
        )

    async def say(self, text: str, to: str = "") -> Facts:
        """Say something to all, or to one member; its ``id``, once it is kept.

        Raises:
            UnknownMember: if nobody, or more than one, goes by the name ``to``.
            MeerkatError: if the peer refuses.
        """
        member = self._other(to) if to else None
        return await self.ask(
            lambda ticket: SayRequested(ticket, text, member), within=self._within
        )

    async def rename(self, name: str) -> Facts:
        """Be called ``name`` from now on.

        Raises:
            MeerkatError: if the peer refuses.
        """
        return await self.ask(lambda ticket: RenameRequested(ticket, name), within=self._within)

    async def publish(self, data: bytes) -> Facts:
        """Send ``data`` to the programs of every other peer that is here now.

        Waits for its turn: what an author sends faster than agreed, nobody passes on.

        Raises:
            MeerkatError: if the peer refuses.
        """
        await self._publishing.wait_turn()
        return await self.ask(lambda ticket: PublishRequested(ticket, data), within=self._within)

    async def echo(self, peer: str, *, size: int, near: bool) -> Facts:
        """How far away a member is: ``seconds``, ``hops`` there, ``back``, ``via``, ``near``.

        Raises:
            UnknownMember: as ``say``.
            MeerkatError: if no answer came.
        """
        member = self._other(peer)
        return await self.ask(
            lambda ticket: EchoRequested(ticket, member, size, near), within=ECHO_WITHIN
        )

    async def set_live(self, path: str, *, live: bool) -> Facts:
        """Merge the database at ``path`` by rows, or treat it as an ordinary file.

        Raises:
            MeerkatError: if the peer refuses.
        """
        return await self.ask(
            lambda ticket: DatabaseRequested(ticket, path, live), within=self._within
        )

    def databases(self) -> list[Facts]:
        """Every database of the pool, live or not, by path."""
        return [asdict(one) for one in self._mind().databases()]

    def author_name(self, author: bytes) -> str:
        """A name to show for an author; never empty."""
        return self._mind().author_name(AuthorId(author))

    def find(self, peer: str) -> Facts:
        """Who is meant: ``member`` and ``name``.

        Raises:
            UnknownMember: as ``say``.
        """
        found = self._other(peer)
        return {"member": found.hex(), "name": self._mind().name_of(found)}

    def chat_history(self, limit: int) -> list[Facts]:
        """The last ``limit`` lines that were said, the oldest first, as ``chat`` events are."""
        return [_chat_facts(line) for line in self._mind().chat_history(limit)]

    def network(self) -> Facts:
        """The picture of the network, as JSON values."""
        return asdict(self._mind().network())

    def files(self) -> list[Facts]:
        """Everything in the folder, by path, as JSON values."""
        return [asdict(entry) for entry in self._mind().files()]

    def people(self) -> list[Facts]:
        """Who is in which text, as JSON values."""
        return [asdict(person) for person in self._mind().people()]

    def answer(self, effect: Answered) -> None:
        """The peer has decided."""
        self._tickets.answer(effect.ticket, effect)

    def refuse(self, reason: MeerkatError) -> None:
        """The peer is gone, for now or for good: who waits for an answer gets this one."""
        self._tickets.fail(reason)

    async def ask(self, event: Callable[[int], Event], *, within: float) -> Facts:
        """Post an event with a new ticket; the facts of its answer.

        Raises:
            MeerkatError: the problem that the peer answered, or that it did not within so many s.
        """
        self._mind()
        try:
            answered = await self._tickets.ask(
                lambda ticket: self._post(event(ticket)), within=within
            )
        except TimeoutError as error:
            raise MeerkatError(f"No answer within {within:.0f} s; try again.") from error
        if answered.problem:
            raise MeerkatError(answered.problem)
        return dict(answered.facts)

    def _other(self, name: str) -> MemberId:
        """Somebody else."""
        found = self._mind().find_member(name)
        if found == self._own:
            raise UnknownMember("That is you. Name somebody else.")
        return found


def _chat_facts(line: ChatLine) -> Facts:
    facts = asdict(line)
    return {"id": facts.pop("id"), "from": facts.pop("member"), **facts}
