"""Jobs: what they do, what they refuse, and that nothing a person saved is overwritten (F4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meerkat.core.files import (
    Job,
    JobResult,
    Kind,
    MakeFolder,
    MoveFile,
    Outcome,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
)
from meerkat.core.ids import ContentHash
from meerkat.folder import FolderAdapter, syscalls
from tests.adapters.folder_case import FolderCase, wait_until, write_job


class Racer:
    """Does something at the first matching gap of a write."""

    def __init__(self) -> None:
        self.gap = ""
        self.action: Callable[[], object] = lambda: None

    def __call__(self, gap: str, path: str) -> None:
        if gap == self.gap:
            self.gap = ""
            self.action()


@pytest.fixture
def racer() -> Racer:
    return Racer()


@pytest.fixture
def case(tmp_path: Path, racer: Racer) -> Iterator[FolderCase]:
    root = tmp_path / "folder"
    root.mkdir()
    (root / "note.txt").write_bytes(b"first")
    with FolderCase(root, hook=racer) as case:
        yield case


def hashed(data: bytes) -> ContentHash:
    return ContentHash.of(data)


def temporaries(case: FolderCase) -> list[str]:
    return [str(p) for p in case.root.rglob(".meerkat-*")]


def test_write_new_and_over_make_no_observation(case: FolderCase) -> None:
    assert case.events() == [("seen", "note.txt")]
    new = case.write("a/b/new.txt", b"new")
    over = case.write("note.txt", b"second", b"first")

    assert (new.outcome, over.outcome) == (Outcome.DONE, Outcome.DONE)
    assert (case.root / "a/b/new.txt").read_bytes() == b"new"
    assert (case.root / "note.txt").read_bytes() == b"second"
    # The folders nobody asked for are news; the files are our own doing.
    assert sorted(case.events()) == [("seen", "a"), ("seen", "a/b")]
    assert temporaries(case) == []


def test_results_come_in_order_and_a_group_may_depend_on_itself(case: FolderCase) -> None:
    jobs: list[Job] = [
        MakeFolder(0, "d"),
        write_job("d/x", b"1"),
        write_job("d/x", b"2", b"1"),
        MoveFile(0, "d/x", "d/y", hashed(b"2")),
        SetExecutable(0, "d/y", True, hashed(b"2")),
        RemoveFile(0, "note.txt", hashed(b"first")),
        write_job("note.txt", b"again"),
    ]
    results = case.do(*jobs)

    assert [result.outcome for result in results] == [Outcome.DONE] * len(jobs)
    assert case.told.order == sorted(case.told.order)
    assert (case.root / "d/y").read_bytes() == b"2"
    assert os.access(case.root / "d/y", os.X_OK)
    assert (case.root / "note.txt").read_bytes() == b"again"
    assert case.events()[1:] == []


def test_something_else_standing_there_is_left_alone_and_reported(case: FolderCase) -> None:
    (case.root / "note.txt").write_bytes(b"edited")
    result = case.write("note.txt", b"second", b"first")

    assert result.outcome is Outcome.CHANGED
    assert result.observed is not None
    assert result.observed.digest == hashed(b"edited")
    assert (case.root / "note.txt").read_bytes() == b"edited"
    assert case.told.text("note.txt") == b"edited"


def test_unexpected_presence_and_absence(case: FolderCase) -> None:
    assert case.write("note.txt", b"x").outcome is Outcome.CHANGED
    assert case.write("absent", b"x", b"y").outcome is Outcome.CHANGED
    (case.root / "dir").mkdir()
    assert case.write("dir", b"x").outcome is Outcome.CHANGED
    assert case.write("note.txt/below", b"x").outcome is Outcome.CHANGED
    (removed,) = case.do(RemoveFile(0, "absent", hashed(b"y")))
    assert removed.outcome is Outcome.CHANGED
    (moved,) = case.do(MoveFile(0, "note.txt", "dir", hashed(b"first")))
    assert moved.outcome is Outcome.CHANGED
    (made,) = case.do(MakeFolder(0, "note.txt"))
    assert made.outcome is Outcome.CHANGED
    assert (case.root / "note.txt").read_bytes() == b"first"


def test_what_is_there_already_is_done(case: FolderCase) -> None:
    assert case.write("note.txt", b"first").outcome is Outcome.DONE
    assert case.write("note.txt", b"first", b"something older").outcome is Outcome.DONE


def test_permissions_are_kept(case: FolderCase) -> None:
    (case.root / "note.txt").chmod(0o640)
    case.settle()
    case.write("note.txt", b"second", b"first", executable=True)
    assert (case.root / "note.txt").stat().st_mode & 0o777 == 0o750
    case.do(SetExecutable(0, "note.txt", False, hashed(b"second")))
    assert (case.root / "note.txt").stat().st_mode & 0o777 == 0o640


def test_links_are_written_unless_they_lead_outside(case: FolderCase) -> None:
    good = case.write("d/link", b"../note.txt", kind=Kind.SYMLINK)
    bad = case.write("d/bad", b"../../etc", kind=Kind.SYMLINK)

    assert good.outcome is Outcome.DONE
    assert os.readlink(case.root / "d/link") == "../note.txt"
    assert bad.outcome is Outcome.NAME
    assert not (case.root / "d/bad").is_symlink()
    (gone,) = case.do(RemoveFile(0, "d/link", hashed(b"../note.txt")))
    assert gone.outcome is Outcome.DONE
    assert (case.root / "note.txt").exists()


def test_a_folder_with_ignored_files_stays(case: FolderCase) -> None:
    (case.root / "d").mkdir()
    (case.root / "d" / ".DS_Store").touch()
    (result,) = case.do(RemoveFolder(0, "d"))
    assert result.outcome is Outcome.CHANGED
    (case.root / "d" / ".DS_Store").unlink()
    (result,) = case.do(RemoveFolder(0, "d"))
    assert result.outcome is Outcome.DONE


SAVES: dict[str, Callable[[Path], object]] = {
    "in place": lambda file: file.write_bytes(b"saved"),
    "rename": lambda file: (
        file.with_name("tmp").write_bytes(b"saved"),
        file.with_name("tmp").rename(file),
    ),
}


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize(
    ("gap", "modern"),
    [
        ("before-exchange", True),
        ("after-exchange", True),
        ("before-put-back", True),
        ("before-exchange", False),
    ],
)
def test_a_save_in_any_gap_of_a_write_is_not_lost(
    case: FolderCase,
    racer: Racer,
    gap: str,
    save: str,
    modern: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not modern:
        monkeypatch.setattr(syscalls, "_missing", {"renameat2", "openat2", "syncfs"})
    file = case.root / "note.txt"

    def first_save() -> None:
        SAVES[save](file)
        if gap == "before-put-back":
            racer.gap, racer.action = gap, lambda: file.write_bytes(b"saved again")

    racer.gap = "before-exchange" if gap == "before-put-back" else gap
    racer.action = first_save
    result = case.write("note.txt", b"remote", b"first")

    case.settle()
    written = {b"saved", b"saved again"} if gap == "before-put-back" else {b"saved"}
    told = {seen.content.data for seen in case.told.seen if seen.path == "note.txt"}  # type: ignore[union-attr]
    assert written & told, f"{result.outcome}: nothing of what was saved was told: {told}"
    last = file.read_bytes()
    assert case.told.tree["note.txt"].digest == hashed(last) or last == b"remote"
    if result.outcome is Outcome.CHANGED:
        assert last in written
    assert temporaries(case) == []


@pytest.mark.parametrize("gap", ["before-remove", "after-remove"])
def test_a_save_in_any_gap_of_a_removal_is_not_lost(
    case: FolderCase, racer: Racer, gap: str
) -> None:
    file = case.root / "note.txt"
    racer.gap, racer.action = gap, lambda: file.write_bytes(b"saved")

    case.do(RemoveFile(0, "note.txt", hashed(b"first")))

    case.told.wait("the save", lambda: case.told.text("note.txt") == b"saved")
    assert file.read_bytes() == b"saved"


def test_a_new_file_in_the_gap_is_kept(case: FolderCase, racer: Racer) -> None:
    racer.gap, racer.action = "before-new", lambda: (case.root / "x").write_bytes(b"mine")
    result = case.write("x", b"theirs")

    assert result.outcome is Outcome.CHANGED
    assert (case.root / "x").read_bytes() == b"mine"
    assert case.told.text("x") == b"mine"


def test_a_program_that_had_the_file_open_loses_nothing(case: FolderCase) -> None:
    with (case.root / "note.txt").open("r+b", buffering=0) as stream:
        result = case.write("note.txt", b"remote", b"first")
        stream.write(b"late save")
    assert result.outcome is Outcome.DONE

    case.told.wait("the late save", lambda: b"late save" in texts(case))
    case.told.wait("what counts", lambda: case.told.text("note.txt") == b"remote")
    wait_until(lambda: not list((case.state / "replaced").iterdir()))


def texts(case: FolderCase) -> list[bytes]:
    return [getattr(seen.content, "data", b"") for seen in case.told.seen]


def test_replaced_files_are_purged(case: FolderCase) -> None:
    case.write("note.txt", b"second", b"first")
    case.do(RemoveFile(0, "note.txt", hashed(b"second")))
    assert len(list((case.state / "replaced").iterdir())) == 2
    wait_until(lambda: not list((case.state / "replaced").iterdir()))


def test_a_crash_leaves_no_litter_and_tells_of_late_saves(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    replaced = root / ".meerkat" / "replaced"
    replaced.mkdir(parents=True)
    (root / ".meerkat-0123.tmp").write_bytes(b"half")
    (replaced / "aa-3-5").write_bytes(b"old")
    os.utime(replaced / "aa-3-5", ns=(5, 5))
    (replaced / "bb-3-5").write_bytes(b"saved since")
    with FolderCase(root) as case:
        assert temporaries(case) == []
        assert [path.name for path in replaced.iterdir()] == ["bb-3-5"]
        case.told.wait("a problem", lambda: ".meerkat/replaced/bb-3-5" in case.told.problems)


def test_many_new_files_in_one_go(case: FolderCase) -> None:
    jobs = [write_job(f"many/{i % 7}/{i}", b"%d" % i) for i in range(600)]
    results = case.do(*jobs)

    assert {result.outcome for result in results} == {Outcome.DONE}
    for i in (0, 300, 599):
        assert (case.root / f"many/{i % 7}/{i}").read_bytes() == b"%d" % i
    events = case.events()
    assert sorted(events)[0:1] == [("seen", "many")]
    assert len(events) == 9  # many, its seven folders, note.txt
    case.scan()
    assert case.events() == []


def test_moves_by_spelling_only(case: FolderCase) -> None:
    (result,) = case.do(MoveFile(0, "note.txt", "Note.txt", hashed(b"first")))
    assert result.outcome is Outcome.DONE
    assert sorted(os.listdir(case.root)) == [".meerkat", "Note.txt"]


def test_a_missing_folder_is_never_written_to(case: FolderCase) -> None:
    adapter: FolderAdapter = case.adapter
    assert adapter.queued_bytes == 0
    case.root.rename(case.root.with_name("away"))
    adapter.request_scan()
    case.told.wait("the problem", lambda: "" in case.told.problems)
    result = case.write("x", b"data")
    assert isinstance(result, JobResult)
    assert result.outcome is Outcome.BUSY
    case.root.with_name("away").rename(case.root)
    case.told.wait("recovery", lambda: "" not in case.told.problems)
    assert case.write("x", b"data").outcome is Outcome.DONE
