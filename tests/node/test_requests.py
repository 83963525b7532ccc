"""Tickets of faces: what the peer answers, and what becomes of them when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from meerkat.core.effects import Answered
from meerkat.core.events import (
    EchoRequested,
    Event,
    PublishRequested,
    RenameRequested,
    SayRequested,
)
from meerkat.core.ids import MemberId
from meerkat.core.status import ChatLine, NetworkNode, NetworkPicture
from meerkat.errors import MeerkatError, NodeBroken, NotRunning, UnknownMember
from meerkat.node.options import NodeConfig
from meerkat.node.requests import Requests
from tests.node.waiting import until

ALICE, BOB = MemberId(b"a" * 32), MemberId(b"b" * 32)
LINE = ChatLine("1", BOB.hex(), "bob", "", "", "hi", 1_000)


class FakeMind:
    """Knows alice (us) and bob."""

    def find_member(self, wanted: str) -> MemberId:
        known = {"alice": ALICE, "bob": BOB}
        if wanted not in known:
            raise UnknownMember("Nobody.")
        return known[wanted]

    def name_of(self, member: MemberId) -> str:
        return {ALICE: "alice", BOB: "bob"}[member]

    def chat_history(self, limit: int) -> list[ChatLine]:
        return [LINE] * limit

    def network(self) -> NetworkPicture:
        node = NetworkNode("01", BOB.hex(), "bob", True, True, 1, ("02",), True, 0.5)
        return NetworkPicture("02", (node,))


class Fixture:
    """Requests whose posts a test sees, and answers."""

    def __init__(self, ticket: float = 10.0) -> None:
        self.posted: list[Event] = []
        self.mind: FakeMind | None = FakeMind()
        config = replace(NodeConfig(), ticket=ticket)
        self.requests = Requests(ALICE, self.posted.append, self._thinking, config)

    def _thinking(self) -> Any:
        if self.mind is None:
            raise NotRunning("starting")
        return self.mind

    async def asked(
        self, work: Coroutine[Any, Any, dict[str, Any]], answer: Callable[[int], Answered]
    ) -> tuple[Event, dict[str, Any]]:
        before = len(self.posted)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            await until(lambda: len(self.posted) > before, "it is posted")
            event: Any = self.posted[-1]
            self.requests.answer(answer(event.ticket))
        return event, task.result()


def test_requests_become_events_and_answers_their_results():
    async def story() -> None:
        fixture = Fixture()
        requests = fixture.requests
        fine = lambda ticket: Answered(ticket, {"id": "1"})  # noqa: E731

        assert await fixture.asked(requests.say("hi"), fine) == (
            SayRequested(1, "hi", None),
            {"id": "1"},
        )
        assert (await fixture.asked(requests.say("hi", "bob"), fine))[0] == SayRequested(
            2, "hi", BOB
        )
        assert (await fixture.asked(requests.rename("x"), fine))[0] == RenameRequested(3, "x")
        assert (await fixture.asked(requests.publish(b"x"), fine))[0] == PublishRequested(4, b"x")
        echo = requests.echo("bob", size=7, near=True)
        assert (await fixture.asked(echo, fine))[0] == EchoRequested(5, BOB, 7, near=True)

    asyncio.run(story())


def test_what_the_peer_knows_is_told_as_plain_values():
    requests = Fixture().requests

    line = requests.chat_history(2)[1]
    assert (line["from"], line["text"], line["own"]) == (BOB.hex(), "hi", False)
    assert list(line)[:2] == ["id", "from"]
    assert requests.network()["nodes"][0]["neighbors"] == ("02",)
    assert requests.find("bob") == {"member": BOB.hex(), "name": "bob"}


def test_mistakes_never_reach_the_peer():
    async def story() -> None:
        fixture = Fixture()
        with pytest.raises(UnknownMember):
            await fixture.requests.say("hi", "nobody")
        with pytest.raises(UnknownMember, match="That is you"):
            await fixture.requests.echo("alice", size=1, near=False)
        fixture.mind = None
        with pytest.raises(NotRunning):
            await fixture.requests.say("hi")
        with pytest.raises(NotRunning):
            fixture.requests.network()
        assert fixture.posted == []

    asyncio.run(story())


def test_a_refusal_and_a_peer_that_is_gone_and_one_that_is_silent():
    async def story() -> None:
        fixture = Fixture()
        with pytest.raises(ExceptionGroup) as refused:
            await fixture.asked(
                fixture.requests.say("hi"), lambda ticket: Answered(ticket, problem="Too long.")
            )
        assert refused.group_contains(MeerkatError, match="Too long")

        async def end() -> None:
            await until(lambda: len(fixture.posted) > 1, "it is posted")
            fixture.requests.refuse(NodeBroken("broken"))

        async with asyncio.TaskGroup() as group:
            group.create_task(end())
            with pytest.raises(NodeBroken):
                await fixture.requests.say("hi")
        silent = Fixture(ticket=0.0)
        with pytest.raises(MeerkatError, match="No answer"):
            await silent.requests.say("hi")
        silent.requests.answer(Answered(1))  # too late: dropped

    asyncio.run(story())
