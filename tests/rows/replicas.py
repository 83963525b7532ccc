"""Merges over state databases in memory, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from meerkat.core.rows import RowsEntry
from meerkat.rows.definitions import Definitions
from meerkat.rows.ledger import Ledger
from meerkat.rows.merge import Merge
from meerkat.rows.schema import read_schema
from meerkat.rows.state import configure

US = b"u" * 32


class Replica:
    """A state that begins with what ``script`` makes."""

    def __init__(self, script: str) -> None:
        self.connection = apsw.Connection(":memory:")
        configure(self.connection)
        self.connection.execute(script)
        self.definitions = Definitions.of(read_schema(self.connection))
        Ledger.create(self.connection, US)
        self.restart()
        self.merge.begin()

    def restart(self) -> None:
        """Forget everything in memory."""
        self.definitions = Definitions.load(self.definitions.dump())
        self.ledger = Ledger(self.connection)
        self.merge = Merge(self.connection, self.ledger, self.definitions)

    def apply(self, entries: Sequence[RowsEntry]) -> None:
        with self.connection:
            self.merge.apply(entries)

    def query(self, sql: str, *values: Any) -> list[Any]:
        return self.connection.execute(sql, values).fetchall()

    def tables(self, names: Iterable[str]) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(self.query(f'SELECT * FROM "{name}"'), key=repr) for name in sorted(names)
        }

    def aside(self) -> set[tuple[str, bytes]]:
        return {(one.table, one.row) for one in self.merge.conflicts()}
