"""A crash at every step of capture and apply: afterwards both members are equal, no row is lost.

The process is made to end at each step that ``Database`` names, between the state's commit and the
file's above all; in one test it really is killed, at any moment.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rows.pool import NAME, Member, Pool

MakePool = Callable[..., Pool]

CAPTURE_STEPS = ["captured", "capture in state"]
KILLS = 4
APPLY_STEPS = ["locked", "flushed", "state committed", "file committed", "noted"]
BASE = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
    INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
    CREATE TABLE k(name TEXT PRIMARY KEY, v, w) WITHOUT ROWID;
    INSERT INTO k VALUES ('a', 1, 1), ('b', 2, 2);
"""
BOB = (
    "UPDATE t SET a='bob' WHERE id=1",
    "DELETE FROM t WHERE id=2",
    "INSERT INTO t VALUES (NULL, 'new', 'bob')",
    "UPDATE k SET v='bob'",
    "INSERT INTO k VALUES ('c', 'bob', 3)",
)


def _give(alice: Member, bob: Member) -> Callable[[], None]:
    """Alice is given everything that bob wrote."""

    def give() -> None:
        for sent in bob.sent:
            if alice.lacks(sent):
                alice.receive(sent)

    return give


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", CAPTURE_STEPS)
def test_while_capturing(make_pool: MakePool, journal: str, step: str) -> None:
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    alice.write("INSERT INTO t VALUES (NULL, 'new', 'alice')", "UPDATE t SET b=0 WHERE id=1")
    assert alice.crash_at(step, alice.look)
    assert len(alice.sent) == 1
    pool.assert_equal()
    assert len(bob.rows("SELECT * FROM t")) == 4
    assert bob.rows("SELECT b FROM t WHERE id=1") == [(0,)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", APPLY_STEPS)
def test_while_applying(make_pool: MakePool, journal: str, step: str) -> None:
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    bob.run(*BOB)
    assert alice.crash_at(step, _give(alice, bob))
    pool.assert_equal()
    assert not alice.sent
    assert alice.rows("SELECT * FROM t") == [
        (1, "bob", 1),
        (3, "three", 3),
        (4, "new", "bob"),
    ]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", APPLY_STEPS)
def test_a_program_writes_before_the_next_start(
    make_pool: MakePool, journal: str, step: str
) -> None:
    """To the rows of the step that was cut off, above all."""
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    bob.run(*BOB)

    def meanwhile() -> None:
        alice.write(
            "UPDATE t SET b='alice' WHERE id IN (1, 2)",
            "INSERT INTO t VALUES (NULL, 'new', 'alice')",
            "UPDATE k SET w='alice' WHERE name='a'",
            "INSERT OR IGNORE INTO k VALUES ('d', 'alice', 4)",
        )

    assert alice.crash_at(step, _give(alice, bob), meanwhile)
    pool.assert_equal()
    rows = bob.rows("SELECT a, b FROM t")
    assert ("bob", "alice") in rows
    assert ("new", "bob") in rows
    assert ("new", "alice") in rows
    # Where bob's deletion had not come to her file, her edit beats it.
    unseen = step in ("locked", "flushed", "state committed")
    assert (("two", "alice") in rows) == unseen
    assert bob.rows("SELECT * FROM k") == [
        ("a", "bob", "alice"),
        ("b", "bob", 2),
        ("c", "bob", 3),
        ("d", "alice", 4),
    ]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", APPLY_STEPS)
def test_a_program_deletes_before_the_next_start(
    make_pool: MakePool, journal: str, step: str
) -> None:
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    bob.run(*BOB)
    assert alice.crash_at(step, _give(alice, bob), lambda: alice.write("DELETE FROM t WHERE id<3"))
    pool.assert_equal()
    # What bob wrote stays unless she saw it.
    unseen = step in ("locked", "flushed", "state committed")
    assert bob.rows("SELECT a FROM t WHERE id=1") == ([("bob",)] if unseen else [])
    assert bob.rows("SELECT a FROM t WHERE id=2") == []


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", APPLY_STEPS)
def test_a_schema_change(make_pool: MakePool, journal: str, step: str) -> None:
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    bob.run(
        "ALTER TABLE t ADD COLUMN c DEFAULT 'd'",
        "UPDATE t SET c='bob' WHERE id=1",
        "ALTER TABLE k RENAME TO kk",
        "CREATE INDEX ta ON t(a)",
    )
    assert alice.crash_at(
        step, _give(alice, bob), lambda: alice.write("UPDATE t SET b='alice' WHERE id=3")
    )
    pool.assert_equal()
    assert bob.rows("SELECT b, c FROM t") == [(1, "bob"), (2, "d"), ("alice", "d")]


@pytest.mark.parametrize("step", [*APPLY_STEPS, *CAPTURE_STEPS])
def test_again_and_again(make_pool: MakePool, step: str) -> None:
    """Crash upon crash, with programs on both sides."""
    pool = make_pool(BASE, journal="wal")
    alice, bob = pool.members
    crashes = 0
    for number in range(4):
        bob.run(f"UPDATE t SET b=b || {number}", f"INSERT INTO t(a) VALUES ('bob{number}')")
        alice.write(f"UPDATE t SET a=a || {number}", f"INSERT INTO t(a) VALUES ('al{number}')")
        action = alice.look if step in CAPTURE_STEPS else _give(alice, bob)
        crashes += alice.crash_at(step, action)
        if number % 2:
            pool.sync()
    assert crashes
    pool.assert_equal()
    names = {name.strip("0123456789") for (name,) in bob.rows("SELECT a FROM t WHERE id > 3")}
    assert names == {"bob", "al"}
    assert bob.rows("SELECT count(*) FROM t") == [(3 + 8,)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("seed", range(2))
def test_killed(make_pool: MakePool, journal: str, seed: int) -> None:
    """A real process with alice's database is killed at any moment, several times over."""
    chance = random.Random(seed)
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    for number in range(20):
        bob.run(f"INSERT INTO t(a, b) VALUES ('bob', {number})", f"UPDATE k SET v={number}")
    alice.database.close()
    data = alice.folder / "entries"
    data.mkdir()
    for at, sent in enumerate(bob.sent):
        (data / f"{at:03}").write_bytes(sent.entries[0].data)
    authors = (alice.author.hex(), bob.author.hex())
    for number in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(alice.folder), pool.base, *authors],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 12)):  # so many steps, and a bit
            if not child.stdout.readline():
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        alice.write(f"INSERT INTO t(a, b) VALUES ('alice', {number})")
    alice.restart()
    pool.assert_equal()
    rows = bob.rows("SELECT a, b FROM t WHERE id > 3 ORDER BY a, b")
    assert rows == [("alice", n) for n in range(KILLS)] + [("bob", n) for n in range(20)]


