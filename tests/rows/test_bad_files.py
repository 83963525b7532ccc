"""The issue's bad input: a clear sentence, nothing half applied, the user's file never damaged."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from meerkat.core import rows
from meerkat.core.rows import RowsEntry
from meerkat.rows.changes import (
    AUTO,
    BORN,
    Batch,
    DefineObject,
    DefineTable,
    DropTable,
    Gone,
    Put,
    SetNumber,
    cut,
    encode_batch,
)
from meerkat.rows.values import Ref, base_id
from tests.rows.pool import NAME, Member, Pool, content

MakePool = Callable[..., Pool]

BASE = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b);
    INSERT INTO t SELECT value, 'row ' || value, hex(zeroblob(100))
        FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]');
    CREATE TABLE k(name TEXT PRIMARY KEY, v INT CHECK (v > 0)) STRICT, WITHOUT ROWID;
    INSERT INTO k VALUES ('a', 1);
    CREATE INDEX tb ON t(b);
"""


def _feed(alice: Member, bob: Member) -> None:
    for sent in bob.sent:
        if alice.lacks(sent):
            alice.receive(sent)


def _detached(member: Member) -> str:
    report = member.last(rows.DatabaseDetached)
    assert report.reason.endswith("."), report
    assert member.database.is_resting
    assert member.database.path is None
    return str(report.reason)


