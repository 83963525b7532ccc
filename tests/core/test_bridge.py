"""One text's Yjs document: what editors may do to it, and that it survives everything else.

Real clients of npm are in tests/interop; here they are played, so that they can also lie.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core import bridge_table
from meerkat.core.bridge import FIRST_OWN_CLIENT, MAX_GAPS, Bridge, Outgoing, Received
from meerkat.core.editing import SessionId
from meerkat.core.edits import Edit, apply_edits
from meerkat.core.ports import Table
from meerkat.core.text import Text
from meerkat.core.text_update import parse_update
from meerkat.core.y_awareness import CLIENTS_PER_SESSION, MAX_VIRTUAL
from meerkat.core.y_protocol import (
    AskAwareness,
    AwarenessState,
    ShowAwareness,
    SyncStep1,
    SyncUpdate,
    decode_frame,
    encode_awareness,
    encode_step1,
    encode_step2,
    encode_update,
    encode_vector,
)
from meerkat.testing.memory_store import MemoryStore
from tests.core.text_updates import deleted, string, update

VERSION = b"v" * 16
ONE, TWO, THREE = SessionId(1), SessionId(2), SessionId(3)
CONTENT = "Hello 😀\r\nwörld"
PIECES = ("a", "bc", "é", "😀", "\r\n", "e\u0301")


class Editor:
    """A well-behaved client: a document of its own, and frames."""

    def __init__(self, client: int) -> None:
        self.text = Text(client)
        self.client = client

    def step1(self) -> bytes:
        return encode_step1(self.text.clocks)

    def type(self, *edits: Edit) -> list[bytes]:
        return [encode_update(data) for data in self.text.edit(edits)]

    def hear(self, out: list[Outgoing], session: SessionId) -> list[bytes]:
        """What it answers to frames for it."""
        answers = []
        for receiver, frame in out:
            message = decode_frame(frame)
            if receiver == session and isinstance(message, SyncUpdate):
                self.text.apply(message.update, parse_update(message.update).clients.keys())
            elif receiver == session and isinstance(message, SyncStep1):
                answers.append(encode_step2(self.text.update_since(message.vector)))
        return answers


class Node:
    """A store and the bridge of one text."""

    def __init__(self, content: str = CONTENT, seed: int = 1) -> None:
        self.store = MemoryStore()
        self.random = random.Random(seed)
        self.bridge = self.open(content)

    def open(self, content: str) -> Bridge:
        with self.store.transaction():
            return Bridge(self.store, VERSION, content, self.random.randbytes)

    def receive(self, session: SessionId, *frames: bytes) -> Received:
        with self.store.transaction():
            return self.bridge.receive(session, frames)

    def edit(self, *edits: Edit) -> list[Outgoing]:
        with self.store.transaction():
            return self.bridge.edit(edits)

    def close(self) -> None:
        with self.store.transaction():
            self.bridge.close()

    def join(self, session: SessionId, client: int) -> Editor:
        """An editor that opens the text and hears all of it."""
        editor = Editor(client)
        answers = editor.hear(self.bridge.join(session), session)
        received = self.receive(session, editor.step1(), *answers)
        editor.hear(received.out, session)
        assert received.refused is None
        assert editor.text.text == self.bridge.text
        return editor

    def rows(self, kind: bytes = b"r") -> list[bytes]:
        return [value for _, value in self.store.scan(Table.BRIDGE, kind)]

    def check_reload(self) -> None:
        """A bridge loaded from the store is the same, with nothing to mend."""
        before = self.rows()
        again = self.open(self.bridge.text)
        assert again.text == self.bridge.text
        assert self.rows() == before, "it was mended"


def own_client(bridge: Bridge) -> int:
    """The bridge's own client id, as it tells everyone."""
    message = decode_frame(bridge.join(SessionId(10**6))[0][1])
    bridge.leave(SessionId(10**6))
    assert isinstance(message, SyncStep1)
    (own,) = [client for client in message.vector if client >= FIRST_OWN_CLIENT]
    return own


