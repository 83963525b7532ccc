"""What stands in the file after a step that was cut off between the state and the file.

The state is ahead by what the notebook's todo says, with the values from before. If the file has
it, the step was done. Else programs may have written meanwhile, and the two are joined in the file,
cell by cell, so that afterwards the file differs from the state in just what programs did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import apsw

from .cells import Cells
from .flush import indexes_of
from .notebook import Notebook, Todo
from .schema import Schema, Table
from .sqltext import quote, rebuild_of
from .values import Locator, Scalar, same

__all__ = ["join_rows", "was_done"]

Values = tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class _Standing:
    """One row of the todo, on the three sides."""

    table: Table
    at: Locator
    old: Values | None
    ours: Values | None
    theirs: Values | None


def was_done(
    state: apsw.Connection, file: apsw.Connection, schema: Schema, notebook: Notebook
) -> bool:
    """Whether the file's transaction of the step that was cut off was committed.

    It was one transaction: if any row that it changed is as before, none was; if any is as it
    should be, all were. If programs wrote to all of them, the answer is no: that loses nothing.
    """
    done = None
    for row in _standing(state, file, schema, notebook):
        if _equal(row.ours, row.old):
            continue
        if _equal(row.theirs, row.old):
            return False
        done = bool(done) or _equal(row.theirs, row.ours)
    return done is not False


def join_rows(
    state: apsw.Connection,
    file: apsw.Connection,
    schema: Schema,
    notebook: Notebook,
    layouts: Sequence[tuple[Schema, Schema]] = (),
) -> None:
    """Write what is to do into the file, and leave in it what programs wrote meanwhile.

    ``layouts``: schemas that old values may be laid out by, if not by ``schema``, each with the one
    that programs made of it.
    """
    rows = [
        replace(row, old=_laid_out(row, layouts))
        for row in _standing(state, file, schema, notebook)
    ]
    rebuilt: dict[str, Table] = {}
    for row in rows:
        cells = Cells(file, row.table)
        joined = _joined(row)
        if _clash(row):
            _step_aside(state, file, row)
            joined = row.ours
        if not _equal(joined, row.theirs):
            cells.delete([row.at])
            rebuilt.update({one.name: one for one in indexes_of(schema, row.table)})
    for row in rows:
        joined = row.ours if _clash(row) else _joined(row)
        if joined is not None and not _equal(joined, row.theirs):
            # A program may have put another row in its way: that one is found missing, and comes
            # back from the state's side as a conflict; nobody's row is overwritten silently.
            _insert(file, row.table, row.at, joined)
    for name in rebuilt:
        file.execute(rebuild_of(name))


def _clash(row: _Standing) -> bool:
    """Whether two rows were born under one id that is no natural key."""
    born = row.theirs is not None and row.old is None and row.ours is not None
    return born and not row.table.key and not _equal(row.theirs, row.ours)


def _joined(row: _Standing) -> Values | None:
    old, ours, theirs = row.old, row.ours, row.theirs
    if _equal(theirs, old) or (theirs is None and ours is not None):
        return ours  # untouched, or deleted while others edited it: an edit beats a delete
    if ours is None or theirs is None or old is None:
        return theirs if theirs is not None else ours
    return tuple(
        mine if same(now, was) else now for mine, was, now in zip(ours, old, theirs, strict=True)
    )


def _laid_out(row: _Standing, layouts: Sequence[tuple[Schema, Schema]]) -> Values | None:
    """A row's old values, by its table's columns of today."""
    old, theirs = row.old, row.theirs
    if old is None or theirs is None or len(old) == len(row.table.columns):
        return old
    for schema, programs in layouts:
        table, made = schema.tables.get(row.table.name), programs.tables.get(row.table.name)
        if table is None or made is None or len(table.columns) != len(old):
            continue
        known = dict(zip((column.name for column in table.columns), old, strict=True))
        written = {column.name for column in made.columns} - known.keys()
        # In a column that a program added all is its own, in one that others added nothing.
        return tuple(
            known.get(column.name, _other(now) if column.name in written else now)
            for column, now in zip(row.table.columns, theirs, strict=True)
        )
    return theirs  # what programs did cannot be told


def _other(value: Scalar) -> Scalar:
    """Anything else."""
    return b"" if value is None else None


def _insert(file: apsw.Connection, table: Table, at: Locator, values: Values) -> None:
    cells = Cells(file, table)
    try:
        cells.write([(at, values)], replace=False)
    except apsw.ConstraintError:
        cells.write([(at, values)], replace=True)


def _step_aside(state: apsw.Connection, file: apsw.Connection, row: _Standing) -> None:
    """A program gave its new row an id that a merged row has: it gets the next free one."""
    name = row.table.locator_columns[0]
    highest = 0
    for connection in (state, file):
        found = connection.execute(f"SELECT max({quote(name)}) FROM {quote(row.table.name)}").get
        highest = max(highest, found if isinstance(found, int) else 0)
    file.execute(
        f"UPDATE {quote(row.table.name)} SET {quote(name)} = ? WHERE {quote(name)} = ?",
        (highest + 1, row.at),
    )


def _standing(
    state: apsw.Connection, file: apsw.Connection, schema: Schema, notebook: Notebook
) -> Iterator[_Standing]:
    for item in list[Todo](notebook.todo()):
        table = schema.tables.get(item.table)
        if table is None or not table.replicated:
            continue
        if isinstance(item.locator, int) != table.has_rowid:
            continue  # it was another kind of table when this was noted
        ours = Cells(state, table).get(item.locator)
        theirs = Cells(file, table).get(item.locator)
        yield _Standing(table, item.locator, item.old, ours, theirs)


def _equal(one: Values | None, other: Values | None) -> bool:
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
