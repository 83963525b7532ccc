"""A member for tests of schemas: a file that programs change, and its definitions."""

from __future__ import annotations

import apsw

from meerkat.rows.changes import Statement
from meerkat.rows.definitions import Definitions, names_between, refusal
from meerkat.rows.migrate import migrate
from meerkat.rows.registers import PENDING, Stamp
from meerkat.rows.schema import read_schema

ALICE, BOB, CAROL, DAVE = b"alice", b"bob", b"carol", b"dave"
Operation = tuple[Stamp, list[Statement], dict[bytes, int]]

BASE = """
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, age INT);
CREATE TABLE note(k TEXT PRIMARY KEY, body, person REFERENCES person) WITHOUT ROWID;
CREATE INDEX by_name ON person(name);
CREATE VIEW old AS SELECT name FROM person WHERE age > 50;
INSERT INTO person VALUES (1, 'a', 3), (2, 'b', 60);
INSERT INTO note VALUES ('x', 1, 1), ('y', 2, 2);
"""


class Member:
    """A member's file and definitions; programs change the file, operations arrive."""

    def __init__(self, author: bytes, sql: str = BASE) -> None:
        self.author = author
        self.file = apsw.Connection(":memory:")
        self.file.execute(sql)
        self.schema = read_schema(self.file)
        self.definitions = Definitions.of(self.schema)
        self.have: dict[bytes, int] = {}
        self.lamport = self.captures = 0
        self.waiting: list[Operation] = []

    def program(self, *statements: str) -> Operation | None:
        """Run SQL, as far as it can be, and capture it."""
        for sql in statements:
            self.file.execute(sql)
        schema = read_schema(self.file)
        assert refusal(schema) == ""
        known = self.definitions.target()
        changes = self.definitions.changes(self.schema, schema)
        assert bool(changes) == (schema != self.schema)
        if not changes:
            return None
        self.captures += 1
        operation = ((PENDING, self.author, self.captures), changes, dict(self.have))
        self.apply(operation)
        self.waiting.append(operation)
        names = names_between(known, self.definitions.target())
        assert self.definitions.target().schema == schema or self.follow(names)
        self.schema = read_schema(self.file)
        return operation

    def sign(self) -> Operation:
        pending, changes, seen = self.waiting.pop(0)
        self.lamport += 1
        self.have[self.author] = self.have.get(self.author, 0) + 1
        stamp = (self.lamport, self.author, self.have[self.author])
        self.definitions.restamp(pending, stamp)
        return stamp, changes, seen

    def write(self, *statements: str) -> Operation:
        assert self.program(*statements) is not None
        return self.sign()

    def apply(self, operation: Operation) -> None:
        stamp, changes, seen = operation
        for change in changes:
            self.definitions.apply(change, stamp, seen)

    def take(self, *operations: Operation) -> None:
        for operation in operations:
            before = self.definitions.target()
            (lamport, author, sequence), _, _ = operation
            self.apply(operation)
            self.have[author] = sequence
            self.lamport = max(self.lamport, lamport)
            self.follow(names_between(before, self.definitions.target()))

    def follow(self, names: dict[str, tuple[str, dict[str, str]]]) -> bool:
        self.file.execute("BEGIN")
        present = set(read_schema(self.file).tables)
        migrate(
            self.file,
            self.definitions.target(),
            {name: entry for name, entry in names.items() if entry[0] in present},
            aside=lambda *_: None,
        )
        self.file.execute("COMMIT")
        assert self.file.execute("PRAGMA integrity_check").get == "ok"
        self.schema = read_schema(self.file)
        assert self.schema == self.definitions.target().schema
        return True

    def columns(self, table: str) -> list[str]:
        return [column.name for column in self.schema.tables[table].declared]
