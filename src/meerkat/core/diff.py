"""What a save changed: old text and new text to a short list of edits, in bounded work.

Common ends first, then lines, then words, then characters inside what changed; at each level
tokens that occur once on both sides are anchors (Bram Cohen's patience diff), the gaps between
them are compared exactly if that fits the budget, and replaced whole if not. The budget counts
work, not time, so that every peer and every run gives the same edits.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate

from rapidfuzz.distance import Indel

from meerkat.core.edits import Edit

__all__ = ["common_prefix", "diff"]

BUDGET = 4_000_000_000  # cells: pairs compared, 10^10 a second here, so at most about 0.6 s
_LINE_CELLS = 100  # what cutting, counting and naming tokens costs beside, per code point
_WORD_CELLS = 750
_CHAR_CELLS = 1_000
_CELLS_AT_ONCE = 400_000_000  # the comparison keeps a bit per cell: 50 MB

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")

_LEVELS = {_LINE: _LINE_CELLS, _WORD: _WORD_CELLS, None: _CHAR_CELLS}

_Span = tuple[int, int, int, int]  # old start, old end, new start, new end


def diff(old: str, new: str, *, budget: int = BUDGET) -> list[Edit]:
    """Edits that turn ``old`` into ``new``; deterministic, and short if the budget allows.

    Args:
        old: the text before.
        new: the text after.
        budget: how many pairs of tokens may be compared (>= 0); 0 replaces all but common ends
            and anchors.
    """
    work = _Work(budget)
    spans = [(0, len(old), 0, len(new))]
    for pattern in _LEVELS:
        finer: list[_Span] = []
        for span in spans:
            found = _refine(old, new, span, pattern, work)
            finer += found if pattern is _LINE else _without_islands(found)
        spans = finer
    return [Edit(start, end - start, new[first:last]) for start, end, first, last in spans]


class _Work:
    """The budget left, in cells."""

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def spend(self, cells: int) -> bool:
        if cells > self.cells:
            return False
        self.cells -= cells
        return True


def _refine(
    old: str, new: str, span: _Span, pattern: re.Pattern[str] | None, work: _Work
) -> Iterator[_Span]:
    """The changed spans inside a changed span, at one level."""
    start, end, first, last = span
    if start == end or first == last:  # nothing to compare: inserted or deleted whole
        if start < end or first < last:
            yield span
        return
    a, b = old[start:end], new[first:last]
    head = common_prefix(a, b)
    tail = _common_suffix(a[head:], b[head:])
    if pattern is _LINE:  # whole lines: half a line compares equal to no other
        head = a.rfind("\n", 0, head) + 1
        tail = _whole_lines(a, b, tail)
    a, b = a[head : len(a) - tail], b[head : len(b) - tail]
    start += head
    first += head
    if not a or not b:
        if a or b:
            yield start, start + len(a), first, first + len(b)
        return
    if not work.spend(_LEVELS[pattern] * (len(a) + len(b))):
        yield start, start + len(a), first, first + len(b)
        return
    if pattern is None:
        at_a: Sequence[int] = range(len(a) + 1)
        at_b: Sequence[int] = range(len(b) + 1)
        gaps = _compare(a, b, work)
    else:
        tokens_a, tokens_b = pattern.findall(a), pattern.findall(b)
        at_a = list(accumulate(map(len, tokens_a), initial=0))
        at_b = list(accumulate(map(len, tokens_b), initial=0))
        gaps = _compare_tokens(tokens_a, tokens_b, work)
    for i, j, k, m in gaps:
        yield start + at_a[i], start + at_a[j], first + at_b[k], first + at_b[m]


def _whole_lines(a: str, b: str, tail: int) -> int:
    """A common end, without the line that it begins in the middle of."""
    at_a, at_b = len(a) - tail, len(b) - tail
    if not tail or (a[at_a - 1 : at_a] in ("", "\n") and b[at_b - 1 : at_b] in ("", "\n")):
        return tail
    end = a.find("\n", at_a) + 1
    return len(a) - end if end else 0


def _compare_tokens(a: list[str], b: list[str], work: _Work) -> Iterator[_Span]:
    """Differing spans of two token lists: by anchors, and exactly in between."""
    i = k = 0
    for x, y in [*_anchors(a, b), (len(a), len(b))]:
        if i < x or k < y:
            for p, q, r, s in _compare_gap(a[i:x], b[k:y], work):
                yield i + p, i + q, k + r, k + s
        i, k = x + 1, y + 1


def _compare_gap(a: list[str], b: list[str], work: _Work) -> Iterator[_Span]:
    """Differing spans of a gap: tokens only one side has need no comparison."""
    in_a, in_b = set(a), set(b)
    keep_a = [i for i, token in enumerate(a) if token in in_b]
    keep_b = [k for k, token in enumerate(b) if token in in_a]
    names = {token: name for name, token in enumerate(sorted(in_a & in_b))}
    short_a = [names[a[i]] for i in keep_a]
    short_b = [names[b[k]] for k in keep_b]
    keep_a.append(len(a))
    keep_b.append(len(b))
    i = k = 0
    p = r = 0
    for q, x, _, y in [
        *_compare(short_a, short_b, work),
        (len(short_a),) * 2 + (len(short_b),) * 2,
    ]:
        # Equal in the short lists from p and r up to q: equal in the long ones token by token.
        while p < q:
            if i < keep_a[p] or k < keep_b[r]:
                yield i, keep_a[p], k, keep_b[r]
            i, k = keep_a[p] + 1, keep_b[r] + 1
            p, r = p + 1, r + 1
        p, r = x, y
    if i < len(a) or k < len(b):
        yield i, len(a), k, len(b)


def _compare(a: Sequence[Hashable], b: Sequence[Hashable], work: _Work) -> Iterator[_Span]:
    """Differing spans by longest common subsequence, or one span if that costs too much."""
    head = common_prefix(a, b)
    tail = _common_suffix(a[head:], b[head:])
    size_a, size_b = len(a) - head - tail, len(b) - head - tail
    if not size_a and not size_b:
        return
    cells = size_a * size_b
    if not cells or cells > _CELLS_AT_ONCE or not work.spend(cells):
        yield head, head + size_a, head, head + size_b
        return
    i = k = 0  # gather neighbors: the library lists a replacement as two changes
    p, r = 0, 0
    for step in Indel.opcodes(a[head : head + size_a], b[head : head + size_b]):
        if step.tag == "equal":
            if i < p or k < r:
                yield head + i, head + p, head + k, head + r
            i, k = step.src_end, step.dest_end
        p, r = step.src_end, step.dest_end
    if i < p or k < r:
        yield head + i, head + p, head + k, head + r


def _anchors(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """Tokens that occur once on either side, as the longest list that ascends on both."""
    count_a, count_b = Counter(a), Counter(b)
    place = {token: i for i, token in enumerate(a) if count_a[token] == 1}
    pairs = [(place[t], k) for k, t in enumerate(b) if count_b[t] == 1 and t in place]
    tops: list[int] = []  # patience sorting: the smallest top of each pile, and who is below
    top_pair: list[int] = []
    below = [-1] * len(pairs)
    for index, (x, _) in enumerate(pairs):
        pile = bisect_left(tops, x)
        if pile:
            below[index] = top_pair[pile - 1]
        if pile == len(tops):
            tops.append(x)
            top_pair.append(index)
        else:
            tops[pile], top_pair[pile] = x, index
    chain = []
    index = top_pair[-1] if top_pair else -1
    while index >= 0:
        chain.append(pairs[index])
        index = below[index]
    return chain[::-1]


def _without_islands(spans: Iterator[_Span]) -> list[_Span]:
    """Drop common runs that are small beside the changes around them: alike by chance.

    Kept apart, a rewritten line would be hundreds of edits, and a concurrent change to one of its
    letters would be merged into a sentence that is no longer there.
    """
    result: list[_Span] = []
    for span in spans:
        while result:
            left = result[-1]
            common = span[0] - left[1]
            deleted = left[1] - left[0] + span[1] - span[0]
            inserted = left[3] - left[2] + span[3] - span[2]
            if common * 2 > min(deleted, inserted):
                break
            span = (left[0], span[1], left[2], span[3])
            result.pop()
        result.append(span)
    return result


def common_prefix(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """How long the common start is: by halves, since comparing slices is fast."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    step = 64
    while low + step < high and a[low : low + step] == b[low : low + step]:
        low += step
        step *= 2
    high = min(high, low + step)
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_suffix(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    high = min(len(a), len(b))
    low = 0
    if a[len(a) - high :] == b[len(b) - high :]:
        return high
    step = 64
    while low + step < high and _same_before(a, b, low, low + step):
        low += step
        step *= 2
    high = min(high, low + step)
    while low < high:
        middle = (low + high + 1) // 2
        if _same_before(a, b, low, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _same_before(a: Sequence[Hashable], b: Sequence[Hashable], near: int, far: int) -> bool:
    return a[len(a) - far : len(a) - near] == b[len(b) - far : len(b) - near]
