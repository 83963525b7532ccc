"""F2: the ways in which programs save a file; each is one change, never a deletion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meerkat.folder import syscalls
from tests.adapters.folder_case import FolderCase


def in_place(file: Path, data: bytes) -> None:
    with file.open("r+b") as stream:
        stream.write(data)
        stream.truncate()


def truncate_and_write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def temporary_and_rename(file: Path, data: bytes) -> None:
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_bytes(data)
    temporary.rename(file)


def backup_rename(file: Path, data: bytes) -> None:  # vim with backupcopy=no
    probe = file.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = file.with_name(file.name + "~")
    file.rename(backup)
    with file.open("wb") as stream:
        stream.write(data)
        os.fsync(stream.fileno())
    backup.unlink()


def backup_under_another_name(file: Path, data: bytes) -> None:
    backup = file.with_name(file.name + ".backup")
    file.rename(backup)
    file.write_bytes(data)
    backup.unlink()


def exchange(file: Path, data: bytes) -> None:
    temporary = file.with_name("other-name")
    temporary.write_bytes(data)
    here = os.open(file.parent, os.O_RDONLY)
    syscalls.exchange(here, temporary.name, here, file.name)
    os.close(here)
    temporary.unlink()


def delete_and_create(file: Path, data: bytes) -> None:
    file.unlink()
    file.write_bytes(data)


def through_hard_link(file: Path, data: bytes) -> None:
    link = file.parent / "hard"
    with link.open("r+b") as stream:
        stream.write(data)
        stream.truncate()


def through_symlink(file: Path, data: bytes) -> None:
    (file.parent / "soft").write_bytes(data)


SAVES = [
    in_place,
    truncate_and_write,
    temporary_and_rename,
    backup_rename,
    backup_under_another_name,
    exchange,
    delete_and_create,
    through_symlink,
]


@pytest.fixture
def case(tmp_path: Path) -> Iterator[FolderCase]:
    root = tmp_path / "folder"
    root.mkdir()
    (root / "note.txt").write_bytes(b"first")
    (root / "soft").symlink_to("note.txt")
    with FolderCase(root) as case:
        case.events()
        yield case


@pytest.mark.parametrize("save", SAVES)
def test_a_save_is_one_change(case: FolderCase, save: Callable[[Path, bytes], None]) -> None:
    file = case.root / "note.txt"
    for round_ in range(6):
        data = f"round {round_} {save.__name__}".encode()
        save(file, data)

        assert case.events() == [("seen", "note.txt")]
        assert case.told.text("note.txt") == data


def test_a_write_through_a_hard_link_changes_both_names(case: FolderCase) -> None:
    os.link(case.root / "note.txt", case.root / "hard")
    assert case.events() == [("seen", "hard")]
    case.scan()

    through_hard_link(case.root / "note.txt", b"by the other name")

    assert sorted(case.events()) == [("seen", "hard"), ("seen", "note.txt")]
    assert case.told.text("note.txt") == b"by the other name"


def test_a_touch_is_no_change(case: FolderCase) -> None:
    os.utime(case.root / "note.txt", (1, 1))

    assert case.events() == []


def test_a_slow_writer_is_read_when_it_closes(case: FolderCase) -> None:
    with (case.root / "note.txt").open("wb", buffering=0) as stream:
        for _ in range(20):
            stream.write(b"line\n")
    assert case.events() == [("seen", "note.txt")]
    assert case.told.text("note.txt") == b"line\n" * 20


def test_rename_is_a_move(case: FolderCase) -> None:
    (case.root / "note.txt").rename(case.root / "letter.txt")

    assert case.events() == [("moved", "note.txt -> letter.txt")]
    assert case.told.text("letter.txt") == b"first"


def test_rename_and_edit_at_once_is_a_move(case: FolderCase) -> None:
    (case.root / "note.txt").rename(case.root / "letter.txt")
    (case.root / "letter.txt").write_bytes(b"other")

    assert case.events() == [("moved", "note.txt -> letter.txt")]
    assert case.told.text("letter.txt") == b"other"


def test_copy_and_delete_is_a_move(case: FolderCase) -> None:
    (case.root / "letter.txt").write_bytes(b"first")
    (case.root / "note.txt").unlink()

    assert case.events() == [("moved", "note.txt -> letter.txt")]


def test_a_new_file_with_the_inode_of_a_deleted_one_is_no_move(case: FolderCase) -> None:
    (case.root / "note.txt").unlink()
    (case.root / "letter.txt").write_bytes(b"something else")

    assert sorted(case.events()) == [("gone", "note.txt"), ("seen", "letter.txt")]


def test_a_folder_rename_moves_all_that_is_in_it(case: FolderCase) -> None:
    for folder in ("a", "a/b"):
        (case.root / folder).mkdir()
        (case.root / folder / "x").write_bytes(folder.encode())
    case.events()

    (case.root / "a").rename(case.root / "z")

    assert sorted(case.events()) == [
        ("moved", "a -> z"),
        ("moved", "a/b -> z/b"),
        ("moved", "a/b/x -> z/b/x"),
        ("moved", "a/x -> z/x"),
    ]
    (case.root / "z/b/x").write_bytes(b"the new name is watched")
    assert case.events() == [("seen", "z/b/x")]


def test_deleting_a_tree(case: FolderCase) -> None:
    for folder in ("a", "a/b"):
        (case.root / folder).mkdir()
        (case.root / folder / "x").write_bytes(folder.encode())
    case.events()
    for path in ("a/b/x", "a/x"):
        (case.root / path).unlink()
    for path in ("a/b", "a"):
        (case.root / path).rmdir()

    gone = case.events()
    assert sorted(gone) == [("gone", "a"), ("gone", "a/b"), ("gone", "a/b/x"), ("gone", "a/x")]
    assert gone.index(("gone", "a/b")) < gone.index(("gone", "a"))
