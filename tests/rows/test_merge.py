"""Any order, any batching, any restart: the same rows, and those of the oracle."""

from __future__ import annotations

import random
from typing import Any

import pytest

from meerkat.rows.changes import AUTO, BORN, LOOSE, ROWID, Gone, Put, Statement
from meerkat.rows.values import Ref, base_id

from .oracle import Model, Oracle, State, Transaction
from .replicas import Replica

MODELS = (
    Model(
        "person",
        "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT UNIQUE, note TEXT NOT NULL)",
        ("id", "name", "note"),
        rowid="id",
        not_null=("note",),
        uniques=(("name",),),
    ),
    Model(
        "item",
        "CREATE TABLE item(id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER REFERENCES person,"
        " tag TEXT, slot INTEGER, UNIQUE(owner, slot))",
        ("id", "owner", "tag", "slot"),
        rowid="id",
        uniques=(("owner", "slot"),),
        references=((("owner",), "person", ("id",)),),
    ),
    Model(
        "profile",
        "CREATE TABLE profile(person INTEGER PRIMARY KEY REFERENCES person(id), bio TEXT)",
        ("person", "bio"),
        rowid="person",
        references=((("person",), "person", ("id",)),),
    ),
    Model(
        "word",
        "CREATE TABLE word(w TEXT PRIMARY KEY NOT NULL, base TEXT REFERENCES word(w),"
        " code INTEGER)",
        ("w", "base", "code"),
        key=("w",),
        not_null=("w",),
        uniques=(("w",),),
        references=((("base",), "word", ("w",)),),
    ),
    Model(
        "cell",
        "CREATE TABLE cell(x INTEGER, y TEXT, v, u INTEGER UNIQUE, PRIMARY KEY(x, y))"
        " WITHOUT ROWID",
        ("x", "y", "v", "u"),
        key=("x", "y"),
        without_rowid=True,
        not_null=("x", "y"),
        uniques=(("x", "y"), ("u",)),
    ),
    Model("heap", "CREATE TABLE heap(a, b)", ("a", "b")),
)
BY_NAME = {model.name: model for model in MODELS}
ROWS = """
INSERT INTO person VALUES(1, 'ann', 'a'), (2, 'bob', 'b'), (5, NULL, 'c');
INSERT INTO item VALUES(1, 1, 'x', 1), (2, 1, 'y', 2), (3, 77, 'lost', 1);
INSERT INTO profile VALUES(1, 'hi');
INSERT INTO word VALUES('a', NULL, 1), ('b', 'a', 2), ('c', 'b', 3);
INSERT INTO cell VALUES(1, 'p', 1.5, 10), (1, 'q', NULL, 11);
INSERT INTO heap VALUES(1, 2), (1, 2);
"""
SCRIPT = ";".join(model.sql for model in MODELS) + ";" + ROWS


def base() -> dict[str, dict[bytes, dict[str, Any]]]:
    replica = Replica(SCRIPT)
    found: dict[str, dict[bytes, dict[str, Any]]] = {}
    for model in MODELS:
        rowid = "" if model.without_rowid else "rowid, "
        for row in replica.query(f"SELECT {rowid}* FROM {model.name}"):
            values = dict(zip(model.columns, row[bool(rowid) :], strict=True))
            key = tuple(values[column] for column in model.key) or (row[0],)
            found.setdefault(model.name, {})[base_id(key)] = values
    return found


