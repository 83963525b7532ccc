"""Three real processes, three people who save without pause, and kill -9 at random moments.

In the end the folders are the same, byte by byte; what nobody removed is there, and no merge
doubled it.
Every line and every binary file carries a token; a person's save is one exchange of two files, so
what it removed is known exactly, whatever meerkat wrote a moment before. One person moves and
removes a file, the others edit it: whoever renames a file and edits it too, while nobody watches,
has made another file.

The deeds follow from the seed, their moments do not. To look at a seed once more, with traces:

    MEERKAT_DEBUG=1 pytest tests/faces/test_chaos.py -k 'chaos[7]'
"""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from meerkat.cli.demo_peer import DemoPeer, wait_for
from meerkat.cli.demo_story import differences, digests, together
from meerkat.folder import syscalls
from tests.faces.conftest import MakePeer

STORM = 8.0  # seconds
SETTLES_WITHIN = 25.0
PAUSE = 0.03  # seconds between two deeds, at most
UP, DOWN = (0.1, 1.5), (0.0, 0.6)  # seconds between kills, and until the restart
FILES = 9  # at the beginning
FOLDERS = ("", "d/", "d/deep/", "e/")
TOKEN = re.compile(rb"<[a-z]+\d+>")
NUMBER = re.compile(r"(?:text|blob)(\d+)")


def tokens_in(data: bytes) -> Counter[bytes]:
    return Counter(TOKEN.findall(data))


class Person:
    """Saves, renames and removes, in one folder."""

    def __init__(self, index: int, peer: DemoPeer, trash: Path, numbers: Iterator[int]) -> None:
        self.index = index
        self.name = peer.name
        self.folder = peer.folder
        self.removed: set[bytes] = set()
        self.written: set[bytes] = set()
        self.deeds: list[str] = []
        self._numbers = numbers
        self._trash = trash
        trash.mkdir()

    def act(self, rng: Random) -> None:
        deed = rng.choices(
            (self.edit, self.replace, self.create, self.rename, self.remove), (12, 3, 2, 3, 1)
        )[0]
        with suppress(FileNotFoundError):  # meerkat moved or removed it just now
            deed(rng)

    def edit(self, rng: Random) -> None:
        """A line more, somewhere in a text."""
        path = self._choose(rng, "text", mine=False)
        if path is None:
            return
        before = path.read_bytes()
        lines = before.splitlines(keepends=True)
        lines.insert(rng.randint(0, len(lines)), self._fresh() + b"\n")
        self._save(path, before, b"".join(lines))

    def replace(self, rng: Random) -> None:
        """Other bytes in a binary file."""
        path = self._choose(rng, "blob", mine=False)
        if path is not None:
            self._save(path, path.read_bytes(), self._binary(rng))

    def create(self, rng: Random) -> None:
        kind = rng.choice(("text", "text", "blob"))
        path = self.folder / f"{rng.choice(FOLDERS)}{kind}{next(self._numbers)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = b"".join(self._fresh() + b"\n" for _ in range(rng.randint(1, 5)))
        new = self._trash / "new"
        new.write_bytes(lines if kind == "text" else self._binary(rng))
        written = tokens_in(new.read_bytes()).keys()
        new.rename(path)
        self.written |= written
        self._note("create", path)

    def rename(self, rng: Random) -> None:
        path = self._choose(rng, rng.choice(("text", "blob")), mine=True)
        if path is None:
            return
        stem = path.name.partition("-")[0]
        target = self.folder / f"{rng.choice(FOLDERS)}{stem}-{next(self._numbers)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        self._note(f"rename {path.name} to", target)

    def remove(self, rng: Random) -> None:
        path = self._choose(rng, rng.choice(("text", "blob")), mine=True)
        if path is None:
            return
        gone = self._trash / f"removed-{next(self._numbers)}"
        path.rename(gone)
        self.removed |= tokens_in(gone.read_bytes()).keys()
        self._note("remove", path)

    def _choose(self, rng: Random, kind: str, *, mine: bool) -> Path | None:
        """A file to move or remove (``mine``), or one to edit."""
        found = [
            path
            for path in sorted(self.folder.rglob(f"{kind}*"))
            if ".meerkat" not in path.parts
            and (number := NUMBER.match(path.name)) is not None
            and (int(number[1]) % 3 == self.index) == mine
        ]
        return rng.choice(found) if found else None

    def _save(self, path: Path, before: bytes, after: bytes) -> None:
        """As an editor: the new file takes the old one's place in one step."""
        new = self._trash / "new"
        new.write_bytes(after)
        directory, trash = (os.open(one, os.O_RDONLY) for one in (path.parent, self._trash))
        try:
            syscalls.exchange(trash, "new", directory, path.name)
        finally:
            os.close(directory)
            os.close(trash)
        self.written |= tokens_in(after).keys() - tokens_in(before).keys()
        stood = new.read_bytes()  # perhaps not what we read: then this save removed that, too
        self.removed |= tokens_in(stood).keys() - tokens_in(after).keys()
        self._note("save over" if stood == before else "save blindly over", path)

    def _fresh(self) -> bytes:
        return f"<{self.name}{next(self._numbers)}>".encode()

    def _binary(self, rng: Random) -> bytes:
        return b"\0" + self._fresh() + rng.randbytes(rng.choice((100, 5_000, 400_000)))

    def _note(self, what: str, path: Path) -> None:
        self.deeds.append(f"{time.time():.3f} {self.name}: {what} {path.relative_to(self.folder)}")


