"""Live databases in the folder: recognised, left alone, and moved, replaced and removed whole."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from meerkat.core.files import (
    DatabaseContent,
    Kind,
)
from meerkat.core.ids import ContentHash, VersionId
from meerkat.folder import FolderConfig, Observation
from meerkat.folder.sqlite_files import (
    database_of,
    is_companion_content,
    is_cut_off,
    is_database,
)
from tests.adapters.folder_case import QUICK, FolderCase
from tests.adapters.sqlite_files import count, make, opened

NOTHING = ContentHash(bytes(32))
BLIND = FolderConfig(watch=False, rescan_shortest=600)
SMALL = FolderConfig(rescan_shortest=600, replaced_grace=0.3, large_bytes=4096)
VERSION = VersionId(bytes(range(16)))


def kinds(case: FolderCase) -> dict[str, Kind]:
    return {path: observed.kind for path, observed in case.told.tree.items()}


@pytest.fixture
def case(tmp_path: Path) -> Iterator[FolderCase]:
    with FolderCase(tmp_path / "folder") as case:
        yield case


@pytest.fixture
def live(tmp_path: Path) -> Iterator[FolderCase]:
    """With a database in it."""
    make(tmp_path / "folder" / "x.db")
    with FolderCase(tmp_path / "folder") as case:
        assert kinds(case) == {"x.db": Kind.DATABASE}
        case.told.events.clear()
        yield case


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[FolderCase]:
    """With a database in it; a copy over it may take as long as it likes."""
    make(tmp_path / "folder" / "x.db")
    with FolderCase(tmp_path / "folder", config=replace(QUICK, settle_database=600.0)) as case:
        case.told.events.clear()
        yield case


# --- by names and first bytes ---


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("x.db-wal", "x.db"),
        ("d/x-shm", "d/x"),
        ("x.db-journal", "x.db"),
        ("x.db-mj0A1B2C3D4", "x.db"),
        ("x.db-wal-journal", "x.db-wal"),
        ("-wal", None),
        ("d/-wal", None),
        ("x.db", None),
        ("x.db-mj12", None),
        ("x-wall", None),
    ],
)
def test_names_of_parts(path: str, owner: str | None) -> None:
    assert database_of(path) == owner


def test_first_bytes(tmp_path: Path) -> None:
    make(tmp_path / "x.db", 500)
    data = (tmp_path / "x.db").read_bytes()
    assert is_database(data)
    assert not is_database(data[:15])
    assert not is_cut_off(data, len(data))
    assert is_cut_off(data, len(data) - 1)
    assert not is_cut_off(data[:50], 50)
    with closing(opened(tmp_path / "x.db")):
        for suffix in ("-wal", "-shm"):
            name = f"x.db{suffix}"
            assert is_companion_content(name, (tmp_path / name).read_bytes())
            assert not is_companion_content(name, b"SQLite format 3\0")


# --- recognising ---


def test_a_database_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / "d" / "wal.sqlite", mode="wal")
    make(root / "no suffix é\n'\"")
    (root / "folder.db").mkdir()
    (root / "short.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    (root / "text.db").write_text("text" * 500)
    (root / "link.db").symlink_to("x.db")
    (root / "read-only.db").write_bytes((root / "x.db").read_bytes())
    (root / "read-only.db").chmod(0o444)
    with FolderCase(root) as case:
        assert kinds(case) == {
            "d": Kind.FOLDER,
            "d/wal.sqlite": Kind.DATABASE,
            "folder.db": Kind.FOLDER,
            "link.db": Kind.SYMLINK,
            "no suffix é\n'\"": Kind.DATABASE,
            "read-only.db": Kind.DATABASE,
            "short.db": Kind.FILE,
            "text.db": Kind.FILE,
            "x.db": Kind.DATABASE,
        }
        observed = case.told.tree["x.db"]
        stat = (root / "x.db").stat()
        assert observed.digest == NOTHING
        assert observed.signature.inode == stat.st_ino
        assert observed.signature.device == stat.st_dev
        assert (observed.signature.size_bytes, observed.signature.mtime_ns) == (0, 0)
        (seen,) = [seen for seen in case.told.seen if seen.path == "x.db"]
        assert seen.content == DatabaseContent()
        assert not case.told.problems


@pytest.mark.parametrize("config", [QUICK, SMALL, BLIND])
def test_a_database_that_comes_later(tmp_path: Path, config: FolderConfig) -> None:
    with FolderCase(tmp_path / "folder", config=config) as case:
        make(case.root / "x.db", 5000)
        if config is BLIND:
            case.scan()
        case.told.wait("it", lambda: "x.db" in case.told.tree)
        assert kinds(case) == {"x.db": Kind.DATABASE}


def test_a_database_that_is_being_made_is_not_reported_as_an_empty_file(case: FolderCase) -> None:
    with closing(sqlite3.connect(case.root / "x.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE t (v)")
        assert (case.root / "x.db").stat().st_size == 0
        assert (case.root / "x.db-journal").exists()
        case._make_and_remove()
        case._make_and_remove()
        assert case.told.tree == {}
        connection.execute("COMMIT")
        case.told.wait("it", lambda: "x.db" in case.told.tree)
    assert case.events() == [("seen", "x.db")]
    assert kinds(case) == {"x.db": Kind.DATABASE}


def test_a_copy_under_way_is_not_reported_before_it_is_whole(case: FolderCase) -> None:
    make(case.root / ".meerkat" / "elsewhere.db", 5000)
    data = (case.root / ".meerkat" / "elsewhere.db").read_bytes()
    with (case.root / "x.db").open("wb") as stream:
        for start in range(0, len(data) // 2, 8192):
            stream.write(data[start : start + 8192])
            stream.flush()
        case._make_and_remove()
        case._make_and_remove()
        assert "x.db" not in case.told.tree
        stream.write(data[stream.tell() :])
    case.told.wait("it", lambda: "x.db" in case.told.tree)
    assert case.events() == [("seen", "x.db")]
    assert kinds(case) == {"x.db": Kind.DATABASE}


def test_a_damaged_database_that_is_shorter_than_it_says_is_reported_all_the_same(
    tmp_path: Path,
) -> None:
    root = tmp_path / "folder"
    make(root / "x.db", 5000)
    os.truncate(root / "x.db", 8192)
    os.utime(root / "x.db", (0, 0))
    with FolderCase(root) as case:
        assert kinds(case) == {"x.db": Kind.DATABASE}


def test_what_was_known_is_not_reported_again(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    with FolderCase(root) as case:
        known = dict(case.told.tree)
    with closing(opened(root / "x.db")):
        pass
    with FolderCase(root, known=known) as case:
        assert case.told.events == []


# --- writing into it is no news, but a touch ---


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_what_programs_do_touches_it_and_is_otherwise_no_news(live: FolderCase, mode: str) -> None:
    with closing(sqlite3.connect(live.root / "x.db", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        for number in range(3):
            with live.told.condition:
                live.told.touched.clear()
            connection.execute("INSERT INTO t (v) VALUES (?)", (number,))
            live.told.wait("a touch", lambda: live.told.touched)
        live.scan()
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode=delete")
    live.scan()
    assert live.events() == []
    assert set(live.told.touched) == {"x.db"}
    assert kinds(live) == {"x.db": Kind.DATABASE}
    assert not live.told.problems


def test_a_scan_touches_what_no_watcher_noticed(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db", mode="wal")
    make(root / "y.db")
    with FolderCase(root, config=BLIND) as case:
        with closing(opened(root / "x.db")) as connection:
            case.scan()
            with case.told.condition:
                case.told.touched.clear()
            connection.execute("INSERT INTO t (v) VALUES ('more')")
            connection.commit()
            case.scan()
            assert case.told.touched == ["x.db"]
            case.scan()
            assert case.told.touched == ["x.db"]
        assert kinds(case) == {"x.db": Kind.DATABASE, "y.db": Kind.DATABASE}


def test_the_mode_of_a_database_is_news(live: FolderCase) -> None:
    (live.root / "x.db").chmod(0o755)
    live.told.wait("the mode", lambda: live.told.tree["x.db"].executable)
    assert live.events() == [("seen", "x.db")]


# --- something else takes its place ---


@pytest.mark.parametrize("config", [QUICK, BLIND])
def test_a_database_renamed_over_it_is_news(tmp_path: Path, config: FolderConfig) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / ".meerkat" / "other.db", 7)
    with FolderCase(root, config=config) as case:
        before = case.told.tree["x.db"]
        case.told.events.clear()
        (root / ".meerkat" / "other.db").rename(root / "x.db")
        if config is BLIND:
            case.scan()
        case.told.wait("the other", lambda: case.told.tree["x.db"] != before)
        assert case.told.events == [("seen", "x.db")]
        assert kinds(case) == {"x.db": Kind.DATABASE}


def test_a_text_renamed_over_it_is_an_ordinary_file(live: FolderCase) -> None:
    (live.root / ".meerkat" / "text").write_text("text\n" * 1000)
    (live.root / ".meerkat" / "text").rename(live.root / "x.db")
    live.told.wait("the text", lambda: live.told.text("x.db"))
    assert live.events() == [("seen", "x.db")]


def test_a_text_copied_over_it_is_an_ordinary_file_once_it_is_there(slow: FolderCase) -> None:
    with (slow.root / "x.db").open("wb") as stream:  # as cp does: the same inode, emptied first
        slow._make_and_remove()
        assert kinds(slow) == {"x.db": Kind.DATABASE}
        stream.write(b"one line\n" * 101)
    slow.told.wait("the text", lambda: slow.told.text("x.db") == b"one line\n" * 101)
    assert {kind for kind, path in slow.events() if path == "x.db"} == {"seen"}


def test_a_database_copied_over_it_stays_one(slow: FolderCase) -> None:
    make(slow.root / ".meerkat" / "other.db", 700)
    data = (slow.root / ".meerkat" / "other.db").read_bytes()
    with (slow.root / "x.db").open("wb") as stream:
        slow._make_and_remove()
        stream.write(data[:8192])
        stream.flush()
        slow._make_and_remove()
        stream.write(data[8192:])
    slow.settle()
    assert slow.events() == []
    assert kinds(slow) == {"x.db": Kind.DATABASE}


def test_an_emptied_database_becomes_an_ordinary_file(live: FolderCase) -> None:
    os.truncate(live.root / "x.db", 0)
    live.told.wait("the empty file", lambda: live.told.text("x.db") == b"")
    assert live.events() == [("seen", "x.db")]


def test_removed_and_made_anew_at_once(live: FolderCase) -> None:
    (live.root / "x.db").unlink()
    (live.root / "x.db").write_text("text\n" * 1000)  # likely under the same inode number
    live.told.wait("the text", lambda: live.told.text("x.db"))
    assert live.events() == [("seen", "x.db")]


def test_core_asks_what_stands_there(live: FolderCase) -> None:
    live.adapter.request_report("x.db")
    live.told.wait("the report", lambda: ("seen", "x.db") in live.told.events)
    with (live.root / "x.db").open("r+b") as stream:
        stream.write(b"encrypted by a program, in place")  # nothing shows that from outside
    assert live.events() == [("seen", "x.db")]
    assert kinds(live) == {"x.db": Kind.DATABASE}
    live.adapter.request_report("x.db")
    live.told.wait("the file", lambda: kinds(live) == {"x.db": Kind.FILE})


# --- gone and moved ---


def test_removed(live: FolderCase) -> None:
    with closing(opened(live.root / "x.db")):
        for name in ("x.db", "x.db-wal", "x.db-shm"):
            (live.root / name).unlink()
        live.told.wait("its end", lambda: not live.told.tree)
    assert live.events() == [("gone", "x.db")]
    assert not live.told.problems


@pytest.mark.parametrize("config", [QUICK, BLIND])
def test_moved(tmp_path: Path, config: FolderConfig) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / "d" / "z.db")
    with FolderCase(root, config=config) as case:
        case.told.events.clear()
        (root / "x.db").rename(root / "y.db")
        (root / "d").rename(root / "e")
        if config is BLIND:
            case.scan()
        case.told.wait("the moves", lambda: set(kinds(case)) == {"e", "e/z.db", "y.db"})
        moves = [event for event in case.told.events if event[0] == "moved"]
        assert ("moved", "x.db -> y.db") in moves
        assert ("moved", "d/z.db -> e/z.db") in moves
        assert kinds(case)["y.db"] is Kind.DATABASE


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal"), ("", "-wal", "-shm"), ("-wal", "")])
def test_moved_while_a_program_has_it_open(live: FolderCase, suffixes: tuple[str, ...]) -> None:
    connection = opened(live.root / "x.db")
    for suffix in suffixes:
        (live.root / f"x.db{suffix}").rename(live.root / f"y.db{suffix}")
    live.told.wait("the move", lambda: set(live.told.tree) == {"y.db"})
    assert live.events() == [("moved", "x.db -> y.db")]
    live.scan()
    assert count(live.root / "y.db") == 4
    if len(suffixes) == 2:
        (live.root / "x.db-shm").unlink()  # an index of the log, made anew without loss
        live.scan()
    left = [name for name in os.listdir(live.root) if name.startswith("x.db")]
    assert left == []
    live.told.wait("no problem", lambda: not live.told.problems)
    connection.close()


def test_a_log_is_not_brought_to_a_database_that_was_written_to_since(live: FolderCase) -> None:
    connection = opened(live.root / "x.db")
    (live.root / "x.db").rename(live.root / "y.db")
    os.utime(live.root / "y.db")
    live.told.wait("the problem", lambda: "x.db-wal" in live.told.problems)
    assert live.events() == [("moved", "x.db -> y.db")]
    assert "x.db" in live.told.problems["x.db-wal"]
    assert not (live.root / "y.db-wal").exists()
    connection.close()


def test_an_inode_number_used_again_is_no_move(live: FolderCase) -> None:
    make(live.root / ".meerkat" / "other.db", 7)
    data = (live.root / ".meerkat" / "other.db").read_bytes()
    inode = (live.root / "x.db").stat().st_ino
    (live.root / "x.db").unlink()
    fresh = []
    for number in range(50):  # until the file system uses the number again, if it does
        path = live.root / f"y{number}.db"
        path.write_bytes(data)
        fresh.append(path.name)
        if path.stat().st_ino == inode:
            break
    live.told.wait("the new ones", lambda: set(live.told.tree) == set(fresh))
    assert [event for event in live.events() if event[0] == "moved"] == []


def test_moved_while_stopped(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    with FolderCase(root) as case:
        known = dict(case.told.tree)
    (root / "x.db").rename(root / "y.db")
    with FolderCase(root, known=known) as case:
        assert case.told.events == [("moved", "x.db -> y.db")]


# --- parts and other names ---


def test_parts_are_never_reported(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / "z.db")
    (root / "z.db-journal").write_text("named like one, and a text")
    (root / "text").write_text("text")
    (root / "text-journal").write_text("of a journey")
    with closing(opened(root / "x.db")), FolderCase(root) as case:
        expected = {"text", "text-journal", "x.db", "z.db"}
        assert set(case.told.tree) == expected
        (root / "text-wal").write_text("and another")
        (root / "x.db-journal").write_text("x")
        (root / "x.db-mj0123ABCDE").write_text("x")
        case.settle()
        case.scan()
        assert set(case.told.tree) == expected | {"text-wal"}
        assert not case.told.problems
        for name in ("x.db-journal", "z.db-journal", "x.db-mj0123ABCDE"):
            (root / name).unlink()
        assert all(kind == "seen" for kind, _ in case.events())


def test_a_lone_part_is_a_problem_until_its_database_is_back(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    away = tmp_path / "x.db"
    make(root / "x.db")
    with closing(opened(root / "x.db")):
        (root / "x.db").rename(away)
        with FolderCase(root) as case:
            assert case.told.tree == {}
            assert sorted(case.told.problems) == ["x.db-shm", "x.db-wal"]
            assert "x.db" in case.told.problems["x.db-wal"]
            away.rename(root / "x.db")
            case.told.wait("it", lambda: kinds(case) == {"x.db": Kind.DATABASE})
            case.scan()
            case.told.wait("no problem", lambda: not case.told.problems)
            (root / "x.db").rename(away)
            case.told.wait("it again", lambda: "x.db-wal" in case.told.problems)
            (root / "x.db-wal").unlink()
            case.scan()
            case.told.wait("one less", lambda: sorted(case.told.problems) == ["x.db-shm"])


def test_an_ordinary_file_becomes_a_part_when_its_database_comes(case: FolderCase) -> None:
    (case.root / "trip-journal").write_text("of a journey")
    case.told.wait("it", lambda: "trip-journal" in case.told.tree)
    make(case.root / ".meerkat" / "trip")
    (case.root / ".meerkat" / "trip").rename(case.root / "trip")
    case.told.wait("the database", lambda: "trip" in case.told.tree)
    case.told.events.clear()
    (case.root / "trip-journal").unlink()
    assert case.events() == []


def test_another_name_of_a_database_is_a_problem_until_the_first_is_gone(
    live: FolderCase,
) -> None:
    os.link(live.root / "x.db", live.root / "y.db")
    live.told.wait("the problem", lambda: "y.db" in live.told.problems)
    live.scan()
    assert set(live.told.tree) == {"x.db"}
    (live.root / "x.db").unlink()
    live.told.wait("the other", lambda: set(live.told.tree) == {"y.db"})
    live.told.wait("no problem", lambda: not live.told.problems)


def test_ignored_databases_and_their_parts(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / "y.db")
    (root / ".meerkatignore").write_text("x.db\n")
    with closing(opened(root / "x.db")), FolderCase(root) as case:
        assert set(case.told.tree) == {".meerkatignore", "y.db"}
        assert not case.told.problems
        (root / ".meerkatignore").write_text("*.db\n")
        case.told.wait("the rule", lambda: case.told.text(".meerkatignore") == b"*.db\n")
        (root / "y.db").unlink()
        assert ("gone", "y.db") not in case.events()


@pytest.mark.parametrize("start", [b"", bytes(12) + b"not synced yet" * 50])
def test_a_journal_that_begins_with_nothing_is_no_file(tmp_path: Path, start: bytes) -> None:
    """Also if its database is not taken up: here, because it is another one's second name."""
    root = tmp_path / "folder"
    make(root / "x.db")
    with FolderCase(root, config=replace(QUICK, settle_quiet=0.001)) as case:
        os.link(root / "x.db", root / "y.db")
        case.told.wait("the problem", lambda: "y.db" in case.told.problems)
        (root / "y.db-journal").write_bytes(start)
        case.settle()
        assert set(case.told.tree) == {"x.db"}
        (root / "dream-journal").write_bytes(start)  # which is nobody's
        case.told.wait("a file", lambda: "dream-journal" in case.told.tree)


