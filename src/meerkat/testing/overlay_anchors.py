"""Figures of other overlays in the same cases, to stand beside ours (``overlay_anchors.txt``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["MEASURES", "PROTOCOLS", "TABLES", "Anchor", "anchors", "figure"]

PROTOCOLS = {
    "M": "the design's own simulation",
    "C": "HyParView 5/30",
    "C10": "HyParView 10/30",
    "A": "the seed, flooding",
}
"""What the short names mean, as people should read it."""

TABLES = {
    "joined": "after everyone joined",
    "rate": "joining at",
    "kill": "killed at once:",
    "tree after kill": "broadcasts around killing",
    "broadcast": "broadcast,",
    "partition": "parted for",
    "pools": "two parts met",
    "nat": "can only dial out:",
    "greedy": "greedy insiders:",
    "churn": "churn, up/down",
    "direct": "direct messages, just died:",
    "save": "saved:",
}
"""How a table is called; its case follows."""

MEASURES = {
    "alive": "peers alive, mean",
    "captured": "links of honest peers that greedy ones hold, %",
    "control": "announcements, grafts and prunes per peer and message",
    "copies": "copies per peer and message",
    "cross_10": "links across after 10 s",
    "cross_300": "links across after 300 s",
    "cross_60": "links across after 60 s",
    "degree_max": "links of a peer, most",
    "degree_mean": "links of a peer, mean",
    "degree_min": "links of a peer, fewest",
    "delivered": "delivered hop by hop, with side-steps, %",
    "delivered_in_the_end": "delivered in the end, also by flood, %",
    "diameter": "longest path, hops",
    "eclipsed": "honest peers with greedy neighbors only, %",
    "equal": "folders alike, %",
    "equal_after": "s until they were",
    "entry_degree": "links of the entry",
    "entry_requests": "JOIN_REQs at the entry per join",
    "held": "have the file, %",
    "held_half": "s until half of them had it",
    "held_last": "s until the last one had it",
    "honest_largest": "largest part of the honest without the greedy, %",
    "hops": "hops",
    "hostile_degree": "links of a greedy peer, mean",
    "in_sync": "say that they are in sync, %",
    "in_parts": "in one piece on their side, %",
    "intact": "by the way they knew, %",
    "join_ms_p50": "time to 5 links, median ms",
    "join_ms_p99": "time to 5 links, p99 ms",
    "largest": "largest component, %",
    "largest_10": "largest component if 10 % then die, %",
    "largest_10_worst": "the same, worst seed, %",
    "largest_after": "largest component in the end, %",
    "largest_before": "largest component before repair, %",
    "last_hop": "hops to the last",
    "last_hop_after": "hops to the last, later",
    "last_ms": "ms to the last",
    "last_ms_after": "ms to the last, later",
    "last_ms_before": "ms to the last, at the instant",
    "links": "links",
    "median_ms": "ms to half of them",
    "messages": "messages per peer while watched, beats apart",
    "messages_each": "messages each",
    "messages_per_s": "messages per peer and second, beats apart",
    "nat_3_links": "of those: with 3 or more links, %",
    "nat_in_main": "of those: in the largest component, %",
    "path": "mean path, hops",
    "public_degree_max": "links of a peer that can be dialled, most",
    "public_degree_mean": "links of a peer that can be dialled, mean",
    "reached": "reached, %",
    "reached_after": "survivors reached in the end, %",
    "reached_after_20": "reached in the last third, %",
    "reached_before": "survivors reached at the instant, %",
    "reached_mean": "reached, mean %",
    "reached_worst": "reached, worst %",
    "request_hops": "JOIN_REQ hops per join",
    "rmr": "copies too many per copy needed (RMR)",
    "rmr_after": "RMR, later",
    "rmr_before": "RMR, at the instant",
    "to_99": "s until 99 % are one",
    "to_one": "s until all are one",
    "under_5": "peers with fewer than 5 links",
}
"""The figures' names, as people should read them."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One protocol's figures in one case. ``figures`` are strings: some say "never"."""

    table: str
    peers: int
    case: str
    protocol: str
    figures: dict[str, str]


@cache
def _all() -> tuple[Anchor, ...]:
    text = files("meerkat.testing").joinpath("overlay_anchors.txt").read_text(encoding="utf-8")
    found: list[Anchor] = []
    table, columns = "", [""]
    for line in text.splitlines():
        if line.startswith("["):
            table, _, names = line[1:].partition("] ")
            columns = names.split()
        elif line and not line.startswith("#"):
            peers, case, protocol, *values = (cell.strip() for cell in line.split(";"))
            figures = dict(zip(columns, values, strict=True))
            found.append(Anchor(table, int(peers), case.strip("-"), protocol, figures))
    return tuple(found)


def anchors(table: str, peers: int, case: str = "") -> list[Anchor]:
    """Everyone who has been measured in this case."""
    return [one for one in _all() if (one.table, one.peers, one.case) == (table, peers, case)]


def figure(table: str, peers: int, case: str, protocol: str, measure: str) -> str:
    """One cell; empty if nobody measured it."""
    for one in anchors(table, peers, case):
        if one.protocol == protocol:
            return one.figures.get(measure, "")
    return ""
