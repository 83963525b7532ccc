"""The store: one suite for both, a model that compares them, and what only SQLite has."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from meerkat.core.ids import AuthorId
from meerkat.core.ports import Head, Table
from meerkat.errors import StoreDamaged, StoreError, StoreFull
from meerkat.store import SqliteStore, TransactionalStore
from meerkat.store.migrate import Migration, migrate, migrations
from meerkat.testing.check_store import STORE_CHECKS, MakeStore, example_head
from meerkat.testing.memory_store import MemoryStore

ALICE = AuthorId(b"a" * 32)
BOB = AuthorId(b"b" * 32)


@pytest.fixture(params=["sqlite", "memory"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    made: list[TransactionalStore] = []

    def make() -> TransactionalStore:
        sqlite = request.param == "sqlite"
        made.append(SqliteStore(tmp_path / f"{len(made)}.db") if sqlite else MemoryStore())
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    yield store
    store.close()


class Undo(Exception):
    """Ends a transaction that shall not be kept."""


@contextmanager
def undone(store: TransactionalStore) -> Iterator[None]:
    with suppress(Undo), store.transaction():
        yield
        raise Undo


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_acceptance(check: Callable[[MakeStore], None], make_store: MakeStore):
    check(make_store)


# ---------------------------------------------------------------- SQLite against the dictionaries

KEYS = st.binary(max_size=2) | st.sampled_from([b"\xff", b"\xff\xff", b"a\xff"])
TABLES = st.sampled_from([Table.META, Table.RECORD])
AUTHORS = st.sampled_from([ALICE, BOB])


class StoresAgree(RuleBasedStateMachine):
    """Whatever is done to both stores, both answer alike."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="meerkat-test-")
        self.stores = (SqliteStore(Path(self.folder) / "store.db"), MemoryStore())
        self.transactions: list = []

    @precondition(lambda self: not self.transactions)
    @rule()
    def begin(self):
        self.transactions = [store.transaction() for store in self.stores]
        for transaction in self.transactions:
            transaction.__enter__()

    @precondition(lambda self: self.transactions)
    @rule(keep=st.booleans())
    def end(self, keep: bool):
        for transaction in self.transactions:
            if keep:
                transaction.__exit__(None, None, None)
            else:
                undo = Undo()
                assert not transaction.__exit__(Undo, undo, None)
        self.transactions = []

    @precondition(lambda self: self.transactions)
    @rule(author=AUTHORS, step=st.sampled_from([1, 1, 1, 0, 2]), data=st.binary(max_size=9))
    def append(self, author: AuthorId, step: int, data: bytes):
        last = self.stores[1].heads().get(author)
        head = example_head((last.sequence if last else 0) + step)
        for store in self.stores:
            if step == 1:
                store.append(author, head, data)
            else:
                with pytest.raises(ValueError, match="next sequence"):
                    store.append(author, head, data)

    @precondition(lambda self: self.transactions)
    @rule(table=TABLES, items=st.lists(st.tuples(KEYS, st.binary(max_size=3)), max_size=5))
    def put(self, table: Table, items: list[tuple[bytes, bytes]]):
        for store in self.stores:
            store.put_many(table, items)

    @precondition(lambda self: self.transactions)
    @rule(table=TABLES, key=KEYS)
    def delete(self, table: Table, key: bytes):
        for store in self.stores:
            store.delete(table, key)

    @precondition(lambda self: not self.transactions)
    @rule()
    def reopen(self):
        for store in self.stores:
            store.reopen()

    @rule(table=TABLES, prefix=KEYS)
    def scan(self, table: Table, prefix: bytes):
        ours, theirs = (list(store.scan(table, prefix)) for store in self.stores)
        assert ours == theirs

    @rule(author=AUTHORS, first=st.integers(0, 5), last=st.integers(0, 9), limit=st.integers(0, 20))
    def read(self, author: AuthorId, first: int, last: int, limit: int):
        ours, theirs = (s.operations(author, first, last, limit_bytes=limit) for s in self.stores)
        assert ours == theirs

    @invariant()
    def heads_agree(self):
        ours, theirs = (store.heads() for store in self.stores)
        assert ours == theirs

    def teardown(self):
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


TestStoresAgree = StoresAgree.TestCase
TestStoresAgree.settings = settings(
    settings.get_profile("ci"), max_examples=25, stateful_step_count=40
)


# -------------------------------------------------------------------------------- SQLite's own


def test_heads_equal_the_file_after_every_rollback(store: SqliteStore, path: Path):
    with store.transaction():
        store.append(ALICE, example_head(1), b"1")
    with undone(store):
        store.append(ALICE, example_head(2), b"2")
        store.append(BOB, example_head(1), b"1")

    second = SqliteStore(path)

    assert store.heads() == second.heads() == {ALICE: example_head(1)}
    second.close()


def test_an_empty_transaction_writes_nothing(store: SqliteStore, path: Path):
    wal = path.with_name("store.db-wal")
    with store.transaction():
        store.put(Table.META, b"k", b"v")
    before = wal.stat()

    for _ in range(3):
        with store.transaction():
            assert store.get(Table.META, b"k") == b"v"

    after = wal.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_commits_are_synced(store: SqliteStore):
    # What that is worth is shown by tests/adapters/test_power_cut.py.
    assert store._connection.rows("PRAGMA synchronous") == [(2,)]
    assert store._connection.rows("PRAGMA journal_mode") == [(b"wal",)]


