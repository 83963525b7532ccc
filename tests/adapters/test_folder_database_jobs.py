"""Jobs on live databases: exports take their place, parts go along, bases are kept."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from meerkat.core.chunks import Chunk
from meerkat.core.files import (
    Export,
    JobResult,
    KeepBase,
    KeepResult,
    Kind,
    Location,
    MoveFile,
    Outcome,
    PrepareBlob,
    PrepareResult,
    RemoveFile,
    SetExecutable,
    WriteFile,
    expected_of,
)
from meerkat.core.ids import ContentHash, VersionId
from tests.adapters.folder_case import FolderCase, wait_until, write_job
from tests.adapters.sqlite_files import count, make, opened

NOTHING = ContentHash(bytes(32))
VERSION = VersionId(bytes(range(16)))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[FolderCase]:
    """With a database in it."""
    make(tmp_path / "folder" / "x.db")
    with FolderCase(tmp_path / "folder") as case:
        case.told.events.clear()
        yield case


def export(case: FolderCase, rows: int) -> Path:
    path = case.state / "rows" / VERSION.hex() / "export.db"
    make(path, rows)
    return path


def write(path: str, expected: ContentHash | None = None, *, executable: bool = False) -> WriteFile:
    return WriteFile(0, path, Kind.DATABASE, Export(VERSION), NOTHING, executable, expected)


def do(case: FolderCase, job: WriteFile | RemoveFile | MoveFile | SetExecutable) -> JobResult:
    (result,) = case.do(job)
    assert isinstance(result, JobResult)
    return result


def known(case: FolderCase, path: str = "x.db") -> ContentHash:
    """What a job names that expects the database there."""
    return expected_of(case.told.tree[path])


def replaced(case: FolderCase) -> list[str]:
    return os.listdir(case.state / "replaced")


# --- writing ---


@pytest.mark.parametrize("executable", [False, True])
def test_an_export_takes_its_place(case: FolderCase, executable: bool) -> None:
    lies = export(case, 7)
    result = do(case, write("d/y.db", executable=executable))
    assert result.outcome is Outcome.DONE
    assert not lies.exists()
    assert count(case.root / "d/y.db") == 7
    stat = (case.root / "d/y.db").stat()
    assert bool(stat.st_mode & 0o100) is executable
    observed = result.observed
    assert observed is not None
    assert observed.kind is Kind.DATABASE
    assert observed.executable is executable
    assert (observed.digest, observed.signature.inode) == (NOTHING, stat.st_ino)
    assert case.events() == [("seen", "d")]
    case.scan()
    assert case.events() == []


def test_an_export_over_the_database_that_is_expected(case: FolderCase) -> None:
    export(case, 7)
    assert do(case, write("x.db")).outcome is Outcome.CHANGED
    assert do(case, write("x.db", ContentHash.of(b"else"))).outcome is Outcome.CHANGED
    assert do(case, write("x.db", known(case))).outcome is Outcome.DONE
    assert count(case.root / "x.db") == 7
    assert case.events() == []
    wait_until(lambda: not replaced(case))


def test_what_was_put_over_a_file_can_be_moved_once_that_is_noticed(case: FolderCase) -> None:
    (case.root / "y.db").write_text("mine")
    case.settle()
    export(case, 7)
    result = do(case, write("y.db", ContentHash.of(b"mine")))
    assert result.observed is not None
    case.settle()  # the system says that something went away, and that something came
    move = MoveFile(0, "y.db", "d/z.db", expected_of(result.observed))
    assert do(case, move).outcome is Outcome.DONE
    assert count(case.root / "d/z.db") == 7


def test_an_export_over_another_database_than_is_known(case: FolderCase) -> None:
    export(case, 7)
    expected = known(case)
    make(case.state / "other.db", 5)
    (case.state / "other.db").rename(case.root / "x.db")
    case.adapter.perform([write("x.db", expected)])
    case.told.wait("the result", lambda: 0 in case.told.results)
    assert case.told.results[0].outcome is Outcome.CHANGED
    assert count(case.root / "x.db") == 5
    assert case.events() == [("seen", "x.db")]


def test_an_export_where_something_else_stands(case: FolderCase) -> None:
    lies = export(case, 7)
    (case.root / "y.db").write_text("mine")
    assert do(case, write("y.db")).outcome is Outcome.CHANGED
    assert (case.root / "y.db").read_text() == "mine"
    assert lies.exists()
    assert do(case, write("y.db", ContentHash.of(b"mine"))).outcome is Outcome.DONE
    assert count(case.root / "y.db") == 7


def test_an_export_beside_parts_of_another_database_is_refused(case: FolderCase) -> None:
    export(case, 7)
    (case.root / "y.db-wal").write_text("anything")
    result = do(case, write("y.db"))
    assert result.outcome is Outcome.DENIED
    assert "y.db-wal" in result.detail
    with closing(opened(case.root / "x.db")):
        assert do(case, write("x.db", known(case))).outcome is Outcome.DENIED
    assert count(case.root / "x.db") == 4
    (case.root / "y.db-wal").unlink()
    assert do(case, write("y.db")).outcome is Outcome.DONE


def test_an_export_that_does_not_lie_ready(case: FolderCase) -> None:
    assert do(case, write("y.db")).outcome is Outcome.BUSY
    (case.state / "rows" / VERSION.hex()).mkdir()
    assert do(case, write("y.db")).outcome is Outcome.BUSY
    assert do(case, write("../y.db")).outcome is Outcome.NAME
    (case.root / ".meerkatignore").write_text("*.ign\n")
    case.told.wait("the rule", lambda: case.told.text(".meerkatignore"))
    assert do(case, write("y.ign")).outcome is Outcome.IGNORED
    export(case, 7)
    assert do(case, write("y.db")).outcome is Outcome.DONE


def test_jobs_behind_an_export_wait_for_it(case: FolderCase) -> None:
    export(case, 7)
    jobs = case.do(write("y.db"), write_job("y.db", b"x"), write_job("z", b"x"))
    assert [job.outcome for job in jobs] == [Outcome.DONE, Outcome.CHANGED, Outcome.DONE]
    order = case.told.order
    assert order.index(jobs[0].ticket) < order.index(jobs[1].ticket)
    assert count(case.root / "y.db") == 7
    assert case.events() == []


def test_an_ordinary_file_over_a_database(case: FolderCase) -> None:
    job = write_job("x.db", b"now a text")
    with closing(opened(case.root / "x.db")):
        expected = WriteFile(0, "x.db", Kind.FILE, job.data, job.digest, False, known(case))
        assert do(case, expected).outcome is Outcome.DENIED
    assert do(case, expected).outcome is Outcome.DONE
    assert (case.root / "x.db").read_bytes() == b"now a text"
    case.settle()
    assert case.told.text("x.db") is None


def test_one_that_is_treated_as_an_ordinary_file_waits_for_its_programs(case: FolderCase) -> None:
    case.adapter.treat_as_plain("x.db", plain=True)
    case.told.wait("the file", lambda: case.told.tree["x.db"].kind is Kind.FILE)
    make(case.state / "other.db", 9)
    data = (case.state / "other.db").read_bytes()
    with closing(opened(case.root / "x.db")):
        case.settle()
        digest = ContentHash.of((case.root / "x.db").read_bytes())
        job = WriteFile(0, "x.db", Kind.FILE, data, ContentHash.of(data), False, digest)
        assert do(case, job).outcome is Outcome.BUSY
    case.settle()
    before = (case.root / "x.db").read_bytes()
    assert case.write("x.db", data, before).outcome is Outcome.DONE
    assert count(case.root / "x.db") == 9


def test_a_copy_that_a_job_places_is_a_database_whatever_was_said_before(case: FolderCase) -> None:
    case.adapter.treat_as_plain("x.db", plain=True)
    case.told.wait("the file", lambda: case.told.tree["x.db"].kind is Kind.FILE)
    export(case, 5)
    digest = ContentHash.of((case.root / "x.db").read_bytes())
    assert do(case, write("x.db", digest)).outcome is Outcome.DONE
    case.adapter.request_report("x.db")
    case.told.wait("it", lambda: case.told.tree["x.db"].kind is Kind.DATABASE)
    assert count(case.root / "x.db") == 5


def test_a_file_takes_along_how_it_is_treated(case: FolderCase) -> None:
    case.adapter.treat_as_plain("y.db", plain=True)  # of something that has gone
    case.adapter.treat_as_plain("x.db", plain=True)
    case.told.wait("the file", lambda: case.told.tree["x.db"].kind is Kind.FILE)
    data = (case.root / "x.db").read_bytes()
    assert do(case, MoveFile(0, "x.db", "z.db", ContentHash.of(data))).outcome is Outcome.DONE
    assert case.write("t.txt", b"a text").outcome is Outcome.DONE
    assert do(case, MoveFile(0, "t.txt", "y.db", ContentHash.of(b"a text"))).outcome is Outcome.DONE
    case.adapter.request_report("z.db")
    case.told.wait("it", lambda: ("seen", "z.db") in case.told.events)
    assert case.told.tree["z.db"].kind is Kind.FILE
    make(case.state / "new.db", 3)
    os.replace(case.state / "new.db", case.root / "y.db")
    case.told.wait("y.db", lambda: "y.db" in case.told.tree)
    assert case.told.tree["y.db"].kind is Kind.DATABASE


# --- mode, moving, removing ---


def test_the_executable_bit(case: FolderCase) -> None:
    with closing(opened(case.root / "x.db")):
        result = do(case, SetExecutable(0, "x.db", True, known(case)))
        assert result.outcome is Outcome.DONE
        assert result.observed is not None
        assert result.observed.executable
        assert os.access(case.root / "x.db", os.X_OK)
        wrong = SetExecutable(0, "x.db", False, ContentHash.of(b""))
        assert do(case, wrong).outcome is Outcome.CHANGED
        assert do(case, SetExecutable(0, "x.db", False, known(case))).outcome is Outcome.DONE
        assert not os.access(case.root / "x.db", os.X_OK)
    assert case.events() == []


def test_its_parts_move_along(case: FolderCase) -> None:
    connection = opened(case.root / "x.db")
    assert do(case, MoveFile(0, "x.db", "d/y.db", known(case))).outcome is Outcome.DONE
    assert sorted(os.listdir(case.root / "d")) == ["y.db", "y.db-shm", "y.db-wal"]
    assert count(case.root / "d" / "y.db") == 4
    assert case.events() == [("seen", "d")]
    case.scan()
    assert case.told.problems == {}
    assert set(case.told.tree) == {"x.db", "d"}  # as the listener was told; jobs tell the rest
    connection.close()


def test_no_move_to_where_parts_of_another_lie(case: FolderCase) -> None:
    (case.root / "y.db-journal").write_text("x")
    result = do(case, MoveFile(0, "x.db", "y.db", known(case)))
    assert (result.outcome, (case.root / "x.db").exists()) == (Outcome.DENIED, True)
    assert "y.db-journal" in result.detail


def test_its_parts_are_removed_with_it_and_kept_for_a_while(case: FolderCase) -> None:
    connection = opened(case.root / "x.db")
    inode = (case.root / "x.db-wal").stat().st_ino
    assert do(case, RemoveFile(0, "x.db", ContentHash.of(b""))).outcome is Outcome.CHANGED
    assert do(case, RemoveFile(0, "x.db", known(case))).outcome is Outcome.DONE
    assert [name for name in os.listdir(case.root) if name.startswith("x.db")] == []
    kept = {os.stat(case.state / "replaced" / name).st_ino for name in replaced(case)}
    assert inode in kept
    wait_until(lambda: not replaced(case))
    assert case.events() == []
    assert case.told.problems == {}
    connection.close()


def test_what_a_program_still_writes_into_a_removed_one_comes_back_whole(
    case: FolderCase,
) -> None:
    connection = opened(case.root / "x.db")
    assert do(case, RemoveFile(0, "x.db", known(case))).outcome is Outcome.DONE
    with open(f"/proc/self/fd/{_descriptor_of('-wal')}", "r+b") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(bytes(100))  # as the program would; SQLite itself notices that it was moved
    case.told.wait("it", lambda: any("saved meanwhile" in path for path in case.told.tree))
    (back,) = [path for path in case.told.tree if "saved meanwhile" in path]
    assert case.told.tree[back].kind is Kind.DATABASE
    assert count(case.root / back) == 4
    wait_until(lambda: not replaced(case))
    connection.close()


def _descriptor_of(suffix: str) -> str:
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if "replaced" in target and target.endswith(suffix):
            return descriptor
    raise AssertionError("no program has it open")


def test_what_a_crash_leaves_of_a_removed_one(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / "y.db")
    with FolderCase(root) as case:
        first, second = opened(root / "x.db"), opened(root / "y.db")
        for path in ("x.db", "y.db"):
            assert do(case, RemoveFile(0, path, known(case, path))).outcome is Outcome.DONE
        case.adapter._replaced._kept.clear()  # as if we had died before the grace was over
        names = sorted(name for name in replaced(case) if name.endswith("-wal"))
        later = case.state / "replaced" / names[0]
        with later.open("ab") as stream:
            stream.write(bytes(10))
        first.close()
        second.close()
    with FolderCase(root) as case:
        assert sorted(replaced(case)) == sorted(
            names[0].removesuffix("-wal") + suffix for suffix in ("", "-wal", "-shm")
        )
        assert len(case.told.problems) == 1


# --- bases and chunks ---


def keep(case: FolderCase, blob: ContentHash, data: bytes | None = None) -> KeepResult:
    (result,) = case.do(KeepBase(0, blob, data))
    assert isinstance(result, KeepResult)
    return result


def test_a_base_from_bytes(case: FolderCase) -> None:
    data = (case.root / "x.db").read_bytes()
    blob = ContentHash.of(data)
    assert keep(case, blob, data[:-1]).outcome is Outcome.CORRUPT
    assert keep(case, blob, data).outcome is Outcome.DONE
    assert keep(case, blob).outcome is Outcome.DONE
    assert os.listdir(case.state / "bases") == [blob.hex()]
    assert (case.state / "bases" / blob.hex()).read_bytes() == data
    assert case.adapter.queued_bytes == 0


def test_a_base_that_arrived_in_chunks_is_served_before_and_after(case: FolderCase) -> None:
    pieces = [os.urandom(70_000) for _ in range(3)]
    chunks = tuple(Chunk(ContentHash.of(piece), len(piece)) for piece in pieces)
    blob = ContentHash.of(b"".join(pieces))
    assert keep(case, blob).outcome is Outcome.CORRUPT
    case.do(PrepareBlob(0, blob, chunks, {}))
    place = Location("", 70_000, 70_000, blob)
    for index, piece in enumerate(pieces[:2]):
        case.adapter.store_chunk(blob, index, piece)
    case.told.wait("chunks", lambda: len(case.told.stored) == 2)
    assert case.adapter.read_chunk(place, chunks[1].hash) == pieces[1]
    assert keep(case, blob).outcome is Outcome.CORRUPT  # one is missing; it begins anew
    assert not os.listdir(case.state / "incoming")
    case.do(PrepareBlob(0, blob, chunks, {}))
    for index, piece in enumerate(pieces):
        case.adapter.store_chunk(blob, index, piece)
    case.told.wait("chunks", lambda: len(case.told.stored) == 5)
    assert keep(case, blob).outcome is Outcome.DONE
    assert not os.listdir(case.state / "incoming")
    assert case.adapter.read_chunk(place, chunks[1].hash) == pieces[1]
    assert case.adapter.read_chunk(place, chunks[0].hash) is None
    other = Location("", 0, 10, ContentHash.of(b"unknown"))
    assert case.adapter.read_chunk(other, chunks[0].hash) is None


def test_a_base_is_not_hidden_by_its_own_copy_in_the_making(case: FolderCase) -> None:
    """Equal databases have one base. Another member, asked for it, could not read it either."""
    data = os.urandom(70_000)
    chunk = Chunk(ContentHash.of(data), len(data))
    blob = ContentHash.of(data)
    assert keep(case, blob, data).outcome is Outcome.DONE
    case.do(PrepareBlob(0, blob, (chunk,), {}))  # an incoming file of zeros
    place = Location("", 0, len(data), blob)
    assert case.adapter.read_chunk(place, chunk.hash) == data
    (result,) = case.do(PrepareBlob(0, blob, (chunk,), {chunk.hash: place}))
    assert isinstance(result, PrepareResult)
    assert not result.missing
    assert keep(case, blob).outcome is Outcome.DONE
    assert not os.listdir(case.state / "incoming")


def test_chunks_are_not_read_from_a_live_database(case: FolderCase) -> None:
    data = (case.root / "x.db").read_bytes()
    place = Location("x.db", 0, len(data))
    assert case.adapter.read_chunk(place, ContentHash.of(data)) is None


# --- what is opened ---


COUNTING = """
    import os, sys
    from pathlib import Path
    from meerkat.core.files import MoveFile, RemoveFile, SetExecutable, expected_of
    from meerkat.folder import syscalls
    from tests.adapters.folder_case import FolderCase

    opened = []
    beneath = syscalls.open_beneath

    def hook(event, arguments):
        if event == "open" and not arguments[2] & getattr(os, "O_PATH", 0):
            opened.append(str(arguments[0]))

    def counted(directory, path, flags, mode=0):
        opened.append(os.fsdecode(path))
        return beneath(directory, path, flags, mode)

    syscalls.open_beneath = counted
    sys.addaudithook(hook)
    root, program = Path(sys.argv[1]), sys.argv[2]

    def databases():
        return sorted(name for name in opened if ".db" in name)

    with FolderCase(root) as case:
        names = sorted(f"{number}.db" for number in range(100))
        assert databases() == names, databases()
        opened.clear()
        os.system(f"{sys.executable} -c '{program}' {root}")
        case.told.wait("touches", lambda: len(set(case.told.touched)) == 100)
        case.settle()
        case.scan()
        (root / "0.db").rename(root / "moved.db")
        case.told.wait("the move", lambda: "moved.db" in case.told.tree)
        (root / "1.db").chmod(0o755)
        case.told.wait("the mode", lambda: case.told.tree["1.db"].executable)
        tree = case.told.tree
        one, two, three = (expected_of(tree[f"{number}.db"]) for number in (1, 2, 3))
        results = case.do(
            SetExecutable(0, "1.db", False, one),
            MoveFile(0, "2.db", "also moved.db", two),
            RemoveFile(0, "3.db", three),
        )
        assert {result.outcome.value for result in results} == {"done"}, results
        case.settle()
        case.scan()
        known = dict(case.told.tree)
        known["1.db"] = results[0].observed
        known["also moved.db"] = known.pop("2.db")
        del known["3.db"]
        # A move is told by the file's number, but what stands under a new name is looked at once.
        assert databases() == ["moved.db"], databases()
        opened.clear()
    with FolderCase(root, known=known) as case:
        assert (databases(), case.told.events) == ([], []), databases()
        case.adapter.request_report("1.db")
        case.told.wait("the report", lambda: case.told.events)
        assert databases() == ["1.db"], databases()
"""

WRITING = """
import sqlite3, sys
for number in range(100):
    connection = sqlite3.connect(f"{sys.argv[1]}/{number}.db")
    if number % 2:
        connection.execute("PRAGMA journal_mode=wal")
    connection.execute("INSERT INTO t (v) VALUES (1)")
    connection.commit()
    connection.close()
"""


def test_a_known_database_is_not_opened_again(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "0.db")
    data = (root / "0.db").read_bytes()
    for number in range(1, 100):
        (root / f"{number}.db").write_bytes(data)
    program = WRITING.strip()
    here = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COUNTING), str(root), program],
        cwd=here,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(here / "src"), str(here)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_an_ended_transaction_left_is_in_nobodys_way(case: FolderCase) -> None:
    with closing(sqlite3.connect(case.root / "x.db")) as connection:
        connection.execute("PRAGMA journal_mode=persist")
        connection.execute("INSERT INTO t (v) VALUES ('x')")
        connection.commit()
    assert (case.root / "x.db-journal").stat().st_size
    export(case, 7)
    assert do(case, write("x.db", known(case))).outcome is Outcome.DONE
    assert count(case.root / "x.db") == 7
