"""Who may come in, checked in this order before any handler runs.

1. ``Host`` names this machine and our port, so that no name somebody else's DNS points at us works;
2. ``Origin``, if a browser sends one, is our own page or one the owner allowed;
3. the token, unless what is asked for is the page itself, which holds no secret.

A WebSocket with a wrong token is told so by its close code (``sockets``), since a page cannot read
the status of a handshake that failed.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from aiohttp import hdrs, web

from .answers import Denied

__all__ = ["LOOPBACK", "Gate"]

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
BEARER = "bearer "
METHODS = "GET, HEAD, PUT, POST"
HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range"
EXPOSED = "Accept-Ranges, Content-Range, ETag"


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules of one server. ``allowed``: origins besides our own."""

    port: int
    token: str
    allowed: frozenset[str]

    def check_sender(self, request: web.BaseRequest) -> None:
        """The first two checks.

        Raises:
            Denied: and nothing about the folder is told.
        """
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts():
            raise Denied(
                403, f"Open http://{LOOPBACK}:{self.port}/ itself: no other name is answered."
            )
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if any(origin not in self.allowed and not self.is_own(origin) for origin in origins):
            raise Denied(
                403,
                "This page may not use meerkat. "
                "`meerkat web --allow-origin ORIGIN` allows another origin.",
            )

    def is_own(self, origin: str) -> bool:
        """Whether it is the origin of our own page."""
        return origin in {f"http://{host}" for host in self._hosts()}

    def has_token(self, request: web.BaseRequest) -> bool:
        """The third check; every token that is given must be right."""
        given = request.query.getall("token", [])
        for header in request.headers.getall(hdrs.AUTHORIZATION, []):
            is_bearer = header[: len(BEARER)].lower() == BEARER
            given.append(header[len(BEARER) :].strip() if is_bearer else "")
        expected = self.token.encode()
        right = [
            hmac.compare_digest(one.encode("utf-8", "replace"), expected)  # in constant time
            for one in given
        ]
        return bool(right) and all(right)

    def check_token(self, request: web.BaseRequest) -> None:
        """The third check.

        Raises:
            Denied: 401.
        """
        if not self.has_token(request):
            raise Denied(
                401, "The token is missing or wrong. `meerkat web` prints an address that has it."
            )

    def cors(self, request: web.BaseRequest) -> dict[str, str]:
        """What a browser must hear to let a page of an allowed origin read the answer."""
        origin = request.headers.get(hdrs.ORIGIN, "")
        if origin not in self.allowed:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Expose-Headers": EXPOSED,
            "Vary": "Origin",
        }

    def _hosts(self) -> frozenset[str]:
        return frozenset(f"{name}:{self.port}" for name in NAMES)