class Reaper:
    """Kills and restarts, one at a time, until told to stop; then all are up."""

    def __init__(self, peers: list[DemoPeer], rng: Random) -> None:
        self._peers = peers
        self._rng = rng
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.deeds: list[str] = []
        self.failures: list[Exception] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()
        if self.failures:
            raise self.failures[0]

    def _run(self) -> None:
        while not self._enough.wait(self._rng.uniform(*UP)):
            peer = self._rng.choice(self._peers)
            try:
                peer.kill()
                self.deeds.append(f"{time.time():.3f} {peer.name} is killed")
                self._enough.wait(self._rng.uniform(*DOWN))
                peer.start("up")
                self.deeds.append(f"{time.time():.3f} {peer.name} is up again")
            except Exception as error:
                self.failures.append(error)
                return


def settled(peers: list[DemoPeer]) -> bool:
    """Linked to each other, in sync, and nothing differs."""
    statuses = [peer.status() for peer in peers]
    if not all(one["in_sync"] and len(one["peers"]) == 2 for one in statuses):
        return False
    if any(one["heads"] != statuses[0]["heads"] for one in statuses):
        return False
    first, *others = (digests(peer.folder) for peer in peers)
    return all(one == first for one in others)


def held(folder: Path) -> tuple[set[bytes], set[bytes]]:
    """Which tokens are in a folder, and which stand twice in one file.

    In two files a token may be: where a file was renamed and saved at once, both are kept.
    """
    found: set[bytes] = set()
    doubled: set[bytes] = set()
    for path in folder.rglob("*"):
        if path.is_file() and ".meerkat" not in path.parts:
            tokens = tokens_in(path.read_bytes())
            found |= tokens.keys()
            doubled |= {token for token, count in tokens.items() if count > 1}
    return found, doubled


def storm(people: list[Person], rng: Random) -> None:
    pause = threading.Event()
    end = time.monotonic() + STORM
    while time.monotonic() < end:
        rng.choice(people).act(rng)
        pause.wait(rng.uniform(0.0, PAUSE))


def form_pool(peers: list[DemoPeer], people: list[Person], rng: Random) -> None:
    for person in itertools.islice(itertools.cycle(people), FILES):
        person.create(rng)
    ready = peers[0].start("share")
    together(peers[1:], lambda peer: peer.start("join", ready["invitation"]))
    wait_for(lambda: settled(peers), "the pool is formed", within=SETTLES_WITHIN)


@pytest.mark.slow
@pytest.mark.skipif(not syscalls.supports("renameat2"), reason="no exchange of two files here")
@pytest.mark.parametrize("seed", [1])
def test_chaos(seed: int, peer: MakePeer, tmp_path: Path):
    rng = Random(f"chaos {seed}")
    peers = [peer(name) for name in ("alice", "bob", "carol")]
    numbers = itertools.count(1)
    people = [
        Person(index, one, tmp_path / f"trash of {one.name}", numbers)
        for index, one in enumerate(peers)
    ]
    form_pool(peers, people, rng)
    reaper = Reaper(peers, Random(f"reaper {seed}"))
    reaper.start()
    try:
        storm(people, rng)
    finally:
        reaper.stop()

    deeds = sorted([*reaper.deeds, *(deed for person in people for deed in person.deeds)])
    (tmp_path / "deeds.txt").write_text("\n".join(deeds))
    try:
        wait_for(lambda: settled(peers), "all have the same", within=SETTLES_WITHIN)
    except TimeoutError as error:
        first, *others = (digests(one.folder) for one in peers)
        differing = [path for other in others for path in differences(first, other)]
        states = [
            {key: one.status()[key] for key in ("name", "in_sync", "pending_files", "problems")}
            for one in peers
        ]
        raise AssertionError(f"seed {seed}: {error}\n{differing}\n{states}\n{tmp_path}") from error

    found, doubled = held(peers[0].folder)
    removed = {token for person in people for token in person.removed}
    kept = {token for person in people for token in person.written} - removed
    lost = kept - found
    assert (lost, doubled) == (set(), set()), (
        f"seed {seed}; what was done is in {tmp_path}/deeds.txt"
    )
    assert len(kept) > 50
