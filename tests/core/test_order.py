"""Convergence (A1): the same operations in any order, split and doubled, mean the same."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.actions import (
    Action,
    Body,
    Cover,
    DropFile,
    DropFolder,
    EditText,
    MoveFile,
    NewFile,
    NewVersion,
    Part,
    PutFolder,
    SetEol,
    SetExecutable,
)
from meerkat.core.chunks import pack_chunks
from meerkat.core.edits import Edit
from meerkat.core.ids import ContentHash
from meerkat.core.operation import decode_operation
from meerkat.core.tree import File, Version, version_id
from tests.core.replicas import Party, exchange, make_pool, make_reader

PATHS = ("a.txt", "b.txt", "d/a.txt", "d", "d/e")
CONTENTS = (b"", b"one\n", b"two\ntwo\n", b"\x00blob", "ünïcödé 🦡\n".encode())


def _body(rng: Random) -> tuple[Body, bytes]:
    """A body, and what of it comes in a further part."""
    data = rng.choice(CONTENTS)
    if data.startswith(b"\0"):
        packed = pack_chunks([])
        return Body("blob", ContentHash.of(data), 0, len(packed), packed), b""
    first = len(data) // 2 if rng.random() < 0.3 and data.isascii() else len(data)
    digest = ContentHash.of(data)
    return Body("text", digest, len(data), len(data), data[:first]), data[first:]


def _seen(rng: Random, version: Version) -> Cover:
    """All that its author has, or less."""
    entries = sorted(version.touches)
    if rng.random() < 0.2 and entries:
        entries = entries[:-1]
    return Cover(version.id, tuple(entries))


def random_actions(party: Party, rng: Random) -> list[Action]:
    """Something that a correct peer could sign now, or nearly."""
    tree = party.replica.tree
    files = [tree.files[key] for key in sorted(tree.files)]
    pairs = [(file, version) for file in files for version in file.versions]
    choice = rng.randrange(10)
    if choice <= 1 or not pairs:
        return _birth(party, rng)
    file, version = rng.choice(pairs)
    return _change(party, rng, choice, file, version)


def _birth(party: Party, rng: Random) -> list[Action]:
    path = rng.choice(PATHS)
    if rng.random() < 0.2:
        return [PutFolder(path)]
    body, rest = _body(rng)
    file = party.replica.tree.unused_file_id(path, body.digest)
    version = version_id(file, body.kind, body.digest, ())
    parts: list[Action] = [Part(file, version, len(body.data), rest)] if rest else []
    return [NewFile(file, version, path, rng.random() < 0.3, body), *parts]


def _change(party: Party, rng: Random, choice: int, file: File, version: Version) -> list[Action]:
    match choice:
        case 2:
            return [MoveFile(file.id, rng.choice(PATHS))]
        case 3:
            return [SetExecutable(file.id, rng.random() < 0.5)]
        case 4:
            return [DropFile(file.id, (_seen(rng, version),))]
        case 5:
            body, rest = _body(rng)
            fresh = version_id(file.id, body.kind, body.digest, (version.id,))
            parts: list[Action] = [Part(file.id, fresh, len(body.data), rest)] if rest else []
            return [NewVersion(file.id, fresh, (_seen(rng, version),), body), *parts]
        case 6:
            return [SetEol(file.id, version.id, rng.choice(("lf", "crlf")))]
        case 7:
            record = party.replica.tree.folders
            return [
                DropFolder(path, tuple(sorted(record[path].touches))) for path in sorted(record)[:1]
            ]
        case _:
            return _typing(party, rng, file, version)


def _typing(party: Party, rng: Random, file: File, version: Version) -> list[Action]:
    if version.kind != "text" or not version.complete:
        return []
    length = len(party.replica.texts.load(version).text)
    at = rng.randint(0, length)
    gone = rng.randint(0, min(3, length - at))
    edits = [Edit(at, gone, rng.choice(("x", "yy\n", "", "é🦡")))]
    updates = party.replica.texts.edit(version, edits)
    return [EditText(file.id, version.id, update) for update in updates]


def history(seed: int, count: int) -> list[Party]:
    """Members who write, and now and then exchange what they have."""
    rng = Random(f"history {seed}")
    parties = make_pool(rng.randint(2, 4))
    for _ in range(count):
        party = rng.choice(parties)
        actions = [one for _ in range(rng.randint(1, 3)) for one in random_actions(party, rng)]
        if actions:
            party.write(*actions)
        if rng.random() < 0.25:
            exchange(rng.sample(parties, 2))
    exchange(parties)
    return parties


def same(one: Party, other: Party) -> None:
    assert one.records() == other.records()
    assert one.paths() == other.paths()
    assert one.replica.log.heads == other.replica.log.heads


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_everyone_who_has_the_same_operations_has_the_same(seed):
    parties = history(seed, 25)

    for other in parties[1:]:
        same(parties[0], other)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), order=st.randoms(use_true_random=False))
def test_any_order_split_and_doubling_mean_the_same(seed, order):
    parties = history(seed, 20)
    reader = make_reader(parties[0])
    operations = parties[0].operations()

    deliver_somehow(reader, operations, order)

    assert reader.records() == parties[0].records()
    assert reader.paths() == parties[0].paths()
    assert not reader.replica.log.pending()


def deliver_somehow(reader: Party, operations: list[bytes], order: Random) -> None:
    """Batches in any order, with gaps and doubles, until nothing is missing."""
    before = -1
    while before != len(reader.operations()):
        before = len(reader.operations())
        shuffled = order.sample(operations, len(operations))
        at = 0
        while at < len(shuffled):
            size = order.randint(1, 8)
            batch = shuffled[at : at + size]
            batch = order.choices(batch, k=len(batch)) + batch
            reader.take(sorted(batch, key=lambda data: decode_operation(data).sequence))
            at += size


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_a_restart_finds_what_was_there(seed):
    party = history(seed, 20)[0]
    records, paths = party.records(), party.paths()

    party.load(party.replica.roster.pool)

    assert party.records() == records
    assert party.paths() == paths
