"""What the editor itself writes, and where it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from meerkat.errors import FolderError
from meerkat.tui.side_files import create_file, keep_aside, line_end_of, relative_path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / ".meerkat").mkdir(parents=True)
    return folder


def test_paths_are_the_pools(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert relative_path(root, root / "a" / ".." / "b.md") == "b.md"
    assert relative_path(root, root / "new" / "b.md") == "new/b.md"
    monkeypatch.chdir(root)
    assert relative_path(Path(), Path("b.md")) == "b.md"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside.md", "lies outside"),
        ("", "is a folder"),
        (".", "is a folder"),
        ("..", "is a folder"),
        (".meerkat/log", "belongs to meerkat"),
        ("link/inside.md", "lies outside"),
        ("link", "is a link"),
    ],
)
def test_paths_that_are_refused(root: Path, name: str, why: str) -> None:
    (root / "link").symlink_to(root.parent)
    with pytest.raises(FolderError, match=why):
        relative_path(root, root / name)
    with pytest.raises(FolderError):
        create_file(root, name)
    assert sorted(one.name for one in root.iterdir()) == [".meerkat", "link"]


def test_nothing_is_overwritten(root: Path) -> None:
    create_file(root, "deep/a.md", "one\r\n")
    with pytest.raises(FolderError, match="exists already"):
        create_file(root, "deep/a.md", "two")
    assert (root / "deep" / "a.md").read_bytes() == b"one\r\n"


def test_texts_are_kept_aside_each_by_itself(root: Path) -> None:
    kept = {keep_aside(root, "deep/a.md", text).read_text() for text in ("one", "two", "three")}
    assert kept == {"one", "two", "three"}


def test_a_folder_that_cannot_be_written_is_said(root: Path) -> None:
    (root / ".meerkat" / "unsynced").write_text("a file is in the way")
    with pytest.raises(FolderError, match="cannot be kept"):
        keep_aside(root, "a.md", "text")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"a\nb", "LF"),
        (b"a\r\nb\r\n", "CRLF"),
        (b"a\r\nb\n", "mixed"),
        (b"", "LF"),
        (b"a\rb", "LF"),
    ],
)
def test_line_ends_are_told(root: Path, data: bytes, name: str) -> None:
    (root / "a.md").write_bytes(data)
    assert line_end_of(root, "a.md") == name
    assert line_end_of(root, "missing") == "LF"