@pytest.fixture
def node() -> Node:
    return Node()


# -- joining ---------------------------------------------------------------------------------


def test_an_editor_is_asked_first_and_then_answered(node: Node) -> None:
    ((session, frame),) = node.bridge.join(ONE)
    ask = decode_frame(frame)
    assert session == ONE
    assert isinstance(ask, SyncStep1)
    assert list(node.bridge.sessions) == [ONE]
    received = node.receive(ONE, encode_step1({}))
    ((session, frame),) = received.out
    answer = decode_frame(frame)
    assert isinstance(answer, SyncUpdate)
    assert answer.is_answer
    text = Text(1)
    text.apply(answer.update, ask.vector.keys())
    assert text.text == CONTENT
    assert text.clocks == ask.vector
    assert node.bridge.leave(ONE) == []
    assert not node.bridge.sessions
    assert node.receive(ONE, encode_step1({})) == Received()


def test_all_that_is_typed_reaches_the_others(node: Node) -> None:
    editors = {session: node.join(session, 100 + session) for session in (ONE, TWO, THREE)}
    received = node.receive(ONE, *editors[ONE].type(Edit(6, 1, "😁"), Edit(8, 0, "!")))
    assert received.edits == [[Edit(6, 1, "😁"), Edit(8, 0, "!")]]
    assert {session for session, _ in received.out} == {TWO, THREE}
    out = received.out + node.edit(Edit(0, 5, "Salut"))
    for session, editor in editors.items():
        editor.hear(out, session)
        assert editor.text.text == node.bridge.text == "Salut 😁\r!\nwörld"
    node.check_reload()


def test_a_session_hears_of_changes_only_when_it_has_what_was_before(node: Node) -> None:
    node.bridge.join(ONE)
    assert node.edit(Edit(0, 0, "x")) == []
    assert [session for session, _ in node.receive(ONE, encode_step1({})).out] == [ONE]
    assert [session for session, _ in node.edit(Edit(0, 0, "x"))] == [ONE]


def test_what_comes_before_step_1_is_asked_for_again(node: Node) -> None:
    """Whose document it is is not known yet: it might be of another time."""
    editor = Editor(5)
    node.bridge.join(ONE)
    assert node.receive(ONE, *editor.type(Edit(0, 0, "early "))) == Received()
    received = node.receive(ONE, editor.step1())
    answers = editor.hear(received.out, ONE)
    assert node.receive(ONE, *answers).edits == [[Edit(len(CONTENT), 0, "early ")]] or (
        node.bridge.text == "early " + CONTENT
    )
    assert editor.text.text == node.bridge.text


def test_what_is_known_may_come_again(node: Node) -> None:
    editor = node.join(ONE, 5)
    frames = editor.type(Edit(0, 2, "x😀")) + editor.type(Edit(1, 1, ""))
    assert node.receive(ONE, *frames).edits
    rows = node.rows()
    whole = encode_update(editor.text.update())
    received = node.receive(ONE, *frames, whole, encode_step2(editor.text.update_since({})))
    assert received == Received()
    assert node.rows() == rows
    more = editor.type(Edit(0, 0, "y"))  # known and new in one: only the new is
    received = node.receive(ONE, encode_update(editor.text.update()))
    assert received.edits == [[Edit(0, 0, "y")]]
    assert node.receive(ONE, *more) == Received()
    node.check_reload()


# -- gaps ------------------------------------------------------------------------------------


def test_a_gap_is_asked_for_once_and_filled(node: Node) -> None:
    editor = node.join(ONE, 5)
    frames = [frame for letter in "abcd" for frame in editor.type(Edit(0, 0, letter))]
    received = node.receive(ONE, *frames[1:])
    assert received.edits == []
    assert len(received.out) == 1
    received = node.receive(ONE, *editor.hear(received.out, ONE))
    assert received.edits == [[Edit(0, 0, "dcba")]]
    assert node.bridge.text == editor.text.text


