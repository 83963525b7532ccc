"""The door: the one service a stranger may reach, to knock with an invitation.

Only the inviter's certificate is checked in TLS (the invitation carries its fingerprint); what a
knock means and whether it counts is the node's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from meerkat.transport.base import DialRefused, LinkError, PeerNotTrusted
from meerkat.transport.dialing import fetch_certificate, split
from meerkat.transport.identity import TlsIdentity, fingerprint, member_of, pem_of, tls_name
from meerkat.transport.listening import start
from meerkat.transport.options import TransportOptions, channel_arguments, server_arguments

__all__ = ["Door", "DoorOptions", "KnockRefused", "knock"]

SERVICE, METHOD = "meerkat.v1.Door", "Knock"
_GRACE = 0.5  # s for replies under way when the door closes


class KnockRefused(LinkError):
    """The door said no; the message is its answer."""


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """What a stranger may take from us; all guesses, made to be far below harm."""

    max_request_bytes: int = 64 * 1024
    max_knocks: int = 16  # in flight
    deadline: float = 10.0  # s for one knock, its request included


OnKnock = Callable[[bytes, str], Awaitable[bytes]]


class Door:
    """Serves ``Knock`` until closed.

    Args:
        identity: whose certificate is shown.
        on_knock: called with the request and the caller's ``host:port``; returns the reply, or
            raises KnockRefused with a text for the caller. Another exception is a bug: the caller
            hears that the door is broken, the event loop's exception handler hears which.
        options: bounds.
    """

    def __init__(
        self, identity: TlsIdentity, on_knock: OnKnock, options: DoorOptions | None = None
    ) -> None:
        self._identity = identity
        self._on_knock = on_knock
        self._options = options or DoorOptions()
        self._server: Any = None

    async def listen(self, host: str, port: int) -> str:
        """Open the door. Returns the ``host:port`` really bound; port 0 means any.

        Raises:
            PortTaken: another program has the port.
            LinkError: the host is not one of ours.
        """
        options = self._options
        arguments = [
            *server_arguments(TransportOptions()),
            ("grpc.max_receive_message_length", options.max_request_bytes),
            # A stranger's connection ends soon, whether it knocks or not.
            ("grpc.max_connection_age_ms", round(options.deadline * 1000)),
            ("grpc.max_connection_age_grace_ms", round(options.deadline * 1000)),
        ]
        server = grpc.aio.server(options=arguments, maximum_concurrent_rpcs=options.max_knocks)
        # On the wire the same as a unary call; read as a stream so that a caller who never sends
        # the request is under our deadline too.
        method = grpc.stream_unary_rpc_method_handler(self._on_call)
        handler = grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})
        server.add_generic_rpc_handlers((handler,))
        identity = self._identity
        pair = (identity.key_pem, identity.certificate_pem)
        address = await start(server, host, port, grpc.ssl_server_credentials([pair]))
        self._server = server
        return address

    async def close(self) -> None:
        """Close the door; knocks under way get half a second."""
        if self._server is not None:
            await self._server.stop(_GRACE)
            self._server = None

    async def _on_call(self, _requests: object, context: Any) -> bytes:
        code, text = grpc.StatusCode.PERMISSION_DENIED, ""
        try:
            async with asyncio.timeout(self._options.deadline):
                request = await context.read()
                if isinstance(request, bytes):
                    return await self._on_knock(request, unquote(context.peer()).partition(":")[2])
            code, text = grpc.StatusCode.INVALID_ARGUMENT, "an empty knock"
        except KnockRefused as refused:
            text = str(refused)
        except TimeoutError:
            code, text = grpc.StatusCode.DEADLINE_EXCEEDED, "the knock took too long"
        except grpc.aio.BaseError:
            code, text = grpc.StatusCode.CANCELLED, "the caller went away"
        except Exception as bug:
            code, text = grpc.StatusCode.INTERNAL, "the door is broken"
            report = {"message": "on_knock failed", "exception": bug}
            asyncio.get_running_loop().call_exception_handler(report)
        await context.abort(code, text)
        raise AssertionError("abort always raises")


async def knock(
    address: str, expected: bytes, request: bytes, timeout: float = 10.0
) -> tuple[bytes, bytes]:
    """Knock at ``address``, whose certificate must have the fingerprint ``expected``.

    Returns the reply and the certificate (DER). ``timeout`` is in seconds, for everything.

    Raises:
        DialRefused: nobody answers there, or not in time.
        PeerNotTrusted: somebody else answers.
        KnockRefused: the door said no.
    """
    split(address)
    if len(request) > DoorOptions().max_request_bytes:
        raise KnockRefused("the request is larger than doors accept")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    certificate = await fetch_certificate(address, timeout)
    if fingerprint(certificate) != expected:
        raise PeerNotTrusted(f"another identity answers at {address}")
    name = tls_name(member_of(certificate))
    credentials = grpc.ssl_channel_credentials(root_certificates=pem_of(certificate))
    arguments = channel_arguments(TransportOptions(), name)
    async with grpc.aio.secure_channel(address, credentials, arguments) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}")
        try:
            reply = await call(request, timeout=max(0.0, deadline - loop.time()))
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, address) from error
    return bytes(reply), certificate


def _refusal(error: Any, address: str) -> LinkError:
    code, details = error.code(), error.details()
    if code == grpc.StatusCode.PERMISSION_DENIED:
        return KnockRefused(details)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return KnockRefused("the door is busy or the request too large; try again later")
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT):
        return KnockRefused(details)
    return DialRefused(f"nobody opens at {address}: {details}")
