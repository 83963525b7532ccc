"""`meerkat peers`, `map`, `ping` and `echo` against a fake node; the drawing by itself."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from meerkat.cli.network_graph import dot, graph_of
from meerkat.cli.network_layout import positions
from meerkat.cli.network_map import picture_as_text
from meerkat.cli.peers_table import rows, span
from tests.faces.conftest import Meerkat
from tests.faces.fake_desk import ALICE, BOB, CAROL, FakeDesk, ServedFolder, node, served_folder

Facts = dict[str, Any]


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[ServedFolder]:
    with served_folder(tmp_path) as folder:
        yield folder


def some_network(count: int, each: int, seed: int = 1) -> Facts:
    """``count`` peers; each linked to ``each`` who came before it."""
    chance = random.Random(seed)
    ids = [f"{number:02x}" * 32 if number < 256 else f"{number:064x}" for number in range(count)]
    around: list[set[int]] = [set() for _ in ids]
    for number in range(1, count):
        for other in chance.sample(range(number), min(each, number)):
            around[number].add(other)
            around[other].add(number)
    nodes = [
        node(ids[number], *(ids[other] for other in sorted(around[number])), name=f"n{number}")
        for number in range(count)
    ]
    return {"author": ids[0], "nodes": nodes}


# --- The graph and its picture ---


def test_a_graph_knows_distances_and_one_sided_links():
    far = "dd" * 32
    nodes = [node(CAROL, BOB), node(ALICE, BOB), node(BOB, ALICE), node(far, name="far")]

    graph = graph_of({"author": ALICE, "nodes": nodes})

    assert [vertex.label for vertex in graph.vertices] == ["alice (you)", "bob", "Carol Ann", "far"]
    assert [vertex.distance for vertex in graph.vertices] == [0, 1, 2, None]
    assert graph.edges == {(0, 1): True, (1, 2): False}


def test_two_of_one_name_are_told_apart():
    nodes = [node(ALICE, name="bob"), node(BOB, name="bob")]

    labels = [one.label for one in graph_of({"author": ALICE, "nodes": nodes}).vertices]

    assert labels == ["bob aaaaaaaa (you)", "bob bbbbbbbb"]


@pytest.mark.parametrize(("count", "each"), [(1, 0), (2, 1), (3, 2), (8, 7), (20, 1), (20, 2)])
def test_a_small_network_is_drawn_with_every_name(count: int, each: int):
    network = some_network(count, each)

    drawn = picture_as_text(network, color=False, width=80)

    assert all(cell_len(line) <= 80 for line in drawn.splitlines())
    if count > 1:
        picture = drawn.partition("linked with")[0]
        assert all(f"n{number}" in picture for number in range(count))
        assert any("\u2801" <= character <= "\u28ff" for character in picture)
        assert f"{count} peers" in drawn


def test_a_larger_one_is_a_matrix_and_a_large_one_a_list():
    matrix = picture_as_text(some_network(40, 5), color=False, width=80)
    listing = picture_as_text(some_network(300, 5), color=False, width=80)

    assert matrix.count("\\") == 40
    assert "●" in matrix
    assert "●" not in listing
    assert all(f"\nn{number} " in listing for number in range(1, 300))


def test_what_only_one_side_says_is_marked():
    nodes = [node(ALICE), node(BOB, ALICE)]

    drawn = picture_as_text({"author": ALICE, "nodes": nodes}, color=False)

    assert "bob?" in drawn
    assert "1 that only one side says it has" in drawn


@given(st.integers(2, 24), st.integers(1, 4), st.integers(0, 1000))
def test_everybody_has_a_place_of_its_own_in_the_circle(count: int, each: int, seed: int):
    places = positions(graph_of(some_network(count, each, seed)))

    assert len({(round(x, 6), round(y, 6)) for x, y in places}) == count
    assert all(x * x + y * y <= 1.000001 for x, y in places)


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_of_others_never_control_the_terminal(one: str, other: str):
    nodes = [node(ALICE, BOB, name=one), node(BOB, ALICE, name=other)]
    network = {"author": ALICE, "nodes": nodes}

    for drawn in (picture_as_text(network, color=False), dot(graph_of(network))):
        assert not any(ord(c) < 32 and c != "\n" for c in drawn)
        assert not any(127 <= ord(c) < 160 for c in drawn)


def test_graphviz_gets_its_quotes():
    nodes = [node(ALICE, BOB, name='a"b\\'), node(BOB)]

    lines = dot(graph_of({"author": ALICE, "nodes": nodes})).splitlines()

    assert '  "aaaaaaaaaaaaaaaa" [label="a\\"b\\\\ (you)" style=bold];' in lines
    assert '  "aaaaaaaaaaaaaaaa" -- "bbbbbbbbbbbbbbbb" [style=dashed];' in lines


# --- Rows ---


def test_linked_ones_come_first_and_the_absent_last():
    absent = {"member": "dd" * 32, "name": "dave", "role": "writer", "linked": False}
    status = FakeDesk().describe()
    status["members"].append(absent)
    network = {"author": ALICE, "nodes": [node(CAROL, BOB), node(ALICE, BOB), node(BOB, ALICE)]}

    found = rows(status, network)

    assert [(row.name, row.kind, row.here) for row in found] == [
        ("bob", "own", True),
        ("Carol Ann", "", True),
        ("dave", "", False),
    ]
    assert (found[0].since, found[0].degree, found[0].heard) == (90.0, 1, 3.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59, "59 s"), (90, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_span(seconds: float, words: str):
    assert span(seconds) == words


# --- The commands ---


def test_peers(notes: ServedFolder, meerkat: Meerkat):
    shown = meerkat("peers", notes.folder)
    lines = [
        json.loads(line)
        for line in meerkat("peers", notes.folder, "--json").stdout.split("\n")
        if line
    ]

    assert shown.returncode == 0
    cells = "bob bbbbbbbb own -> 192.0.2.2:7337 2 2 min yes here 3 s ago"
    assert shown.stdout.splitlines()[1].split() == cells.split()
    assert [line["name"] for line in lines] == ["bob", "Carol Ann"]
    assert lines[0]["event"] == "peer"
    assert lines[1]["kind"] == ""


def test_map(notes: ServedFolder, meerkat: Meerkat):
    drawn = meerkat("map", notes.folder)
    graphviz = meerkat("map", notes.folder, "--dot").stdout
    network = json.loads(meerkat("map", notes.folder, "--json").stdout)

    assert "3 peers, 2 links" in drawn.stdout
    assert "\x1b" not in drawn.stdout
    assert graphviz.startswith("graph pool {")
    assert graphviz.count(" -- ") == 2
    assert (network["event"], len(network["nodes"])) == ("map", 3)


def test_ping_and_echo(notes: ServedFolder, meerkat: Meerkat):
    ping = meerkat("ping", "-C", notes.folder, "bob", "-n", 2)
    echo = meerkat("echo", "-C", notes.folder, "bob", "--size", 100)
    lost = meerkat("echo", "-C", notes.folder, "carol ann", "--json")
    nobody = meerkat("ping", "-C", notes.folder, "nobody", "-n", 1)

    lines = ping.stdout.splitlines()
    assert lines[0] == "32 bytes from bob: number=1 time=12.30 ms"
    assert lines[2:] == [
        "--- bob: 2 sent, 2 came back, 0 % lost ---",
        "min/avg/max = 12.30/12.30/12.30 ms",
    ]
    assert echo.stdout == (
        "100 bytes from bob: number=1 time=12.30 ms, 2 hops there, 3 hops back, first over dave\n"
    )
    assert [json.loads(line)["event"] for line in lost.stdout.splitlines()] == [
        "no_echo",
        "summary",
    ]
    assert (ping.returncode, echo.returncode, lost.returncode, nobody.returncode) == (0, 0, 1, 8)


@pytest.mark.parametrize(
    "arguments", [("peers",), ("map",), ("ping", "bob", "-C"), ("echo", "bob", "-C")]
)
def test_without_a_process(tmp_path: Path, meerkat: Meerkat, arguments: tuple[str, ...]):
    with served_folder(tmp_path) as notes:
        pass

    done = meerkat(*arguments, notes.folder)

    assert done.returncode == 4
    assert "meerkat up" in done.stderr
