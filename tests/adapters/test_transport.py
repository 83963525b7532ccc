"""The transport port: one suite for the fake and the real one, then what only one of them has."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meerkat.testing.check_transport import CHECKS, HOST
from meerkat.testing.memory_transport import MemoryNetwork
from meerkat.testing.transport_party import MakeParty, Party, linked, refused
from meerkat.transport.base import DialRefused, Link, LinkError, PeerNotTrusted
from meerkat.transport.identity import TlsIdentity, pem_of, tls_name
from meerkat.transport.options import TransportOptions
from meerkat.transport.roster import Roster
from tests.adapters.transport_parties import grpc_parties, memory_parties, new_identity, run

ADAPTERS = {"memory": memory_parties, "grpc": grpc_parties}
PEER = Path(__file__).with_name("transport_peer.py")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_port(adapter: str, check: Callable[[MakeParty], Awaitable[None]]) -> None:
    async def work() -> None:
        async with ADAPTERS[adapter]() as make:
            await check(make)

    run(work())


def test_a_cut_loses_links_until_it_heals() -> None:
    async def work() -> None:
        network = MemoryNetwork()
        async with memory_parties(network) as make:
            alice, bob, here, _ = await linked(make)
            network.cut(alice.member, bob.member)
            here.send(b"into the void")
            await alice.heard.until(lambda: alice.heard.down)
            await bob.heard.until(lambda: bob.heard.down)
            assert (alice.heard.reasons, bob.heard.reasons) == (["lost"], ["lost"])
            assert bob.heard.live == []
            await refused(DialRefused, alice.dial(bob))
            network.heal()
            await alice.dial(bob)

    run(work())


@asynccontextmanager
async def peer_process(alice: Party, *, dials: bool) -> AsyncIterator[asyncio.subprocess.Process]:
    """A peer in another process, linked with ``alice``."""
    identity = new_identity()
    alice.transport.trust({identity.member: identity.certificate_der})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PEER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin
    assert process.stdout
    told = {
        "identity": identity.to_bytes().hex(),
        "roster": {alice.member.hex(): alice.certificate.hex()},
        "dial": [alice.address, alice.member.hex()] if dials else None,
    }
    try:
        process.stdin.write(json.dumps(told).encode() + b"\n")
        address = (await process.stdout.readline()).decode().strip()
        if not dials:
            await alice.transport.dial(address, identity.member, identity.certificate_der)
        assert await process.stdout.readline() == b"up\n"
        await alice.heard.until(lambda: alice.heard.up)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # else a ResourceWarning


async def seconds_until_down(alice: Party, patience: float) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await alice.heard.until(lambda: alice.heard.down, patience)
    return loop.time() - start


@pytest.mark.parametrize("dials", [True, False], ids=["server", "client"])
def test_a_killed_peer_is_noticed_at_once(dials: bool) -> None:
    async def work() -> None:
        async with grpc_parties() as make:
            alice = await make()
            async with peer_process(alice, dials=dials) as process:
                process.kill()
                assert await seconds_until_down(alice, 3) < 1
                assert alice.heard.reasons == ["lost"]

    run(work())


def test_a_frozen_peer_is_noticed_by_both_sides() -> None:
    """Also when we have more to say than its buffers hold, and when bulk is paused here."""

    async def frozen(alice: Party, *, dials: bool) -> float:
        async with peer_process(alice, dials=dials) as process:
            alice.heard.up[0].pause_bulk()
            process.send_signal(signal.SIGSTOP)
            for _ in range(6):
                alice.heard.up[0].send(bytes(1024 * 1024))
                alice.heard.up[0].send_bulk(bytes(1024 * 1024))
            return await seconds_until_down(alice, 6)

    async def work() -> None:
        async with grpc_parties() as make:
            alice, bob = await make(), await make()
            waits = await asyncio.gather(frozen(alice, dials=True), frozen(bob, dials=False))
            assert max(waits) < 6, waits
            assert {*alice.heard.reasons, *bob.heard.reasons} <= {"lost", "frozen"}

    run(work())


def test_a_peer_that_leaves_says_so() -> None:
    async def work() -> None:
        async with grpc_parties() as make:
            alice = await make()
            async with peer_process(alice, dials=True) as process:
                assert process.stdin
                assert process.stdout
                process.stdin.close()
                await alice.heard.until(lambda: alice.heard.down)
                assert alice.heard.reasons == ["leave"]
                assert await process.stdout.readline() == b"down leave\n"
                assert await process.wait() == 0

    run(work())


def test_an_answer_that_never_comes_is_refused() -> None:
    """Something listens and is silent, or does not speak TLS at all."""

    async def work() -> None:
        silent = socket.create_server((HOST, 0))  # connections wait in its backlog
        port = silent.getsockname()[1]
        async with grpc_parties() as make:
            alice = await make(options=TransportOptions(dial_timeout=0.2))
            bob = new_identity()
            for certificate in (bob.certificate_der, None):
                dialing = alice.transport.dial(f"{HOST}:{port}", bob.member, certificate)
                await refused(DialRefused, dialing)
        silent.close()

    run(work())


def test_a_frozen_peer_is_noticed_when_nothing_is_said() -> None:
    async def work() -> None:
        async with grpc_parties() as make:
            alice = await make()
            async with peer_process(alice, dials=False) as process:
                process.send_signal(signal.SIGSTOP)
                assert await seconds_until_down(alice, 6) < 6
                assert alice.heard.reasons == ["frozen"]

    run(work())


def test_half_a_link_is_none() -> None:
    """A member's call without token, with a used one, or without its other half."""

    async def work() -> None:
        async with grpc_parties() as make:
            bob = await make(options=TransportOptions(pair_timeout=0.3))
            caller = new_identity()
            bob.transport.trust({caller.member: caller.certificate_der})
            credentials = grpc.ssl_channel_credentials(
                pem_of(bob.certificate), caller.key_pem, caller.certificate_pem
            )
            name = ("grpc.ssl_target_name_override", tls_name(bob.member))
            async with grpc.aio.secure_channel(bob.address, credentials, [name]) as channel:
                live = channel.stream_stream("/meerkat.v1.Meerkat/Live")
                tokens = ["", "a" * 32, "a" * 32]
                calls = [live(metadata=(("meerkat-link", token),)) for token in tokens]
                codes = [(await call.code()).name for call in calls]
            assert sorted(codes) == ["DEADLINE_EXCEEDED", *["RESOURCE_EXHAUSTED"] * 2]
            assert bob.heard.up == []

    run(work())


