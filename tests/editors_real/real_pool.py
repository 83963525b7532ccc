"""Real processes that share a folder, with a real Neovim on some of the copies."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from meerkat.cli.demo_peer import DemoPeer
from tests.editors_real.neovim import Neovim, wait_until

__all__ = ["SOURCE", "RealPool", "importable"]

SOURCE = Path(__file__).resolve().parents[2] / "src"
SETTLES_WITHIN = 60.0  # seconds; a busy machine


def importable() -> dict[str, str]:
    """What child processes need in their environment to find the package that is tested."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "MEERKAT_DISCOVER": "0"}


class RealPool:
    """Ada shares, the others join; call ``close``."""

    def __init__(self, place: Path, names: list[str]) -> None:
        self.place = place
        self._stack = ExitStack()
        self.peers: dict[str, DemoPeer] = {}
        self.neovims: list[tuple[str, Neovim]] = []
        self._homes = 0
        invitation = ""
        for name in names:
            peer = DemoPeer(name, place)
            self._stack.callback(peer.stop)
            self.peers[name] = peer
            if invitation:
                peer.start("join", invitation)
            else:
                invitation = peer.start("share")["invitation"]

    def file(self, name: str, path: str) -> Path:
        """A path in someone's copy."""
        return self.peers[name].folder / path

    def put(self, path: str, content: bytes) -> None:
        """Make a file, and wait until everyone has it."""
        first = next(iter(self.peers))
        self.file(first, path).write_bytes(content)
        for name in self.peers:
            there = self.file(name, path)
            wait_until(
                lambda there=there: there.exists() and there.read_bytes() == content,  # type: ignore[misc]
                f"{name} has {path}",
                SETTLES_WITHIN,
            )

    def neovim(self, name: str, path: str | None = None, **options: Any) -> Neovim:
        """A Neovim in someone's copy; with ``path``, it has that open and live."""
        self._homes += 1
        home = self.place / f"home-{self._homes}"
        command = [sys.executable, "-m", "meerkat", "editor"]
        neovim = Neovim(home, command, options=options, folder=self.peers[name].folder)
        self.neovims.append((name, neovim))
        if path is not None:
            neovim.edit(self.file(name, path))
            neovim.live()
        return neovim

    def settle(self, path: str, also: Callable[[], bool] = lambda: True) -> str:
        """Wait until every Neovim shows one text, write it everywhere; the text."""

        def texts() -> list[str]:
            return [neovim.text() for _, neovim in self.neovims]

        def equal() -> bool:
            return len(set(texts())) == 1 and also()

        try:
            wait_until(equal, "one text in every Neovim", SETTLES_WITHIN)
            for _, neovim in self.neovims:
                neovim.command("silent write!")
            # A save by another program may still wait to be known as none of an editor's: then the
            # text changes once more, and the Neovims write it.
            wait_until(
                lambda: equal() and len(self._contents(path)) == 1,
                "one content in every copy, byte for byte",
                SETTLES_WITHIN,
            )
        except AssertionError as problem:
            told = [str(problem)]
            told += [f"{n}'s Neovim: {v.written()!r}\n{v.messages()}" for n, v in self.neovims]
            told += [f"{n}'s file: {self.file(n, path).read_bytes()!r}" for n in self.peers]
            raise AssertionError("\n".join(told)) from None
        return texts()[0]

    def _contents(self, path: str) -> set[bytes]:
        """What there is: on the disks, and what the Neovims would write there."""
        shown = {neovim.written() for _, neovim in self.neovims}
        return shown | {self.file(name, path).read_bytes() for name in self.peers}

    def save_by_another_program(self, name: str, path: str, chance: random.Random) -> str:
        """Add a line to the file as it is on disk, and say which. Half of these programs write
        all lines with the ends that they are used to.
        """
        there = self.file(name, path)
        number = chance.randrange(10**9)
        line = f"by hand {number}"
        data = there.read_bytes()
        lines = data.split(b"\n")
        lines.insert(chance.randint(0, len(lines) - 1), line.encode())
        data = b"\n".join(lines)
        ends = (b"\n", b"\r\n", None, None)[number % 4]
        if ends is not None:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", ends)
        there.write_bytes(data)
        return f"{line} {ends!r}"

    def close_neovims(self) -> None:
        """The next test has its own."""
        for _, neovim in self.neovims:
            neovim.close()
        self.neovims.clear()

    def close(self) -> None:
        """Everything ends."""
        self.close_neovims()
        self._stack.close()