def hidden(case: FolderCase) -> list[str]:
    with case.told.condition:
        return [path for batch in case.told.batches for path in batch.hidden]


def rules(case: FolderCase, text: str) -> None:
    (case.root / ".meerkatignore").write_text(text)
    case.told.wait("the rule", lambda: case.told.text(".meerkatignore") == text.encode())


def test_a_rule_hides_a_database_before_anything_else_is_told(live: FolderCase) -> None:
    rules(live, "*.db\n")
    with live.told.condition:
        told = [bool(batch.hidden) for batch in live.told.batches if batch.hidden or batch.seen]
        assert told[-1] or told[-2:] == [True, False]
        live.told.touched.clear()
    assert hidden(live) == ["x.db"]
    with closing(opened(live.root / "x.db")) as connection:
        connection.execute("INSERT INTO t (v) VALUES ('more')")
        connection.commit()
        live.scan()
    live.told.events.clear()
    rules(live, "# nothing\n")
    live.told.wait("the database", lambda: ("seen", "x.db") in live.told.events)
    assert kinds(live)["x.db"] is Kind.DATABASE
    assert not live.told.touched
    assert hidden(live) == ["x.db"]


def test_a_database_that_was_removed_under_a_rule_is_gone_without_it(live: FolderCase) -> None:
    rules(live, "x.*\n")
    (live.root / "x.db").unlink()
    assert ("gone", "x.db") not in live.events()
    rules(live, "# nothing\n")
    live.told.wait("the end", lambda: ("gone", "x.db") in live.told.events)


