"""Large files on their way in: chunks, resuming, verifying, publishing; and reading them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from meerkat.core.chunks import Chunk
from meerkat.core.files import (
    Kind,
    Location,
    Outcome,
    PrepareBlob,
    PrepareResult,
    WriteFile,
)
from meerkat.core.ids import ContentHash
from tests.adapters.folder_case import FolderCase, wait_until

PIECE = 100_000
DATA = random.Random(7).randbytes(7 * PIECE + 123)
PIECES = [DATA[start : start + PIECE] for start in range(0, len(DATA), PIECE)]
CHUNKS = tuple(Chunk(ContentHash.of(piece), len(piece)) for piece in PIECES)
DIGEST = ContentHash.of(DATA)
BLOB = ContentHash.of(b"the manifest")


@pytest.fixture
def case(tmp_path: Path) -> Iterator[FolderCase]:
    with FolderCase(tmp_path / "folder") as case:
        yield case


def prepare(case: FolderCase, sources: dict[ContentHash, Location] | None = None) -> PrepareResult:
    (result,) = case.do(PrepareBlob(0, BLOB, CHUNKS, sources or {}))
    assert isinstance(result, PrepareResult)
    return result


def store(case: FolderCase, *indexes: int) -> None:
    before = len(case.told.stored)
    for index in indexes:
        case.adapter.store_chunk(BLOB, index, PIECES[index])
    case.told.wait("chunks", lambda: len(case.told.stored) == before + len(indexes))


def publish(case: FolderCase, path: str, expected: ContentHash | None = None) -> Outcome:
    job = WriteFile(0, path, Kind.FILE, BLOB, DIGEST, True, expected)
    return case.do(job)[0].outcome


def test_a_blob_arrives(case: FolderCase) -> None:
    assert prepare(case).missing == tuple(range(len(CHUNKS)))
    store(case, *reversed(range(len(CHUNKS))))
    assert all(stored for _, _, stored in case.told.stored)
    assert publish(case, "d/large") is Outcome.DONE

    file = case.root / "d/large"
    assert file.read_bytes() == DATA
    assert os.access(file, os.X_OK)
    assert case.adapter.queued_bytes == 0
    assert not list((case.state / "incoming").iterdir())
    assert case.events() == [("seen", "d")]


def test_what_arrived_can_be_read_before_the_blob_is_whole(case: FolderCase) -> None:
    prepare(case)
    store(case, 2)
    read = case.adapter.read_chunk
    places = [Location("", index * PIECE, PIECE, BLOB) for index in range(3)]

    assert read(places[2], CHUNKS[2].hash) == PIECES[2]
    assert read(places[1], CHUNKS[1].hash) is None, "a hole"
    assert read(places[2], CHUNKS[1].hash) is None
    assert read(Location("", 0, PIECE, ContentHash.of(b"unknown")), CHUNKS[0].hash) is None
    store(case, *(index for index in range(len(CHUNKS)) if index != 2))
    assert publish(case, "large") is Outcome.DONE
    assert read(places[2], CHUNKS[2].hash) is None
    assert read(Location("large", 2 * PIECE, PIECE), CHUNKS[2].hash) == PIECES[2]


def test_a_wrong_chunk_is_refused(case: FolderCase) -> None:
    prepare(case)
    case.adapter.store_chunk(BLOB, 0, PIECES[1])
    case.adapter.store_chunk(BLOB, 99, PIECES[1])
    case.adapter.store_chunk(ContentHash.of(b"unknown"), 0, PIECES[0])
    case.told.wait("answers", lambda: len(case.told.stored) == 3)
    assert not any(stored for _, _, stored in case.told.stored)


def test_it_resumes_after_a_crash_with_what_verifies(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    with FolderCase(root) as case:
        prepare(case)
        store(case, 0, 2, 3)
    with (root / ".meerkat" / "incoming" / f"{BLOB.hex()}.part").open("r+b") as stream:
        stream.seek(2 * PIECE)
        stream.write(b"rot")
    with FolderCase(root) as case:
        assert prepare(case).missing == (1, 2, 4, 5, 6, 7)


def test_what_is_known_to_be_there_is_not_read_again(case: FolderCase) -> None:
    prepare(case)
    store(case, 0, 2, 3)
    part = case.state / "incoming" / f"{BLOB.hex()}.part"
    with part.open("r+b") as stream:
        stream.seek(2 * PIECE)
        stream.write(b"rot")
    assert prepare(case).missing == (1, 4, 5, 6, 7)  # the whole is hashed in the end

    part.unlink()
    assert prepare(case).missing == tuple(range(8))
    store(case, 1)
    assert case.told.stored[-1] == (BLOB, 1, True)


def test_chunks_of_the_folder_are_used_if_they_are_what_they_should_be(case: FolderCase) -> None:
    (case.root / "old").write_bytes(b"head" + PIECES[1] + PIECES[2])
    sources = {
        CHUNKS[1].hash: Location("old", 4, PIECE),
        CHUNKS[2].hash: Location("old", 0, PIECE),
        CHUNKS[3].hash: Location("../outside", 0, PIECE),
        CHUNKS[4].hash: Location("absent", 0, PIECE),
    }
    assert prepare(case, sources).missing == (0, 2, 3, 4, 5, 6, 7)


def test_a_blob_that_two_paths_want_at_once_goes_to_one_and_is_asked_for_again(
    case: FolderCase,
) -> None:
    prepare(case)
    store(case, *range(len(CHUNKS)))
    one, other = (WriteFile(0, path, Kind.FILE, BLOB, DIGEST, False, None) for path in "ab")
    assert [result.outcome for result in case.do(one, other)] == [Outcome.DONE, Outcome.CORRUPT]
    offset = 0
    sources = {}
    for chunk in CHUNKS:
        sources[chunk.hash] = Location("a", offset, chunk.length)
        offset += chunk.length
    assert prepare(case, sources).missing == ()
    assert publish(case, "b") is Outcome.DONE


def test_an_incomplete_blob_is_not_published(case: FolderCase) -> None:
    prepare(case)
    store(case, 0)
    assert publish(case, "large") is Outcome.CORRUPT
    assert not (case.root / "large").exists()
    assert publish(case, "large") is Outcome.CORRUPT  # and nothing is left of it
    assert prepare(case).missing == tuple(range(len(CHUNKS)))


def test_a_blob_over_a_file_and_jobs_behind_it(case: FolderCase) -> None:
    (case.root / "large").write_bytes(b"old")
    case.settle()
    prepare(case)
    store(case, *range(len(CHUNKS)))
    jobs = [
        WriteFile(1001, "large", Kind.FILE, BLOB, DIGEST, False, ContentHash.of(b"old")),
        WriteFile(1002, "large", Kind.FILE, b"last", ContentHash.of(b"last"), False, DIGEST),
        WriteFile(1003, "other", Kind.FILE, b"x", ContentHash.of(b"x"), False, None),
    ]
    case.adapter.perform(jobs)
    case.told.wait("all", lambda: 1002 in case.told.results and 1003 in case.told.results)
    assert {case.told.results[job.ticket].outcome for job in jobs} == {Outcome.DONE}
    assert case.told.order.index(1001) < case.told.order.index(1002)
    assert (case.root / "large").read_bytes() == b"last"
    wait_until(lambda: not list((case.state / "replaced").iterdir()))


def test_what_was_given_up_long_ago_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    with FolderCase(root) as case:
        prepare(case)
    part = root / ".meerkat" / "incoming" / f"{BLOB.hex()}.part"
    with FolderCase(root):
        assert part.exists()
    os.utime(part, (0, 0))
    with FolderCase(root):
        assert not part.exists()


def test_a_blob_where_something_else_stands_stays_incoming(case: FolderCase) -> None:
    prepare(case)
    store(case, *range(len(CHUNKS)))
    (case.root / "large").write_bytes(b"mine")
    assert publish(case, "large") is Outcome.CHANGED
    assert (case.root / "large").read_bytes() == b"mine"
    assert publish(case, "large", ContentHash.of(b"mine")) is Outcome.DONE
    assert (case.root / "large").read_bytes() == DATA


def test_read_chunk_verifies(case: FolderCase) -> None:
    (case.root / "file").write_bytes(DATA)
    place = Location("file", PIECE, PIECE)
    assert case.adapter.read_chunk(place, CHUNKS[1].hash) == PIECES[1]
    assert case.adapter.read_chunk(place, CHUNKS[2].hash) is None
    for bad in ("absent", "../file", "/etc/passwd", ".meerkat/x", "", "a\0b"):
        assert case.adapter.read_chunk(replace(place, path=bad), CHUNKS[1].hash) is None
    (case.root / "pipe").unlink(missing_ok=True)
    os.mkfifo(case.root / "pipe")
    assert case.adapter.read_chunk(replace(place, path="pipe"), CHUNKS[1].hash) is None
    assert case.adapter.read_chunk(replace(place, offset=-1), CHUNKS[1].hash) is None
