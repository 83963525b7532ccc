"""Any schema changes of any members, heard of in any causal order, come to one schema."""

from __future__ import annotations

import random
from collections.abc import Iterator

import apsw
import pytest

from meerkat.rows.definitions import names_between
from meerkat.rows.schema import read_schema

from .schema_member import ALICE, BOB, CAROL, DAVE, Member, Operation

WORDS = ["person", "note", "thing", "x", "y", "name", "age", "Name", "body", "zed"]


def random_sql(member: Member, rng: random.Random) -> str:
    tables = sorted(member.schema.tables) or ["thing"]
    table, word, other = rng.choice(tables), rng.choice(WORDS), rng.choice(WORDS)
    declared = member.columns(table) if table in member.schema.tables else ["x"]
    one, two = rng.choice(declared), rng.choice(declared)
    return rng.choice(
        [
            f'CREATE TABLE "{word}"(id INTEGER PRIMARY KEY, "{other}", q REFERENCES "{table}")',
            f'CREATE TABLE "{word}"(a TEXT PRIMARY KEY, b INT NOT NULL DEFAULT 4) WITHOUT ROWID',
            f'ALTER TABLE "{table}" ADD COLUMN "{word}" TEXT DEFAULT \'d\'',
            f'ALTER TABLE "{table}" ADD COLUMN "{word}" INT',
            f'ALTER TABLE "{table}" DROP COLUMN "{one}"',
            f'ALTER TABLE "{table}" RENAME COLUMN "{one}" TO "{word}"',
            f'ALTER TABLE "{table}" RENAME TO "{word}"',
            f'DROP TABLE "{table}"',
            f'CREATE INDEX "i{word}" ON "{table}"("{one}", "{two}")',
            f'CREATE UNIQUE INDEX "i{word}" ON "{table}"("{one}")',
            f'DROP INDEX "i{word}"',
            f'CREATE VIEW "v{word}" AS SELECT * FROM "{table}"',
            f'DROP VIEW "v{word}"',
            f'CREATE TRIGGER "t{word}" AFTER INSERT ON "{table}" BEGIN DELETE FROM "{other}"; END',
            f'CREATE VIRTUAL TABLE "f{word}" USING fts5(a, b)',
            f"PRAGMA user_version = {rng.randrange(99)}",
        ]
    )


def possible(member: Member, rng: random.Random) -> Iterator[str]:
    for _ in range(rng.randint(1, 3)):
        sql = random_sql(member, rng)
        member.file.execute("SAVEPOINT trial")
        try:
            member.file.execute(sql)
        except apsw.Error:
            continue
        finally:
            member.file.execute("ROLLBACK TO trial")
            member.file.execute("RELEASE trial")
        yield sql


class History:
    """Everybody's operations, and who may hear of which."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self.logs: dict[bytes, list[Operation]] = {member.author: [] for member in members}

    def sign(self, member: Member) -> None:
        self.logs[member.author].append(member.sign())

    def for_member(self, member: Member) -> list[Operation]:
        """What may come next to a member: after its causes."""
        found = []
        for author, log in self.logs.items():
            at = member.have.get(author, 0)
            if author != member.author and at < len(log):
                seen = log[at][2]
                if all(member.have.get(who, 0) >= sequence for who, sequence in seen.items()):
                    found.append(log[at])
        return found


@pytest.mark.parametrize("seed", range(10))
def test_any_changes_in_any_causal_order_come_to_one_schema(seed):
    rng = random.Random(seed)
    members = [Member(author) for author in (ALICE, BOB, CAROL, DAVE)[: rng.randint(2, 4)]]
    history = History(members)
    for _ in range(12):
        member = rng.choice(members)
        news = history.for_member(member)
        if rng.random() < 0.5:
            for sql in possible(member, rng):
                member.program(sql)
        elif member.waiting and rng.random() < 0.5:
            history.sign(member)
        elif news:
            member.take(rng.choice(news))
    for member in members:
        while member.waiting:
            history.sign(member)
    while todo := [(member, one) for member in members for one in history.for_member(member)]:
        member, operation = rng.choice(todo)
        member.take(operation)

    first, *others = members
    for member in members:
        member.follow(names_between(member.definitions.target(), member.definitions.target()))
    for member in others:
        assert member.definitions.dump() == first.definitions.dump()
        assert member.definitions.target() == first.definitions.target()
        assert member.schema == first.schema
    empty = apsw.Connection(":memory:")
    for sql in first.definitions.target().statements:
        empty.execute(sql)
    assert read_schema(empty).tables == first.schema.tables
