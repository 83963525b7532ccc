"""Messages to bytes and back; garbage costs a ProtocolError and nothing else."""

from __future__ import annotations

from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core import messages, wire
from meerkat.core.ids import ContentHash

bytes32 = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, 2**53 - 1)
addresses = st.lists(st.text(min_size=1, max_size=20), max_size=8).map(tuple)
heads = st.lists(st.tuples(bytes32, numbers), max_size=5).map(tuple)
operations = st.binary(min_size=1, max_size=50)
chunks = st.lists(bytes32, min_size=1, max_size=5).map(tuple)

bytes16 = st.binary(min_size=16, max_size=16)
bytes64 = st.binary(min_size=64, max_size=64)
hops = st.integers(0, 255)
contact = st.builds(
    messages.Contact,
    author=bytes32,
    addresses=addresses,
    dialable=st.booleans(),
    stamp=numbers,
    signature=bytes64,
)
contacts = st.lists(contact, max_size=3).map(tuple)
beacon = st.builds(messages.Beacon, author=bytes32, sequence=numbers, stable=st.booleans())
entries = st.lists(st.tuples(bytes32, numbers, numbers, hops), max_size=3).map(tuple)

any_message = st.one_of(
    st.builds(
        messages.Hello,
        version=st.integers(1, 65_535),
        pool=bytes32,
        author=bytes32,
        opened=operations,
        name=st.text(max_size=64),
        contact=contact,
        intent=st.sampled_from(messages.Intent),
        request=st.one_of(st.just(b""), bytes16),
        proof=st.one_of(st.just(b""), bytes64),
        degree=st.integers(0, 1024),
        beacon=st.one_of(st.none(), beacon),
        heads_hash=bytes32,
        heads=heads,
        contacts=contacts,
    ),
    st.builds(messages.HaveHeads, heads=heads),
    st.builds(
        messages.WantOperations,
        ranges=st.lists(st.tuples(bytes32, numbers, numbers), min_size=1, max_size=5).map(tuple),
        limit_bytes=st.integers(1, 2**20),
    ),
    st.builds(
        messages.Operations,
        operations=st.lists(operations, max_size=5).map(tuple),
        answer=st.booleans(),
    ),
    st.builds(messages.Contacts, contacts=contacts, answer=st.booleans()),
    st.builds(
        messages.JoinRequest,
        request=bytes16,
        origin=contact,
        kind=st.sampled_from(messages.WalkKind),
        warm=st.integers(0, 12),
        ttl=st.integers(0, 32),
        proof=bytes64,
    ),
    st.builds(messages.JoinOffer, request=bytes16, contact=contact),
    st.builds(messages.JoinHint, request=bytes16, contacts=contacts),
    st.builds(messages.Beat, degree=st.integers(0, 1024), beacon=beacon, heads_hash=bytes32),
    st.builds(messages.MergeHint, merge=bytes16, contacts=contacts),
    st.builds(
        messages.Push,
        broadcast=st.builds(
            messages.Broadcast,
            author=bytes32,
            boot=numbers,
            sequence=numbers,
            kind=hops,
            payload=st.binary(max_size=50),
            signature=bytes64,
        ),
        hops=hops,
    ),
    st.builds(messages.Announce, entries=entries.filter(bool)),
    st.builds(messages.Graft, tree=st.one_of(st.just(b""), bytes32), entries=entries),
    st.builds(messages.Prune, tree=st.one_of(st.just(b""), bytes32)),
    st.builds(
        messages.Direct,
        id=bytes16,
        to=bytes32,
        source=bytes32,
        box=st.binary(max_size=50),
        hops=hops,
        flood=st.booleans(),
    ),
    st.builds(messages.DirectAck, id=bytes16, by=bytes32, there=hops, hops=hops, proof=bytes64),
    st.builds(messages.DirectFailed, id=bytes16),
    st.builds(messages.WantChunks, chunks=chunks),
    st.builds(messages.NoChunks, chunks=chunks),
    st.builds(messages.HaveChunks, chunks=chunks),
    st.builds(messages.Ping, token=numbers),
    st.builds(messages.Pong, token=numbers),
)


@given(message=any_message)
def test_what_goes_in_comes_out(message):
    assert wire.decode(wire.encode(message)) == message


