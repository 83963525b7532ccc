"""How edits reach the engine: in bytes, last to first, in transactions and updates of bounded size.

Decides how large local edits are cut up. Does not touch the engine (``text.py`` does).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meerkat.core.edits import Edit, Positions

__all__ = [
    "EDITS_PER_UPDATE",
    "UPDATE_BYTES",
    "Step",
    "encode_text",
    "group_steps",
    "plan_steps",
]

EDITS_PER_UPDATE = 1_000  # a transaction is quadratic in its edits: 50,000 take 3 s
UPDATE_BYTES = 256 * 1024  # an update fits a frame many times over
_STEP_BYTES = 240 * 1024  # one step's share of an update, which has a head and a root as well
_INSERT = _STEP_BYTES // 4  # code points of at most four bytes
_RANGE_BYTES = 15  # a deleted range of one character, with a client of its own
_DELETE = _STEP_BYTES // _RANGE_BYTES  # code points
_STRUCT_BYTES = 40  # a struct without its text: two references and two counts

Step = tuple[int, int, str]  # at, deleted (both in UTF-8 bytes), inserted


def encode_text(text: str) -> bytes:
    """The UTF-8 of what may be inserted.

    Raises:
        ValueError: if it holds NUL or lone surrogates.
    """
    if "\0" in text:
        raise ValueError("a text holds no NUL")
    return text.encode()


def plan_steps(positions: Positions, edits: Sequence[Edit], pieces: int) -> tuple[list[Step], int]:
    """The edits last to first, so that none moves another, and the bytes the text gains.

    Args:
        positions: the text they apply to.
        edits: what to do; they fit the text.
        pieces: an upper bound of the ranges that deleting the whole text would name.

    Raises:
        ValueError: if they insert NUL or lone surrogates.
    """
    steps: list[Step] = []
    grown = 0
    placed = []
    for edit in edits:
        start = positions.byte_at(edit.position)
        placed.append((edit, start, positions.byte_at(edit.end) - start))
    for edit, at, size in reversed(placed):
        grown -= size
        if size and pieces * _RANGE_BYTES <= _STEP_BYTES:
            steps.append((at, size, ""))
        elif size:
            for first in range(edit.position, edit.end, _DELETE):
                piece = positions.text[first : min(edit.end, first + _DELETE)]
                steps.append((at, len(piece.encode()), ""))
        place = at
        for first in range(0, len(edit.inserted), _INSERT):
            piece = edit.inserted[first : first + _INSERT]
            length = len(encode_text(piece))
            steps.append((place, 0, piece))
            place += length
            grown += length
    return steps, grown


def group_steps(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Steps that fit one transaction each."""
    group: list[Step] = []
    size = 0
    for step in steps:
        _, deleted, inserted = step
        if inserted:
            cost = len(inserted.encode()) + _STRUCT_BYTES
        else:  # a large deletion that is one step names few ranges
            cost = min(deleted, _DELETE) * _RANGE_BYTES
        if group and (len(group) == EDITS_PER_UPDATE or size + cost > _STEP_BYTES):
            yield group
            group, size = [], 0
        group.append(step)
        size += cost
    if group:
        yield group
