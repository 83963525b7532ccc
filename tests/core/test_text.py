"""Live texts: replicas agree with each other and with what a person would expect."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.edits import Edit, apply_edits
from meerkat.core.ids import AuthorId, VersionId
from meerkat.core.text import (
    Text,
    TextUpdateError,
    TextUpdateGap,
    client_id,
    import_client_id,
    import_update,
)
from meerkat.core.text_steps import EDITS_PER_UPDATE, UPDATE_BYTES
from meerkat.core.text_update import parse_update
from tests.core.text_updates import string, update

ALPHABET = "ab\r\n\u0301é€😀👩\u200d\ufeff\x01\uffff"


def test_clients_are_derived() -> None:
    alice, bob = AuthorId(bytes(32)), AuthorId(b"b" * 32)
    one, two = VersionId(bytes(16)), VersionId(b"2" * 16)
    ids = [client_id(a, v) for a in (alice, bob) for v in (one, two)] + [import_client_id("")]
    assert len(set(ids)) == 5
    assert all(0 < i < 2**53 for i in ids)
    assert ids[0] == client_id(alice, one) == 3253791440555897


def test_an_import_is_the_same_everywhere() -> None:
    assert import_update("a😀\r\n") == import_update("a😀\r\n")
    assert import_update("") == b"\x00\x00"
    one, two = Text(1), Text(2)
    for text in (one, two):
        client = import_client_id("a😀\r\n")
        assert text.apply(import_update("a😀\r\n"), {client}) == [Edit(0, 0, "a😀\r\n")]
    assert one.apply(two.update(), {import_client_id("a😀\r\n")}) == []
    assert one.text == "a😀\r\n"


@given(st.text(ALPHABET))
def test_an_import_is_what_the_engine_would_write(content: str) -> None:
    text = Text(import_client_id(content))
    assert text.edit([Edit(0, 0, content)] if content else []) == (
        [import_update(content)] if content else []
    )


@pytest.mark.parametrize("inserted", ["\0", "a\ud800"])
@pytest.mark.parametrize("function", ["edit", "import"])
def test_some_characters_are_no_text(inserted: str, function: str) -> None:
    text = Text(1)
    work: dict[str, Callable[[], object]] = {
        "edit": lambda: text.edit([Edit(0, 0, inserted)]),
        "import": lambda: import_update(inserted),
    }
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        work[function]()
    assert text.text == ""
    assert text.edit([Edit(0, 0, "a")])


@pytest.mark.parametrize("edits", [[Edit(4, 0, "x")], [Edit(1, 3, "")]])
def test_positions_outside_are_refused(edits: list[Edit]) -> None:
    text = Text(1)
    text.edit([Edit(0, 0, "é😀b")])
    with pytest.raises(ValueError, match="ends at 4"):
        text.edit(edits)
    assert text.text == str(text) == "é😀b"


def random_edits(random_: random.Random, text: str) -> list[Edit]:
    cuts = sorted(random_.choices(range(len(text) + 1), k=2 * random_.randint(1, 3)))
    return [
        Edit(
            start, min(end - start, 5), "".join(random_.choices(ALPHABET, k=random_.randint(0, 4)))
        )
        for start, end in zip(cuts[::2], cuts[1::2], strict=True)
    ]


class Replica:
    """A text with a causal inbox: updates wait for what their author had seen."""

    def __init__(self, client: int) -> None:
        self.text = Text(client)
        self.have: set[int] = set()
        self.shown = ""  # what a listener makes of the edits alone

    def type(self, random_: random.Random, log: list[tuple[int, bytes, set[int]]]) -> None:
        edits = random_edits(random_, self.text.text)
        expected = apply_edits(self.text.text, edits)
        for data in self.text.edit(edits):
            log.append((self.text.client, data, self.have.copy()))
            self.have.add(len(log) - 1)
        assert self.text.text == expected
        self.shown = expected

    def receive(self, index: int, entry: tuple[int, bytes, set[int]]) -> None:
        client, data, needs = entry
        if not needs <= self.have:
            return
        self.shown = apply_edits(self.shown, self.text.apply(data, {client}))
        self.have.add(index)
        assert self.shown == self.text.text


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_replicas_agree_in_any_causal_order(seed: int) -> None:
    random_ = random.Random(seed)
    log: list[tuple[int, bytes, set[int]]] = []
    replicas = [Replica(client) for client in (1, 2**53 - 1, 3)]
    for _ in range(25):
        replica = random_.choice(replicas)
        replica.type(random_, log)
        if random_.random() < 0.1:  # a restart
            replica.text = Text.load(replica.text.state(), replica.text.client)
        for other in random_.choices(replicas, k=2):
            for index in random_.choices(range(len(log)), k=4 if log else 0):  # some twice
                other.receive(index, log[index])
    for replica in replicas:
        for _ in log:
            for index in random_.sample(range(len(log)), len(log)):
                if index not in replica.have:
                    replica.receive(index, log[index])
    texts = {replica.text.text for replica in replicas}
    texts |= {Text.load(replica.text.state(), 9).text for replica in replicas}
    assert len(texts) == 1
    fresh = Text(9)
    fresh.apply(replicas[0].text.update(), {1, 2**53 - 1, 3})
    assert fresh.text in texts
    assert fresh.clocks == replicas[1].text.clocks


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.text(ALPHABET, max_size=4))))
def test_one_writer_is_a_plain_string(steps: list[tuple[int, int, str]]) -> None:
    text, oracle = Text(1), ""
    copy = Text(2)
    for place, count, inserted in steps:
        place = min(place, len(oracle))
        edit = Edit(place, min(count, len(oracle) - place), inserted)
        oracle = oracle[:place] + inserted + oracle[edit.end :]
        for data in text.edit([edit]):
            copy.apply(data, {1})
        assert text.text == copy.text == oracle
    assert Text.load(text.state(), 1).text == oracle


@pytest.mark.parametrize("backwards", [False, True])
def test_two_runs_typed_at_one_place_do_not_mix(backwards: bool) -> None:
    for one, two in ((1, 2), (2, 1), (2**53 - 1, 5)):
        alice, bob = Text(one), Text(two)
        client = import_client_id("()")
        for text in (alice, bob):
            text.apply(import_update("()"), {client})
        sent = [
            (text, [u for i, c in enumerate(run) for u in text.edit([Edit(1 + i, 0, c)])])
            for text, run in ((alice, "alice"), (bob, "bob bob"))
        ]
        for data in sent[1][1]:
            alice.apply(data, {two})
        for data in sent[0][1]:
            bob.apply(data, {one})
        assert alice.text == bob.text
        assert alice.text in ("(alicebob bob)", "(bob bobalice)")
        if backwards:
            assert Text.load(alice.state(), 7).text == bob.text


def test_a_loaded_text_goes_on_where_it_was() -> None:
    text, other = Text(1), Text(2)
    sent = text.edit([Edit(0, 0, "a😀")])
    text = Text.load(text.state(), 1)
    sent += text.edit([Edit(2, 0, "b")])
    text = Text.load(text.state(), 1)
    sent += text.edit([Edit(0, 1, "")]) + text.edit([Edit(2, 0, "c")])
    for data in sent:
        other.apply(data, {1})
    assert other.text == text.text == "😀bc"
    assert text.clocks == other.clocks == {1: 5}


def test_a_state_remembers_pairs_that_were_deleted() -> None:
    text = Text(1)
    text.edit([Edit(0, 0, "a😀b")])
    text.edit([Edit(1, 1, "")])
    half = update((2, 0, [string("x", (1, 1))]))
    for same in (text, Text.load(text.state(), 3)):
        with pytest.raises(TextUpdateError, match="splits"):
            same.apply(half, {2})
        assert same.text == "ab"


def test_damaged_states_are_refused() -> None:
    text = Text(1)
    text.edit([Edit(0, 0, "some text 😀")])
    state = text.state()
    for cut in range(len(state)):
        with suppress(TextUpdateError):
            Text.load(state[:cut], 1)
    for odd in (b"", b"\x00\x00", b"\x00\x00\x09\x00\x00\x00", state + b"\xff"):
        with pytest.raises(TextUpdateError):
            Text.load(odd, 1)


def test_gaps_and_strangers() -> None:
    text, other = Text(1), Text(2)
    first, second = text.edit([Edit(0, 0, "a")]), text.edit([Edit(1, 0, "b")])
    with pytest.raises(TextUpdateGap):
        other.apply(second[0], {1})
    with pytest.raises(TextUpdateError, match="name"):
        other.apply(first[0], {3})
    assert other.apply(first[0], {1}) == [Edit(0, 0, "a")]
    assert other.apply(second[0], {1}) == [Edit(1, 0, "b")]
    assert other.apply(first[0], {1}) == []
    assert other.apply(b"\x00\x00", set()) == []


def test_large_edits_are_split() -> None:
    text, other = Text(1), Text(2)
    content = "é😀x" * 150_000
    updates = text.edit([Edit(0, 0, content)])
    updates += text.edit([Edit(i * 10, 1, "y") for i in range(2_500)])
    updates += text.edit([Edit(i * 20, 3, "") for i in range(2_500)])
    updates += text.edit([Edit(0, len(text.text), "new" * 100_000)])
    assert text.text == "new" * 100_000
    for data in updates:
        assert len(data) <= UPDATE_BYTES
        assert parse_update(data).struct_count <= EDITS_PER_UPDATE
        other.apply(data, {1})
    assert other.text == text.text


def test_the_engine_failing_leaves_the_text_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Text(1)
    text.edit([Edit(0, 0, "é good")])

    class Panic(BaseException):
        pass

    def panic(steps: object) -> None:
        text._engine.insert(0, "half done")
        raise Panic

    monkeypatch.setattr(Text, "_perform", lambda self, steps: panic(steps))
    with pytest.raises(TextUpdateError, match="failed"):
        text.edit([Edit(0, 0, "x")])
    monkeypatch.undo()
    assert text.text == str(text._engine) == "é good"

    stranger = Text(2).edit([Edit(0, 0, "stranger")])[0]
    monkeypatch.setattr(Text, "_feed", lambda self, update: panic(update))
    with pytest.raises(TextUpdateError, match="refused"):
        text.apply(stranger, {2})
    monkeypatch.undo()
    assert text.text == str(text._engine) == "é good"
    assert text.clocks == {1: 6}
    assert text.apply(stranger, {2})
    assert text.edit([Edit(0, 0, "!")])
    assert sorted(text.text) == sorted("!é goodstranger")


def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Text, steps: object) -> None:
        raise KeyboardInterrupt

    text = Text(1)
    monkeypatch.setattr(Text, "_perform", interrupted)
    with pytest.raises(KeyboardInterrupt):
        text.edit([Edit(0, 0, "x")])


def test_long_sessions_are_folded() -> None:
    text = Text(1)
    for i in range(2_100):
        text.edit([Edit(i, 0, "é")])
    assert len(text._tail) < 200
    text._open()
    assert str(text._engine) == text.text == "é" * 2_100
