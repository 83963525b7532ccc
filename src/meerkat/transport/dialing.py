"""Making the two streams of an outbound link, and saying well why that failed."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import grpc.aio

from meerkat.core.ids import MemberId
from meerkat.transport.base import DialRefused, LinkError, PeerNotTrusted
from meerkat.transport.identity import TlsIdentity, member_of, pem_of, tls_name
from meerkat.transport.options import TransportOptions, channel_arguments

__all__ = ["BULK", "LINK_KEY", "LIVE", "SERVICE", "dialed_calls", "fetch_certificate", "split"]

SERVICE = "meerkat.v1.Meerkat"
LIVE, BULK = "Live", "Bulk"
LINK_KEY = "meerkat-link"  # metadata: the token that ties the two streams of a link together


def split(address: str) -> tuple[str, int]:
    """``host:port`` (IPv6 hosts in brackets) as host and port.

    Raises:
        DialRefused: this is no address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise DialRefused(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def fetch_certificate(address: str, patience: float) -> bytes:
    """The certificate (DER) shown at ``address``, believed by nobody yet.

    Raises:
        DialRefused: nobody answers, or not with TLS, within ``patience`` seconds.
    """
    host, port = split(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only to look; whoever asked compares what is seen
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except TimeoutError as error:
        raise DialRefused(f"nobody answers at {address} within {patience:g} s") from error
    except OSError as error:
        raise DialRefused(f"nobody answers at {address}: {error}") from error
    seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    with suppress(OSError):  # a server that asks for our certificate complains; we are gone
        await writer.wait_closed()
    if not isinstance(seen, bytes):
        raise DialRefused(f"{address} shows no certificate")
    return seen


@asynccontextmanager
async def dialed_calls(
    identity: TlsIdentity,
    options: TransportOptions,
    address: str,
    member: MemberId,
    certificate: bytes | None,
) -> AsyncIterator[tuple[Any, Any]]:
    """The accepted Live and Bulk calls to ``member``; both connections close on exit.

    Raises:
        DialRefused, PeerNotTrusted: as ``Transport.dial``.
    """
    split(address)
    if certificate is None:
        certificate = await fetch_certificate(address, options.dial_timeout)
    if member_of(certificate) != member:
        raise PeerNotTrusted(f"{address} is not {member.short()}")
    credentials = grpc.ssl_channel_credentials(
        root_certificates=pem_of(certificate),  # the only root: a name or a shared CA would not do
        private_key=identity.key_pem,
        certificate_chain=identity.certificate_pem,
    )
    name = tls_name(member)
    channels = [
        grpc.aio.secure_channel(address, credentials, channel_arguments(options, name, bulk=bulk))
        for bulk in (False, True)  # LIVE, BULK
    ]
    try:
        yield await _accepted(channels, options, address, certificate)
    finally:
        for channel in channels:
            await channel.close()


async def _accepted(
    channels: list[Any], options: TransportOptions, address: str, certificate: bytes
) -> tuple[Any, Any]:
    token = secrets.token_hex(16)
    live, bulk = (
        channel.stream_stream(f"/{SERVICE}/{method}")(metadata=((LINK_KEY, token),))
        for channel, method in zip(channels, (LIVE, BULK), strict=True)
    )
    try:
        async with asyncio.timeout(options.dial_timeout):
            for call in (live, bulk):
                answer = await call.initial_metadata()
                if answer.get(LINK_KEY) != token:
                    code, details = await call.code(), await call.details()
                    raise await _refusal(address, certificate, code, details)
    except TimeoutError as error:
        raise DialRefused(f"{address} does not answer") from error
    return live, bulk


async def _refusal(address: str, certificate: bytes, code: Any, details: str) -> LinkError:
    """What a failed call means, found by looking again: gRPC's texts differ between versions."""
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return PeerNotTrusted(f"{address} does not count us as a member")
    if code != grpc.StatusCode.UNAVAILABLE:
        return DialRefused(f"{address} refuses: {details}")
    try:
        seen = await fetch_certificate(address, patience=1.0)
    except DialRefused as refused:
        return refused
    if seen != certificate:
        return PeerNotTrusted(f"another identity answers at {address}")
    return PeerNotTrusted(f"{address} does not count us as a member ({details})")
