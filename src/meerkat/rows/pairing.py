"""Which of the differences between two states of a table are the same row, before and after.

A comparison by locator sees a row that moved (a key update in a WITHOUT ROWID table, REPLACE under
a new hidden rowid, VACUUM renumbering) as one row gone and another come. Here they meet again:
by their natural key, or, where just one fits, by everything but their key. Nothing is decided here
about row ids or operations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .compare import RowDelta
from .schema import Table
from .values import Locator, Scalar, pack_values, same

__all__ = ["Pairing", "RowBorn", "RowChanged", "RowDied", "changed_columns"]

PAIRED_COUNT = 10_000  # rows gone and rows come that are held to be paired by content (guess)

Values = tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class RowChanged:
    """The same row, perhaps elsewhere."""

    old_at: Locator
    old: Values
    new_at: Locator
    new: Values


@dataclass(frozen=True, slots=True)
class RowBorn:
    """A row that was not there before. ``over``: another row stood there."""

    at: Locator
    new: Values
    over: bool = False


@dataclass(frozen=True, slots=True)
class RowDied:
    """A row that is not there any more."""

    at: Locator
    old: Values


def changed_columns(old: Values, new: Values) -> list[int]:
    """Positions at which two rows differ, by type and bytes."""
    return [  # as ``same`` says, which is asked only where that is not plain (0.0 and -0.0)
        i
        for i, (a, b) in enumerate(zip(old, new, strict=True))
        if a is not b and (a.__class__ is not b.__class__ or a != b or (not a and not same(a, b)))
    ]


class Pairing:
    """Pairs one table's deltas. ``standing(key)``: where the old state has that natural key."""

    def __init__(
        self, table: Table, standing: Callable[[tuple[Scalar, ...]], tuple[Locator, Values] | None]
    ) -> None:
        self._table, self._standing = table, standing
        columns = {column.name: index for index, column in enumerate(table.columns)}
        self._key = [columns[name] for name in table.key]
        own = [*self._key]
        if table.rowid_column is not None:
            own.append(columns[table.rowid_column])
        self._others = [index for index in range(len(columns)) if index not in own]
        self._keyless = not self._key and table.rowid_column is None
        self._gone: dict[bytes, RowDied] = {}  # by natural key, else by locator
        self._taken: set[Locator] = set()  # old rows that are accounted for before their delta came
        self._spent: set[Locator] = set()  # old rows that were given away under another key
        self._come: list[RowBorn] = []

    def pairs(self, deltas: Iterable[RowDelta]) -> Iterator[RowChanged | RowBorn | RowDied]:
        """What happened to the rows; all that died come last."""
        for delta in deltas:
            old_at, old, new_at, new = delta.old_at, delta.old, delta.new_at, delta.new
            if old is not None and old_at is not None and old_at in self._taken:
                self._taken.discard(old_at)
                old_at = old = None
            if old is None or old_at is None:
                if new is not None and new_at is not None:
                    yield from self._enter(RowBorn(new_at, new))
            elif new is None or new_at is None:
                self._leave(RowDied(old_at, old))
            elif self._keyless and len(self._come) < PAIRED_COUNT:
                # VACUUM gives such rows other rowids: content tells more than place, if it can.
                self._leave(RowDied(old_at, old))
                self._come.append(RowBorn(new_at, new, over=True))
            elif self._is_same(old, new):
                if self._key and self.key_of(old) != self.key_of(new):
                    self._spent.add(old_at)
                yield RowChanged(old_at, old, new_at, new)
            else:
                self._leave(RowDied(old_at, old))
                yield from self._enter(RowBorn(new_at, new, over=True))
        yield from self._by_content()
        if self._keyless:
            yield from self._by_place()
        yield from self._come
        yield from self._gone.values()

    def _is_same(self, old: Values, new: Values) -> bool:
        """Whether a row that stands where another stood is the same: rowids are used again."""
        if not self._key or all(same(old[one], new[one]) for one in self._key):
            return True
        return not self._others or any(same(old[one], new[one]) for one in self._others)

    def _leave(self, died: RowDied) -> None:
        key = self.key_of(died.old)
        name = pack_values(key) if key is not None else b"@" + _packed(died.at)
        self._gone[name] = died

    def _enter(self, born: RowBorn) -> Iterator[RowChanged | RowBorn]:
        key = self.key_of(born.new)
        if key is not None:
            died = self._gone.pop(pack_values(key), None)
            if died is not None:
                yield RowChanged(died.at, died.old, born.at, born.new)
                return
            found = self._standing(key)
            if found is not None and found[0] not in self._taken and found[0] not in self._spent:
                self._taken.add(found[0])
                yield RowChanged(found[0], found[1], born.at, born.new)
                return
        self._come.append(born)
        if len(self._come) > PAIRED_COUNT:  # too many to be held; in the order in which they came
            come, self._come = self._come, []
            yield from come

    def _by_content(self) -> Iterator[RowChanged]:
        """What differs in nothing but the key, if there is no doubt which it is."""
        if not self._come or not self._gone or not self._others or len(self._gone) > PAIRED_COUNT:
            return
        gone: dict[bytes, deque[tuple[bytes, RowDied]]] = {}
        for name, died in self._gone.items():
            gone.setdefault(self._content(died.old), deque()).append((name, died))
        come: dict[bytes, int] = {}
        for born in self._come:
            content = self._content(born.new)
            come[content] = come.get(content, 0) + 1
        left: list[RowBorn] = []
        for born in self._come:
            content = self._content(born.new)
            candidates = gone.get(content)
            # Equal rows of a table without any key cannot be told apart: any will do.
            if candidates and (self._keyless or (len(candidates) == 1 == come[content])):
                name, died = candidates.popleft()
                del self._gone[name]
                yield RowChanged(died.at, died.old, born.at, born.new)
            else:
                left.append(born)
        self._come = left

    def _by_place(self) -> Iterator[RowChanged]:
        """What stands where another stood, and neither is found elsewhere."""
        left: list[RowBorn] = []
        for born in self._come:
            died = self._gone.pop(b"@" + _packed(born.at), None)
            if died is not None:
                yield RowChanged(died.at, died.old, born.at, born.new)
            else:
                left.append(born)
        self._come = left

    def key_of(self, values: Values) -> tuple[Scalar, ...] | None:
        """A row's natural key, or None if it has none: no such key in the table, or NULL in it."""
        if not self._key:
            return None
        key = tuple(values[one] for one in self._key)
        return None if None in key else key

    def _content(self, values: Values) -> bytes:
        return pack_values([values[one] for one in self._others])


def _packed(at: Locator) -> bytes:
    return pack_values((at,) if isinstance(at, int) else at)
