"""A file's bytes and its text: exact in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.text_file import Eol, TextFile, decode_file, encode_file

LIKELY = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "é".encode(), b"\xef\xbb\xbf"]))


@given(st.one_of(st.binary(), LIKELY.map(b"".join), st.text().map(str.encode)))
def test_bytes_come_back_exactly(data: bytes) -> None:
    file = decode_file(data)
    if file is not None:
        assert encode_file(file.text, file.eol) == data


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_every_text_without_nul_is_a_text(text: str) -> None:
    file = decode_file(text.encode())
    assert file is not None
    assert (file.eol is None) == ("\n" not in text and "\r" not in text)
    if file.eol is not Eol.CRLF:
        assert file.text == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", TextFile("", None)),
        (b"a", TextFile("a", None)),
        (b"a\n", TextFile("a\n", Eol.LF)),
        (b"a\r\nb\r\n", TextFile("a\nb\n", Eol.CRLF)),
        (b"a\r\nb\n", TextFile("a\r\nb\n", Eol.LF)),
        (b"a\r\nb\r", TextFile("a\r\nb\r", Eol.LF)),
        (b"\n\r", TextFile("\n\r", Eol.LF)),
        (b"\r\r\n", TextFile("\r\r\n", Eol.LF)),
        (b"a\r", TextFile("a\r", Eol.LF)),
        ("\ufeffa\r\n".encode(), TextFile("\ufeffa\n", Eol.CRLF)),
        (b"a\0b", None),
        (b"\xff", None),
        (b"\xed\xa0\x80", None),
    ],
)
def test_what_a_file_is(data: bytes, expected: TextFile | None) -> None:
    assert decode_file(data) == expected


def test_a_large_file_is_not_text() -> None:
    assert decode_file(b"abc", limit=2) is None
    assert decode_file(b"abc", limit=3) is not None


def test_line_ends_are_not_doubled() -> None:
    assert encode_file("a\nb\r\nc\rd", Eol.CRLF) == b"a\r\nb\r\nc\rd"
