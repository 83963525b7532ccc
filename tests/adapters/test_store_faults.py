"""D3, D4, D5: full disks, disks that refuse to sync, and disks that turn bits.

``MEERKAT_FLIPS`` sets the turned bits; the nightly run takes a thousand.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import meerkat
from meerkat.core.ids import AuthorId
from meerkat.core.ports import Head, Table
from meerkat.errors import StoreDamaged, StoreError, StoreFull
from meerkat.store import SqliteStore
from meerkat.testing.check_store import example_head
from tests.faults import write_and_tell
from tests.faults.write_and_tell import AUTHOR, REFUSED, data_of, numbers_in

SITES_AT_START = 20
SITE_STEP = 23
FLIPS = int(os.environ.get("MEERKAT_FLIPS", "120"))

# ------------------------------------------------------------------------------------ D3: no room


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=64", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def append_until_refused(store: SqliteStore, size: int) -> StoreError:
    head = store.heads().get(AUTHOR)
    number = head.sequence if head else 0
    while True:
        number += 1
        try:
            with store.transaction():
                store.append(AUTHOR, example_head(number), b"x" * size)
        except StoreError as error:
            assert store.heads().get(AUTHOR) == (example_head(number - 1) if number > 1 else None)
            return error


@pytest.mark.needs_root
@pytest.mark.parametrize("size", [200, 20_000, 300_000])
def test_a_full_disk_loses_nothing_and_goes_on(small_disk: Path, size: int):
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1_000_000)
    store = SqliteStore(small_disk / "store.db")

    for filled in (500_000, 0):  # full twice
        assert isinstance(append_until_refused(store, size), StoreFull)
        assert not store.failed
        kept = store.heads()
        assert isinstance(append_until_refused(store, size), StoreFull)
        store.verify()
        assert store.heads() == kept
        os.truncate(filler, filled)
        with store.transaction():
            store.append(AUTHOR, example_head(kept[AUTHOR].sequence + 1), b"y")

    store.close()
    store = SqliteStore(small_disk / "store.db", must_exist=True)
    store.verify()
    assert store.operation(AUTHOR, store.heads()[AUTHOR].sequence) == b"y"
    store.close()


@pytest.mark.needs_root
def test_a_disk_without_room_for_the_store_says_full(small_disk: Path):
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)

    with pytest.raises(StoreFull):
        SqliteStore(small_disk / "store.db")

    filler.unlink()
    SqliteStore(small_disk / "store.db").close()


@pytest.mark.needs_root
def test_a_disk_without_inodes_says_full(small_disk: Path):
    SqliteStore(small_disk / "store.db").close()
    with suppress(OSError):
        for number in range(100):
            (small_disk / f"{number}").touch()

    with pytest.raises(StoreFull):
        SqliteStore(small_disk / "store.db")

    (small_disk / "0").unlink()
    (small_disk / "1").unlink()
    SqliteStore(small_disk / "store.db").close()


# --------------------------------------------------------------------- D4: the disk refuses to sync


def child_with_failing(
    call: str, which: int, folder: Path, error: str = "EIO"
) -> tuple[list[int], str, str]:
    """Append 40 operations; one call fails. What was promised, how it ended, and the trace."""
    trace = folder / "trace"
    inject = f"inject={call}:error={error}:when={which}"
    strace = ["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", f"trace={call}", "-e", inject]
    done = subprocess.run(
        [*strace, sys.executable, write_and_tell.__file__, "store", str(folder), "40"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(meerkat.__file__).parents[1])},
        check=False,
    )
    assert done.returncode in (0, REFUSED), done.stderr.decode()
    return numbers_in(done.stdout), done.stderr.decode(), trace.read_text()


@pytest.mark.needs_tool("strace")
@pytest.mark.parametrize("which", [1, 2, 3, 17])
def test_a_failed_sync_promises_nothing_and_ends_the_handle(tmp_path: Path, which: int):
    SqliteStore(tmp_path / "store.db").close()

    promised, ended, trace = child_with_failing("fdatasync", which, tmp_path)

    (injected,) = [line for line in trace.splitlines() if "INJECTED" in line]
    if "store.db-wal>" in injected:
        assert ended == "StoreError failed\n"
    else:  # the folder, whose failure SQLite ignores: the store has synced it before
        assert len(promised) == 40
    assert kept_in(tmp_path / "store.db") - len(promised) in (0, 1)


def kept_in(path: Path) -> int:
    """How many operations are there, after checking that each is what was written."""
    store = SqliteStore(path)
    store.verify()
    kept = store.heads()[AUTHOR].sequence if store.heads() else 0
    found = store.operations(AUTHOR, 1, kept, limit_bytes=1 << 30)
    store.close()
    assert found == [data_of(number) for number in range(1, kept + 1)]
    return kept


@pytest.mark.slow
@pytest.mark.needs_tool("strace")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EINTR"])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "ftruncate", "fsync"])
def test_a_failing_call_anywhere_breaks_no_promise(tmp_path: Path, call: str, error: str):
    """Also while the store is first made: every call at the start, then each SITE_STEPth."""
    which = 1
    while True:
        folder = tmp_path / f"{which}"
        folder.mkdir()
        promised, ended, trace = child_with_failing(call, which, folder, error)
        if "INJECTED" not in trace:
            return
        kept = kept_in(folder / "store.db")
        # The refused one may have reached the disk, no more.
        assert kept - len(promised) in (0, 1), (which, ended)
        assert ended or len(promised) == 40, which
        which += 1 if which < SITES_AT_START else SITE_STEP


@pytest.mark.needs_tool("strace")
def test_a_folder_that_cannot_be_synced_is_refused(tmp_path: Path):
    promised, ended, _ = child_with_failing("fsync", 1, tmp_path)

    assert (promised, ended) == ([], "StoreError at once\n")


@pytest.fixture
def limited_files() -> Iterator[None]:
    """No file may grow past 200 kB, which SQLite meets as an I/O error (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_after_a_disk_error_only_reopening_helps(tmp_path: Path, limited_files: None):
    store = SqliteStore(tmp_path / "store.db")
    with store.transaction():
        store.append(AUTHOR, example_head(1), data_of(1))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited[1]))

    error = append_until_refused(store, 2000)

    assert not isinstance(error, StoreFull)
    assert store.failed
    with pytest.raises(StoreError, match="check the disk"):
        store.get(Table.META, b"k")
    with pytest.raises(StoreError, match="check the disk"), store.transaction():
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    kept = store.heads()

    store.reopen()

    assert not store.failed
    assert store.heads() == kept
    with store.transaction():
        store.append(AUTHOR, example_head(kept[AUTHOR].sequence + 1), b"on")
    store.verify()
    store.close()


