"""What happens in the demo, step by step. Every step waits for what it claims, never for time."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from .demo_peer import DemoPeer, wait_for
from .printing import byte_size, count, print_json

__all__ = ["DemoFailed", "Story", "Teller", "differences"]

MIB = 1024 * 1024
SOON = 15.0  # seconds that anything small may take before we call it broken
LONG = 45.0  # the same for the large file
NOTES = "notes.txt"
BEGINNING = """Notes of three

alice:
bob:
carol:
"""


class DemoFailed(Exception):
    """What the demo promises did not happen."""


class Teller:
    """Prints the story with the time since its beginning."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._began = time.monotonic()

    def say(self, text: str, seconds: float | None = None) -> None:
        """One line; ``seconds`` is how long the thing took."""
        passed = time.monotonic() - self._began
        if self._json:
            print_json({"event": "demo", "at": round(passed, 3), "text": text, "took": seconds})
            return
        took = "" if seconds is None else f"  ({_shown(seconds)})"
        click.echo(f"{passed:6.2f} s  {text}{took}")


class Story:
    """Alice, Bob and Carol."""

    def __init__(self, place: Path, teller: Teller, size_mib: int) -> None:
        self._tell = teller.say
        self._size = size_mib * MIB
        self._alice, self._bob, self._carol = (
            DemoPeer(name, place) for name in ("alice", "bob", "carol")
        )
        self._all = (self._alice, self._bob, self._carol)
        self._members: dict[str, str] = {}

    def play(self) -> None:
        """All of it.

        Raises:
            DemoFailed, TimeoutError: at the first thing that is not as promised.
        """
        self._form_pool()
        self._edit_together()
        self._partition()
        self._heal()
        self._kill_and_restart()
        self._large_file()
        self._compare()

    def close(self) -> None:
        """End all processes."""
        threads = [threading.Thread(target=peer.stop) for peer in self._all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _form_pool(self) -> None:
        folder = self._alice.folder
        (folder / NOTES).write_text(BEGINNING)
        (folder / "photos").mkdir()
        (folder / "photos" / "sea.raw").write_bytes(os.urandom(3 * MIB))
        (folder / "an empty folder").mkdir()
        (self._carol.folder / "from carol.txt").write_text("I was here before we met.\n")
        ready = self._alice.start("share")
        self._tell(f"Alice shares a folder at {ready['address']}.")
        began = time.monotonic()
        together(self._all[1:], lambda peer: peer.start("join", ready["invitation"]))
        wait_for(self._settled, "all three are linked and in sync", within=SOON)
        self._members = {peer.name: str(peer.status()["member"]) for peer in self._all}
        self._tell("Bob and Carol join with her invitation; each links to each.", since(began))
        self._expect_equal(["photos/sea.raw", "from carol.txt"])

    def _edit_together(self) -> None:
        began = time.monotonic()
        together(self._all, lambda peer: self._write_line(peer, "at the same moment"))
        pieces = [f"{peer.name}: at the same moment" for peer in self._all]
        self._wait_texts(pieces, self._all)
        self._tell("All three save the same text at once; nobody's line is lost.", since(began))

    def _partition(self) -> None:
        alone, others = self._alice, (self._bob, self._carol)
        ids = self._members
        alone.cut_off([ids[peer.name] for peer in others])
        for peer in others:
            peer.cut_off([ids[alone.name]])
        took = wait_for(lambda: not alone.status()["peers"], "Alice is alone", within=SOON)
        self._tell("The network splits: Alice on one side, Bob and Carol on the other.", took)
        began = time.monotonic()
        self._write_line(alone, "written while alone")
        (alone.folder / "alone.txt").write_text("From Alice's side.\n")
        self._write_line(self._bob, "written while Alice was away")
        (self._carol.folder / "photos" / "sea.raw").rename(self._carol.folder / "sea.raw")
        self._wait_texts(["bob: written while Alice was away"], others)
        wait_for((self._bob.folder / "sea.raw").exists, "the file moved", within=SOON)
        if self._bob.has(NOTES, "written while alone") or (self._bob.folder / "alone.txt").exists():
            raise DemoFailed("the network was not cut")
        self._tell("Both sides go on editing, and move a file; each is in sync.", since(began))

    def _heal(self) -> None:
        began = time.monotonic()
        for peer in self._all:
            peer.heal()
        pieces = ["alice: written while alone", "bob: written while Alice was away"]
        self._wait_texts(pieces, self._all)
        wait_for(self._settled, "all three are in sync again", within=SOON)
        self._expect_equal(["alone.txt", "sea.raw"])
        self._tell("The network heals: both sides' edits are everywhere.", since(began))

    def _kill_and_restart(self) -> None:
        began = time.monotonic()
        self._bob.kill()
        self._write_line(self._carol, "written while Bob was dead")
        (self._bob.folder / "offline.txt").write_text("Saved while nobody watched.\n")
        self._wait_texts(["carol: written while Bob was dead"], (self._alice, self._carol))
        self._tell("Bob's process is killed (kill -9); the others go on.", since(began))
        began = time.monotonic()
        self._bob.start("up")
        self._wait_texts(["carol: written while Bob was dead"], self._all)
        wait_for(self._settled, "Bob has caught up", within=SOON)
        self._expect_equal(["offline.txt"])
        self._tell("Bob starts again and catches up, both ways.", since(began))

    def _large_file(self) -> None:
        piece = os.urandom(MIB)
        with open(self._carol.folder / "film.mov", "wb") as film:
            for number in range(self._size // MIB):
                film.write(number.to_bytes(8, "big") + piece[8:])
        began = time.monotonic()
        wait_for(self._has_film, "the film is everywhere", within=LONG)
        wait_for(self._settled, "all three are in sync", within=LONG)
        took = since(began)
        speed = byte_size(2 * self._size / took)
        self._tell(f"Carol saves {byte_size(self._size)}; two get it at {speed}/s in all.", took)

    def _compare(self) -> None:
        first, *others = (digests(peer.folder) for peer in self._all)
        for peer, other in zip(self._all[1:], others, strict=True):
            if found := differences(first, other):
                raise DemoFailed(f"alice and {peer.name} differ: {', '.join(found[:5])}")
        if conflicts := self._alice.status()["conflicts"]:
            raise DemoFailed(f"kept twice: {conflicts}")
        self._tell(f"All three folders are byte-identical: {count(len(first), 'path')}.")

    # --- What is waited for ---

    def _settled(self) -> bool:
        """Everyone is linked to everyone, has the same heads, and the disk holds it all."""
        all_status = [peer.status() for peer in self._all]
        return all(
            one["in_sync"]
            and len(one["peers"]) == len(self._all) - 1
            and one["heads"] == all_status[0]["heads"]
            for one in all_status
        )

    def _has_film(self) -> bool:
        sizes = {_size_of(peer.folder / "film.mov") for peer in self._all}
        return sizes == {self._size}

    def _wait_texts(self, pieces: list[str], peers: tuple[DemoPeer, ...]) -> None:
        def same() -> bool:
            texts = {(peer.folder / NOTES).read_bytes() for peer in peers}
            return len(texts) == 1 and all(peer.has(NOTES, *pieces) for peer in peers)

        wait_for(same, f"{pieces} in {NOTES} of everyone", within=SOON)

    def _expect_equal(self, paths: list[str]) -> None:
        for path in paths:
            contents = {(peer.folder / path).read_bytes() for peer in self._all}
            if len(contents) != 1:
                raise DemoFailed(f"{path} differs")

    def _write_line(self, peer: DemoPeer, text: str) -> None:
        """Change the peer's own line, as an editor saves: the whole text, in place."""
        path = peer.folder / NOTES
        lines = path.read_text().splitlines()
        changed = [f"{peer.name}: {text}" if n.startswith(f"{peer.name}:") else n for n in lines]
        path.write_text("\n".join(changed) + "\n")


def together(peers: Sequence[DemoPeer], action: Callable[[DemoPeer], object]) -> None:
    """Do it for all peers at the same moment; raise what the first of them raised."""
    failures: list[Exception] = []
    barrier = threading.Barrier(len(peers))

    def run(peer: DemoPeer) -> None:
        try:
            barrier.wait()
            action(peer)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def since(began: float) -> float:
    """Seconds since ``began``."""
    return time.monotonic() - began


def digests(folder: Path) -> dict[str, str]:
    """Every path below ``folder`` but meerkat's own, and what it holds."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".meerkat":
            continue
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "blake2b").hexdigest()
            found[name] = f"{digest} {'x' if os.access(path, os.X_OK) else '-'}"
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The paths that are not the same in both."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