def test_a_member_certificate_cannot_let_others_in() -> None:
    """Same member, another TLS key: only the exact certificate of the roster counts."""

    async def work() -> None:
        async with grpc_parties() as make:
            bob = await make()
            member_key = Ed25519PrivateKey.generate()
            known, other = TlsIdentity.create(member_key), TlsIdentity.create(member_key)
            bob.transport.trust({known.member: known.certificate_der})
            await refused(PeerNotTrusted, (await make(identity=other)).dial(bob))
            await (await make(identity=known)).dial(bob)

    run(work())


def test_only_the_pinned_certificate_will_do() -> None:
    """Not even another certificate of the wanted member, with the same name in it."""

    async def work() -> None:
        async with grpc_parties() as make:
            member_key = Ed25519PrivateKey.generate()
            pinned = TlsIdentity.create(member_key)
            alice, bob = await make(), await make(identity=TlsIdentity.create(member_key))
            bob.trust(alice)
            dialing = alice.transport.dial(bob.address, bob.member, pinned.certificate_der)
            await refused(PeerNotTrusted, dialing)
            await alice.dial(bob)

    run(work())


def test_our_own_certificate_is_no_way_in() -> None:
    """With an empty roster TLS lets it pass, since it needs some root; the call check does not."""

    async def work() -> None:
        async with grpc_parties() as make:
            identity = new_identity()
            bob, double = await make(identity=identity), await make(identity=identity)
            await refused(PeerNotTrusted, double.dial(bob))
            assert bob.heard.up == []

    run(work())


def test_the_roster_takes_exact_certificates_only() -> None:
    alice, other = new_identity(), new_identity()
    roster = Roster(other)
    roster.replace({alice.member: alice.certificate_der})
    known, unknown = alice.certificate_pem, other.certificate_pem
    assert roster.member({"x509_pem_cert": [known]}) == alice.member
    for shown in ([], [unknown], [b""], [b"\xff"], [known, unknown], [known.lower()]):
        assert roster.member({"x509_pem_cert": shown}) is None
    assert roster.member({}) is None


def test_a_broken_roster_entry_harms_nobody_else() -> None:
    async def work() -> None:
        async with grpc_parties() as make:
            alice, bob, carol = await make(), await make(), await make()
            entries = {alice.member: alice.certificate, carol.member: alice.certificate}
            bob.transport.trust({**entries, new_identity().member: b"garbage"})
            await alice.dial(bob)
            await refused(PeerNotTrusted, carol.dial(bob))

    run(work())


def test_a_listener_that_raises_costs_its_link_and_is_heard_of() -> None:
    async def work() -> None:
        heard: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: heard.append(what))
        async with grpc_parties() as make:
            _, bob, here, _ = await linked(make)

            def received(link: Link, frames: list[bytes]) -> None:
                raise ZeroDivisionError("a bug")

            bob.heard.received = received  # type: ignore[method-assign]
            here.send(b"x")
            await bob.heard.until(lambda: bob.heard.down)
            assert bob.heard.reasons == ["bug"]
        assert [type(what["exception"]) for what in heard] == [ZeroDivisionError]

    run(work())


def test_a_dial_that_is_cancelled_leaves_nothing() -> None:
    async def work() -> None:
        async with grpc_parties() as make:
            alice, bob = await make(), await make()
            bob.trust(alice)
            for _ in range(3):
                dialing = asyncio.ensure_future(alice.dial(bob, probe=True))
                asyncio.get_running_loop().call_soon(dialing.cancel)
                with pytest.raises(asyncio.CancelledError):
                    await dialing
            assert alice.heard.up == []
            dialing = asyncio.ensure_future(alice.dial(bob))
            asyncio.get_running_loop().call_soon(lambda: None)
            await alice.transport.close()
            with pytest.raises(LinkError):
                await dialing

    run(work())


def test_threads_do_not_grow_with_links() -> None:
    async def work() -> None:
        async with grpc_parties() as make:
            await linked(make)
            before = threading.active_count()
            for _ in range(4):
                await linked(make)
            assert threading.active_count() <= before

    run(work())
