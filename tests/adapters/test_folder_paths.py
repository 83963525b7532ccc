"""S1: nothing is written or read outside the folder, whatever the path, however fast the links."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.files import Job, MoveFile, Outcome, RemoveFile, RemoveFolder, SetExecutable
from meerkat.core.ids import ContentHash
from meerkat.folder import UnsafePath, check_path, syscalls
from meerkat.folder.paths import Root, link_stays_inside
from tests.adapters.folder_case import FolderCase, write_job

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    ".",
    "..",
    "../x",
    "a/../x",
    "a/../../x",
    "a//b",
    "a/",
    "./a",
    "a/.",
    "nul\0",
    ".meerkat",
    ".meerkat/store",
    ".MEERKAT/store",
    "a/.meerkat/x",
    ".meerkat-x.tmp",
    "x" * 256,
    "a/" * 2100 + "b",
    "\udcff",
]


NO_WAY = "symbolic links|Not a directory|cross-device"


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", "...", ".hidden", "a..b", "é", "a b", "-", "C:"])
def test_ordinary_paths_are_not(path: str) -> None:
    check_path(path)


NAMES = st.sampled_from(["..", ".", "", "a", "é", "C:", "\\", "..\\..", "link", "\0", ".meerkat"])


@given(path=st.one_of(st.text(max_size=30), st.lists(NAMES, max_size=6).map("/".join)))
def test_what_passes_stays_inside(path: str) -> None:
    try:
        check_path(path)
    except UnsafePath:
        return
    joined = os.path.normpath(os.path.join("/folder", path))
    assert joined.startswith("/folder/")
    assert joined == "/folder/" + path


@given(
    path=st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join),
    target=st.lists(st.sampled_from(["..", ".", "", "a"]), max_size=6).map("/".join),
)
def test_links_that_stay_inside(path: str, target: str) -> None:
    if link_stays_inside(path, target):
        at = os.path.dirname("/folder/" + path)
        for part in target.split("/"):
            at = os.path.normpath(os.path.join(at, part))
            assert at.startswith("/folder"), (path, target)


def test_jobs_with_hostile_paths_touch_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "x"
    canary.write_text("canary")
    with FolderCase(tmp_path / "folder") as case:
        digest = ContentHash.of(b"canary")
        for path in HOSTILE:
            jobs: list[Job] = [
                write_job(path, b"evil"),
                RemoveFile(0, path, digest),
                SetExecutable(0, path, True, digest),
                MoveFile(0, "mine", path, digest),
                RemoveFolder(0, path),
            ]
            assert {result.outcome for result in case.do(*jobs)} <= {Outcome.NAME, Outcome.CHANGED}
    assert canary.read_text() == "canary"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x"]


@pytest.mark.parametrize("modern", [True, False])
def test_open_never_passes_a_link(
    tmp_path: Path, modern: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not modern:
        monkeypatch.setattr(syscalls, "_missing", {"openat2"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    folder = tmp_path / "folder"
    (folder / "d").mkdir(parents=True)
    (folder / "d" / "link").symlink_to("../../outside")
    root = Root(folder)
    try:
        for path in ("d/link", "d/link/secret"):
            with pytest.raises(OSError, match=NO_WAY) as caught:
                os.close(root.open(path, os.O_RDONLY))
            assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV)
        with pytest.raises(OSError, match=NO_WAY):
            root.make_folders("d/link/new")
        with pytest.raises(OSError, match=NO_WAY):
            root.lstat("d/link/secret")
    finally:
        root.close()
    assert os.listdir(tmp_path / "outside") == ["secret"]


@pytest.mark.parametrize("modern", [True, False])
def test_a_link_swapped_in_while_we_write(
    tmp_path: Path, modern: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not modern:
        monkeypatch.setattr(syscalls, "_missing", {"openat2", "renameat2", "syncfs"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("canary")
    stop = threading.Event()
    with FolderCase(tmp_path / "folder") as case:
        (case.root / "d").mkdir()
        (tmp_path / "link").symlink_to(outside)
        inner, outer = (os.open(path, os.O_RDONLY) for path in (case.root, tmp_path))

        def swap() -> None:
            while not stop.is_set():
                with contextlib.suppress(FileNotFoundError):
                    syscalls.exchange(inner, "d", outer, "link")

        racing = threading.Thread(target=swap)
        racing.start()
        try:
            for number in range(150):
                case.do(
                    write_job(f"d/{number}", b"data"),
                    write_job("d/f", b"mine"),
                    write_job("d/sub/x", b"data"),
                    RemoveFile(0, "d/f", ContentHash.of(b"canary")),
                    MoveFile(0, f"d/{number}", "d/moved", ContentHash.of(b"data")),
                )
        finally:
            stop.set()
            racing.join()
            os.close(inner)
            os.close(outer)
    assert os.listdir(outside) == ["f"]
    assert (outside / "f").read_text() == "canary"
