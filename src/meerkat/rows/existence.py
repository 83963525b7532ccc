"""Whether a row lives, given who wrote and who deleted it.

A write is *covered* by a deletion whose author had seen it. A row lives if its birth is known and
some write of it is covered by no deletion; what was in the base was seen by everybody. Of every
author only the newest write and the newest deletion of a row count (an author's later operations
have seen its earlier ones). One operation that both deletes and writes a row keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable

from .ledger import Ledger, Op, Row

__all__ = ["is_loose", "lives", "with_newest"]


def lives(ledger: Ledger, row: Row, table_deaths: tuple[int, ...] = ()) -> bool:
    """Whether a row is to be seen, as far as constraints allow."""
    if not row.born:
        return False
    deaths = [ledger.op(number) for number in (*row.deaths, *table_deaths)]
    if not deaths:
        return True
    return any(
        not any(_covers(death, write) for death in deaths)
        for write in (ledger.op(number) for number in row.touches)
    )


def _covers(death: Op, write: Op) -> bool:
    if death.author == write.author:
        return write.sequence < death.sequence
    return death.seen.get(write.author, 0) >= write.sequence


def with_newest(ledger: Ledger, numbers: Iterable[int], number: int) -> tuple[int, ...]:
    """Operations, one of every author, and another one: of its author the newer counts."""
    new = ledger.op(number)
    kept = []
    for old in numbers:
        op = ledger.op(old)
        if op.author == new.author:
            if op.sequence > new.sequence:
                new, number = op, old
        else:
            kept.append(old)
    return tuple(sorted([*kept, number]))


def is_loose(ledger: Ledger, row: Row, references: Iterable[str]) -> bool:
    """Whether a row's references (column ids) dangled already where they were last written."""
    if row.loose < 0:
        return False
    loose = ledger.stamp(row.loose)
    return all(ledger.stamp(ledger.writer(row, column)) <= loose for column in references)
