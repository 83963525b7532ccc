"""Eager and lazy links: who is pushed to, who is told, and that nobody can bend it for long."""

from __future__ import annotations

import pytest

from meerkat.core.effects import Send
from meerkat.core.events import LinkId
from meerkat.core.messages import Graft, Prune
from meerkat.core.trees import Trees, TreesConfig

ALICE, BOB = b"a" * 32, b"b" * 32
ONE, TWO, THREE = LinkId(1), LinkId(2), LinkId(3)
CONFIG = TreesConfig()


@pytest.fixture
def trees() -> Trees:
    made = Trees()
    for link in (ONE, TWO, THREE):
        made.link_up(link)
    return made


def make_busy(trees: Trees, author: bytes, now: float = 0.0) -> None:
    for _ in range(CONFIG.busy_count + 1):
        trees.watch(author, now)


def test_new_links_are_eager(trees):
    assert trees.eager(ALICE) == [ONE, TWO, THREE]
    assert trees.lazy(ALICE) == []
    assert trees.eager(ALICE, but=TWO) == [ONE, THREE]


def test_a_duplicate_prunes_its_link(trees):
    assert trees.duplicate(ALICE, TWO, 5.0) == [Send(TWO, Prune(ALICE))]
    assert trees.eager(ALICE) == [ONE, THREE]
    assert trees.lazy(BOB) == [TWO], "all who are not busy share one tree"


def test_what_is_under_way_prunes_once(trees):
    trees.duplicate(ALICE, TWO, 5.0)

    assert trees.duplicate(ALICE, TWO, 5.0 + CONFIG.prune_again / 2) == []
    assert trees.duplicate(ALICE, TWO, 5.0 + CONFIG.prune_again)


def test_the_first_copy_makes_its_link_eager(trees):
    trees.on_prune(TWO, Prune(ALICE))
    assert trees.beside(ALICE, TWO)
    trees.delivered(ALICE, TWO, 0.0)

    assert not trees.beside(ALICE, TWO)


def test_prune_and_graft_of_the_other_side(trees):
    trees.on_prune(ONE, Prune(b""))
    assert trees.lazy(ALICE) == [ONE]
    trees.on_graft(ONE, b"", 0.0)

    assert trees.lazy(ALICE) == []


def test_our_graft_names_the_author(trees):
    trees.on_prune(ONE, Prune(ALICE))

    assert trees.graft(ALICE, ONE, 0.0) == Graft(ALICE)
    assert ONE in trees.eager(ALICE)


def test_our_own_goes_on_all_links_and_bends_nothing(trees):
    trees.on_prune(ONE, Prune(ALICE))

    assert trees.eager(ALICE, own=True) == [ONE, TWO, THREE]
    assert trees.lazy(ALICE) == [ONE]


def test_a_busy_author_has_a_tree_of_its_own(trees):
    trees.duplicate(ALICE, ONE, 0.0)
    make_busy(trees, ALICE)

    assert trees.lazy(ALICE) == [], "it begins with a flood"
    assert trees.lazy(BOB) == [ONE]
    trees.on_prune(TWO, Prune(ALICE))
    assert trees.lazy(ALICE) == [TWO]
    assert trees.lazy(BOB) == [ONE]


def test_three_messages_a_minute_are_not_busy(trees):
    trees.duplicate(ALICE, ONE, 0.0)
    for count in range(20):
        trees.watch(ALICE, count * 20.0)

    assert trees.lazy(ALICE) == [ONE]


def test_large_news_begins_no_tree(trees):
    trees.duplicate(ALICE, ONE, 0.0)
    for _ in range(10):
        trees.watch(ALICE, 0.0, large=True)

    assert trees.lazy(ALICE) == [ONE]


def test_busy_authors_do_not_take_each_others_trees(trees):
    """Else more of them than trees would make every message a flood."""
    trees.duplicate(ALICE, ONE, 0.0)
    authors = [bytes([n]) * 32 for n in range(CONFIG.trees_count)]
    for author in authors:
        make_busy(trees, author)
    make_busy(trees, ALICE, now=1.0)

    assert trees.lazy(ALICE) == [ONE], "no room"
    make_busy(trees, ALICE, now=CONFIG.busy_window + 1.0)
    assert trees.lazy(ALICE) == [], "the one longest unused made room"


def test_labels_of_others_create_nothing(trees):
    for n in range(1_000):
        trees.on_prune(ONE, Prune(n.to_bytes(32, "big")))
        trees.on_graft(ONE, n.to_bytes(32, "big"), 0.0)

    assert not trees._trees
    assert not trees._pace


def test_authors_watched_are_bounded(trees):
    for n in range(10 * CONFIG.authors_count):
        make_busy(trees, n.to_bytes(32, "big"), now=float(n * 100))

    assert len(trees._pace) <= CONFIG.authors_count
    assert len(trees._trees) <= CONFIG.trees_count


def test_a_link_that_is_gone_leaves_nothing(trees):
    make_busy(trees, ALICE)
    trees.duplicate(ALICE, ONE, 0.0)
    trees.duplicate(BOB, ONE, 0.0)
    trees.distrust(ONE, 0.0)
    trees.link_down(ONE)

    assert trees.eager(ALICE, own=True) == [TWO, THREE]
    assert trees.lazy(ALICE) == trees.lazy(BOB) == []
    assert trees.duplicate(ALICE, ONE, 0.0) == []
    trees.link_up(ONE)
    assert not trees.distrusted(ONE, 0.0)
    assert ONE in trees.eager(ALICE)


def test_who_is_distrusted_is_not_eager_for_a_while(trees):
    trees.distrust(ONE, 0.0)
    make_busy(trees, BOB)
    for author in (ALICE, BOB):
        trees.on_graft(ONE, author, 1.0)
        trees.delivered(author, ONE, 1.0)
        assert trees.lazy(author) == [ONE]

    trees.on_graft(ONE, ALICE, CONFIG.distrust_for)
    assert trees.lazy(ALICE) == []


def test_the_time_to_graft_follows_what_is_observed(trees):
    assert trees.graft_after == pytest.approx(0.3)
    for _ in range(100):
        trees.observe(0.002)
    assert trees.graft_after == CONFIG.graft_least
    for _ in range(100):
        trees.observe(0.1)
    assert trees.graft_after == pytest.approx(0.5, rel=0.01)
    for _ in range(100):
        trees.observe(100.0)
    assert trees.graft_after == CONFIG.graft_most