def _accepts(frame: bytes) -> bool:
    try:
        wire.decode(frame)
    except wire.ProtocolError:
        return False
    return True


@given(frame=st.binary(max_size=300))
def test_garbage_gives_only_protocol_errors(frame):
    _accepts(frame)


@given(message=any_message, at=st.integers(0, 10**6), mask=st.integers(1, 255), cut=st.booleans())
def test_damaged_frames_give_only_protocol_errors(message, at, mask, cut):
    frame = bytearray(wire.encode(message))
    if cut:
        assert not _accepts(bytes(frame[: at % len(frame)]))
    else:
        frame[at % len(frame)] ^= mask
        _accepts(bytes(frame))


@pytest.mark.parametrize(
    "value",
    [
        (99,),
        (8, -1),
        (8, 2**53),
        (8, "1"),
        (2, [(bytes(31), 1)]),
        (2, [(bytes(32), 1)] * (messages.MAX_HEADS + 1)),
        (3, [], 10),
        (3, [(bytes(32), 1, 2)], 0),
        (3, [(bytes(32), 1, 2)], 2**30),
        (4, [b""]),
        (4, [b"x"] * (messages.MAX_OPERATIONS + 1)),
        (6, []),
        (6, [bytes(32)] * (messages.MAX_CHUNKS + 1)),
        (22, []),
        (5, [(bytes(32), ["a"] * 9, True, 1, bytes(64))]),
        (5, [(bytes(32), ["a" * 301], True, 1, bytes(64))]),
        (5, [(bytes(32), ["a"], True, 1, bytes(63))]),
        (10, bytes(16), (bytes(32), [], True, 1, bytes(64)), 0, 13, 24, bytes(64)),
        (10, bytes(16), (bytes(32), [], True, 1, bytes(64)), 3, 6, 24, bytes(64)),
        (15, (bytes(32), 1, 1, 1, bytes(64 * 1024 + 1), bytes(64)), 0),
        (16, []),
        (1, 0, bytes(32), bytes(32), b"o", "n", [], []),
    ],
)
def test_values_out_of_bounds_are_refused(value):
    assert not _accepts(msgspec.msgpack.encode(value))


@pytest.mark.parametrize(
    "frame",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of 4 billion
        b"\xc6\xff\xff\xff\xff",  # bytes of 4 GiB
        b"\x92\x02\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,  # nested
        b"\x82" * 100_000,
        bytes(wire.MAX_FRAME_BYTES + 1),
    ],
)
def test_hostile_sizes_are_refused_at_once(frame):
    assert not _accepts(frame)


def test_trailing_bytes_are_refused():
    assert not _accepts(wire.encode(messages.Ping(1)) + b"\x00")


@given(contents=st.lists(st.binary(min_size=1, max_size=100), min_size=1, max_size=5))
def test_chunks_come_out_and_are_checked(contents):
    chunks = [(ContentHash.of(data), data) for data in contents]

    assert wire.decode_chunks(wire.encode_chunks(chunks)) == chunks


@given(
    contents=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=3),
    at=st.integers(0, 10**6),
    mask=st.integers(1, 255),
)
def test_a_changed_or_cut_bulk_frame_is_refused(contents, at, mask):
    frame = bytearray(wire.encode_chunks([(ContentHash.of(data), data) for data in contents]))
    whole = set(accumulate(len(data) + 36 for data in contents))
    cut = at % len(frame)
    if cut not in whole:
        with pytest.raises(wire.ProtocolError):
            wire.decode_chunks(bytes(frame[:cut]))
    frame[cut] ^= mask
    with pytest.raises(wire.ProtocolError):
        wire.decode_chunks(bytes(frame))


@given(frame=st.binary(max_size=200))
def test_garbage_is_no_bulk_frame(frame):
    with pytest.raises(wire.ProtocolError):
        wire.decode_chunks(frame)


@pytest.mark.parametrize("frame", [b"", bytes(36), bytes(wire.MAX_FRAME_BYTES + 1)])
def test_bulk_frames_of_wrong_sizes_are_refused(frame):
    with pytest.raises(wire.ProtocolError):
        wire.decode_chunks(frame)
