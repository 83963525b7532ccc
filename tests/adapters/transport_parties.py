"""Parties for the transport tests: made here, closed here, and nothing may be left over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meerkat.core.ids import MemberId
from meerkat.testing.check_transport import HOST
from meerkat.testing.memory_transport import MemoryNetwork, MemoryTransport
from meerkat.testing.transport_party import MakeParty, Party, Recorder
from meerkat.transport.grpc_transport import GrpcTransport
from meerkat.transport.identity import TlsIdentity
from meerkat.transport.options import TransportOptions


@asynccontextmanager
async def memory_parties(network: MemoryNetwork | None = None) -> AsyncIterator[MakeParty]:
    network = network or MemoryNetwork()
    made: list[Party] = []

    async def make(options: TransportOptions | None = None) -> Party:
        member = MemberId(bytes([len(made)]) * 32)
        heard = Recorder()
        transport = MemoryTransport(network, member, b"cert" + member, heard, options)
        party = Party(transport, heard, member, b"cert" + member)
        party.address = await transport.listen(HOST, 0)
        made.append(party)
        return party

    yield make
    for party in made:
        await party.transport.close()


@asynccontextmanager
async def grpc_parties() -> AsyncIterator[MakeParty]:
    made: list[Party] = []

    async def make(
        options: TransportOptions | None = None, identity: TlsIdentity | None = None
    ) -> Party:
        identity = identity or new_identity()
        heard = Recorder()
        transport = GrpcTransport(identity, heard, options)
        party = Party(transport, heard, identity.member, identity.certificate_der)
        party.address = await transport.listen(HOST, 0)
        made.append(party)
        return party

    yield make
    for party in made:
        await party.transport.close()


def new_identity() -> TlsIdentity:
    return TlsIdentity.create(Ed25519PrivateKey.generate())


def run(work: Coroutine[object, object, None], timeout: float = 15.0) -> None:
    """Run to the end: no task left over, nothing for the loop's exception handler."""
    problems: list[dict[str, object]] = []

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        async with asyncio.timeout(timeout):
            await work
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(guarded())
    assert not problems, problems
