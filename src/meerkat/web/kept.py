"""What a web server remembers in the state folder, so that an open page survives a restart."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import asdict, dataclass

from meerkat.errors import StoreError
from meerkat.node.home import StateFolder

from .origins import check_origin

__all__ = ["Kept", "new_token", "read_kept", "write_kept"]

LOG = logging.getLogger(__name__)
TOKEN_BYTES = 32  # of chance; nobody guesses 256 bits
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_PORT = 65_535
MAX_ORIGINS = 64  # guess; a person types them


@dataclass(frozen=True, slots=True)
class Kept:
    """As long as there is this, the page is served whenever the folder's process runs."""

    port: int
    token: str
    origins: tuple[str, ...] = ()


def new_token() -> str:
    """Whoever knows it may do what the owner may."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def read_kept(state: StateFolder) -> Kept | None:
    """What was kept; None if nothing was, or if it cannot be used."""
    try:
        value = state.read_web()
    except StoreError as error:
        LOG.warning("a new address for the page: %s", error)
        return None
    if value is None:
        return None
    port, token, origins = value.get("port"), value.get("token"), value.get("origins")
    if type(port) is not int or not 0 < port <= MAX_PORT or not isinstance(origins, list):
        return None
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        return None
    try:
        allowed = tuple(check_origin(str(origin)) for origin in origins[:MAX_ORIGINS])
    except ValueError:
        return None
    return Kept(port, token, allowed)


def write_kept(state: StateFolder, kept: Kept | None) -> None:
    """Keep it durably, readable by nobody else. None: forget everything."""
    state.write_web(asdict(kept) if kept else None)
