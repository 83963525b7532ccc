"""A fresh database file with what the state holds of the user's, for the folder to place.

Built row by row, with the base's settings: the state's own pages hold our tables too, and VACUUM
would give rows of tables without a key other rowids.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from .cells import Cells
from .flush import WITH_SOURCE
from .schema import Schema, Table
from .sqltext import quote, rebuild_of
from .state import configure, discard_state, sync_file, sync_folder

__all__ = ["export_state"]

_NUMBERS = ("user_version", "application_id")
_SETTINGS = ("page_size", "encoding", "auto_vacuum")


def export_state(state_path: Path, state: apsw.Connection, schema: Schema, target: Path) -> None:
    """Write the user's part of a state to ``target``, whatever stood there.

    ``schema``: the state's, with its statements in an order in which they can be run.

    Raises:
        apsw.Error, OSError: if it cannot be written.
    """
    discard_state(target)
    new = apsw.Connection(str(target))
    try:
        configure(new)
        new.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)  # for sqlite_sequence
        for name in _SETTINGS:
            value = state.pragma(name)
            new.pragma(name, value)
        new.pragma("journal_mode", "OFF")  # it is thrown away if anything fails
        new.pragma("synchronous", "OFF")
        new.execute("ATTACH ? AS meerkat_state", (str(state_path),))
        new.execute("BEGIN")
        _fill(new, state, schema)
        new.execute("COMMIT")
        new.execute("DETACH meerkat_state")
        new.pragma("journal_mode", "DELETE")
    finally:
        new.close()
    sync_file(target)
    sync_folder(target.parent)


def _fill(new: apsw.Connection, state: apsw.Connection, schema: Schema) -> None:
    tables = [table for table in schema.tables.values() if table.module is None]
    virtual = [table for table in schema.tables.values() if table.module is not None]
    for table in tables:
        new.execute(table.sql)
        _copy(new, table)
    for kind in ("index", "view"):
        for (one, _), found in schema.objects.items():
            if one == kind:
                new.execute(found.sql)
    for table in virtual:
        new.execute(table.sql)
        if table.replicated:
            rows = Cells(state, table)
            found_rows = ((at, rows.get(at)) for at in list(rows.places()))
            Cells(new, table).write(
                ((at, values) for at, values in found_rows if values is not None), replace=False
            )
        elif table.module in WITH_SOURCE and table.source:
            new.execute(rebuild_of(table.name))
    for (one, _), found in schema.objects.items():
        if one == "trigger":
            new.execute(found.sql)
    for name in _NUMBERS:
        new.pragma(name, schema.numbers.get(name, 0))
    if any(table.autoincrement for table in tables):
        new.execute("DELETE FROM main.sqlite_sequence")
        new.execute(
            "INSERT INTO main.sqlite_sequence SELECT name, seq FROM meerkat_state.sqlite_sequence"
            " WHERE name IN (SELECT name FROM main.sqlite_schema WHERE type = 'table')"
        )


def _copy(new: apsw.Connection, table: Table) -> None:
    names = [column.name for column in table.columns]
    if table.has_rowid and table.rowid_column is None:
        names.insert(0, table.rowid_name)
    listed = ", ".join(map(quote, names))
    name = quote(table.name)
    new.execute(f"INSERT INTO main.{name}({listed}) SELECT {listed} FROM meerkat_state.{name}")
