"""The rows process from inside: what is done when; one database does not disturb another."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from meerkat.core import rows
from meerkat.core.rows import RowsEntry
from meerkat.rows.frames import FrameError, Splitter, frame
from meerkat.rows.lane import LaneConfig, cut_of
from meerkat.rows.serving import Serving, ServingConfig
from meerkat.rows.signature import signature_of
from meerkat.rows.values import RawText
from meerkat.rows.watching import MAX_CHANGES, Collected
from meerkat.rows.wire import (
    Answer,
    Aside,
    Cancel,
    Capture,
    Changes,
    Conflicts,
    DatabaseFacts,
    Describe,
    Look,
    Query,
    RowChanged,
    Rows,
    Said,
    Watch,
    decode_asked,
    decode_said,
    encode,
)
from meerkat.rows.working import Working, import_name, read_working

AUTHOR, OTHER = b"a" * 32, b"b" * 32
WITHIN = 20.0  # seconds; a busy machine is not a bug
BREATH = 0.01  # seconds; what a test waits for may have happened without the bell


class Process:
    """A ``Serving`` whose main thread is the test."""

    def __init__(self, folder: Path, config: ServingConfig) -> None:
        self.folder = folder
        self.said: list[Said] = []
        self._bell = threading.Event()
        (folder / ".meerkat" / "rows").mkdir(parents=True)
        self.serving = Serving(
            folder,
            self._say,
            self._bell.set,
            Working(folder / ".meerkat" / "rows" / "working"),
            config,
        )
        self.bases: dict[bytes, bytes] = {}
        self._tickets = 0

    def _say(self, said: Said) -> None:
        self.said.append(said)
        self._bell.set()

    def ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def of(self, kind: type[Any], **facts: object) -> list[Any]:
        return [
            one
            for one in list(self.said)
            if isinstance(one, kind)
            and all(getattr(one, name) == value for name, value in facts.items())
        ]

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, self.said
            self._bell.clear()
            within = self.serving.turn(time.monotonic())
            if not condition():
                self._bell.wait(min(within, BREATH))

    def wait_for(self, kind: type[Any], count: int = 1, **facts: object) -> Any:
        self.wait(lambda: len(self.of(kind, **facts)) >= count)
        return self.of(kind, **facts)[-1]

    def ask(self, asked: Any) -> Answer:
        self.serving.handle(asked)
        answer = self.wait_for(Answer, ticket=asked.ticket)
        assert isinstance(answer, Answer)
        return answer

    def run(self, name: str, sql: str) -> None:
        connection = apsw.Connection(str(self.folder / name))
        try:
            connection.set_busy_timeout(10_000)
            connection.execute(sql).fetchall()
        finally:
            connection.close()

    def bring(
        self,
        name: str,
        sql: str = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
        author: bytes = AUTHOR,
    ) -> bytes:
        """A new live database; its version."""
        self.run(name, sql)
        ticket = self.ticket()
        self.serving.handle(rows.ImportDatabase(ticket, name))
        imported = self.wait_for(rows.DatabaseImported, ticket=ticket)
        version = os.urandom(16)
        self.bases[version] = imported.digest
        self.load(version, author)
        self.serving.handle(rows.AttachDatabase(version, name))
        self.wait_for(rows.DatabaseAttached, version=version)
        return version

    def load(self, version: bytes, author: bytes = AUTHOR) -> None:
        self.serving.handle(rows.LoadDatabase(version, self.bases[version], author))


@pytest.fixture
def make_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(**options: Any) -> Process:
        process = Process(tmp_path.resolve(), ServingConfig(**options))
        made.append(process)
        return process

    yield make
    for process in made:
        assert process.serving.close(WITHIN)


@pytest.fixture
def process(make_process: Callable[..., Process]) -> Process:
    return make_process()


def test_a_change_is_reported_once_for_any_number_of_hints(process: Process):
    version = process.bring("one.db")
    process.run("one.db", "INSERT INTO t VALUES (1, 'x')")

    for _ in range(20):
        process.serving.handle(Look(("other.db", "one.db")))
    process.wait_for(rows.RowsCaptured, version=version)
    assert process.ask(Capture(process.ticket())).problem == ""

    assert len(process.of(rows.RowsCaptured)) == 1


def test_a_capture_waits_for_nobody_if_there_is_nothing(process: Process):
    assert process.ask(Capture(1)) == Answer(1)


def test_what_others_wrote_is_merged_in_order_and_counted(process: Process):
    there = process.bring("one.db")
    process.run("one.db", "INSERT INTO t VALUES (1, 'x'), (2, 'y'); ")
    process.serving.handle(Look(("one.db",)))
    captured = process.wait_for(rows.RowsCaptured, version=there)
    here = process.bring("two.db")

    entries = [
        RowsEntry(OTHER, number, number, 1, True, captured.batches[0]) for number in range(1, 50)
    ]
    for entry in entries:
        process.serving.handle(rows.ApplyRows(here, (entry,)))
    process.wait(lambda: sum(one.count for one in process.of(rows.RowsApplied)) == len(entries))

    assert process.of(rows.RowsApplied)[-1].have == ((OTHER, len(entries)),)
    answer = process.ask(Query(process.ticket(), "two.db", "SELECT count(*) FROM t", (), 1, 9.0))
    assert isinstance(answer.value, Rows)
    assert answer.value.rows[0][0] >= 2


def test_a_row_that_is_kept_out_is_shown(process: Process):
    sql = "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)"
    process.bring("one.db", sql, OTHER)
    here = process.bring("two.db", sql)
    for name in ("one.db", "two.db"):
        process.run(name, "INSERT INTO t(a) VALUES ('x')")
        process.serving.handle(Look((name,)))
    process.wait(lambda: len(process.of(rows.RowsCaptured)) == 2)
    theirs, ours = process.of(rows.RowsCaptured)
    if theirs.version == here:
        theirs, ours = ours, theirs
    process.serving.handle(rows.RowsSigned(here, ours.number, AUTHOR, ((9, 1),), 1))
    entry = RowsEntry(OTHER, 1, 1, 1_234, True, theirs.batches[0])
    process.serving.handle(rows.ApplyRows(here, (entry,)))
    process.wait_for(rows.DatabaseState, version=here, aside=1)

    answer = process.ask(Conflicts(process.ticket(), "two.db"))
    assert isinstance(answer.value, Aside)
    (conflict,) = answer.value.conflicts
    assert (conflict.table, conflict.values["a"]) == ("t", "x")
    assert (conflict.author, conflict.wall_ms) == (OTHER, 1_234)
    assert conflict.reason
    facts = process.ask(Describe(process.ticket(), "two.db")).value
    assert isinstance(facts, DatabaseFacts)
    assert facts.aside == 1
    sql = """SELECT "table", json_extract("values", '$.a') FROM MEERKAT_conflicts"""
    shown = process.ask(Query(process.ticket(), "two.db", sql, (), 9, 9.0)).value
    assert isinstance(shown, Rows)
    assert shown.rows == (("t", "x"),)


def test_a_capture_is_told_even_if_the_file_is_busy_right_after(
    make_process: Callable[..., Process],
):
    process = make_process(poll=1e9)
    process.bring("one.db", author=OTHER)
    process.run("one.db", "INSERT INTO t VALUES (1, 'x')")
    process.serving.handle(Look(("one.db",)))
    theirs = process.wait_for(rows.RowsCaptured).batches[0]
    here = process.bring("two.db")
    process.ask(Capture(process.ticket()))
    holder = apsw.Connection(str(process.folder / "two.db"))

    def hold(step: str) -> None:
        if step == "file committed" and not holder.in_transaction:
            holder.execute("BEGIN EXCLUSIVE")

    lane = process.serving._lanes[here]
    assert lane.database is not None
    lane.database.at_step = hold
    process.run("two.db", "INSERT INTO t VALUES (2, 'y')")
    process.serving.handle(rows.ApplyRows(here, (RowsEntry(OTHER, 1, 1, 1, True, theirs),)))

    process.wait(lambda: holder.in_transaction)
    process.wait_for(rows.RowsCaptured, version=here)
    assert not process.of(rows.RowsApplied)
    lane.database.at_step = lambda _: None
    holder.execute("ROLLBACK")
    holder.close()
    assert process.wait_for(rows.RowsApplied, version=here).count == 1


def test_a_database_that_fails_stops_alone(process: Process, caplog: pytest.LogCaptureFixture):
    good, bad = process.bring("good.db"), process.bring("bad.db")

    def fail(_: str) -> None:
        raise ZeroDivisionError

    lane = process.serving._lanes[bad]
    assert lane.database is not None
    lane.database.at_step = fail
    process.run("bad.db", "INSERT INTO t VALUES (1, 'x')")
    process.serving.handle(Look(("bad.db",)))

    detached = process.wait_for(rows.DatabaseDetached, version=bad)
    assert "ZeroDivisionError" in detached.reason
    assert process.wait_for(rows.DatabaseState, version=bad).problem == detached.reason
    assert "ZeroDivisionError" in caplog.text

    process.load(bad)
    process.serving.handle(rows.ApplyRows(bad, ()))
    process.serving.handle(rows.AttachDatabase(bad, "bad.db"))
    assert process.wait_for(rows.DatabaseDetached, 2, version=bad).reason == detached.reason
    process.serving.handle(rows.ExportDatabase(bad))
    assert process.wait_for(rows.DatabaseExported, version=bad).reason == detached.reason
    process.serving.handle(rows.DetachDatabase(bad))
    assert process.wait_for(rows.DatabaseDetached, 3, version=bad).reason == ""
    assert "no live database" in process.ask(Describe(process.ticket(), "bad.db")).problem

    process.run("good.db", "INSERT INTO t VALUES (1, 'x')")
    process.serving.handle(Look(("good.db",)))
    process.wait_for(rows.RowsCaptured, version=good)


def test_a_full_disk_of_ours_is_waited_out(
    make_process: Callable[..., Process], caplog: pytest.LogCaptureFixture
):
    process = make_process(lanes=LaneConfig(trouble_retry=0.01))
    version = process.bring("one.db")
    failures = ["full", "full"]

    def fill(_: str) -> None:
        if failures:
            raise apsw.FullError(failures.pop())

    lane = process.serving._lanes[version]
    assert lane.database is not None
    lane.database.at_step = fill
    process.run("one.db", "INSERT INTO t VALUES (1, 'x')")
    process.serving.handle(Look(("one.db",)))
    process.wait_for(rows.RowsCaptured, version=version)

    process.wait(lambda: process.of(rows.DatabaseState)[-1].problem == "")
    assert not process.of(rows.DatabaseDetached)
    assert failures == []


def test_a_file_that_a_program_holds_is_tried_again(process: Process):
    process.run("one.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    holder = apsw.Connection(str(process.folder / "one.db"))
    holder.execute("BEGIN EXCLUSIVE")
    process.serving.handle(rows.ImportDatabase(1, "one.db"))
    process.wait(lambda: import_name("one.db") not in read_working(process.serving._working.path))
    assert not process.said
    holder.execute("ROLLBACK")
    imported = process.wait_for(rows.DatabaseImported)

    version = process.bases.setdefault(bytes(16), imported.digest) and bytes(16)
    holder.execute("BEGIN EXCLUSIVE")
    process.load(version)
    process.serving.handle(rows.AttachDatabase(version, "one.db"))
    process.wait_for(rows.DatabaseLoaded)
    process.wait(lambda: not process.serving.is_idle or process.serving._later)
    assert not process.of(rows.DatabaseAttached)
    holder.execute("INSERT INTO t VALUES (1, 'x'); COMMIT")
    process.wait_for(rows.DatabaseAttached)
    process.wait_for(rows.RowsCaptured)
    holder.close()


def test_one_that_works_long_does_not_hold_up_another(process: Process):
    slow, quick = process.bring("slow.db"), process.bring("quick.db")
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000)"
    process.run("slow.db", f"INSERT INTO t {many} SELECT x, 'pear' FROM n")
    process.run("quick.db", "INSERT INTO t VALUES (1, 'x')")

    process.serving.handle(Look(("slow.db",)))
    process.serving.turn(time.monotonic())
    process.serving.handle(Look(("quick.db",)))
    process.wait(lambda: len(process.of(rows.RowsCaptured)) == 2)

    assert [one.version for one in process.of(rows.RowsCaptured)] == [quick, slow]


def test_a_write_of_ours_is_captured_without_a_hint(make_process: Callable[..., Process]):
    process = make_process(poll=1e9)
    version = process.bring("one.db")

    answer = process.ask(Query(1, "one.db", "INSERT INTO t VALUES (1, 'x')", (), 1, 9.0, True))

    assert isinstance(answer.value, Rows)
    assert answer.value.changed == 1
    process.wait_for(rows.RowsCaptured, version=version)


def test_what_nobody_hinted_at_is_found_and_handles_are_closed(
    make_process: Callable[..., Process],
):
    process = make_process(poll=0.01, idle=0.0)
    version = process.bring("one.db", "PRAGMA journal_mode = WAL; CREATE TABLE t(a)")
    process.run("one.db", "INSERT INTO t VALUES (1)")

    process.wait_for(rows.RowsCaptured, version=version)


def test_questions_about_what_is_not_live_are_answered(process: Process):
    for asked in (
        Query(1, "x.db", "SELECT 1", (), 1, 1.0),
        Describe(2, "x.db"),
        Conflicts(3, "x.db"),
        Watch(4, "x.db", "t"),
    ):
        assert process.ask(asked).problem == "x.db is no live database."
    process.serving.handle(Cancel(99))


def test_too_many_queries_at_once_are_refused(process: Process):
    process.bring("one.db")
    forever = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT max(x) FROM n"
    first = process.ticket()
    tickets = [first, *(process.ticket() for _ in range(64))]
    for ticket in tickets:
        process.serving.handle(Query(ticket, "one.db", forever, (), 1, 60.0))
    assert "Too many" in process.wait_for(Answer, ticket=tickets[-1]).problem

    for ticket in tickets:
        process.serving.handle(Cancel(ticket))
    process.wait(lambda: len(process.of(Answer)) == len(tickets))


def test_slices_end_with_a_transaction_if_one_ends_in_time():
    def entries(*ends: bool) -> list[RowsEntry]:
        return [RowsEntry(OTHER, n, n, 1, last, b"x" * 10) for n, last in enumerate(ends, 1)]

    config = LaneConfig(slice_entries=4, slice_bytes=1000)
    assert cut_of(entries(True, True), config) == 2
    assert cut_of(entries(True, True, False, False, True), config) == 2
    assert cut_of(entries(False, False, False, False, False, True), config) == 4
    assert cut_of(entries(True, True, True, True, True), config) == 4
    assert cut_of(entries(True, False, True), LaneConfig(slice_bytes=15)) == 1


def test_a_signature_knows_a_file_its_log_and_what_is_too_new(tmp_path: Path):
    path = tmp_path / "x.db"
    later = time.time() + 10
    nothing = signature_of(path, later)
    path.write_bytes(b"x")
    alone = signature_of(path, later)
    (tmp_path / "x.db-wal").touch()
    empty_log = signature_of(path, later)
    (tmp_path / "x.db-wal").write_bytes(b"y")
    logged = signature_of(path, later)

    assert nothing == ()
    assert alone == empty_log
    assert len({nothing, alone, logged}) == 3
    assert signature_of(path, path.stat().st_mtime) is None


def test_what_was_worked_on_survives_the_worker(tmp_path: Path):
    working = Working(tmp_path / "working")
    one, two = bytes(range(16)), import_name("a.db")
    with working.on(one):
        with working.on(two):
            assert read_working(tmp_path / "working") == {one, two}
        assert read_working(tmp_path / "working") == {one}
    assert read_working(tmp_path / "working") == frozenset()
    assert read_working(tmp_path / "missing") == frozenset()


def test_frames_come_out_as_they_went_in_however_they_are_cut():
    bodies = [b"", b"a", b"b" * 1000]
    stream = b"".join(map(frame, bodies))

    for size in (1, 3, len(stream)):
        splitter = Splitter()
        found = [
            body
            for at in range(0, len(stream), size)
            for body in splitter.feed(stream[at : at + size])
        ]
        assert found == bodies
    with pytest.raises(FrameError):
        Splitter().feed(b"\xff\xff\xff\xff")


def test_values_travel_as_they_are():
    cells = (None, 2**63 - 1, -(2**63), 1.0, "é", b"\xff", RawText(b"\xff"))
    asked = Query(1, "x.db", "SELECT 1", cells, 10, 1.0)
    changed = RowChanged("t", "update", (1,), {"a": RawText(b"\xff")}, {"a": b""}, AUTHOR)
    said = Changes(1, (changed,), again=True)

    assert decode_asked(encode(asked)) == asked
    decoded = decode_asked(encode(asked))
    assert isinstance(decoded, Query)
    assert type(tuple(decoded.params)[3]) is float
    assert decode_said(encode(said)) == said


def test_a_watcher_hears_of_its_table_and_never_of_too_much():
    item, other = Watch(1, "x.db", "Item"), Watch(2, "x.db", "")
    collected = Collected((item, other))
    row = RowChanged("item", "insert", (1,), None, {"a": 1}, b"")
    collected.add(row)
    collected.add(RowChanged("b", "insert", (1,), None, {"a": 1}, b""))

    told = collected.told()
    assert [(one.ticket, len(one.changes), one.again) for one in told] == [
        (1, 1, False),
        (2, 2, False),
    ]
    for _ in range(MAX_CHANGES):
        collected.add(row)
    assert collected.told() == [Changes(1, (), again=True), Changes(2, (), again=True)]


def test_a_folder_has_one_process_at_a_time(tmp_path: Path):
    (tmp_path / ".meerkat").mkdir()
    command = [sys.executable, "-m", "meerkat.rows.process", str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(frame(encode(Capture(5))))
    process.stdin.flush()
    assert process.stdout.read(1)  # it serves

    with open(tmp_path / ".meerkat" / "rows" / "lock", "rb") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.communicate(timeout=60)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_program_ends_with_its_input_and_says_nothing_by_itself(tmp_path: Path):
    (tmp_path / ".meerkat").mkdir()
    command = [sys.executable, "-m", "meerkat.rows.process", str(tmp_path)]

    done = subprocess.run(
        command, input=frame(encode(Capture(5))), capture_output=True, timeout=60, check=True
    )

    assert [decode_said(one) for one in Splitter().feed(done.stdout)] == [Answer(5)]
    assert done.stderr == b""
