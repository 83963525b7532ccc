"""What is written on Live: the codec against protobuf's rules, and the outbox's bounds."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.transport.frames import FrameError, decode, encode, slices
from meerkat.transport.outbox import Outbox
from tests.adapters.transport_parties import run

LIMIT = 1_000_000


@given(st.lists(st.binary(max_size=300)), st.none() | st.text(max_size=16))
def test_a_message_comes_back(frames: list[bytes], goodbye: str | None) -> None:
    assert decode(encode(frames, goodbye), LIMIT) == (frames, goodbye)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, LIMIT])
def test_every_length_of_a_length(length: int) -> None:
    frame = bytes(length)
    assert decode(encode([frame, b"x"]), LIMIT) == ([frame, b"x"], None)


def test_the_bytes_are_protobufs() -> None:
    assert encode([b"ab", b""], "bye") == b"\x0a\x02ab\x0a\x00\x12\x03bye"
    assert encode([bytes(300)])[:3] == b"\x0a\xac\x02"


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_garbage_is_refused_or_read_but_nothing_else(garbage: bytes) -> None:
    try:
        frames, _ = decode(garbage, LIMIT)
    except FrameError:
        return
    assert sum(map(len, frames)) <= len(garbage)


BROKEN = {
    "cut short": b"\x0a\x05abc",
    "no length": b"\x0a",
    "endless length": b"\x0a\xff\xff\xff\xff\xff\x01",
    "unknown field": b"\x1a\x00",
    "a varint field": b"\x08\x01",
    "frame after goodbye": b"\x12\x00\x0a\x00",
    "two goodbyes": b"\x12\x00\x12\x00",
    "long goodbye": b"\x12\x41" + b"x" * 65,
    "large frame": encode([bytes(LIMIT + 1)]),
    "too many frames": encode([b""] * 4097),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_messages_are_refused(broken: str) -> None:
    with pytest.raises(FrameError):
        decode(BROKEN[broken], LIMIT)


def test_slices_keep_order_and_bounds() -> None:
    frames = [b"a" * 10, b"b" * 95, b"c", b"d" * 200, b"e"]
    assert list(slices(frames, 2, 100)) == [[frames[0]], frames[1:3], [frames[3]], [frames[4]]]
    assert list(slices([], 2, 100)) == []
    assert [len(run) for run in slices([b""] * 5, 2, 100)] == [2, 2, 1]


def test_an_outbox_gathers_what_waits_and_counts_what_is_being_written() -> None:
    async def work() -> None:
        outbox = Outbox(1000, gather_bytes=100, gather_frames=3)
        assert all(outbox.put(bytes(size)) for size in (60, 40, 1, 300, 0))
        assert not outbox.put(bytes(500)), "over the bound"
        assert outbox.queued_bytes == 401 + 5 * 64
        assert list(map(len, await outbox.take())) == [60, 40]
        assert outbox.queued_bytes == 401 + 5 * 64, "not written yet"
        assert list(map(len, await outbox.take())) == [1]
        assert outbox.queued_bytes == 301 + 3 * 64
        assert list(map(len, await outbox.take())) == [300]
        assert list(map(len, await outbox.take())) == [0]
        waiting = asyncio.ensure_future(outbox.take())
        asyncio.get_running_loop().call_soon(outbox.put, b"wake")
        assert await waiting == [b"wake"]
        outbox.put(b"last")
        outbox.finish(drop=False)
        assert [await outbox.take(), await outbox.take()] == [[b"last"], []]
        assert outbox.queued_bytes == 0

    run(work())
