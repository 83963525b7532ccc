"""Paths as a view: who keeps a name, what the others are called, on every peer alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.ids import AuthorId
from meerkat.core.view import View, ancestors, conflict_name

ALICE, BOB = bytes(32), b"b" * 32
NAMES = {ALICE: "alice", BOB: "bob"}


def name_of(author: AuthorId) -> str:
    return NAMES[bytes(author)]


def key(number: int) -> bytes:
    return bytes([number]) * 16


def put(
    view: View,
    number: int,
    path: str | None,
    lamport: int = 1,
    author: bytes = ALICE,
    kind: str = "text",
    digest: bytes = b"",
) -> None:
    """One file with one version."""
    version = (key(number + 100), author, kind, digest or key(number) * 2)
    view.set_file(key(number), path, (lamport, author), (version,) if path else ())


def shown(view: View) -> dict[str, int]:
    view.settle()
    return {path: one.file[0] for path, one in sorted(view.files.items())}


@pytest.fixture
def view():
    return View(name_of)


def test_a_file_is_where_it_says(view):
    put(view, 1, "d/e/a.txt")

    assert shown(view) == {"d/e/a.txt": 1}
    assert view.folders == ["d", "d/e"]


def test_the_first_keeps_the_path(view):
    put(view, 2, "a.txt", lamport=5, author=BOB)
    put(view, 1, "a.txt", lamport=3)

    assert shown(view) == {"a.txt": 1, "a (conflict from bob).txt": 2}
    assert view.conflict_count == 1


def test_when_the_winner_leaves_the_other_gets_the_path(view):
    put(view, 1, "a.txt")
    put(view, 2, "a.txt", lamport=5, author=BOB)
    shown(view)
    put(view, 1, None)

    assert shown(view) == {"a.txt": 2}
    assert view.conflict_count == 0


def test_a_folder_wins_its_name_from_a_file(view):
    put(view, 1, "d")
    put(view, 2, "d/x", lamport=9, author=BOB)

    assert shown(view) == {"d (conflict from alice)": 1, "d/x": 2}
    put(view, 2, None)
    assert shown(view) == {"d": 1}


def test_an_empty_folder_wins_too(view):
    put(view, 1, "d")
    view.set_folder("d", exists=True)

    assert shown(view) == {"d (conflict from alice)": 1}
    view.set_folder("d", exists=False)
    assert shown(view) == {"d": 1}


def test_equal_blobs_are_one(view):
    put(view, 1, "a", kind="blob", digest=b"same" * 8)
    put(view, 2, "a", lamport=4, author=BOB, kind="blob", digest=b"same" * 8)

    assert shown(view) == {"a": 1}


def test_a_conflicts_name_may_be_taken(view):
    put(view, 1, "a.txt")
    put(view, 2, "a.txt", lamport=5, author=BOB)
    put(view, 3, "a (conflict from bob).txt")

    found = shown(view)
    assert found["a.txt"] == 1
    assert found["a (conflict from bob).txt"] == 3
    assert sorted(found.values()) == [1, 2, 3]


def test_a_copy_renamed_to_the_name_it_is_shown_under_stays_in_place(view):
    put(view, 1, "a.txt")
    put(view, 2, "a.txt", lamport=5, author=BOB)
    copy = "a (conflict from bob).txt"
    assert shown(view)[copy] == 2
    put(view, 2, copy, lamport=6, author=BOB)

    assert shown(view) == {"a.txt": 1, copy: 2}
    assert view.place_of(key(102)) == copy


@given(st.permutations(range(8)), st.data())
def test_the_order_of_arrival_does_not_matter(order, data):
    paths = data.draw(
        st.lists(st.sampled_from(["a", "a/b", "b", "a (conflict from bob)"]), min_size=8)
    )

    def make(numbers) -> View:
        view = View(name_of)
        for number in numbers:
            author = BOB if number % 2 else ALICE
            put(view, number, paths[number], lamport=number % 3 + 1, author=author)
            if number % 3 == 0:
                view.settle()
        return view

    first, second = make(range(8)), make(order)
    assert shown(first) == shown(second)
    assert sorted(shown(first).values()) == list(range(8))
    assert first.folders == second.folders


@given(
    path=st.text(
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255
    ).filter(lambda name: name not in (".", "..")),
    author=st.text(max_size=64),
)
def test_conflict_names_fit_and_are_stable(path, author):
    name = conflict_name("d/" + path, author)

    assert name == conflict_name("d/" + path, author)
    assert name != "d/" + path
    assert name.startswith("d/")
    assert len(name[2:].encode()) <= 255
    assert "\0" not in name
    assert "/" not in name[2:]


def test_conflict_names_keep_the_suffix():
    assert conflict_name("d/a.tar.gz", "alice") == "d/a.tar (conflict from alice).gz"
    assert conflict_name(".profile", "alice") == ".profile (conflict from alice)"
    assert conflict_name("x" * 250 + ".txt", "bob").endswith(" (conflict from bob).txt")


def test_ancestors():
    assert ancestors("a/b/c") == ["a", "a/b"]
    assert ancestors("a") == []
