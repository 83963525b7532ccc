"""The acceptance suite of the store port: what ``SqliteStore`` and ``MemoryStore`` both promise.

``check_store(make_store)`` runs all of it; ``STORE_CHECKS`` offers each check by itself, so that
a test run can name the one that failed. ``make_store`` returns a new, empty store each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from meerkat.core.ids import AuthorId, OperationHash
from meerkat.core.ports import Head, Table
from meerkat.store.interface import TransactionalStore

__all__ = ["STORE_CHECKS", "check_store", "example_head"]

MakeStore = Callable[[], TransactionalStore]

ALICE = AuthorId(b"a" * 32)
BOB = AuthorId(b"b" * 32)
LARGE = 1 << 20  # the largest operation (design, section 2)


def check_store(make_store: MakeStore) -> None:
    """Check everything. Raises AssertionError with the check's name in the traceback."""
    for check in STORE_CHECKS:
        check(make_store)


def example_head(sequence: int) -> Head:
    """A head whose hash and Lamport time follow from its sequence."""
    return Head(sequence, OperationHash(sequence.to_bytes(32, "big")), 10 * sequence)


def _append(store: TransactionalStore, author: AuthorId, first: int, last: int) -> None:
    for sequence in range(first, last + 1):
        store.append(author, example_head(sequence), _data(sequence))


def _data(sequence: int) -> bytes:
    return b"operation %d" % sequence


def _raises(error: type[BaseException], action: Callable[[], object]) -> None:
    try:
        action()
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


class _Stop(BaseException):
    """Ends a transaction in a way that no ``except Exception`` catches."""


def _rolled_back(store: TransactionalStore, writes: Callable[[], object]) -> None:
    try:
        with store.transaction():
            writes()
            raise _Stop
    except _Stop:
        pass


def starts_empty(make_store: MakeStore) -> None:
    """A new store holds nothing."""
    store = make_store()
    assert store.heads() == {}
    assert store.operation(ALICE, 1) is None
    assert store.operations(ALICE, 1, 9, limit_bytes=LARGE) == []
    assert all(list(store.scan(table)) == [] for table in Table)
    assert not store.failed


def appends_in_sequence(make_store: MakeStore) -> None:
    """Sequences count 1, 2, 3 for each author; anything else is refused and changes nothing."""
    store = make_store()
    with store.transaction():
        _append(store, ALICE, 1, 2)
        _append(store, BOB, 1, 1)
        for wrong in (0, 1, 2, 4):
            _raises(ValueError, partial(_append, store, ALICE, wrong, wrong))
        _append(store, ALICE, 3, 3)
    assert store.heads() == {ALICE: example_head(3), BOB: example_head(1)}
    assert [store.operation(ALICE, n) for n in (0, 1, 3, 4)] == [None, _data(1), _data(3), None]


def refuses_counters_over_53_bits(make_store: MakeStore) -> None:
    """A Lamport time that would not fit everywhere is refused (an accepted one stops a node)."""
    store = make_store()
    with store.transaction():
        for lamport in (-1, 1 << 53, 1 << 63):
            head = Head(1, example_head(1).hash, lamport)
            _raises(ValueError, partial(store.append, ALICE, head, b"x"))
        store.append(ALICE, Head(1, example_head(1).hash, (1 << 53) - 1), b"x")
    assert store.heads()[ALICE].lamport == (1 << 53) - 1


def reads_ranges(make_store: MakeStore) -> None:
    """Ranges are clipped to the log and end before the limit, but hold one operation at least."""
    store = make_store()
    with store.transaction():
        _append(store, ALICE, 1, 20)
    size = len(_data(1))
    assert store.operations(ALICE, 1, 3, limit_bytes=LARGE) == [_data(1), _data(2), _data(3)]
    assert store.operations(ALICE, 19, 99, limit_bytes=LARGE) == [_data(19), _data(20)]
    assert store.operations(ALICE, -5, 1, limit_bytes=LARGE) == [_data(1)]
    assert store.operations(ALICE, 21, 30, limit_bytes=LARGE) == []
    assert store.operations(ALICE, 5, 4, limit_bytes=LARGE) == []
    assert store.operations(BOB, 1, 9, limit_bytes=LARGE) == []
    assert store.operations(ALICE, 1, 9, limit_bytes=0) == [_data(1)]
    assert store.operations(ALICE, 1, 9, limit_bytes=2 * size) == [_data(1), _data(2)]
    assert store.operations(ALICE, 1, 9, limit_bytes=3 * size - 1) == [_data(1), _data(2)]


def keeps_any_bytes(make_store: MakeStore) -> None:
    """Operations and values come back byte for byte, empty ones and the largest too."""
    store = make_store()
    contents = [b"", b"\0", bytes(range(256)), b"\xff\xfe", b"x" * LARGE]
    with store.transaction():
        for number, content in enumerate(contents, 1):
            store.append(ALICE, example_head(number), content)
            store.put(Table.META, b"%d" % number, content)
        store.put(Table.META, b"", b"empty key")
    store.reopen()
    for number, content in enumerate(contents, 1):
        assert store.operation(ALICE, number) == content
        assert store.get(Table.META, b"%d" % number) == content
    assert store.get(Table.META, b"") == b"empty key"


