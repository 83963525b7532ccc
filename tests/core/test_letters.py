"""Letters and the boxes around them: only what was written, by whom and for whom it was written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import SealedBox
from nacl.signing import SigningKey as NaclKey
from nacl.signing import VerifyKey

from meerkat.core.ids import AuthorId, MemberId, PoolId
from meerkat.core.letters import (
    MAX_CONTENT_BYTES,
    MAX_TEXT_BYTES,
    LetterError,
    LetterKind,
    open_letter,
    text_of,
    write_letter,
)
from meerkat.core.messages import MAX_BOX_BYTES, Hello
from meerkat.core.sealed import opener, sealer
from meerkat.core.shown_text import MAX_NAME_CHARS, clean_text, is_name, one_line
from meerkat.core.signing import SigningKey, verify

WALL = 1_790_000_000.0
POOL = PoolId(b"pool".ljust(32, b"."))
ID = b"letter id 16 by."


@dataclass
class KeyGate:
    """Real signatures, and a list of who is who."""

    key: SigningKey
    members: dict[AuthorId, MemberId]
    pool: PoolId = POOL

    @property
    def author(self) -> AuthorId:
        return AuthorId(self.key.public)

    def size(self) -> int:
        return len(self.members)

    def may_link(self, author: AuthorId) -> bool:
        return author in self.members

    def member_of(self, author: AuthorId) -> MemberId | None:
        return self.members.get(author)

    def name_of(self, author: AuthorId) -> str:
        return author.short()

    def reach(self, author: AuthorId) -> tuple[MemberId, bytes] | None:
        raise NotImplementedError

    def welcome(self, member: MemberId, hello: Hello) -> AuthorId:
        raise NotImplementedError

    def introduce(self) -> tuple[bytes, str]:
        raise NotImplementedError

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    def verify(self, author: AuthorId, signature: bytes, data: bytes) -> bool:
        return author in self.members and verify(author, signature, data)


def seed(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def member(name: str) -> MemberId:
    return MemberId(SigningKey(seed(name + " member")).public)


def author(name: str) -> AuthorId:
    return AuthorId(SigningKey(seed(name + " author")).public)


MEMBERS = {author(name): member(name) for name in ("alice", "bob", "mallory")}


def gate(name: str) -> KeyGate:
    return KeyGate(SigningKey(seed(name + " author")), MEMBERS)


SEAL = sealer(Random(1).randbytes)
OPEN = opener(seed("bob member"))


def nothing_around(to: MemberId, plain: bytes) -> bytes:
    """No box, so that a test can change what is inside."""
    return plain


def letter(content: bytes = b"hello", *, by: str = "alice", seal=SEAL) -> bytes:
    return write_letter(
        gate(by),
        seal,
        letter_id=ID,
        to=member("bob"),
        kind=LetterKind.TEXT,
        content=content,
        wall=WALL,
    )


def test_a_letter_arrives_as_it_was_written():
    got = open_letter(gate("bob"), OPEN, letter(b"hello"))

    assert got is not None
    assert (got.kind, got.content, got.id) == (LetterKind.TEXT, b"hello", ID)
    assert (got.author, got.member, got.to) == (author("alice"), member("alice"), member("bob"))
    assert got.wall_ms == WALL * 1000


@given(st.binary(max_size=2000))
def test_any_content_comes_back(content: bytes):
    got = open_letter(gate("bob"), OPEN, letter(content))

    assert got is not None
    assert got.content == content


@given(st.data())
def test_a_box_that_was_changed_does_not_open(data: st.DataObject):
    box = bytearray(letter())
    at = data.draw(st.integers(0, len(box) - 1))
    box[at] ^= data.draw(st.integers(1, 255))

    assert open_letter(gate("bob"), OPEN, bytes(box)) is None


@given(st.data())
def test_a_letter_that_was_changed_inside_is_refused(data: st.DataObject):
    """As whoever could open the box might change it, and seal it again."""
    plain = bytearray(letter(seal=nothing_around))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(plain) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "add", "drop"])):
            case "flip":
                plain[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del plain[at + 1 :]
            case "add":
                plain[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "drop":
                del plain[at]
        if not plain:
            break
    if bytes(plain) == letter(seal=nothing_around):
        return

    assert open_letter(gate("bob"), bytes, bytes(plain)) is None


@given(st.binary(max_size=300))
def test_garbage_is_no_letter(data: bytes):
    assert open_letter(gate("bob"), OPEN, data) is None
    assert open_letter(gate("bob"), bytes, data) is None


def test_a_letter_is_for_one_member_only():
    assert open_letter(gate("mallory"), opener(seed("mallory member")), letter()) is None
    plain = letter(seal=nothing_around)
    handed_on = SEAL(member("mallory"), plain)  # bob puts it into a box for somebody else

    assert open_letter(gate("mallory"), opener(seed("mallory member")), handed_on) is None


def test_a_letter_is_for_one_pool_only():
    other = replace(gate("bob"), pool=PoolId(b"another".ljust(32, b".")))

    assert open_letter(other, OPEN, letter()) is None


def test_nobody_writes_in_anothers_name():
    """Mallory signs with its own key what says that it comes from alice."""
    plain = letter(seal=nothing_around, by="mallory")
    body, _ = msgspec.msgpack.decode(plain)
    fields = msgspec.msgpack.decode(body)
    for forged_author, forged_member in (("alice", "alice"), ("mallory", "alice")):
        fields[1], fields[2] = author(forged_author)[:], member(forged_member)[:]
        forged = msgspec.msgpack.encode(
            [bytes(one) if isinstance(one, bytes) else one for one in fields]
        )
        signed = gate("mallory").sign(b"meerkat letter 1\x00" + POOL + forged)
        again = msgspec.msgpack.encode([forged, signed])
        assert open_letter(gate("bob"), bytes, again) is None


def test_a_stranger_writes_to_nobody():
    stranger = KeyGate(SigningKey(seed("stranger")), {**MEMBERS})
    with pytest.raises(LetterError, match="not a member"):
        write_letter(
            stranger,
            SEAL,
            letter_id=ID,
            to=member("bob"),
            kind=LetterKind.TEXT,
            content=b"",
            wall=WALL,
        )
    stranger.members = {**MEMBERS, stranger.author: member("mallory")}
    box = write_letter(
        stranger,
        SEAL,
        letter_id=ID,
        to=member("bob"),
        kind=LetterKind.TEXT,
        content=b"",
        wall=WALL,
    )

    assert open_letter(gate("bob"), OPEN, box) is None


def test_the_largest_letter_fits_into_its_box():
    assert len(letter(bytes(MAX_CONTENT_BYTES))) <= MAX_BOX_BYTES
    with pytest.raises(LetterError, match="file"):
        letter(bytes(MAX_CONTENT_BYTES + 1))


# ------------------------------------------------------------------------------------ the box


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_our_box_is_libsodiums(plain: bytes, key: bytes):
    nacl = NaclKey(key)
    to = MemberId(bytes(nacl.verify_key))

    assert SealedBox(nacl.to_curve25519_private_key()).decrypt(SEAL(to, plain)) == plain
    theirs = SealedBox(VerifyKey(bytes(to)).to_curve25519_public_key()).encrypt(plain)
    assert opener(key)(theirs) == plain


def test_the_same_chance_makes_the_same_box():
    one, other = (sealer(Random(5).randbytes)(member("bob"), b"x") for _ in range(2))

    assert one == other
    assert SEAL(member("bob"), b"x") != SEAL(member("bob"), b"x")


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"\x02" + bytes(31)])
def test_what_is_no_key_gets_no_letter(key: bytes):
    """Points of small order, and no points at all: anybody can be added under any 32 bytes."""
    with pytest.raises(ValueError, match="key"):
        SEAL(MemberId(key), b"x")
    with pytest.raises(LetterError, match="id is not a key"):
        write_letter(
            gate("alice"),
            SEAL,
            letter_id=ID,
            to=MemberId(key),
            kind=LetterKind.TEXT,
            content=b"",
            wall=WALL,
        )


# ------------------------------------------------------------------------------------ the text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello", "hello"),
        ("  two\r\nlines\r ", "two\nlines"),
        ("a\x1b[31mred\x1b[0m", "a\ufffd[31mred\ufffd[0m"),
        ("bell\x07 c1\x9b31m nul\x00", "bell\ufffd c1\ufffd31m nul\ufffd"),
        ("over\u202eride", "over\ufffdride"),
        ("lone\ud800half", "lone\ufffdhalf"),
        ("tab\tstays", "tab\tstays"),
        ("para\u2029graph", "para\ngraph"),
        ("家族 👩‍👩‍👧 é", "家族 👩‍👩‍👧 é"),
    ],
)
def test_a_text_is_made_harmless(text: str, shown: str):
    assert clean_text(text) == shown


@given(st.text())
def test_a_clean_text_stays_as_it_is(text: str):
    clean = clean_text(text)

    assert clean_text(clean) == clean
    clean.encode()
    assert "\n" not in one_line(text)


def test_a_text_of_others_is_checked():
    assert text_of(b"a\x1bb") == "a\ufffdb"
    assert text_of(b"\xff") is None
    assert text_of(b"x" * MAX_TEXT_BYTES) is not None
    assert text_of(b"x" * (MAX_TEXT_BYTES + 1)) is None


@pytest.mark.parametrize("name", ["bob", "Bob B.", "鮑勃", "b" * MAX_NAME_CHARS])
def test_names(name: str):
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", " bob", "bob\n", "b\tb", "b\x1b[1mb", "b\u202eb", "b" * (MAX_NAME_CHARS + 1)]
)
def test_no_names(name: str):
    assert not is_name(name)
