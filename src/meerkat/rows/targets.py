"""A schema on its way: what the records come to, and what SQLite made of it.

Values only: ``definitions`` makes the plans, ``materialise`` the target, ``migrate`` follows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from .changes import DefineTable
from .schema import Schema

__all__ = ["ColumnPlan", "Names", "TablePlan", "TableTarget", "Target", "names_between"]

Names = dict[str, tuple[str, dict[str, str]]]
"""Table as it is called now, to its name before and its columns' names: now to before."""


@dataclass(frozen=True)
class ColumnPlan:
    """A column: whether it is there, what it is called, and its declaration under some name."""

    id: str
    living: bool
    name: str
    text: str


@dataclass(frozen=True)
class TablePlan:
    """A table: its definitions, the one that counts first (True: of the base), and its name.

    ``former``: what it was called at any time, as far as is known.
    """

    id: str
    name: str | None
    definitions: list[tuple[DefineTable, bool]]
    columns: list[ColumnPlan]
    former: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TableTarget:
    """What a table came to. ``columns``: (column id, name), generated ones too."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @cached_property
    def column_ids(self) -> dict[str, str]:
        return {name: column_id for column_id, name in self.columns}

    @cached_property
    def column_names(self) -> dict[str, str]:
        return dict(self.columns)


@dataclass(frozen=True)
class Target:
    """A schema as it is to be. ``statements`` create it in their order, in an empty database.

    ``left_out``: (kind, name, reason) of what SQLite refused.
    """

    schema: Schema
    statements: list[str]
    numbers: dict[str, int]
    left_out: list[tuple[str, str, str]]
    tables: dict[str, TableTarget]
    table_ids: dict[str, str] = field(default_factory=dict)


def names_between(before: Target, after: Target) -> Names:
    """Which tables and columns of ``after`` are those of ``before``, by their ids."""
    names: Names = {}
    for table_id, now in after.tables.items():
        was = before.tables.get(table_id)
        if was is not None:
            columns = {
                name: was.column_names[column_id]
                for column_id, name in now.columns
                if column_id in was.column_names
            }
            names[now.name] = (was.name, columns)
    return names