def test_gaps_end(node: Node) -> None:
    editor = node.join(ONE, 5)
    editor.type(Edit(0, 0, "lost"))
    frames = editor.type(Edit(0, 0, "x"))
    update_ = decode_frame(frames[0])
    assert isinstance(update_, SyncUpdate)
    for _ in range(MAX_GAPS):
        received = node.receive(ONE, encode_step2(update_.update))
        assert received.refused is None
        assert len(received.out) == 1
    received = node.receive(ONE, encode_step2(update_.update))
    assert received.refused is not None
    assert received.refused[0] == "stale"
    other = node.join(TWO, 6)
    other.type(Edit(0, 0, "lost"))
    received = node.receive(TWO, *other.type(Edit(0, 0, "x")) * 2_000)
    assert received.refused is not None
    assert node.bridge.text == CONTENT


# -- other times -----------------------------------------------------------------------------


def test_a_document_of_another_bridge_is_stale(node: Node) -> None:
    stranger = Node("other", seed=2)
    editor = stranger.join(ONE, 5)
    node.bridge.join(ONE)
    received = node.receive(ONE, editor.step1())
    assert received.refused is not None
    assert received.refused[0] == "stale"
    assert received.out == []


def test_a_document_that_knows_more_of_ours_than_we_do_is_stale(node: Node) -> None:
    own = own_client(node.bridge)
    node.bridge.join(ONE)
    received = node.receive(ONE, encode_step1({own: 10_000}))
    assert received.refused is not None
    assert received.refused[0] == "stale"


@pytest.mark.parametrize("is_own", [True, False])
def test_nobody_writes_as_a_bridge(node: Node, is_own: bool) -> None:
    node.join(ONE, 5)
    own = own_client(node.bridge)
    step1 = decode_frame(node.bridge.join(TWO)[0][1])
    assert isinstance(step1, SyncStep1)
    client, clock = (own, step1.vector[own]) if is_own else (2**40, 0)
    received = node.receive(ONE, encode_update(update((client, clock, [string("x")]))))
    assert received.refused is not None
    assert received.refused[0] == "stale"
    assert node.bridge.text == CONTENT


def test_an_empty_text_has_a_mark_too() -> None:
    """Or nobody could tell this document from the next one, and its text would be doubled."""
    assert own_client(Node("").bridge) >= FIRST_OWN_CLIENT


# -- what is no text -------------------------------------------------------------------------

FORMAT = bytes([6]) + b"\x01\x04text" + b"\x04bold" + b"\x04true"
OTHER_ROOT = bytes([4]) + b"\x01\x04code" + b"\x01x"


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (update((5, 0, [FORMAT])), "protocol", "kind 6"),
        (update((5, 0, [OTHER_ROOT])), "protocol", "outside the text"),
        (update((5, 0, [string("a\0")])), "stale", "NUL"),
        (update((0, 0, [string("a")])), "protocol", "client"),
        (b"", "protocol", "cut short"),
        (b"\xff" * 20, "protocol", "too large"),
        (update((5, 0, [string("x" * (4 * 2**20 - len(CONTENT.encode()) + 1))])), "stale", "4 MiB"),
    ],
)
def test_an_update_of_something_else_is_refused(
    node: Node, data: bytes, reason: str, words: str
) -> None:
    node.join(ONE, 6)
    editor = node.join(TWO, 7)
    rows = node.rows()
    received = node.receive(ONE, encode_update(data), *editor.type(Edit(0, 0, "never taken")))
    assert received.edits == []
    assert received.out == []
    assert received.refused is not None
    assert received.refused[0] == reason
    assert words in received.refused[1]
    assert node.bridge.text == CONTENT
    assert node.rows() == rows
    node.check_reload()


