"""Foreign keys of visible rows, asked of SQLite: who points nowhere, who points to what went.

Comparisons are SQLite's own (affinity, collation). Which rows have to go for it is decided in
``constraints``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .desk import Desk, Link
from .notebook import many
from .sqltext import quote
from .values import Locator, RawText, Scalar
from .visible import Visible

__all__ = ["children_of", "dangling"]

CHUNK = 500  # rows asked about by one statement (guess)
SEPARATE_COUNT = 20  # parents whose children are looked up one by one; more: all at once (guess)


def dangling(desk: Desk, table_id: str, places: Sequence[Locator]) -> Iterator[Locator]:
    """Which of these visible rows have a foreign key that points to no visible row."""
    visible = desk.visible(table_id)
    if visible is None:
        return
    for link in desk.links.get(table_id, ()):
        for start in range(0, len(places), CHUNK):
            yield from _dangling(desk, visible, link, places[start : start + CHUNK])


def _dangling(
    desk: Desk, visible: Visible, link: Link, places: Sequence[Locator]
) -> Iterable[Locator]:
    nowhere = desk.nowhere(link)
    run = desk.ledger.connection.execute
    if visible.table.has_rowid:
        rowid = quote(visible.table.locator_columns[0])
        wanted = many(places)
        found = run(
            f"SELECT c.{rowid} FROM carray(?) AS w CROSS JOIN {visible.quoted} AS c"
            f" ON c.{rowid}=w.value WHERE {nowhere}",
            (wanted,),
        )
        return [at for (at,) in found]
    where = " AND ".join(f"c.{quote(name)}=?" for name in visible.table.key)
    return [
        at
        for at in places
        if isinstance(at, tuple)
        and not any(isinstance(one, RawText) for one in at)
        and run(f"SELECT 1 FROM {visible.quoted} AS c WHERE {where} AND {nowhere}", at).fetchone()
    ]


def children_of(
    desk: Desk, parent_id: str, gone: Sequence[dict[str, Scalar]]
) -> Iterator[tuple[str, Locator]]:
    """Visible rows that point to a row of a table which is not visible any more, nor its like.

    ``gone``: the values, by column name, of those that went.
    """
    for link in desk.referred.get(parent_id, ()):
        child = desk.visible(link.child)
        if child is None:
            continue
        nowhere = desk.nowhere(link)
        keys = {
            key
            for values in gone
            if None not in (key := tuple(values.get(name) for name in link.parent_columns))
        }
        if len(keys) > SEPARATE_COUNT or any(isinstance(v, RawText) for key in keys for v in key):
            yield from ((link.child, at) for at in child.locators_where(nowhere))
            continue
        equal = " AND ".join(f"c.{quote(name)}=?" for name in link.columns)
        for key in keys:
            for at in child.locators_where(f"{equal} AND {nowhere}", key):
                yield link.child, at
