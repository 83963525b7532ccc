"""What the rows process gets of a database's operations, in which order and how much at once."""

from __future__ import annotations

import pytest

from meerkat.core import row_feed
from meerkat.core.actions import (
    MAX_ROWS_BYTES,
    Body,
    ChangeRows,
    Cover,
    DropFile,
    EditText,
    NewFile,
    PayloadError,
    SetLive,
    decode_actions,
    encode_actions,
)
from meerkat.core.ids import ContentHash
from meerkat.core.row_feed import MAX_BYTES, MAX_COUNT, RowFeed
from meerkat.core.tree import file_id, version_id
from tests.core.replicas import Party, exchange, make_pool

DIGEST = bytes(ContentHash.of(b"a database"))
CHUNKS = DIGEST + (10).to_bytes(4, "big")


def birth(party: Party, kind: str = "rows") -> tuple[bytes, bytes]:
    """A new file of a kind; (file, version)."""
    file = bytes(file_id(party.replica.roster.pool, "x.db", DIGEST, 0))
    version = bytes(version_id(file, kind, DIGEST, ()))
    data = CHUNKS if kind == "rows" else b"text"
    body = Body(kind, DIGEST, 10, len(data), data)
    party.write(NewFile(file, version, "x.db", False, body))
    return file, version


def feed_of(party: Party, version: bytes) -> RowFeed:
    replica = party.replica
    return RowFeed(replica.row_log, replica.log, replica.bodies, version)


def datas(feed: RowFeed) -> list[bytes]:
    return [entry.data for entry in feed.take()]


def test_entries_come_in_causal_order_whoever_wrote_them():
    alice, bob = make_pool(2)
    file, version = birth(alice)
    alice.write(ChangeRows(file, version, True, b"1"))
    exchange([alice, bob])
    bob.write(ChangeRows(file, version, False, b"2"))
    bob.write(ChangeRows(file, version, True, b"3"))
    exchange([alice, bob])
    alice.write(ChangeRows(file, version, True, b"4"))
    exchange([alice, bob])
    for party in (alice, bob):
        feed = feed_of(party, version)
        feed.start({}, ())
        entries = feed.take()

        assert [entry.data for entry in entries] == [b"1", b"2", b"3", b"4"]
        assert [entry.last for entry in entries] == [True, False, True, True]
        assert [entry.lamport for entry in entries] == sorted(one.lamport for one in entries)


def test_what_the_process_has_is_not_given_again():
    alice, bob = make_pool(2)
    file, version = birth(alice)
    written = [alice.write(ChangeRows(file, version, True, b"%d" % n))[0] for n in range(4)]
    exchange([alice, bob])
    feed = feed_of(bob, version)
    feed.start({bytes(alice.author): written[0].sequence}, [written[2].id])
    assert datas(feed) == [b"1", b"3"]

    feed.arrived(written[3])
    assert datas(feed) == []


def test_no_more_than_so_many_entries_are_under_way():
    (alice,) = make_pool(1)
    file, version = birth(alice)
    for _ in range(MAX_COUNT + 5):
        alice.write(ChangeRows(file, version, True, b"x"))
    feed = feed_of(alice, version)
    feed.start({}, ())

    assert len(feed.take()) == MAX_COUNT
    assert feed.take() == ()
    feed.done(3)
    assert len(feed.take()) == 3
    feed.done(MAX_COUNT)
    assert len(feed.take()) == 2
    assert not feed.is_idle
    feed.done(MAX_COUNT)  # more than are under way
    assert feed.is_idle


def test_no_more_than_so_many_bytes_are_under_way():
    (alice,) = make_pool(1)
    file, version = birth(alice)
    for _ in range(12):
        alice.write(ChangeRows(file, version, True, bytes(MAX_ROWS_BYTES)))
    feed = feed_of(alice, version)
    feed.start({}, ())

    assert len(feed.take()) == MAX_BYTES // MAX_ROWS_BYTES


def test_what_does_not_fit_into_memory_waits_in_the_index(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_feed, "PAGE", 3)
    alice, bob = make_pool(2)
    file, version = birth(alice)
    for number in range(5):
        alice.write(ChangeRows(file, version, True, b"%d" % number))
    exchange([alice, bob])
    feed = feed_of(bob, version)
    feed.start({}, ())
    late = alice.write(ChangeRows(file, version, True, b"5"))
    exchange([alice, bob])
    feed.arrived(late[0])

    assert datas(feed) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_limit_holds_until_it_is_lifted():
    (alice,) = make_pool(1)
    file, version = birth(alice)
    written = [alice.write(ChangeRows(file, version, True, b"%d" % n))[0] for n in range(3)]
    feed = feed_of(alice, version)
    feed.start({}, (), {bytes(alice.author): written[1].sequence})
    assert datas(feed) == [b"0", b"1"]

    feed.done(2)
    assert feed.is_idle
    feed.go_on()
    assert datas(feed) == [b"2"]


def test_only_the_first_change_of_an_operation_counts():
    (alice,) = make_pool(1)
    file, version = birth(alice)
    alice.write(ChangeRows(file, version, False, b"1"), ChangeRows(file, version, True, b"2"))
    feed = feed_of(alice, version)
    feed.start({}, ())

    assert datas(feed) == [b"1"]


@pytest.mark.parametrize("kind", ["text", "rows"])
def test_changes_of_what_is_no_database_have_no_effect(kind: str):
    (alice,) = make_pool(1)
    file, version = birth(alice, kind)
    other = bytes(16)
    before = alice.records()
    if kind == "text":
        alice.write(ChangeRows(file, version, True, b"1"))
    alice.write(ChangeRows(file, other, True, b"1"), ChangeRows(other, version, True, b"1"))
    alice.write(SetLive(other, False), EditText(file, version if kind == "rows" else other, b"x"))

    assert list(alice.replica.row_log.of(version)) == []
    assert alice.records() == before


def test_the_last_word_on_being_live_counts():
    alice, bob = make_pool(2)
    file, _ = birth(alice)
    exchange([alice, bob])
    alice.write(SetLive(file, False))
    bob.write(SetLive(file, False))
    bob.write(SetLive(file, True))
    exchange([alice, bob])

    assert [one.replica.tree.files[file].plain for one in (alice, bob)] == [False, False]
    assert [one.replica.tree.plain for one in (alice, bob)] == [set(), set()]


def test_a_change_beats_a_removal_that_had_not_seen_it():
    alice, bob = make_pool(2)
    file, version = birth(alice)
    exchange([alice, bob])
    _, found = bob.replica.tree.find(file, version)
    assert found is not None
    seen = found.touches
    alice.write(ChangeRows(file, version, True, b"1"))
    bob.write(DropFile(file, (Cover(version, seen),)))
    exchange([alice, bob])

    for party in (alice, bob):
        _, found = party.replica.tree.find(file, version)
        assert found is not None
        assert found.live


def test_too_large_a_change_is_no_payload():
    action = ChangeRows(bytes(16), bytes(16), True, bytes(MAX_ROWS_BYTES + 1))

    with pytest.raises(PayloadError):
        decode_actions(encode_actions([action]))