def test_a_text_may_be_as_large_as_it_may_be(node: Node) -> None:
    editor = node.join(ONE, 6)
    room = 4 * 2**20 - len(CONTENT.encode())
    received = node.receive(ONE, *editor.type(Edit(0, 0, "x" * room)))
    assert received.refused is None
    assert len(node.bridge.text.encode()) == 4 * 2**20
    assert node.receive(ONE, *editor.type(Edit(0, 3, ""))).refused is None
    assert node.receive(ONE, *editor.type(Edit(0, 0, "😀"))).refused is not None


def test_half_a_character_is_refused(node: Node) -> None:
    node.join(ONE, 5)
    node.receive(ONE, encode_update(update((5, 0, [string("😀")]))))
    for data in (update(deletes=[(5, 0, 1)]), update((5, 2, [string("x", (5, 0))]))):
        received = node.receive(ONE, encode_update(data))
        assert received.refused is not None
        assert received.refused[0] == "stale"
    received = node.receive(ONE, encode_step1({5: 1}))
    assert received.refused is not None
    node.check_reload()


def test_what_came_before_a_refusal_holds(node: Node) -> None:
    editor = node.join(ONE, 5)
    node.join(TWO, 6)
    received = node.receive(ONE, *editor.type(Edit(0, 0, "x")), b"\x00\x07\x00")
    assert received.edits == [[Edit(0, 0, "x")]]
    assert [session for session, _ in received.out] == [TWO]
    assert received.refused == ("protocol", received.refused[1] if received.refused else "")
    assert node.bridge.text == "x" + CONTENT


# -- the store -------------------------------------------------------------------------------


def test_a_page_goes_on_after_a_restart(node: Node) -> None:
    editor = node.join(ONE, 5)
    editor.hear(node.edit(Edit(0, 0, "one ")), ONE)
    node.bridge = node.open(node.bridge.text)  # killed: nothing was closed
    offline = editor.type(Edit(0, 0, "two "))
    assert offline
    answers = editor.hear(node.bridge.join(ONE), ONE)
    received = node.receive(ONE, editor.step1(), *answers)
    assert received.edits == [[Edit(0, 0, "two ")]]
    editor.hear(received.out, ONE)
    editor.hear(node.edit(Edit(0, 0, "three ")), ONE)
    assert editor.text.text == node.bridge.text == "three two one " + CONTENT


def test_what_was_not_committed_was_not_written(node: Node) -> None:
    editor = node.join(ONE, 5)
    frames = editor.type(Edit(0, 0, "x"))
    with node.store.transaction():
        assert node.bridge.receive(ONE, frames).edits
        node.store.crash()
    node.bridge = node.open(CONTENT)
    assert node.bridge.text == CONTENT
    assert node.rows() == []


def test_a_text_that_changed_without_us_is_followed(node: Node) -> None:
    editor = node.join(ONE, 5)
    node.bridge = node.open(CONTENT.replace("wörld", "Wörld 😀"))
    assert len(node.rows()) == 1
    received = node.receive(ONE, editor.step1())
    assert received == Received(), "the session is not of this bridge yet"
    node.bridge.join(ONE)
    editor.hear(node.receive(ONE, editor.step1()).out, ONE)
    assert editor.text.text == node.bridge.text == "Hello 😀\r\nWörld 😀"


