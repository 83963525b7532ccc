"""Content-Length frames: however they are cut, and whatever else comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.editors import framing
from meerkat.editors.framing import FrameError, Frames, frame


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_bodies_come_out_as_they_went_in_whatever_the_pieces(bodies: list[bytes], size: int):
    stream = b"".join(frame(body) for body in bodies)
    frames = Frames()

    out = [
        body for at in range(0, len(stream), size) for body in frames.feed(stream[at : at + size])
    ]

    assert out == bodies


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\n\r\n",
        b"content-length:2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n",
        b"X: y\r\nContent-Length:   2  \r\n\r\n",
        b"Content-Length: 2\n\n",
        b"\r\n\nContent-Length: 2\r\n\r\n",
    ],
)
def test_headers_of_all_kinds(head: bytes) -> None:
    assert Frames().feed(head + b"{}" + head + b"[]") == [b"{}", b"[]"]


@pytest.mark.parametrize(
    "data",
    [
        b"X: 1\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 1e3\r\n\r\n",
        "Content-Length: ٣\r\n\r\n".encode(),
        b"Content-Length: \r\n\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"x" * framing.MAX_HEADER,
    ],
)
def test_headers_without_a_length_are_the_end(data: bytes) -> None:
    with pytest.raises(FrameError):
        Frames().feed(data)


def test_a_body_that_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_BODY", 10)
    frames = Frames()

    assert frames.feed(b"Content-Length: 11\r\n\r\n" + b"x" * 5) == [None]
    assert frames.feed(b"x" * 6 + frame(b"{}")) == [b"{}"]
    assert len(frames._buffer) == 0


@given(st.binary(max_size=200))
def test_anything_is_frames_or_refused(data: bytes) -> None:
    frames = Frames()
    try:
        bodies = frames.feed(data)
    except FrameError:
        return
    assert all(isinstance(body, bytes) for body in bodies)
