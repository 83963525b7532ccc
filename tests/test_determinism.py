"""The same seed gives the same run, whatever Python's hash seed: a red seed is a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.test_users import play

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (3, 7, 19)

_TRACE = """
import sys
from tests.simulation.test_users import play
print(*(play(int(seed)).trace for seed in sys.argv[1:]))
"""


def _traces(hash_seed: str) -> list[str]:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _TRACE, *map(str, SEEDS)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_two_hash_seeds_give_one_trace():
    first, second = _traces("1"), _traces("4711")

    assert first == second
    assert len(set(first)) == len(SEEDS), "different seeds give different runs"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_process_gives_one_trace_twice(seed):
    assert play(seed).trace == play(seed).trace
