"""Admission: what gets into the log, and that nothing else does (S4, S6)."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.actions import MoveFile, PutFolder, encode_actions
from meerkat.core.heads import Range
from meerkat.core.ids import AuthorId, PoolId
from meerkat.core.operation import (
    FIRST,
    MAX_COUNTER,
    Operation,
    OperationError,
    OperationKind,
    decode_operation,
    sign_operation,
)
from meerkat.core.packing import pack
from meerkat.core.ports import Table
from meerkat.core.signing import SigningKey
from tests.core.replicas import Party, exchange, make_pool, make_reader, seed_of

KINDS_UNKNOWN = 77


def key_of(party: Party) -> SigningKey:
    return SigningKey(seed_of(party.name, "author"))


def next_of(party: Party, **changes: Any) -> Operation:
    """What the party would sign next, changed somehow; the party itself does not know of it."""
    end = party.store.heads()[party.author]
    facts: dict[str, Any] = {
        "sequence": end.sequence + 1,
        "previous": end.hash,
        "lamport": party.replica.log.lamport + 1,
        "seen": (),
        "wall_ms": 0,
        "kind": 3,
        "payload": encode_actions([PutFolder("new")]),
    }
    return sign_operation(key_of(party), party.replica.roster.pool, **(facts | changes))


@pytest.fixture
def pair():
    return make_pool(2)


def test_a_good_operation_is_admitted_once(pair):
    alice, bob = pair
    operation = next_of(alice)

    assert bob.take([operation.data]).admitted == [operation]
    again = bob.take([operation.data])
    assert again.admitted == []
    assert again.present == [operation.id]
    assert "new" in bob.replica.view.folders


def test_one_signature_admits_the_chain_before_it(pair):
    alice, bob = pair
    written = [alice.write(PutFolder(f"f{n}"))[0] for n in range(20)]

    assert len(bob.take([one.data for one in written]).admitted) == len(written)


def test_what_lies_behind_a_bad_signature_is_not_admitted(pair):
    alice, bob = pair
    first, second = (alice.write(PutFolder(name))[0] for name in ("a", "b"))
    body, signature = msgspec.msgpack.decode(second.data, type=tuple[bytes, bytes])
    forged = pack((body, bytes(64)))

    result = bob.take([first.data, forged])

    assert result.admitted == [first]
    assert signature != bytes(64)
    assert result.refused == 1
    assert bob.replica.log.heads[alice.author] == first.sequence


def _resigned_fields(operation: Operation) -> list[bytes]:
    """The same bytes with one field of the signed body changed, the signature kept."""
    body = list(msgspec.msgpack.decode(operation.body))
    changed = [
        [bytes(32), *body[1:]],
        [body[0], body[1] + 1, *body[2:]],
        [*body[:2], bytes(32), *body[3:]],
        [*body[:3], body[3] + 1, *body[4:]],
        [*body[:4], [[bytes(32), 1]], *body[5:]],
        [*body[:5], body[5] + 1, *body[6:]],
        [*body[:6], 4, body[7]],
        [*body[:7], body[7] + b"x"],
    ]
    return [pack((pack(one), operation.signature)) for one in changed]


def test_every_changed_field_is_refused(pair):
    alice, bob = pair
    heads = bob.replica.log.heads.copy()

    for data in _resigned_fields(next_of(alice)):
        assert not bob.take([data]).admitted

    assert bob.replica.log.heads == heads
    assert not bob.replica.log.frozen, "nobody can be framed"


@given(at=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_every_flipped_bit_is_refused(at, mask):
    alice, bob = make_pool(2)
    data = bytearray(next_of(alice).data)
    data[at % len(data)] ^= mask

    result = bob.take([bytes(data)])

    assert not result.admitted
    assert not bob.replica.log.frozen


def test_replay_into_another_pool_is_refused(pair):
    alice, bob = pair
    other = PoolId(bytes(32))
    end = alice.store.heads()[alice.author]
    elsewhere = sign_operation(
        key_of(alice),
        other,
        sequence=end.sequence + 1,
        previous=end.hash,
        lamport=99,
        seen=(),
        wall_ms=0,
        kind=OperationKind.CHANGES,
        payload=b"\0\x90",
    )

    assert bob.take([elsewhere.data]).refused == 1


def test_gaps_wait_and_tell(pair):
    alice, bob = pair
    first, second, third = (alice.write(PutFolder(name))[0] for name in "abc")

    assert bob.take([third.data]).gaps == {alice.author}
    assert not bob.take([second.data, third.data]).admitted
    assert len(bob.take([first.data, second.data, third.data]).admitted) == 3


@pytest.mark.parametrize("ahead", [2**20 + 1, 2**30, MAX_COUNTER - 1, MAX_COUNTER])
def test_an_operation_from_the_far_future_is_not_admitted(pair, ahead):
    alice, bob = pair
    lamport = min(bob.replica.log.lamport + ahead, MAX_COUNTER)

    result = bob.take([next_of(alice, lamport=lamport).data])

    assert result.refused == 1
    assert bob.replica.log.lamport < 100
    assert bob.write(PutFolder("honest"))


def test_the_nearer_future_is_admitted(pair):
    alice, bob = pair
    lamport = bob.replica.log.lamport + 2**20

    assert bob.take([next_of(alice, lamport=lamport).data]).admitted


@pytest.mark.parametrize("lamport", [2**53, 2**64])
def test_counters_fit_53_bits(pair, lamport):
    with pytest.raises((OperationError, OverflowError)):
        next_of(pair[0], lamport=lamport)


def test_lamport_times_of_one_author_ascend(pair):
    alice, bob = pair

    assert bob.take([next_of(alice, lamport=1).data]).refused == 1


def test_unknown_kinds_are_kept_forwarded_and_harmless(pair):
    alice, bob = pair
    before = bob.paths()
    operation = next_of(alice, kind=KINDS_UNKNOWN, payload=b"from the future")
    after_it = next_of(
        alice,
        sequence=operation.sequence + 1,
        previous=operation.hash,
        lamport=operation.lamport + 1,
    )

    assert len(bob.take([operation.data, after_it.data]).admitted) == 2
    assert operation.data in bob.operations()
    assert bob.paths().keys() == before.keys() | {"new"}
    assert not bob.replica.log.pending()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\x01not zlib",
        b"\x02?",
        b"\x00\x91\x92\x63\xa1x",
        b"\x00" + pack([(7, bytes(16), "../escape")]),
        b"\x00" + pack([(1, "/absolute")]),
        b"\x00" + pack([(3, bytes(16), bytes(16), "p", False, ("text", bytes(32), 0, 9, b"", ""))]),
        b"\x00" + pack([(6, bytes(16), bytes(16), b"not an update")]),
        b"\x00" + pack([(10, bytes(16), [(bytes(16), [(bytes(32), 2**53 - 1)])])]),
    ],
)
@pytest.mark.parametrize("kind", [2, 3])
def test_malformed_payloads_are_harmless(pair, payload, kind):
    alice, bob = pair
    paths, members = bob.paths(), dict(bob.replica.roster.members)

    assert bob.take([next_of(alice, kind=kind, payload=payload).data]).admitted
    assert bob.paths() == paths
    assert bob.replica.roster.members == members
    assert not bob.replica.log.pending()


def test_a_fork_is_seen_kept_and_freezes_its_author(pair):
    alice, bob = pair
    honest, twin = next_of(alice), next_of(alice, payload=encode_actions([PutFolder("twin")]))
    bob.take([honest.data])

    assert bob.take([twin.data]).forks == {alice.author}
    assert alice.author in bob.replica.log.frozen
    assert bob.store.get(Table.META, b"fork:" + alice.author) == twin.data
    follower = next_of(
        alice, sequence=honest.sequence + 1, previous=honest.hash, lamport=honest.lamport + 1
    )
    assert not bob.take([follower.data]).admitted


def test_a_fork_is_seen_from_what_follows_it(pair):
    alice, bob = pair
    honest, twin = next_of(alice), next_of(alice, wall_ms=5)
    bob.take([honest.data])
    after_twin = next_of(
        alice, sequence=twin.sequence + 1, previous=twin.hash, lamport=twin.lamport + 1
    )

    assert bob.take([after_twin.data]).forks == {alice.author}


def test_nobody_else_can_make_a_fork_of_mine(pair):
    alice, bob = pair
    honest = next_of(alice)
    bob.take([honest.data])
    mallory = SigningKey(b"m" * 32)
    body = list(msgspec.msgpack.decode(honest.body))
    body[5] += 1
    forged = pack((pack(body), mallory.sign(pack(body))))

    assert not bob.take([forged]).forks
    assert not bob.replica.log.frozen


def test_strangers_wait_until_they_are_members():
    alice, _, carol = make_pool(3)
    reader = make_reader(alice)
    carols = [one for one in carol.operations() if decode_operation(one).author == carol.author]

    assert reader.take(carols).strangers == {carol.author}
    assert reader.replica.log.heads[carol.author] == 0
    for _ in range(3):  # carol was added by someone who had seen bob, who was added before
        reader.take(alice.operations())

    assert reader.replica.log.heads[carol.author] == len(carols)


def test_an_operation_waits_for_what_its_author_had_seen():
    alice, bob, carol = make_pool(3)
    first = alice.write(PutFolder("first"))[0]
    bob.take([first.data])
    second = bob.write(PutFolder("second"))[0]

    carol.take([second.data])
    assert "second" not in carol.replica.view.folders
    assert carol.replica.log.pending()
    carol.take([first.data])

    assert {"first", "second"} <= set(carol.replica.view.folders)
    assert not carol.replica.log.pending()


def test_causes_nobody_has_hold_up_only_what_depends_on_them():
    alice, bob, carol = make_pool(3)
    hanging = next_of(bob, seen=((alice.author, 10_000),))
    carol.take([hanging.data])
    assert carol.replica.log.pending()

    free = alice.write(PutFolder("free"))[0]
    carol.take([free.data])

    assert "free" in carol.replica.view.folders


def test_a_first_operation_needs_its_place(pair):
    alice, bob = pair
    key = SigningKey(b"n" * 32)
    stray = sign_operation(
        key,
        alice.replica.roster.pool,
        sequence=1,
        previous=FIRST,
        lamport=5,
        seen=(),
        wall_ms=0,
        kind=OperationKind.CHANGES,
        payload=b"\0\x90",
    )

    result = bob.take([stray.data])

    assert not result.admitted
    assert AuthorId(key.public) not in bob.replica.roster.authors


@given(garbage=st.binary(max_size=200))
def test_garbage_is_refused(garbage):
    _, bob = make_pool(2)
    heads = bob.replica.log.heads.copy()

    assert bob.take([garbage]).refused == 1
    assert bob.replica.log.heads == heads


def test_reading_is_bounded(pair):
    alice, _ = pair
    for n in range(50):
        alice.write(MoveFile(bytes(16), f"path{n}"))
    ranges = [Range(author, 1, last) for author, last in alice.replica.log.heads.items()]

    found, ends = alice.replica.log.read(ranges, 1000)

    assert found
    assert ends
    assert sum(map(len, found)) <= 1000 + max(map(len, found))
    assert alice.replica.log.read([replace(ranges[0], first=10**6, last=2**53)], 1000)[0] == []


def test_a_restart_goes_on_with_the_chain(pair):
    alice, bob = pair
    first = alice.write(PutFolder("before"))[0]
    alice.load(alice.replica.roster.pool)
    second = alice.write(PutFolder("after"))[0]

    assert second.previous == first.hash
    assert second.lamport > first.lamport
    exchange([alice, bob])
    assert {"before", "after"} <= set(bob.replica.view.folders)


def test_the_order_of_authors_in_a_batch_does_not_matter():
    parties = make_pool(4)
    for one in parties:
        for n in range(5):
            one.write(PutFolder(f"{one.name}{n}"))
    operations = [data for one in parties for data in one.operations()]
    runs: dict[AuthorId, list[bytes]] = {}
    for data in dict.fromkeys(operations):
        runs.setdefault(decode_operation(data).author, []).append(data)
    results = []
    for seed in range(6):
        reader = make_reader(parties[0])
        order = sorted(runs)
        Random(seed).shuffle(order)
        for _ in range(4):
            reader.take([data for author in order for data in runs[author]])
        results.append(reader.records())

    assert all(one == results[0] for one in results)
