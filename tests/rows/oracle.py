"""The merge rules in plain Python, slowly and without SQLite: what every replica must come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from meerkat.core.rows import RowsEntry
from meerkat.rows.changes import BORN, LOOSE, ROWID, Batch, Gone, Put, Statement, cut, encode_batch
from meerkat.rows.values import Ref

Stamp = tuple[int, bytes, int]
BASE: Stamp = (0, b"", 0)


@dataclass(frozen=True)
class Model:
    """A table as far as the rules are about it."""

    name: str
    sql: str
    columns: tuple[str, ...]
    rowid: str | None = None
    key: tuple[str, ...] = ()
    without_rowid: bool = False
    not_null: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    references: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = ()

    @property
    def fixed(self) -> bool:
        return any(columns == (self.rowid,) for columns, _, _ in self.references)


@dataclass(frozen=True)
class Transaction:
    author: bytes
    sequence: int
    lamport: int
    seen: tuple[tuple[bytes, int], ...]
    statements: tuple[Statement, ...]

    @property
    def stamp(self) -> Stamp:
        return (self.lamport, self.author, self.sequence)

    def entry(self) -> RowsEntry:
        (data,) = cut([encode_batch(Batch(self.seen, self.statements))])
        return RowsEntry(self.author, self.sequence, self.lamport, 1000, True, data)


@dataclass
class _Row:
    table: str
    id: bytes
    born: bool = False
    base: bool = False
    cells: dict[str, tuple[Stamp, Any]] = field(default_factory=dict)
    touches: dict[bytes, int] = field(default_factory=dict)
    deaths: dict[bytes, tuple[int, dict[bytes, int]]] = field(default_factory=dict)
    loose: Stamp | None = None
    at: int | None = None

    def lives(self) -> bool:
        if not self.born:
            return False
        if not self.deaths:
            return True
        return any(
            not any(
                sequence < death if author == by else seen.get(author, 0) >= sequence
                for by, (death, seen) in self.deaths.items()
            )
            for author, sequence in self.touches.items()
        )


class Oracle:
    """``base``: table -> row id -> values by column."""

    def __init__(
        self, models: Sequence[Model], base: dict[str, dict[bytes, dict[str, Any]]]
    ) -> None:
        self.models = {model.name: model for model in models}
        self._base = base
        everything = {
            (name, row_id): values for name, rows in base.items() for row_id, values in rows.items()
        }
        rows = {key: _Row(*key) for key in everything}
        self._loose = self._dangling(rows, everything, set(everything))

    def state(self, transactions: Iterable[Transaction]) -> State:
        rows: dict[tuple[str, bytes], _Row] = {}
        ever: dict[str, set[int]] = {name: set() for name in self.models}
        for name, members in self._base.items():
            for row_id, values in members.items():
                row = rows[name, row_id] = _Row(name, row_id, born=True, base=True)
                row.cells = {column: (BASE, value) for column, value in values.items()}
                row.loose = BASE if (name, row_id) in self._loose else None
        for transaction in sorted(transactions, key=lambda one: one.stamp):
            self._take(rows, ever, transaction)
        self._give_ids(rows, ever)
        return self._choose(rows)

    def _take(self, rows: Any, ever: dict[str, set[int]], transaction: Transaction) -> None:
        stamp = transaction.stamp
        for statement in transaction.statements:
            if isinstance(statement, Put):
                model = self.models[statement.table]
                for row_id, flags, values in statement.rows:
                    row = rows.setdefault((model.name, row_id), _Row(model.name, row_id))
                    for column, value in zip(statement.columns, values, strict=True):
                        if column == ROWID:
                            continue
                        if column == model.rowid and type(value) is int:
                            ever[model.name].add(value)
                        row.cells[column] = (stamp, value)  # in the order of stamps
                    row.born |= bool(flags & BORN)
                    row.touches[transaction.author] = transaction.sequence
                    if flags & LOOSE:
                        row.loose = stamp
            elif isinstance(statement, Gone):
                for row_id in statement.rows:
                    row = rows.setdefault((statement.table, row_id), _Row(statement.table, row_id))
                    seen = dict(transaction.seen)
                    row.deaths[transaction.author] = (transaction.sequence, seen)

    def _value(self, rows: Any, model: Model, row: _Row, column: str) -> Any:
        value = row.cells.get(column, (BASE, None))[1]
        if isinstance(value, Ref):
            for columns, parent, _ in model.references:
                if columns == (column,) and self.models[parent].rowid is not None:
                    found = rows.get((parent, value.row))
                    return found.at if found is not None and found.at is not None else value.value
            return value.value
        return value

    def _give_ids(self, rows: Any, ever: dict[str, set[int]]) -> None:
        for name, model in self.models.items():  # parents come first among the models
            column = model.rowid
            if column is None:
                continue
            mine = [row for row in rows.values() if row.table == name]
            used = set(ever[name])
            claims: dict[int, list[_Row]] = {}
            high = max((values[column] for values in self._base.get(name, {}).values()), default=0)
            for row in mine:
                claim = self._value(rows, model, row, column)
                if type(claim) is int:
                    claims.setdefault(claim, []).append(row)
                    used.add(claim)
            losers = []
            for claim, rivals in claims.items():
                rivals.sort(key=lambda row: (row.cells[column][0], row.id))
                rivals[-1].at = claim
                losers += [(row.cells[column][0], row.id, claim, row) for row in rivals[:-1]]
            if model.fixed:
                continue
            for _, _, claim, row in sorted(losers, key=lambda one: one[:2]):
                place = max(claim, high) + 1
                while place in used:
                    place += 1
                row.at = place
                used.add(place)

    def _choose(self, rows: Any) -> State:
        shown: dict[tuple[str, bytes], dict[str, Any]] = {}
        for key, row in rows.items():
            model = self.models[row.table]
            values = {column: self._value(rows, model, row, column) for column in model.columns}
            if model.rowid is not None:
                values[model.rowid] = row.at
            shown[key] = values
        living = {
            key: row
            for key, row in rows.items()
            if row.lives()
            and all(shown[key][column] is not None for column in self.models[row.table].not_null)
            and (self.models[row.table].rowid is None or row.at is not None)
        }
        order = sorted(living, key=lambda key: self._priority(rows[key]), reverse=True)
        out: set[tuple[str, bytes]] = set()
        visible: set[tuple[str, bytes]] = set()
        while True:
            taken: set[tuple[str, bytes]] = set()
            keys: set[Any] = set()
            blocked = False
            for key in order:
                if key in out:
                    continue
                mine = self._unique_keys(key[0], shown[key])
                if keys.isdisjoint(mine):
                    keys |= mine
                    taken.add(key)
                else:
                    blocked = True
            dropped = self._dangling(rows, shown, taken)
            out |= dropped
            if not dropped or not blocked:
                visible = taken - dropped
                break
        back = True
        while back:
            back = False
            for key in (one for one in order if one in out and one not in visible):
                keys = {used for one in visible for used in self._unique_keys(one[0], shown[one])}
                free = keys.isdisjoint(self._unique_keys(key[0], shown[key]))
                if free and key not in self._dangling(rows, shown, {*visible, key}):
                    visible.add(key)
                    back = True
        aside = {key for key, row in rows.items() if row.lives() and key not in visible}
        return State(self, rows, shown, visible, aside)

    def _priority(self, row: _Row) -> Any:
        columns = {column for unique in self.models[row.table].uniques for column in unique}
        stamps = [row.cells[column][0] for column in columns if column in row.cells]
        return (max(stamps, default=BASE), row.id, row.table)

    def _unique_keys(self, table: str, values: dict[str, Any]) -> set[Any]:
        found = set()
        for unique in self.models[table].uniques:
            key = tuple(values[column] for column in unique)
            if None not in key:
                found.add((table, unique, key))
        return found

    def _dangling(self, rows: Any, shown: Any, taken: set[Any]) -> set[Any]:
        dropped: set[Any] = set()
        while True:
            more = set()
            for key in taken - dropped:
                model = self.models[key[0]]
                stamps = [
                    rows[key].cells.get(column, (BASE, None))[0]
                    for columns, _, _ in model.references
                    for column in columns
                ]
                loose = rows[key].loose
                if loose is not None and all(stamp <= loose for stamp in stamps):
                    continue
                for columns, parent, parent_columns in model.references:
                    wanted = [shown[key][column] for column in columns]
                    if None in wanted:
                        continue
                    if not any(
                        other[0] == parent and [shown[other][c] for c in parent_columns] == wanted
                        for other in taken - dropped
                    ):
                        more.add(key)
            if not more:
                return dropped
            dropped |= more


@dataclass
class State:
    oracle: Oracle
    rows: dict[tuple[str, bytes], _Row]
    shown: dict[tuple[str, bytes], dict[str, Any]]
    visible: set[tuple[str, bytes]]
    aside: set[tuple[str, bytes]]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The visible rows of each table, sorted."""
        found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self.oracle.models}
        for key in self.visible:
            model = self.oracle.models[key[0]]
            found[key[0]].append(tuple(self.shown[key][column] for column in model.columns))
        return {name: sorted(rows, key=repr) for name, rows in found.items()}
