"""``host:port`` as text and as parts. IPv6 hosts stand in brackets."""

from __future__ import annotations

__all__ = ["format_address", "parse_address"]

MAX_PORT = 65_535


def format_address(host: str, port: int) -> str:
    """``host:port``, or ``[host]:port`` for IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``.

    Raises:
        ValueError: this is no address.
    """
    host, _, digits = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or not digits.isascii() or not digits.isdigit() or int(digits) > MAX_PORT:
        raise ValueError(f"{address!r} is not HOST:PORT")
    if ":" in host and not bracketed:
        raise ValueError(f"{address!r}: an IPv6 host goes in brackets, as in [::1]:7337")
    return host[1:-1] if bracketed else host, int(digits)
