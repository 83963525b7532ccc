"""People's own editors, other programs and the network, all at once on one text."""

from __future__ import annotations

import pytest

from meerkat.core.peer import Peer, PeerConfig
from meerkat.testing.faults import Faults
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.pages_editing import ModelPage
from tests.simulation.people_editing import Desks, ModelEditor, offset_of

PATH = "notes.md"


def _pool(
    seed: int, text: str, *names: str, delay: float = 0.005, config: PeerConfig | None = None
) -> Simulator:
    simulator = Simulator(seed, faults=Faults(delay=delay), config=config)
    founder = simulator.found("alice")
    founder.folder.write(PATH, text.encode())
    simulator.look(founder)
    simulator.run(1.0)
    for name in names:
        simulator.join(name, founder)
    simulator.settle()
    return simulator


def _peer(one: SimulatedPeer) -> Peer:
    assert one.peer is not None
    return one.peer


def _texts(simulator: Simulator, path: str = PATH) -> set[str]:
    return {_text_at(one, path) for one in simulator.peers}


def _text_at(one: SimulatedPeer, path: str = PATH) -> str:
    return one.folder.nodes[path].data.decode()


def _close_all(simulator: Simulator, editors: list[ModelEditor]) -> None:
    simulator.settle()
    for editor in editors:
        editor.close()
    simulator.settle()