def keeps_tables_apart(make_store: MakeStore) -> None:
    """One key in every table is that many entries; put replaces, delete removes if there."""
    store = make_store()
    with store.transaction():
        for table in Table:
            store.put(table, b"key", b"first")
            store.put(table, b"key", table.value.encode())
        store.delete(Table.MEMBER, b"key")
        store.delete(Table.MEMBER, b"key")
    for table in Table:
        expected = None if table is Table.MEMBER else table.value.encode()
        assert store.get(table, b"key") == expected
        assert list(store.scan(table)) == ([] if expected is None else [(b"key", expected)])


def scans_by_prefix(make_store: MakeStore) -> None:
    """Scans return the keys with the prefix, all of them, in byte order; 0xff too."""
    store = make_store()
    keys = [b"", b"\0", b"a", b"a\0", b"a\xff", b"a\xff\xff", b"b", b"\xfe", b"\xff", b"\xff\xff"]
    keys += [b"\xff\xff\xff", b"b" * 300, b"a\xff\xffz"]
    with store.transaction():
        store.put_many(Table.DISK, ((key, b"v" + key) for key in reversed(keys)))
    for prefix in [*keys, b"z", b"a\xff\xff\xff", b"\xff\0"]:
        expected = [(key, b"v" + key) for key in sorted(keys) if key.startswith(prefix)]
        assert list(store.scan(Table.DISK, prefix)) == expected, prefix


def scans_are_snapshots(make_store: MakeStore) -> None:
    """What is written during a scan does not show in it, however long it is."""
    store = make_store()
    entries = [(b"%04d" % number, b"old") for number in range(500)]
    with store.transaction():
        store.put_many(Table.RECORD, entries)
        seen = []
        for key, value in store.scan(Table.RECORD):
            seen.append((key, value))
            store.delete(Table.RECORD, key)
            store.put(Table.RECORD, key + b"+", b"new")
    assert seen == entries
    assert list(store.scan(Table.RECORD)) == [(key + b"+", b"new") for key, _ in entries]
    half_read = store.scan(Table.RECORD)
    next(half_read)
    _rolled_back(store, lambda: store.put_many(Table.RECORD, [(key, b"x") for key, _ in entries]))
    assert len(list(half_read)) == len(entries) - 1


def rolls_back_everything(make_store: MakeStore) -> None:
    """Whatever ends a transaction early, the store is as it was, its heads too."""
    store = make_store()
    with store.transaction():
        _append(store, ALICE, 1, 3)
        store.put_many(Table.META, [(b"kept", b"1"), (b"gone", b"2")])

    def writes() -> None:
        _append(store, ALICE, 4, 5)
        _append(store, BOB, 1, 2)
        store.put_many(Table.META, [(b"kept", b"changed"), (b"new", b"3")])
        store.delete(Table.META, b"gone")
        assert store.heads() == {ALICE: example_head(5), BOB: example_head(2)}
        assert store.get(Table.META, b"kept") == b"changed"

    for _ in range(2):
        _rolled_back(store, writes)
        assert store.heads() == {ALICE: example_head(3)}
        assert len(store.operations(ALICE, 1, 9, limit_bytes=LARGE)) == 3
        assert store.operation(BOB, 1) is None
        assert list(store.scan(Table.META)) == [(b"gone", b"2"), (b"kept", b"1")]
    with store.transaction():
        _append(store, BOB, 1, 1)
        _append(store, ALICE, 4, 4)
    store.reopen()
    assert store.heads() == {ALICE: example_head(4), BOB: example_head(1)}


def writes_inside_transactions_only(make_store: MakeStore) -> None:
    """A write outside a transaction, or a transaction inside one, is a bug and says so."""
    store = make_store()
    _raises(RuntimeError, lambda: store.put(Table.META, b"k", b"v"))
    _raises(RuntimeError, lambda: store.delete(Table.META, b"k"))
    _raises(RuntimeError, lambda: _append(store, ALICE, 1, 1))

    def nested() -> None:
        with store.transaction():
            pass

    with store.transaction():
        store.put(Table.META, b"k", b"v")
        _raises(RuntimeError, nested)
        store.put(Table.META, b"l", b"v")
    assert store.heads() == {}
    assert list(store.scan(Table.META)) == [(b"k", b"v"), (b"l", b"v")]


def survives_reopening(make_store: MakeStore) -> None:
    """What is committed is there after reopening, and all of it is sound."""
    store = make_store()
    for sequence in range(1, 4):
        with store.transaction():
            _append(store, ALICE, sequence, sequence)
            store.put(Table.TEXT, b"%d" % sequence, b"text")
    store.reopen()
    store.quick_check()
    store.verify()
    assert store.heads() == {ALICE: example_head(3)}
    assert [key for key, _ in store.scan(Table.TEXT)] == [b"1", b"2", b"3"]


STORE_CHECKS: list[Callable[[MakeStore], None]] = [
    starts_empty,
    appends_in_sequence,
    refuses_counters_over_53_bits,
    reads_ranges,
    keeps_any_bytes,
    keeps_tables_apart,
    scans_by_prefix,
    scans_are_snapshots,
    rolls_back_everything,
    writes_inside_transactions_only,
    survives_reopening,
]