# -- files ---------------------------------------------------------------------------------------


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _encrypted(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(random.Random(1).randbytes(16) + data[16:])


def _empty_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : 2 * 4096] = bytes(4096)
    path.write_bytes(data)


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def _mangled_cells(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096 + 8, 4096 + 40):
        data[at] ^= 0x5A
    path.write_bytes(data)


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize(
    "damage",
    [_garbage, _encrypted, _empty_page, _cut_off, _mangled_cells],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_a_file_that_is_damaged(
    make_pool: MakePool, damage: Callable[[Path], None], journal: str
) -> None:
    """Nothing is taken from it as if a program had written that, and nothing is put into it."""
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    alice.database.close_idle(alice.clock + 10)
    damage(alice.path)
    before = alice.path.read_bytes()
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    alice.look()
    _feed(alice, bob)
    _detached(alice)
    assert alice.path.read_bytes() == before
    assert not alice.sent
    assert alice.database.problem
    # Whoever puts a good file in its place goes on from there.
    shutil.copy(bob.path, alice.path)
    alice.attach()
    pool.assert_equal()
    assert alice.database.problem == ""


def test_random_damage_is_never_spread(make_pool: MakePool) -> None:
    """Bytes that change without SQLite: detached, or at least in order afterwards."""
    pool = make_pool(BASE, journal="delete")
    alice, bob = pool.members
    good = alice.path.read_bytes()
    chance = random.Random(3)
    for number in range(15):
        alice.database.close_idle(alice.clock + 10)
        data = bytearray(good)
        for _ in range(8):
            data[chance.randrange(4096, len(data))] = chance.randrange(256)
        alice.path.write_bytes(data)
        alice.look()
        bob.run(f"UPDATE t SET b={number} WHERE id=2")
        _feed(alice, bob)
        if alice.database.path is None:
            alice.path.write_bytes(good)
            alice.attach()
        pool.sync()
        assert bob.content()["integrity"] == ["ok"]
        good = bob.path.read_bytes()
        alice.database.close_idle(alice.clock + 10)
        alice.path.write_bytes(good)
        alice.look()


def test_deleted(make_pool: MakePool) -> None:
    """Never made anew by us; the folder says when it is gone for good."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.database.close_idle(alice.clock + 10)
    alice.path.unlink()
    bob.run("UPDATE t SET a='bob' WHERE id=1")
    _feed(alice, bob)
    assert [one.name for one in alice.folder.iterdir()] == [".meerkat"]
    alice.database.detach(True)
    assert alice.last(rows.DatabaseDetached).reason == ""
    alice.place_export()
    alice.attach()
    pool.assert_equal()
    assert not alice.sent


def test_a_log_without_its_database(make_pool: MakePool) -> None:
    pool = make_pool(BASE)
    alice = pool[0]
    with alice.program() as program:
        program.execute("UPDATE t SET a='x'")
        log = alice.folder / f"{NAME}-wal"
        kept = log.read_bytes()
        alice.path.unlink()
        alice.look()
        assert log.read_bytes() == kept
    assert not alice.path.exists()


def test_not_ours_any_more(make_pool: MakePool) -> None:
    """A program makes something that cannot be merged."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.run("CREATE TABLE meerkat_mine(a)", "UPDATE t SET a='alice'")
    assert "meerkat_" in _detached(alice)
    assert not alice.sent
    bob.run("UPDATE t SET b='bob'")
    _feed(alice, bob)
    assert alice.rows("SELECT DISTINCT a, b FROM t LIMIT 2")[0][0] == "alice"
    alice.write("DROP TABLE meerkat_mine")
    alice.attach()
    pool.assert_equal()
    assert bob.rows("SELECT DISTINCT a, b FROM t") == [("alice", "bob")]


class _Errors(apsw.VFS):
    """A file system on which something does not work, once it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failing = ""
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, errors: _Errors, name: Any, flags: list[int]) -> None:
        self.errors = errors
        super().__init__("", name, flags)

    def xLock(self, level: int) -> None:
        if self.errors.failing == "lock":
            raise _lock_error()
        super().xLock(level)

    def xWrite(self, data: Any, offset: int) -> None:
        if self.errors.failing == "full":
            raise apsw.FullError
        if self.errors.failing == "read-only":
            raise apsw.ReadOnlyError
        if self.errors.failing == "error":
            raise apsw.IOError
        super().xWrite(data, offset)


def _lock_error() -> apsw.Error:
    error = apsw.IOError("no locks here")
    error.extendedresult = apsw.SQLITE_IOERR_LOCK  # type: ignore[attr-defined]
    return error


@pytest.fixture
def errors() -> Any:
    vfs = _Errors("meerkat-test-errors")
    yield vfs
    vfs.unregister()


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize(
    ("failing", "said"),
    [("full", "disk is full"), ("read-only", "read-only"), ("error", "reports an error")],
)
def test_the_file_cannot_be_written(
    make_pool: MakePool, errors: _Errors, journal: str, failing: str, said: str
) -> None:
    """It waits, says why, and goes on by itself; nothing is half done meanwhile."""
    pool = make_pool(BASE, journal=journal, vfs=errors.name)
    alice, bob = pool.members
    bob.run("UPDATE t SET a='bob'")
    before = alice.content()
    errors.failing = failing
    for sent in bob.sent:
        assert alice.database.apply(sent.entries)
        alice.handed[bob.author] = sent.entries[-1].sequence
    assert said in alice.database.problem
    assert alice.last(rows.DatabaseState).problem == alice.database.problem
    assert not any(isinstance(one, rows.RowsApplied) for one in alice.reports)
    assert alice.content() == before
    errors.failing = ""
    alice.run("UPDATE t SET b='alice'")
    pool.assert_equal()
    assert alice.database.problem == ""
    assert alice.rows("SELECT DISTINCT a, b FROM t") == [("bob", "alice")]


def test_a_file_system_without_locks(make_pool: MakePool, errors: _Errors) -> None:
    pool = make_pool(BASE, journal="delete", vfs=errors.name)
    alice = pool[0]
    before = alice.path.read_bytes()
    errors.failing = "lock"
    alice.database.close_idle(alice.clock + 10)
    alice.database.look()
    alice.write("UPDATE t SET a='x'")
    alice.database.look()
    assert "locks" in _detached(alice)
    assert alice.path.read_bytes() != before  # only what the program wrote
    assert not alice.sent


@pytest.mark.parametrize("damage", ["garbage", "a page"])
def test_our_own_records_are_damaged(make_pool: MakePool, damage: str) -> None:
    """They are built again from the base and the operations; no program's file suffers."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.run("UPDATE t SET a='alice' WHERE id=1", "INSERT INTO t(a) VALUES ('first')")
    pool.sync()
    alice.database.close()
    state = alice.folder / ".meerkat" / "rows" / bytes(16).hex() / "state.db"
    data = bytearray(state.read_bytes())
    if damage == "garbage":
        data[:] = random.Random(1).randbytes(len(data))
    else:
        data[4096 : 3 * 4096] = bytes(2 * 4096)
    state.write_bytes(data)
    before = alice.path.read_bytes()
    alice._new_database()
    alice.database.load(alice.bases / pool.base, alice.author)
    if damage == "a page":
        alice.write("UPDATE t SET b='x' WHERE id=2")
        before = alice.path.read_bytes()
        alice.database.attach(NAME)
        assert "own records" in _detached(alice)
        alice._new_database()
        alice.database.load(alice.bases / pool.base, alice.author)
    assert alice.last(rows.DatabaseLoaded).have == ()
    assert alice.path.read_bytes() == before
    for sent in [*alice.sent, *bob.sent]:
        alice.database.apply(sent.entries)
    alice.attach()
    pool.assert_equal()
    assert bob.rows("SELECT a FROM t WHERE id=1") == [("alice",)]
    # New rows are not taken for those that the lost state had named.
    alice.run("INSERT INTO t(a) VALUES ('second')")
    pool.assert_equal()
    assert bob.rows("SELECT a FROM t WHERE id > 20") == [("first",), ("second",)]


# -- a base that is not what it should be ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["other bytes", "damaged", "missing", "no database"])
def test_a_bad_base(make_pool: MakePool, tmp_path: Path, kind: str) -> None:
    from blake3 import blake3

    pool = make_pool(BASE)
    member = Member(pool, "eve")
    member.bases.mkdir(parents=True)
    data = bytearray((pool[0].bases / pool.base).read_bytes())
    name = pool.base
    if kind == "other bytes":
        data[-1] ^= 1
    elif kind == "damaged":
        data[4096:8192] = bytes(4096)
        name = blake3(data).hexdigest()
    elif kind == "no database":
        data = bytearray(b"nothing" * 1000)
        name = blake3(data).hexdigest()
    if kind != "missing":
        (member.bases / name).write_bytes(data)
    member.database.load(member.bases / name, member.author)
    assert member.last(rows.DatabaseState).problem.endswith(".")
    assert not any(isinstance(one, rows.DatabaseLoaded) for one in member.reports)
    member.database.close()


# -- what others send ------------------------------------------------------------------------------

ALICES = base_id((1,))
EVIL: list[tuple[Any, ...]] = [
    (Put("t", ("id", "a"), ((ALICES, 0, (b"\xff" * 10, 3.5)),)),),
    (Put("t", ("a", "b"), ((ALICES, BORN, (Ref(b"a" * 17, 3), None)),)),),
    (Put("nowhere", ("a",), ((b"x", BORN, (1,)),)),),
    (Put("t", ("nothing", "a'; DROP TABLE t; --"), ((ALICES, 0, (1, 2)),)),),
    (Put("t", ("id", "a", "b"), ((b"z" * 64, BORN | AUTO, (2**63 - 1, "max", None)),)),),
    (Put("t", ("id", "a", "b"), ((b"z" * 63, BORN | AUTO, (-(2**63), "min", None)),)),),
    (Put("t", ("id", "a", "b"), ((b"y", BORN, ("no integer", 1, 2)),)),),
    (Put("t", ("id",), ((ALICES, 0, (None,)),)),),
    (Put("k", ("name", "v"), ((base_id(("x",)), BORN, ("x", -5)),)),),
    (Put("k", ("name", "v"), ((base_id(("y",)), BORN, ("y", "text")),)),),
    (Put("k", ("name", "v"), ((base_id(("z",)), BORN, (None, 1)),)),),
    (Put("k", tuple(f"c{n}" for n in range(2000)), ((b"w", BORN, (1,) * 2000),)),),
    (Gone("t", (b"nobody", base_id((99,)))), Gone("nowhere", (ALICES,))),
    (DropTable("nowhere"), DropTable("sqlite_schema"), DropTable("meerkat_meta")),
    (DefineTable("e", "e", "DROP TABLE t", (("a", "a"),)),),
    (DefineTable("e", "e", "CREATE TABLE t(x)", (("x", "x"),)),),
    (DefineTable("e", "meerkat_meta", "CREATE TABLE meerkat_meta(x)", (("x", "x"),)),),
    (DefineTable("e", "e", "CREATE TABLE e(a); DROP TABLE t", (("a", "a"),)),),
    (DefineTable("e", "e", "CREATE TABLE e AS SELECT * FROM t", (("a", "a"),)),),
    (DefineTable("e", "e", "ATTACH 'evil.db' AS x", (("a", "a"),)),),
    (DefineTable("e", "e", "CREATE VIRTUAL TABLE e USING csv('x')", (("a", "a"),)),),
    (DefineObject("view", "v", "v", "CREATE VIEW v AS SELECT load_extension('x')"),),
    (DefineObject("index", "i", "t", "CREATE UNIQUE INDEX i ON t(1)"),),
    (DefineObject("trigger", "g", "t", "PRAGMA writable_schema = ON"),),
    (DefineObject("table", "x", "x", "CREATE TABLE x(a)"),),
    (SetNumber("user_version", -1), SetNumber("schema_version", 5)),
    (
        DefineTable(
            "e",
            "e",
            f"CREATE TABLE e({', '.join(f'c{n}' for n in range(300))})",
            tuple((f"c{n}", f"c{n}") for n in range(200)),
        ),
    ),
]


def _send(eve: bytes, number: int, data: bytes, *, last: bool = True) -> RowsEntry:
    return RowsEntry(eve, number, 1_000 + number, 1, last, data)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_hostile_operations(make_pool: MakePool, journal: str) -> None:
    """Whatever a member signs: both files stay in order and alike, whatever the batching."""
    pool = make_pool(BASE, journal=journal)
    alice, bob = pool.members
    eve = b"E" * 32
    entries = [
        _send(eve, number, cut([encode_batch(Batch(((eve, 2**50),), statements))])[0])
        for number, statements in enumerate(EVIL, 1)
    ]
    for entry in entries:
        alice.database.apply([entry])
        alice.look()
        assert alice.content()["integrity"] == ["ok"], entry
    bob.database.apply(entries)
    bob.look()
    for member in pool.members:
        assert member.database.path == NAME
        assert member.last(rows.RowsApplied).have == ((eve, len(EVIL)),)
        member.lamport = 5_000
    pool.assert_equal()
    # One index forbids all rows but one; they are kept, and come back.
    assert bob.rows("SELECT count(*) FROM t") == [(1,)]
    assert bob.database.aside >= 19
    assert len(bob.database.conflicts()) == bob.database.aside
    alice.run("DROP INDEX i")
    pool.sync()
    assert alice.rows("SELECT count(*) FROM t WHERE id BETWEEN 2 AND 20") == [(19,)]
    alice.run("INSERT INTO t(a) VALUES ('alice')", "UPDATE t SET b='alice' WHERE id=3")
    bob.run("INSERT INTO k VALUES ('bob', 7)")
    pool.assert_equal()
    assert bob.rows("SELECT count(*) FROM t WHERE b='alice'") == [(1,)]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\x00\x00\x05junk!", b"\xff" * 50, b"\x00\x00\x00\xffshort", bytes(1000)],
    ids=["nothing", "junk", "huge", "cut-off", "zeros"],
)
def test_hostile_bytes(make_pool: MakePool, data: bytes) -> None:
    pool = make_pool(BASE)
    alice, bob = pool.members
    before = alice.content()
    for member in pool.members:
        member.database.apply([_send(b"E" * 32, 1, data)])
        member.look()
        assert member.last(rows.RowsApplied).have == ((b"E" * 32, 1),)
        assert member.content() == before
    bob.run("UPDATE t SET a='bob'")
    pool.assert_equal()