def test_updates_are_folded(monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
    monkeypatch.setattr(bridge_table, "MAX_ROWS", 50)
    editor = node.join(ONE, 5)
    for number in range(180):
        node.receive(ONE, *editor.type(Edit(number % 7, 0, "é")))
        assert len(node.rows()) <= 51
    node.check_reload()
    node.edit(Edit(0, 0, "x" * 100_000))  # or by their bytes
    assert node.rows() == []
    node.check_reload()
    node.receive(ONE, *editor.type(Edit(0, 0, "y")))
    assert len(node.rows()) == 1
    node.close()
    assert node.rows() == []
    node.check_reload()


@pytest.mark.parametrize("kind", [b"s", b"r"])
@pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"half"])
def test_a_damaged_document_begins_anew(node: Node, kind: bytes, damage: bytes) -> None:
    own = own_client(node.bridge)
    editor = node.join(ONE, 5)
    node.receive(ONE, *editor.type(Edit(0, 0, "x")))
    with node.store.transaction():
        for key, value in list(node.store.scan(Table.BRIDGE, kind)):
            node.store.put(Table.BRIDGE, key, value[: len(value) // 2] if damage else damage)
    node.bridge = node.open("x" + CONTENT)
    assert node.bridge.text == "x" + CONTENT
    assert own_client(node.bridge) != own
    node.bridge.join(ONE)
    received = node.receive(ONE, editor.step1())
    assert received.refused is not None
    assert received.refused[0] == "stale"
    node.check_reload()


def test_a_document_with_too_much_history_begins_anew(
    monkeypatch: pytest.MonkeyPatch, node: Node
) -> None:
    own = own_client(node.bridge)
    monkeypatch.setattr(bridge_table, "MAX_SAVED_BYTES", 10)
    node.bridge = node.open(CONTENT)
    assert own_client(node.bridge) != own


def test_old_documents_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_table, "KEPT_TEXTS", 3)
    store = MemoryStore()
    entropy = random.Random(1).randbytes
    for version in (b"a", b"b", b"c", b"a", b"d"):
        with store.transaction():
            bridge = Bridge(store, version * 16, "text", entropy)
            bridge.join(ONE)
            bridge.edit([Edit(0, 0, "x")])
    kept = {(key[:1], key[1:2]) for key, _ in store.scan(Table.BRIDGE)}
    assert kept == {
        (kind, version) for kind in (b"s", b"r", b"u") for version in (b"a", b"c", b"d")
    }


def test_a_forgery_that_reloads_as_another_text_ends_the_document(node: Node) -> None:
    """Neighbors that never were such: the engine shows one text now, and another when it loads."""
    node.join(ONE, 5)
    spoiled = False
    for seed in range(60):
        node = Node("", seed=seed)
        node.join(ONE, 5)
        rng = random.Random(seed)
        clocks: dict[int, int] = {}
        for _ in range(30):
            client = rng.choice((5, 6, 7))
            clock = clocks.get(client, 0)
            ends = [(other, rng.randrange(end)) for other, end in clocks.items() for _ in range(2)]
            rng.shuffle(ends)
            pair = [*ends[:2], None, None][:2] if rng.random() < 0.9 else [None, None]
            received = node.receive(
                ONE, encode_update(update((client, clock, [string("abc"[client - 5] * 2, *pair)])))
            )
            if received.refused is None:
                clocks[client] = clock + 2
        text = node.bridge.text
        node.close()
        received = node.receive(ONE, encode_step1({}))
        assert node.open(text).text == text
        if received.refused is not None:
            assert received.refused[0] == "stale"
            spoiled = True
    assert spoiled


# -- awareness -------------------------------------------------------------------------------


def show(client: int, clock: int, value: object) -> bytes:
    return encode_awareness([AwarenessState(client, clock, json.dumps(value))])


def states(out: list[Outgoing], session: SessionId) -> dict[int, tuple[int, object]]:
    found = {}
    for receiver, frame in out:
        message = decode_frame(frame)
        if receiver == session and isinstance(message, ShowAwareness):
            for state in message.states:
                found[state.client] = (state.clock, json.loads(state.json))
    return found


def test_states_are_passed_on_and_end_with_their_session(node: Node) -> None:
    for session in (ONE, TWO):
        node.join(session, 100 + session)
    received = node.receive(ONE, show(101, 3, {"user": "é"}))
    assert states(received.out, TWO) == {101: (3, {"user": "é"})}
    assert states(received.out, ONE) == {}
    assert received.cursors is None
    assert states(node.bridge.join(THREE), THREE) == {101: (3, {"user": "é"})}
    assert node.receive(ONE, show(101, 3, {"user": "again"})).out == []
    assert node.receive(ONE, show(101, 2, {"user": "older"})).out == []
    assert states(node.receive(TWO, b"\x03").out, TWO) == {101: (3, {"user": "é"})}
    assert node.receive(ONE, b"\x03").out == []
    assert decode_frame(b"\x03") == AskAwareness()
    assert states(node.bridge.leave(ONE), TWO) == {101: (3, None)}
    assert node.bridge.leave(ONE) == []


def test_a_state_is_taken_away_by_its_client(node: Node) -> None:
    for session in (ONE, TWO):
        node.join(session, 100 + session)
    node.receive(ONE, show(101, 3, {}))
    assert states(node.receive(ONE, show(101, 3, None)).out, TWO) == {101: (3, None)}
    assert node.receive(ONE, show(101, 4, None)).out == []
    assert states(node.receive(ONE, show(101, 5, {"x": 1})).out, TWO) == {101: (5, {"x": 1})}


def test_echoes_change_nothing(node: Node) -> None:
    for session in (ONE, TWO):
        node.join(session, 100 + session)
    node.receive(ONE, show(101, 3, {}))
    assert node.receive(TWO, show(101, 3, {})).out == []
    assert node.receive(TWO, show(101, 9, {"cursor": "forged"})).out == []
    assert node.receive(TWO, show(101, 9, None)).out == []
    node.bridge.leave(ONE)
    assert node.receive(TWO, show(101, 3, {})).out == [], "it left: no echo brings it back"
    node.join(THREE, 103)
    assert states(node.receive(THREE, show(101, 4, {})).out, TWO) == {101: (4, {})}


def test_a_session_speaks_for_a_few_clients(node: Node) -> None:
    for session in (ONE, TWO):
        node.join(session, 100 + session)
    many = [AwarenessState(client, 1, "{}") for client in range(200, 200 + 50)]
    received = node.receive(ONE, encode_awareness(many))
    assert received.refused is None
    assert len(states(received.out, TWO)) == CLIENTS_PER_SESSION
    assert len(states(node.bridge.leave(ONE), TWO)) == CLIENTS_PER_SESSION


def test_states_have_a_size(node: Node) -> None:
    for session in (ONE, TWO):
        node.join(session, 100 + session)
    assert node.receive(ONE, show(101, 1, {"x": "y" * 5_000})) == Received()
    broken = encode_awareness([AwarenessState(101, 2, '{"x":NaN}')])
    received = node.receive(ONE, broken)
    assert received.refused is not None
    assert received.refused[0] == "protocol"
    assert received.out == []


def place(reference: tuple[int, int] | None, **more: object) -> dict[str, object]:
    item = reference and {"client": reference[0], "clock": reference[1]}
    return {"type": None, "tname": "text", "item": item, "assoc": 0, **more}


def test_cursors_are_offsets_of_the_text_now(node: Node) -> None:
    editor = node.join(ONE, 5)
    node.receive(ONE, *editor.type(Edit(0, 0, "a😀b")))
    cursor = {"anchor": place((5, 1)), "head": place((5, 3))}
    assert node.receive(ONE, show(5, 1, {"cursor": cursor})).cursors == ((1, 2),)
    assert node.receive(ONE, show(5, 2, {"cursor": cursor, "user": {}})).cursors is None
    received = node.receive(ONE, *editor.type(Edit(0, 0, "éé")))
    assert received.cursors == ((3, 4),), "it is said anew to whom it is said by the text behind"
    selection = {"anchor": place(None), "head": place(None, assoc=-1)}
    received = node.receive(ONE, show(5, 3, {"selection": selection, "cursor": None}))
    assert received.cursors == ((len(node.bridge.text), 0),)
    assert node.receive(ONE, show(5, 4, {"cursor": None})).cursors == ()
    node.receive(ONE, show(5, 5, {"cursor": cursor}))
    assert node.receive(ONE, show(5, 6, None)).cursors == ()


@pytest.mark.parametrize(
    "position",
    [
        None,
        5,
        "x",
        [],
        place((5, 0), type={"client": 1, "clock": 2}),
        place((5, 0), tname="code"),
        place(None, item=[5, 0]),
        place(None, item={"client": 5}),
        place(None, item={"client": 5, "clock": "0"}),
        place(None, item={"client": 5, "clock": True}),
        place(None, item={"client": 5, "clock": -1}),
        place(None, item={"client": 5, "clock": 1e300}),
        place(None, item={"client": 10**300, "clock": 10**300}),
        place((6, 0)),
        place((5, 7)),
    ],
)
def test_cursors_that_are_nowhere(node: Node, position: object) -> None:
    editor = node.join(ONE, 5)
    node.receive(ONE, *editor.type(Edit(0, 0, "é")))
    received = node.receive(ONE, show(5, 1, {"cursor": {"anchor": position, "head": position}}))
    assert received.refused is None
    assert received.cursors in ((), None)


def test_a_cursor_may_come_before_its_character(node: Node) -> None:
    editor = node.join(ONE, 5)
    cursor = {"anchor": place((5, 0)), "head": place((5, 0))}
    assert node.receive(ONE, show(5, 1, {"cursor": cursor})).cursors == ()
    assert node.receive(ONE, *editor.type(Edit(2, 0, "x"))).cursors == ((2, 2),)


def test_others_cursors_are_shown_as_clients(node: Node) -> None:
    node.join(ONE, 5)
    out = node.bridge.show("ada/1", "Ada", "#102030", ((6, 7), (0, 0)))
    ((client, (clock, value)),) = states(out, ONE).items()
    assert 0 < client < 2**32
    own = own_client(node.bridge)
    assert isinstance(value, dict)
    assert value["user"] == {"name": "Ada", "color": "#102030", "colorLight": "#10203033"}
    assert value["cursor"] == value["selection"]
    # The mark took clock 0, and the emoji two units.
    assert value["cursor"] == {"anchor": place((own, 7)), "head": place((own, 9))}
    assert states(node.bridge.join(TWO), TWO) == {client: (clock, value)}
    assert node.receive(ONE, show(client, clock + 5, {"forged": 1})).out == []
    later = states(node.bridge.show("ada/1", "Ada", "#102030", ((6, 7),)), ONE)
    assert later == {client: (clock + 1, value)}
    assert states(node.bridge.show("ada/1", "Ada", "#102030", ()), TWO)[client][1] is None
    assert node.bridge.show("ada/1", "Ada", "#102030", ()) == []
    again = states(node.bridge.show("ada/1", "Ada", "#102030", ((10**9, -5),)), ONE)
    assert again[client][0] > clock + 2
    for number in range(MAX_VIRTUAL + 50):
        node.bridge.show(f"crowd {number}", "", "#000000", ((0, 0),))
    assert len(states(node.bridge.join(THREE), THREE)) == MAX_VIRTUAL


# -- anything --------------------------------------------------------------------------------


def some_edits(rng: random.Random, size: int) -> list[Edit]:
    cuts = sorted(rng.choices(range(size + 1), k=2 * rng.randint(1, 2)))
    return [
        Edit(start, min(end - start, 4), rng.choice((*PIECES, "")))
        for start, end in zip(cuts[::2], cuts[1::2], strict=True)
    ]


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_editors_and_the_rest_of_the_world_agree(seed: int) -> None:
    rng = random.Random(seed)
    node = Node(CONTENT, seed)
    mirror = CONTENT
    editors = {session: node.join(session, 100 + session) for session in (ONE, TWO)}
    lines: dict[SessionId, list[Outgoing]] = {ONE: [], TWO: []}
    sent: dict[SessionId, list[bytes]] = {ONE: [], TWO: []}

    def carry(out: list[Outgoing]) -> None:
        for session, frame in out:
            lines[session].append((session, frame))

    def deliver(session: SessionId, count: int) -> None:
        nonlocal mirror
        frames, sent[session] = sent[session][:count], sent[session][count:]
        received = node.receive(session, *frames)
        assert received.refused is None
        for edits in received.edits:
            mirror = apply_edits(mirror, edits)
        assert mirror == node.bridge.text
        carry(received.out)

    for _ in range(60):
        session = rng.choice((ONE, TWO))
        dice = rng.random()
        if dice < 0.4:
            sent[session] += editors[session].type(
                *some_edits(rng, len(editors[session].text.text))
            )
        elif dice < 0.6:
            deliver(session, rng.randint(1, 3))
        elif dice < 0.8:
            count = rng.randint(1, 3)
            heard, lines[session] = lines[session][:count], lines[session][count:]
            sent[session] += editors[session].hear(heard, session)
        elif dice < 0.95:
            edits = some_edits(rng, len(mirror))
            mirror = apply_edits(mirror, edits)
            carry(node.edit(*edits))
        else:
            node.check_reload()
    while any(sent.values()) or any(lines.values()):
        for session, editor in editors.items():
            deliver(session, 100)
            heard, lines[session] = lines[session], []
            sent[session] += editor.hear(heard, session)
    assert {editor.text.text for editor in editors.values()} == {mirror}
    node.check_reload()
    node.close()
    node.check_reload()


def honest_frames(rng: random.Random, node: Node, editor: Editor) -> Iterator[bytes]:
    """Traffic of an editor, some of it never delivered."""
    yield from editor.type(*some_edits(rng, len(editor.text.text)))
    yield encode_update(editor.text.update())
    yield encode_step2(editor.text.update_since({}))
    yield editor.step1()
    item = (editor.client, rng.randrange(9))
    cursor = {"anchor": place(item), "head": place(None)}
    yield show(editor.client, rng.randrange(9), {"cursor": cursor})
    yield encode_update(
        update(
            (editor.client, editor.text.clocks.get(editor.client, 0), [string("é"), deleted(2)]),
            deletes=[(own_client(node.bridge), rng.randrange(5), rng.randint(1, 9))],
        )
    )


@pytest.mark.parametrize("seed", range(8))
def test_mutated_frames_do_no_harm(seed: int) -> None:
    rng = random.Random(seed)
    node = Node(CONTENT, seed)
    witness = node.join(TWO, 7)
    mirror = node.bridge.text
    refused = taken = 0
    session, editor = ONE, node.join(ONE, 5)
    for number in range(300):
        frames = []
        for frame in honest_frames(rng, node, editor):
            data = bytearray(frame)
            for _ in range(rng.choice((0, 1, 1, 2))):
                at = rng.randrange(len(data))
                if rng.random() < 0.7:
                    data[at] = rng.randrange(256)
                else:
                    data[at : at + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
            frames.append(bytes(data))
        for frame in rng.sample(frames, 3):
            received = node.receive(session, frame)
            for edits in received.edits:
                mirror = apply_edits(mirror, edits)
                taken += 1
            assert mirror == node.bridge.text
            assert all(each != session or received.edits == [] for each, _ in received.out)
            witness.hear(received.out, TWO)
            if received.refused is not None:
                refused += 1
                node.bridge.leave(session)
                session = SessionId(100 + number)
                editor = Editor(1000 + number)
                node.bridge.join(session)
                received = node.receive(session, editor.step1())
                assert received.refused is None
                editor.hear(received.out, session)
                assert editor.text.text == node.bridge.text
        if number % 25 == 0:
            node.check_reload()
    assert witness.text.text == mirror
    node.check_reload()
    assert refused > 50
    assert taken > 20


def test_vectors_are_canonical() -> None:
    assert encode_vector({7: 300}) == bytes.fromhex("0107ac02")
