"""Finding a path by some of its letters, as file pickers do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["rank"]

_AFTER = "/_-. "  # a letter behind one of these begins a word


def rank(query: str, paths: Iterable[str], limit: int) -> list[tuple[str, Sequence[int]]]:
    """The best ``limit`` paths with the query's letters in order, and where these are.

    Letters in a row, at the beginning of words and in the file's own name count more; among equals
    the shorter path. Without a query, the paths in their order.
    """
    wanted = _fold("".join(query.split()))
    if not wanted:
        return [(path, ()) for _, path in zip(range(limit), paths, strict=False)]
    found = []
    possible = re.compile(".*?".join(map(re.escape, wanted)), re.DOTALL)  # most are none
    for path in paths:
        folded = _fold(path)
        best = _match(wanted, path, folded) if possible.search(folded) else None
        if best is not None:
            found.append((-best[0], len(path), path, best[1]))
    found.sort()
    return [(path, places) for _, _, path, places in found[:limit]]


def _fold(text: str) -> str:
    """Without case, letter for letter: some would become two."""
    folded = text.casefold()
    return folded if len(folded) == len(text) else "".join(one.casefold()[0] for one in text)


def _match(wanted: str, path: str, folded: str) -> tuple[int, list[int]] | None:
    name = path.rfind("/") + 1
    tries = [_places(wanted, folded, name), _places(wanted, folded, 0)]
    scored = [(_score(places, path, name), places) for places in tries if places is not None]
    return max(scored, default=None, key=lambda one: one[0])


def _places(wanted: str, path: str, start: int) -> list[int] | None:
    """Where the letters are: the last way to place them that ends first, so close together."""
    at = start
    whole = path.find(wanted, start)
    if whole >= 0:
        return list(range(whole, whole + len(wanted)))
    for letter in wanted:
        at = path.find(letter, at)
        if at < 0:
            return None
        at += 1
    places: list[int] = []
    for letter in reversed(wanted):
        at = path.rfind(letter, start, at)
        places.append(at)
    return places[::-1]


def _score(places: list[int], path: str, name: int) -> int:
    score = 0
    for index, at in enumerate(places):
        begins_word = (
            at == 0 or path[at - 1] in _AFTER or (path[at].isupper() and not path[at - 1].isupper())
        )
        score += 8 * begins_word + 3 * (at >= name)
        if index and places[index - 1] == at - 1:
            score += 6
    return score - (places[-1] - places[0]) // 4
