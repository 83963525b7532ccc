"""Schema changes among the rows' changes: every replica comes to the same tables and rows."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

from meerkat.rows.changes import AUTO, BORN, Gone, Put, Statement
from meerkat.rows.ledger import VISIBLE
from meerkat.rows.schema import Table, read_schema
from meerkat.rows.values import base_id

from .oracle import Transaction
from .replicas import Replica

SCRIPT = """
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER REFERENCES person(id), tag TEXT);
CREATE TABLE word(w TEXT PRIMARY KEY, n INTEGER);
INSERT INTO person VALUES(1, 'ann', 3), (2, 'bob', 4), (3, 'bob', 5);
INSERT INTO item VALUES(1, 1, 'x'), (2, 2, 'y');
INSERT INTO word VALUES('a', 1), ('b', NULL);
"""
CHANGES = (
    "ALTER TABLE person ADD COLUMN mail TEXT DEFAULT 'none'",
    "ALTER TABLE person ADD COLUMN mail INTEGER",
    "ALTER TABLE item ADD COLUMN size REAL",
    "ALTER TABLE person RENAME COLUMN age TO years",
    "ALTER TABLE person DROP COLUMN age",
    "ALTER TABLE item DROP COLUMN tag",
    "ALTER TABLE item RENAME TO thing",
    "ALTER TABLE word RENAME COLUMN w TO word",
    "CREATE UNIQUE INDEX by_name ON person(name)",
    "CREATE UNIQUE INDEX by_age ON person(age) WHERE age > 3",
    "CREATE UNIQUE INDEX by_low ON word(lower(w))",
    "DROP INDEX by_name",
    "CREATE TABLE extra(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
    "CREATE TABLE extra(id INTEGER PRIMARY KEY, v, u UNIQUE)",
    "DROP TABLE extra",
    "DROP TABLE item",
    "DROP TABLE person",
    "CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER, tag TEXT)",
    # As Django does it.
    """CREATE TABLE new__word(w TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK(n < 9));
    INSERT INTO new__word SELECT w, coalesce(n, 0) FROM word;
    DROP TABLE word; ALTER TABLE new__word RENAME TO word""",
    """CREATE TABLE new__word(id INTEGER PRIMARY KEY, w TEXT, n INTEGER);
    INSERT INTO new__word(w, n) SELECT w, n FROM word;
    DROP TABLE word; ALTER TABLE new__word RENAME TO word""",
    """CREATE TABLE new__person(id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER);
    INSERT OR IGNORE INTO new__person SELECT id, name, age FROM person;
    DROP TABLE person; ALTER TABLE new__person RENAME TO person""",
)


class Member:
    def __init__(self, number: int, rng: random.Random) -> None:
        self.name = bytes([97 + number]) * 32
        self.rng = rng
        self.replica = Replica(SCRIPT)
        self.known: list[Transaction] = []
        self.lamport = self.births = 0

    def take(self, transactions: list[Transaction]) -> None:
        new = [one for one in transactions if one not in self.known]
        self.replica.apply([one.entry() for one in new])
        self.known += new
        self.lamport = max([self.lamport, *(one.lamport for one in new)])

    def write(self) -> None:
        statements = self.schema() if self.rng.random() < 0.4 else self.rows()
        if not statements:
            return
        have = self.replica.ledger.have
        seen = tuple(sorted(have.items()))
        one = Transaction(
            self.name, have.get(self.name, 0) + 1, self.lamport + 1, seen, tuple(statements)
        )
        self.take([one])

    def schema(self) -> list[Statement]:
        file = apsw.Connection(":memory:")
        old = self.replica.definitions.target()
        for statement in old.statements:
            file.execute(statement)
        before = read_schema(file)
        try:
            file.execute(self.rng.choice(CHANGES))
        except apsw.Error:
            return []
        return self.replica.definitions.changes(before, read_schema(file))

    def rows(self) -> list[Statement]:
        rng, replica = self.rng, self.replica
        tables = replica.definitions.target().schema.tables
        if not tables:
            return []
        table = tables[rng.choice(sorted(tables))]
        table_id = replica.definitions.table_id(table.name)
        assert table_id is not None
        columns = replica.definitions.columns(table_id)
        places = sorted(
            replica.query(f'SELECT {",".join(table.locator_columns)} FROM "{table.name}"'),
            key=repr,
        )
        what = rng.random()
        if what < 0.4 or not places:
            return [self.birth(table, table_id, columns)]
        place = rng.choice(places)
        at = place[0] if table.has_rowid else place
        visible = replica.merge.desk.visible(table_id)
        assert visible is not None
        row = replica.merge.desk.at(visible, at)
        assert row.state == VISIBLE
        if what < 0.6:
            return [Gone(table_id, (row.id,))]
        column, name = rng.choice(columns)
        return [Put(table_id, (column,), ((row.id, 0, (self.value(table, name),)),))]

    def birth(self, table: Table, table_id: str, columns: Any) -> Put:
        values = {name: self.value(table, name) for _, name in columns}
        key = tuple(values[name] for name in table.key)
        if key and None not in key:
            row_id, flags = base_id(key), BORN
        else:
            self.births += 1
            row_id, flags = b"a" + self.name[:6] + bytes([self.births]), BORN | AUTO
            if table.rowid_column:
                highest = self.replica.query(
                    f'SELECT coalesce(max({table.rowid_column}), 0) FROM "{table.name}"'
                )
                values[table.rowid_column] = highest[0][0] + 1
        ids = tuple(column for column, _ in columns)
        return Put(table_id, ids, ((row_id, flags, tuple(values.values())),))

    def value(self, table: Table, name: str) -> Any:
        kind = next(column.type for column in table.columns if column.name == name)
        if name == table.rowid_column:
            return self.rng.randrange(1, 9)
        if "INT" in kind:
            return self.rng.choice((None, 1, 2, 5, 6, 20))
        if kind == "REAL":
            return self.rng.choice((None, 1.5))
        return self.rng.choice((None, "a", "B", "b", "ann", "bob", "c"))


def world(rng: random.Random, members: int, steps: int) -> list[Member]:
    people = [Member(number, rng) for number in range(members)]
    for _ in range(steps):
        person = rng.choice(people)
        if rng.random() < 0.4:
            person.take(rng.choice(people).known)
        person.write()
    for person in people:
        for other in people:
            person.take(other.known)
    return people


def whole(replica: Replica) -> Any:
    tables = replica.definitions.target().schema.tables
    return (
        {name: (table.sql, table.uniques) for name, table in tables.items()},
        replica.tables(tables),
        sorted(
            (
                (one.table, one.row, sorted(one.values.items(), key=repr))
                for one in replica.merge.conflicts()
            ),
            key=repr,
        ),
    )


@pytest.mark.parametrize("seed", range(20))
def test_members_who_change_the_schema_apart_end_alike(seed):
    rng = random.Random(seed)
    first, *others = world(rng, 2 + seed % 2, 8 + seed % 20)
    for other in others:
        assert whole(other.replica) == whole(first.replica)
    assert first.replica.query("PRAGMA integrity_check") == [("ok",)]
