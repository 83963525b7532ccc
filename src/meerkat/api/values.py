"""What a program gets: frozen values, and how they are read from control lines."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from meerkat.core.status import ChatLine, NetworkNode, NetworkPicture

__all__ = ["Echo", "Message", "chat_line", "echo", "message", "network_picture"]

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes that another peer published.

    ``author`` is its name, for people: two may have the same. ``member`` is whose it is, as an
    id in hexadecimal. ``missed`` messages came just before this one and were dropped, because
    this program read too slowly; 0 unless it fell 16 MiB or 10,000 messages behind.
    """

    author: str
    member: str
    data: bytes = field(repr=False)
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Echo:
    """How far away a member is: ``hops`` there and ``back``, first over ``via``.

    ``near``: over a link of our own.
    """

    seconds: float
    hops: int
    back: int
    via: str
    near: bool


def message(facts: Facts, missed: int) -> Message:
    """An event ``message``."""
    return Message(str(facts["name"]), str(facts["from"]), b64decode(facts["data"]), missed)


def echo(facts: Facts) -> Echo:
    """An answer to ``echo``."""
    return Echo(
        float(facts["seconds"]),
        int(facts.get("hops", 0)),
        int(facts.get("back", 0)),
        str(facts.get("via", "")),
        bool(facts.get("near", False)),
    )


def chat_line(facts: Facts) -> ChatLine:
    """An event ``chat``, or a line of the history."""
    known = {one.name: facts[one.name] for one in fields(ChatLine) if one.name in facts}
    return ChatLine(**{**known, "member": facts["from"]})


def network_picture(facts: Facts) -> NetworkPicture:
    """An answer to ``network``."""
    nodes = (
        NetworkNode(**{**_known(one), "neighbors": tuple(one["neighbors"])})
        for one in facts["nodes"]
    )
    return NetworkPicture(str(facts["author"]), tuple(nodes))


def _known(facts: Facts) -> dict[str, Any]:
    """Without what a newer process may tell besides."""
    names = {one.name for one in fields(NetworkNode)}
    return {name: value for name, value in facts.items() if name in names}
