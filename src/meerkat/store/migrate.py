"""Brings a store's tables up to date: applies ``schema/NNNN_name.sql`` in order, once each.

Each file is one transaction that also records it, so a crash leaves a store of some whole number.
SQLite errors pass through; ``store.py`` translates them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from meerkat.errors import StoreError

__all__ = ["Migration", "migrate", "migrations"]

APPLICATION_ID = 0x4D454552  # "MEER": what `file` shows, and what tells our store from the user's

_RECORD_TABLE = (
    "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name BLOB NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step. ``number`` counts from 1 without gaps."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Every step this version of meerkat knows, in order."""
    folder = resources.files("meerkat.store") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps = [
        Migration(int(name[:4]), name[5:-4], (folder / name).read_text("utf-8")) for name in names
    ]
    if not steps or [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise StoreError("This installation of meerkat is incomplete; install it again.")
    return steps


def check(database: sqlite3.Connection, path: Path) -> int:
    """The number of the last step applied; reads only, so a foreign file stays as it is.

    Raises:
        StoreError: if a newer meerkat made the store, or it is another program's database.
    """
    (count,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    if count and application != APPLICATION_ID:
        raise StoreError(
            f"{path} is another program's database, not meerkat's store. Move it elsewhere."
        )
    if not count:
        return 0
    (last,) = database.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()
    if last > len(migrations()):
        raise StoreError(
            f"The store {path} was made by a newer meerkat (step {last}, this one knows "
            f"{len(migrations())}). Update meerkat on this machine."
        )
    return int(last)


def migrate(database: sqlite3.Connection, path: Path, steps: list[Migration] | None = None) -> None:
    """Apply every step not yet recorded. ``steps`` is for tests.

    Raises:
        StoreError: if a newer meerkat made the store, or it is another program's database.
        sqlite3.Error: if a statement fails; that step is then not applied at all.
    """
    applied = check(database, path)
    for step in steps if steps is not None else migrations():
        if step.number > applied:
            _apply(database, step)


def _apply(database: sqlite3.Connection, step: Migration) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(_RECORD_TABLE)
        for statement in _statements(step.sql):
            database.execute(statement)
        database.execute(
            "INSERT INTO migrations VALUES (?, ?)", (step.number, step.name.encode("utf-8"))
        )
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _statements(sql: str) -> Iterator[str]:
    """Split a script; ``executescript`` would commit behind our back."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