def test_the_file_is_ours_alone_and_what_lies_beside_it(path: Path):
    before = os.umask(0)
    try:
        path.touch(0o644)  # as an older meerkat left it
        store = SqliteStore(path)
        with store.transaction():
            store.put(Table.META, b"k", b"v")
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        store.close()
        path.unlink()
        SqliteStore(path).close()
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_closing_leaves_one_file(store: SqliteStore, path: Path):
    with store.transaction():
        store.put(Table.META, b"k", b"v")

    store.close()

    assert [entry.name for entry in path.parent.iterdir()] == ["store.db"]
    with pytest.raises(StoreError):
        store.get(Table.META, b"k")


def test_an_abandoned_scan_is_forgotten(store: SqliteStore):
    with store.transaction():
        store.put_many(Table.CHUNK, [(b"%04d" % number, b"") for number in range(500)])
    scan = store.scan(Table.CHUNK)
    next(scan)
    assert len(store._scans[Table.CHUNK]) == 1
    del scan

    assert len(store._scans[Table.CHUNK]) == 0


def test_a_scan_of_what_was_rolled_back_says_so(store: SqliteStore):
    with undone(store):
        store.put_many(Table.CHUNK, [(b"%04d" % number, b"") for number in range(500)])
        scan = store.scan(Table.CHUNK)

    with pytest.raises(RuntimeError, match="rolled back"):
        list(scan)


def test_migrations_are_packaged_and_recorded(store: SqliteStore):
    names = [step.name.encode() for step in migrations()]

    recorded = store._connection.rows("SELECT number, name FROM migrations ORDER BY number")

    assert recorded == list(enumerate(names, 1))
    assert {f"kv_{table.value}".encode() for table in Table} <= {
        name for (name,) in store._connection.rows("SELECT name FROM sqlite_schema")
    }


def test_a_migration_that_fails_is_not_applied_at_all(path: Path):
    database = sqlite3.connect(path, isolation_level=None)
    good = Migration(1, "good", "-- a; comment\nCREATE TABLE one (a);\nCREATE TABLE two (a);\n")
    bad = Migration(2, "bad", "CREATE TABLE three (a);\nCREATE TABLE one (a);\n")

    with pytest.raises(sqlite3.OperationalError):
        migrate(database, path, [good, bad])

    names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
    assert {"one", "two"} <= names
    assert "three" not in names
    assert database.execute("SELECT number FROM migrations").fetchall() == [(1,)]
    database.close()


def test_a_store_of_a_newer_meerkat_is_refused_untouched(store: SqliteStore, path: Path):
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO migrations VALUES (9999, 'future')")
    database.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="newer meerkat") as caught:
        SqliteStore(path)

    assert not isinstance(caught.value, StoreDamaged)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_untouched(path: Path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE songs (title)")
    database.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b""])
def test_a_store_that_must_exist_is_not_begun_anew(path: Path, content: bytes | None):
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(StoreDamaged, match="rebuild"):
        SqliteStore(path, must_exist=True)

    assert not path.exists() or path.read_bytes() == b""


def test_a_missing_folder_says_what_to_check(tmp_path: Path):
    with pytest.raises(StoreError, match="Check that the folder is there"):
        SqliteStore(tmp_path / "nowhere" / "store.db")


def test_a_store_held_by_another_program_says_so(store: SqliteStore, path: Path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._connection.rows("PRAGMA busy_timeout = 1")

    with pytest.raises(StoreError, match="Another program"), store.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()

    with store.transaction():
        store.put(Table.META, b"k", b"v")


# -------------------------------------------------------------------------------- the fake's own


def test_a_crash_forgets_what_is_not_committed():
    store = MemoryStore()
    with store.transaction():
        store.append(ALICE, example_head(1), b"1")

    with store.transaction():
        store.append(ALICE, example_head(2), b"2")
        store.put(Table.META, b"k", b"v")
        store.crash()

    assert store.heads() == {ALICE: example_head(1)}
    assert store.get(Table.META, b"k") is None


def test_a_backup_put_back_knows_nothing_later():
    store = MemoryStore()
    with store.transaction():
        store.append(ALICE, example_head(1), b"1")
        store.put(Table.META, b"k", b"old")
    backup = store.snapshot()
    with store.transaction():
        store.append(ALICE, example_head(2), b"2")
        store.put(Table.META, b"k", b"new")

    for _ in range(2):
        store.restore(backup)
        assert store.heads() == {ALICE: example_head(1)}
        assert list(store.scan(Table.META)) == [(b"k", b"old")]
        with store.transaction():
            store.append(ALICE, Head(2, example_head(9).hash, 7), b"another 2")


def test_a_full_fake_disk_refuses_the_whole_transaction():
    store = MemoryStore()
    store.full = True

    def write_on():
        with store.transaction():
            with pytest.raises(StoreFull):
                store.put(Table.META, b"k", b"v")
            store.full = False  # too late for this transaction

    with pytest.raises(StoreFull):
        write_on()

    with store.transaction():
        store.put(Table.META, b"l", b"v")
    assert list(store.scan(Table.META)) == [(b"l", b"v")]