def test_the_first_word_is_which_databases_are_ignored(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    make(root / "d" / "y.db")
    with FolderCase(root) as case:
        known = dict(case.told.tree)
        assert case.told.batches[0] == Observation()
    (root / ".meerkatignore").write_text("d/\n")
    with FolderCase(root, known=known) as case:
        assert case.told.batches[0] == Observation(hidden=("d/y.db",))
        assert case.events() == [("seen", ".meerkatignore")]


@pytest.mark.parametrize("mode", ["truncate", "persist", "wal"])
def test_parts_of_ignored_databases_are_nobodys_files(tmp_path: Path, mode: str) -> None:
    root = tmp_path / "folder"
    (root / "d").mkdir(parents=True)
    (root / ".meerkatignore").write_text("x.db\n")
    with FolderCase(root) as case:
        make(root / "x.db")
        with closing(sqlite3.connect(root / "x.db")) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
            for _ in range(2):
                connection.execute("INSERT INTO t (v) VALUES ('more')")
                connection.commit()
            if mode == "wal":
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert sorted(path.name for path in root.glob("x.db-*"))
            case.scan()
            case.settle()
        assert set(case.told.tree) == {".meerkatignore", "d"}
        assert not case.told.problems


# --- treated as an ordinary file ---


@pytest.mark.parametrize("config", [QUICK, SMALL])
def test_off_and_on(tmp_path: Path, config: FolderConfig) -> None:
    root = tmp_path / "folder"
    make(root / "x.db", 200)
    with FolderCase(root, config=config) as case:
        case.adapter.treat_as_plain("x.db", plain=True)
        case.told.wait("the file", lambda: kinds(case) == {"x.db": Kind.FILE})
        assert case.told.tree["x.db"].digest == ContentHash.of((root / "x.db").read_bytes())
        with closing(opened(root / "x.db")):
            case.settle()
            assert set(case.told.tree) == {"x.db"}
        data = (root / "x.db").read_bytes()
        case.told.wait("it", lambda: case.told.tree["x.db"].digest == ContentHash.of(data))
        assert kinds(case) == {"x.db": Kind.FILE}
        (root / "x.db").rename(root / "y.db")
        case.told.wait("the move", lambda: set(case.told.tree) == {"y.db"})
        assert kinds(case) == {"y.db": Kind.FILE}
        case.adapter.treat_as_plain("y.db", plain=False)
        case.told.wait("the database", lambda: kinds(case) == {"y.db": Kind.DATABASE})
        assert not case.told.problems


def test_off_before_the_start(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    make(root / "x.db")
    with FolderCase(root, start=False) as case:
        case.adapter.treat_as_plain("x.db", plain=True)
        case.adapter.start()
        case.told.wait("the scan", lambda: case.told.scans)
        assert kinds(case) == {"x.db": Kind.FILE}
