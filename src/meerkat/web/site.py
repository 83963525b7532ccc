"""The page itself: the files that were built into ``page/``, held in memory, and its policy.

They hold no secret, so they need no token. What is built from ``web/`` decides their names; those
under ``assets/`` carry a hash of their content, so a browser may keep them for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aiohttp import hdrs, web

from .answers import Denied, path_of

__all__ = ["PAGE", "Site", "load_site", "policy"]

PAGE = Path(__file__).resolve().parent / "page"
INDEX = "index.html"
HASHED = "assets/"
FOREVER = "public, max-age=31536000, immutable"  # a year, as long as RFC 9111 lets it mean
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    content_type: str
    etag: str
    cache: str


class Site:
    """Serves what was loaded, by exact name: no path is ever looked up on the disk."""

    def __init__(self, assets: Mapping[str, _Asset], port: int) -> None:
        self._assets = assets
        self._policy = policy(port)

    def has(self, path: str) -> bool:
        """Whether this is of the page."""
        return (path or INDEX) in self._assets or not path

    def get(self, request: web.BaseRequest) -> web.Response:
        """The page, or a part of it.

        Raises:
            Denied: if there is no such part.
        """
        path = path_of(request, "/") or INDEX
        asset = self._assets.get(path)
        if asset is None:
            if path == INDEX:
                raise Denied(503, "The page was not built into this installation of meerkat.")
            raise Denied(404, "Nothing is served at this address.")
        headers = {
            hdrs.CONTENT_TYPE: asset.content_type,
            hdrs.CACHE_CONTROL: asset.cache,
            hdrs.ETAG: asset.etag,
            "Content-Security-Policy": self._policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "X-Frame-Options": "DENY",
        }
        if request.headers.get(hdrs.IF_NONE_MATCH, "").removeprefix("W/") == asset.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.content, headers=headers)


def load_site(port: int, folder: Path = PAGE) -> Site:
    """Read what was built; an empty site if nothing was. Blocks."""
    assets = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        name, content = file.relative_to(folder).as_posix(), file.read_bytes()
        assets[name] = _Asset(
            content,
            TYPES.get(PurePosixPath(name).suffix, PLAIN),
            f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"',
            FOREVER if name.startswith(HASHED) else "no-cache",
        )
    return Site(assets, port)


def policy(port: int) -> str:
    """What the page may load: itself only. Editors set styles, so inline ones are allowed."""
    sockets = f"ws://127.0.0.1:{port} ws://localhost:{port}"  # not 'self' for every browser
    return (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; "
        "frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