class Author:
    """Writes what a program might that sees what this member knows."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.name = bytes([97 + number]) * 32
        self.known: dict[bytes, int] = {}
        self.lamport = self.births = 0

    def knows(self) -> list[Transaction]:
        return [t for t in self.world.all if self.known.get(t.author, 0) >= t.sequence]

    def hear(self, other: Author) -> None:
        for author, sequence in other.known.items():
            self.known[author] = max(sequence, self.known.get(author, 0))
        self.lamport = max(self.lamport, other.lamport)

    def write(self) -> None:
        rng = self.world.rng
        seen = tuple(sorted(self.known.items()))
        state = self.world.oracle.state(self.knows())
        statements: list[Statement] = []
        written: set[Any] = set()
        for _ in range(rng.choice((1, 1, 2, 4))):
            model = rng.choice(MODELS)
            what = rng.random()
            rows = sorted(key for key in state.visible if key[0] == model.name)
            statement: Put | Gone
            if what < 0.45 or not rows:
                statement = self.birth(model, state)
            elif what < 0.8:
                statement = self.update(model, state, rng.choice(rows))
            else:
                statement = Gone(model.name, tuple(k[1] for k in rng.sample(rows, 1)))
            if what > 0.97:
                statement = self.nonsense(model, state)
            if isinstance(statement, Put):
                touched = {(model.name, row[0]) for row in statement.rows}
            else:
                touched = {(model.name, row_id) for row_id in statement.rows}
            if written.isdisjoint(touched):
                written |= touched
                statements.append(statement)
        self.lamport += 1
        sequence = self.known.get(self.name, 0) + rng.choice((1, 1, 3))
        self.known[self.name] = sequence
        self.world.all.append(
            Transaction(self.name, sequence, self.lamport, seen, tuple(statements))
        )

    def birth(self, model: Model, state: State) -> Put:
        rng = self.world.rng
        values = {column: self.value(model, column, state) for column in model.columns}
        flags, columns = BORN, list(model.columns)
        key = tuple(values[column] for column in model.key)
        if key and None not in key:
            row_id = base_id(key)
        elif model.rowid is not None and model.rowid == "id" and rng.random() < 0.2:
            values["id"] = rng.randrange(1, 12)
            row_id = base_id((values["id"],))
        else:
            self.births += 1
            row_id = b"a" + self.name[:6] + self.births.to_bytes(10, "big")
            flags |= AUTO
            ids = (
                [state.shown[one]["id"] for one in state.visible if one[0] == model.name]
                if (model.rowid == "id")
                else []
            )
            if model.rowid == "id":
                values["id"] = max(ids, default=0) + 1
            elif model.rowid is None:
                columns.append(ROWID)
                values[ROWID] = rng.randrange(1, 6)
        if rng.random() < 0.1:
            flags |= LOOSE
        return Put(model.name, tuple(columns), ((row_id, flags, tuple(values.values())),))

    def update(self, model: Model, state: State, key: tuple[str, bytes]) -> Put:
        rng = self.world.rng
        columns = tuple(rng.sample(model.columns, rng.choice((1, 1, 2))))
        values = []
        for column in columns:
            value = self.value(model, column, state)
            if column == "id":
                value = rng.randrange(1, 15)
            values.append(value)
        flags = LOOSE if rng.random() < 0.05 else 0
        return Put(model.name, columns, ((key[1], flags, tuple(values)),))

    def nonsense(self, model: Model, state: State) -> Put:
        """About rows that nobody may know."""
        rng = self.world.rng
        row_id = rng.choice(
            (b"k=zz", b"aaaaaaaaaa", base_id((rng.randrange(9),)), b"k#" + b"1" * 24)
        )
        column = rng.choice(model.columns)
        return Put(model.name, (column,), ((row_id, 0, (self.value(model, column, state),)),))

    def value(self, model: Model, column: str, state: State) -> Any:
        rng = self.world.rng
        for columns, parent, parent_columns in model.references:
            if columns == (column,):
                rows = sorted(key for key in state.visible if key[0] == parent)
                if not rows or (rng.random() < 0.15 and column not in model.not_null):
                    return (
                        rng.choice((None, 4))
                        if parent == "person" and column == "owner"
                        else (3 if column == "person" else "zz")
                    )
                row = rng.choice(rows)
                shown = state.shown[row][parent_columns[0]]
                return Ref(row[1], shown) if row[1][:1] == b"a" else shown
        if column in ("u", "slot", "code"):
            return rng.choice((None, 1, 2, 3, 10, 11))
        if column == "x":
            return rng.randrange(1, 3)
        if column in ("tag", "bio"):
            return rng.choice((None, "t", b"x", "1"))
        if column in ("name", "note", "w", "y"):
            return rng.choice((None, "a", "b", "ann", "bob", "p", "q", "long" * 20))
        return rng.choice((None, 0, 1.5, "t", b"x"))


class World:
    def __init__(self, seed: int, authors: int, count: int) -> None:
        self.rng = random.Random(seed)
        self.oracle = Oracle(MODELS, base())
        self.all: list[Transaction] = []
        people = [Author(self, number) for number in range(authors)]
        for _ in range(count):
            person = self.rng.choice(people)
            if self.rng.random() < 0.35:
                person.hear(self.rng.choice(people))
            person.write()

    def causal_order(self, rng: random.Random) -> list[Transaction]:
        waiting = list(self.all)
        heads: dict[bytes, int] = {}
        order = []
        while waiting:
            ready = [
                one
                for one in waiting
                if all(heads.get(author, 0) >= sequence for author, sequence in one.seen)
                and not any(
                    other.author == one.author and other.sequence < one.sequence
                    for other in waiting
                )
            ]
            one = rng.choice(ready)
            waiting.remove(one)
            heads[one.author] = one.sequence
            order.append(one)
        return order


def deliver(replica: Replica, order: list[Transaction], rng: random.Random) -> None:
    start = 0
    while start < len(order):
        size = rng.choice((1, 1, 2, 5, len(order)))
        replica.apply([one.entry() for one in order[start : start + size]])
        start += size
        if rng.random() < 0.2:
            replica.restart()


@pytest.mark.parametrize("seed", range(30))
def test_all_replicas_come_to_what_the_oracle_says(seed):
    world = World(seed, 2 + seed % 3, 6 + seed % 25)
    expected = world.oracle.state(world.all)
    for order_seed in range(2):
        rng = random.Random(1000 * seed + order_seed)
        replica = Replica(SCRIPT)
        deliver(replica, world.causal_order(rng), rng)
        assert replica.tables(BY_NAME) == dict(sorted(expected.tables().items()))
        assert replica.aside() == expected.aside
