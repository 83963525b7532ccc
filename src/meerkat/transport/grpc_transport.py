"""Links over grpc.aio with mutual TLS: listening, pairing the two streams of a link, dialing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from meerkat.core.ids import MemberId
from meerkat.transport.base import DialRefused, LinkListener
from meerkat.transport.dialing import BULK, LINK_KEY, LIVE, SERVICE, dialed_calls
from meerkat.transport.grpc_link import GrpcLink
from meerkat.transport.identity import TlsIdentity
from meerkat.transport.listening import start
from meerkat.transport.options import TransportOptions, server_arguments
from meerkat.transport.roster import Roster
from meerkat.transport.streams import DialedStream, ServedStream, Stream

__all__ = ["GrpcTransport"]

_TOKEN_LENGTH = 32


class _Pairing:
    """Two calls with one token, on their way to becoming a link."""

    def __init__(self) -> None:
        self.contexts: dict[str, Any] = {}
        self.complete = asyncio.Event()
        self.over = asyncio.Event()


class GrpcTransport:
    """A ``Transport``. Belongs to the event loop it is first used on."""

    def __init__(
        self,
        identity: TlsIdentity,
        listener: LinkListener,
        options: TransportOptions | None = None,
    ) -> None:
        self._identity = identity
        self._listener = listener
        self._options = options or TransportOptions()
        self._roster = Roster(identity)
        self._servers: list[Any] = []
        self._pairings: dict[tuple[MemberId, str], _Pairing] = {}
        self._links: set[GrpcLink] = set()
        # The task that owns a dialed link from first to last, and what `dial` waits for.
        self._dialed: dict[asyncio.Task[None], asyncio.Future[GrpcLink]] = {}
        self._closing = False

    async def listen(self, host: str, port: int) -> str:
        """See Transport."""
        server = grpc.aio.server(options=server_arguments(self._options))
        methods = {
            LIVE: grpc.stream_stream_rpc_method_handler(self._on_live),
            BULK: grpc.stream_stream_rpc_method_handler(self._on_bulk),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        address = await start(server, host, port, self._roster.credentials())
        self._servers.append(server)
        return address

    async def dial(self, address: str, member: MemberId, certificate: bytes | None) -> GrpcLink:
        """See Transport."""
        if self._closing:
            raise DialRefused("this transport is closed")
        answer: asyncio.Future[GrpcLink] = asyncio.get_running_loop().create_future()
        work = self._carry(address, member, certificate, answer)
        task = asyncio.create_task(work, name=f"link to {member.short()}")
        self._dialed[task] = answer
        task.add_done_callback(self._dialed.pop)
        try:
            return await answer
        except asyncio.CancelledError:
            task.cancel()  # nobody wants this link any more
            raise

    def trust(self, certificates: Mapping[MemberId, bytes]) -> None:
        """See Transport."""
        self._roster.replace(certificates)

    async def close(self) -> None:
        """See Transport."""
        self._closing = True
        links = tuple(self._links)
        for link in links:
            link.close("leave")
        for task, answer in tuple(self._dialed.items()):
            if not answer.done():
                task.cancel()
        for link in links:
            await link.finished.wait()
        await asyncio.gather(*self._dialed, return_exceptions=True)
        for server in self._servers:
            await server.stop(self._options.goodbye_wait)
        self._servers.clear()

    async def _carry(
        self,
        address: str,
        member: MemberId,
        certificate: bytes | None,
        answer: asyncio.Future[GrpcLink],
    ) -> None:
        """Dial, answer the waiting ``dial``, and carry the link to its end."""
        calls = dialed_calls(self._identity, self._options, address, member, certificate)
        try:
            async with calls as (live, bulk):
                link = self._adopt(member, address, outbound=True)
                if not answer.done():
                    answer.set_result(link)
                await self._run(link, DialedStream(live), DialedStream(bulk))
        except BaseException as error:
            if answer.done():
                raise
            closed = isinstance(error, asyncio.CancelledError)
            answer.set_exception(DialRefused("this transport is closed") if closed else error)

    async def _on_live(self, _requests: object, context: Any) -> None:
        await self._serve(LIVE, context)

    async def _on_bulk(self, _requests: object, context: Any) -> None:
        await self._serve(BULK, context)

    async def _serve(self, method: str, context: Any) -> None:
        """One half of an inbound link: wait for the other, then Live's handler carries both."""
        member = self._roster.member(context.auth_context())
        if member is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "not a member of this pool")
            return
        token = str(dict(context.invocation_metadata()).get(LINK_KEY, ""))
        pairing = self._pairing((member, token), method, context)
        if pairing is None:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no such link can be made now")
            return
        try:
            async with asyncio.timeout(self._options.pair_timeout):
                await pairing.complete.wait()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "half a link")
        finally:
            self._pairings.pop((member, token), None)
        if self._closing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "closing")
        if method == BULK:
            await pairing.over.wait()
            return
        try:
            for half in pairing.contexts.values():
                await half.send_initial_metadata(((LINK_KEY, token),))
            link = self._adopt(member, _far_end(context), outbound=False)
            bulk = pairing.contexts[BULK]
            await self._run(link, ServedStream(context), ServedStream(bulk))
        finally:
            pairing.over.set()

    def _pairing(self, key: tuple[MemberId, str], method: str, context: Any) -> _Pairing | None:
        """The pairing this call belongs to; None if the token is bad, used, or one too many."""
        full = len(self._pairings) >= self._options.max_halves and key not in self._pairings
        if self._closing or full or len(key[1]) != _TOKEN_LENGTH:
            return None
        pairing = self._pairings.setdefault(key, _Pairing())
        if method in pairing.contexts:
            return None
        pairing.contexts[method] = context
        if len(pairing.contexts) == 2:
            pairing.complete.set()
        return pairing

    def _adopt(self, member: MemberId, address: str, *, outbound: bool) -> GrpcLink:
        link = GrpcLink(member, address, outbound, self._listener, self._options)
        link.announce()
        self._links.add(link)
        return link

    async def _run(self, link: GrpcLink, live: Stream, bulk: Stream) -> None:
        try:
            await link.run(live, bulk)
        finally:
            self._links.discard(link)


def _far_end(context: Any) -> str:
    """``host:port`` of the caller: gRPC says ipv4:127.0.0.1:5 or ipv6:%5B::1%5D:5."""
    return unquote(context.peer()).partition(":")[2]