def test_mutated_operations(make_pool: MakePool) -> None:
    """Real batches with a few bytes changed."""
    pool = make_pool(BASE)
    alice, bob = pool.members
    alice.run("UPDATE t SET a='x', b=7 WHERE id<5", "DELETE FROM t WHERE id=7")
    alice.run("ALTER TABLE t ADD COLUMN c DEFAULT 5", "INSERT INTO t(a) VALUES ('new')")
    alice.run("CREATE TABLE n(a UNIQUE, b REFERENCES t(id))", "INSERT INTO n VALUES (1, 2)")
    pool.sync()
    chance = random.Random(5)
    entries = []
    for number in range(1, 61):
        data = bytearray(chance.choice(alice.sent).entries[0].data)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        entries.append(_send(b"E" * 32, number, bytes(data)))
    alice.database.apply(entries[:7])
    for entry in entries[7:]:
        alice.database.apply([entry])
    bob.database.apply(entries)
    for member in pool.members:
        member.lamport = 5_000
        member.look()
        assert member.content()["integrity"] == ["ok"]
    pool.assert_equal()
    export = bob.folder / ".meerkat" / "rows" / bytes(16).hex() / "export.db"
    expected = bob.content()
    bob.database.detach(True)
    bob.database.export()
    copy = apsw.Connection(str(export))
    assert content(copy) == expected
    copy.close()


def test_a_row_too_large_to_be_merged_waits(make_pool: MakePool) -> None:
    """It is said so, nothing of it is lost, and what others write goes on where it can."""
    pool = make_pool("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    alice, bob = pool.members
    alice.write("INSERT INTO t VALUES (1, zeroblob(70000000))")
    assert alice.database.look()
    assert "larger than 64 MiB" in alice.database.problem
    alice.run("UPDATE t SET a='small' WHERE id=1")
    assert alice.database.problem == ""
    pool.assert_equal()
    assert bob.rows("SELECT a FROM t") == [("small",)]