_CHILD = f"""
import sys
from pathlib import Path
from meerkat.core.rows import RowsEntry, DatabaseLoaded
from meerkat.rows.database import Database

folder, base = Path(sys.argv[1]), sys.argv[2]
alice, bob = (bytes.fromhex(one) for one in sys.argv[3:])
reports = []
database = Database(
    folder, folder / ".meerkat" / "rows" / bytes(16).hex(), bytes(16), on_report=reports.append
)
database.at_step = lambda name: print(name, flush=True)
database.load(folder / ".meerkat" / "bases" / base, alice)
have = dict(next(one for one in reports if isinstance(one, DatabaseLoaded)).have)
database.attach({NAME!r})
for at, path in enumerate(sorted((folder / "entries").iterdir()), 1):
    if at > have.get(bob, 0):
        database.apply([RowsEntry(bob, at, at, 1, True, path.read_bytes())])
print("end", flush=True)
"""


def test_the_state_is_durable_before_the_file(make_pool: MakePool, tmp_path: Path) -> None:
    """What the file shows is in the state already, whenever the process ends."""
    pool = make_pool(BASE, journal="wal")
    alice, bob = pool.members
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    seen: list[tuple[str, bool, bool]] = []

    def note(step: str) -> None:
        state = alice.database._following
        assert state is not None
        there = state.connection.execute("SELECT a FROM t WHERE id=1").get == "bob"
        in_file = alice.rows("SELECT a FROM t WHERE id=1") == [("bob",)]
        seen.append((step, there and not state.connection.in_transaction, in_file))

    alice.database.at_step = note
    _give(alice, bob)()
    assert seen[:4] == [
        ("locked", False, False),
        ("flushed", False, False),
        ("state committed", True, False),
        ("file committed", True, True),
    ]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", APPLY_STEPS)
def test_schema_changes_on_both_sides_of_a_crash(
    make_pool: MakePool, journal: str, step: str
) -> None:
    """A program changes the schema before the step that changes it, too, is repeated."""
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    bob.run(
        "ALTER TABLE t ADD COLUMN c DEFAULT 'd'",
        "CREATE TABLE more(id INTEGER PRIMARY KEY, x)",
        "INSERT INTO more VALUES (1, 'bob')",
        "UPDATE t SET a='bob' WHERE id=1",
    )

    def meanwhile() -> None:
        alice.write(
            "CREATE INDEX alices ON t(b)",
            "ALTER TABLE t ADD COLUMN e",
            "UPDATE t SET e='alice', b='alice' WHERE id=1",
            "INSERT INTO k VALUES ('new', 'alice', 1)",
        )

    assert alice.crash_at(step, _give(alice, bob), meanwhile)
    pool.assert_equal()
    assert bob.rows("SELECT a, b, c, e FROM t WHERE id=1") == [("bob", "alice", "d", "alice")]
    assert alice.rows("SELECT x FROM more") == [("bob",)]
    assert bob.rows("SELECT v FROM k WHERE name='new'") == [("alice",)]
    assert bob.rows("SELECT count(*) FROM sqlite_schema WHERE name='alices'") == [(1,)]
