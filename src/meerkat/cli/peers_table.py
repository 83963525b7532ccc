"""Everybody else, one row each: what `status` and `network` say, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from .visible import visible

__all__ = ["SHORT", "PeerRow", "rows", "sentences", "span", "table"]

Facts = Mapping[str, Any]
SHORT = 8  # hexadecimal digits of an id that people get to see
MINUTE, HOUR, DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A peer. Times in seconds; None: not known. ``author`` is empty for a member that is away
    and that nobody has heard of since we began.
    """

    author: str
    member: str
    name: str
    kind: str  # own, walk, inbound, client, guest; empty: not linked
    direction: str
    address: str
    degree: int | None
    since: float | None
    in_sync: bool | None
    here: bool
    heard: float | None


def rows(status: Facts, network: Facts) -> list[PeerRow]:
    """Linked ones first, then others who are here, then those who are away; by name."""
    nodes = {
        node["author"]: node for node in network["nodes"] if node["author"] != status["author"]
    }
    linked = {peer["author"]: peer for peer in status["peers"]}
    found = [_row(author, linked.get(author), nodes.get(author)) for author in nodes | linked]
    seen = {row.member for row in found} | {status["member"]}
    found += [
        PeerRow("", one["member"], one["name"], "", "", "", None, None, None, False, None)
        for one in status["members"]
        if one["member"] not in seen
    ]
    return sorted(found, key=lambda row: (not row.kind, not row.here, row.name.lower(), row.author))


def _row(author: str, peer: Facts | None, node: Facts | None) -> PeerRow:
    one: Facts = peer or node or {}
    degree = node["degree"] if node else (peer or {}).get("degree")
    return PeerRow(
        author=author,
        member=one["member"],
        name=one["name"],
        kind=(peer.get("kind") or "linked") if peer else "",
        direction=peer["direction"] if peer else "",
        address=peer["address"] if peer else "",
        degree=degree,
        since=peer.get("since") if peer else None,
        in_sync=peer["in_sync"] if peer else None,
        here=peer is not None or bool(node and node["here"]),
        heard=node["age"] if node else None,
    )


def table(found: Iterable[PeerRow]) -> Table:
    """For a terminal."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("name", "id", "link", "address", "degree", "since", "synced", "", "heard"):
        right = name in ("degree", "since", "heard")
        shown.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in found:
        style = "" if row.kind else ("dim" if row.here else "dim italic")
        shown.add_row(*(Text(cell) for cell in _cells(row)), style=style)
    return shown


def _cells(row: PeerRow) -> Iterator[str]:
    yield visible(row.name)
    yield row.member[:SHORT]
    yield row.kind + {"out": " ->", "in": " <-"}.get(row.direction, "")
    yield visible(row.address)
    yield "" if row.degree is None else str(row.degree)
    yield "" if row.since is None else span(row.since)
    yield "" if row.in_sync is None else ("yes" if row.in_sync else "no")
    yield "here" if row.here else "away"
    yield "" if row.heard is None else f"{span(row.heard)} ago"


def sentences(found: Iterable[PeerRow]) -> Iterator[str]:
    """A line for each, for the chat."""
    for row in found:
        state = "linked" if row.kind else ("here" if row.here else "away")
        links = f", {row.degree} links" if row.degree else ""
        yield f"{visible(row.name)} ({row.member[:SHORT]}): {state}{links}"


def span(seconds: float) -> str:
    """How long, roughly."""
    if seconds < 1:
        return "0 s"
    for limit, unit, name in ((MINUTE, 1, "s"), (HOUR, MINUTE, "min"), (DAY, HOUR, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / DAY:.0f} d"
