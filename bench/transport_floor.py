"""What our framing, outbox and link cost over a bare grpc.aio stream with the same mutual TLS.

    PYTHONPATH=src python -m bench.transport_floor [--rounds 3] [--quick]

Two processes on loopback; both sides of a pair are measured in turn in each round, the median of
the rounds is shown. Ratio: ours / floor, so below 1 is worse for rates and better for latencies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import sys
from collections.abc import Awaitable
from time import perf_counter

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meerkat.core.ids import MemberId
from meerkat.transport.base import Link
from meerkat.transport.grpc_transport import GrpcTransport
from meerkat.transport.identity import TlsIdentity, tls_name
from meerkat.transport.options import TransportOptions

HOST = "127.0.0.1"
KiB, MiB = 1024, 1024 * 1024
PING, LAST, DATA = b"P", b"L", b"D"  # a frame's first byte: echo it, answer it, only count it
WINDOW = 8  # bulk frames in flight, ours and the floor's alike
SERVER = [("grpc.so_reuseport", 0)]


class FarEnd:
    """Answers pings, last frames, and every bulk frame (one byte on Live: the window)."""

    def link_up(self, link: Link) -> None: ...

    def link_down(self, link: Link, reason: str) -> None: ...

    def received(self, link: Link, frames: list[bytes]) -> None:
        for frame in frames:
            if frame[:1] != DATA:
                link.send(frame)

    def received_bulk(self, link: Link, frame: bytes) -> None:
        link.send(LAST)


async def bare_far_end(_requests: object, context: grpc.aio.ServicerContext) -> None:
    while (message := await context.read()) is not grpc.aio.EOF:
        if message[:1] != DATA:
            await context.write(message[:100])


async def serve() -> None:
    told = json.loads(sys.stdin.readline())
    identity = TlsIdentity.create(Ed25519PrivateKey.generate())
    caller = bytes.fromhex(told["certificate"])
    transport = GrpcTransport(identity, FarEnd())
    transport.trust({MemberId(bytes.fromhex(told["member"])): caller})
    server = grpc.aio.server(options=SERVER)
    method = grpc.stream_stream_rpc_method_handler(bare_far_end)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Bare", {"S": method}),))
    pair = (identity.key_pem, identity.certificate_pem)
    root = bytes.fromhex(told["pem"])
    port = server.add_secure_port(
        f"{HOST}:0", grpc.ssl_server_credentials([pair], root, require_client_auth=True)
    )
    await server.start()
    said = [await transport.listen(HOST, 0), f"{HOST}:{port}", identity.certificate_der.hex()]
    print(json.dumps([*said, identity.member.hex()]), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await transport.close()
    await server.stop(0.2)


class Near:
    """Our end: counts answers."""

    def __init__(self) -> None:
        self.answers = asyncio.Semaphore(0)

    def link_up(self, link: Link) -> None: ...

    def link_down(self, link: Link, reason: str) -> None: ...

    def received(self, link: Link, frames: list[bytes]) -> None:
        for _ in frames:
            self.answers.release()

    def received_bulk(self, link: Link, frame: bytes) -> None: ...


class Ours:
    def __init__(self, link: Link, near: Near, single: Link, single_near: Near) -> None:
        self.link, self.near = link, near
        self.single, self.single_near = single, single_near  # gathers nothing

    async def ping(self) -> None:
        self.link.send(PING + bytes(99))
        await self.near.answers.acquire()

    async def flood(self, count: int, *, gathered: bool) -> None:
        link = self.link if gathered else self.single
        near = self.near if gathered else self.single_near
        frame = DATA + bytes(99)
        for index in range(count):
            link.send(frame)
            if index % 20_000 == 19_999:  # stay below the outbox's bound
                link.send(LAST)
                await near.answers.acquire()
        link.send(LAST)
        await near.answers.acquire()

    async def bulk(self, frame: bytes, count: int) -> None:
        for index in range(count):
            self.link.send_bulk(frame)
            if index >= WINDOW:
                await self.near.answers.acquire()
        for _ in range(min(WINDOW, count)):
            await self.near.answers.acquire()


class Floor:
    """The same with nothing of ours; a gathered message is 64 frames joined beforehand."""

    def __init__(self, call: grpc.aio.StreamStreamCall) -> None:
        self.call = call

    async def ping(self) -> None:
        await self.call.write(PING + bytes(99))
        await self.call.read()

    async def flood(self, count: int, *, gathered: bool) -> None:
        message = DATA + bytes(6399 if gathered else 99)
        for _ in range(count // 64 if gathered else count):
            await self.call.write(message)
        await self.call.write(LAST)
        await self.call.read()

    async def bulk(self, frame: bytes, count: int) -> None:
        answers = asyncio.Semaphore(0)

        async def read() -> None:
            for _ in range(count):
                await self.call.read()
                answers.release()

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            for index in range(count):
                await self.call.write(frame)
                if index >= WINDOW:
                    await answers.acquire()


Side = Ours | Floor


async def latency(side: Side, count: int) -> tuple[float, float]:
    """p50 and p99 in microseconds."""
    times = []
    for _ in range(count):
        start = perf_counter()
        await side.ping()
        times.append((perf_counter() - start) * 1e6)
    quantiles = statistics.quantiles(times[count // 10 :], n=100)
    return quantiles[49], quantiles[98]


async def rate(work: Awaitable[None], amount: float) -> float:
    start = perf_counter()
    await work
    return amount / (perf_counter() - start)


async def measure(side: Side, scale: int) -> dict[str, float]:
    p50, p99 = await latency(side, 200 * scale)
    small = 2000 * scale
    figures = {
        "ping-pong p50, us": p50,
        "ping-pong p99, us": p99,
        "one frame a message, frames/s": await rate(side.flood(small, gathered=False), small),
        "gathered, frames/s": await rate(side.flood(32 * small, gathered=True), 32 * small),
    }
    for size in (64 * KiB, 256 * KiB, MiB):
        count = scale * 16 * MiB // size
        frame = PING + bytes(size - 1)  # the floor echoes its first 100 bytes: its window
        name = f"bulk of {size // KiB} KiB, MiB/s"
        figures[name] = await rate(side.bulk(frame, count), count * size / MiB)
    return figures


async def run(rounds: int, scale: int) -> None:
    identity = TlsIdentity.create(Ed25519PrivateKey.generate())
    far = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", stdin=asyncio.subprocess.PIPE, stdout=-1
    )
    assert far.stdin
    assert far.stdout
    told = {
        "member": identity.member.hex(),
        "certificate": identity.certificate_der.hex(),
        "pem": identity.certificate_pem.hex(),
    }
    far.stdin.write(json.dumps(told).encode() + b"\n")
    address, bare, certificate, member = json.loads(await far.stdout.readline())
    peer, pinned = MemberId(bytes.fromhex(member)), bytes.fromhex(certificate)
    near, single_near = Near(), Near()
    transport = GrpcTransport(identity, near)
    unbatched = GrpcTransport(identity, single_near, TransportOptions(gather_frames=1))
    link = await transport.dial(address, peer, pinned)
    single = await unbatched.dial(address, peer, pinned)
    credentials = grpc.ssl_channel_credentials(
        ssl.DER_cert_to_PEM_cert(pinned).encode(), identity.key_pem, identity.certificate_pem
    )
    options = [("grpc.ssl_target_name_override", tls_name(peer))]
    async with grpc.aio.secure_channel(bare, credentials, options) as channel:
        sides: dict[str, Side] = {
            "floor": Floor(channel.stream_stream("/Bare/S")()),
            "ours": Ours(link, near, single, single_near),
        }
        await compare(sides, rounds, scale)
    await transport.close()
    await unbatched.close()
    far.stdin.close()
    await far.wait()


async def compare(sides: dict[str, Side], rounds: int, scale: int) -> None:
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=number % 2 == 1):  # who goes first changes
            seen[name].append(await measure(sides[name], scale))
    print(f"{'median of ' + str(rounds):34}{'floor':>12}{'ours':>12}{'ratio':>8}")
    for figure in seen["ours"][0]:
        floor, ours = (
            statistics.median(one[figure] for one in seen[name]) for name in ("floor", "ours")
        )
        print(f"{figure:34}{floor:12,.0f}{ours:12,.0f}{ours / floor:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the far end (used by itself)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    asked = parser.parse_args()
    asyncio.run(serve() if asked.serve else run(asked.rounds, 1 if asked.quick else 10))


if __name__ == "__main__":
    main()
