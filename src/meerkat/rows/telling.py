"""A row that changed in the file, as it is told to whoever watches its table."""

from __future__ import annotations

from .compare import RowDelta
from .schema import Table
from .values import Scalar
from .wire import RowChanged

__all__ = ["changed_row"]


def changed_row(table: Table, delta: RowDelta, author: bytes) -> RowChanged:
    """``author``: empty if a program of this machine wrote it."""
    operation = "update"
    if delta.old is None:
        operation = "insert"
    elif delta.new is None:
        operation = "delete"
    at = delta.old_at if delta.new_at is None else delta.new_at
    key = at if isinstance(at, tuple) else (at,)
    return RowChanged(
        table.name, operation, key, _named(table, delta.old), _named(table, delta.new), author
    )


def _named(table: Table, values: tuple[Scalar, ...] | None) -> dict[str, Scalar] | None:
    if values is None:
        return None
    return {column.name: value for column, value in zip(table.columns, values, strict=True)}
