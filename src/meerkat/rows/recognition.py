"""Recognises what a program did to a schema, from how it was and how it is.

A table under another name is the same if it stands on the same root page or has the same columns; a
column if it stands where the old one stood, with the same type, or if all rows hold in it what they
held in the old one (``evidence``). Everything else is dropped or new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .changes import DefineObject, DefineTable, DropObject, DropTable, SetNumber, Statement
from .evidence import Alike
from .schema import Schema, Table
from .sqltext import fold
from .targets import Target

__all__ = ["recognise"]

MIN_COMMON = 3  # columns by which a table is known under another name; guess: not just id and name


def recognise(
    old: Schema,
    new: Schema,
    target: Target,
    columns: Mapping[str, set[str]],
    alike: Alike,
) -> list[Statement]:
    """The statements that make ``new`` of ``old``.

    ``target`` has the ids of what is in ``old``; ``columns``: of every table id ever used the
    column ids ever used. ``alike``: what the rows say of two columns.
    """
    gone = [table for name, table in old.tables.items() if name not in new.tables]
    fresh = [table for name, table in new.tables.items() if name not in old.tables]
    renamed = _renamed_tables(gone, fresh)
    statements: list[Statement] = [
        DropObject(kind, name) for kind, name in old.objects if (kind, name) not in new.objects
    ]
    kept = {table.name for table in renamed.values()}
    for table in gone:
        table_id = target.table_ids.get(table.name)
        if table.name not in kept and table_id is not None:
            statements.append(DropTable(table_id))
    used = set(columns)
    for name, table in new.tables.items():
        before = renamed.get(name) or old.tables.get(name)
        table_id = target.table_ids.get(before.name) if before else None
        if before is None or table_id is None:
            table_id = _unused(name, used)
            used.add(table_id)
            ids = tuple((_unused(column.name, set()), column.name) for column in table.declared)
            everything = ("", *(column_id for column_id, _ in ids))
            statements.append(DefineTable(table_id, name, table.sql, ids, (), everything))
        elif before.sql != table.sql or before.declared != table.declared:
            known = target.tables[table_id].column_ids
            statements.append(_redefined(table_id, before, table, known, columns[table_id], alike))
    for at, item in new.objects.items():
        if old.objects.get(at) != item:
            statements.append(DefineObject(item.kind, item.name, item.table, item.sql))
    statements.extend(
        SetNumber(name, value)
        for name, value in new.numbers.items()
        if old.numbers.get(name) != value
    )
    return statements


def _redefined(
    table_id: str,
    before: Table,
    after: Table,
    known: Mapping[str, str],
    used: set[str],
    alike: Alike,
) -> DefineTable:
    pairs = _kept_columns(before, after, alike)
    taken = set(used)
    ids: list[tuple[str, str]] = []
    named = [] if before.name == after.name else [""]
    for column in after.declared:
        was = pairs.get(column.name)
        column_id = known.get(was) if was is not None else None
        if column_id is None:
            column_id = _unused(column.name, taken)
            taken.add(column_id)
        if was != column.name:
            named.append(column_id)
        ids.append((column_id, column.name))
    kept = {column_id for column_id, _ in ids}
    dropped = tuple(
        known[column.name]
        for column in before.declared
        if column.name in known and known[column.name] not in kept
    )
    return DefineTable(table_id, after.name, after.sql, tuple(ids), dropped, tuple(named))


def _unused(name: str, used: set[str]) -> str:
    if name and name not in used:
        return name
    number = 1
    while f"{name}'{number}" in used:
        number += 1
    return f"{name}'{number}"


def _shape(table: Table) -> tuple[object, ...]:
    return (table.module, tuple((fold(c.name), c.type.upper()) for c in table.declared))


def _renamed_tables(gone: list[Table], fresh: list[Table]) -> dict[str, Table]:
    """New name to the table that it was: by the surest sign first."""
    renamed: dict[str, Table] = {}
    left = list(gone)
    signs: tuple[Callable[[Table, Table], bool], ...] = (
        lambda one, other: _same_root(one, other) and _shape(one) == _shape(other),
        lambda one, other: fold(one.name) == fold(other.name),
        lambda one, other: _shape(one) == _shape(other),
        lambda one, other: _same_root(one, other) and _common(one, other) > 0,
        lambda one, other: _common(one, other) >= MIN_COMMON,
    )
    for same in signs:
        for table in fresh:
            if table.name in renamed:
                continue
            found = next((one for one in left if same(one, table)), None)
            if found is not None:
                renamed[table.name] = found
                left.remove(found)
    return renamed


def _same_root(one: Table, other: Table) -> bool:
    return one.root != 0 and one.root == other.root


def _common(one: Table, other: Table) -> int:
    """How many columns both have; 0 if that is not half of them.

    A root page may have been given to another table meanwhile, and some columns every table has.
    """
    names = {fold(column.name) for column in one.declared}
    common = sum(fold(column.name) in names for column in other.declared)
    return common if 2 * common >= max(len(one.declared), len(other.declared)) else 0


def _kept_columns(before: Table, after: Table, alike: Alike) -> dict[str, str]:
    """New name to old name of the columns that are the same."""
    by_name = {fold(column.name): column.name for column in before.declared}
    pairs = {
        column.name: by_name[fold(column.name)]
        for column in after.declared
        if fold(column.name) in by_name
    }
    old_left = [column.name for column in before.declared if column.name not in pairs.values()]
    for column in after.declared:
        if column.name not in pairs:
            found = [old for old in old_left if alike(before, old, after, column.name)]
            if len(found) == 1:
                pairs[column.name] = found[0]
                old_left.remove(found[0])
    old_gaps, new_gaps = _gaps(before, set(pairs.values())), _gaps(after, set(pairs))
    old_texts, new_texts = _rests(before), _rests(after)
    for at, names in new_gaps.items():
        # The kept column before the gap, as it was called.
        olds = old_gaps.get(None if at is None else pairs[at], [])
        if len(olds) != len(names):
            continue
        for new_name, old_name in zip(names, olds, strict=True):
            if old_texts[old_name] == new_texts[new_name]:
                pairs[new_name] = old_name
    return pairs


def _gaps(table: Table, kept: set[str]) -> dict[str | None, list[str]]:
    """Columns that are not kept, by the kept column before them."""
    gaps: dict[str | None, list[str]] = {}
    last: str | None = None
    for column in table.declared:
        if column.name in kept:
            last = column.name
        else:
            gaps.setdefault(last, []).append(column.name)
    return gaps


def _rests(table: Table) -> dict[str, tuple[str, bool]]:
    """What a renaming does not change of a column."""
    return {column.name: (column.type.upper(), column.generated) for column in table.declared}
