"""Whether a column that came holds what a column held that is gone: then it was only renamed.

A program may rename a column, change its type and drop others in one transaction; what the rows
hold says more than names and positions.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from .cells import Cells
from .schema import Table
from .values import same

__all__ = ["Alike", "evidence"]

SAMPLE_ROWS = 200  # looked at for one pair of columns (guess)

Alike = Callable[[Table, str, Table, str], bool]
"""(table before, column, table after, column): do all rows of a sample say that they are one?"""


def evidence(state: apsw.Connection, file: apsw.Connection) -> Alike:
    """Compare the state (before) with the file (after), row by row."""

    def alike(before: Table, old: str, after: Table, new: str) -> bool:
        if before.has_rowid != after.has_rowid or before.key != after.key:
            return False
        olds, news = Cells(state, before), Cells(file, after)
        if old not in olds.names or new not in news.names:
            return False
        at_old, at_new = olds.names.index(old), news.names.index(new)
        told = False
        for locator in olds.some(SAMPLE_ROWS):
            one, other = olds.get(locator), news.get(locator)
            if one is None or other is None:
                continue
            if not same(one[at_old], other[at_new]):
                return False
            told = told or one[at_old] not in (None, "", 0)
        return told

    return alike