def test_typing_reaches_the_other_editor_and_both_disks_once_they_are_closed():
    simulator = _pool(1, "one\ntwo\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)

    ann.type(3, 3, "!")
    bob.type(8, 8, "three\n")
    simulator.run(simulator.now + 0.5)

    assert ann.text == bob.text == "one!\ntwo\nthree\n"
    assert _texts(simulator) == {"one\ntwo\n"}  # the editors write, not we
    _close_all(simulator, [ann, bob])
    assert _texts(simulator) == {"one!\ntwo\nthree\n"}


def test_the_save_of_an_editor_is_its_own_echo():
    simulator = _pool(2, "one\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)
    heads = _peer(simulator.peers[0]).status().heads

    ann.save()
    simulator.settle()
    assert _peer(simulator.peers[0]).status().heads == heads
    ann.type(4, 4, "two\n")
    ann.save()  # the disk may be heard of first
    bob.type(0, 0, "zero\n")
    simulator.settle()
    bob.save()
    simulator.settle()

    assert ann.text == bob.text == "zero\none\ntwo\n"
    _close_all(simulator, [ann, bob])
    assert _texts(simulator) == {"zero\none\ntwo\n"}


def test_another_programs_save_reaches_the_editors():
    simulator = _pool(3, "one\ntwo\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)
    ann.type(0, 0, "zero\n")
    simulator.run(simulator.now + 0.1)

    simulator.peers[0].folder.write(PATH, b"one\ntwo\nthree\n")  # it never saw "zero"
    simulator.look(simulator.peers[0])
    simulator.settle()

    assert ann.text == bob.text == "zero\none\ntwo\nthree\n"
    ann.save()
    _close_all(simulator, [ann, bob])
    assert _texts(simulator) == {"zero\none\ntwo\nthree\n"}


def test_an_editor_that_shows_another_text_is_corrected():
    simulator = _pool(4, "one\ntwo\n")
    desks = Desks(simulator)
    alice = simulator.peers[0]
    first = desks.open(alice, PATH)
    simulator.run(simulator.now + 0.1)
    first.type(0, 3, "uno")
    simulator.run(simulator.now + 0.1)

    second = desks.open(alice, PATH)  # the disk is behind
    assert second.text == "one\ntwo\n"
    simulator.run(simulator.now + 0.1)

    assert second.text == first.text == "uno\ntwo\n"


def test_a_cursor_is_seen_at_the_right_place_while_others_type():
    simulator = _pool(5, "😀 one\ntwo\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)

    ann.move_cursor(6, 9)
    bob.type(0, 0, "é\n")
    simulator.run(simulator.now + 0.5)

    (shown,) = bob.cursors.values()
    assert shown.name == "alice"
    ((anchor, head),) = shown.selections
    assert (offset_of(bob.text, anchor), offset_of(bob.text, head)) == (8, 11)
    assert [one.path for one in _peer(simulator.peers[1]).people()] == [PATH, PATH]

    ann.close()
    simulator.run(simulator.now + 0.5)
    assert bob.cursors[shown.user].selections == ()


def test_a_cursor_is_gone_ten_seconds_after_its_owner():
    simulator = _pool(6, "one\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)
    ann.move_cursor(1, 1)
    simulator.run(simulator.now + 8.0)
    (shown,) = bob.cursors.values()
    assert shown.selections

    simulator.crash(simulator.peers[0])
    simulator.run(simulator.now + 11.0)

    assert bob.cursors[shown.user].selections == ()
    assert [one.own for one in _peer(simulator.peers[1]).people()] == [True]


@pytest.mark.parametrize("what", ["delete", "move", "binary"])
def test_what_becomes_of_a_file_is_told(what: str):
    simulator = _pool(7, "one\n", "bob")
    desks = Desks(simulator)
    bob = desks.open(simulator.peers[1], PATH)
    simulator.run(simulator.now + 0.1)

    alice = simulator.peers[0]
    if what == "delete":
        alice.folder.delete(PATH)
    elif what == "move":
        alice.folder.move(PATH, "moved.md")
    else:
        alice.folder.write(PATH, b"\0\1\2")
    simulator.look(alice)
    simulator.settle()

    if what == "move":
        assert bob.path == "moved.md"
        assert bob.is_open
        bob.type(0, 0, "still ")
        _close_all(simulator, [bob])
        assert _texts(simulator, "moved.md") == {"still one\n"}
    else:
        assert bob.closed is not None
        assert bob.closed.reason == {"delete": "deleted", "binary": "binary"}[what]
        assert bob.text == "one\n"


def test_an_edit_that_makes_no_sense_ends_the_session_and_nothing_else():
    simulator = _pool(8, "one\n", "bob")
    desks = Desks(simulator)
    ann, bob = (desks.open(one, PATH) for one in simulator.peers)
    simulator.run(simulator.now + 0.1)

    ann._applied = 7  # it claims to have applied what was never sent
    ann.type(0, 0, "x")
    simulator.run(simulator.now + 0.5)

    assert ann.problems
    assert ann.closed is not None
    assert ann.closed.reason == "protocol"
    assert bob.text == "one\n"
    ann.text = _text_at(simulator.peers[0])
    again = desks.open(simulator.peers[0], PATH)
    simulator.run(simulator.now + 0.1)
    again.type(0, 0, "y")
    simulator.run(simulator.now + 0.5)
    assert bob.text == "yone\n"


@pytest.mark.parametrize("path", ["none.md", "folder", "picture.bin", "../x", ""])
def test_what_cannot_be_opened_says_why(path: str):
    simulator = _pool(9, "one\n")
    alice = simulator.peers[0]
    alice.folder.write("picture.bin", b"\0\1")
    alice.folder.write("folder/in.md", b"in\n")
    simulator.look(alice)
    simulator.settle()
    desks = Desks(simulator)
    alice.folder.nodes.setdefault(path, alice.folder.nodes[PATH])
    editor = desks.open(alice, path)
    del alice.folder.nodes[path]
    simulator.run(simulator.now + 0.1)

    assert len(editor.problems) == 1


@pytest.mark.parametrize("seed", range(25))
def test_editors_and_other_programs_end_with_one_text(seed: int):
    """Random typing in up to five editors on three machines, saves, and foreign saves."""
    simulator = _pool(seed, "one\ntwo\nthree\n", "bob", "carol", delay=0.001 + 0.004 * (seed % 4))
    desks, rng = Desks(simulator), simulator.rng
    editors = [desks.open(one, PATH) for one in simulator.peers]
    editors += [desks.open(rng.choice(simulator.peers), PATH) for _ in range(2)]
    foreign = 0
    for _ in range(60):
        simulator.run(simulator.now + rng.choice((0.0, 0.0001, 0.001, 0.01, 0.3)))
        editor = rng.choice(editors)
        deed = rng.random()
        if deed < 0.8:
            editor.type_something()
        elif deed < 0.92:
            editor.save()
        else:
            one = rng.choice(simulator.peers)
            foreign += 1
            one.folder.write(PATH, _text_at(one).encode() + b"foreign %d\n" % foreign)
            simulator.look(one)
            simulator.run(simulator.now + 1.0)  # nobody saves over it before it was seen
    simulator.settle()

    texts = {editor.text for editor in editors}
    assert not [editor.problems for editor in editors if editor.problems]
    assert len(texts) == 1
    _close_all(simulator, editors)
    assert _texts(simulator) == texts
    final = texts.pop()
    assert all(final.count(f"foreign {n}\n") <= 1 for n in range(1, foreign + 1))


def test_a_page_and_an_editor_write_one_text_and_the_disk_follows_the_page():
    simulator = _pool(11, "one\n", "bob")
    desks = Desks(simulator)
    page = ModelPage(desks, simulator.peers[0], PATH)
    simulator.run(simulator.now + 0.1)
    page.type(4, 4, "😀\n")
    simulator.settle()
    assert _texts(simulator) == {"one\n😀\n"}

    bob = desks.open(simulator.peers[1], PATH)
    simulator.run(simulator.now + 0.1)
    bob.type(0, 0, "zero\n")
    simulator.settle()
    assert page.text == "zero\none\n😀\n"
    assert _text_at(simulator.peers[0]) == page.text


def test_a_page_that_typed_while_its_node_was_away_is_merged_when_it_is_back():
    simulator = _pool(12, "one\ntwo\n", "bob")
    alice, bob = simulator.peers
    desks = Desks(simulator)
    page = ModelPage(desks, alice, PATH)
    simulator.run(simulator.now + 0.1)
    page.type(0, 0, "first ")
    simulator.settle()

    simulator.crash(alice)
    page.disconnect(politely=False)
    page.type(0, 0, "offline ")
    bob.folder.write(PATH, _text_at(bob).encode() + b"three\n")
    simulator.look(bob)
    simulator.run(simulator.now + 2.0)
    simulator.restart(alice)
    simulator.settle()
    page.connect()
    simulator.settle()

    assert page.text == "offline first one\ntwo\nthree\n"
    assert _texts(simulator) == {page.text}
    assert not page.problems


def test_a_page_of_another_machine_is_told_that_it_is_stale():
    simulator = _pool(13, "one\n", "bob")
    desks = Desks(simulator)
    page = ModelPage(desks, simulator.peers[0], PATH)
    simulator.run(simulator.now + 0.1)
    page.disconnect(politely=True)

    page.one = simulator.peers[1]
    page.connect()
    simulator.settle()

    assert page.closed is not None
    assert page.closed.reason == "stale"
    assert _texts(simulator) == {"one\n"}


@pytest.mark.parametrize("seed", range(15))
def test_pages_editors_and_programs_end_with_one_text(seed: int):
    """Three faces and a fourth program on one file, with a crash in between."""
    simulator = _pool(seed, "one\ntwo\nthree\n", "bob", "carol", delay=0.001 + 0.004 * (seed % 4))
    desks, rng = Desks(simulator), simulator.rng
    editors = [desks.open(one, PATH) for one in simulator.peers[:2]]
    pages = [ModelPage(desks, rng.choice(simulator.peers), PATH) for _ in range(3)]
    foreign = 0
    for step in range(60):
        simulator.run(simulator.now + rng.choice((0.0, 0.0001, 0.001, 0.01, 0.3)))
        deed = rng.random()
        if step == 30:
            carol = simulator.peers[2]
            simulator.crash(carol)
            away = [page for page in pages if page.one is carol]
            for page in away:
                page.disconnect(politely=False)
                page.type_something()
            simulator.run(simulator.now + 0.5)
            simulator.restart(carol)
            simulator.settle()
            for page in away:
                page.connect()
        elif deed < 0.6:
            rng.choice(pages).type_something()
        elif deed < 0.9:
            rng.choice(editors).type_something()
        elif deed < 0.95:
            rng.choice(editors).save()
        else:
            one = rng.choice(simulator.peers)
            simulator.settle()
            foreign += 1
            one.folder.write(PATH, _text_at(one).encode() + b"foreign %d\n" % foreign)
            simulator.look(one)
            simulator.run(simulator.now + 1.0)
    simulator.settle()

    texts = {editor.text for editor in editors} | {page.text for page in pages}
    assert not [one.problems for one in editors if one.problems]
    assert not [one.problems for one in pages if one.problems]
    assert len(texts) == 1
    for page in pages:
        page.close()
    _close_all(simulator, editors)
    assert _texts(simulator) == texts
    final = texts.pop()
    assert all(final.count(f"foreign {n}\n") <= 1 for n in range(1, foreign + 1))


def test_a_file_that_is_typed_in_a_page_is_written_at_once_and_then_now_and_then():
    simulator = _pool(14, "one\n", "bob")
    alice = simulator.peers[0]
    desks = Desks(simulator)
    page = ModelPage(desks, alice, PATH)
    simulator.run(simulator.now + 0.5)

    page.type(0, 0, "a")
    simulator.run(simulator.now + 0.05)
    assert _text_at(alice) == "aone\n"
    seen = set()
    for _ in range(40):  # two seconds of keys
        page.type(0, 0, "b")
        simulator.run(simulator.now + 0.05)
        seen.add(_text_at(alice))
    assert 4 <= len(seen) <= 10
    simulator.run(simulator.now + 0.3)
    assert _text_at(alice) == page.text

    page.type(0, 0, "c")
    page.type(0, 0, "d")
    simulator.run(simulator.now + 0.01)
    page.close()
    simulator.run(simulator.now + 0.05)
    assert _text_at(alice) == page.text


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_an_editor_that_saves_at_every_key_doubles_nothing(seed: int, torn: bool):
    """The disk is heard of before the pipe, save after save; some see the file half written."""
    simulator = _pool(20 + seed, "one\n", "bob")
    desks, rng = Desks(simulator), simulator.rng
    alice = simulator.peers[0]
    ann, bob = desks.open(alice, PATH), desks.open(simulator.peers[1], PATH)
    simulator.run(simulator.now + 0.1)
    desks.pipe = 0.3  # s; the machine is swamped
    for number in range(40):
        ann.type(len(ann.text), len(ann.text), f"{number} ")
        if torn:
            alice.folder.write(PATH, ann.text[: rng.randint(0, 3)].encode())
            simulator.look(alice)
            simulator.run(simulator.now + rng.choice((0.0001, 0.004)))
        ann.save()
        simulator.run(simulator.now + rng.choice((0.001, 0.02, 0.1)))
        if number % 10 == 5:
            bob.type(0, 0, f"bob{number} ")
    simulator.run(simulator.now + 3.0)
    simulator.settle()

    assert ann.text == bob.text
    assert ann.text.endswith("one\n" + "".join(f"{number} " for number in range(40)))
    assert sorted(ann.text.split()[:4]) == ["bob15", "bob25", "bob35", "bob5"]
    desks.pipe = 0.001
    ann.save()
    simulator.run(simulator.now + 1.0)
    _close_all(simulator, [ann, bob])
    assert _texts(simulator) == {ann.text}


@pytest.mark.parametrize("seed", range(12))
def test_what_an_editor_saved_when_its_node_was_killed_is_there_once(seed: int):
    """Some of it was in the log by then, some not; the file on disk has it all."""
    trusting = PeerConfig(trust_store=True)  # as a node is, unless the store was put back
    simulator = _pool(40 + seed, "one\ntwo\nthree\n", "bob", config=trusting)
    desks, rng = Desks(simulator), simulator.rng
    alice = simulator.peers[0]
    ann = desks.open(alice, PATH)
    simulator.run(simulator.now + 0.1)
    desks.pipe = 0.05
    for number in range(30):
        at = rng.choice((len(ann.text), rng.randint(0, len(ann.text)), 4))
        ann.type(at, at, f"<{number}>")
        if rng.random() < 0.5:
            ann.save()
        simulator.run(simulator.now + rng.choice((0.001, 0.02)))
    ann.save()
    saved = ann.text
    ann.is_open = False
    simulator.crash(alice)
    simulator.run(simulator.now + 1.0)
    simulator.restart(alice)
    simulator.settle()

    (text,) = _texts(simulator)
    assert [text.count(f"<{number}>") for number in range(30)] == [
        saved.count(f"<{number}>") for number in range(30)
    ]


def test_an_editor_that_leaves_the_file_to_us_finds_it_written_and_may_save_all_the_same():
    simulator = _pool(60, "one\n", "bob")
    alice = simulator.peers[0]
    desks = Desks(simulator)
    ann = desks.open(alice, PATH, saves=False)
    bob = desks.open(simulator.peers[1], PATH)
    simulator.run(simulator.now + 0.1)

    ann.type(0, 0, "a ")
    bob.type(0, 0, "b ")
    simulator.settle()
    assert _text_at(alice) == ann.text == bob.text
    for number in range(20):
        ann.type(0, 0, f"{number} ")
        if number % 3 == 0:
            ann.save()
        simulator.run(simulator.now + 0.01)
    simulator.run(simulator.now + 2.0)
    simulator.settle()

    assert ann.text == bob.text
    assert ann.text.split()[:20] == [str(number) for number in reversed(range(20))]
    assert _text_at(alice) == ann.text
