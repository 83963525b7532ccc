"""Read a Yjs update before the engine does, and refuse all that we would not have written.

The engine may panic or silently diverge on hostile bytes (2,000 mutated updates: 73 did). So a
total, linear parser accepts one dialect: Yjs v1 (the ``lib0`` encoding), one root text named
``text``, plain or deleted content. ``check_update`` then holds it against what a document has.
Format: yjs ``src/utils/encoding.js`` and ``src/structs/Item.js``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from meerkat.core.surrogates import Surrogates, TextUpdateError, read_varint, write_varint

__all__ = [
    "MAX_CLOCK",
    "ROOT",
    "ParsedUpdate",
    "TextUnfit",
    "TextUpdateError",
    "TextUpdateGap",
    "check_update",
    "parse_update",
    "shadow_update",
]

ROOT = b"text"  # the one root type, by name
MAX_CLOCK = 2**31 - 1  # UTF-16 units one client may write: the engine counts in 32 bits

_HAS_ORIGIN = 0x80
_HAS_RIGHT = 0x40
_DELETED = 1  # content kinds (info & 31) that a plain text has
_STRING = 4


class TextUpdateGap(TextUpdateError):
    """This change builds on another that is not here yet; keep it and try again then."""


class TextUnfit(TextUpdateError):
    """What was typed can be in no text of ours: NUL, or half of a UTF-16 pair."""


@dataclass(frozen=True, slots=True)
class ParsedUpdate:
    """What an update says, without its text.

    ``clients``: client -> (first clock, clock after the last), in the update's order.
    ``references``: (client, clock, to client, to clock, is left origin): a struct and its neighbor.
    ``deletes``: (client, first clock, clock after the last).
    """

    clients: dict[int, tuple[int, int]] = field(default_factory=dict)
    references: list[tuple[int, int, int, int, bool]] = field(default_factory=list)
    deletes: list[tuple[int, int, int]] = field(default_factory=list)
    surrogates: Surrogates = field(default_factory=Surrogates)
    struct_count: int = 0


def parse_update(data: bytes) -> ParsedUpdate:
    """Read a whole update, in time linear in its bytes.

    Raises:
        TextUpdateError: on anything but plain text changes of one root text named ``text``.
    """
    parsed = ParsedUpdate()
    count, at = read_varint(data, 0)
    structs = 0
    for _ in range(_bounded(count, data, at)):
        length, at = read_varint(data, at)
        client, at = read_varint(data, at)
        first, at = read_varint(data, at)
        if client in parsed.clients or client == 0 or length == 0:
            raise TextUpdateError("a client is named twice, is 0, or wrote nothing")
        clock = first
        for _ in range(_bounded(length, data, at)):
            clock, at = _read_struct(data, at, client, clock, parsed)
        structs += length
        parsed.clients[client] = (first, clock)
    at = _read_deletes(data, at, parsed)
    if at != len(data):
        raise TextUpdateError("bytes follow the update")
    object.__setattr__(parsed, "struct_count", structs)
    return parsed


def _bounded(count: int, data: bytes, at: int) -> int:
    if count > len(data) - at:  # each counted thing takes at least a byte
        raise TextUpdateError("a count is larger than the update")
    return count


def _read_struct(
    data: bytes, at: int, client: int, clock: int, parsed: ParsedUpdate
) -> tuple[int, int]:
    if at >= len(data):
        raise TextUpdateError("the update is cut short")
    info = data[at]
    at += 1
    kind = info & 0x3F  # with the map-key bit (0x20): a text has no keys
    if kind != _STRING and kind != _DELETED:
        raise TextUpdateError(f"a text has no structs of kind {kind}")
    for bit in (_HAS_ORIGIN, _HAS_RIGHT):
        if info & bit:
            to_client, at = read_varint(data, at)
            to_clock, at = read_varint(data, at)
            parsed.references.append((client, clock, to_client, to_clock, bit == _HAS_ORIGIN))
    if not info & (_HAS_ORIGIN | _HAS_RIGHT):
        at = _read_root(data, at)
    length, at = read_varint(data, at)
    if kind == _STRING:
        end = at + _bounded(length, data, at)
        try:
            text = data[at:end].decode()
        except UnicodeDecodeError:
            raise TextUpdateError("the text is not UTF-8") from None
        if "\0" in text:
            raise TextUnfit("a text holds no NUL")
        length = parsed.surrogates.add_text(client, clock, text)
        at = end
    if length == 0 or clock + length > MAX_CLOCK:
        raise TextUpdateError("a struct is empty or too long")
    return clock + length, at


_ROOT_PARENT = bytes((1, len(ROOT))) + ROOT  # "the parent is a root type", its name


def _read_root(data: bytes, at: int) -> int:
    end = at + len(_ROOT_PARENT)
    if data[at:end] != _ROOT_PARENT:
        raise TextUpdateError("a change outside the text")
    return end


def _read_deletes(data: bytes, at: int, parsed: ParsedUpdate) -> int:
    count, at = read_varint(data, at)
    for _ in range(_bounded(count, data, at)):
        client, at = read_varint(data, at)
        ranges, at = read_varint(data, at)
        for _ in range(_bounded(ranges, data, at)):
            clock, at = read_varint(data, at)
            length, at = read_varint(data, at)
            if length == 0 or clock + length > MAX_CLOCK:
                raise TextUpdateError("a deleted range is empty or too long")
            parsed.deletes.append((client, clock, clock + length))
    return at


def check_update(
    parsed: ParsedUpdate,
    clocks: Mapping[int, int],
    surrogates: Surrogates,
    clients: Collection[int],
) -> None:
    """Hold an update against a document that has ``clocks`` (client -> next clock).

    Raises:
        TextUpdateGap: if it needs what the document lacks.
        TextUpdateError: if it writes as a client not in ``clients`` or splits a character.
    """
    for client, (first, end) in parsed.clients.items():
        if client not in clients:
            raise TextUpdateError("a change in somebody else's name")
        have = clocks.get(client, 0)
        if first > have:
            raise TextUpdateGap("changes by this client are missing")
        if first < have < end and parsed.surrogates.cuts(client, have):
            raise TextUnfit("a change splits a character")
    _check_references(parsed, clocks)
    cuts = [(c, k + left) for _, _, c, k, left in parsed.references]
    cuts += [(c, k) for c, start, end in parsed.deletes for k in (start, end)]
    for client, clock in cuts:
        if surrogates.cuts(client, clock) or parsed.surrogates.cuts(client, clock):
            raise TextUnfit("a change splits a character")
    for client, _, end in parsed.deletes:
        if end > max(clocks.get(client, 0), parsed.clients.get(client, (0, 0))[1]):
            raise TextUpdateGap("deletes what is not here")


def _check_references(parsed: ParsedUpdate, clocks: Mapping[int, int]) -> None:
    """Every neighbor exists before its struct: no gaps and, among new structs, no cycles."""
    blocked: dict[int, list[tuple[int, int, int]]] = {}
    for client, clock, to_client, to_clock, _ in parsed.references:
        if to_client == client:
            if to_clock >= clock:
                raise TextUpdateError("a change refers to a later one")
        elif to_clock >= clocks.get(to_client, 0):
            if to_clock >= parsed.clients.get(to_client, (0, 0))[1]:
                raise TextUpdateGap("refers to what is not here")
            blocked.setdefault(client, []).append((clock, to_client, to_clock))
    if blocked:
        _check_order(parsed, blocked)


def _check_order(parsed: ParsedUpdate, blocked: dict[int, list[tuple[int, int, int]]]) -> None:
    """Play the structs that wait for other clients' new ones; raise if some never can."""
    reached = {client: end for client, (_, end) in parsed.clients.items()}
    for client, waits in blocked.items():
        reached[client] = waits[0][0]
    index = dict.fromkeys(blocked, 0)
    waiting: dict[int, list[tuple[int, int]]] = {}  # client -> heap of (needed clock, who waits)
    ready = list(blocked)
    while ready:
        client = ready.pop()
        waits = blocked[client]
        while index[client] < len(waits):
            reached[client], to_client, to_clock = waits[index[client]]
            if to_clock >= reached[to_client]:
                heappush(waiting.setdefault(to_client, []), (to_clock, client))
                break
            index[client] += 1
        else:
            reached[client] = parsed.clients[client][1]
        heap = waiting.get(client, [])
        while heap and heap[0][0] < reached[client]:
            ready.append(heappop(heap)[1])
    if any(index[client] < len(waits) for client, waits in blocked.items()):
        raise TextUpdateError("changes that wait for one another")


def shadow_update(data: bytes) -> bytes:
    """The same update with an "x" for each UTF-16 unit of its text; ids and order stay.

    Raises:
        TextUpdateError: if it is no update that ``parse_update`` takes.
    """
    out = bytearray()
    count, at = read_varint(data, 0)
    kept = 0  # all before it is copied or rewritten
    for _ in range(_bounded(count, data, at)):
        length, at = read_varint(data, at)
        _, at = read_varint(data, at)
        _, at = read_varint(data, at)
        for _ in range(_bounded(length, data, at)):
            info = data[at]
            at += 1
            for bit in (_HAS_ORIGIN, _HAS_RIGHT):
                if info & bit:
                    _, at = read_varint(data, at)
                    _, at = read_varint(data, at)
            if not info & (_HAS_ORIGIN | _HAS_RIGHT):
                at = _read_root(data, at)
            start = at
            size, at = read_varint(data, at)
            if info & 0x3F == _STRING:
                text = data[at : at + size]
                at += size
                if not text.isascii():
                    units = len(text.decode().encode("utf-16-le")) // 2
                    out += data[kept:start] + write_varint(units) + b"x" * units
                    kept = at
    return bytes(out) + data[kept:]
