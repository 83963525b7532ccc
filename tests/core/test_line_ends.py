r"""Line ends as texts see them; b"..." stands for a file, "..." for a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.edits import apply_edits
from meerkat.core.ids import ContentHash
from meerkat.core.line_ends import as_found, readings, surplus_returns
from meerkat.core.text_file import Eol, decode_file, encode_file

TEXTS = st.text("ab\r\n", max_size=12)


@given(TEXTS, st.sampled_from(Eol))
def test_an_editors_save_reads_as_what_it_shows(shown: str, eol: Eol) -> None:
    written = shown if eol is Eol.LF else shown.replace("\n", "\r\n")
    assert shown in readings(written)


@given(TEXTS)
def test_without_surplus_returns_the_file_is_the_same(text: str) -> None:
    short = apply_edits(text, surplus_returns(text))
    assert "\r\n" not in short
    assert not surplus_returns(short)
    if "\r\r\n" not in text:
        assert encode_file(short, Eol.CRLF) == encode_file(text, Eol.CRLF)


@pytest.mark.parametrize(
    ("before", "saved", "now", "expected"),
    [
        (b"a\n", b"a\nx\n", "crlf", ("a\n", "a\nx\n")),
        (b"a\r\n", b"a\r\nx\r\n", "lf", ("a\r\n", "a\r\nx\r\n")),
        (b"a\r\nb\n", b"a\r\nb\nx\n", "crlf", ("a\r\nb\n", "a\r\nb\nx\n")),
        (b"a\n", b"a\r\n", "lf", None),  # it means to
        (b"a\n", b"a\nx\n", "lf", None),
        (b"a", b"a\r\n", "lf", None),  # there was none to keep
        (b"a\n", b"x", "crlf", None),
    ],
)
def test_a_save_that_keeps_the_line_ends_it_found(
    before: bytes, saved: bytes, now: str, expected: tuple[str, str] | None
) -> None:
    base, new = decode_file(before), decode_file(saved)
    assert base is not None
    assert new is not None
    assert as_found(base.text, new, now, bytes(ContentHash.of(before))) == expected
