"""A peer in a process of its own, for tests that kill or freeze it.

Reads one JSON line {identity, roster: {member: certificate}, dial: [address, member] | null} of
hexadecimal strings, prints its address, then "up" for each link, until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys

from meerkat.core.ids import MemberId
from meerkat.testing.check_transport import HOST
from meerkat.testing.transport_party import Recorder
from meerkat.transport.base import Link
from meerkat.transport.grpc_transport import GrpcTransport
from meerkat.transport.identity import TlsIdentity


class Announcer(Recorder):
    def link_up(self, link: Link) -> None:
        super().link_up(link)
        print("up", flush=True)

    def link_down(self, link: Link, reason: str) -> None:
        super().link_down(link, reason)
        print("down", reason, flush=True)


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    identity = TlsIdentity.from_bytes(bytes.fromhex(told["identity"]))
    transport = GrpcTransport(identity, Announcer())
    roster = {
        MemberId(bytes.fromhex(member)): bytes.fromhex(certificate)
        for member, certificate in told["roster"].items()
    }
    transport.trust(roster)
    print(await transport.listen(HOST, 0), flush=True)
    if told["dial"]:
        address, member = told["dial"]
        member_id = MemberId(bytes.fromhex(member))
        await transport.dial(address, member_id, roster[member_id])
    await asyncio.to_thread(sys.stdin.read)
    await transport.close()


asyncio.run(main())
