"""Looks find all that programs changed, whatever they did to the file's pages and its log."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.rows.looking import Looking, Programs


@pytest.mark.parametrize("seed", range(6))
def test_random_programs(tmp_path: Path, seed: int) -> None:
    run_programs(tmp_path / "x.db", seed, steps=12)


def run_programs(path: Path, seed: int, steps: int) -> None:
    settings = [
        "PRAGMA journal_mode = wal",
        "PRAGMA page_size = 512; PRAGMA journal_mode = wal",
        "PRAGMA page_size = 1024; PRAGMA auto_vacuum = 1",
        "PRAGMA page_size = 512; PRAGMA auto_vacuum = 2; PRAGMA journal_mode = wal",
        "PRAGMA encoding = 'UTF-16le'; PRAGMA journal_mode = wal",
        "",
    ]
    looking = Looking(path, settings[seed % len(settings)])
    programs = Programs(looking, seed)
    random = programs.random
    try:
        programs.create()
        for _ in range(steps):
            for _ in range(random.randrange(1, 5)):
                programs.step()
            chance = random.random()
            programs.log.append(f"look {chance:.2f}")
            wal = looking.program.execute("PRAGMA journal_mode").get == "wal"
            if chance < 0.1:
                looking.look(lose=True)
            elif chance < 0.2:
                looking.look(plain=True)
            elif chance < 0.3:
                looking.look(immediate=True)
            elif chance < 0.5 and wal:
                looking.look(meanwhile=programs.insert)
            elif chance < 0.6 and wal:
                between(looking, programs)
            elif chance < 0.75 and wal:
                amid(looking, programs)
            else:
                looking.look()
        looking.look()
        assert looking.look() == []
    except BaseException:
        print("\n".join(programs.log[-60:]))
        raise
    finally:
        looking.close()


def amid(looking: Looking, programs: Programs) -> None:
    """Programs commit while we read; if all was copied before, the log begins anew under us."""
    if programs.random.random() < 0.7:
        programs.run("PRAGMA wal_checkpoint(FULL)")
    looking.file.then = programs.insert
    looking.file.reads = programs.random.choice([2, 3, 4, 5, 6, 8, 12, 20, 40, 80])
    looking.look()
    looking.file.then = None


def between(looking: Looking, programs: Programs) -> None:
    """Programs commit after it was asked what is published, and before our transaction begins."""

    def commit(_cursor: object, sql: str, _bindings: object) -> bool:
        if sql.startswith("BEGIN"):
            programs.transaction()
            programs.insert()
        return True

    looking.file.exec_trace = commit
    try:
        looking.look()
    finally:
        looking.file.exec_trace = None


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Looking]:
    looking = Looking(tmp_path / "x.db", "PRAGMA page_size = 1024; PRAGMA journal_mode = wal")
    looking.program.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    fill(looking.program, 2000)
    looking.program.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    looking.look()
    yield looking
    looking.close()


def fill(program: apsw.Connection, count: int) -> None:
    program.execute(
        f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        " INSERT INTO t (a) SELECT 'row ' || i FROM n"
    )


def change(looking: Looking, row: int, value: object = "changed") -> None:
    looking.program.execute("UPDATE t SET a = ? WHERE id = ?", (value, row))


def found(looking: Looking) -> list[object]:
    return [delta.new_at for delta in looking.look()]


def few(looking: Looking) -> bool:
    """Whether the last look had only a few rows to compare."""
    look = looking.last
    return not look.everything and not look.tables and sum(map(len, look.ranges.values())) < 4


def test_one_row(looking: Looking) -> None:
    change(looking, 1000)
    assert found(looking) == [1000]
    assert few(looking)
    assert looking.look() == []
    assert looking.last.nothing


def test_one_row_in_rollback_mode(looking: Looking) -> None:
    looking.file.close()
    looking.program.execute("PRAGMA journal_mode = delete")
    looking.reopen_file()
    assert looking.look() == []
    for row in (1000, 1, 2000, 1001):
        change(looking, row, row + 0.5)
        assert found(looking) == [row]
        assert few(looking)


def test_many_regions_in_rollback_mode(tmp_path: Path) -> None:
    """Regions are left out only if they are what they were at the look that was accepted last."""
    looking = Looking(tmp_path / "x.db")
    try:
        looking.program.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        fill(looking.program, 10_000)
        looking.program.execute("ALTER TABLE t ADD b")
        looking.program.execute("UPDATE t SET b = zeroblob(90)")  # about a megabyte
        looking.look()
        for number, row in enumerate((7, 9_999, 5_000, 5_001)):
            change(looking, row)
            if number == 1:
                looking.look(lose=True)
            elif number == 2:
                looking.restart()
            assert [delta.new_at for delta in looking.look()] == [row]
            assert [len(ranges) for ranges in looking.last.ranges.values()] == [1]
        looking.program.execute("UPDATE t SET a = 'row 7' WHERE id = 7")
        looking.program.execute("DELETE FROM t WHERE id > 9000")
        looking.program.execute("PRAGMA journal_mode = wal")
        change(looking, 8)
        looking.look()
        looking.reopen_file()  # a handle that has the log open stands in the way
        looking.program.execute("PRAGMA journal_mode = delete")
        change(looking, 8, "row 8")
        assert len(looking.look()) == 1
        looking.program.execute("VACUUM")
        assert looking.look() == []
    finally:
        looking.close()


def test_a_log_that_began_anew_once(looking: Looking) -> None:
    """The rest of the last generation is still there behind the frames of the new one."""
    for row in range(1, 2000, 100):
        change(looking, row)
    assert len(found(looking)) == 20
    change(looking, 5)
    looking.program.execute("PRAGMA wal_checkpoint(RESTART)")
    change(looking, 1995)
    assert found(looking) == [5, 1995]
    assert few(looking)


def test_a_log_that_began_anew_twice(looking: Looking) -> None:
    change(looking, 7)
    assert found(looking) == [7]
    for row in (5, 1000, 1995):
        change(looking, row)
        looking.program.execute("PRAGMA wal_checkpoint(RESTART)")
    assert found(looking) == [5, 1000, 1995]
    assert few(looking)


def test_a_log_that_was_copied_and_not_begun_anew(looking: Looking) -> None:
    change(looking, 5)
    assert found(looking) == [5]
    change(looking, 6)
    looking.program.execute("PRAGMA wal_checkpoint(RESTART)")
    assert found(looking) == [6]
    assert looking.look() == []
    change(looking, 7)
    assert found(looking) == [7]
    assert few(looking)


def test_a_log_that_is_gone(looking: Looking) -> None:
    change(looking, 5)
    assert found(looking) == [5]
    change(looking, 6)
    looking.file.close()
    looking.program.close()  # the last one out empties the log and removes it
    assert not Path(f"{looking.path}-wal").exists()
    looking.program = apsw.Connection(str(looking.path))
    looking.reopen_file()
    assert found(looking) == [6]
    assert few(looking)


def test_a_power_cut_takes_commits_back(looking: Looking) -> None:
    """What was seen and taken over is undone in the file, so it differs again."""
    change(looking, 5)
    assert found(looking) == [5]
    kept = {name: Path(f"{looking.path}{name}").read_bytes() for name in ("", "-wal")}
    change(looking, 6)
    change(looking, 5, "once more")
    assert found(looking) == [5, 6]
    looking.file.close()
    looking.program.close()
    for name, data in kept.items():
        Path(f"{looking.path}{name}").write_bytes(data)
    looking.reopen_file()
    looking.program = apsw.Connection(str(looking.path))
    assert found(looking) == [5, 6]
    change(looking, 7)
    assert found(looking) == [7]


def test_another_file_in_its_place(looking: Looking, tmp_path: Path) -> None:
    other = Looking(tmp_path / "y.db", "PRAGMA page_size = 512")
    other.program.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    fill(other.program, 500)
    other.close()
    looking.file.close()
    looking.program.close()
    looking.path.write_bytes((tmp_path / "y.db").read_bytes())
    looking.program = apsw.Connection(str(looking.path))
    looking.reopen_file()
    looking.look()
    assert looking.last.everything
    change(looking, 3)
    assert found(looking) == [3]


def test_frames_of_a_writer_that_died(looking: Looking, tmp_path: Path) -> None:
    """They are whole and end a transaction, yet nobody sees them, and the next writer overwrites
    them."""
    change(looking, 5)
    assert found(looking) == [5]
    for name in ("", "-wal"):
        (tmp_path / f"copy.db{name}").write_bytes(Path(f"{looking.path}{name}").read_bytes())
    copy = apsw.Connection(str(tmp_path / "copy.db"))
    length = (tmp_path / "copy.db-wal").stat().st_size
    copy.execute("UPDATE t SET a = 'never' WHERE id IN (5, 1500)")
    tail = (tmp_path / "copy.db-wal").read_bytes()[length:]
    copy.close()
    log = Path(f"{looking.path}-wal")
    log.write_bytes(log.read_bytes()[:length] + tail)
    assert looking.look() == []
    assert few(looking)
    assert looking.look() == []
    change(looking, 1500, "after all")
    assert found(looking) == [1500]
    assert few(looking)


@pytest.mark.parametrize("big_endian", [False, True])
def test_checksums_of_both_orders(looking: Looking, big_endian: bool) -> None:
    """Commits that may be visible, in a log that was written on another kind of machine."""
    change(looking, 5)
    looking.file.close()
    log = Path(f"{looking.path}-wal")
    data = with_checksums(log.read_bytes(), big_endian)
    image = looking.path.read_bytes()
    looking.program.close()
    looking.path.write_bytes(image)
    log.write_bytes(data)
    looking.program = apsw.Connection(str(looking.path))
    looking.reopen_file()
    assert found(looking) == [5]
    looking.look(meanwhile=lambda: change(looking, 6))
    assert few(looking)
    assert looking.last.ranges
    assert found(looking) == [6]
    assert Path(f"{looking.path}-wal").read_bytes()[3] & 1 == big_endian


def with_checksums(log: bytes, big_endian: bool) -> bytes:
    def words(data: bytes, one: int, two: int) -> tuple[int, int]:
        numbers = struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 4}I", data)
        for at in range(0, len(numbers), 2):
            one = (one + numbers[at] + two) % 2**32
            two = (two + numbers[at + 1] + one) % 2**32
        return one, two

    size = int.from_bytes(log[8:12], "big")
    start = (0x377F0682 | big_endian).to_bytes(4, "big") + log[4:24]
    one, two = words(start, 0, 0)
    found = start + struct.pack(">II", one, two)
    for at in range(32, len(log), size + 24):
        page = log[at + 24 : at + 24 + size]
        one, two = words(log[at : at + 8], one, two)
        one, two = words(page, one, two)
        found += log[at : at + 16] + struct.pack(">II", one, two) + page
    return found


def test_a_transaction_that_spills_and_does_not_end(looking: Looking) -> None:
    looking.program.execute("PRAGMA cache_size = 5; PRAGMA cache_spill = 5; BEGIN")
    fill(looking.program, 5000)
    length = Path(f"{looking.path}-wal").stat().st_size
    assert length > 50 * 1024
    assert looking.look() == []
    looking.program.execute("ROLLBACK")
    assert looking.look() == []
    change(looking, 9)
    assert found(looking) == [9]
    assert few(looking)


def test_only_an_overflow_page_changes(looking: Looking) -> None:
    looking.program.execute("INSERT INTO t VALUES (9000, zeroblob(100000))")
    looking.look()
    for at in (99_999, 50_000, 5_000):
        with looking.program.blob_open("main", "t", "a", 9000, True) as blob:
            blob.seek(at)
            blob.write(b"!")
        assert found(looking) == [9000]
        assert few(looking)


def test_in_the_file_s_own_transaction(looking: Looking) -> None:
    change(looking, 8)
    assert [one.new_at for one in looking.look(immediate=True)] == [8]
    assert looking.look() == []


def test_a_schema_that_changes(looking: Looking) -> None:
    looking.program.execute("CREATE TABLE u (x); INSERT INTO u VALUES (1)")
    assert [one.new for one in looking.look()] == [(1,)]
    assert (looking.last.schema_changed, looking.last.tables) == (True, {"u"})
    looking.program.execute("CREATE INDEX i ON t (a)")
    assert looking.look() == []
    assert (looking.last.schema_changed, looking.last.tables) == (True, set())
    looking.program.execute("PRAGMA user_version = 5")
    looking.look()
    assert looking.last.schema_changed
    looking.program.execute("ALTER TABLE t ADD COLUMN b DEFAULT 4")
    assert len(looking.look()) == 2000


def test_a_vacuum_finds_nothing(looking: Looking) -> None:
    looking.program.execute("DELETE FROM t WHERE id % 3 = 0")
    looking.look()
    looking.program.execute("VACUUM")
    assert looking.look() == []
    assert not looking.last.everything


def test_a_state_that_was_damaged(looking: Looking) -> None:
    for statement in (
        "DELETE FROM meerkat_tracked WHERE id = 2",
        "UPDATE meerkat_tracked SET data = x'ff' WHERE id = 1",
        "DELETE FROM meerkat_tracked_pages",
        "DELETE FROM meerkat_tracked_nodes",
    ):
        looking.state.execute(statement)
        looking.restart()
        change(looking, 11, statement)
        assert found(looking) == [11]
    change(looking, 12)
    assert found(looking) == [12]
    assert few(looking)


def test_forget(looking: Looking) -> None:
    looking.tracker.forget()
    looking.look()
    assert looking.last.everything
    change(looking, 12)
    assert found(looking) == [12]
    assert few(looking)


def test_a_commit_that_may_be_visible_is_undone_later(looking: Looking) -> None:
    """Its rows were taken over, and then the pages are again what was accepted before."""
    row = "INSERT INTO t VALUES (5000, 'x')"
    looking.program.execute("PRAGMA secure_delete = on")
    looking.program.execute(f"{row}; DELETE FROM t WHERE id = 5000")
    looking.look()
    looking.program.execute(row)
    assert [one.new_at for one in looking.look(plain=True)] == [5000]
    looking.program.execute("DELETE FROM t WHERE id = 5000")
    assert [one.old_at for one in looking.look()] == [5000]
    looking.program.execute(row)
    assert [one.new_at for one in looking.look(plain=True)] == [5000]
    looking.program.execute("DELETE FROM t WHERE id = 5000")
    for _ in range(2):  # the log's frames are lost, only hashes are left
        looking.program.execute("PRAGMA wal_checkpoint(RESTART)")
        change(looking, 1)
        looking.restart()
    assert [one.old_at for one in looking.look() if one.new is None] == [5000]
    assert few(looking)


WRITER = """
import random, sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
file.execute("PRAGMA synchronous = off")
file.execute("PRAGMA wal_autocheckpoint = 20")
file.execute("PRAGMA cache_size = 10")
chance = random.Random(1)
for _ in range(200):
    file.execute("BEGIN IMMEDIATE")
    for _ in range(chance.choice([1, 1, 1, 5, 50])):
        row, what = chance.randrange(1, 2500), chance.random()
        if what < 0.5:
            value = chance.choice("ab") * chance.choice([1, 50, 500, 3000])
            file.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (row, value))
        elif what < 0.8:
            file.execute("DELETE FROM t WHERE id = ?", (row,))
        else:
            change = "UPDATE t SET a = substr(a, 1, length(a) - 1) || ? WHERE id = ?"
            file.execute(change, (chance.choice("xyz"), row))
    file.execute(chance.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_beside_a_busy_process(looking: Looking, mode: str) -> None:
    """Every look, whenever it falls, agrees with what its own transaction sees."""
    looking.file.close()
    looking.program.execute(f"PRAGMA journal_mode = {mode}")
    looking.reopen_file()
    looking.file.set_busy_timeout(60_000)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(looking.path)])
    looks = 0
    while writer.poll() is None:
        looking.look()
        looks += 1
    assert writer.returncode == 0
    assert looks > 0
    looking.look()
    assert looking.look() == []
