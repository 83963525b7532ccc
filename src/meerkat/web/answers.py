"""What goes back over HTTP: refusals as sentences in JSON, and the path that a request names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web

from meerkat.node.owner_files import Refusal, Refused

__all__ = ["Denied", "answer", "denied_by_disk", "path_of"]

STATUS = {
    Refusal.MISSING: 404,
    Refusal.NAME: 400,
    Refusal.TAKEN: 409,
    Refusal.CHANGED: 412,
    Refusal.FULL: 507,
    Refusal.FAILED: 500,
}


class Denied(Exception):
    """A request that is refused: the status, and a sentence that says what to do."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def denied_by_disk(refused: Refused) -> Denied:
    """The folder's refusal as one over HTTP."""
    return Denied(STATUS[refused.why], str(refused))


def answer(
    value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON object."""
    body = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
    return web.Response(
        body=body,
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def path_of(request: web.BaseRequest, prefix: str) -> str:
    """The folder's path that follows ``prefix`` in the address, decoded once.

    An encoded slash is no slash: it would let a name pass for a path. Whether the path is allowed,
    the folder says.

    Raises:
        Denied: if it is no path in UTF-8.
    """
    raw = request.raw_path.partition("?")[0]
    if not raw.startswith(prefix):
        raise Denied(400, "This address is not in its simplest form. Leave out . and .. in it.")
    names = []
    for part in raw[len(prefix) :].split("/"):
        try:
            name = unquote_to_bytes(part.encode("utf-8", "surrogateescape")).decode("utf-8")
        except UnicodeDecodeError:
            raise Denied(400, "The path is not valid UTF-8. Encode it as browsers do.") from None
        if "/" in name:
            raise Denied(400, "A name cannot contain a slash. Separate names by plain slashes.")
        names.append(name)
    return "/".join(names)
