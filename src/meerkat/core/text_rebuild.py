"""Build a damaged text anew from its log, without the changes that damaged it.

When replicas hold the same operations and yet differ, somebody forged a change (see ``text.py``).
A replay in one order that all compute alike gives all of them the same text and the same list of
what was left out. Decides that by one sign of damage: a saved text loads as another one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from meerkat.core.text import Text, TextUpdateError

__all__ = ["is_stable", "rebuild"]

_BLOCK = 256  # changes replayed between two checks, each of which loads the whole text; guess


def is_stable(text: Text) -> bool:
    """Whether the text would be the same after a restart, as each honest one is. Costs a load."""
    try:
        return Text.load(text.state(), text.client).text == text.text
    except TextUpdateError:
        return False


def rebuild(
    updates: Sequence[tuple[bytes, Collection[int]]], client: int
) -> tuple[Text, list[int]]:
    """Replay updates, each with the clients it may write as; skip what does damage.

    The same updates in the same order give the same text everywhere; so the caller sorts them in
    an order that depends on the operations alone (causes first).

    Returns:
        The text, for further edits as ``client``, and the indexes of the updates left out.
    """
    text = Text(client)
    left_out: list[int] = []
    for first in range(0, len(updates), _BLOCK):
        block = range(first, min(len(updates), first + _BLOCK))
        before = text.state()
        refused = [index for index in block if not _take(text, updates[index])]
        if not is_stable(text):
            text = Text.load(before, client)
            refused = []
            for index in block:
                good = text.state()
                if not _take(text, updates[index]):
                    refused.append(index)
                elif not is_stable(text):
                    text = Text.load(good, client)
                    refused.append(index)
        left_out += refused
    return text, left_out


def _take(text: Text, update: tuple[bytes, Collection[int]]) -> bool:
    try:
        text.apply(*update)
    except TextUpdateError:
        return False
    return True
