"""The door: whoever knows the fingerprint may knock, and gets nothing but the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from meerkat.testing.check_transport import HOST
from meerkat.transport.base import DialRefused, PeerNotTrusted, PortTaken
from meerkat.transport.door import Door, DoorOptions, KnockRefused, OnKnock, knock
from meerkat.transport.identity import fingerprint, pem_of, tls_name
from tests.adapters.transport_parties import new_identity, run

INVITER = new_identity()
PRINT = fingerprint(INVITER.certificate_der)


async def echo(request: bytes, address: str) -> bytes:
    assert address.startswith(f"{HOST}:")
    return b"welcome " + request


@asynccontextmanager
async def door(on_knock: OnKnock = echo, options: DoorOptions | None = None) -> AsyncIterator[str]:
    opened = Door(INVITER, on_knock, options)
    yield await opened.listen(HOST, 0)
    await opened.close()
    await opened.close()


def test_the_right_fingerprint_brings_the_reply_and_the_certificate() -> None:
    async def work() -> None:
        async with door() as address:
            assert await knock(address, PRINT, b"alice") == (
                b"welcome alice",
                INVITER.certificate_der,
            )
            reply, _ = await knock(address, PRINT, bytes(64 * 1024))
            assert len(reply) == 8 + 64 * 1024

    run(work())


def test_another_fingerprint_is_never_told_the_request() -> None:
    heard: list[bytes] = []

    async def remember(request: bytes, address: str) -> bytes:
        heard.append(request)
        return b""

    async def work() -> None:
        async with door(remember) as address:
            with pytest.raises(PeerNotTrusted):
                await knock(address, bytes(32), b"secret")
        assert heard == []

    run(work())


def test_a_refusal_is_clear() -> None:
    async def refuse(request: bytes, address: str) -> bytes:
        raise KnockRefused("this invitation has been used")

    async def work() -> None:
        async with door(refuse) as address:
            with pytest.raises(KnockRefused, match=r"^this invitation has been used$"):
                await knock(address, PRINT, b"alice")

    run(work())


def test_nobody_there() -> None:
    async def work() -> None:
        async with door() as address:
            pass
        for nowhere in (address, "nonsense"):
            with pytest.raises(DialRefused):
                await knock(nowhere, PRINT, b"alice")

    run(work())


def test_an_oversize_request_is_refused_on_both_sides() -> None:
    async def work() -> None:
        with pytest.raises(KnockRefused):
            await knock(f"{HOST}:1", PRINT, bytes(64 * 1024 + 1))
        async with door(options=DoorOptions(max_request_bytes=1000)) as address:
            with pytest.raises(KnockRefused):
                await knock(address, PRINT, bytes(1001))
            await knock(address, PRINT, bytes(1000))

    run(work())


def test_a_bug_behind_the_door_is_not_shown_to_strangers() -> None:
    async def broken(request: bytes, address: str) -> bytes:
        raise ZeroDivisionError("secret detail")

    async def work() -> None:
        heard: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: heard.append(what))
        async with door(broken) as address:
            with pytest.raises(KnockRefused, match=r"^the door is broken$"):
                await knock(address, PRINT, b"alice")
        assert [type(what["exception"]) for what in heard] == [ZeroDivisionError]

    run(work())


def test_few_may_knock_at_once_and_none_may_stay() -> None:
    """Callers who never send their request hold their place until the deadline only."""

    async def work() -> None:
        credentials = grpc.ssl_channel_credentials(pem_of(INVITER.certificate_der))
        name = ("grpc.ssl_target_name_override", tls_name(INVITER.member))
        async with (
            door(options=DoorOptions(max_knocks=2, deadline=0.5)) as address,
            grpc.aio.secure_channel(address, credentials, [name]) as channel,
        ):
            calls = [channel.stream_unary("/meerkat.v1.Door/Knock")() for _ in range(3)]
            codes = [await call.code() for call in calls]
            assert sorted(code.name for code in codes) == [
                "DEADLINE_EXCEEDED",
                "DEADLINE_EXCEEDED",
                "RESOURCE_EXHAUSTED",
            ]
            assert (await knock(address, PRINT, b"alice"))[0] == b"welcome alice"

    run(work())


def test_a_slow_answer_ends_at_the_callers_timeout() -> None:
    async def never(request: bytes, address: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def work() -> None:
        async with door(never) as address:
            with pytest.raises(DialRefused):
                await knock(address, PRINT, b"alice", timeout=0.3)

    run(work())


def test_a_taken_port() -> None:
    async def work() -> None:
        async with door() as address:
            with pytest.raises(PortTaken):
                await Door(INVITER, echo).listen(HOST, int(address.rpartition(":")[2]))

    run(work())
