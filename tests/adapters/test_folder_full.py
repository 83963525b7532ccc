"""D3: a full disk, no inodes left, a read-only file system: told, nothing lost, and it goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat.core.chunks import Chunk
from meerkat.core.files import MakeFolder, Outcome, PrepareBlob, PrepareResult, RemoveFile
from meerkat.core.ids import ContentHash
from tests.adapters.folder_case import FolderCase, write_job

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_tool("mount", "umount")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "tmpfs", str(mount)], check=False
    )
    if made.returncode:
        pytest.skip("may not mount here")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_a_full_disk(disk: Path) -> None:
    with FolderCase(disk / "folder") as case:
        assert case.write("note", b"old").outcome is Outcome.DONE
        jobs = [write_job(f"{n}", b"%d" % n * 200_000) for n in range(9)]
        outcomes = [result.outcome for result in case.do(*jobs)]
        assert outcomes[0] is Outcome.DONE
        assert outcomes[-1] is Outcome.FULL
        assert case.write("note", b"new" * 100_000, b"old").outcome is Outcome.FULL
        assert (case.root / "note").read_bytes() == b"old"
        assert not list(case.root.glob(".meerkat-*"))
        (removed,) = case.do(RemoveFile(0, "0", ContentHash.of(b"0" * 200_000)))
        assert removed.outcome is Outcome.DONE  # possible even now
        remount(disk, "size=8m")
        assert case.write("note", b"new" * 100_000, b"old").outcome is Outcome.DONE


def test_a_blob_that_does_not_fit_is_not_prepared(disk: Path) -> None:
    pieces = [b"%d" % n * 200_000 for n in range(9)]
    chunks = tuple(Chunk(ContentHash.of(piece), len(piece)) for piece in pieces)
    blob = ContentHash.of(b"the manifest")
    with FolderCase(disk / "folder") as case:
        (prepared,) = case.do(PrepareBlob(0, blob, chunks, {}))
        for index, piece in enumerate(pieces):
            case.adapter.store_chunk(blob, index, piece)
        case.told.wait("chunks", lambda: len(case.told.stored) == len(pieces))
        lacking = tuple(index for _, index, stored in case.told.stored if not stored)
        assert prepared.outcome is Outcome.DONE
        assert 0 < len(lacking) < len(pieces)
        (full,) = case.do(PrepareBlob(0, blob, chunks, {}))
        assert full.outcome is Outcome.FULL
        assert "free some space" in full.detail
        remount(disk, "size=8m")
        (prepared,) = case.do(PrepareBlob(0, blob, chunks, {}))
        assert isinstance(prepared, PrepareResult)
        assert (prepared.outcome, prepared.missing) == (Outcome.DONE, lacking)


def test_no_inodes(disk: Path) -> None:
    with FolderCase(disk / "folder") as case:
        results = case.do(*[write_job(f"{n}", b"x") for n in range(60)])
        assert {result.outcome for result in results} == {Outcome.DONE, Outcome.FULL}
        (folder,) = case.do(MakeFolder(0, "new"))
        assert folder.outcome is Outcome.FULL
        assert "full" in folder.detail
        remount(disk, "nr_inodes=200")
        (folder,) = case.do(MakeFolder(0, "new"))
        assert folder.outcome is Outcome.DONE


def test_a_read_only_file_system(disk: Path) -> None:
    with FolderCase(disk / "folder") as case:
        case.write("note", b"old")
        remount(disk, "ro")
        assert case.write("note", b"new", b"old").outcome is Outcome.DENIED
        (removed,) = case.do(RemoveFile(0, "note", ContentHash.of(b"old")))
        assert removed.outcome is Outcome.DENIED
        remount(disk, "rw")
        assert case.write("note", b"new", b"old").outcome is Outcome.DONE


def test_unmounting_is_no_deletion_and_mounting_again_is_noticed(disk: Path) -> None:
    with FolderCase(disk / "folder") as case:
        case.write("note", b"old")
        case.settle()
        spare = disk.parent / "spare"
        spare.mkdir()
        subprocess.run(["mount", "--move", str(disk), str(spare)], check=False)
        moved = not (disk / "folder").exists()
        if not moved:  # a shared parent mount forbids moving: hide it instead
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
        case.adapter.request_scan()
        case.told.wait("the problem", lambda: "" in case.told.problems)
        if moved:
            subprocess.run(["mount", "--move", str(spare), str(disk)], check=True)
        else:
            subprocess.run(["umount", str(disk)], check=True)
        case.told.wait("recovery", lambda: "" not in case.told.problems)
        assert not [event for event in case.told.events if event == ("gone", "note")]
        assert case.write("note", b"new", b"old").outcome is Outcome.DONE


def test_another_file_system_inside_the_folder(disk: Path, tmp_path: Path) -> None:
    from tests.adapters.test_folder_blobs import BLOB, CHUNKS, DATA, DIGEST, prepare, store

    root = tmp_path / "folder"
    (root / "inner").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(disk), str(root / "inner")], check=True)
    try:
        with FolderCase(root) as case:
            assert case.write("inner/note", b"old").outcome is Outcome.DONE
            assert case.write("inner/note", b"new", b"old").outcome is Outcome.DONE
            remount(disk, "size=8m")
            prepare(case)
            store(case, *range(len(CHUNKS)))
            from meerkat.core.files import Kind, MoveFile, WriteFile

            blob = WriteFile(0, "inner/large", Kind.FILE, BLOB, DIGEST, False, None)
            assert case.do(blob)[0].outcome is Outcome.DONE
            assert (root / "inner/large").read_bytes() == DATA
            (moved,) = case.do(MoveFile(0, "inner/note", "note", ContentHash.of(b"new")))
            assert moved.outcome is Outcome.DENIED
            (removed,) = case.do(RemoveFile(0, "inner/note", ContentHash.of(b"new")))
            assert removed.outcome is Outcome.DONE
            assert not list(root.rglob(".meerkat-*"))
    finally:
        subprocess.run(["umount", "-l", str(root / "inner")], check=True)
