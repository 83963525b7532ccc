"""Scans: the truth that no lost event can hide (F1, F3, F5, F6)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meerkat.core.files import (
    BlobContent,
    Kind,
    MakeFolder,
    MoveFile,
    Outcome,
    RemoveFile,
    SetExecutable,
    Symlink,
)
from meerkat.core.ids import ContentHash
from meerkat.folder import FolderConfig, large, schedule, watcher
from tests.adapters.folder_case import FolderCase, wait_until, write_job

BLIND = FolderConfig(watch=False, rescan_shortest=600)
SHORT = FolderConfig(watch=False, rescan_shortest=0.1, rescan_factor=1)


def test_first_scan_streams_and_the_second_says_nothing(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    for folder in range(12):
        (root / f"d{folder}").mkdir(parents=True)
        for number in range(100):
            (root / f"d{folder}" / f"{number}.txt").write_text(f"{folder} {number}")
    with FolderCase(root) as case:
        case.told.wait("all", lambda: len(case.told.tree) == 1212)
        assert len(case.told.batches) >= 3
        assert max(len(batch.seen) for batch in case.told.batches) <= 500
        folders = [path for kind, path in case.told.events if "/" not in path]
        assert case.told.events.index(("seen", "d3")) < case.told.events.index(("seen", "d3/7.txt"))
        assert len(folders) == 12
        known = dict(case.told.tree)
    with FolderCase(root, known=known) as case:
        assert case.told.events == []


def test_changes_while_stopped(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    for name in ("keep", "edit", "remove", "rename"):
        (root / name).write_text(name)
    with FolderCase(root) as case:
        known = dict(case.told.tree)
    (root / "edit").write_text("edited")
    (root / "remove").unlink()
    (root / "rename").rename(root / "renamed")
    with FolderCase(root, known=known) as case:
        assert sorted(case.told.events) == [
            ("gone", "remove"),
            ("moved", "rename -> renamed"),
            ("seen", "edit"),
        ]


def test_lost_events_are_found_by_the_next_scan(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder", config=SHORT) as case:
        for number in range(300):
            (case.root / str(number)).write_text("x")
        case.told.wait("all", lambda: len(case.told.tree) == 300)
        for number in range(300):
            (case.root / str(number)).unlink()
        case.told.wait("none", lambda: not case.told.tree)


def test_an_overflow_asks_for_a_scan(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        before = case.told.scans
        case.adapter._on_hint(watcher.Hint.LOST, "", "")
        case.told.wait("a scan", lambda: case.told.scans > before)


def test_a_real_overflow(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        files = [case.root / "one", case.root / "two"]
        for file in files:
            file.write_text("x")
        case.settle()
        before = case.told.scans
        # The watcher stands still while this is held.
        gate = case.adapter._watcher._lock  # type: ignore[attr-defined]
        with gate:
            for number in range(40_000):  # max_queued_events is 16,384 by default
                os.utime(files[number % 2], (number, number))  # equal events in a row are merged
            (case.root / "late").write_text("after the queue is full")
        case.told.wait("the late file", lambda: "late" in case.told.tree)
        case.told.wait("a scan", lambda: case.told.scans > before)


def test_folders_made_in_one_breath(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        for number in range(100):
            deep = case.root / f"n{number}" / "a" / "b"
            deep.mkdir(parents=True)
            (deep / "file").write_text("x")
        case.told.wait(
            "all files", lambda: all(f"n{n}/a/b/file" in case.told.tree for n in range(100))
        )


def test_a_change_that_keeps_size_and_times_is_found_by_content(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    file = root / "file"
    file.write_text("aaaa")
    config = FolderConfig(watch=False, rescan_shortest=0.05, rescan_factor=0, rehash_every=0.2)
    with FolderCase(root, config=config) as case:
        observed = case.told.tree["file"]
        file.write_text("bbbb")
        os.utime(file, ns=(observed.signature.mtime_ns, observed.signature.mtime_ns))
        # The ctime cannot be set back, so what is known is set forward to it: as on a file system
        # whose clock is too coarse to tell.
        from dataclasses import replace

        stat = file.stat()
        changed = replace(observed.signature, ctime_ns=stat.st_ctime_ns)
        known = {"file": replace(observed, signature=changed)}
    with FolderCase(root, known=known, config=config) as case:
        case.told.wait("the change", lambda: case.told.text("file") == b"bbbb")


def test_what_is_not_synced_is_shown(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    os.mkfifo(root / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(root / "socket"))
    (root / "outside").symlink_to("/etc/passwd")
    (root / "climbing").symlink_to("../x")
    (root / "inside").symlink_to("good")
    (root / "good").write_text("good")
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff")).write_text("x")
    with FolderCase(root) as case:
        assert sorted(case.told.tree) == ["good", "inside"]
        assert sorted(case.told.problems) == ["bad\\udcff", "climbing", "outside", "pipe", "socket"]
        inside = [seen.content for seen in case.told.seen if seen.path == "inside"]
        assert inside == [Symlink("good")]
        (root / "pipe").unlink()
        case.settle()
        case.told.wait("one problem less", lambda: "pipe" not in case.told.problems)
        # What takes the place of a file and cannot be synced is no deletion.
        (root / "good").unlink()
        os.mkfifo(root / "good")
        assert ("gone", "good") not in case.events()
    listening.close()


def test_an_external_link_in_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    with FolderCase(tmp_path / "folder") as case:
        (case.root / "d").mkdir()
        (case.root / "d" / "secret").write_text("mine")
        case.settle()
        (case.root / "d" / "secret").unlink()
        (case.root / "d").rmdir()
        (case.root / "d").symlink_to(outside)
        case.settle()
        case.scan()
        assert case.told.text("d/secret") == b"mine"


def test_ignore_rules(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "HEAD").write_text("x")
    (root / "build").mkdir()
    (root / "build" / "out").write_text("x")
    for name in ("a~", ".a.swp", "4913", ".DS_Store", "keep.txt", "keep.log", "no.log"):
        (root / name).write_text("x")
    (root / ".meerkatignore").write_text("build/\n*.log\n!keep.log\n!.a.swp\n[\n")
    with FolderCase(root) as case:
        assert sorted(case.told.tree) == [".a.swp", ".meerkatignore", "keep.log", "keep.txt"]
        case.events()
        (root / "build" / "more").write_text("x")
        (root / "no.log").write_text("changed")
        assert case.events() == []
        (root / ".meerkatignore").write_text("keep.txt\n")
        case.told.wait("the rest", lambda: "build/out" in case.told.tree)
        case.told.wait("no.log", lambda: "no.log" in case.told.tree)
        (root / "keep.txt").unlink()  # ignored now: never gone
        assert ("gone", "keep.txt") not in case.events()


def test_what_is_ignored_is_neither_written_nor_reported_whoever_asks_first(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    (root / "build").mkdir(parents=True)
    (root / ".meerkatignore").write_text("*.log\nbuild/\n")
    (root / "x.log").write_text("mine")
    (root / "x.txt").write_text("text")
    with FolderCase(root, start=False) as case:
        early = [replace(write_job("x.log", b"the pool's"), ticket=next(case.tickets))]
        case.adapter.perform(early)  # a newcomer's jobs come before its first scan
        case.adapter.start()
        case.told.wait("the first scan", lambda: case.told.scans)
        results = case.results([*early])
        results += case.do(
            write_job("new.log", b"the pool's"),
            write_job("build/x", b"the pool's"),
            MakeFolder(0, "build/deep"),
            RemoveFile(0, "x.log", ContentHash.of(b"mine")),
            MoveFile(0, "x.txt", "x.log", ContentHash.of(b"text")),
            SetExecutable(0, "x.log", True, ContentHash.of(b"mine")),
        )
        assert {result.outcome for result in results} == {Outcome.IGNORED}
        assert [getattr(result, "ignored", "") for result in results] == [
            *("x.log", "new.log", "build/x", "build/deep"),
            *("x.log", "x.log", "x.log"),
        ]
        assert case.told.problems == {}
        assert sorted(case.told.tree) == [".meerkatignore", "x.txt"]
        assert (root / "x.log").read_text() == "mine"
        assert sorted(os.listdir(root)) == [".meerkat", ".meerkatignore", "build", "x.log", "x.txt"]


def test_a_rule_that_comes_by_a_job_counts_for_the_next_one(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        (case.root / "kept.log").write_text("1")
        case.told.wait("it", lambda: "kept.log" in case.told.tree)
        rules, refused = case.do(write_job(".meerkatignore", b"*.log\n"), write_job("b.log", b"x"))
        assert (rules.outcome, refused.outcome) == (Outcome.DONE, Outcome.IGNORED)
        (case.root / "kept.log").write_text("changed")
        case.adapter.request_report("kept.log")
        case.scan()
        assert case.told.text("kept.log") == b"1"
        gone = RemoveFile(0, ".meerkatignore", ContentHash.of(b"*.log\n"))
        assert case.do(gone)[0].outcome is Outcome.DONE
        case.told.wait("it is a file again", lambda: case.told.text("kept.log") == b"changed")


def test_rules_end_with_their_file(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    (root / ".meerkatignore").write_text("*.log\n")
    (root / "x.log").write_text("x")
    with FolderCase(root) as case:
        assert sorted(case.told.tree) == [".meerkatignore"]
        (root / ".meerkatignore").unlink()
        case.told.wait("the file", lambda: case.told.text("x.log") == b"x")


def test_the_folder_vanishing_is_no_deletion(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    for number in range(20):
        (root / str(number)).write_text("x")
    config = FolderConfig(rescan_shortest=0.05, rescan_factor=0, root_retry=0.05)
    with FolderCase(root, config=config) as case:
        root.rename(tmp_path / "away")
        case.told.wait("the problem", lambda: "" in case.told.problems)
        root.mkdir()  # an empty mount point is not the folder either
        with case.told.condition:
            case.told.condition.wait(0.3)
        assert "" in case.told.problems
        root.rmdir()
        (tmp_path / "away").rename(root)
        case.told.wait("recovery", lambda: "" not in case.told.problems)
        (root / "0").write_text("y")
        case.told.wait("a change", lambda: case.told.text("0") == b"y")
        assert not [event for event in case.told.events if event[0] == "gone"]


def test_deep_folders(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    with FolderCase(root) as case:
        path = "d/" * 200 + "bottom"
        assert path in case.told.tree
        os.write(descriptor := os.open("bottom", os.O_WRONLY, dir_fd=here), b"x")
        os.close(descriptor)
        case.told.wait("the change", lambda: case.told.text(path) == b"x")
        assert case.write(path, b"y", b"x").outcome is Outcome.DONE
    os.close(here)


def test_sparse_and_binary_files(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        with (case.root / "sparse").open("wb") as stream:
            stream.truncate(40 * 1024 * 1024)
        (case.root / "small").write_bytes(b"\0binary")
        case.told.wait("both", lambda: {"sparse", "small"} <= set(case.told.tree))
        contents = {seen.path: seen.content for seen in case.told.seen}
        assert isinstance(contents["sparse"], BlobContent)
        assert sum(chunk.length for chunk in contents["sparse"].chunks) == 40 * 1024 * 1024
        assert isinstance(contents["small"], BlobContent)
        assert case.told.tree["small"].digest == ContentHash.of(b"\0binary")
        assert case.told.progressed


@pytest.mark.parametrize("size", [3, 5 * 1024 * 1024])
def test_a_file_renamed_twice_at_once_is_one_move(tmp_path: Path, size: int) -> None:
    patient = FolderConfig(rescan_shortest=600.0, settle_gone=0.5)
    with FolderCase(tmp_path / "folder", config=patient) as case:
        (case.root / "a").write_bytes(b"a" * size)
        case.told.wait("it", lambda: "a" in case.told.tree)
        before = len(case.told.events)
        (case.root / "a").rename(case.root / "b")
        vanishing = case.adapter._scanner.departures._vanishing
        wait_until(lambda: vanishing.held_for("a") is not None)
        (case.root / "b").rename(case.root / "c")
        case.told.wait("the move", lambda: "c" in case.told.tree)
        assert case.told.events[before:] == [("moved", "a -> c")]


def test_a_large_file_is_moved_without_being_read(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        with (case.root / "large").open("wb") as stream:
            stream.truncate(5 * 1024 * 1024)
        case.told.wait("it", lambda: "large" in case.told.tree)
        digest = case.told.tree["large"].digest
        (case.root / "large").rename(case.root / "renamed")
        case.told.wait("the move", lambda: ("moved", "large -> renamed") in case.told.events)
        assert case.told.seen[-1].content == BlobContent(())
        assert case.told.tree["renamed"].digest == digest
        case.adapter.request_report("renamed")
        case.told.wait("its chunks", lambda: case.told.seen[-1].content != BlobContent(()))
        assert case.told.seen[-1].observed.digest == digest


def test_a_scan_is_complete_when_what_is_large_is_read_and_small_saves_do_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_on, read = threading.Event(), large.hash_large  # type: ignore[attr-defined]

    def slowly(*arguments: Any) -> Any:
        assert read_on.wait(10.0)
        return read(*arguments)

    monkeypatch.setattr(large, "hash_large", slowly)
    monkeypatch.setattr(schedule, "COMPLETE_WITHIN", 0.5)  # that is for what keeps changing
    root = tmp_path / "folder"
    root.mkdir()
    (root / "film").write_bytes(b"\0" + os.urandom(20 * 1024 * 1024))
    with FolderCase(root, start=False) as case:
        case.adapter.start()
        wait_until(lambda: case.adapter._scanner.hashing() == {"film"})
        for name in ("small", "another"):
            (root / name).write_text(name)
            case.told.wait(name, lambda name=name: name in case.told.tree)  # type: ignore[misc]
        wait_until(lambda: time.monotonic() > case.adapter._schedule._left_until)
        (root / "late").write_text("late")
        case.told.wait("the late one", lambda: "late" in case.told.tree)
        assert case.told.scans == 0
        read_on.set()
        case.told.wait("the end of the scan", lambda: case.told.scans)
        assert "film" in case.told.tree


def test_a_save_overtakes_a_large_file(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        with (case.root / "large").open("wb") as stream:
            stream.truncate(300 * 1024 * 1024)
        case.told.wait("hashing", lambda: case.told.progressed or "large" in case.told.tree)
        (case.root / "small").write_text("x")
        case.told.wait("both", lambda: {"large", "small"} <= set(case.told.tree))
        order = [path for kind, path in case.told.events]
        assert order.index("small") < order.index("large")


NAMES = [
    "e\u0301",
    "\u00e9",
    "CASE",
    "case",
    "con",
    "aux.txt",
    "nul",
    "trailing.",
    "trailing ",
    " leading",
    "a:b",
    "back\\slash",
    "q?",
    "st*r",
    '"quoted"',
    "<angle>",
    "pi|pe",
    "new\nline",
    "tab\t",
    "\x01control",
    "\u202ertl",
    "\u0645\u0631\u062d\u0628\u0627",
    "\U0001f9a1" * 60,
    "x" * 255,
    "\u00e9" * 127,
    "-rf",
    "$HOME",
    "%s",
    "...",
    ".hidden",
    "#hash",
    "~home",
]


def test_names_of_every_kind(tmp_path: Path) -> None:
    with FolderCase(tmp_path / "folder") as case:
        results = case.do(*[write_job(name, name.encode()) for name in NAMES])
        assert {result.outcome for result in results} == {Outcome.DONE}
        assert case.events() == []
        known = dict(case.told.tree)
    with FolderCase(case.root, known=known) as case:
        assert sorted(case.told.tree) == sorted(NAMES)
        too_long = case.do(write_job("x" * 256, b""), write_job("\u00e9" * 128, b""))
        assert [result.outcome for result in too_long] == [Outcome.NAME] * 2
        with pytest.raises(UnicodeEncodeError):
            "\udcff".encode()
        (bad,) = case.do(MakeFolder(0, "\udcff"))
        assert bad.outcome is Outcome.NAME


UNREADABLE = """
    import sys
    from pathlib import Path
    sys.path[:0] = {path!r}
    from tests.adapters.folder_case import FolderCase
    from meerkat.core.files import Outcome
    root = Path({root!r})
    with FolderCase(root) as case:
        assert sorted(case.told.tree) == ["closed", "closed/in", "file"], case.told.tree
        (root / "closed").chmod(0)
        (root / "file").chmod(0)
        case.scan()
        case.settle()
        assert {{"closed", "file"}} <= set(case.told.problems), case.told.problems
        assert not [event for event in case.told.events if event[0] == "gone"], case.told.events
        denied = case.write("closed/new", b"x")
        assert denied.outcome is Outcome.DENIED, denied
        (root / "closed").chmod(0o755)
        (root / "file").chmod(0o644)
        case.scan()
        case.told.wait("recovery", lambda: not case.told.problems)
        assert not [event for event in case.told.events if event[0] == "gone"], case.told.events
"""


@pytest.mark.needs_root
@pytest.mark.needs_tool("setpriv")
def test_unreadable_files_are_problems_not_deletions(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "in").write_text("x")
    (root / "file").write_text("x")
    script = textwrap.dedent(UNREADABLE).format(path=sys.path, root=str(root))
    weak = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    subprocess.run([*weak, sys.executable, "-c", script], check=True, timeout=60)


def test_scans_do_not_read_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    for number in range(50):
        (root / str(number)).write_text("x")
    with FolderCase(root) as case:
        known = dict(case.told.tree)
    from meerkat.folder import walk

    reads: list[str] = []
    real: Callable[..., object] = walk.read_entry  # type: ignore[attr-defined]
    monkeypatch.setattr(walk, "read_entry", lambda *args: (reads.append(args[1]), real(*args))[1])  # type: ignore[func-returns-value]
    with FolderCase(root, known=known) as case:
        case.scan()
        assert reads == []
        assert {observed.kind for observed in known.values()} == {Kind.FILE}
    assert time.monotonic()