def test_a_refused_write_spoils_its_transaction(tmp_path: Path, limited_files: None):
    """Nobody who swallows the error can commit half of a transaction, or write past it."""
    store = SqliteStore(tmp_path / "store.db")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    store._connection.rows("PRAGMA cache_size = 1")  # so that a write reaches the disk at once

    def swallow():
        with store.transaction():
            store.put(Table.META, b"before", b"")
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
            refused = 0
            for number in range(40):
                try:
                    store.put(Table.META, b"%d" % number, b"x" * 20_000)
                except StoreError:
                    refused += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            assert refused > 1

    with pytest.raises(StoreError):
        swallow()
    store.reopen()
    assert list(store.scan(Table.META)) == []
    store.close()


# ---------------------------------------------------------------------- D5: turned bits

OPERATIONS = 1200
ENTRIES = 900


def written_store(path: Path) -> None:
    chance = random.Random(5)
    store = SqliteStore(path)
    with store.transaction():
        for author in (AUTHOR, AuthorId(b"b" * 32)):
            for number in range(1, OPERATIONS + 1):
                store.append(author, example_head(number), chance.randbytes(150))
        for table in (Table.RECORD, Table.META):
            store.put_many(
                table, ((b"%06d" % number, chance.randbytes(200)) for number in range(ENTRIES))
            )
    store.close()


def everything_in(path: Path) -> tuple[dict[AuthorId, Head], list[bytes], list[object]]:
    """All a reader can learn, with every check on the way."""
    store = SqliteStore(path, must_exist=True)
    try:
        store.verify()
        heads = store.heads()
        operations = [
            data
            for author, head in sorted(heads.items())
            for data in store.operations(author, 1, head.sequence, limit_bytes=1 << 30)
        ]
        entries: list[object] = [
            (table, key, value, store.get(table, key))
            for table in Table
            for key, value in store.scan(table)
        ]
    finally:
        store.close()
    return heads, operations, entries


def test_a_turned_bit_is_noticed_or_harmless(tmp_path: Path):
    path = tmp_path / "store.db"
    written_store(path)
    sound, content = everything_in(path), path.read_bytes()
    assert len(content) > 900_000
    chance = random.Random(7)
    noticed = 0
    for round_ in range(FLIPS):
        place = round_ * len(content) // FLIPS + chance.randrange(len(content) // FLIPS)
        place = round_ if round_ < 100 and round_ % 2 else place  # every second: the file's header
        turned = bytearray(content)
        turned[place] ^= 1 << chance.randrange(8)
        path.write_bytes(turned)
        try:
            found = everything_in(path)
        except StoreError:
            noticed += 1
        else:
            assert found == sound, f"bit turned at {place}"
    assert noticed > FLIPS / 2


@pytest.mark.parametrize("damage", ["not a database", "cut in half", "zeros"])
def test_a_damaged_file_says_so(tmp_path: Path, damage: str):
    path = tmp_path / "store.db"
    written_store(path)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(
        {
            "not a database": b"garbage " * 1000,
            "cut in half": content[:half],
            "zeros": content[:half] + bytes(len(content) - half),
        }[damage]
    )

    with pytest.raises(StoreDamaged, match="meerkat rebuild"):
        everything_in(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operations SET data = zeroblob(150) WHERE sequence = 700",
        "UPDATE operations SET data = CAST('text' AS TEXT) WHERE sequence = 700",
        "UPDATE operations SET hash = zeroblob(32) WHERE sequence = 700",
        "UPDATE operations SET lamport = lamport + 1 WHERE sequence = 700",
        "UPDATE operations SET lamport = 'x' WHERE sequence = 700",
        "UPDATE operations SET lamport = -9223372036854775808 WHERE sequence = 700",
        "UPDATE operations SET sequence = 5000 WHERE sequence = 700 AND author = 1",
        "DELETE FROM operations WHERE sequence = 700",
        "DELETE FROM authors WHERE number = 1",
        "UPDATE authors SET key = zeroblob(32) WHERE number = 1",
        "UPDATE authors SET key = zeroblob(31) WHERE number = 1",
        "UPDATE kv_record SET value = zeroblob(200) WHERE key = x'303030303037'",
        "UPDATE kv_record SET key = zeroblob(6) WHERE key = x'303030303037'",
        "UPDATE kv_record SET crc = 'x' WHERE key = x'303030303037'",
        "DROP TABLE kv_record",
    ],
)
def test_a_row_that_is_not_as_written_says_so(tmp_path: Path, statement: str):
    path = tmp_path / "store.db"
    written_store(path)
    store = SqliteStore(path)
    store._connection.begin()
    store._connection.write(statement, ())
    store._connection.commit()
    store.close()

    with pytest.raises(StoreError):
        everything_in(path)
