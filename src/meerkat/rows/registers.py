"""Registers of the schema: what was written, and what of it was dropped by who had seen it.

A register is a pure function of the set of writes and drops put into it, whatever their order. Of
every author only the newest write is kept: a drop that saw it saw those before it too, and they
lose against it. Writes that are not signed yet (our own captures) have stamps whose Lamport time is
``PENDING`` or more; ``restamp`` gives them the signed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct, field

__all__ = ["BASE", "PENDING", "Cover", "Register", "Seen", "Stamp"]

PENDING = 2**62
"""The Lamport time of what is not signed yet; the stamp's last part then counts captures."""
Stamp = tuple[int, bytes, int]
"""(Lamport, author, sequence)"""
Seen = Mapping[bytes, int] | Callable[[bytes], int]
"""Author to the last sequence seen. A mapping is better: it tells of authors not met yet."""
BASE: Stamp = (0, b"", 0)

T = TypeVar("T")


class Cover(Struct):
    """How far drops reach. ``pending``: those not signed yet, by their number."""

    upto: dict[bytes, int] = field(default_factory=dict)
    pending: dict[int, tuple[bytes, dict[bytes, int]]] = field(default_factory=dict)

    def put(self, stamp: Stamp, seen: dict[bytes, int]) -> None:
        lamport, author, sequence = stamp
        if lamport >= PENDING:
            known = self.pending.get(sequence, (author, {}))[1]
            self.pending[sequence] = (author, _joined(known, seen))
        else:
            # An author's own earlier operations are seen.
            self.upto = _joined(_joined(self.upto, seen), {author: sequence})

    def covers(self, stamp: Stamp) -> bool:
        lamport, author, sequence = stamp
        if lamport >= PENDING:
            return any(number >= sequence for number in self.pending)
        if stamp == BASE:
            return bool(self.upto or self.pending)
        return self.upto.get(author, 0) >= sequence or any(
            author == dropper or seen.get(author, 0) >= sequence
            for dropper, seen in self.pending.values()
        )

    def restamp(self, old: Stamp, new: Stamp) -> None:
        found = self.pending.pop(old[2], None)
        if found is not None:
            self.put(new, found[1])


class Register(Struct, Generic[T]):
    """Values by author. ``later``: those not signed yet, by their number."""

    values: dict[bytes, tuple[Stamp, T]] = field(default_factory=dict)
    later: dict[int, tuple[Stamp, T]] = field(default_factory=dict)
    cover: Cover = field(default_factory=Cover)

    def put(self, stamp: Stamp, value: T) -> None:
        lamport, author, sequence = stamp
        if lamport >= PENDING:
            self.later[sequence] = (stamp, value)
        elif author not in self.values or self.values[author][0] <= stamp:
            self.values[author] = (stamp, value)

    def drop(self, stamp: Stamp, seen: Seen) -> None:
        self.cover.put(stamp, self._vector(seen))

    def living(self, *covers: Cover) -> list[tuple[Stamp, T]]:
        """What nobody dropped (nor any of ``covers``), the newest first."""
        found = [*self.values.values(), *self.later.values()]
        living = [
            entry
            for entry in found
            if not any(cover.covers(entry[0]) for cover in (self.cover, *covers))
        ]
        return sorted(living, key=lambda entry: entry[0], reverse=True)

    def newest(self) -> tuple[Stamp, T] | None:
        """The last write, dropped or not."""
        found = [*self.values.values(), *self.later.values()]
        return max(found, key=lambda entry: entry[0], default=None)

    def everything(self, more: Iterable[str], key: Callable[[T], str]) -> frozenset[str]:
        """A text of each value, dropped or not."""
        found = [*self.values.values(), *self.later.values()]
        return frozenset(more) | {key(value) for _, value in found}

    def restamp(self, old: Stamp, new: Stamp) -> None:
        found = self.later.pop(old[2], None)
        if found is not None:
            self.put(new, found[1])
        self.cover.restamp(old, new)

    def _vector(self, seen: Seen) -> dict[bytes, int]:
        if not callable(seen):
            return {author: sequence for author, sequence in seen.items() if sequence > 0}
        vector = {author: seen(author) for author in self.values}
        return {author: sequence for author, sequence in vector.items() if sequence > 0}


def _joined(one: dict[bytes, int], other: dict[bytes, int]) -> dict[bytes, int]:
    joined = dict(one)
    for author, sequence in other.items():
        joined[author] = max(sequence, joined.get(author, 0))
    return joined
