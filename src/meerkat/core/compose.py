"""Several edit lists, one applied after the other, as one list that does the same.

Linear in the lists, whatever the length of the text. Says nothing about who comes first where
two people type at one place; ``edits.transform`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .edits import Edit

__all__ = ["compose", "merged"]

_KEEP, _DROP, _ADD = range(3)
_REST = 2**62  # code points; more than any text has


def compose(steps: Iterable[Sequence[Edit]]) -> Sequence[Edit]:
    """Lists to be applied one after the other, as one (on the text before the first)."""
    lists = list(steps)
    while len(lists) > 1:  # in pairs: a fold would go through the first again and again
        pairs = [_compose(lists[i], lists[i + 1]) for i in range(0, len(lists) - 1, 2)]
        lists = pairs + lists[len(pairs) * 2 :]
    return lists[0] if lists else ()


class _Growing:
    """An edit list while it is put together from left to right; what touches becomes one."""

    def __init__(self) -> None:
        self.edits: list[Edit] = []
        self._start = self._end = 0
        self._inserted: list[str] = []

    def put(self, position: int, deleted: int, inserted: str) -> None:
        """Go on at ``position``, which is not before what was deleted last."""
        if position > self._end:
            self.finish()
            self._start = position
        self._end = position + deleted
        if inserted:
            self._inserted.append(inserted)

    def finish(self) -> list[Edit]:
        """All of it."""
        if self._end > self._start or self._inserted:
            self.edits.append(Edit(self._start, self._end - self._start, "".join(self._inserted)))
        self._start = self._end
        self._inserted = []
        return self.edits


def merged(edits: Iterable[Edit]) -> list[Edit]:
    """The same change, with what touches as one and without what does nothing."""
    growing = _Growing()
    for edit in edits:
        growing.put(edit.position, edit.deleted, edit.inserted)
    return growing.finish()


def _compose(first: Sequence[Edit], second: Sequence[Edit]) -> list[Edit]:
    """``second`` applies after ``first``; linear in both."""
    result = _Growing()
    at = 0  # before `first`
    earlier, later = _runs(first), _runs(second)
    what, size, text = next(earlier)
    then, reach, more = next(later)
    while size < _REST or reach < _REST:
        if what == _DROP:
            result.put(at, size, "")
            at += size
            what, size, text = next(earlier)
            continue
        if then == _ADD:
            result.put(at, 0, more)
            then, reach, more = next(later)
            continue
        step = min(size, reach)
        if what == _KEEP:
            if then == _DROP:
                result.put(at, step, "")
            at += step
        elif then == _KEEP:
            result.put(at, 0, text[:step])
        # And if `second` deletes what `first` inserted: nothing.
        size, text = (size - step, text[step:]) if size < _REST else (size, text)
        reach = reach - step if reach < _REST else reach
        if not size:
            what, size, text = next(earlier)
        if not reach:
            then, reach, more = next(later)
    return result.finish()


def _runs(edits: Sequence[Edit]) -> Iterator[tuple[int, int, str]]:
    """An edit list as a walk through its text: what happens to how many code points."""
    at = 0
    for edit in edits:
        if edit.position > at:
            yield _KEEP, edit.position - at, ""
        if edit.inserted:
            yield _ADD, len(edit.inserted), edit.inserted
        if edit.deleted:
            yield _DROP, edit.deleted, ""
        at = edit.end
    yield _KEEP, _REST, ""
