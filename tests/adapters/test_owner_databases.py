"""The owner's hand on databases: whole or not at all, and their parts go where they go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from meerkat.folder import FolderConfig
from meerkat.folder.owner_files import OwnerFiles, Refusal, Refused
from tests.adapters.sqlite_files import count, make, opened


@pytest.fixture
def files(tmp_path: Path) -> Iterator[OwnerFiles]:
    make(tmp_path / "x.db")
    files = OwnerFiles(tmp_path, tmp_path / ".meerkat", config=FolderConfig(replaced_grace=0.0))
    yield files
    files.close()


def refused(files: OwnerFiles, path: str) -> Refusal:
    with pytest.raises(Refused) as caught:
        os.close(files.open(path).descriptor)
    assert str(caught.value).endswith(".")
    return caught.value.why


def put(files: OwnerFiles, path: str, data: bytes) -> None:
    upload = files.begin_upload()
    try:
        files.write(upload, data)
        files.put(upload, path)
    finally:
        files.end_upload(upload)


def test_reading_one_that_is_in_use(files: OwnerFiles, tmp_path: Path) -> None:
    with closing(opened(tmp_path / "x.db")):
        assert refused(files, "x.db") is Refusal.TAKEN
        assert refused(files, "x.db-wal") is Refusal.MISSING
    os.close(files.open("x.db").descriptor)
    (tmp_path / "y-journal").write_text("a text")
    os.close(files.open("y-journal").descriptor)


def test_replacing_one(files: OwnerFiles, tmp_path: Path) -> None:
    make(tmp_path / ".meerkat" / "other.db", 9)
    data = (tmp_path / ".meerkat" / "other.db").read_bytes()
    with closing(opened(tmp_path / "x.db")):
        for path, why in (("x.db", Refusal.TAKEN), ("x.db-journal", Refusal.MISSING)):
            with pytest.raises(Refused) as caught:
                put(files, path, data)
            assert caught.value.why is why
    assert count(tmp_path / "x.db") == 4
    put(files, "x.db", data)
    assert count(tmp_path / "x.db") == 9


def test_moving_one(files: OwnerFiles, tmp_path: Path) -> None:
    make(tmp_path / "other.db")
    with closing(opened(tmp_path / "other.db")):
        (tmp_path / "other.db").rename(tmp_path / "other")
        with pytest.raises(Refused, match="in use"):
            files.move("x.db", "other.db")  # a log of another lies there
    connection = opened(tmp_path / "x.db")
    files.move("x.db", "d/y.db")
    assert sorted(os.listdir(tmp_path / "d")) == ["y.db", "y.db-shm", "y.db-wal"]
    assert count(tmp_path / "d/y.db") == 4
    connection.close()


def test_deleting_one_and_a_folder_with_one(files: OwnerFiles, tmp_path: Path) -> None:
    connection = opened(tmp_path / "x.db")
    assert files.delete("x.db") == 0
    assert [name for name in os.listdir(tmp_path) if name.startswith("x")] == []
    connection.close()
    make(tmp_path / "d" / "y.db")
    connection = opened(tmp_path / "d" / "y.db")
    assert files.delete("d") == 0
    assert not (tmp_path / "d").exists()
    connection.close()
    files.purge()
    assert os.listdir(tmp_path / ".meerkat" / "replaced") == []
