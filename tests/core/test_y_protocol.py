"""Frames of the y-websocket protocol: what is one, and that nothing else gets through."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.y_protocol import (
    MAX_AWARENESS_STATES,
    MAX_FRAME_BYTES,
    MAX_STATE_BYTES,
    AskAwareness,
    AwarenessState,
    Ignored,
    ShowAwareness,
    SyncStep1,
    SyncUpdate,
    YProtocolError,
    decode_frame,
    decode_state,
    encode_awareness,
    encode_step1,
    encode_step2,
    encode_update,
)

NUMBER = st.integers(0, 2**53 - 1)
STATE = st.builds(AwarenessState, NUMBER, st.integers(0, 2**53 - 2), st.text())


def test_frames_are_those_of_npm() -> None:
    """Captured from y-websocket 3.1.0 with yjs 13.6.33 (client id 7)."""
    assert encode_step1({}) == bytes.fromhex("00000100")
    assert decode_frame(bytes.fromhex("000003010702")) == SyncStep1({7: 2})
    update = bytes.fromhex("010107000401047465787402686900")
    assert decode_frame(b"\x00\x02\x0f" + update) == SyncUpdate(update)
    assert encode_update(update) == b"\x00\x02\x0f" + update
    shown = b'\x01\x0e\x01\x07\x01\x0a{"x":true}'
    assert decode_frame(shown) == ShowAwareness((AwarenessState(7, 1, '{"x":true}'),))
    assert encode_awareness([AwarenessState(7, 1, '{"x":true}')]) == shown
    assert decode_frame(b"\x03") == AskAwareness()


@given(st.dictionaries(NUMBER, NUMBER))
def test_step_1_comes_back(vector: dict[int, int]) -> None:
    assert decode_frame(encode_step1(vector)) == SyncStep1(vector)


@given(st.binary(max_size=300))
def test_updates_come_back(update: bytes) -> None:
    assert decode_frame(encode_step2(update)) == SyncUpdate(update, is_answer=True)
    assert decode_frame(encode_update(update)) == SyncUpdate(update)


@given(st.lists(STATE))
def test_awareness_comes_back(states: list[AwarenessState]) -> None:
    assert decode_frame(encode_awareness(states)) == ShowAwareness(tuple(states))


@pytest.mark.parametrize("frame", [b"\x02\x00\x04nope", b"\x04", b"\x7fwhatever"])
def test_messages_that_mean_nothing_here_are_passed_over(frame: bytes) -> None:
    assert decode_frame(frame) == Ignored()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "cut short"),
        (b"\x00", "cut short"),
        (b"\x00\x00\x05\x00", "cut short"),
        (b"\x00\x03\x00", "unknown kind"),
        (b"\x00\x00\x01\x00\x00", "bytes follow"),
        (b"\x00\x00\x01\x01", "cut short"),
        (b"\x00\x00\x05\x02\x07\x01\x07\x01", "twice"),
        (b"\x00\x00\x03\x00\x07\x01", "wrong length"),
        (b"\x00\x00\x01\xff", "cut short"),
        (b"\x80\x00\x00\x01\x00", "canonical"),
        (b"\x01\x05\x01\x07\x01\x01\xff", "UTF-8"),
        (b"\x01\x05\x01\x07\x01\x09\x30", "cut short"),
        (b"\x01\x05\x00\x07\x01\x01\x30", "bytes follow"),
        (b"\x01\x0b\x01\x07\xff\xff\xff\xff\xff\xff\xff\x0f\x00", "clock is too large"),
        (b"\x00\x02" + bytes(MAX_FRAME_BYTES), "too large"),
        (b"\x00\x00\x80\x80\x41" + bytes(65 * 2**14), "too large"),
    ],
)
def test_what_is_no_frame_is_refused(frame: bytes, words: str) -> None:
    with pytest.raises(YProtocolError, match=words):
        decode_frame(frame)


def test_awareness_has_a_limit() -> None:
    state = AwarenessState(1, 1, "null")
    decode_frame(encode_awareness([state] * MAX_AWARENESS_STATES))
    with pytest.raises(YProtocolError, match="too many"):
        decode_frame(encode_awareness([state] * (MAX_AWARENESS_STATES + 1)))


def test_garbage_is_a_message_or_refused() -> None:
    rng = random.Random(4)
    whole = [
        encode_step1({5: 9, 2**40: 1}),
        encode_update(rng.randbytes(40)),
        encode_awareness([AwarenessState(5, 2, '{"cursor":{"anchor":null}}')] * 3),
    ]
    counts = [0, 0]
    for _ in range(5_000):
        frame = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(frame))
            frame[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
            if not frame:
                break
        try:
            decode_frame(bytes(frame))
            counts[0] += 1
        except YProtocolError:
            counts[1] += 1
    assert all(count > 100 for count in counts)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("{}", {}),
        ('{"user":{"name":"Ada \\ud83d"}}', {"user": {"name": "Ada \ud83d"}}),
        ('{"a":1e999}', {"a": float("inf")}),
    ],
)
def test_states(text: str, value: object) -> None:
    assert decode_state(AwarenessState(1, 1, text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "nul",
        "{",
        '{"a":NaN}',
        '{"a":-Infinity}',
        "{}{}",
        '{"a":' * 300 + "1" + "}" * 300,
        '{"a":' + "[" * 300 + "]" * 300 + "}",
        '{"a":"' + "x" * MAX_STATE_BYTES + '"}',
        '{"a":"\n"}',
    ],
)
def test_what_other_clients_could_not_read_is_refused(text: str) -> None:
    with pytest.raises(YProtocolError):
        decode_state(AwarenessState(1, 1, text))
