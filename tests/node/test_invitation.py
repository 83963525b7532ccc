from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.ids import PoolId
from meerkat.errors import InvitationError
from meerkat.transport.invitation import Invitation, decode_invitation, encode_invitation

INVITATION = Invitation(
    pool=PoolId(bytes(range(32))),
    pool_name="notes",
    addresses=("192.0.2.1:7338", "[2001:db8::1]:7338"),
    fingerprint=bytes(32),
    id=b"i" * 16,
    secret=b"s" * 16,
    expires=1_900_000_000,
)
ADDRESSES = st.one_of(
    st.builds(
        lambda ip, port: f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}",
        st.ip_addresses(),
        st.integers(0, 65535),
    ),
    st.from_regex(r"[a-z][a-z0-9]{0,20}\.example:[1-9][0-9]{0,3}", fullmatch=True),
)


@given(
    st.builds(
        Invitation,
        pool=st.binary(min_size=32, max_size=32).map(PoolId),
        pool_name=st.text(max_size=60),
        addresses=st.lists(ADDRESSES, min_size=1, max_size=8).map(tuple),
        fingerprint=st.binary(min_size=32, max_size=32),
        id=st.binary(min_size=16, max_size=16),
        secret=st.binary(min_size=16, max_size=16),
        expires=st.integers(0, 2**40),
    )
)
def test_decoding_what_was_encoded(invitation: Invitation):
    text = encode_invitation(invitation)

    assert decode_invitation(text) == invitation
    assert text.startswith("meerkat1:")
    assert "\n" not in text
    assert "=" not in text


def test_it_is_short_and_its_secret_is_not_shown_by_accident():
    assert len(encode_invitation(INVITATION)) < 220
    assert "ssss" not in repr(INVITATION)


def test_broken_lines_and_quotes_of_chat_programs_are_forgiven():
    text = encode_invitation(INVITATION)
    wrapped = f' "{text[:60]}\n  {text[60:120]}\r\n{text[120:]}"\n'

    assert decode_invitation(wrapped) == INVITATION


@pytest.mark.parametrize("text", ["", "hello", "https://example.test/x", "x" * 100_000])
def test_what_is_no_invitation_is_said_to_be_none(text: str):
    with pytest.raises(InvitationError, match="not a meerkat invitation"):
        decode_invitation(text)


def test_a_newer_one_asks_for_an_update():
    with pytest.raises(InvitationError, match="newer meerkat"):
        decode_invitation("meerkat2:AAAA")


@given(st.data())
def test_cut_off_or_altered_is_damaged(data: st.DataObject):
    text = encode_invitation(INVITATION)
    cut = data.draw(st.integers(len("meerkat1:"), len(text) - 1))

    with pytest.raises(InvitationError, match="damaged"):
        decode_invitation(text[:cut])

    letter = data.draw(st.sampled_from("ABCxyz019_-"))
    altered = text[:cut] + letter + text[cut + 1 :]
    if decoded_differs(altered, text):
        with pytest.raises(InvitationError, match="damaged"):
            decode_invitation(altered)


def decoded_differs(one: str, other: str) -> bool:
    """The last letter of base64 may hold bits that mean nothing."""
    return one[:-1] != other[:-1]


@given(st.text(max_size=300))
def test_any_text_is_an_invitation_or_an_invitation_error(text: str):
    with pytest.raises(InvitationError):
        decode_invitation("meerkat1:" + text)
