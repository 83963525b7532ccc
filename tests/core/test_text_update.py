"""The parser of updates: total, strict, and right about what an update says."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.surrogates import Surrogates, read_varint, write_varint
from meerkat.core.text_update import (
    MAX_CLOCK,
    TextUpdateError,
    TextUpdateGap,
    check_update,
    parse_update,
)
from tests.core.text_updates import deleted, string, struct, update


def test_what_an_update_says() -> None:
    parsed = parse_update(
        update((7, 3, [string("a😀b", (1, 2)), deleted(2, (7, 6), (1, 3))]), deletes=[(1, 0, 2)])
    )
    assert parsed.clients == {7: (3, 9)}
    assert parsed.references == [(7, 3, 1, 2, True), (7, 7, 7, 6, True), (7, 7, 1, 3, False)]
    assert parsed.deletes == [(1, 0, 2)]
    assert parsed.surrogates.runs == {7: ([4], [1])}
    assert parsed.struct_count == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00\x00",  # bytes follow
        b"\x80\x00\x00",  # not the shortest form
        b"\xff" * 7 + b"\x7f\x00",  # above 2^53
        b"\xff" * 20,
        b"\x05\x00",  # more clients than bytes
        update((1, 0, [])),
        update((0, 0, [string("a")])),
        update((1, 0, [string("a")]), (1, 1, [string("a")])),
        update((1, 0, [string("")])),
        update((1, 0, [deleted(0)])),
        update((1, 0, [string("a\0")])),
        update((1, 0, [struct(4, b"\x03\xed\xa0\x80", None, None)])),  # half a pair
        update((1, 0, [struct(4, b"\x05a", None, None)])),
        update((1, 0, [struct(0, b"\x01", None, None, root=b"")])),  # collected
        update((1, 0, [struct(10, b"\x01", None, None, root=b"")])),  # skipped
        update((1, 0, [struct(6, b"\x01b\x01t", None, None)])),  # a format
        update((1, 0, [struct(0x24, b"\x01a", None, None)])),  # a map's key
        update((1, 0, [struct(7, b"\x02", None, None)])),  # a type
        update((1, 0, [struct(4, b"\x01a", None, None, root=b"\x01\x04tex\xff")])),
        update((1, 0, [struct(4, b"\x01a", None, None, root=b"\x01\x05other")])),
        update((1, 0, [struct(4, b"\x01a", None, None, root=b"\x00\x01\x00")])),  # a nested type
        update((1, MAX_CLOCK, [string("a")])),
        update((1, 0, [deleted(2**40)])),
        update(deletes=[(1, 0, 0)]),
        update(deletes=[(1, MAX_CLOCK, 1)]),
    ],
)
def test_other_updates_are_refused(data: bytes) -> None:
    with pytest.raises(TextUpdateError):
        parse_update(data)


@given(st.binary(max_size=80))
def test_garbage_raises_one_error(data: bytes) -> None:
    with suppress(TextUpdateError):
        parse_update(data)


@given(st.text(max_size=20), st.integers(0, 19))
def test_cut_updates_are_refused(text: str, cut: int) -> None:
    data = update((5, 0, [string("x" + text.replace("\0", "0"))]), deletes=[(5, 0, 1)])
    with pytest.raises(TextUpdateError):
        parse_update(data[: min(cut, len(data) - 1)])


@given(st.lists(st.tuples(st.integers(0, 30), st.text("aé😀", max_size=4)), max_size=12))
def test_it_reads_what_the_engine_writes(steps: list[tuple[int, str]]) -> None:
    document: pycrdt.Doc[Any] = pycrdt.Doc(client_id=2**53 - 1)
    text = document.get("text", type=pycrdt.Text)
    length = 0
    for place, inserted in steps:
        now = str(text)
        at = len(now[:place].encode())
        if not inserted and now[place : place + 1]:
            del text[at : at + len(now[place].encode())]
        text.insert(at, inserted)
        length += len(inserted.encode("utf-16-le")) // 2
    parsed = parse_update(document.get_update())
    assert parsed.clients == ({2**53 - 1: (0, length)} if length else {})


@given(st.integers(0, 2**53 - 1))
def test_integers_come_back(value: int) -> None:
    data = write_varint(value)
    assert read_varint(data, 0) == (value, len(data))


@given(st.lists(st.text("a😀", max_size=5), max_size=6))
def test_cuts_in_pairs_are_known(texts: list[str]) -> None:
    whole = Surrogates()
    clock = 0
    for text in texts:
        clock += whole.add_text(9, clock, text)
    units = "".join(texts).encode("utf-16-le")
    low = [0xDC <= units[2 * i + 1] <= 0xDF for i in range(len(units) // 2)]
    for surrogates in (whole, Surrogates.decode(whole.encode())):
        assert [surrogates.cuts(9, i) for i in range(len(low))] == low
        assert not surrogates.cuts(8, 1)
    for known in range(clock + 1):
        rest = Surrogates()
        if known < len(low) and low[known]:
            continue
        rest.update(whole, {9: known})
        assert [rest.cuts(9, i) for i in range(known, len(low))] == low[known:]


CLOCKS = {1: 10, 2: 5}


def check(data: bytes, clients: set[int]) -> None:
    surrogates = Surrogates()
    surrogates.add(1, 4, 2)  # pairs at 4 and 6
    check_update(parse_update(data), CLOCKS, surrogates, clients)


@pytest.mark.parametrize(
    "data",
    [
        update((2, 5, [string("a", (1, 9), (1, 0)), string("b", (2, 5))]), deletes=[(2, 5, 2)]),
        update((2, 3, [string("abc", (2, 2))])),  # begins with what is known
        update((1, 10, [string("a", (2, 5))]), (2, 5, [string("b", (1, 9))])),
        update((2, 5, [string("a", (1, 5), (1, 6))]), deletes=[(1, 4, 2)]),
        update(deletes=[(1, 0, 10)]),
    ],
)
def test_what_fits_is_fine(data: bytes) -> None:
    check(data, {1, 2})


@pytest.mark.parametrize(
    "data",
    [
        update((2, 6, [string("a", (1, 9))])),
        update((2, 5, [string("a", (1, 10))])),
        update((2, 5, [string("a", (3, 0))])),
        update(deletes=[(1, 8, 6)]),
        update((2, 5, [string("a", (1, 9))]), deletes=[(2, 5, 2)]),
    ],
)
def test_what_is_not_here_is_a_gap(data: bytes) -> None:
    with pytest.raises(TextUpdateGap):
        check(data, {1, 2})


@pytest.mark.parametrize(
    "data",
    [
        update((3, 0, [string("a", (1, 9))])),  # somebody else's name
        update((2, 5, [string("a", (2, 5))])),  # itself
        update((2, 5, [string("a", (2, 6)), string("b", (1, 0))])),  # a later one
        update((1, 10, [string("a", (2, 5))]), (2, 5, [string("b", (1, 10))])),  # one another
        update((2, 5, [string("a", (1, 4))])),  # between the halves of a pair
        update((2, 5, [string("a", None, (1, 5))])),
        update(deletes=[(1, 4, 1)]),
        update(deletes=[(1, 7, 2)]),
        update((2, 4, [string("😀", (2, 3))])),  # what is known ends within a pair
        update((2, 5, [string("😀", (1, 9)), string("a", (2, 5))])),
    ],
)
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(TextUpdateError) as caught:
        check(data, {1, 2})
    assert not isinstance(caught.value, TextUpdateGap)


def test_long_waits_are_linear() -> None:
    count = 20_000  # two clients that take turns: each struct waits for the other's last
    one = [string("a", (2, i)) for i in range(count)]
    two = [string("b", (1, i - 1) if i else (3, 0)) for i in range(count)]
    data = update((1, 0, one), (2, 0, two))
    check_update(parse_update(data), {3: 1}, Surrogates(), {1, 2})
    with pytest.raises(TextUpdateGap):
        check_update(parse_update(data), {}, Surrogates(), {1, 2})
